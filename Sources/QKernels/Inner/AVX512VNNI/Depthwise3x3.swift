import QKernelsIntrinsics

// Depthwise convolution under a window of 3 x 3: 64 lanes hold 64 channels of one pixel, or whole pixels of fewer channels
// side by side. A column of such blocks is computed from the top down, so that every input row is loaded, and its three
// taps are interleaved, once for all the output rows that see it. Padding needs no copy of the input: masked loads fill in
// the zero point.

/// The lanes of a block after two interleavings: quarter i of register `a` has lanes 16i ..< 16i + 4, of `b` lanes
/// 16i + 4 ..< 16i + 8, and so on.
private struct Quad {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i

  @inline(__always) init(_ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }

  /// Four registers of a table.
  @inline(__always) init(_ table: UnsafePointer<__m512i>) {
    self.init(
      qk512_load(table), qk512_load(table + 1), qk512_load(table + 2), qk512_load(table + 3))
  }

  /// The accumulators plus the dot products of four taps per lane.
  @inline(__always) func adding(_ taps: Quad, _ weights: Quad) -> Quad {
    Quad(
      qk512_dpbusd(a, taps.a, weights.a), qk512_dpbusd(b, taps.b, weights.b), qk512_dpbusd(c, taps.c, weights.c),
      qk512_dpbusd(d, taps.d, weights.d))
  }

  /// Three taps per lane side by side; the fourth repeats the third.
  @inline(__always) init(interleaving x: __m512i, _ y: __m512i, _ z: __m512i) {
    let low = qk512_unpack_low8(x, y), high = qk512_unpack_high8(x, y)
    let last = qk512_unpack_low8(z, z), lastHigh = qk512_unpack_high8(z, z)
    self.init(
      qk512_unpack_low16(low, last), qk512_unpack_high16(low, last), qk512_unpack_low16(high, lastHigh),
      qk512_unpack_high16(high, lastHigh))
  }
}

/// Which channels the lanes of a block hold: `count` channels from `first` on, repeated for every pixel of the block.
private struct LaneChannels {
  let first: Int
  let count: Int

  @inline(__always) func channel(_ lane: Int) -> Int { lane < count ? first &+ lane : first &+ lane % count }
}

/// How tables of 4 bytes per channel become registers. Word i of register `j` of a quad belongs to lane
/// 16 · (i / 4) + 4j + i % 4.
private protocol LaneGathering {
  /// One word per channel.
  static func words(_ lanes: LaneChannels, _ p: UnsafePointer<Int32>, _ j: Int) -> __m512i
  /// The weights of tap group `group`.
  static func weights(_ lanes: LaneChannels, _ p: UnsafePointer<Int8>, _ group: Int, _ j: Int) -> __m512i
}

/// Four lanes at a time, where they always hold channels that lie side by side: `first` and `count` are multiples of 4.
private enum GroupedLanes: LaneGathering {
  @inline(__always) static func words(_ lanes: LaneChannels, _ p: UnsafePointer<Int32>, _ j: Int) -> __m512i {
    qk512_join4(
      qk128_load(p + lanes.channel(4 &* j)), qk128_load(p + lanes.channel(4 &* j &+ 16)),
      qk128_load(p + lanes.channel(4 &* j &+ 32)), qk128_load(p + lanes.channel(4 &* j &+ 48)))
  }

  @inline(__always)
  static func weights(_ lanes: LaneChannels, _ p: UnsafePointer<Int8>, _ group: Int, _ j: Int) -> __m512i {
    qk512_join4(
      four(lanes, p, group, 4 &* j), four(lanes, p, group, 4 &* j &+ 16), four(lanes, p, group, 4 &* j &+ 32),
      four(lanes, p, group, 4 &* j &+ 48))
  }

  @inline(__always)
  private static func four(_ lanes: LaneChannels, _ p: UnsafePointer<Int8>, _ group: Int, _ lane: Int) -> __m128i {
    let channel = lanes.channel(lane)
    return qk128_load(p + ((channel / 16 &* 3 &+ group) &* 64 &+ channel % 16 &* 4))
  }
}

/// Lane by lane.
private enum SingleLanes: LaneGathering {
  /// The channels of the lanes; the quotient by the reciprocal is exact for 64 lanes.
  @inline(__always) private static func channels(_ lanes: LaneChannels, _ j: Int) -> __m512i {
    let index = qk512_interleaved_lanes(Int32(truncatingIfNeeded: 4 &* j))
    let count = Int32(truncatingIfNeeded: lanes.count)
    let quotient = qk512_shift_right(qk512_mul(index, qk512_set1(65536 / count &+ 1)), 16)
    let channel = qk512_sub(index, qk512_mul(quotient, qk512_set1(count)))
    return qk512_add(channel, qk512_set1(Int32(truncatingIfNeeded: lanes.first)))
  }

  @inline(__always) static func words(_ lanes: LaneChannels, _ p: UnsafePointer<Int32>, _ j: Int) -> __m512i {
    qk512_gather(p, channels(lanes, j))
  }

  @inline(__always)
  static func weights(_ lanes: LaneChannels, _ p: UnsafePointer<Int8>, _ group: Int, _ j: Int) -> __m512i {
    let channel = channels(lanes, j)
    let block = qk512_mul(qk512_shift_right(channel, 4), qk512_set1(48))
    return qk512_gather(p + 64 &* group, qk512_add(block, qk512_and(channel, qk512_set1(15))))
  }
}

/// What a block of lanes needs over and over, in memory: too much for the registers. Entries are in the order of quads.
private struct BlockTable {
  typealias Memory = InlineArray<40, __m512i>
  let entries: UnsafeMutablePointer<__m512i>

  /// Four entries: the start values, biases less 128 · Σ weights, as the input is flipped to unsigned.
  @inline(__always) var bias: Quad { Quad(UnsafePointer(entries)) }
  /// The weights of a row of the window, three taps and a zero per lane.
  @inline(__always) func weights(row: Int) -> Quad { Quad(UnsafePointer(entries + (4 &+ 4 &* row))) }
  /// Six entries for register `j`; the requantization defines them.
  @inline(__always) func factor(_ j: Int) -> UnsafeMutablePointer<__m512i> { entries + (16 &+ 6 &* j) }

  /// Fills the table; returns whether ``Rectified`` serves.
  func fill<Gathering: LaneGathering>(
    _ lanes: LaneChannels, _ weights: UnsafePointer<Int8>, _ q: qk_channel_quantization, _: Gathering.Type
  ) -> Bool {
    var isRectified = q.outputMin == q.outputZeroPoint
    for j in 0..<4 {
      let start = qk512_sub(
        Gathering.words(lanes, q.bias, j), qk512_shift_left(Gathering.words(lanes, q.weightSums, j), 7))
      entries[j] = start
      // Taps 0 1 2 3 · 4 5 6 7 · 8 - - - become 0 1 2 · 3 4 5 · 6 7 8.
      let x = Gathering.weights(lanes, weights, 0, j), y = Gathering.weights(lanes, weights, 1, j),
        z = Gathering.weights(lanes, weights, 2, j)
      let three = qk512_set1(0xFF_FFFF)
      entries[4 &+ j] = qk512_and(x, three)
      entries[8 &+ j] = qk512_and(qk512_or(qk512_shift_right_logical(x, 24), qk512_shift_left(y, 8)), three)
      entries[12 &+ j] = qk512_or(
        qk512_shift_right_logical(y, 16), qk512_shift_left(qk512_and(z, qk512_set1(0xFF)), 16))
      factor(j)[0] = Gathering.words(lanes, q.multiplier, j)
      factor(j)[1] = Gathering.words(lanes, q.shift, j)
      isRectified =
        isRectified && qk512_all_positive(qk512_sub(qk512_zero(), factor(j)[1])) != 0
        && qk512_all_positive(qk512_add(start, qk512_set1(1 << 30))) != 0
    }
    for j in 0..<4 { isRectified ? Rectified.fill(factor(j), start: entries[j]) : General.fill(factor(j)) }
    return isRectified
  }
}

/// The last part of a block: from sums to bytes.
private protocol Requantization {
  /// What the sums start with.
  static func start(_ table: BlockTable) -> Quad
  /// 64 outputs.
  static func bytes(_ s: Quad, _ table: BlockTable, _ q: OutputRange) -> __m512i
}

/// The clamp of a step's outputs.
private struct OutputRange {
  let zeroPoint: Int8, low: Int8, high: Int8
}

/// Double rounding in general; see Vec.Requantizer.
private enum General: Requantization {
  /// Multipliers of even and odd lanes, the left shift, the right shift less one if any, the mask of lanes that shift right.
  static func fill(_ factor: UnsafeMutablePointer<__m512i>) {
    let shift = factor[1]
    let right = qk512_max(qk512_sub(qk512_zero(), shift), qk512_zero()), rounds = qk512_min(right, qk512_set1(1))
    factor[1] = qk512_odd(factor[0])
    factor[2] = qk512_max(shift, qk512_zero())
    factor[3] = qk512_sub(right, rounds)
    factor[4] = qk512_sub(qk512_zero(), rounds)
  }

  @inline(__always) static func start(_ table: BlockTable) -> Quad { table.bias }

  @inline(__always)
  private static func scaled(_ accumulator: __m512i, _ factor: UnsafeMutablePointer<__m512i>) -> __m512i {
    let shifted = qk512_shift_left_each(accumulator, qk512_load(factor + 2))
    let r = qk512_high_multiply(shifted, qk512_load(factor), qk512_load(factor + 1))
    let mask = qk512_load(factor + 4)
    let biased = qk512_shift_right_each(qk512_add(r, qk512_and(qk512_sign(r), mask)), qk512_load(factor + 3))
    return qk512_shift_right_each(qk512_sub(biased, mask), qk512_and(mask, qk512_set1(1)))
  }

  // Saturation at 16 bits comes before the zero point: what it cuts off is beyond every int8 clamp.
  @inline(__always) static func bytes(_ s: Quad, _ table: BlockTable, _ q: OutputRange) -> __m512i {
    let z = qk512_set1_16(Int16(q.zeroPoint))
    let ab = qk512_adds16(qk512_packs32(scaled(s.a, table.factor(0)), scaled(s.b, table.factor(1))), z)
    let cd = qk512_adds16(qk512_packs32(scaled(s.c, table.factor(2)), scaled(s.d, table.factor(3))), z)
    return qk512_clamp8(qk512_packs16(ab, cd), qk512_set1_8(q.low), qk512_set1_8(q.high))
  }
}

/// The same where every lane shifts right by e >= 1 and the outputs are cut off at the zero point, as a fused ReLU does.
///
/// Double rounding is floor((floor((a·m + 2^30) / 2^31) + 2^(e-1) - s) / 2^e), where s is 1 for a negative inner floor. There
/// the result is at most 0 with s and without it, so that s makes no difference; and without it the two floors are one:
/// (a·m + 2^30 + 2^(30+e)) >> (31 + e). The start value's share of a·m is a constant as well, if a start value below 2^30
/// and nine products of 16 bits cannot wrap.
private enum Rectified: Requantization {
  /// Multipliers of even and odd lanes, what is added to their products, the right shifts. Odd lanes leave the result in
  /// their upper half.
  static func fill(_ factor: UnsafeMutablePointer<__m512i>, start: __m512i) {
    let multiplier = factor[0], distance = qk512_sub(qk512_zero(), factor[1]), half = qk512_set1_64(1 << 30)
    let e = qk512_even_odd(distance, qk512_zero()), eOdd = qk512_odd(distance)
    factor[1] = qk512_odd(multiplier)
    factor[2] = qk512_add64(
      qk512_add64(qk512_shift_left_each64(half, e), half), qk512_mul_even(start, multiplier))
    factor[3] = qk512_add64(
      qk512_add64(qk512_shift_left_each64(half, eOdd), half), qk512_mul_even(qk512_odd(start), factor[1]))
    factor[4] = qk512_add64(e, qk512_set1_64(31))
    factor[5] = qk512_add64(eOdd, qk512_set1_64(-1))
  }

  @inline(__always) static func start(_ table: BlockTable) -> Quad {
    Quad(qk512_zero(), qk512_zero(), qk512_zero(), qk512_zero())
  }

  @inline(__always) private static func scaled(_ sum: __m512i, _ factor: UnsafeMutablePointer<__m512i>) -> __m512i {
    let even = qk512_add64(qk512_mul_even(sum, qk512_load(factor)), qk512_load(factor + 2))
    let odd = qk512_add64(qk512_mul_even(qk512_odd_shuffled(sum), qk512_load(factor + 1)), qk512_load(factor + 3))
    return qk512_even_odd(
      qk512_shift_right_each64(even, qk512_load(factor + 4)), qk512_shift_right_each64(odd, qk512_load(factor + 5)))
  }

  @inline(__always) static func bytes(_ s: Quad, _ table: BlockTable, _ q: OutputRange) -> __m512i {
    let ab = qk512_packs32(scaled(s.a, table.factor(0)), scaled(s.b, table.factor(1)))
    let cd = qk512_packs32(scaled(s.c, table.factor(2)), scaled(s.d, table.factor(3)))
    let above = qk512_min_u8(qk512_packus16(ab, cd), qk512_set1_8(q.high &- q.zeroPoint))
    return qk512_add8(above, qk512_set1_8(q.zeroPoint))
  }
}

/// Bits `low ..< high` of a mask, both in 0...64.
@inline(__always)
private func bits(_ low: Int, _ high: Int) -> UInt64 {
  if low >= high { return 0 }
  return (UInt64.max &<< UInt64(truncatingIfNeeded: low)) & (UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- high))
}

/// The bytes of a register: their offset in an input row, and which of them lie inside the row.
private struct RowPlace {
  let offset: Int
  let mask: UInt64

  /// `pixels` pixels of the lanes' channels, from column `column` on.
  @inline(__always) init(_ args: qk_depthwise3x3_args, _ column: Int, _ pixels: Int, _ lanes: LaneChannels) {
    offset = column &* Int(args.channelCount) &+ lanes.first
    let inside = min(pixels, max(Int(args.width) &- column, 0))
    mask = bits(min(max(0, 0 &- column), pixels) &* lanes.count, inside &* lanes.count)
  }

  /// The register in the row at `row`; `padding` fills in for what lies outside.
  @inline(__always) func load(_ row: UnsafePointer<Int8>, _ padding: __m512i) -> __m512i {
    qk512_load_masked(padding, mask, row, Int64(offset))
  }
}

/// The taps of one column of blocks: the lanes of pixels from one output column on.
private protocol ColumnTaps {
  /// The taps in the input row that starts at `row`.
  func taps(_ row: UnsafePointer<Int8>) -> Quad
  /// 64 bytes of the input's zero point.
  var padding: __m512i { get }
}

extension ColumnTaps {
  @inline(__always) func flipped(_ x: __m512i) -> __m512i { qk512_xor(x, qk512_set1(Int32(bitPattern: 0x8080_8080))) }
  /// The taps outside the input.
  @inline(__always) var outside: Quad { Quad(flipped(padding), flipped(padding), flipped(padding), flipped(padding)) }
}

/// Taps that lie inside the row, as do all 64 bytes from the first one's on.
private struct InnerTaps: ColumnTaps {
  let offset: Int, step: Int
  let padding: __m512i

  @inline(__always) func taps(_ row: UnsafePointer<Int8>) -> Quad {
    let p = row + offset
    return Quad(
      interleaving: flipped(qk512_load(p)), flipped(qk512_load(p + step)), flipped(qk512_load(p + 2 &* step)))
  }
}

/// Taps of which some lie outside the row.
private struct EdgeTaps: ColumnTaps {
  let x: RowPlace, y: RowPlace, z: RowPlace
  let padding: __m512i

  @inline(__always) func taps(_ row: UnsafePointer<Int8>) -> Quad {
    Quad(
      interleaving: flipped(x.load(row, padding)), flipped(y.load(row, padding)), flipped(z.load(row, padding)))
  }
}

/// Taps of several pixels at a distance of two columns: `x` and `y` hold the columns of taps 0 and 1, the others those of
/// tap 2.
private struct PairedTaps: ColumnTaps {
  let x: RowPlace, y: RowPlace, z: RowPlace, w: RowPlace
  let padding: __m512i
  /// The permutations that pick every other pixel out of two registers.
  let even: __m512i, odd: __m512i

  @inline(__always) func taps(_ row: UnsafePointer<Int8>) -> Quad {
    let first = x.load(row, padding), second = y.load(row, padding)
    return Quad(
      interleaving: flipped(qk512_permute8x2(first, even, second)), flipped(qk512_permute8x2(first, odd, second)),
      flipped(qk512_permute8x2(z.load(row, padding), even, w.load(row, padding))))
  }
}

/// Fills in the permutations of ``PairedTaps``: pixels 0, 2, 4 ... and 1, 3, 5 ... of two registers of `pixels` each.
private func fillPairs(_ table: UnsafeMutableRawPointer, pixels: Int, channels: Int) {
  let bytes = table.assumingMemoryBound(to: UInt8.self)
  for pixel in 0..<pixels {
    for odd in 0..<2 {
      // Bit 6 selects the second register.
      let column = 2 &* pixel &+ odd
      let place = column >= pixels ? 64 &+ (column &- pixels) &* channels : column &* channels
      for channel in 0..<channels {
        bytes[64 &* odd &+ pixel &* channels &+ channel] = UInt8(truncatingIfNeeded: place &+ channel)
      }
    }
  }
}

/// One column of blocks, from the top of the output to its bottom.
private struct Column {
  let input: UnsafePointer<Int8>
  let height: Int, rowBytes: Int
  /// The input row of the first window's top; negative in the padding.
  let firstRow: Int
  let strideHeight: Int
  let range: OutputRange
  let output: UnsafeMutablePointer<Int8>
  let outputHeight: Int, outputRowBytes: Int
  /// The lanes that are stored.
  let mask: UInt64

  @inline(__always) private func taps<Taps: ColumnTaps>(_ row: Int, _ taps: Taps) -> Quad {
    row < 0 || row >= height ? taps.outside : taps.taps(input + row &* rowBytes)
  }

  @inline(never)
  func run<Taps: ColumnTaps, Last: Requantization>(_ source: Taps, _ table: BlockTable, _: Last.Type) {
    let top = table.weights(row: 0), middle = table.weights(row: 1), bottom = table.weights(row: 2)
    var row = firstRow
    var result = output
    if strideHeight == 1 {
      let first = taps(row, source), second = taps(row &+ 1, source)
      var upper = Last.start(table).adding(first, top).adding(second, middle)
      var lower = Last.start(table).adding(second, top)
      row &+= 2
      for _ in 0..<outputHeight {
        let taps = taps(row, source)
        let sums = upper.adding(taps, bottom)
        upper = lower.adding(taps, middle)
        lower = Last.start(table).adding(taps, top)
        qk512_store_masked(result, mask, Last.bytes(sums, table, range))
        row &+= 1
        result += outputRowBytes
      }
      return
    }
    var begun = Last.start(table).adding(taps(row, source), top)
    for _ in 0..<outputHeight {
      let between = begun.adding(taps(row &+ 1, source), middle), taps = taps(row &+ 2, source)
      row &+= strideHeight
      // With a stride of 2 the last row of a window is the first of the next.
      begun = Last.start(table).adding(strideHeight == 2 ? taps : self.taps(row, source), top)
      qk512_store_masked(result, mask, Last.bytes(between.adding(taps, bottom), table, range))
      result += outputRowBytes
    }
  }

  @inline(__always)
  func run<Taps: ColumnTaps>(_ source: Taps, _ table: BlockTable, isRectified: Bool) {
    if isRectified { run(source, table, Rectified.self) } else { run(source, table, General.self) }
  }
}

/// The columns of blocks of one image.
private struct Columns {
  let args: qk_depthwise3x3_args
  /// Pixels of few channels stand side by side.
  let pixels: Int
  let isPaired: Bool

  @inline(__always) init(_ args: qk_depthwise3x3_args) {
    self.args = args
    pixels = args.strideWidth <= 2 ? max(64 / Int(args.channelCount), 1) : 1
    isPaired = args.strideWidth == 2 && pixels > 1
  }

  /// All columns of the channels in `lanes`. An image beyond the second-level cache is cut into bands of rows, where the
  /// columns side by side are in the cache and in the reach of prefetching.
  @inline(__always)
  func run(_ lanes: LaneChannels, _ table: BlockTable, _ pairs: UnsafePointer<__m512i>, isRectified: Bool) {
    let isLarge = Int(args.height) &* Int(args.width) &* Int(args.channelCount) > 1 << 20
    let rows = isLarge ? 16 : args.outputHeight
    var row: Int32 = 0
    while row < args.outputHeight {
      band(row, min(rows, args.outputHeight &- row), lanes, table, pairs, isRectified: isRectified)
      row &+= rows
    }
  }

  /// Output rows `row ..< row + rows`.
  @inline(__always)
  private func band(
    _ row: Int32, _ rows: Int32, _ lanes: LaneChannels, _ table: BlockTable, _ pairs: UnsafePointer<__m512i>,
    isRectified: Bool
  ) {
    let channels = Int(args.channelCount), outputWidth = Int(args.outputWidth)
    let padding = qk512_set1_8(Int8(truncatingIfNeeded: args.inputZeroPoint))
    let q = args.quantization
    let range = OutputRange(
      zeroPoint: Int8(truncatingIfNeeded: q.outputZeroPoint), low: Int8(truncatingIfNeeded: q.outputMin),
      high: Int8(truncatingIfNeeded: q.outputMax))
    var x = 0
    while x < outputWidth {
      let column = Column(
        input: args.input, height: Int(args.height), rowBytes: Int(args.width) &* channels,
        firstRow: Int(row) &* Int(args.strideHeight) &- Int(args.padTop), strideHeight: Int(args.strideHeight),
        range: range, output: args.output + ((Int(row) &* outputWidth &+ x) &* channels &+ lanes.first),
        outputHeight: Int(rows), outputRowBytes: outputWidth &* channels,
        mask: bits(0, min(pixels, outputWidth &- x) &* lanes.count))
      let first = x &* Int(args.strideWidth) &- Int(args.padLeft)
      x &+= pixels
      if isPaired {
        column.run(
          PairedTaps(
            x: RowPlace(args, first, pixels, lanes), y: RowPlace(args, first &+ pixels, pixels, lanes),
            z: RowPlace(args, first &+ 2, pixels, lanes), w: RowPlace(args, first &+ 2 &+ pixels, pixels, lanes),
            padding: padding, even: qk512_load(pairs), odd: qk512_load(pairs + 1)), table, isRectified: isRectified)
      } else if first >= 0, (first &+ 2) &* channels &+ lanes.first &+ 64 <= Int(args.width) &* channels {
        column.run(
          InnerTaps(offset: first &* channels &+ lanes.first, step: channels, padding: padding), table,
          isRectified: isRectified)
      } else {
        column.run(
          EdgeTaps(
            x: RowPlace(args, first, pixels, lanes), y: RowPlace(args, first &+ 1, pixels, lanes),
            z: RowPlace(args, first &+ 2, pixels, lanes), padding: padding), table, isRectified: isRectified)
      }
    }
  }
}

/// The whole primitive.
@inline(__always)
func depthwise3x3(_ args: qk_depthwise3x3_args) {
  let channels = Int(args.channelCount), count = min(channels, 64)
  let columns = Columns(args)
  var memory = BlockTable.Memory(repeating: qk512_zero())
  var pairs = InlineArray<2, __m512i>(repeating: qk512_zero())
  withUnsafeMutablePointer(to: &memory) { memory in
    withUnsafeMutablePointer(to: &pairs) { pairs in
      let pairTable = UnsafeMutableRawPointer(pairs).assumingMemoryBound(to: __m512i.self)
      if columns.isPaired { fillPairs(pairTable, pixels: columns.pixels, channels: channels) }
      let table = BlockTable(entries: UnsafeMutableRawPointer(memory).assumingMemoryBound(to: __m512i.self))
      var first = 0
      while first < channels {
        // The last 64 channels may in part be computed twice.
        let lanes = LaneChannels(first: min(first, channels &- count), count: count)
        let isRectified =
          lanes.first % 4 == 0 && count % 4 == 0
          ? table.fill(lanes, args.weights, args.quantization, GroupedLanes.self)
          : table.fill(lanes, args.weights, args.quantization, SingleLanes.self)
        columns.run(lanes, table, UnsafePointer(pairTable), isRectified: isRectified)
        first &+= 64
      }
    }
  }
}
