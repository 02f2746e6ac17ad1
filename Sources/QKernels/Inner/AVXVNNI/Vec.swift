import QKernelsIntrinsics

/// AVX-VNNI: `vpdpbusd` on 256-bit registers; a channel block is two registers of 8 accumulators.
///
/// `vpdpbusd` multiplies unsigned by signed bytes: the input is flipped by 0x80 and the bias carries −128 · Σ weights.
enum Vec {
  typealias Accumulator = Lanes256
  typealias Weights = Lanes256
  typealias Input = __m256i
  typealias Interleaved = Lanes256

  /// Tiles of 2 blocks x 2 pixels and 1 x 4: 8 of 16 registers hold accumulators.
  typealias PairPixels = InlineArray<2, Void>
  typealias SinglePixels = InlineArray<4, Void>
  @inline(__always) static var hasBlockPairs: Bool { true }

  @inline(__always) static func zero() -> Accumulator { Lanes256(repeating: 0) }
  @inline(__always) static func zeroWeights() -> Weights { Lanes256(repeating: 0) }

  /// The start value of channels `channel ..< channel + 16`.
  @inline(__always) static func accumulator(_ q: qk_channel_quantization, _ channel: Int) -> Accumulator {
    let sums = Lanes256(loading: q.weightSums + channel), bias = Lanes256(loading: q.bias + channel)
    return Lanes256(
      qk256_sub(bias.low, qk256_shift_left(sums.low, 7)), qk256_sub(bias.high, qk256_shift_left(sums.high, 7)))
  }

  static var accumulatorBytes: Int { 64 }
  @inline(__always) static func spill(_ v: Accumulator, _ p: UnsafeMutableRawPointer) {
    qk256_store(p, v.low)
    qk256_store(p + 32, v.high)
  }
  @inline(__always) static func reload(_ p: UnsafeMutableRawPointer) -> Accumulator {
    Lanes256(qk256_load(p), qk256_load(p + 32))
  }

  /// 16 channels x 4 weights.
  @inline(__always) static func weights(_ p: UnsafePointer<Int8>) -> Weights {
    Lanes256(qk256_load(p), qk256_load(p + 32))
  }

  /// 4 input bytes for all channels.
  @inline(__always) static func input(_ p: UnsafePointer<Int8>) -> Input {
    qk256_xor(qk256_broadcast4(p), qk256_set1(Int32(bitPattern: 0x8080_8080)))
  }

  @inline(__always) static func dot(_ s: Accumulator, _ input: Input, _ w: Weights) -> Accumulator {
    Lanes256(qk256_dpbusd(s.low, input, w.low), qk256_dpbusd(s.high, input, w.high))
  }

  /// 16 channels of four taps, the taps of a channel side by side.
  @inline(__always) static func interleaved(
    _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, _ c: UnsafePointer<Int8>, _ d: UnsafePointer<Int8>
  ) -> Interleaved {
    let flip = qk256_set1(Int32(bitPattern: 0x8080_8080))
    let ab0 = qk128_unpack_low8(qk128_load(a), qk128_load(b)), ab1 = qk128_unpack_high8(qk128_load(a), qk128_load(b))
    let cd0 = qk128_unpack_low8(qk128_load(c), qk128_load(d)), cd1 = qk128_unpack_high8(qk128_load(c), qk128_load(d))
    return Lanes256(
      qk256_xor(qk256_join(qk128_unpack_low16(ab0, cd0), qk128_unpack_high16(ab0, cd0)), flip),
      qk256_xor(qk256_join(qk128_unpack_low16(ab1, cd1), qk128_unpack_high16(ab1, cd1)), flip))
  }
  @inline(__always) static func dot(_ s: Accumulator, _ x: Interleaved, _ w: Weights) -> Accumulator {
    Lanes256(qk256_dpbusd(s.low, x.low, w.low), qk256_dpbusd(s.high, x.high, w.high))
  }

  @inline(__always) static func total(_ s: Accumulator) -> Lanes256 { s }
}
