import QKernelsIntrinsics

// The matmul primitive of this set. A tile of MR output pixels x NB channel blocks stays in registers while the whole
// reduction passes by. What a dot product leaves of the processor is little, so requantization is kept short
// (BlockConstants), goes on between the dot products of the next tile where reductions are long (WaitingTile), and input
// that is copied anyway comes already flipped.

/// The constants of a channel block, computed once per column of blocks: 6 registers in memory.
///
/// Sums carry 2^31 on top, so that they are unsigned: u = a + 2^31. With M = 2m, u · M + 2^31 − (m + 1) · 2^32 has the high
/// multiply of a and m, less 1, in its upper half; even and odd lanes are computed apart and need no shift to be joined.
private struct BlockConstants {
  static var byteCount: Int { 384 }
  let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// The start value of the sums: bias less 128 times the sum of the weights, plus 2^31.
  @inline(__always) var start: __m512i { qk512_load(memory) }
  @inline(__always) var doubled: __m512i { qk512_load(memory + 64) }
  @inline(__always) var doubledOdd: __m512i { qk512_load(memory + 128) }
  @inline(__always) var nudge: __m512i { qk512_load(memory + 192) }
  @inline(__always) var nudgeOdd: __m512i { qk512_load(memory + 256) }
  /// The right shift less one: −1 − shift.
  @inline(__always) var right: __m512i { qk512_load(memory + 320) }

  /// Fills the memory for channels `channel ..< channel + 16`; returns lanes that are not 0 where the scale does not shift
  /// right. A multiplier of 0 gives 0 whatever the shift.
  @inline(__always) func fill(_ q: qk_channel_quantization, _ channel: Int) -> __m512i {
    let top = qk512_set1(Int32.min)
    let sums = qk512_sub(qk512_load(q.bias + channel), qk512_shift_left(qk512_load(q.weightSums + channel), 7))
    qk512_store(memory, qk512_xor(sums, top))
    let multiplier = qk512_load(q.multiplier + channel)
    let doubled = qk512_add(multiplier, multiplier)
    qk512_store(memory + 64, doubled)
    qk512_store(memory + 128, qk512_odd(doubled))
    let less = qk512_complement(multiplier)
    qk512_store(memory + 192, qk512_even_up(less, top))
    qk512_store(memory + 256, qk512_odd_up(less, top))
    let shift = qk512_load(q.shift + channel)
    qk512_store(memory + 320, qk512_complement(shift))
    return qk512_not_right(shift, multiplier)
  }

  /// The high multiply, less 1 where it is negative.
  @inline(__always) func product(_ sums: __m512i) -> __m512i {
    let even = qk512_add64(qk512_multiply_unsigned(sums, doubled), nudge)
    let odd = qk512_add64(qk512_multiply_unsigned(qk512_odd(sums), doubledOdd), nudgeOdd)
    return qk512_sub(qk512_join_upper(even, odd), qk512_sign(sums))
  }

  /// 16 outputs times 2, rounded down, before zero point and clamp, of a block whose lanes all shift right: the divide by
  /// 2^e is ((x >> (e − 1)) + 1) >> 1.
  @inline(__always) func doubleScaled(_ sums: __m512i) -> __m512i {
    qk512_shift_right_each(product(sums), right)
  }

  /// 16 outputs before zero point and clamp; see Vec.Requantizer.
  @inline(__always) func scaled(_ sums: __m512i) -> __m512i {
    let shift = qk512_complement(right)
    let left = qk512_max(shift, qk512_zero())
    let distance = qk512_max(qk512_sub(qk512_zero(), shift), qk512_zero())
    let rounds = qk512_min(distance, qk512_set1(1))
    let top = qk512_set1(Int32.min)
    let shifted = qk512_xor(qk512_shift_left_each(qk512_xor(sums, top), left), top)
    let r = product(shifted)
    // Without a right shift negative products are not less by 1.
    let excess = qk512_and(qk512_complement(qk512_sign(shifted)), qk512_sub(rounds, qk512_set1(1)))
    let biased = qk512_sub(r, excess)
    return qk512_shift_right_each(
      qk512_add(qk512_shift_right_each(biased, qk512_sub(distance, rounds)), rounds), rounds)
  }
}

/// Blocks that are computed together.
private struct Column {
  var block: Int
  /// The constants of the blocks.
  let constants: UnsafeMutableRawPointer
  /// Room for the sums of a tile that is not finished in registers.
  let sums: UnsafeMutableRawPointer
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

/// The arguments of a call.
private struct MatmulLoop {
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

  @inline(__always) init(_ args: qk_matmul_args, outputBytes: Int) {
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
  func finishQuad<let NB: Int>(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ column: Column, _ result: UnsafeMutableRawPointer,
    _ nb: InlineArray<NB, Void>
  ) {
    storeQuad(
      scaled(a, column, 0, nb), scaled(b, column, 1, nb), scaled(c, column, 2, nb), scaled(d, column, 3, nb), column,
      result, nb)
  }

  /// Register `index` of a quad, doubled.
  @inline(__always)
  func scaled<let NB: Int>(_ sums: __m512i, _ column: Column, _ index: Int, _: InlineArray<NB, Void>) -> __m512i {
    BlockConstants(column.constants + index % NB &* BlockConstants.byteCount).doubleScaled(sums)
  }

  /// Stores 4 registers of doubled outputs.
  @inline(__always)
  func storeQuad<let NB: Int>(
    _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ column: Column, _ result: UnsafeMutableRawPointer,
    _ nb: InlineArray<NB, Void>
  ) {
    // Saturation at 16 bits, here and below, cuts off what is beyond every int8 clamp.
    let z = qk512_set1_16(Int16(truncatingIfNeeded: 2 &* quantization.outputZeroPoint &+ 1))
    let ab = qk512_adds16(qk512_packs32(a, b), z)
    let cd = qk512_adds16(qk512_packs32(c, d), z)
    let bytes = qk512_clamp8(
      qk512_transpose4x4(qk512_packs16(qk512_shift_right16_by1(ab), qk512_shift_right16_by1(cd))),
      qk512_set1_8(Int8(truncatingIfNeeded: quantization.outputMin)),
      qk512_set1_8(Int8(truncatingIfNeeded: quantization.outputMax)))
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
  func finishAny(
    _ column: Column, _ result: UnsafeMutableRawPointer, _ pixels: Int, _ blocks: Int
  ) {
    let zero = qk512_set1(quantization.outputZeroPoint)
    let low = qk512_set1(quantization.outputMin), high = qk512_set1(quantization.outputMax)
    for n in 0..<blocks {
      let constants = BlockConstants(column.constants + n &* BlockConstants.byteCount)
      let count = Int32(truncatingIfNeeded: min(column.channelCount &- 16 &* n, 16))
      var place = result + 16 &* n &* outputBytes
      for m in 0..<pixels {
        let scaled = constants.scaled(qk512_load(column.sums + (m &* blocks &+ n) &* 64))
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
  func tile<let MR: Int, let NB: Int>(
    _ column: Column, _ pixel: Int, _ mr: InlineArray<MR, Void>, _ nb: InlineArray<NB, Void>
  ) {
    var sums = InlineArray<MR, InlineArray<NB, __m512i>>(
      repeating: InlineArray<NB, __m512i>(repeating: qk512_zero()))
    for n in 0..<NB {
      let start = BlockConstants(column.constants + n &* BlockConstants.byteCount).start
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
    let result = output + (pixel &* outputStride &+ column.block &* 16 &* outputBytes)
    if outputBytes == 1, column.isPlain, MR &* NB >= 4 {
      if NB == 4 {
        finishQuad(sums[0][0], sums[0][1], sums[0][2], sums[0][3], column, result, nb)
        if MR > 1 { finishQuad(sums[1][0], sums[1][1], sums[1][2], sums[1][3], column, result + outputStride, nb) }
        if MR > 2 { finishQuad(sums[2][0], sums[2][1], sums[2][2], sums[2][3], column, result + 2 &* outputStride, nb) }
        if MR > 3 { finishQuad(sums[3][0], sums[3][1], sums[3][2], sums[3][3], column, result + 3 &* outputStride, nb) }
        if MR > 4 { finishQuad(sums[4][0], sums[4][1], sums[4][2], sums[4][3], column, result + 4 &* outputStride, nb) }
      } else if NB == 2 {
        finishQuad(sums[0][0], sums[0][1], sums[1][0], sums[1][1], column, result, nb)
        if MR > 2 {
          finishQuad(sums[2][0], sums[2][1], sums[3][0], sums[3][1], column, result + 2 &* outputStride, nb)
        }
        if MR > 4 {
          finishQuad(sums[4][0], sums[4][1], sums[5][0], sums[5][1], column, result + 4 &* outputStride, nb)
        }
        if MR > 6 {
          finishQuad(sums[6][0], sums[6][1], sums[7][0], sums[7][1], column, result + 6 &* outputStride, nb)
        }
      } else {
        finishQuad(sums[0][0], sums[1][0], sums[2][0], sums[3][0], column, result, nb)
      }
      return
    }
    for m in 0..<MR {
      for n in 0..<NB { qk512_store(column.sums + (m &* NB &+ n) &* 64, sums[m][n]) }
    }
    finishAny(column, result, MR, NB)
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
  func tile<let MR: Int, let NB: Int>(
    _ column: Column, _ pixel: Int, _ waiting: inout WaitingTile, _ mr: InlineArray<MR, Void>,
    _ nb: InlineArray<NB, Void>
  ) {
    var sums = InlineArray<MR, InlineArray<NB, __m512i>>(
      repeating: InlineArray<NB, __m512i>(repeating: qk512_zero()))
    for n in 0..<NB {
      let start = BlockConstants(column.constants + n &* BlockConstants.byteCount).start
      for m in 0..<MR { sums[m][n] = start }
    }
    var w = weights + column.block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left >= 4, waiting.quadCount > 0 {
        add(&sums, &x, &w)
        let a = qk512_here(scaled(qk512_load(waiting.sums), column, 0, nb))
        add(&sums, &x, &w)
        let b = qk512_here(scaled(qk512_load(waiting.sums + 64), column, 1, nb))
        add(&sums, &x, &w)
        let c = qk512_here(scaled(qk512_load(waiting.sums + 128), column, 2, nb))
        add(&sums, &x, &w)
        let d = qk512_here(scaled(qk512_load(waiting.sums + 192), column, 3, nb))
        storeQuad(a, b, c, d, column, waiting.output, nb)
        waiting.advance(by: outputStride &* (4 / NB))
        left &-= 4
      }
      while left > 0 {
        add(&sums, &x, &w)
        left &-= 1
      }
      row &+= 1
    }
    finish(&waiting, column, nb)
    for m in 0..<MR {
      for n in 0..<NB { qk512_store(column.sums + (m &* NB &+ n) &* 64, sums[m][n]) }
    }
    waiting = WaitingTile(
      sums: column.sums, quadCount: MR &* NB / 4, output: output + (pixel &* outputStride &+ column.block &* 16))
  }

  /// Requantizes the tile that waits.
  @inline(__always)
  func finish<let NB: Int>(_ waiting: inout WaitingTile, _ column: Column, _ nb: InlineArray<NB, Void>) {
    while waiting.quadCount > 0 {
      let s = waiting.sums
      finishQuad(
        qk512_load(s), qk512_load(s + 64), qk512_load(s + 128), qk512_load(s + 192), column, waiting.output, nb)
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
  func tile<let NB: Int>(_ column: Column, _ pixel: Int, _ nb: InlineArray<NB, Void>) {
    var sums = InlineArray<4, __m512i>(repeating: qk512_zero())
    for n in 0..<NB { sums[n] = BlockConstants(column.constants + n &* BlockConstants.byteCount).start }
    addProducts(&sums, column.block, pixel, nb)
    let result = output + (pixel &* outputStride &+ column.block &* 16 &* outputBytes)
    if NB == 4, outputBytes == 1, column.isPlain {
      finishQuad(sums[0], sums[1], sums[2], sums[3], column, result, nb)
      return
    }
    for n in 0..<NB { qk512_store(column.sums + n &* 64, sums[n]) }
    finishAny(column, result, 1, NB)
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
      block: first, constants: memory, sums: memory + 4 &* BlockConstants.byteCount,
      channelCount: channelCount &- 16 &* first, isPlain: false)
    while end &- column.block >= NB {
      var others = qk512_zero()
      for n in 0..<NB {
        let constants = BlockConstants(memory + n &* BlockConstants.byteCount)
        others = qk512_max(others, constants.fill(quantization, 16 &* (column.block &+ n)))
      }
      column.isPlain = qk512_all_zero(others) != 0
      var pixel = 0
      if pointerStride == 0 {
        if NB == 1, outputBytes == 1, column.isPlain {
          pixel = isFlipped ? fours(column, isFlipped: true) : fours(column, isFlipped: false)
        }
        if NB > 1, outputBytes == 1, column.isPlain, rowGroups >= 4, rowCount &* rowGroups >= 16 {
          var waiting = WaitingTile(sums: column.sums, output: output)
          while pixelCount &- pixel >= LONG, NB < 4 || pixelCount &- pixel != 5 {
            tile(column, pixel, &waiting, InlineArray<LONG, Void>(repeating: ()), nb)
            pixel &+= LONG
          }
          finish(&waiting, column, nb)
        }
        if NB == 4, outputBytes == 1, pixelCount &- pixel == 5 {
          tile(column, pixel, InlineArray<5, Void>(repeating: ()), nb)
          pixel &+= 5
        }
        while pixelCount &- pixel >= MR {
          tile(column, pixel, mr, nb)
          pixel &+= MR
        }
        if MR > 2, pixelCount &- pixel >= 2 {
          tile(column, pixel, InlineArray<2, Void>(repeating: ()), nb)
          pixel &+= 2
        }
      }
      while pixel < pixelCount {
        tile(column, pixel, nb)
        pixel &+= 1
      }
      column.block &+= NB
      column.channelCount &-= 16 &* NB
    }
    return column.block
  }
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
  mutating func add(_ x: UnsafePointer<Int8>, _ weights: __m512i, _ loop: MatmulLoop, isFlipped: Bool) {
    a = qk512_dpbusd(a, Self.input(x, loop, isFlipped), weights)
    b = qk512_dpbusd(b, Self.input(x + loop.pixelStride, loop, isFlipped), weights)
    c = qk512_dpbusd(c, Self.input(x + 2 &* loop.pixelStride, loop, isFlipped), weights)
    d = qk512_dpbusd(d, Self.input(x + 3 &* loop.pixelStride, loop, isFlipped), weights)
  }

  @inline(__always)
  private static func input(_ x: UnsafePointer<Int8>, _ loop: MatmulLoop, _ isFlipped: Bool) -> __m512i {
    isFlipped ? qk512_broadcast4(x) : qk512_flipped4(x, loop.flip)
  }
}

extension MatmulLoop {
  /// As many pixels of a plain column of one block as fit in tiles of 12, 8 and 4; returns their number. Input that is
  /// flipped spares half of the instructions beside the dot products, of which one block leaves many.
  @inline(__always)
  func fours(_ column: Column, isFlipped: Bool) -> Int {
    var pixel = 0
    while pixelCount &- pixel >= 12, pixelCount &- pixel != 16 {
      fours(column, pixel, 3, isFlipped: isFlipped)
      pixel &+= 12
    }
    while pixelCount &- pixel >= 8 {
      fours(column, pixel, 2, isFlipped: isFlipped)
      pixel &+= 8
    }
    if pixelCount &- pixel >= 4 {
      fours(column, pixel, 1, isFlipped: isFlipped)
      pixel &+= 4
    }
    return pixel
  }

  /// Pixels `pixel ..< pixel + 4 * count`.
  @inline(__always)
  private func fours(_ column: Column, _ pixel: Int, _ count: Int, isFlipped: Bool) {
    let start = BlockConstants(column.constants).start
    var s = FourSums(start), t = FourSums(start), u = FourSums(start)
    var w = weights + column.block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = rows[row].unsafelyUnwrapped + pixel &* pixelStride
      var left = rowGroups
      while left > 0 {
        let vector = qk512_load(w)
        s.add(x, vector, self, isFlipped: isFlipped)
        if count > 1 { t.add(x + 4 &* pixelStride, vector, self, isFlipped: isFlipped) }
        if count > 2 { u.add(x + 8 &* pixelStride, vector, self, isFlipped: isFlipped) }
        w += 64
        x += 4
        left &-= 1
      }
      row &+= 1
    }
    let result = output + (pixel &* outputStride &+ column.block &* 16)
    let one = InlineArray<1, Void>(repeating: ())
    finishQuad(s.a, s.b, s.c, s.d, column, result, one)
    if count > 1 { finishQuad(t.a, t.b, t.c, t.d, column, result + 4 &* outputStride, one) }
    if count > 2 { finishQuad(u.a, u.b, u.c, u.d, column, result + 8 &* outputStride, one) }
  }
}

/// The whole primitive: matmul (one output byte) or matmul16 (two) of more pixels than one.
@inline(__always)
func matmul(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  // 6 registers of constants for each of 4 blocks, 20 registers of sums.
  var buffer = InlineArray<44, __m512i>(repeating: qk512_any())
  withUnsafeMutablePointer(to: &buffer) { buffer in
    let memory = UnsafeMutableRawPointer(buffer)
    let loop = MatmulLoop(args.pointee, outputBytes: outputBytes)
    let end = (loop.channelCount &+ 15) / 16
    let one = InlineArray<1, Void>(repeating: ()), two = InlineArray<2, Void>(repeating: ())
    let four = InlineArray<4, Void>(repeating: ()), eight = InlineArray<8, Void>(repeating: ())
    var block = loop.columns(memory, 0, end, four, four, four)
    block = loop.columns(memory, block, end, eight, four, two)
    _ = loop.columns(memory, block, end, eight, four, one)
  }
}
