import QKernelsIntrinsics

/// NEON with the dot-product extension: a channel block is four registers of 4 accumulators; `sdot` by lane takes the
/// input of four groups from one register.
enum Vec {
  typealias Accumulator = LanesNEON
  typealias Input = int8x16_t

  /// Tiles of 1 block x 4 pixels: 16 of 32 registers hold accumulators.
  typealias QuadPixels = InlineArray<1, Void>
  typealias PairPixels = InlineArray<1, Void>
  typealias SinglePixels = InlineArray<4, Void>
  @inline(__always) static var hasPixelQuads: Bool { false }
  @inline(__always) static var hasBlockQuads: Bool { false }
  @inline(__always) static var hasBlockPairs: Bool { false }

  @inline(__always) static func zero() -> Accumulator { LanesNEON(repeating: 0) }
  @inline(__always) static func accumulator(_ q: qk_channel_quantization, _ channel: Int) -> Accumulator {
    LanesNEON(loading: q.bias + channel)
  }

  static var accumulatorBytes: Int { 64 }
  @inline(__always) static func spill(_ v: Accumulator, _ p: UnsafeMutableRawPointer) {
    qkn_store32(p, v.a)
    qkn_store32(p + 16, v.b)
    qkn_store32(p + 32, v.c)
    qkn_store32(p + 48, v.d)
  }
  @inline(__always) static func reload(_ p: UnsafeMutableRawPointer) -> Accumulator {
    LanesNEON(qkn_load32(p), qkn_load32(p + 16), qkn_load32(p + 32), qkn_load32(p + 48))
  }

  /// 4 input bytes for all channels.
  @inline(__always) static func input(_ p: UnsafePointer<Int8>) -> Input { qkn_broadcast4(p) }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Input, _ w: Weights) -> Accumulator {
    LanesNEON(qkn_dot(s.a, x, w.a), qkn_dot(s.b, x, w.b), qkn_dot(s.c, x, w.c), qkn_dot(s.d, x, w.d))
  }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Interleaved, _ w: Weights) -> Accumulator {
    LanesNEON(qkn_dot(s.a, x.a, w.a), qkn_dot(s.b, x.b, w.b), qkn_dot(s.c, x.c, w.c), qkn_dot(s.d, x.d, w.d))
  }

  @inline(__always) static var hasQuads: Bool { true }
  @inline(__always) static var stepsPerQuad: Int { 4 }
  typealias QuadInput = int8x16_t
  typealias QuadWeights = BytesNEON
  @inline(__always) static func zeroQuad() -> QuadInput { qkn_set1_8(0) }
  @inline(__always) static func zeroQuadWeights() -> QuadWeights { zeroWeights() }
  /// 16 input bytes: four groups.
  @inline(__always) static func quad(_ p: UnsafePointer<Int8>) -> QuadInput { qkn_load8(p) }
  @inline(__always) static func quadWeights(_ p: UnsafePointer<Int8>) -> QuadWeights { BytesNEON(loading: p) }
  /// Group `step` of a quad.
  @inline(__always) static func dot(_ s: Accumulator, _ x: QuadInput, _ w: QuadWeights, step: Int) -> Accumulator {
    switch step {
    case 0:
      LanesNEON(
        qkn_dot_lane0(s.a, w.a, x), qkn_dot_lane0(s.b, w.b, x), qkn_dot_lane0(s.c, w.c, x), qkn_dot_lane0(s.d, w.d, x))
    case 1:
      LanesNEON(
        qkn_dot_lane1(s.a, w.a, x), qkn_dot_lane1(s.b, w.b, x), qkn_dot_lane1(s.c, w.c, x), qkn_dot_lane1(s.d, w.d, x))
    case 2:
      LanesNEON(
        qkn_dot_lane2(s.a, w.a, x), qkn_dot_lane2(s.b, w.b, x), qkn_dot_lane2(s.c, w.c, x), qkn_dot_lane2(s.d, w.d, x))
    default:
      LanesNEON(
        qkn_dot_lane3(s.a, w.a, x), qkn_dot_lane3(s.b, w.b, x), qkn_dot_lane3(s.c, w.c, x), qkn_dot_lane3(s.d, w.d, x))
    }
  }

  @inline(__always) static func total(_ s: Accumulator) -> LanesNEON { s }
}
