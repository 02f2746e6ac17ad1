// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// Cortex-M4, M7, M33 and others with the DSP extension: two 16-bit multiply-accumulates per instruction, fourteen registers.
// Few registers and no vectors make other algorithms best than those of the templates: hence files of their own.

@implementation @c public func qk_cortexmdsp_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  qk_dsp_with_product(args) { args, product in
    multiply(
      args.unsafelyUnwrapped, product.unsafelyUnwrapped, outputBytes: 1, byFour: { qk_dsp_multiply_4_pixels($0) },
      byOne: { qk_dsp_multiply_1_pixel($0) })
  }
}

@implementation @c public func qk_cortexmdsp_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  qk_dsp_with_product(args) { args, product in
    multiply(
      args.unsafelyUnwrapped, product.unsafelyUnwrapped, outputBytes: 2, byFour: { qk_dsp_multiply16_4_pixels($0) },
      byOne: { qk_dsp_multiply16_1_pixel($0) })
  }
}

@implementation @c public func qk_cortexmdsp_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  qk_dsp_with_taps(args) { args, taps in convolveDepthwise(args.unsafelyUnwrapped, taps.unsafelyUnwrapped) }
}

@implementation @c public func qk_cortexmdsp_add(_ args: UnsafePointer<qk_add_args>!) { add(args) }

@implementation @c public func qk_cortexmdsp_mul(_ args: UnsafePointer<qk_mul_args>!) { multiplyElements(args) }

@implementation @c public func qk_cortexmdsp_lookup(_ args: UnsafePointer<qk_lookup_args>!) {
  let input: UnsafePointer<Int8> = args.pointee.input, table: UnsafePointer<Int8> = args.pointee.table + 128
  let output: UnsafeMutablePointer<Int8> = args.pointee.output
  let count = Int(args.pointee.count)
  var index = 0
  while index < count {
    output[index] = table[Int(input[index])]
    index &+= 1
  }
}

@implementation @c public func qk_cortexmdsp_max_pool(_ args: UnsafePointer<qk_pool_args>!) {
  poolMaximum(args)
}

@implementation @c public func qk_cortexmdsp_average_pool(_ args: UnsafePointer<qk_pool_args>!) {
  poolAverage(args)
}

@implementation @c public func qk_cortexmdsp_window_sum(_ args: UnsafePointer<qk_pool_args>!) {
  sumWindow(args)
}
