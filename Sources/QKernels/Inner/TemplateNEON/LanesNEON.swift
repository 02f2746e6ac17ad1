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
  @inline(__always) init(loading p: UnsafeRawPointer) {
    self.init(qkn_load32(p), qkn_load32(p + 16), qkn_load32(p + 32), qkn_load32(p + 48))
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
  @inline(__always) init(_ v: qkn_bytes64) { self.init(v.a, v.b, v.c, v.d) }
}

extension Vec {
  typealias Lanes = LanesNEON
  typealias Bytes = int8x16_t

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
    let clamped = qkn_min8(qkn_max8(a, clamp.low), clamp.high)
    if left >= 16 { qkn_store8(p, clamped) } else { qkn_store8_first(p, clamped, left) }
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
  /// The requantization of one channel block.
  struct Requantizer {
    let multiplier: Lanes, shift: Lanes
    let zeroPoint: Int32
    let low: Int32, high: Int32

    @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
      multiplier = Lanes(loading: q.multiplier + channel)
      shift = Lanes(loading: q.shift + channel)
      zeroPoint = q.outputZeroPoint
      low = q.outputMin
      high = q.outputMax
    }

    /// The shortest way for the int8 outputs of a block.
    @inline(__always) static func path8(_ q: qk_channel_quantization, _ channel: Int) -> PathChoice {
      guard q.outputMin == -128, q.outputMax == 127, hasRightShifts(q, channel) else { return .general }
      return q.outputZeroPoint == -128 ? .rectified : .plain
    }
    /// The shortest way for int16 outputs.
    @inline(__always) static func path16(_ q: qk_channel_quantization, _ channel: Int) -> PathChoice {
      guard q.outputMin == -32768, q.outputMax == 32767, q.outputZeroPoint == 0, hasRightShifts(q, channel) else {
        return .general
      }
      return .plain
    }
    /// Whether every channel has a right shift; a multiplier of 0, as in the padding, gives 0 with any shift.
    @inline(__always) private static func hasRightShifts(_ q: qk_channel_quantization, _ channel: Int) -> Bool {
      let shift = Lanes(loading: q.shift + channel)
      if isNegative(shift) { return true }
      return isNegative(shift.with(Lanes(loading: q.multiplier + channel)) { qkn_negative_where_zero($0, $1) })
    }
    @inline(__always) private static func isNegative(_ s: Lanes) -> Bool {
      qkn_largest(qkn_max(qkn_max(s.a, s.b), qkn_max(s.c, s.d))) < 0
    }

    /// 16 outputs before zero point and clamp.
    @inline(__always) private func values<Path: RequantizationPath>(_ total: Lanes, _: Path.Type) -> Lanes {
      if Path.choice == .rectified {
        return total.with(multiplier) { qkn_high_multiply($0, $1) }.with(shift) { qkn_rounding_shift($0, $1) }
      }
      if Path.choice == .plain {
        return total.with(multiplier) { qkn_high_multiply($0, $1) }.with(shift) { qkn_divide_negative($0, $1) }
      }
      let zero = qkn_set1(0)
      return total.with(shift) { qkn_shift($0, qkn_max($1, zero)) }.with(multiplier) { qkn_high_multiply($0, $1) }
        .with(shift) { qkn_divide($0, qkn_min($1, zero)) }
    }

    /// 16 int8 outputs.
    @inline(__always) func bytes<Path: RequantizationPath>(_ total: Lanes, _: Path.Type) -> int8x16_t {
      let v = values(total, Path.self)
      if Path.choice == .rectified { return qkn_saturate_above_minus128(v.a, v.b, v.c, v.d) }
      // Saturation at 16 bits comes first: what it cuts off is beyond every int8 clamp.
      let z = qkn_set1_16(Int16(truncatingIfNeeded: zeroPoint))
      let words0 = qkn_saturating_add16(qkn_saturate16(v.a, v.b), z)
      let words1 = qkn_saturating_add16(qkn_saturate16(v.c, v.d), z)
      let bytes = qkn_saturate8(words0, words1)
      if Path.choice == .plain { return bytes }
      let clamp = Clamp(low, high)
      return qkn_min8(qkn_max8(bytes, clamp.low), clamp.high)
    }

    /// 16 int16 outputs; never rectified.
    @inline(__always)
    func words<Path: RequantizationPath>(_ total: Lanes, _: Path.Type) -> (int16x8_t, int16x8_t) {
      var v = values(total, Path.self)
      if Path.choice == .general {
        let z = qkn_set1(zeroPoint), lower = qkn_set1(low), upper = qkn_set1(high)
        v = v.map { qkn_max(qkn_min(qkn_add($0, z), upper), lower) }
      }
      return (qkn_saturate16(v.a, v.b), qkn_saturate16(v.c, v.d))
    }
  }
}

/// How the sums of a block become outputs.
enum PathChoice {
  /// Any shifts, any bounds.
  case general
  /// Every channel has a right shift, and the bounds are those of the type, as in most layers.
  case plain
  /// The same with the lowest value as zero point, as after a ReLU: what is negative becomes that value whichever way it
  /// is rounded, so that halves need no correction.
  case rectified
}

/// A choice as a type, for which code is compiled on its own.
protocol RequantizationPath {
  static var choice: PathChoice { get }
}
enum General: RequantizationPath {
  @inline(__always) static var choice: PathChoice { .general }
}
enum Plain: RequantizationPath {
  @inline(__always) static var choice: PathChoice { .plain }
}
enum Rectified: RequantizationPath {
  @inline(__always) static var choice: PathChoice { .rectified }
}
