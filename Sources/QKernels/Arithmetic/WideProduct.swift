// 32-bit targets reject `Int64(x)` under -no-allocations (the generic initialiser's dead branch mentions an array), so
// 64-bit values are assembled from their two words; every target compiles these to single instructions.

/// Returns `value` as a 64-bit integer.
@inline(__always)
public func widened(_ value: Int32) -> Int64 {
  unsafeBitCast(SIMD2<UInt32>(UInt32(bitPattern: value), UInt32(bitPattern: value &>> 31)), to: Int64.self)
}

/// Returns the exact product `a * b`.
@inline(__always)
public func wideProduct(_ a: Int32, _ b: Int32) -> Int64 {
  let product = a.multipliedFullWidth(by: b)
  return unsafeBitCast(SIMD2<UInt32>(product.low, UInt32(bitPattern: product.high)), to: Int64.self)
}
