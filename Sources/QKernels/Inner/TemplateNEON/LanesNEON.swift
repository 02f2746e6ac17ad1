import QKernelsIntrinsics

// What the sets with 128-bit NEON registers share: 16 lanes of Int32 in four registers, and the requantization of a block.

/// 16 lanes of Int32.
struct LanesNEON {
  var a: int32x4_t, b: int32x4_t, c: int32x4_t, d: int32x4_t

  @inline(__always) init(_ a: int32x4_t, _ b: int32x4_t, _ c: int32x4_t, _ d: int32x4_t) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }
  @inline(__always) init(loading p: UnsafePointer<Int32>) {
    self.init(qkn_load32(p), qkn_load32(p + 4), qkn_load32(p + 8), qkn_load32(p + 12))
  }
  @inline(__always) init(repeating x: Int32) {
    let v = qkn_set1(x)
    self.init(v, v, v, v)
  }
  @inline(__always) func map(_ f: (int32x4_t) -> int32x4_t) -> LanesNEON { LanesNEON(f(a), f(b), f(c), f(d)) }
  @inline(__always) func with(_ o: LanesNEON, _ f: (int32x4_t, int32x4_t) -> int32x4_t) -> LanesNEON {
    LanesNEON(f(a, o.a), f(b, o.b), f(c, o.c), f(d, o.d))
  }
}

/// 64 bytes in four registers.
struct BytesNEON {
  var a: int8x16_t, b: int8x16_t, c: int8x16_t, d: int8x16_t
  @inline(__always) init(_ a: int8x16_t, _ b: int8x16_t, _ c: int8x16_t, _ d: int8x16_t) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }
  @inline(__always) init(loading p: UnsafePointer<Int8>) {
    self.init(qkn_load8(p), qkn_load8(p + 16), qkn_load8(p + 32), qkn_load8(p + 48))
  }
}

extension Vec {
  typealias Lanes = LanesNEON
  typealias Bytes = int8x16_t
  typealias Weights = BytesNEON
  typealias Interleaved = BytesNEON

  @inline(__always) static func zeroWeights() -> Weights {
    let z = qkn_set1_8(0)
    return BytesNEON(z, z, z, z)
  }
  /// 16 channels x 4 weights.
  @inline(__always) static func weights(_ p: UnsafePointer<Int8>) -> Weights { BytesNEON(loading: p) }

  /// 16 channels of four taps, the taps of a channel side by side.
  @inline(__always) static func interleaved(
    _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, _ c: UnsafePointer<Int8>, _ d: UnsafePointer<Int8>
  ) -> Interleaved {
    let x = qkn_load8(a), y = qkn_load8(b), z = qkn_load8(c), w = qkn_load8(d)
    let xy0 = qkn_zip_low8(x, y), xy1 = qkn_zip_high8(x, y), zw0 = qkn_zip_low8(z, w), zw1 = qkn_zip_high8(z, w)
    return BytesNEON(
      qkn_zip_low16(xy0, zw0), qkn_zip_high16(xy0, zw0), qkn_zip_low16(xy1, zw1), qkn_zip_high16(xy1, zw1))
  }

  @inline(__always) static func broadcast(_ x: Int32) -> Lanes { Lanes(repeating: x) }
  @inline(__always) static func sum(_ a: Lanes, _ b: Lanes) -> Lanes { a.with(b) { qkn_add($0, $1) } }
  @inline(__always) static func difference(_ a: Lanes, _ b: Lanes) -> Lanes { a.with(b) { qkn_sub($0, $1) } }
  @inline(__always) static func product(_ a: Lanes, _ b: Lanes) -> Lanes { a.with(b) { qkn_mul($0, $1) } }
  @inline(__always) static func shiftedLeft(_ a: Lanes, _ n: Int32) -> Lanes {
    let amount = qkn_set1(n)
    return a.map { qkn_shift($0, amount) }
  }
  @inline(__always) static func shiftedRight(_ a: Lanes, _ n: Int32) -> Lanes { shiftedLeft(a, 0 &- n) }
  @inline(__always) static func highMultiply(_ a: Lanes, _ multiplier: Lanes) -> Lanes {
    a.with(multiplier) { qkn_high_multiply($0, $1) }
  }
  @inline(__always) static func dividedByPowerOfTwo(_ r: Lanes, _ exponent: Int32) -> Lanes {
    if exponent == 0 { return r }
    let amount = qkn_set1(0 &- exponent)
    return r.map { qkn_divide($0, amount) }
  }

  /// `left` bytes, at least 1; reads 16, which the plan's slack allows.
  @inline(__always) static func bytes(_ p: UnsafePointer<Int8>, _ left: Int) -> Bytes { qkn_load8(p) }
  @inline(__always) static func widened(_ p: UnsafePointer<Int8>, _ left: Int) -> Lanes {
    let v = qkn_load8(p)
    return Lanes(qkn_widen0(v), qkn_widen1(v), qkn_widen2(v), qkn_widen3(v))
  }
  @inline(__always) static func larger(_ a: Bytes, _ b: Bytes) -> Bytes { qkn_max8(a, b) }

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
    let low: int8x16_t, high: int8x16_t
    @inline(__always) init(_ low: Int32, _ high: Int32) {
      self.low = qkn_set1_8(Int8(truncatingIfNeeded: low))
      self.high = qkn_set1_8(Int8(truncatingIfNeeded: high))
    }
  }
  @inline(__always) static func store(_ a: Lanes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    store(qkn_saturate8(qkn_saturate16(a.a, a.b), qkn_saturate16(a.c, a.d)), clamp, p, left)
  }
  @inline(__always) static func store(_ a: Bytes, _ clamp: Clamp, _ p: UnsafeMutablePointer<Int8>, _ left: Int) {
    var clamped = qkn_min8(qkn_max8(a, clamp.low), clamp.high)
    if left >= 16 { qkn_store8(p, clamped) } else { copyFirst(&clamped, UnsafeMutableRawPointer(p), left) }
  }
  @inline(__always) static func store32(_ a: Lanes, _ p: UnsafeMutablePointer<Int32>, _ left: Int) {
    if left >= 16 {
      storeAll32(a, p)
    } else {
      var all = InlineArray<16, Int32>(repeating: 0)
      withUnsafeMutablePointer(to: &all) {
        let words = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int32.self)
        storeAll32(a, words)
        for i in 0..<left { p[i] = words[i] }
      }
    }
  }
  @inline(__always) private static func storeAll32(_ a: Lanes, _ p: UnsafeMutablePointer<Int32>) {
    qkn_store32(p, a.a)
    qkn_store32(p + 4, a.b)
    qkn_store32(p + 8, a.c)
    qkn_store32(p + 12, a.d)
  }
  /// The first `count` bytes of a value.
  @inline(__always)
  static func copyFirst<Value>(_ value: inout Value, _ output: UnsafeMutableRawPointer, _ count: Int) {
    withUnsafeBytes(of: &value) { bytes in
      for i in 0..<count { output.storeBytes(of: bytes[i], toByteOffset: i, as: UInt8.self) }
    }
  }

  /// The requantization of one channel block.
  struct Requantizer {
    let multiplier: Lanes, left: Lanes, right: Lanes
    let zeroPoint: Int32
    let clamp: Clamp
    let low: Int32, high: Int32

    @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
      let shift = Lanes(loading: q.shift + channel), zero = qkn_set1(0)
      multiplier = Lanes(loading: q.multiplier + channel)
      left = shift.map { qkn_max($0, zero) }
      right = shift.map { qkn_min($0, zero) }
      zeroPoint = q.outputZeroPoint
      clamp = Clamp(q.outputMin, q.outputMax)
      low = q.outputMin
      high = q.outputMax
    }

    /// 16 outputs before zero point and clamp.
    @inline(__always) private func values(_ accumulator: Accumulator) -> Lanes {
      Vec.total(accumulator).with(left) { qkn_shift($0, $1) }.with(multiplier) { qkn_high_multiply($0, $1) }
        .with(right) { qkn_divide($0, $1) }
    }

    @inline(__always) private func bytes(_ accumulator: Accumulator) -> int8x16_t {
      // Saturation at 16 bits comes first: what it cuts off is beyond every int8 clamp.
      let v = values(accumulator), z = qkn_set1_16(Int16(truncatingIfNeeded: zeroPoint))
      let words0 = qkn_saturating_add16(qkn_saturate16(v.a, v.b), z)
      let words1 = qkn_saturating_add16(qkn_saturate16(v.c, v.d), z)
      return qkn_min8(qkn_max8(qkn_saturate8(words0, words1), clamp.low), clamp.high)
    }
    // Pixels are requantized one at a time here.
    @inline(__always) var isPlain: Bool { false }
    @inline(__always) func store8(
      _ a: Accumulator, _ b: Accumulator, _ c: Accumulator, _ d: Accumulator, _ output: UnsafeMutableRawPointer,
      _ stride: Int, isPlain: Bool
    ) {
      store8(a, output)
      store8(b, output + stride)
      store8(c, output + 2 &* stride)
      store8(d, output + 3 &* stride)
    }
    /// Stores 16 int8 outputs.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer) {
      qkn_store8(output, bytes(accumulator))
    }
    /// Stores the first `count` int8 outputs, 1...16.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      var result = bytes(accumulator)
      Vec.copyFirst(&result, output, count)
    }

    @inline(__always) private func words(_ accumulator: Accumulator) -> (int16x8_t, int16x8_t) {
      let z = qkn_set1(zeroPoint), lower = qkn_set1(low), upper = qkn_set1(high)
      let v = values(accumulator).map { qkn_max(qkn_min(qkn_add($0, z), upper), lower) }
      return (qkn_saturate16(v.a, v.b), qkn_saturate16(v.c, v.d))
    }
    /// Stores 16 int16 outputs.
    @inline(__always) func store16(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer) {
      let result = words(accumulator)
      qkn_store16(output, result.0)
      qkn_store16(output + 16, result.1)
    }
    /// Stores the first `count` int16 outputs, 1...16.
    @inline(__always) func store16(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      var result = words(accumulator)
      Vec.copyFirst(&result.0, output, 2 &* min(count, 8))
      if count > 8 { Vec.copyFirst(&result.1, output + 16, 2 &* (count &- 8)) }
    }
  }
}
