// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// The C symbols of this set.

@implementation @c public func qk_neondot_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulNEON(args)
}
@implementation @c public func qk_neondot_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  matmul16NEON(args)
}
@implementation @c public func qk_neondot_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  depthwiseNEON(args)
}
@implementation @c public func qk_neondot_depthwise3x3(_ args: UnsafePointer<qk_depthwise3x3_args>!) {
  depthwise3x3NEON(args)
}
@implementation @c public func qk_neondot_add(_ args: UnsafePointer<qk_add_args>!) { addNEON(args) }
@implementation @c public func qk_neondot_mul(_ args: UnsafePointer<qk_mul_args>!) { mulTemplate(args) }
@implementation @c public func qk_neondot_lookup(_ args: UnsafePointer<qk_lookup_args>!) { lookupTemplate(args) }
@implementation @c public func qk_neondot_max_pool(_ args: UnsafePointer<qk_pool_args>!) { maxPoolTemplate(args) }
@implementation @c public func qk_neondot_average_pool(_ args: UnsafePointer<qk_pool_args>!) {
  averagePoolTemplate(args)
}
@implementation @c public func qk_neondot_window_sum(_ args: UnsafePointer<qk_pool_args>!) { windowSumTemplate(args) }
