import QKernelsIntrinsics

// The winograd3x3 primitive of this set. Four tiles at a time: their input is transformed to int16; then, for one channel
// block after the other, the 36 products are summed over the input channels by vpdpwssd, six at a time, so that the
// transformation of the sums along the columns happens in registers. The transformation along the rows, requantization and
// storing wait until the next channel block: they fill what its products leave idle.

/// Six sums per lane multiplied by [1 -4 -4 1 1 0; 0 -2 2 1 -1 0; 0 -1 -1 1 1 0; 0 -1 1 2 -2 1]: 24, 12, 6 and 6 times the
/// outputs of a column or row.
private struct TransformedSums {
  let v0: __m512i, v1: __m512i, v2: __m512i, v3: __m512i

  @inline(__always)
  init(_ m0: __m512i, _ m1: __m512i, _ m2: __m512i, _ m3: __m512i, _ m4: __m512i, _ m5: __m512i) {
    let s12 = qk512_add(m1, m2), d12 = qk512_sub(m1, m2), s34 = qk512_add(m3, m4), d34 = qk512_sub(m3, m4)
    v0 = qk512_sub(qk512_add(m0, s34), qk512_shift_left_by2(s12))
    v1 = qk512_sub(d34, qk512_add(d12, d12))
    v2 = qk512_sub(s34, s12)
    v3 = qk512_add(qk512_sub(m5, d12), qk512_add(d34, d34))
  }
}

/// The constants of a channel block in memory.
private struct BlockConstants {
  static var byteCount: Int { 512 }
  let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// The start value of the products (1, 1): 36 times the bias comes out as 576, 288, ... times the bias everywhere.
  @inline(__always) var start: __m512i { qk512_load(memory) }
  @inline(__always) var multiplier: __m512i { qk512_load(memory + 64) }
  @inline(__always) var multiplierOdd: __m512i { qk512_load(memory + 128) }
  /// The right shift of sums that carry the factor 2^k, k in 2...6, to twice the output.
  @inline(__always) func right(_ k: Int) -> __m512i { qk512_load(memory + (64 &+ 64 &* k)) }

  /// Fills the memory for channels `channel ..< channel + 16`.
  @inline(__always) func fill(_ q: qk_channel_quantization, _ channel: Int) {
    qk512_store(memory, qk512_mul(qk512_load(q.bias + channel), qk512_set1(36)))
    let multiplier = qk512_load(q.multiplier + channel)
    qk512_store(memory + 64, multiplier)
    qk512_store(memory + 128, qk512_odd(multiplier))
    // Channels of multiplier 0 may have any shift.
    let shift = qk512_min(qk512_load(q.shift + channel), qk512_set1(-1))
    for k in 2...6 {
      qk512_store(memory + (64 &+ 64 &* k), qk512_sub(qk512_set1(Int32(truncatingIfNeeded: k &- 2)), shift))
    }
  }
}

/// The constants of the whole call in memory, where registers are short.
private struct CallConstants {
  static var byteCount: Int { 256 }
  let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// Twice the output zero point and 1 to round, in 16 bits.
  @inline(__always) var zeroPoint: __m512i { qk512_load(memory) }
  @inline(__always) var lowest: __m512i { qk512_load(memory + 64) }
  @inline(__always) var highest: __m512i { qk512_load(memory + 128) }
  /// 2^n in all lanes, n in 0...5.
  @inline(__always) func power(_ n: Int) -> __m512i { qk512_broadcast4(memory + (192 &+ 4 &* n)) }

  @inline(__always) func fill(_ q: qk_channel_quantization) {
    qk512_store(memory, qk512_set1_16(Int16(truncatingIfNeeded: 2 &* q.outputZeroPoint &+ 1)))
    qk512_store(memory + 64, qk512_set1_8(Int8(truncatingIfNeeded: q.outputMin)))
    qk512_store(memory + 128, qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
    for n in 0...5 { memory.storeBytes(of: Int32(1) &<< Int32(n), toByteOffset: 192 &+ 4 &* n, as: Int32.self) }
  }
}

/// The sums of one channel block for four tiles.
private struct FourSums {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i

  @inline(__always) init(_ start: __m512i) {
    a = start
    b = start
    c = start
    d = start
  }

  /// Adds the products of a pair of channels of the four tiles, which lie 32 bytes apart.
  @inline(__always) mutating func add(_ x: UnsafeRawPointer, _ weights: UnsafeRawPointer) {
    let w = qk512_load(weights)
    a = qk512_dpwssd_pair_here(a, x, w)
    b = qk512_dpwssd_pair_here(b, x + 32, w)
    c = qk512_dpwssd_pair_here(c, x + 64, w)
    d = qk512_dpwssd_pair_here(d, x + 96, w)
  }
}

/// Four tiles of one channel block whose outputs wait, and how far they are.
private struct WaitingTiles {
  /// The sums of the next row of outputs: [tile][output row][6][16] from there on.
  var sums: UnsafeRawPointer
  var constants: BlockConstants
  /// The next row of outputs, 4 to a tile; 16 when all are finished.
  var next = 16
  var tile = 0
  var block = 0
  /// Of the tile that is being finished: where the next row goes, and how much of it there is.
  var place: UnsafeMutableRawPointer
  var rows = 0
  var pixels = 0
}

/// One call.
private struct Winograd3x3 {
  let input: WinogradInput
  let outputHeight: Int
  let outputWidth: Int
  let weights: UnsafeRawPointer
  let quantization: qk_channel_quantization
  let output: UnsafeMutablePointer<Int8>
  let outputChannelCount: Int

  let sums: UnsafeMutableRawPointer
  let constants: UnsafeMutableRawPointer
  let callConstants: CallConstants

  init(_ args: qk_winograd3x3_args) {
    outputHeight = Int(args.outputHeight)
    outputWidth = Int(args.outputWidth)
    weights = UnsafeRawPointer(args.weights)
    quantization = args.quantization
    output = args.output
    outputChannelCount = Int(args.outputChannelCount)
    sums = args.scratch
    constants = sums + 2 &* 6144
    callConstants = CallConstants(constants + (outputChannelCount &+ 15) / 16 &* BlockConstants.byteCount)
    input = WinogradInput(args, callConstants.memory + CallConstants.byteCount)
  }

  func run() {
    callConstants.fill(quantization)
    let blocks = (outputChannelCount &+ 15) / 16
    for block in 0..<blocks {
      BlockConstants(constants + block &* BlockConstants.byteCount).fill(quantization, 16 &* block)
    }
    var waiting = WaitingTiles(
      sums: UnsafeRawPointer(sums), constants: BlockConstants(constants), place: UnsafeMutableRawPointer(output))
    var place = sums
    var first = 0
    while first < input.tileCount {
      input.transform(first)
      for block in 0..<blocks {
        multiply(first, block, &waiting, place)
        place = place == sums ? sums + 6144 : sums
      }
      first &+= 4
    }
    while waiting.next < 16 { finishRow(&waiting) }
  }

  /// The products of four tiles with one channel block, to `place`; finishes the tiles that wait and leaves these waiting.
  @inline(__always)
  func multiply(_ first: Int, _ block: Int, _ waiting: inout WaitingTiles, _ place: UnsafeMutableRawPointer) {
    let constants = BlockConstants(constants + block &* BlockConstants.byteCount)
    var w = weights + block &* 1152 &* input.channelCount
    var x = UnsafeRawPointer(input.tiles)
    for column in 0..<6 {
      multiply(&x, &w, column == 1 ? constants.start : qk512_zero(), place + 64 &* column, &waiting)
    }
    waiting = WaitingTiles(
      sums: UnsafeRawPointer(place), constants: constants, next: 0, tile: first, block: block, place: waiting.place)
  }

  /// The products of column `column` of four tiles with one channel block, transformed along the columns. What is left of
  /// the processor between them goes to the tiles that wait.
  @inline(never)
  private func multiply(
    _ x: inout UnsafeRawPointer, _ w: inout UnsafeRawPointer, _ start: __m512i, _ place: UnsafeMutableRawPointer,
    _ waiting: inout WaitingTiles
  ) {
    var s0 = FourSums(qk512_zero()), s1 = FourSums(start), s2 = FourSums(qk512_zero()), s3 = FourSums(qk512_zero())
    var s4 = FourSums(qk512_zero()), s5 = FourSums(qk512_zero())
    var step = 0
    while step < input.channelCount {
      var left = 4
      while left > 0 {
        s0.add(x, w)
        s1.add(x + 128, w + 64)
        s2.add(x + 256, w + 128)
        s3.add(x + 384, w + 192)
        s4.add(x + 512, w + 256)
        s5.add(x + 640, w + 320)
        x += 4
        w += 384
        left &-= 1
      }
      step &+= 8
      // The next 16 channels.
      if step & 8 == 0 { x += 736 }
      if waiting.next < 16 { finishRow(&waiting) }
    }
    store(TransformedSums(s0.a, s1.a, s2.a, s3.a, s4.a, s5.a), place)
    store(TransformedSums(s0.b, s1.b, s2.b, s3.b, s4.b, s5.b), place + 1536)
    store(TransformedSums(s0.c, s1.c, s2.c, s3.c, s4.c, s5.c), place + 3072)
    store(TransformedSums(s0.d, s1.d, s2.d, s3.d, s4.d, s5.d), place + 4608)
    if waiting.next < 16 { finishRow(&waiting) }
  }

  @inline(__always)
  private func store(_ sums: TransformedSums, _ place: UnsafeMutableRawPointer) {
    qk512_store(place, sums.v0)
    qk512_store(place + 384, sums.v1)
    qk512_store(place + 768, sums.v2)
    qk512_store(place + 1152, sums.v3)
  }

  /// Finishes a row of outputs of the tiles that wait.
  @inline(__always)
  private func finishRow(_ waiting: inout WaitingTiles) {
    let row = waiting.next % 4
    if row == 0 {
      let tileRow = waiting.tile / input.tilesPerRow
      let y = 4 &* tileRow, x = 4 &* (waiting.tile &- tileRow &* input.tilesPerRow)
      waiting.rows = waiting.tile < input.tileCount ? outputHeight &- y : 0
      waiting.pixels = outputWidth &- x
      waiting.place = UnsafeMutableRawPointer(
        output + ((y &* outputWidth &+ x) &* outputChannelCount &+ 16 &* waiting.block))
      waiting.tile &+= 1
    }
    if row < waiting.rows {
      let p = waiting.sums
      let sums = TransformedSums(
        qk512_load(p), qk512_load(p + 64), qk512_load(p + 128), qk512_load(p + 192), qk512_load(p + 256),
        qk512_load(p + 320))
      // Sums of output row 0, 1, 2, 3 and column 0, 1, 2, 3 carry the factor 24, 12, 6, 6 for either.
      let k = max(3 &- row, 1)
      let ab = qk512_packs32(
        doubleScaled(sums.v0, k &+ 3, waiting.constants), doubleScaled(sums.v1, k &+ 2, waiting.constants))
      let cd = qk512_packs32(
        doubleScaled(sums.v2, k &+ 1, waiting.constants), doubleScaled(sums.v3, k &+ 1, waiting.constants))
      store(ab, cd, waiting)
    }
    waiting.sums += 384
    waiting.place += outputWidth &* outputChannelCount
    waiting.next &+= 1
  }

  /// Twice the output, rounded down, before zero point and clamp, of sums that carry the factor 9 · 2^k.
  ///
  /// The product with the inverse of 9 modulo 2^32 leaves x = 2^k · r. The high multiply (r · m + 2^30) >> 31 is
  /// (q + 2^(k − 2)) >> (k − 1) with q = x · m >> 32. The divide by 2^e takes 1 off negative values, here 2^(k − 1).
  @inline(__always)
  private func doubleScaled(_ sums: __m512i, _ k: Int, _ constants: BlockConstants) -> __m512i {
    let x = qk512_mul(sums, qk512_set1(0x38E3_8E39))
    let q = qk512_join_upper(
      qk512_mul_even(x, constants.multiplier), qk512_mul_even(qk512_odd(x), constants.multiplierOdd))
    let less = qk512_sub_where_negative(q, callConstants.power(k &- 1))
    return qk512_shift_right_each(qk512_add(less, callConstants.power(k &- 2)), constants.right(k))
  }

  /// Stores a row of four pixels.
  @inline(__always)
  private func store(_ ab: __m512i, _ cd: __m512i, _ waiting: WaitingTiles) {
    // Saturation at 16 bits, here and before, cuts off what is beyond every int8 clamp.
    let left = qk512_shift_right16_by1(qk512_adds16(ab, callConstants.zeroPoint))
    let right = qk512_shift_right16_by1(qk512_adds16(cd, callConstants.zeroPoint))
    let bytes = qk512_clamp8(
      qk512_transpose4x4(qk512_packs16(left, right)), callConstants.lowest, callConstants.highest)
    let place = waiting.place
    if waiting.pixels < 4 || outputChannelCount % 16 != 0 {
      storePart(bytes, place, waiting.pixels, waiting.block)
    } else if outputChannelCount == 16 {
      qk512_store(place, bytes)
    } else {
      qk512_store_quarter0(place, bytes)
      qk512_store_quarter1(place + outputChannelCount, bytes)
      qk512_store_quarter2(place + 2 &* outputChannelCount, bytes)
      qk512_store_quarter3(place + 3 &* outputChannelCount, bytes)
    }
  }

  /// Stores what exists of a row at the right edge or of the last block.
  @inline(never)
  private func storePart(_ bytes: __m512i, _ place: UnsafeMutableRawPointer, _ pixels: Int, _ block: Int) {
    let count = Int32(truncatingIfNeeded: min(outputChannelCount &- 16 &* block, 16))
    qk128_store_first(place, qk512_quarter0(bytes), count)
    if pixels > 1 { qk128_store_first(place + outputChannelCount, qk512_quarter1(bytes), count) }
    if pixels > 2 { qk128_store_first(place + 2 &* outputChannelCount, qk512_quarter2(bytes), count) }
    if pixels > 3 { qk128_store_first(place + 3 &* outputChannelCount, qk512_quarter3(bytes), count) }
  }
}

/// The whole primitive.
func winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>) { Winograd3x3(args.pointee).run() }
