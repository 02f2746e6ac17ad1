import QKernelsIntrinsics

/// AVX-512 with VNNI and VBMI: a channel block is one register of 16 accumulators.
///
/// `vpdpbusd` multiplies unsigned by signed bytes: the input is flipped by 0x80 and the bias carries −128 · Σ weights.
enum Vec {
  typealias Accumulator = __m512i
  typealias Weights = __m512i
  typealias Input = __m512i
  typealias Interleaved = __m512i

  @inline(__always) static func zeroWeights() -> Weights { qk512_zero() }

  /// The start value of channels `channel ..< channel + 16`.
  @inline(__always) static func accumulator(_ q: qk_channel_quantization, _ channel: Int) -> Accumulator {
    qk512_sub(qk512_load(q.bias + channel), qk512_shift_left(qk512_load(q.weightSums + channel), 7))
  }

  /// 16 channels x 4 weights.
  @inline(__always) static func weights(_ p: UnsafePointer<Int8>) -> Weights { qk512_load(p) }

  /// 16 channels of four taps, the taps of a channel side by side.
  @inline(__always) static func interleaved(
    _ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>, _ c: UnsafePointer<Int8>, _ d: UnsafePointer<Int8>
  ) -> Input {
    let joined = qk512_join4(qk128_load(a), qk128_load(b), qk128_load(c), qk128_load(d))
    return qk512_xor(qk512_permute8(qk512_interleave_index(), joined), qk512_set1(Int32(bitPattern: 0x8080_8080)))
  }

  @inline(__always) static func dot(_ accumulator: Accumulator, _ input: Input, _ weights: Weights) -> Accumulator {
    qk512_dpbusd(accumulator, input, weights)
  }

  /// The requantization of one channel block.
  struct Requantizer {
    let multiplier: __m512i, multiplierOdd: __m512i
    let left: __m512i
    /// 1 in lanes that shift right, 0 in the others.
    let rounds: __m512i
    /// The right shift less one, at least 0.
    let right: __m512i
    let zeroPoint: __m512i
    let lowScalar: Int8, highScalar: Int8
    /// Whether every lane shifts right, and none left.
    let isPlain: Bool
    let low: __m128i, high: __m128i
    let low32: __m512i, high32: __m512i

    @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
      let shift = qk512_load(q.shift + channel)
      multiplier = qk512_load(q.multiplier + channel)
      multiplierOdd = qk512_odd(multiplier)
      left = qk512_max(shift, qk512_zero())
      let distance = qk512_max(qk512_sub(qk512_zero(), shift), qk512_zero())
      rounds = qk512_min(distance, qk512_set1(1))
      right = qk512_sub(distance, rounds)
      zeroPoint = qk512_set1(q.outputZeroPoint)
      lowScalar = Int8(truncatingIfNeeded: q.outputMin)
      highScalar = Int8(truncatingIfNeeded: q.outputMax)
      isPlain = qk512_all_positive(distance) != 0
      low32 = qk512_set1(q.outputMin)
      high32 = qk512_set1(q.outputMax)
      low = qk128_set1_8(Int8(truncatingIfNeeded: q.outputMin))
      high = qk128_set1_8(Int8(truncatingIfNeeded: q.outputMax))
    }

    /// 16 outputs before zero point and clamp. The divide by 2^e, e >= 1, is (((r − (r < 0)) >> (e − 1)) + 1) >> 1, which
    /// cannot overflow because the high multiply never gives the lowest or the highest Int32; for e = 0 every term
    /// vanishes. In plain blocks every lane shifts right, and none left.
    @inline(__always) func scaled(_ accumulator: Accumulator, isPlain: Bool) -> __m512i {
      if isPlain {
        let r = qk512_high_multiply(accumulator, multiplier, multiplierOdd)
        let biased = qk512_add(r, qk512_sign(r))
        return qk512_shift_right_by1(qk512_add(qk512_shift_right_each(biased, right), qk512_set1(1)))
      }
      let r = qk512_high_multiply(qk512_shift_left_each(accumulator, left), multiplier, multiplierOdd)
      let biased = qk512_add(r, qk512_and(qk512_sign(r), qk512_sub(qk512_zero(), rounds)))
      return qk512_shift_right_each(qk512_add(qk512_shift_right_each(biased, right), rounds), rounds)
    }

    /// 16 outputs before the clamp.
    @inline(__always) func values(_ accumulator: Accumulator) -> __m512i {
      qk512_add(scaled(accumulator, isPlain: false), zeroPoint)
    }

    @inline(__always) private func bytes(_ accumulator: Accumulator) -> __m128i {
      qk128_clamp8(qk512_saturate8(values(accumulator)), low, high)
    }

    /// Stores 16 int8 outputs.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer) {
      qk128_store(output, bytes(accumulator))
    }

    /// Stores the first `count` int8 outputs, 1...16.
    @inline(__always) func store8(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      qk128_store_first(output, bytes(accumulator), Int32(truncatingIfNeeded: count))
    }

    @inline(__always) private func words(_ accumulator: Accumulator) -> __m256i {
      qk512_saturate16(qk512_max(qk512_min(values(accumulator), high32), low32))
    }

    /// Stores the first `count` int16 outputs, 1...16.
    @inline(__always) func store16(_ accumulator: Accumulator, _ output: UnsafeMutableRawPointer, _ count: Int) {
      qk256_store_first16(output, words(accumulator), Int32(truncatingIfNeeded: count))
    }
  }
}
