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
@implementation @c public func qk_avx512vnni_add(_ args: UnsafePointer<qk_add_args>!) { addTemplate(args) }
@implementation @c public func qk_avx512vnni_mul(_ args: UnsafePointer<qk_mul_args>!) { mulTemplate(args) }
@implementation @c public func qk_avx512vnni_max_pool(_ args: UnsafePointer<qk_pool_args>!) { maxPoolTemplate(args) }
@implementation @c public func qk_avx512vnni_average_pool(_ args: UnsafePointer<qk_pool_args>!) { averagePoolTemplate(args) }
@implementation @c public func qk_avx512vnni_window_sum(_ args: UnsafePointer<qk_pool_args>!) { windowSumTemplate(args) }

/// The whole table in four registers.
@implementation @c public func qk_avx512vnni_lookup(_ args: UnsafePointer<qk_lookup_args>!) {
  let a = args.pointee
  let t0 = qk512_load(a.table), t1 = qk512_load(a.table + 64)
  let t2 = qk512_load(a.table + 128), t3 = qk512_load(a.table + 192)
  let count = Int(a.count)
  var i = 0
  while count &- i >= 64 {
    qk512_store(a.output + i, qk512_lookup(qk512_load(a.input + i), t0, t1, t2, t3))
    i &+= 64
  }
  if i < count {
    let left = Int32(truncatingIfNeeded: count &- i)
    qk512_store_first8(a.output + i, qk512_lookup(qk512_load_first8(a.input + i, left), t0, t1, t2, t3), left)
  }
}
