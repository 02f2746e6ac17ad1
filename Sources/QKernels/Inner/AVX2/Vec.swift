import QKernelsIntrinsics

/// AVX2: bytes are sign-extended to 16 bits for `vpmaddwd`, which adds pairs; a channel block is four registers of
/// 4 channels x 2 partial sums. (`vpmaddubsw` saturates and can never be used.)
enum Vec {
  struct Accumulator {
    var a: __m256i, b: __m256i, c: __m256i, d: __m256i
  }
  struct Weights {
    var a: __m256i, b: __m256i, c: __m256i, d: __m256i
  }
  typealias Input = __m256i

  /// Tiles of 1 block x 2 pixels: 8 of 16 registers hold accumulators.
  typealias PairPixels = InlineArray<1, Void>
  typealias SinglePixels = InlineArray<2, Void>
  @inline(__always) static var hasBlockPairs: Bool { false }

  @inline(__always) static func zero() -> Accumulator {
    let z = qk256_set1(0)
    return Accumulator(a: z, b: z, c: z, d: z)
  }
  @inline(__always) static func zeroWeights() -> Weights {
    let z = qk256_set1(0)
    return Weights(a: z, b: z, c: z, d: z)
  }

  /// The biases of channels `channel ..< channel + 16`, each in the first of its two partial sums.
  @inline(__always) static func accumulator(_ q: qk_channel_quantization, _ channel: Int) -> Accumulator {
    let bias = q.bias + channel
    return Accumulator(
      a: qk256_spread32(bias), b: qk256_spread32(bias + 4), c: qk256_spread32(bias + 8), d: qk256_spread32(bias + 12))
  }

  static var accumulatorBytes: Int { 128 }
  @inline(__always) static func spill(_ v: Accumulator, _ p: UnsafeMutableRawPointer) {
    qk256_store(p, v.a)
    qk256_store(p + 32, v.b)
    qk256_store(p + 64, v.c)
    qk256_store(p + 96, v.d)
  }
  @inline(__always) static func reload(_ p: UnsafeMutableRawPointer) -> Accumulator {
    Accumulator(a: qk256_load(p), b: qk256_load(p + 32), c: qk256_load(p + 64), d: qk256_load(p + 96))
  }

  /// 16 channels x 4 weights, widened.
  @inline(__always) static func weights(_ p: UnsafePointer<Int8>) -> Weights {
    Weights(
      a: qk256_widen8to16(p), b: qk256_widen8to16(p + 16), c: qk256_widen8to16(p + 32), d: qk256_widen8to16(p + 48))
  }

  /// 4 input bytes for all channels, widened.
  @inline(__always) static func input(_ p: UnsafePointer<Int8>) -> Input { qk256_broadcast4to16(p) }

  @inline(__always) static func dot(_ s: Accumulator, _ input: Input, _ w: Weights) -> Accumulator {
    Accumulator(
      a: qk256_add(s.a, qk256_madd(input, w.a)), b: qk256_add(s.b, qk256_madd(input, w.b)),
      c: qk256_add(s.c, qk256_madd(input, w.c)), d: qk256_add(s.d, qk256_madd(input, w.d)))
  }

  /// 16 channels of four taps, widened.
  struct Interleaved {
    var a: __m256i, b: __m256i, c: __m256i, d: __m256i
  }
  @inline(__always) static func interleaved(
    _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, _ c: UnsafePointer<Int8>, _ d: UnsafePointer<Int8>
  ) -> Interleaved {
    let ab0 = qk128_unpack_low8(qk128_load(a), qk128_load(b)), ab1 = qk128_unpack_high8(qk128_load(a), qk128_load(b))
    let cd0 = qk128_unpack_low8(qk128_load(c), qk128_load(d)), cd1 = qk128_unpack_high8(qk128_load(c), qk128_load(d))
    return Interleaved(
      a: qk256_widen8to16v(qk128_unpack_low16(ab0, cd0)), b: qk256_widen8to16v(qk128_unpack_high16(ab0, cd0)),
      c: qk256_widen8to16v(qk128_unpack_low16(ab1, cd1)), d: qk256_widen8to16v(qk128_unpack_high16(ab1, cd1)))
  }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Interleaved, _ w: Weights) -> Accumulator {
    Accumulator(
      a: qk256_add(s.a, qk256_madd(x.a, w.a)), b: qk256_add(s.b, qk256_madd(x.b, w.b)),
      c: qk256_add(s.c, qk256_madd(x.c, w.c)), d: qk256_add(s.d, qk256_madd(x.d, w.d)))
  }

  /// The sums of the partial sums, in channel order.
  @inline(__always) static func total(_ s: Accumulator) -> Lanes256 {
    Lanes256(qk256_pair_sums(s.a, s.b), qk256_pair_sums(s.c, s.d))
  }
}
