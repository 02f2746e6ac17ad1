// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// The C symbols of this set.

@implementation @c public func qk_avx2_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulTemplate(args, outputBytes: 1)
}
@implementation @c public func qk_avx2_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulTemplate(args, outputBytes: 2)
}
@implementation @c public func qk_avx2_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) { depthwiseTemplate(args) }
@implementation @c public func qk_avx2_add(_ args: UnsafePointer<qk_add_args>!) { addTemplate(args) }
@implementation @c public func qk_avx2_mul(_ args: UnsafePointer<qk_mul_args>!) { mulTemplate(args) }
@implementation @c public func qk_avx2_lookup(_ args: UnsafePointer<qk_lookup_args>!) { lookupTemplate(args) }
@implementation @c public func qk_avx2_max_pool(_ args: UnsafePointer<qk_pool_args>!) { maxPoolTemplate(args) }
@implementation @c public func qk_avx2_average_pool(_ args: UnsafePointer<qk_pool_args>!) { averagePoolTemplate(args) }
@implementation @c public func qk_avx2_window_sum(_ args: UnsafePointer<qk_pool_args>!) { windowSumTemplate(args) }
@implementation @c public func qk_avx2_winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>!) { winograd3x3(args) }
