import QKernelsIntrinsics

// The matmul primitive of this set. A tile of MR output pixels x NB channel blocks stays in registers while the whole
// reduction passes by. What a dot product leaves of the processor is little, so requantization is kept short
// (Requantization), goes on between the dot products of the next tile where reductions are long (WaitingTile), and input
// that is copied anyway comes already flipped.

/// How sums become outputs. The constants of a channel block, computed once per column of blocks, are 7 registers in memory
/// at most; the first is the start value of the sums.
private protocol Requantization {
  /// Fills the constants of channels `channel ..< channel + 16`.
  static func fill(_ constants: UnsafeMutableRawPointer, _ q: qk_channel_quantization, _ channel: Int)
  /// 16 outputs in the form that `bytes` takes, of a block whose lanes all shift right.
  static func scaled(_ sums: __m512i, _ constants: UnsafeMutableRawPointer) -> __m512i
  /// The outputs of 4 registers, in order.
  static func bytes(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ q: qk_channel_quantization
  ) -> __m512i
  /// 16 outputs before zero point and clamp.
  static func any(_ sums: __m512i, _ constants: UnsafeMutableRawPointer) -> __m512i
}

/// Bytes of constants per block.
private var constantByteCount: Int { 448 }

/// Any scales and clamps.
///
/// Sums carry 2^31 on top, so that they are unsigned: u = a + 2^31. With M = 2m, u · M + 2^31 − (m + 1) · 2^32 has the high
/// multiply of a and m, less 1, in its upper half; even and odd lanes are computed apart and need no shift to be joined.
/// Behind the start value lie M for even and odd lanes, what is added for both, and −1 − shift: the right shift less one.
private enum General: Requantization {
  @inline(__always)
  static func fill(_ constants: UnsafeMutableRawPointer, _ q: qk_channel_quantization, _ channel: Int) {
    let top = qk512_set1(Int32.min)
    qk512_store(constants, qk512_xor(Vec.accumulator(q, channel), top))
    let multiplier = qk512_load(q.multiplier + channel)
    let doubled = qk512_add(multiplier, multiplier)
    qk512_store(constants + 64, doubled)
    qk512_store(constants + 128, qk512_odd(doubled))
    let less = qk512_complement(multiplier)
    qk512_store(constants + 192, qk512_even_up(less, top))
    qk512_store(constants + 256, qk512_odd_up(less, top))
    qk512_store(constants + 320, qk512_complement(qk512_load(q.shift + channel)))
  }

  /// The high multiply, less 1 where it is negative.
  @inline(__always) private static func product(_ sums: __m512i, _ c: UnsafeMutableRawPointer) -> __m512i {
    let even = qk512_add64(qk512_multiply_unsigned(sums, qk512_load(c + 64)), qk512_load(c + 192))
    let odd = qk512_add64(qk512_multiply_unsigned(qk512_odd(sums), qk512_load(c + 128)), qk512_load(c + 256))
    return qk512_sub(qk512_join_upper(even, odd), qk512_sign(sums))
  }

  /// Twice the output, rounded down: the divide by 2^e is ((x >> (e − 1)) + 1) >> 1.
  @inline(__always) static func scaled(_ sums: __m512i, _ constants: UnsafeMutableRawPointer) -> __m512i {
    qk512_shift_right_each(product(sums, constants), qk512_load(constants + 320))
  }

  @inline(__always)
  static func bytes(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ q: qk_channel_quantization
  ) -> __m512i {
    // Saturation at 16 bits, here and below, cuts off what is beyond every int8 clamp.
    let z = qk512_set1_16(Int16(truncatingIfNeeded: 2 &* q.outputZeroPoint &+ 1))
    let ab = qk512_adds16(qk512_packs32(a, b), z)
    let cd = qk512_adds16(qk512_packs32(c, d), z)
    return qk512_clamp8(
      qk512_transpose4x4(qk512_packs16(qk512_shift_right16_by1(ab), qk512_shift_right16_by1(cd))),
      qk512_set1_8(Int8(truncatingIfNeeded: q.outputMin)), qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
  }

  /// See Vec.Requantizer.
  @inline(__always) static func any(_ sums: __m512i, _ constants: UnsafeMutableRawPointer) -> __m512i {
    let shift = qk512_complement(qk512_load(constants + 320))
    let left = qk512_max(shift, qk512_zero())
    let distance = qk512_max(qk512_sub(qk512_zero(), shift), qk512_zero())
    let rounds = qk512_min(distance, qk512_set1(1))
    let top = qk512_set1(Int32.min)
    let shifted = qk512_xor(qk512_shift_left_each(qk512_xor(sums, top), left), top)
    let r = product(shifted, constants)
    // Without a right shift negative products are not less by 1.
    let excess = qk512_and(qk512_complement(qk512_sign(shifted)), qk512_sub(rounds, qk512_set1(1)))
    let biased = qk512_sub(r, excess)
    return qk512_shift_right_each(
      qk512_add(qk512_shift_right_each(biased, qk512_sub(distance, rounds)), rounds), rounds)
  }
}

/// All scales shift right, and outputs are cut off at the zero point, as a fused ReLU does: the rounding of negative values
/// makes no difference; Rectified of depthwise3x3 says why (a·m + 2^30 + 2^(30+e)) >> (31 + e) is all. Behind the start
/// value lie the multipliers of even and odd lanes, what is added to their products, and the right shifts; odd lanes leave
/// the result in their upper half.
private enum Rectified: Requantization {
  @inline(__always)
  static func fill(_ constants: UnsafeMutableRawPointer, _ q: qk_channel_quantization, _ channel: Int) {
    qk512_store(constants, Vec.accumulator(q, channel))
    let multiplier = qk512_load(q.multiplier + channel)
    // Channels of multiplier 0 may have any shift: here one to the right.
    let distance = qk512_max(qk512_sub(qk512_zero(), qk512_load(q.shift + channel)), qk512_set1(1))
    let e = qk512_even_odd(distance, qk512_zero()), eOdd = qk512_odd(distance), half = qk512_set1_64(1 << 30)
    qk512_store(constants + 64, multiplier)
    qk512_store(constants + 128, qk512_odd(multiplier))
    qk512_store(constants + 192, qk512_add64(qk512_shift_left_each64(half, e), half))
    qk512_store(constants + 256, qk512_add64(qk512_shift_left_each64(half, eOdd), half))
    qk512_store(constants + 320, qk512_add64(e, qk512_set1_64(31)))
    qk512_store(constants + 384, qk512_add64(eOdd, qk512_set1_64(-1)))
  }

  @inline(__always) static func scaled(_ sums: __m512i, _ c: UnsafeMutableRawPointer) -> __m512i {
    let even = qk512_add64(qk512_mul_even(sums, qk512_load(c + 64)), qk512_load(c + 192))
    let odd = qk512_add64(qk512_mul_even(qk512_odd(sums), qk512_load(c + 128)), qk512_load(c + 256))
    return qk512_even_odd(
      qk512_shift_right_each64(even, qk512_load(c + 320)), qk512_shift_right_each64(odd, qk512_load(c + 384)))
  }

  @inline(__always)
  static func bytes(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ q: qk_channel_quantization
  ) -> __m512i {
    let above = qk512_transpose4x4(qk512_packus16(qk512_packs32(a, b), qk512_packs32(c, d)))
    let z = Int8(truncatingIfNeeded: q.outputZeroPoint)
    return qk512_add8(
      qk512_min_u8(above, qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax) &- z)), qk512_set1_8(z))
  }

  @inline(__always) static func any(_ sums: __m512i, _ constants: UnsafeMutableRawPointer) -> __m512i {
    scaled(sums, constants)
  }
}

/// Blocks that are computed together.
private struct Column {
  var block: Int
  /// The constants of the blocks.
  let constants: UnsafeMutableRawPointer
  /// Room for the sums of a tile that is not finished in registers.
  let sums: UnsafeMutableRawPointer
  /// Where the line's outputs of the first block go.
  var output: UnsafeMutableRawPointer
  /// Channels from the first block on.
  var channelCount: Int
  /// Whether all scales shift right.
  var isPlain: Bool
}

/// A tile whose sums wait in memory for their requantization: registers of 16 channels, those of a pixel side by side,
/// handled in quads of 4 registers.
private struct WaitingTile {
  var sums: UnsafeMutableRawPointer
  var quadCount = 0
  /// Where the next quad goes.
  var output: UnsafeMutableRawPointer

  /// Passes to the next quad, whose place is `distance` bytes on.
  @inline(__always) mutating func advance(by distance: Int) {
    sums += 256
    output += distance
    quadCount &-= 1
  }
}

/// Lines of pixels whose products use the same weights.
private protocol LineSource {
  var lineCount: Int { get }
  /// Begins with the first line.
  func begin()
  /// Sets the row pointers of a line; called for all of them, in order.
  func load(_ line: Int)
}

/// The pixels of a matrix product, whose row pointers are set.
private struct SingleLine: LineSource {
  @inline(__always) var lineCount: Int { 1 }
  @inline(__always) func begin() {}
  @inline(__always) func load(_: Int) {}
}

/// The rows of a convolution's output.
private struct OutputLines: LineSource {
  let lines: UnsafeMutablePointer<ImageLines>
  let lineCount: Int
  @inline(__always) func begin() { lines.pointee.begin() }
  @inline(__always) func load(_ line: Int) { lines.pointee.load(line) }
}

/// The arguments of a call.
private struct MatmulLoop<Source: LineSource> {
  let source: Source
  let rows: UnsafePointer<UnsafePointer<Int8>?>
  let pointerStride: Int
  let rowCount: Int
  let rowGroups: Int
  let pixelStride: Int
  let pixelCount: Int
  /// What makes the input unsigned: 0 if it is already.
  let flip: __m512i
  let isFlipped: Bool
  /// Bytes of packed weights per channel block.
  let blockBytes: Int
  let weights: UnsafePointer<Int8>
  let quantization: qk_channel_quantization
  let output: UnsafeMutableRawPointer
  /// Bytes.
  let outputStride: Int
  let channelCount: Int
  /// 1 or 2.
  let outputBytes: Int

  @inline(__always) init(_ args: qk_matmul_args, _ source: Source, outputBytes: Int) {
    self.source = source
    rows = args.rows
    pointerStride = Int(args.pointerStride)
    rowCount = Int(args.rowCount)
    rowGroups = Int(args.rowGroups)
    pixelStride = Int(args.pixelStride)
    pixelCount = Int(args.pixelCount)
    isFlipped = args.flipped != 0
    flip = qk512_set1(args.flipped != 0 ? 0 : Int32(bitPattern: 0x8080_8080))
    blockBytes = Int(args.rowCount) &* Int(args.rowGroups) &* 64
    weights = args.weights
    quantization = args.quantization
    output = args.output
    outputStride = Int(args.outputStride) &* outputBytes
    channelCount = Int(args.channelCount)
    self.outputBytes = outputBytes
  }

  /// Requantizes and stores 4 registers of a plain column of NB blocks, those of a pixel side by side.
  @inline(__always)
  func finishQuad<let NB: Int, Law: Requantization>(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ column: Column, _ result: UnsafeMutableRawPointer,
    _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    storeQuad(
      scaled(a, column, 0, nb, law), scaled(b, column, 1, nb, law), scaled(c, column, 2, nb, law),
      scaled(d, column, 3, nb, law), column, result, nb, law)
  }

  /// Register `index` of a quad.
  @inline(__always)
  func scaled<let NB: Int, Law: Requantization>(
    _ sums: __m512i, _ column: Column, _ index: Int, _: InlineArray<NB, Void>, _: Law.Type
  ) -> __m512i {
    Law.scaled(sums, column.constants + index % NB &* constantByteCount)
  }

  /// Stores the outputs of 4 registers.
  @inline(__always)
  func storeQuad<let NB: Int, Law: Requantization>(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ column: Column, _ result: UnsafeMutableRawPointer,
    _ nb: InlineArray<NB, Void>, _: Law.Type
  ) {
    let bytes = Law.bytes(a, b, c, d, quantization)
    if column.channelCount < 16 &* NB {
      if NB == 1, outputStride == 8, column.channelCount == 8 {
        qk512_store_half0(result, qk512_even64(bytes))
        return
      }
      storePart(result, qk512_quarter0(bytes), column, 0, nb)
      storePart(result, qk512_quarter1(bytes), column, 1, nb)
      storePart(result, qk512_quarter2(bytes), column, 2, nb)
      storePart(result, qk512_quarter3(bytes), column, 3, nb)
    } else if NB == 4 || outputStride == 16 &* NB {
      qk512_store(result, bytes)
    } else if NB == 2 {
      qk512_store_half0(result, bytes)
      qk512_store_half1(result + outputStride, bytes)
    } else {
      qk512_store_quarter0(result, bytes)
      qk512_store_quarter1(result + outputStride, bytes)
      qk512_store_quarter2(result + 2 &* outputStride, bytes)
      qk512_store_quarter3(result + 3 &* outputStride, bytes)
    }
  }

  /// Stores what exists of register `index` of a quad whose last block is not full.
  @inline(__always)
  private func storePart<let NB: Int>(
    _ result: UnsafeMutableRawPointer, _ bytes: __m128i, _ column: Column, _ index: Int, _: InlineArray<NB, Void>
  ) {
    let left = column.channelCount &- 16 &* (index % NB)
    qk128_store_first(
      result + (index / NB &* outputStride &+ 16 &* (index % NB)), bytes, Int32(truncatingIfNeeded: min(left, 16)))
  }

  /// Requantizes and stores the `pixels` x `blocks` registers of `column.sums`, whatever their scales.
  @inline(never)
  func finishAny<Law: Requantization>(
    _ column: Column, _ result: UnsafeMutableRawPointer, _ pixels: Int, _ blocks: Int, _: Law.Type
  ) {
    let zero = qk512_set1(quantization.outputZeroPoint)
    let low = qk512_set1(quantization.outputMin), high = qk512_set1(quantization.outputMax)
    for n in 0..<blocks {
      let count = Int32(truncatingIfNeeded: min(column.channelCount &- 16 &* n, 16))
      var place = result + 16 &* n &* outputBytes
      for m in 0..<pixels {
        let scaled = Law.any(
          qk512_load(column.sums + (m &* blocks &+ n) &* 64), column.constants + n &* constantByteCount)
        let values = qk512_max(qk512_min(qk512_add(scaled, zero), high), low)
        if outputBytes == 1 {
          qk128_store_first(place, qk512_saturate8(values), count)
        } else {
          qk256_store_first16(place, qk512_saturate16(values), count)
        }
        place += outputStride
      }
    }
  }

  /// Sums pixels `pixel ..< pixel + MR` of NB blocks.
  @inline(__always)
  func tile<let MR: Int, let NB: Int, Law: Requantization>(
    _ column: Column, _ pixel: Int, _ mr: InlineArray<MR, Void>, _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    var sums = InlineArray<MR, InlineArray<NB, __m512i>>(
      repeating: InlineArray<NB, __m512i>(repeating: qk512_zero()))
    for n in 0..<NB {
      let start = qk512_load(column.constants + n &* constantByteCount)
      for m in 0..<MR { sums[m][n] = start }
    }
    var w = weights + column.block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left > 0 {
        add(&sums, &x, &w)
        left &-= 1
      }
      row &+= 1
    }
    let result = column.output + pixel &* outputStride
    if outputBytes == 1, column.isPlain, MR &* NB >= 4 {
      if NB == 4 {
        finishQuad(sums[0][0], sums[0][1], sums[0][2], sums[0][3], column, result, nb, law)
        if MR > 1 { finishQuad(sums[1][0], sums[1][1], sums[1][2], sums[1][3], column, result + outputStride, nb, law) }
        if MR > 2 {
          finishQuad(sums[2][0], sums[2][1], sums[2][2], sums[2][3], column, result + 2 &* outputStride, nb, law)
        }
        if MR > 3 {
          finishQuad(sums[3][0], sums[3][1], sums[3][2], sums[3][3], column, result + 3 &* outputStride, nb, law)
        }
        if MR > 4 {
          finishQuad(sums[4][0], sums[4][1], sums[4][2], sums[4][3], column, result + 4 &* outputStride, nb, law)
        }
      } else if NB == 2 {
        finishQuad(sums[0][0], sums[0][1], sums[1][0], sums[1][1], column, result, nb, law)
        if MR > 2 {
          finishQuad(sums[2][0], sums[2][1], sums[3][0], sums[3][1], column, result + 2 &* outputStride, nb, law)
        }
        if MR > 4 {
          finishQuad(sums[4][0], sums[4][1], sums[5][0], sums[5][1], column, result + 4 &* outputStride, nb, law)
        }
        if MR > 6 {
          finishQuad(sums[6][0], sums[6][1], sums[7][0], sums[7][1], column, result + 6 &* outputStride, nb, law)
        }
      } else {
        finishQuad(sums[0][0], sums[1][0], sums[2][0], sums[3][0], column, result, nb, law)
      }
      return
    }
    for m in 0..<MR {
      for n in 0..<NB { qk512_store(column.sums + (m &* NB &+ n) &* 64, sums[m][n]) }
    }
    finishAny(column, result, MR, NB, law)
  }

  /// The products of one group.
  @inline(__always)
  func add<let MR: Int, let NB: Int>(
    _ sums: inout InlineArray<MR, InlineArray<NB, __m512i>>, _ x: inout UnsafePointer<Int8>,
    _ w: inout UnsafePointer<Int8>
  ) {
    var vectors = InlineArray<NB, __m512i>(repeating: qk512_zero())
    for n in 0..<NB { vectors[n] = qk512_load(w + n &* blockBytes) }
    for m in 0..<MR {
      let input = qk512_flipped4(x + m &* pixelStride, flip)
      for n in 0..<NB { sums[m][n] = qk512_dpbusd_here(sums[m][n], input, vectors[n]) }
    }
    w += 64
    x += 4
  }

  /// As `tile`, for a plain column, but requantizes the tile that waits, a register after each group, and leaves this one
  /// waiting.
  @inline(__always)
  func tile<let MR: Int, let NB: Int, Law: Requantization>(
    _ column: Column, _ pixel: Int, _ waiting: inout WaitingTile, _ mr: InlineArray<MR, Void>,
    _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    var sums = InlineArray<MR, InlineArray<NB, __m512i>>(
      repeating: InlineArray<NB, __m512i>(repeating: qk512_zero()))
    for n in 0..<NB {
      let start = qk512_load(column.constants + n &* constantByteCount)
      for m in 0..<MR { sums[m][n] = start }
    }
    var w = weights + column.block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left >= 4, waiting.quadCount > 0 {
        add(&sums, &x, &w)
        let a = qk512_here(scaled(qk512_load(waiting.sums), column, 0, nb, law))
        add(&sums, &x, &w)
        let b = qk512_here(scaled(qk512_load(waiting.sums + 64), column, 1, nb, law))
        add(&sums, &x, &w)
        let c = qk512_here(scaled(qk512_load(waiting.sums + 128), column, 2, nb, law))
        add(&sums, &x, &w)
        let d = qk512_here(scaled(qk512_load(waiting.sums + 192), column, 3, nb, law))
        storeQuad(a, b, c, d, column, waiting.output, nb, law)
        waiting.advance(by: outputStride &* (4 / NB))
        left &-= 4
      }
      while left > 0 {
        add(&sums, &x, &w)
        left &-= 1
      }
      row &+= 1
    }
    finish(&waiting, column, nb, law)
    for m in 0..<MR {
      for n in 0..<NB { qk512_store(column.sums + (m &* NB &+ n) &* 64, sums[m][n]) }
    }
    waiting = WaitingTile(
      sums: column.sums, quadCount: MR &* NB / 4, output: column.output + pixel &* outputStride)
  }

  /// Requantizes the tile that waits.
  @inline(__always)
  func finish<let NB: Int, Law: Requantization>(
    _ waiting: inout WaitingTile, _ column: Column, _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    while waiting.quadCount > 0 {
      let s = waiting.sums
      finishQuad(
        qk512_load(s), qk512_load(s + 64), qk512_load(s + 128), qk512_load(s + 192), column, waiting.output, nb, law)
      waiting.advance(by: outputStride &* (4 / NB))
    }
  }

  /// Adds the products of one pixel to the first NB sums. The reduction is spread over all 4, because each waits for its
  /// last product.
  @inline(__always)
  func addProducts<let NB: Int>(
    _ sums: inout InlineArray<4, __m512i>, _ block: Int, _ pixel: Int, _ nb: InlineArray<NB, Void>
  ) {
    var w = weights + block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[pixel &* pointerStride &+ row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left >= 4 / NB {
        for g in 0..<(4 / NB) {
          let input = qk512_flipped4(x + 4 &* g, flip)
          for n in 0..<NB {
            sums[g &* NB &+ n] = qk512_dpbusd(sums[g &* NB &+ n], input, qk512_load(w + (n &* blockBytes &+ 64 &* g)))
          }
        }
        w += 256 / NB
        x += 16 / NB
        left &-= 4 / NB
      }
      while left > 0 {
        let input = qk512_flipped4(x, flip)
        for n in 0..<NB { sums[n] = qk512_dpbusd(sums[n], input, qk512_load(w + n &* blockBytes)) }
        w += 64
        x += 4
        left &-= 1
      }
      row &+= 1
    }
    if NB == 1 { sums[0] = qk512_add(qk512_add(sums[0], sums[1]), qk512_add(sums[2], sums[3])) }
    if NB == 2 {
      sums[0] = qk512_add(sums[0], sums[2])
      sums[1] = qk512_add(sums[1], sums[3])
    }
  }

  /// One pixel.
  @inline(__always)
  func tile<let NB: Int, Law: Requantization>(
    _ column: Column, _ pixel: Int, _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    var sums = InlineArray<4, __m512i>(repeating: qk512_zero())
    for n in 0..<NB { sums[n] = qk512_load(column.constants + n &* constantByteCount) }
    addProducts(&sums, column.block, pixel, nb)
    let result = column.output + pixel &* outputStride
    if NB == 4, outputBytes == 1, column.isPlain {
      finishQuad(sums[0], sums[1], sums[2], sums[3], column, result, nb, law)
      return
    }
    for n in 0..<NB { qk512_store(column.sums + n &* 64, sums[n]) }
    finishAny(column, result, 1, NB, law)
  }

  /// All pixels of the blocks from `first` on, NB at a time while there are as many: LONG pixels in a tile of a long
  /// reduction, else MR, and what remains.
  /// Returns the first block that was not computed.
  @inline(__always)
  func columns<let LONG: Int, let MR: Int, let NB: Int>(
    _ memory: UnsafeMutableRawPointer, _ first: Int, _ end: Int, _ long: InlineArray<LONG, Void>,
    _ mr: InlineArray<MR, Void>, _ nb: InlineArray<NB, Void>
  ) -> Int {
    var column = Column(
      block: first, constants: memory, sums: memory + 4 &* constantByteCount,
      output: output, channelCount: channelCount &- 16 &* first, isPlain: false)
    while end &- column.block >= NB {
      var others = qk512_zero()
      for n in 0..<NB {
        let channel = 16 &* (column.block &+ n)
        let shift = qk512_load(quantization.shift + channel), multiplier = qk512_load(quantization.multiplier + channel)
        others = qk512_max(others, qk512_not_right(shift, multiplier))
      }
      column.isPlain = qk512_all_zero(others) != 0
      column.output = output + column.block &* 16 &* outputBytes
      if outputBytes == 1, column.isPlain, quantization.outputMin == quantization.outputZeroPoint {
        lines(column, long, mr, nb, Rectified.self)
      } else {
        lines(column, long, mr, nb, General.self)
      }
      column.block &+= NB
      column.channelCount &-= 16 &* NB
    }
    return column.block
  }

  /// All pixels of a column.
  @inline(never)
  private func lines<let LONG: Int, let MR: Int, let NB: Int, Law: Requantization>(
    _ first: Column, _ long: InlineArray<LONG, Void>, _ mr: InlineArray<MR, Void>, _ nb: InlineArray<NB, Void>,
    _ law: Law.Type
  ) {
    var column = first
    for n in 0..<NB {
      Law.fill(column.constants + n &* constantByteCount, quantization, 16 &* (column.block &+ n))
    }
    source.begin()
    var waiting = WaitingTile(sums: column.sums, output: output)
    var line = 0
    repeat {
      source.load(line)
      pixels(column, &waiting, long, mr, nb, law)
      column.output += pixelCount &* outputStride
      line &+= 1
    } while line < source.lineCount
    finish(&waiting, column, nb, law)
  }

  /// The pixels of a line.
  @inline(__always)
  private func pixels<let LONG: Int, let MR: Int, let NB: Int, Law: Requantization>(
    _ column: Column, _ waiting: inout WaitingTile, _ long: InlineArray<LONG, Void>, _ mr: InlineArray<MR, Void>,
    _ nb: InlineArray<NB, Void>, _ law: Law.Type
  ) {
    var pixel = 0
    if pointerStride == 0 {
      if NB == 1, outputBytes == 1, column.isPlain {
        pixel = isFlipped ? fours(column, FlippedInput.self, law) : fours(column, PlainInput.self, law)
      }
      if NB > 1, outputBytes == 1, column.isPlain, rowGroups >= 4, rowCount &* rowGroups >= 16 {
        while pixelCount &- pixel >= LONG, NB < 4 || pixelCount &- pixel != 5 {
          tile(column, pixel, &waiting, long, nb, law)
          pixel &+= LONG
        }
        // The other tiles may need its memory.
        if pixel < pixelCount { finish(&waiting, column, nb, law) }
      }
      if NB == 4, outputBytes == 1, pixelCount &- pixel == 5 {
        tile(column, pixel, InlineArray<5, Void>(repeating: ()), nb, law)
        pixel &+= 5
      }
      while pixelCount &- pixel >= MR {
        tile(column, pixel, mr, nb, law)
        pixel &+= MR
      }
      if MR > 2, pixelCount &- pixel >= 2 {
        tile(column, pixel, InlineArray<2, Void>(repeating: ()), nb, law)
        pixel &+= 2
      }
    }
    while pixel < pixelCount {
      tile(column, pixel, nb, law)
      pixel &+= 1
    }
  }
}

// What must be known when the inner loops are compiled is told by types: values do not reach functions that are not inlined.

/// How four bytes of input come to all lanes, unsigned.
private protocol TileInput {
  static func lanes(_ x: UnsafePointer<Int8>, _ flip: __m512i) -> __m512i
}

private enum PlainInput: TileInput {
  @inline(__always) static func lanes(_ x: UnsafePointer<Int8>, _ flip: __m512i) -> __m512i { qk512_flipped4(x, flip) }
}

private enum FlippedInput: TileInput {
  @inline(__always) static func lanes(_ x: UnsafePointer<Int8>, _: __m512i) -> __m512i { qk512_broadcast4(x) }
}

/// The sums of one block for four pixels.
private struct FourSums {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i

  @inline(__always) init(_ start: __m512i) {
    a = start
    b = start
    c = start
    d = start
  }

  @inline(__always)
  mutating func add<Input: TileInput>(
    _ x: UnsafePointer<Int8>, _ stride: Int, _ flip: __m512i, _ weights: __m512i, _: Input.Type
  ) {
    a = qk512_dpbusd(a, Input.lanes(x, flip), weights)
    b = qk512_dpbusd(b, Input.lanes(x + stride, flip), weights)
    c = qk512_dpbusd(c, Input.lanes(x + 2 &* stride, flip), weights)
    d = qk512_dpbusd(d, Input.lanes(x + 3 &* stride, flip), weights)
  }
}

extension MatmulLoop {
  /// As many pixels of a plain column of one block as fit in tiles of 12, 8 and 4; returns their number. Input that is
  /// flipped spares half of the instructions beside the dot products, of which one block leaves many.
  @inline(__always)
  func fours<Input: TileInput, Law: Requantization>(
    _ column: Column, _ input: Input.Type, _ law: Law.Type
  ) -> Int {
    var pixel = 0
    while pixelCount &- pixel >= 12, pixelCount &- pixel != 16 {
      fours(column, pixel, InlineArray<3, Void>(repeating: ()), input, law)
      pixel &+= 12
    }
    while pixelCount &- pixel >= 8 {
      fours(column, pixel, InlineArray<2, Void>(repeating: ()), input, law)
      pixel &+= 8
    }
    if pixelCount &- pixel >= 4 {
      fours(column, pixel, InlineArray<1, Void>(repeating: ()), input, law)
      pixel &+= 4
    }
    return pixel
  }

  /// Pixels `pixel ..< pixel + 4 * COUNT`.
  @inline(__always)
  private func fours<let COUNT: Int, Input: TileInput, Law: Requantization>(
    _ column: Column, _ pixel: Int, _: InlineArray<COUNT, Void>, _ input: Input.Type, _ law: Law.Type
  ) {
    let start = qk512_load(column.constants)
    var s = FourSums(start), t = FourSums(start), u = FourSums(start)
    var w = weights + column.block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left > 0 {
        let vector = qk512_load(w)
        s.add(x, pixelStride, flip, vector, input)
        if COUNT > 1 { t.add(x + 4 &* pixelStride, pixelStride, flip, vector, input) }
        if COUNT > 2 { u.add(x + 8 &* pixelStride, pixelStride, flip, vector, input) }
        w += 64
        x += 4
        left &-= 1
      }
      row &+= 1
    }
    let result = column.output + pixel &* outputStride
    let one = InlineArray<1, Void>(repeating: ())
    finishQuad(s.a, s.b, s.c, s.d, column, result, one, law)
    if COUNT > 1 { finishQuad(t.a, t.b, t.c, t.d, column, result + 4 &* outputStride, one, law) }
    if COUNT > 2 { finishQuad(u.a, u.b, u.c, u.d, column, result + 8 &* outputStride, one, law) }
  }
}

/// The whole primitive: matmul (one output byte) or matmul16 (two) of more pixels than one.
@inline(__always)
func matmul(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  MatmulLoop(args.pointee, SingleLine(), outputBytes: outputBytes).run()
}

/// The whole primitive.
func convolution(_ args: UnsafePointer<qk_convolution_args>) {
  let args = args.pointee
  var lines = ImageLines(args)
  let product = qk_matmul_args(
    rows: UnsafePointer(args.rows), pointerStride: 0, rowCount: args.kernelHeight,
    rowGroups: (args.kernelWidth &* args.channelCount &+ 3) / 4, pixelStride: args.strideWidth &* args.channelCount,
    pixelCount: args.outputWidth, flipped: args.ring == nil ? 0 : 1, weights: args.weights,
    quantization: args.quantization, output: args.output, outputStride: args.outputChannelCount,
    channelCount: args.outputChannelCount)
  withUnsafeMutablePointer(to: &lines) {
    MatmulLoop(product, OutputLines(lines: $0, lineCount: Int(args.outputHeight)), outputBytes: 1).run()
  }
}

extension MatmulLoop {
  /// 7 registers of constants for each of 4 blocks, 20 registers of sums.
  fileprivate typealias Memory = InlineArray<48, __m512i>
  fileprivate typealias One = InlineArray<1, Void>
  fileprivate typealias Two = InlineArray<2, Void>
  fileprivate typealias Four = InlineArray<4, Void>
  fileprivate typealias Eight = InlineArray<8, Void>
}

extension MatmulLoop {
  @inline(__always)
  fileprivate func run() {
    var buffer = Memory(repeating: qk512_any())
    withUnsafeMutablePointer(to: &buffer) { buffer in
      let memory = UnsafeMutableRawPointer(buffer)
      let end = (channelCount &+ 15) / 16
      let four = Four(repeating: ()), eight = Eight(repeating: ())
      var block = columns(memory, 0, end, four, four, four)
      block = columns(memory, block, end, eight, four, Two(repeating: ()))
      _ = columns(memory, block, end, eight, four, One(repeating: ()))
    }
  }
}
