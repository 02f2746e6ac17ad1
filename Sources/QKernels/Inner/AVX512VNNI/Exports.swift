import QKernelsIntrinsics

@implementation @c public func qk_avx512vnni_matmul(_ args: UnsafePointer<qk_matmul_args>!) { matmulTemplate(args) }
