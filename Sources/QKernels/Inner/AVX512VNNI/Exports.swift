import QKernelsIntrinsics

@implementation @c public func qk_avx512vnni_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulTemplate(args, outputBytes: 1)
}
@implementation @c public func qk_avx512vnni_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  matmulTemplate(args, outputBytes: 2)
}
@implementation @c public func qk_avx512vnni_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  depthwiseTemplate(args)
}
