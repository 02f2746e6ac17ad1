// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// The C symbols of this set.

// Functions of their own, so that one pixel does not pay for their stack frame.
@inline(never) private func matmulOfMany(_ args: UnsafePointer<qk_matmul_args>) { matmul(args, outputBytes: 1) }
@inline(never) private func matmul16OfMany(_ args: UnsafePointer<qk_matmul_args>) { matmul(args, outputBytes: 2) }

/// Whether `dense` serves: one pixel, and a row to begin with. Pixels of transposed convolutions may have none.
@inline(__always) private func isDense(_ args: UnsafePointer<qk_matmul_args>) -> Bool {
  args.pointee.pixelCount == 1 && args.pointee.rowCount > 0
}

@implementation @c public func qk_avx512vnni_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  if isDense(args) { dense(args) } else { matmulOfMany(args) }
}
@implementation @c public func qk_avx512vnni_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  if isDense(args) { dense16(args) } else { matmul16OfMany(args) }
}
@implementation @c public func qk_avx512vnni_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  depthwiseTemplate(args)
}
@implementation @c public func qk_avx512vnni_depthwise3x3(_ args: UnsafePointer<qk_depthwise3x3_args>!) {
  depthwise3x3(args.pointee)
}
@implementation @c public func qk_avx512vnni_lstm_cell(_ args: UnsafePointer<qk_lstm_cell_args>!) { lstmCell(args) }
@implementation @c public func qk_avx512vnni_add(_ args: UnsafePointer<qk_add_args>!) { add(args) }
@implementation @c public func qk_avx512vnni_mul(_ args: UnsafePointer<qk_mul_args>!) { mulTemplate(args) }
@implementation @c public func qk_avx512vnni_lookup(_ args: UnsafePointer<qk_lookup_args>!) { lookupTemplate(args) }
@implementation @c public func qk_avx512vnni_max_pool(_ args: UnsafePointer<qk_pool_args>!) { maxPool(args) }
@implementation @c public func qk_avx512vnni_average_pool(_ args: UnsafePointer<qk_pool_args>!) { averagePool(args) }
@implementation @c public func qk_avx512vnni_window_sum(_ args: UnsafePointer<qk_pool_args>!) { windowSum(args) }
@implementation @c public func qk_avx512vnni_winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>!) {
  winograd3x3(args)
}
@implementation @c public func qk_avx512vnni_dense(_ args: UnsafePointer<qk_matmul_args>!) { denseOfOneScale(args) }
@implementation @c public func qk_avx512vnni_convolution(_ args: UnsafePointer<qk_convolution_args>!) {
  convolution(args)
}
