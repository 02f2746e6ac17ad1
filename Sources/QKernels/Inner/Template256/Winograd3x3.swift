import QKernelsIntrinsics

// The winograd3x3 primitive of the sets with 256-bit registers. The input of four tiles is transformed to int16; then, for
// one channel block after the other, the 36 products of each tile are summed over the input channels, in pairs of rows so
// that the sums stay in registers and are transformed along the columns on the way; then they are transformed along the
// rows, requantized and stored.

/// The sums of two rows of products, 16 channels each, of one tile.
private struct RowPair {
  var a: Lanes256, b: Lanes256

  @inline(__always) init(_ a: Lanes256, _ b: Lanes256) {
    self.a = a
    self.b = b
  }

  /// Adds the products of a pair of input channels: at `x` and `weights` those of row `i`, `j`.
  @inline(__always) mutating func add(_ x: UnsafeRawPointer, _ weights: UnsafeRawPointer, _ i: Int, _ j: Int) {
    let xa = qk256_broadcast4(x + 128 &* i)
    a.low = qk256_add_pair_products(a.low, xa, qk256_load(weights + 64 &* i))
    a.high = qk256_add_pair_products(a.high, xa, qk256_load(weights + (64 &* i &+ 32)))
    let xb = qk256_broadcast4(x + 128 &* j)
    b.low = qk256_add_pair_products(b.low, xb, qk256_load(weights + 64 &* j))
    b.high = qk256_add_pair_products(b.high, xb, qk256_load(weights + (64 &* j &+ 32)))
  }

  @inline(__always) var sum: Lanes256 { Vec.sum(a, b) }
  @inline(__always) var difference: Lanes256 { Vec.difference(a, b) }

  /// Takes sums and differences of rows 1 and 2, and of 3 and 4: stores output rows 1 and 2; rows 0 and 5 start with what
  /// output rows 0 and 3 have of them.
  @inline(__always)
  init(
    _ s12: Lanes256, _ d12: Lanes256, _ s34: Lanes256, _ d34: Lanes256, storing place: UnsafeMutableRawPointer
  ) {
    Vec.difference(d34, Vec.sum(d12, d12)).store(place + 384)
    Vec.difference(s34, s12).store(place + 768)
    a = Lanes256(
      qk256_sub(s34.low, qk256_shift_left_by2(s12.low)), qk256_sub(s34.high, qk256_shift_left_by2(s12.high)))
    b = Vec.difference(Vec.sum(d34, d34), d12)
  }

  /// Stores output rows 0 and 3.
  @inline(__always) func store03(_ place: UnsafeMutableRawPointer) {
    a.store(place)
    b.store(place + 1152)
  }
}

extension Lanes256 {
  @inline(__always) fileprivate init(loading p: UnsafeRawPointer) { self.init(qk256_load(p), qk256_load(p + 32)) }

  @inline(__always) fileprivate func store(_ p: UnsafeMutableRawPointer) {
    qk256_store(p, low)
    qk256_store(p + 32, high)
  }
}

/// The products of a column of one or two tiles with one channel block, transformed along the columns: multiplied by
/// [1 -4 -4 1 1 0; 0 -2 2 1 -1 0; 0 -1 -1 1 1 0; 0 -1 1 2 -2 1], which gives 24, 12, 6 and 6 times the outputs.
private struct ColumnProducts {
  let x: UnsafeRawPointer
  let weights: UnsafeRawPointer
  let channelCount: Int
  /// The first tile's output rows, 384 bytes apart; the second's are 1536 bytes behind.
  let place: UnsafeMutableRawPointer
  /// The start value of the sums of row 1.
  let start: UnsafeRawPointer

  /// Two tiles at a time share their weights where registers suffice.
  @inline(__always) static var hasSecond: Bool { qk256_is_one_register() != 0 }
  @inline(__always) static var tileCount: Int { hasSecond ? 2 : 1 }

  @inline(never) func run() {
    let zero = Lanes256(repeating: 0)
    var first = RowPair(Lanes256(loading: start), zero), second = first
    multiply(&first, &second, 1, 2)
    let s12 = first.sum, d12 = first.difference, s12b = second.sum, d12b = second.difference
    first = RowPair(zero, zero)
    second = first
    multiply(&first, &second, 3, 4)
    first = RowPair(s12, d12, first.sum, first.difference, storing: place)
    if Self.hasSecond { second = RowPair(s12b, d12b, second.sum, second.difference, storing: place + 1536) }
    multiply(&first, &second, 0, 5)
    first.store03(place)
    if Self.hasSecond { second.store03(place + 1536) }
  }

  /// Adds the products of rows `i` and `j`.
  @inline(__always) private func multiply(_ first: inout RowPair, _ second: inout RowPair, _ i: Int, _ j: Int) {
    var x = x, weights = weights
    var left = channelCount
    while left > 0 {
      var half = 2
      while half > 0 {
        for pair in 0..<4 {
          first.add(x + 4 &* pair, weights + 384 &* pair, i, j)
          if Self.hasSecond { second.add(x + (4 &* pair &+ 32), weights + 384 &* pair, i, j) }
        }
        x += 16
        weights += 1536
        half &-= 1
      }
      x += 736
      left &-= 16
    }
  }
}

/// The constants of a channel block in memory.
private struct BlockConstants {
  static var byteCount: Int { 512 }
  let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// The start value of the products (1, 1): 36 times the bias comes out as 576, 288, ... times the bias everywhere.
  @inline(__always) var start: UnsafeRawPointer { UnsafeRawPointer(memory) }
  /// The multipliers of the first or, `half` 32, the second half of the channels.
  @inline(__always) func multiplier(_ half: Int) -> __m256i { qk256_load(memory + (64 &+ half)) }
  @inline(__always) func multiplierOdd(_ half: Int) -> __m256i { qk256_load(memory + (128 &+ half)) }
  /// The right shift of sums that carry the factor 2^k, k in 2...6, to twice the output.
  @inline(__always) func right(_ k: Int, _ half: Int) -> __m256i { qk256_load(memory + (64 &+ 64 &* k &+ half)) }

  /// Fills the memory for channels `channel ..< channel + 16`.
  @inline(__always) func fill(_ q: qk_channel_quantization, _ channel: Int) {
    Vec.product(Lanes256(loading: q.bias + channel), Lanes256(repeating: 36)).store(memory)
    let multiplier = Lanes256(loading: q.multiplier + channel)
    multiplier.store(memory + 64)
    Lanes256(qk256_odd(multiplier.low), qk256_odd(multiplier.high)).store(memory + 128)
    // Channels of multiplier 0 may have any shift.
    let shift = Lanes256(loading: q.shift + channel), last = qk256_set1(-1)
    let right = Lanes256(qk256_min(shift.low, last), qk256_min(shift.high, last))
    for k in 2...6 {
      Vec.difference(Lanes256(repeating: Int32(truncatingIfNeeded: k &- 2)), right).store(memory + (64 &+ 64 &* k))
    }
  }
}

/// The constants of the whole call in memory.
private struct CallConstants {
  static var byteCount: Int { 256 }
  let memory: UnsafeMutableRawPointer

  @inline(__always) init(_ memory: UnsafeMutableRawPointer) { self.memory = memory }

  /// Twice the output zero point and 1 to round, in 16 bits.
  @inline(__always) var zeroPoint: __m256i { qk256_load(memory) }
  @inline(__always) var lowest: __m256i { qk256_load(memory + 64) }
  @inline(__always) var highest: __m256i { qk256_load(memory + 128) }
  /// 2^n in all lanes, n in 0...4.
  @inline(__always) func power(_ n: Int) -> __m256i { qk256_broadcast4(memory + (192 &+ 4 &* n)) }

  @inline(__always) func fill(_ q: qk_channel_quantization) {
    qk256_store(memory, qk256_set1_16(Int16(truncatingIfNeeded: 2 &* q.outputZeroPoint &+ 1)))
    qk256_store(memory + 64, qk256_set1_8(Int8(truncatingIfNeeded: q.outputMin)))
    qk256_store(memory + 128, qk256_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
    for n in 0...4 { memory.storeBytes(of: Int32(1) &<< Int32(n), toByteOffset: 192 &+ 4 &* n, as: Int32.self) }
  }
}

/// Half the channels of a row of four outputs: twice the output, rounded down, before zero point and clamp.
private struct FourOutputs {
  let v0: __m256i, v1: __m256i, v2: __m256i, v3: __m256i

  /// Transforms the six sums of the row, 64 bytes apart, which carry the factor 3 · 2^k.
  @inline(__always)
  init(_ p: UnsafeRawPointer, _ k: Int, _ constants: BlockConstants, _ call: CallConstants, _ half: Int) {
    let p = p + half
    let m1 = qk256_load(p + 64), m2 = qk256_load(p + 128), m3 = qk256_load(p + 192), m4 = qk256_load(p + 256)
    let s12 = qk256_add(m1, m2), d12 = qk256_sub(m1, m2), s34 = qk256_add(m3, m4), d34 = qk256_sub(m3, m4)
    let sum0 = qk256_sub(qk256_add(qk256_load(p), s34), qk256_shift_left_by2(s12))
    let sum1 = qk256_sub(d34, qk256_add(d12, d12))
    let sum2 = qk256_sub(s34, s12)
    let sum3 = qk256_add(qk256_sub(qk256_load(p + 320), d12), qk256_add(d34, d34))
    // Sums of output column 0, 1, 2, 3 carry another 24, 12, 6, 6.
    v0 = Self.doubleScaled(sum0, k &+ 3, constants, call, half)
    v1 = Self.doubleScaled(sum1, k &+ 2, constants, call, half)
    v2 = Self.doubleScaled(sum2, k &+ 1, constants, call, half)
    v3 = Self.doubleScaled(sum3, k &+ 1, constants, call, half)
  }

  /// Twice the output of sums that carry the factor 9 · 2^k.
  ///
  /// The product with the inverse of 9 modulo 2^32 leaves x = 2^k · r. The high multiply (r · m + 2^30) >> 31 is
  /// (q + 2^(k − 2)) >> (k − 1) with q = x · m >> 32. The divide by 2^e takes 1 off negative values, here 2^(k − 1), which
  /// makes 2^(k − 2) its negative; it does not count for q = 0.
  @inline(__always)
  private static func doubleScaled(
    _ sums: __m256i, _ k: Int, _ constants: BlockConstants, _ call: CallConstants, _ half: Int
  ) -> __m256i {
    let x = qk256_mul(sums, qk256_set1(0x38E3_8E39))
    let q = qk256_join_upper(
      qk256_mul_even(x, constants.multiplier(half)), qk256_mul_even(qk256_odd(x), constants.multiplierOdd(half)))
    return qk256_shift_right_each(
      qk256_add(q, qk256_with_sign(call.power(k &- 2), q)), constants.right(k, half))
  }
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

  /// Sums of four tiles and one channel block, [tile][output row][6][16]; zeros.
  let sums: UnsafeMutableRawPointer
  let zeros: UnsafeMutableRawPointer
  let constants: UnsafeMutableRawPointer
  let callConstants: CallConstants

  @inline(__always)
  init(_ args: qk_winograd3x3_args) {
    outputHeight = Int(args.outputHeight)
    outputWidth = Int(args.outputWidth)
    weights = UnsafeRawPointer(args.weights)
    quantization = args.quantization
    output = args.output
    outputChannelCount = Int(args.outputChannelCount)
    sums = args.scratch
    zeros = sums + 6144
    constants = zeros + 64
    callConstants = CallConstants(constants + (outputChannelCount &+ 15) / 16 &* BlockConstants.byteCount)
    input = WinogradInput(args, callConstants.memory + CallConstants.byteCount)
  }

  @inline(__always)
  func run() {
    callConstants.fill(quantization)
    Lanes256(repeating: 0).store(zeros)
    let blocks = (outputChannelCount &+ 15) / 16
    for block in 0..<blocks { blockConstants(block).fill(quantization, 16 &* block) }
    var first = 0
    while first < input.tileCount {
      input.transform(first)
      for block in 0..<blocks {
        multiply(first, block)
        finish(first, block)
      }
      first &+= 4
    }
  }

  @inline(__always) private func blockConstants(_ block: Int) -> BlockConstants {
    BlockConstants(constants + block &* BlockConstants.byteCount)
  }

  /// The sums of the products of four tiles, as far as there are any, with one channel block.
  @inline(__always)
  private func multiply(_ first: Int, _ block: Int) {
    let count = min(input.tileCount &- first, 4), channelCount = input.channelCount
    for column in 0..<6 {
      let w = weights + (6 &* block &+ column) &* 192 &* channelCount
      let start = column == 1 ? blockConstants(block).start : UnsafeRawPointer(zeros)
      var tile = 0
      while tile < count {
        ColumnProducts(
          x: input.tiles + (column &* 48 &* channelCount &+ 32 &* tile), weights: w, channelCount: channelCount,
          place: sums + (64 &* column &+ 1536 &* tile), start: start
        ).run()
        tile &+= ColumnProducts.tileCount
      }
    }
  }

  /// Finishes the outputs of four tiles, as far as there are any, of one channel block.
  @inline(__always)
  private func finish(_ first: Int, _ block: Int) {
    let constants = blockConstants(block)
    for tile in first..<min(first &+ 4, input.tileCount) {
      let tileRow = tile / input.tilesPerRow
      let y = 4 &* tileRow, x = 4 &* (tile &- tileRow &* input.tilesPerRow)
      let pixels = outputWidth &- x
      var place = UnsafeMutableRawPointer(
        output + ((y &* outputWidth &+ x) &* outputChannelCount &+ 16 &* block))
      for row in 0..<min(outputHeight &- y, 4) {
        let p = UnsafeRawPointer(sums) + (1536 &* (tile &- first) &+ 384 &* row)
        // Sums of output row 0, 1, 2, 3 carry the factor 24, 12, 6, 6.
        let k = max(3 &- row, 1)
        let low = FourOutputs(p, k, constants, callConstants, 0), high = FourOutputs(p, k, constants, callConstants, 32)
        let ab = bytes(qk256_packs32(low.v0, high.v0), qk256_packs32(low.v1, high.v1))
        let cd = bytes(qk256_packs32(low.v2, high.v2), qk256_packs32(low.v3, high.v3))
        if pixels < 4 || outputChannelCount % 16 != 0 {
          storePart(ab, place, pixels, block)
          storePart(cd, place + 2 &* outputChannelCount, pixels &- 2, block)
        } else {
          store(ab, place)
          store(cd, place + 2 &* outputChannelCount)
        }
        place += outputWidth &* outputChannelCount
      }
    }
  }

  /// 16 channels of two outputs, of twice their values without the zero point.
  @inline(__always)
  private func bytes(_ a: __m256i, _ b: __m256i) -> __m256i {
    // Saturation at 16 bits, here and before, cuts off what is beyond every int8 clamp.
    let left = qk256_shift_right16_by1(qk256_adds16(a, callConstants.zeroPoint))
    let right = qk256_shift_right16_by1(qk256_adds16(b, callConstants.zeroPoint))
    return qk256_clamp8(
      qk256_transpose2x4(qk256_packs16(left, right)), callConstants.lowest, callConstants.highest)
  }

  /// Stores two pixels.
  @inline(__always)
  private func store(_ bytes: __m256i, _ place: UnsafeMutableRawPointer) {
    qk128_store(place, qk256_lower(bytes))
    qk128_store(place + outputChannelCount, qk256_upper(bytes))
  }

  /// Stores what exists of two pixels at the right edge or of the last block.
  @inline(__always)
  private func storePart(_ bytes: __m256i, _ place: UnsafeMutableRawPointer, _ pixels: Int, _ block: Int) {
    let count = Int32(truncatingIfNeeded: min(outputChannelCount &- 16 &* block, 16))
    if pixels > 0 { qk128_store_first(place, qk256_lower(bytes), count) }
    if pixels > 1 { qk128_store_first(place + outputChannelCount, qk256_upper(bytes), count) }
  }
}

/// The whole primitive.
func winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>) { Winograd3x3(args.pointee).run() }
