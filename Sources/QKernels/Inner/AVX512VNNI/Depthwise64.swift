import QKernelsIntrinsics

// Depthwise over 64 channels at once. Whole registers of input are interleaved lane by lane, which leaves register j of a
// group with channels 16 · lane + 4j ..< 16 · lane + 4j + 4; weights and requantization are gathered in that order once
// per call, and two packs bring the results back to channel order. Half the shuffles of a block at a time.

/// Quarter `j` of four blocks: 4 words from each, 64 bytes apart.
@inline(__always)
private func quarters(_ p: UnsafePointer<Int32>, _ j: Int) -> __m512i {
  let q = p + 4 &* j
  return qk512_join4(qk128_load(q), qk128_load(q + 16), qk128_load(q + 32), qk128_load(q + 48))
}

/// The requantization of 64 channels in the interleaved order.
private struct Requantizer64 {
  struct Quarter {
    var multiplier: __m512i, multiplierOdd: __m512i, left: __m512i, rounds: __m512i, right: __m512i

    @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int, _ j: Int) {
      let shift = quarters(q.shift + channel, j)
      multiplier = quarters(q.multiplier + channel, j)
      multiplierOdd = qk512_odd(multiplier)
      left = qk512_max(shift, qk512_zero())
      let distance = qk512_max(qk512_sub(qk512_zero(), shift), qk512_zero())
      rounds = qk512_min(distance, qk512_set1(1))
      right = qk512_sub(distance, rounds)
    }

    /// See Vec.Requantizer.
    @inline(__always) func scaled(_ accumulator: __m512i, isPlain: Bool) -> __m512i {
      if isPlain {
        let r = qk512_high_multiply(accumulator, multiplier, multiplierOdd)
        return qk512_shift_right_by1(
          qk512_add(qk512_shift_right_each(qk512_add(r, qk512_sign(r)), right), qk512_set1(1)))
      }
      let r = qk512_high_multiply(qk512_shift_left_each(accumulator, left), multiplier, multiplierOdd)
      let biased = qk512_add(r, qk512_and(qk512_sign(r), qk512_sub(qk512_zero(), rounds)))
      return qk512_shift_right_each(qk512_add(qk512_shift_right_each(biased, right), rounds), rounds)
    }

    /// Whether every lane shifts right, and none left.
    @inline(__always) var isPlain: Bool { qk512_all_positive(rounds) != 0 }
  }

  var a: Quarter, b: Quarter, c: Quarter, d: Quarter
  var zeroPoint: __m512i, low: __m512i, high: __m512i

  @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
    a = Quarter(q, channel, 0)
    b = Quarter(q, channel, 1)
    c = Quarter(q, channel, 2)
    d = Quarter(q, channel, 3)
    zeroPoint = qk512_set1_16(Int16(truncatingIfNeeded: q.outputZeroPoint))
    low = qk512_set1_8(Int8(truncatingIfNeeded: q.outputMin))
    high = qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax))
  }

  @inline(__always) var isPlain: Bool { a.isPlain && b.isPlain && c.isPlain && d.isPlain }

  /// 64 outputs in channel order.
  @inline(__always)
  func bytes(_ x: __m512i, _ y: __m512i, _ z: __m512i, _ w: __m512i, isPlain: Bool) -> __m512i {
    let xy = qk512_packs32(a.scaled(x, isPlain: isPlain), b.scaled(y, isPlain: isPlain))
    let zw = qk512_packs32(c.scaled(z, isPlain: isPlain), d.scaled(w, isPlain: isPlain))
    return qk512_clamp8(qk512_packs16(qk512_adds16(xy, zeroPoint), qk512_adds16(zw, zeroPoint)), low, high)
  }
}

/// 64 channels of tap `t`, as unsigned bytes.
@inline(__always)
private func tap(_ list: UnsafePointer<UnsafePointer<Int8>?>, _ t: Int, _ offset: Int, _ flip: __m512i) -> __m512i {
  qk512_xor(qk512_load(list[t].unsafelyUnwrapped + offset), flip)
}

extension DepthwiseLoop {
  /// The start values of quarter `j`: the bias less 128 · Σ weights.
  @inline(__always)
  private func initial(_ q: qk_channel_quantization, _ channel: Int, _ j: Int) -> __m512i {
    qk512_sub(quarters(q.bias + channel, j), qk512_shift_left(quarters(q.weightSums + channel, j), 7))
  }

  /// Quarter `j` of the weights of tap group `group` in four blocks that lie `blockBytes` apart.
  @inline(__always)
  private func weights64(_ w: UnsafePointer<Int8>, _ group: Int, _ j: Int, _ blockBytes: Int) -> __m512i {
    let p = w + (64 &* group &+ 16 &* j)
    return qk512_join4(
      qk128_load(p), qk128_load(p + blockBytes), qk128_load(p + 2 &* blockBytes), qk128_load(p + 3 &* blockBytes))
  }

  /// All pixels of channels `channel ..< channel + 64`, for windows of 9 taps whose weights stay in registers.
  @inline(__always)
  func channels64x9(
    _ channel: Int, _ w: UnsafePointer<Int8>, _ q: qk_channel_quantization, _ output: UnsafeMutablePointer<Int8>
  ) {
    let requantizer = Requantizer64(q, channel)
    if requantizer.isPlain {
      channels64x9(channel, w, q, output, requantizer, isPlain: true)
    } else {
      channels64x9(channel, w, q, output, requantizer, isPlain: false)
    }
  }

  @inline(__always)
  private func channels64x9(
    _ channel: Int, _ w: UnsafePointer<Int8>, _ q: qk_channel_quantization, _ output: UnsafeMutablePointer<Int8>,
    _ requantizer: Requantizer64, isPlain: Bool
  ) {
    let flip = qk512_set1(Int32(bitPattern: 0x8080_8080))
    let start0 = initial(q, channel, 0), start1 = initial(q, channel, 1)
    let start2 = initial(q, channel, 2), start3 = initial(q, channel, 3)
    let w00 = weights64(w, 0, 0, 192), w01 = weights64(w, 0, 1, 192)
    let w02 = weights64(w, 0, 2, 192), w03 = weights64(w, 0, 3, 192)
    let w10 = weights64(w, 1, 0, 192), w11 = weights64(w, 1, 1, 192)
    let w12 = weights64(w, 1, 2, 192), w13 = weights64(w, 1, 3, 192)
    let w20 = weights64(w, 2, 0, 192), w21 = weights64(w, 2, 1, 192)
    let w22 = weights64(w, 2, 2, 192), w23 = weights64(w, 2, 3, 192)
    var list = taps
    var offset = channel
    var result = output + channel
    for _ in 0..<pixelCount {
      let a = tap(list, 0, offset, flip), b = tap(list, 1, offset, flip), c = tap(list, 2, offset, flip),
        d = tap(list, 3, offset, flip)
      let ab0 = qk512_unpack_low8(a, b), ab1 = qk512_unpack_high8(a, b)
      let cd0 = qk512_unpack_low8(c, d), cd1 = qk512_unpack_high8(c, d)
      var s0 = qk512_dpbusd(start0, qk512_unpack_low16(ab0, cd0), w00)
      var s1 = qk512_dpbusd(start1, qk512_unpack_high16(ab0, cd0), w01)
      var s2 = qk512_dpbusd(start2, qk512_unpack_low16(ab1, cd1), w02)
      var s3 = qk512_dpbusd(start3, qk512_unpack_high16(ab1, cd1), w03)
      let e = tap(list, 4, offset, flip), f = tap(list, 5, offset, flip), g = tap(list, 6, offset, flip),
        h = tap(list, 7, offset, flip)
      let ef0 = qk512_unpack_low8(e, f), ef1 = qk512_unpack_high8(e, f)
      let gh0 = qk512_unpack_low8(g, h), gh1 = qk512_unpack_high8(g, h)
      s0 = qk512_dpbusd(s0, qk512_unpack_low16(ef0, gh0), w10)
      s1 = qk512_dpbusd(s1, qk512_unpack_high16(ef0, gh0), w11)
      s2 = qk512_dpbusd(s2, qk512_unpack_low16(ef1, gh1), w12)
      s3 = qk512_dpbusd(s3, qk512_unpack_high16(ef1, gh1), w13)
      // The ninth tap stands in all four places: three of them have weight 0.
      let i = tap(list, 8, offset, flip)
      let i0 = qk512_unpack_low8(i, i), i1 = qk512_unpack_high8(i, i)
      s0 = qk512_dpbusd(s0, qk512_unpack_low16(i0, i0), w20)
      s1 = qk512_dpbusd(s1, qk512_unpack_high16(i0, i0), w21)
      s2 = qk512_dpbusd(s2, qk512_unpack_low16(i1, i1), w22)
      s3 = qk512_dpbusd(s3, qk512_unpack_high16(i1, i1), w23)
      qk512_store(result, requantizer.bytes(s0, s1, s2, s3, isPlain: isPlain))
      list += pointerStride
      offset &+= pixelStride
      result += outputStride
    }
  }
}

extension Vec {
  /// How many of the channels from `channel` on were computed 64 at a time: 0 where that does not apply.
  @inline(__always)
  static func depthwiseWide(
    _ loop: DepthwiseLoop, _ channel: Int, _ channels: Int, _ weights: UnsafePointer<Int8>,
    _ q: qk_channel_quantization,
    _ output: UnsafeMutablePointer<Int8>
  ) -> Int {
    guard loop.tapCount == 9, channels &- channel >= 64 else { return 0 }
    loop.channels64x9(channel, weights, q, output)
    return 64
  }
}
