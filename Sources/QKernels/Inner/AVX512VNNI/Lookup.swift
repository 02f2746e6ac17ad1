import QKernelsIntrinsics

/// The whole table in four registers.
@inline(__always)
func lookupTemplate(_ args: UnsafePointer<qk_lookup_args>) {
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
