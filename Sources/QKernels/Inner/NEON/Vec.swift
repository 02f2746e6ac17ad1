import QKernelsIntrinsics

/// NEON without dot product: bytes are multiplied to 16 bits, two products of 16 bits are summed (at most
/// 2 · 128 · 127 = 32,512: weights are never −128), and pairs are added to 32 bits; a channel block is eight registers of
/// 2 channels x 2 partial sums.
enum Vec {
  struct Accumulator {
    var low: LanesNEON, high: LanesNEON
  }
  struct StepWeights {
    var first: BytesNEON, second: BytesNEON
  }

  /// Tiles of 1 block x 2 pixels: 16 of 32 registers hold accumulators.
  @inline(__always) static var hasTallTiles: Bool { false }
  @inline(__always) static var stepsPerVector: Int { 2 }

  @inline(__always) static func zero() -> Accumulator {
    Accumulator(low: LanesNEON(repeating: 0), high: LanesNEON(repeating: 0))
  }
  /// The biases of 16 channels, each in the first of its two partial sums.
  @inline(__always) static func accumulator(_ bias: UnsafeRawPointer) -> Accumulator {
    let z = qkn_set1(0)
    let b = LanesNEON(loading: bias)
    return Accumulator(
      low: LanesNEON(qkn_spread_low(b.a, z), qkn_spread_high(b.a, z), qkn_spread_low(b.b, z), qkn_spread_high(b.b, z)),
      high: LanesNEON(qkn_spread_low(b.c, z), qkn_spread_high(b.c, z), qkn_spread_low(b.d, z), qkn_spread_high(b.d, z)))
  }
  /// The sums of the partial sums, in channel order.
  @inline(__always) static func total(_ s: Accumulator) -> LanesNEON {
    LanesNEON(
      qkn_pair_sums(s.low.a, s.low.b), qkn_pair_sums(s.low.c, s.low.d), qkn_pair_sums(s.high.a, s.high.b),
      qkn_pair_sums(s.high.c, s.high.d))
  }

  /// The weights of a step; moves on to the next.
  @inline(__always) static func stepWeights(_ p: inout UnsafePointer<Int8>) -> StepWeights {
    let first = BytesNEON(loading: p)
    let second = BytesNEON(loading: p + 64)
    p += 128
    return StepWeights(first: first, second: second)
  }
  @inline(__always) static func groupWeights(_ p: UnsafePointer<Int8>) -> BytesNEON { BytesNEON(loading: p) }
  /// Adds groups 2 · step and 2 · step + 1 of 16 input bytes.
  @inline(__always) static func dot(_ s: Accumulator, _ x: int8x16_t, _ w: StepWeights, step: Int) -> Accumulator {
    let p = step == 0 ? qkn_lane0(x) : qkn_lane2(x), q = step == 0 ? qkn_lane1(x) : qkn_lane3(x)
    let f = w.first, g = w.second
    return Accumulator(
      low: LanesNEON(
        qkn_add_pairs(s.low.a, qkn_mla_low8(qkn_mul_low8(p, f.a), q, g.a)),
        qkn_add_pairs(s.low.b, qkn_mla_high8(qkn_mul_high8(p, f.a), q, g.a)),
        qkn_add_pairs(s.low.c, qkn_mla_low8(qkn_mul_low8(p, f.b), q, g.b)),
        qkn_add_pairs(s.low.d, qkn_mla_high8(qkn_mul_high8(p, f.b), q, g.b))),
      high: LanesNEON(
        qkn_add_pairs(s.high.a, qkn_mla_low8(qkn_mul_low8(p, f.c), q, g.c)),
        qkn_add_pairs(s.high.b, qkn_mla_high8(qkn_mul_high8(p, f.c), q, g.c)),
        qkn_add_pairs(s.high.c, qkn_mla_low8(qkn_mul_low8(p, f.d), q, g.d)),
        qkn_add_pairs(s.high.d, qkn_mla_high8(qkn_mul_high8(p, f.d), q, g.d))))
  }
  /// Adds group `lane` of 16 input bytes.
  @inline(__always) static func dot(_ s: Accumulator, _ x: int8x16_t, _ w: BytesNEON, lane: Int) -> Accumulator {
    let p = lane == 0 ? qkn_lane0(x) : lane == 1 ? qkn_lane1(x) : lane == 2 ? qkn_lane2(x) : qkn_lane3(x)
    return Accumulator(
      low: LanesNEON(
        qkn_add_pairs(s.low.a, qkn_mul_low8(p, w.a)), qkn_add_pairs(s.low.b, qkn_mul_high8(p, w.a)),
        qkn_add_pairs(s.low.c, qkn_mul_low8(p, w.b)), qkn_add_pairs(s.low.d, qkn_mul_high8(p, w.b))),
      high: LanesNEON(
        qkn_add_pairs(s.high.a, qkn_mul_low8(p, w.c)), qkn_add_pairs(s.high.b, qkn_mul_high8(p, w.c)),
        qkn_add_pairs(s.high.c, qkn_mul_low8(p, w.d)), qkn_add_pairs(s.high.d, qkn_mul_high8(p, w.d))))
  }

  /// Four taps of 16 channels, one register per tap.
  @inline(__always) static func fourTaps(_ p: UnsafePointer<Int8>) -> BytesNEON { BytesNEON(qkn_load64_by_4(p)) }
  /// Adds four taps.
  @inline(__always)
  static func plus(
    _ s: LanesNEON, _ x: int8x16_t, _ y: int8x16_t, _ z: int8x16_t, _ t: int8x16_t, _ w: BytesNEON
  ) -> LanesNEON {
    let low0 = qkn_mla_low8(qkn_mul_low8(x, w.a), y, w.b), high0 = qkn_mla_high8(qkn_mul_high8(x, w.a), y, w.b)
    let low1 = qkn_mla_low8(qkn_mul_low8(z, w.c), t, w.d), high1 = qkn_mla_high8(qkn_mul_high8(z, w.c), t, w.d)
    return LanesNEON(
      qkn_add_low16(qkn_add_low16(s.a, low0), low1), qkn_add_high16(qkn_add_high16(s.b, low0), low1),
      qkn_add_low16(qkn_add_low16(s.c, high0), high1), qkn_add_high16(qkn_add_high16(s.d, high0), high1))
  }
}
