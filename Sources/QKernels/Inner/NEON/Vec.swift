import QKernelsIntrinsics

/// NEON without dot product: bytes are multiplied to 16 bits, two products of 16 bits are summed (at most
/// 2 · 128 · 127 = 32,512: weights are never −128), and pairs are added to 32 bits; a channel block is eight registers of
/// 2 channels x 2 partial sums.
enum Vec {
  struct Accumulator {
    var low: LanesNEON, high: LanesNEON
  }
  typealias Input = int8x16_t

  /// Tiles of 1 block x 2 pixels: 16 of 32 registers hold accumulators.
  typealias QuadPixels = InlineArray<1, Void>
  typealias PairPixels = InlineArray<1, Void>
  typealias SinglePixels = InlineArray<2, Void>
  @inline(__always) static var hasPixelQuads: Bool { false }
  @inline(__always) static var hasBlockQuads: Bool { false }
  @inline(__always) static var hasBlockPairs: Bool { false }

  @inline(__always) static func zero() -> Accumulator {
    Accumulator(low: LanesNEON(repeating: 0), high: LanesNEON(repeating: 0))
  }
  /// The biases of channels `channel ..< channel + 16`, each in the first of its two partial sums.
  @inline(__always) static func accumulator(_ q: qk_channel_quantization, _ channel: Int) -> Accumulator {
    let z = qkn_set1(0)
    let b = LanesNEON(loading: q.bias + channel)
    return Accumulator(
      low: LanesNEON(qkn_spread_low(b.a, z), qkn_spread_high(b.a, z), qkn_spread_low(b.b, z), qkn_spread_high(b.b, z)),
      high: LanesNEON(qkn_spread_low(b.c, z), qkn_spread_high(b.c, z), qkn_spread_low(b.d, z), qkn_spread_high(b.d, z)))
  }

  static var accumulatorBytes: Int { 128 }
  @inline(__always) static func spill(_ v: Accumulator, _ p: UnsafeMutableRawPointer) {
    spill(v.low, p)
    spill(v.high, p + 64)
  }
  @inline(__always) private static func spill(_ v: LanesNEON, _ p: UnsafeMutableRawPointer) {
    qkn_store32(p, v.a)
    qkn_store32(p + 16, v.b)
    qkn_store32(p + 32, v.c)
    qkn_store32(p + 48, v.d)
  }
  @inline(__always) static func reload(_ p: UnsafeMutableRawPointer) -> Accumulator {
    Accumulator(
      low: LanesNEON(qkn_load32(p), qkn_load32(p + 16), qkn_load32(p + 32), qkn_load32(p + 48)),
      high: LanesNEON(qkn_load32(p + 64), qkn_load32(p + 80), qkn_load32(p + 96), qkn_load32(p + 112)))
  }

  /// 4 input bytes for all channels.
  @inline(__always) static func input(_ p: UnsafePointer<Int8>) -> Input { qkn_broadcast4(p) }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Input, _ w: Weights) -> Accumulator {
    dot(s, BytesNEON(x, x, x, x), w)
  }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Interleaved, _ w: Weights) -> Accumulator {
    Accumulator(
      low: LanesNEON(
        qkn_add_pairs(s.low.a, qkn_mul_low8(x.a, w.a)), qkn_add_pairs(s.low.b, qkn_mul_high8(x.a, w.a)),
        qkn_add_pairs(s.low.c, qkn_mul_low8(x.b, w.b)), qkn_add_pairs(s.low.d, qkn_mul_high8(x.b, w.b))),
      high: LanesNEON(
        qkn_add_pairs(s.high.a, qkn_mul_low8(x.c, w.c)), qkn_add_pairs(s.high.b, qkn_mul_high8(x.c, w.c)),
        qkn_add_pairs(s.high.c, qkn_mul_low8(x.d, w.d)), qkn_add_pairs(s.high.d, qkn_mul_high8(x.d, w.d))))
  }

  @inline(__always) static var hasQuads: Bool { true }
  @inline(__always) static var stepsPerQuad: Int { 2 }
  typealias QuadInput = int8x16_t
  struct QuadWeights {
    var first: BytesNEON, second: BytesNEON
  }
  @inline(__always) static func zeroQuad() -> QuadInput { qkn_set1_8(0) }
  @inline(__always) static func zeroQuadWeights() -> QuadWeights {
    QuadWeights(first: zeroWeights(), second: zeroWeights())
  }
  /// 16 input bytes: four groups.
  @inline(__always) static func quad(_ p: UnsafePointer<Int8>) -> QuadInput { qkn_load8(p) }
  @inline(__always) static func quadWeights(_ p: UnsafePointer<Int8>) -> QuadWeights {
    QuadWeights(first: BytesNEON(loading: p), second: BytesNEON(loading: p + 64))
  }
  /// Groups 2 · step and 2 · step + 1 of a quad.
  @inline(__always) static func dot(_ s: Accumulator, _ x: QuadInput, _ w: QuadWeights, step: Int) -> Accumulator {
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

  /// The sums of the partial sums, in channel order.
  @inline(__always) static func total(_ s: Accumulator) -> LanesNEON {
    LanesNEON(
      qkn_pair_sums(s.low.a, s.low.b), qkn_pair_sums(s.low.c, s.low.d), qkn_pair_sums(s.high.a, s.high.b),
      qkn_pair_sums(s.high.c, s.high.d))
  }
}
