import QKernelsIntrinsics

@implementation @c public func qk_avx512vnni_matmul(_ args: UnsafePointer<qk_matmul_args>!) { matmulTemplate(args) }
@implementation @c public func qk_avx512vnni_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  depthwiseTemplate(args)
}
