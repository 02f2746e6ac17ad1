import QKernelsIntrinsics

/// NEON with the dot-product extension: a channel block is four registers of 4 accumulators; `sdot` by lane takes the
/// input of four groups from one register.
enum Vec {
  typealias Accumulator = LanesNEON

  /// Tiles of up to 1 block x 4 pixels: 16 of 32 registers hold accumulators.
  @inline(__always) static var hasTallTiles: Bool { true }
  @inline(__always) static var stepsPerVector: Int { 4 }

  @inline(__always) static func zero() -> Accumulator { LanesNEON(repeating: 0) }
  /// The biases of 16 channels.
  @inline(__always) static func accumulator(_ bias: UnsafeRawPointer) -> Accumulator { LanesNEON(loading: bias) }
  @inline(__always) static func total(_ s: Accumulator) -> LanesNEON { s }

  /// The weights of a step; moves on to the next.
  @inline(__always) static func stepWeights(_ p: inout UnsafePointer<Int8>) -> BytesNEON {
    let w = BytesNEON(qkn_load64(p))
    p = qkn_next64(p)
    return w
  }
  @inline(__always) static func groupWeights(_ p: UnsafePointer<Int8>) -> BytesNEON { BytesNEON(qkn_load64(p)) }
  /// Adds group `step` of 16 input bytes.
  @inline(__always) static func dot(_ s: Accumulator, _ x: int8x16_t, _ w: BytesNEON, step: Int) -> Accumulator {
    dot(s, x, w, lane: step)
  }
  /// Adds group `lane` of 16 input bytes.
  @inline(__always) static func dot(_ s: Accumulator, _ x: int8x16_t, _ w: BytesNEON, lane: Int) -> Accumulator {
    switch lane {
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

  /// Four taps of 16 channels, as packed: the taps of a channel side by side.
  @inline(__always) static func fourTaps(_ p: UnsafePointer<Int8>) -> BytesNEON { BytesNEON(loading: p) }
  /// Adds four taps.
  @inline(__always)
  static func plus(
    _ s: LanesNEON, _ x: int8x16_t, _ y: int8x16_t, _ z: int8x16_t, _ t: int8x16_t, _ w: BytesNEON
  ) -> LanesNEON {
    plus(s, sideBySide(x, y, z, t), w)
  }
  /// Four bytes of each of 16 channels, those of a channel side by side.
  @inline(__always)
  static func sideBySide(_ x: int8x16_t, _ y: int8x16_t, _ z: int8x16_t, _ t: int8x16_t) -> BytesNEON {
    let xy0 = qkn_zip_low8(x, y), xy1 = qkn_zip_high8(x, y), zt0 = qkn_zip_low8(z, t), zt1 = qkn_zip_high8(z, t)
    return BytesNEON(
      qkn_zip_low16(xy0, zt0), qkn_zip_high16(xy0, zt0), qkn_zip_low16(xy1, zt1), qkn_zip_high16(xy1, zt1))
  }
  /// Adds four products per channel.
  @inline(__always) static func plus(_ s: LanesNEON, _ x: BytesNEON, _ w: BytesNEON) -> LanesNEON {
    LanesNEON(qkn_dot(s.a, x.a, w.a), qkn_dot(s.b, x.b, w.b), qkn_dot(s.c, x.c, w.c), qkn_dot(s.d, x.d, w.d))
  }
}
