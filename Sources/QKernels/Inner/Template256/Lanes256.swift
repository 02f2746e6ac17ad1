import QKernelsIntrinsics

// What the sets with 256-bit registers share: 16 lanes of Int32 in two registers, and the requantization of a block.

/// 16 lanes of Int32.
struct Lanes256 {
  var low: __m256i
  var high: __m256i

  @inline(__always) init(_ low: __m256i, _ high: __m256i) {
    self.low = low
    self.high = high
  }

  @inline(__always) init(loading p: UnsafePointer<Int32>) { self.init(qk256_load(p), qk256_load(p + 8)) }

  @inline(__always) init(repeating x: Int32) {
    low = qk256_set1(x)
    high = low
  }
}

extension Vec {
  typealias Lanes = Lanes256
  typealias Bytes = __m128i

  @inline(__always) static func broadcast(_ x: Int32) -> Lanes { Lanes(repeating: x) }
  @inline(__always) static func sum(_ a: Lanes, _ b: Lanes) -> Lanes {
    Lanes(qk256_add(a.low, b.low), qk256_add(a.high, b.high))
  }
  @inline(__always) static func difference(_ a: Lanes, _ b: Lanes) -> Lanes {
    Lanes(qk256_sub(a.low, b.low), qk256_sub(a.high, b.high))
  }
  @inline(__always) static func product(_ a: Lanes, _ b: Lanes) -> Lanes {
    Lanes(qk256_mul(a.low, b.low), qk256_mul(a.high, b.high))
  }
  @inline(__always) static func shiftedLeft(_ a: Lanes, _ n: Int32) -> Lanes {
    Lanes(qk256_shift_left(a.low, n), qk256_shift_left(a.high, n))
  }
  @inline(__always) static func shiftedRight(_ a: Lanes, _ n: Int32) -> Lanes {
    Lanes(qk256_shift_right(a.low, n), qk256_shift_right(a.high, n))
  }

  /// The high multiply of the rounding law by one multiplier in all lanes.
  @inline(__always) static func highMultiply(_ a: Lanes, _ multiplier: Lanes) -> Lanes {
    Lanes(
      qk256_high_multiply(a.low, multiplier.low, multiplier.low),
      qk256_high_multiply(a.high, multiplier.high, multiplier.high))
  }

  /// The rounding divide by 2^exponent: (((r − (r < 0)) >> (e − 1)) + 1) >> 1 for e >= 1.
  @inline(__always) static func dividedByPowerOfTwo(_ r: Lanes, _ exponent: Int32) -> Lanes {
    if exponent == 0 { return r }
    let biased = Lanes(qk256_add(r.low, qk256_sign(r.low)), qk256_add(r.high, qk256_sign(r.high)))
    return shiftedRight(sum(shiftedRight(biased, exponent &- 1), broadcast(1)), 1)
  }

  /// `left` bytes, at least 1; reads 16, which the plan's slack allows.
  @inline(__always) static func bytes(_ p: UnsafePointer<Int8>, _ left: Int) -> Bytes { qk128_load(p) }
  @inline(__always) static func widened(_ p: UnsafePointer<Int8>, _ left: Int) -> Lanes {
    let bytes = qk128_load(p)
    return Lanes(qk256_widen8(bytes), qk256_widen8_high(bytes))
  }
  @inline(__always) static func larger(_ a: Bytes, _ b: Bytes) -> Bytes { qk128_max8(a, b) }

  /// Adds the zero point and stores 64 elements.
  @inline(__always)
  static func store64(
    _ a: Lanes, _ b: Lanes, _ c: Lanes, _ d: Lanes, _ zeroPoint: Int32, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>
  ) {
    let z = broadcast(zeroPoint)
    store(sum(a, z), clamp, p, 16)
    store(sum(b, z), clamp, p + 16, 16)
    store(sum(c, z), clamp, p + 32, 16)
    store(sum(d, z), clamp, p + 48, 16)
  }

  /// Wider than a block gains nothing here.
  @inline(__always)
  static func depthwiseWide(
    _ loop: DepthwiseLoop, _ channel: Int, _ channels: Int, _ weights: UnsafePointer<Int8>,
    _ q: qk_channel_quantization,
    _ output: UnsafeMutablePointer<Int8>
  ) -> Int { 0 }

  /// The bounds of an int8 output.
  struct Clamp {
    let low: __m128i, high: __m128i
    @inline(__always) init(_ low: Int32, _ high: Int32) {
      self.low = qk128_set1_8(Int8(truncatingIfNeeded: low))
      self.high = qk128_set1_8(Int8(truncatingIfNeeded: high))
    }
  }

  @inline(__always) static func store(_ a: Lanes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    store(qk256_saturate8(a.low, a.high), clamp, p, left)
  }
  @inline(__always) static func store(_ a: Bytes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    let clamped = qk128_clamp8(a, clamp.low, clamp.high)
    if left >= 16 { qk128_store(p, clamped) } else { qk128_store_first(p, clamped, Int32(truncatingIfNeeded: left)) }
  }
  @inline(__always) static func store32(_ a: Lanes, _ p: UnsafeMutablePointer<Int32>, _ left: Int) {
    if left >= 16 {
      qk256_store(p, a.low)
      qk256_store(p + 8, a.high)
    } else {
      qk256_store_first32(p, a.low, Int32(truncatingIfNeeded: min(left, 8)))
      qk256_store_first32(p + 8, a.high, Int32(truncatingIfNeeded: max(left &- 8, 0)))
    }
  }

  /// The requantization of one channel block.
  struct Requantizer {
    let multiplier: Lanes, left: Lanes, rounds: Lanes, right: Lanes
    let zeroPoint: Lanes
    let clamp: Clamp
    let low: Lanes, high: Lanes

    @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
      let shift = Lanes(loading: q.shift + channel)
      multiplier = Lanes(loading: q.multiplier + channel)
      let zero = qk256_set1(0)
      left = Lanes(qk256_max(shift.low, zero), qk256_max(shift.high, zero))
      let distance = difference(left, shift)
      rounds = Lanes(qk256_min(distance.low, qk256_set1(1)), qk256_min(distance.high, qk256_set1(1)))
      right = difference(distance, rounds)
      zeroPoint = broadcast(q.outputZeroPoint)
      clamp = Clamp(q.outputMin, q.outputMax)
      low = broadcast(q.outputMin)
      high = broadcast(q.outputMax)
    }

    @inline(__always) private func half(
      _ a: __m256i, _ multiplier: __m256i, _ left: __m256i, _ rounds: __m256i, _ right: __m256i, _ zeroPoint: __m256i
    ) -> __m256i {
      let r = qk256_high_multiply(qk256_shift_left_each(a, left), multiplier, qk256_odd(multiplier))
      let biased = qk256_sub(r, qk256_and(qk256_negative(r), rounds))
      return qk256_add(
        qk256_shift_right_each(qk256_add(qk256_shift_right_each(biased, right), rounds), rounds), zeroPoint)
    }

    /// 16 outputs before the clamp; see the rounding divide above, which vanishes where `rounds` is 0.
    @inline(__always) func values(_ accumulator: Accumulator) -> Lanes {
      let a = Vec.total(accumulator)
      return Lanes(
        half(a.low, multiplier.low, left.low, rounds.low, right.low, zeroPoint.low),
        half(a.high, multiplier.high, left.high, rounds.high, right.high, zeroPoint.high))
    }

    /// Stores 16 int8 outputs.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer) {
      store8(accumulator, output, 16)
    }
    /// Stores the first `count` int8 outputs, 1...16.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      Vec.store(values(accumulator), clamp, output.assumingMemoryBound(to: Int8.self), count)
    }
    @inline(__always) private func words(_ accumulator: Accumulator) -> __m256i {
      let v = values(accumulator)
      return qk256_saturate16(
        qk256_max(qk256_min(v.low, high.low), low.low), qk256_max(qk256_min(v.high, high.high), low.high))
    }
    /// Stores 16 int16 outputs.
    @inline(__always) func store16(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer) {
      qk256_store(output, words(accumulator))
    }
    /// Stores the first `count` int16 outputs, 1...16.
    @inline(__always) func store16(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      qk256_store_first16(output, words(accumulator), Int32(truncatingIfNeeded: count))
    }
  }
}
