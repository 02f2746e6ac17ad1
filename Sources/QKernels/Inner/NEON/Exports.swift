// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// The C symbols of this set.

@implementation @c public func qk_neon_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulNEON(args)
}
@implementation @c public func qk_neon_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  matmul16NEON(args)
}
@implementation @c public func qk_neon_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) { depthwiseNEON(args) }
@implementation @c public func qk_neon_add(_ args: UnsafePointer<qk_add_args>!) { addNEON(args) }
@implementation @c public func qk_neon_mul(_ args: UnsafePointer<qk_mul_args>!) { mulTemplate(args) }
@implementation @c public func qk_neon_lookup(_ args: UnsafePointer<qk_lookup_args>!) { lookupTemplate(args) }
@implementation @c public func qk_neon_max_pool(_ args: UnsafePointer<qk_pool_args>!) { maxPoolTemplate(args) }
@implementation @c public func qk_neon_average_pool(_ args: UnsafePointer<qk_pool_args>!) { averagePoolTemplate(args) }
@implementation @c public func qk_neon_window_sum(_ args: UnsafePointer<qk_pool_args>!) { windowSumTemplate(args) }
@implementation @c public func qk_neon_winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>!) { winograd3x3(args) }
