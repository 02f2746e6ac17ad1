import QKernelsIntrinsics

/// One byte at a time: without a byte permutation over 256 entries nothing beats the load.
@inline(__always)
func lookupTemplate(_ args: UnsafePointer<qk_lookup_args>) {
  let a = args.pointee
  let table = a.table + 128
  for i in 0..<Int(a.count) { a.output[i] = table[Int(a.input[i])] }
}
