import QKernelsIntrinsics

// 16 lanes of Int32 and 16 bytes, for the elementwise templates. `left` elements are valid, at least 1.
extension Vec {
  typealias Lanes = __m512i
  typealias Bytes = __m128i

  @inline(__always) static func broadcast(_ x: Int32) -> Lanes { qk512_set1(x) }
  @inline(__always) static func sum(_ a: Lanes, _ b: Lanes) -> Lanes { qk512_add(a, b) }
  @inline(__always) static func difference(_ a: Lanes, _ b: Lanes) -> Lanes { qk512_sub(a, b) }
  @inline(__always) static func product(_ a: Lanes, _ b: Lanes) -> Lanes { qk512_mul(a, b) }
  @inline(__always) static func shiftedLeft(_ a: Lanes, _ n: Int32) -> Lanes { qk512_shift_left(a, n) }
  @inline(__always) static func shiftedRight(_ a: Lanes, _ n: Int32) -> Lanes { qk512_shift_right(a, n) }

  /// The high multiply of the rounding law by one multiplier in all lanes.
  @inline(__always) static func highMultiply(_ a: Lanes, _ multiplier: Lanes) -> Lanes {
    qk512_high_multiply(a, multiplier, multiplier)
  }

  /// The rounding divide by 2^exponent; see Requantizer.values.
  @inline(__always) static func dividedByPowerOfTwo(_ r: Lanes, _ exponent: Int32) -> Lanes {
    if exponent == 0 { return r }
    let biased = qk512_add(r, qk512_sign(r))
    return qk512_shift_right(qk512_add(qk512_shift_right(biased, exponent &- 1), qk512_set1(1)), 1)
  }

  @inline(__always) static func bytes(_ p: UnsafePointer<Int8>, _ left: Int) -> Bytes {
    left >= 16 ? qk128_load(p) : qk128_load_first(p, Int32(truncatingIfNeeded: left))
  }

  @inline(__always) static func widened(_ p: UnsafePointer<Int8>, _ left: Int) -> Lanes { qk512_widen8(bytes(p, left)) }

  @inline(__always) static func larger(_ a: Bytes, _ b: Bytes) -> Bytes { qk128_max8(a, b) }

  /// The bounds of an int8 output.
  struct Clamp {
    let low: __m128i, high: __m128i
    @inline(__always) init(_ low: Int32, _ high: Int32) {
      self.low = qk128_set1_8(Int8(truncatingIfNeeded: low))
      self.high = qk128_set1_8(Int8(truncatingIfNeeded: high))
    }
  }

  @inline(__always) static func store(_ a: Lanes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    store(qk512_saturate8(a), clamp, p, left)
  }

  @inline(__always) static func store(_ a: Bytes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    let clamped = qk128_clamp8(a, clamp.low, clamp.high)
    if left >= 16 { qk128_store(p, clamped) } else { qk128_store_first(p, clamped, Int32(truncatingIfNeeded: left)) }
  }

  @inline(__always) static func store32(_ a: Lanes, _ p: UnsafeMutablePointer<Int32>, _ left: Int) {
    if left >= 16 { qk512_store(p, a) } else { qk512_store_first32(p, a, Int32(truncatingIfNeeded: left)) }
  }

  /// Adds the zero point and stores 64 elements; saturation at 16 bits comes first: what it cuts off is beyond the clamp.
  @inline(__always)
  static func store64(
    _ a: Lanes, _ b: Lanes, _ c: Lanes, _ d: Lanes, _ zeroPoint: Int32, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>
  ) {
    let z = qk512_set1_16(Int16(truncatingIfNeeded: zeroPoint))
    let ab = qk512_adds16(qk512_packs32(a, b), z), cd = qk512_adds16(qk512_packs32(c, d), z)
    qk512_store(
      p,
      qk512_clamp8(qk512_transpose4x4(qk512_packs16(ab, cd)), qk512_repeat128(clamp.low), qk512_repeat128(clamp.high)))
  }
}
