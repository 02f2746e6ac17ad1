import QKernelsIntrinsics

// The winograd3x3 primitive of this set. Four tiles at a time: their input is transformed to int16; then, for one channel
// block after the other, the 36 products are summed over the input channels, 8 output channels x 4 tiles x 2 products at a
// time: 16 of 32 registers. The sums are transformed along the columns at once, along the rows and requantized when the
// channel block is complete.

/// A column of six values per lane, in 16 bits, multiplied by
/// [4 0 -5 0 1 0; 0 -4 -4 1 1 0; 0 4 -4 -1 1 0; 0 -2 -1 2 1 0; 0 2 -1 -2 1 0; 0 4 0 -5 0 1].
private struct TransformedInput {
  let v0: int16x8_t, v1: int16x8_t, v2: int16x8_t, v3: int16x8_t, v4: int16x8_t, v5: int16x8_t

  /// Of d4 - 4 d2, d3 - 4 d1, d4 - d2, d3 - d1, d0 - d2, d5 - d3.
  @inline(__always)
  private init(
    terms even: int16x8_t, _ odd: int16x8_t, _ d42: int16x8_t, _ d31: int16x8_t, _ d02: int16x8_t, _ d53: int16x8_t,
    _ four: int16x8_t
  ) {
    v1 = qkn_add16(even, odd)
    v2 = qkn_sub16(even, odd)
    let twice = qkn_add16(d31, d31)
    v3 = qkn_add16(d42, twice)
    v4 = qkn_sub16(d42, twice)
    v0 = qkn_mla16(d42, d02, four)
    v5 = qkn_mls16(d53, d31, four)
  }

  @inline(__always)
  init(
    _ d0: int16x8_t, _ d1: int16x8_t, _ d2: int16x8_t, _ d3: int16x8_t, _ d4: int16x8_t, _ d5: int16x8_t,
    _ four: int16x8_t
  ) {
    self.init(
      terms: qkn_mls16(d4, d2, four), qkn_mls16(d3, d1, four), qkn_sub16(d4, d2), qkn_sub16(d3, d1), qkn_sub16(d0, d2),
      qkn_sub16(d5, d3), four)
  }

  /// Of the lower halves of bytes.
  @inline(__always)
  init(low column: InputColumn, _ four: int16x8_t, _ minusFour: int8x16_t) {
    let c = column
    self.init(
      terms: qkn_add_low8(qkn_mul_low8(c.d2, minusFour), c.d4), qkn_add_low8(qkn_mul_low8(c.d1, minusFour), c.d3),
      qkn_sub_low8(c.d4, c.d2), qkn_sub_low8(c.d3, c.d1), qkn_sub_low8(c.d0, c.d2), qkn_sub_low8(c.d5, c.d3), four)
  }

  /// Of the upper halves of bytes.
  @inline(__always)
  init(high column: InputColumn, _ four: int16x8_t, _ minusFour: int8x16_t) {
    let c = column
    self.init(
      terms: qkn_add_high8(qkn_mul_high8(c.d2, minusFour), c.d4), qkn_add_high8(qkn_mul_high8(c.d1, minusFour), c.d3),
      qkn_sub_high8(c.d4, c.d2), qkn_sub_high8(c.d3, c.d1), qkn_sub_high8(c.d0, c.d2), qkn_sub_high8(c.d5, c.d3), four)
  }

  /// Stores the six vectors `stride` bytes apart.
  @inline(__always) func store(_ p: UnsafeMutableRawPointer, _ stride: Int) {
    qkn_store16(p, v0)
    qkn_store16(p + stride, v1)
    qkn_store16(p + 2 &* stride, v2)
    qkn_store16(p + 3 &* stride, v3)
    qkn_store16(p + 4 &* stride, v4)
    qkn_store16(p + 5 &* stride, v5)
  }
}

/// Six input pixels of a column, 16 channels.
private struct InputColumn {
  let d0: int8x16_t, d1: int8x16_t, d2: int8x16_t, d3: int8x16_t, d4: int8x16_t, d5: int8x16_t
}

/// Six sums per lane multiplied by [1 -4 -4 1 1 0; 0 -2 2 1 -1 0; 0 -1 -1 1 1 0; 0 -1 1 2 -2 1]: 24, 12, 6 and 6 times the
/// outputs of a row.
private struct TransformedSums {
  let v0: int32x4_t, v1: int32x4_t, v2: int32x4_t, v3: int32x4_t

  /// Of six vectors 256 bytes apart.
  @inline(__always)
  init(loading p: UnsafeRawPointer, _ factors: SumFactors) {
    let middle = MiddleSums(
      SumAndDifference(qkn_load32(p + 256), qkn_load32(p + 512)),
      SumAndDifference(qkn_load32(p + 768), qkn_load32(p + 1024)), factors)
    v0 = qkn_add(middle.v0, qkn_load32(p))
    v1 = middle.v1
    v2 = middle.v2
    v3 = qkn_add(middle.v3, qkn_load32(p + 1280))
  }
}

/// The same without the first and the last of the six sums.
private struct MiddleSums {
  let v0: int32x4_t, v1: int32x4_t, v2: int32x4_t, v3: int32x4_t

  @inline(__always)
  init(_ m12: SumAndDifference, _ m34: SumAndDifference, _ factors: SumFactors) {
    v2 = qkn_sub(m34.sum, m12.sum)
    v0 = qkn_mls(m34.sum, m12.sum, factors.four)
    v3 = qkn_sub(qkn_add(m34.difference, m34.difference), m12.difference)
    v1 = qkn_mls(m34.difference, m12.difference, factors.two)
  }
}

private struct SumFactors {
  let two = qkn_constant32(2), four = qkn_constant32(4)
}

private struct SumAndDifference {
  let sum: int32x4_t, difference: int32x4_t

  @inline(__always)
  init(_ a: int32x4_t, _ b: int32x4_t) {
    sum = qkn_add(a, b)
    difference = qkn_sub(a, b)
  }

  @inline(__always) init(loading p: UnsafeRawPointer) {
    sum = qkn_load32(p)
    difference = qkn_load32(p + 16)
  }

  @inline(__always) func store(_ p: UnsafeMutableRawPointer) {
    qkn_store32(p, sum)
    qkn_store32(p + 16, difference)
  }
}

/// Where values of four tiles lie.
private struct TilePlaces {
  let a: UnsafeMutableRawPointer, b: UnsafeMutableRawPointer, c: UnsafeMutableRawPointer, d: UnsafeMutableRawPointer

  @inline(__always) init(_ first: UnsafeMutableRawPointer, _ stride: Int) {
    a = first
    b = a + stride
    c = b + stride
    d = c + stride
  }

  @inline(__always) private init(
    a: UnsafeMutableRawPointer, b: UnsafeMutableRawPointer, c: UnsafeMutableRawPointer, d: UnsafeMutableRawPointer
  ) {
    self.a = a
    self.b = b
    self.c = c
    self.d = d
  }

  @inline(__always) static func + (places: TilePlaces, offset: Int) -> TilePlaces {
    TilePlaces(a: places.a + offset, b: places.b + offset, c: places.c + offset, d: places.d + offset)
  }
}

/// The sums of one of the 36 products for 8 output channels of four tiles.
private struct ProductSums {
  var a0: int32x4_t, a1: int32x4_t, b0: int32x4_t, b1: int32x4_t
  var c0: int32x4_t, c1: int32x4_t, d0: int32x4_t, d1: int32x4_t

  @inline(__always) init(_ places: TilePlaces) {
    a0 = qkn_load32(places.a)
    a1 = qkn_load32(places.a + 16)
    b0 = qkn_load32(places.b)
    b1 = qkn_load32(places.b + 16)
    c0 = qkn_load32(places.c)
    c1 = qkn_load32(places.c + 16)
    d0 = qkn_load32(places.d)
    d1 = qkn_load32(places.d + 16)
  }

  @inline(__always) func store(_ places: TilePlaces) {
    qkn_store32(places.a, a0)
    qkn_store32(places.a + 16, a1)
    qkn_store32(places.b, b0)
    qkn_store32(places.b + 16, b1)
    qkn_store32(places.c, c0)
    qkn_store32(places.c + 16, c1)
    qkn_store32(places.d, d0)
    qkn_store32(places.d + 16, d1)
  }

  /// Adds the products of 8 input channels at `offset`; moves the weights on by `stride` for each pair of channels. Weights
  /// are loaded one pair ahead, and what comes next from `x` not before the last pair.
  @inline(__always)
  mutating func add(
    _ x: inout UnsafeRawPointer, _ offset: Int, _ weights: inout UnsafeRawPointer, _ stride: Int
  ) {
    let p = x + offset
    let a = qkn_load16(p), b = qkn_load16(p + 16), c = qkn_load16(p + 32), d = qkn_load16(p + 48)
    add(a, b, c, d, &weights, stride, 0)
    add(a, b, c, d, &weights, stride, 2)
    add(a, b, c, d, &weights, stride, 4)
    x = after(x)
    add(a, b, c, d, &weights, stride, 6)
  }

  /// The address as it is, for loads that come after these sums.
  @inline(__always) func after(_ p: UnsafeRawPointer) -> UnsafeRawPointer {
    qkn_after(p, a0, a1, b0, b1, c0, c1, d0, d1)
  }

  /// Adds the products of a pair of channels.
  @inline(__always)
  private mutating func add(
    _ a: int16x8_t, _ b: int16x8_t, _ c: int16x8_t, _ d: int16x8_t, _ weights: inout UnsafeRawPointer, _ stride: Int,
    _ lane: Int
  ) {
    let w = qkn_load16_by_2(weights)
    add(a, b, c, d, w.even, lane)
    weights = after(weights + stride)
    add(a, b, c, d, w.odd, lane &+ 1)
  }

  @inline(__always)
  private mutating func add(
    _ a: int16x8_t, _ b: int16x8_t, _ c: int16x8_t, _ d: int16x8_t, _ w: int16x8_t, _ lane: Int
  ) {
    a0 = qkn_mla_low16_lane(a0, w, a, lane)
    a1 = qkn_mla_high16_lane(a1, w, a, lane)
    b0 = qkn_mla_low16_lane(b0, w, b, lane)
    b1 = qkn_mla_high16_lane(b1, w, b, lane)
    c0 = qkn_mla_low16_lane(c0, w, c, lane)
    c1 = qkn_mla_high16_lane(c1, w, c, lane)
    d0 = qkn_mla_low16_lane(d0, w, d, lane)
    d1 = qkn_mla_high16_lane(d1, w, d, lane)
  }
}

/// One call.
private struct Winograd3x3 {
  let input: UnsafePointer<Int8>
  let height: Int
  let width: Int
  let channelCount: Int
  let padTop: Int
  let padLeft: Int
  let outputHeight: Int
  let outputWidth: Int
  let zeroPoint: Int32
  let weights: UnsafeRawPointer
  let quantization: qk_channel_quantization
  let output: UnsafeMutablePointer<Int8>
  let outputChannelCount: Int
  let tilesPerRow: Int
  let tileCount: Int

  /// The sums of a channel block, transformed along the columns: [4 tiles][6][4 rows][16].
  let sums: UnsafeMutableRawPointer
  /// ``SumAndDifference`` of the second and the third of a column's six products, 8 output channels: [4 tiles][2][2][4].
  let middle: UnsafeMutableRawPointer
  /// The start values of products: zeros, and those of the products (1, 1) of a channel block: 36 times the biases, which
  /// come out as 576, 288, ... times the biases everywhere; [3][4 equal][8].
  let starts: UnsafeMutableRawPointer
  /// The inverse of 9 modulo 2^32 times 1, 2, 4, 4.
  let inverses: UnsafeMutableRawPointer
  /// Columns of a tile row, transformed: [18][6][16] int16.
  let columns: UnsafeMutableRawPointer
  /// Transformed input of four tiles: [6 columns][channelCount / 8][6 rows][4 tiles][8] int16.
  let tiles: UnsafeMutableRawPointer
  /// A pixel of zero points.
  let padding: UnsafeMutablePointer<Int8>

  init(_ args: qk_winograd3x3_args) {
    input = args.input
    height = Int(args.height)
    width = Int(args.width)
    channelCount = Int(args.channelCount)
    padTop = Int(args.padTop)
    padLeft = Int(args.padLeft)
    outputHeight = Int(args.outputHeight)
    outputWidth = Int(args.outputWidth)
    zeroPoint = args.inputZeroPoint
    weights = UnsafeRawPointer(args.weights)
    quantization = args.quantization
    output = args.output
    outputChannelCount = Int(args.outputChannelCount)
    tilesPerRow = (outputWidth &+ 3) / 4
    tileCount = tilesPerRow &* ((outputHeight &+ 3) / 4)
    sums = args.scratch
    middle = sums + 6144
    starts = middle + 256
    inverses = starts + 384
    columns = inverses + 64
    tiles = columns + 3456
    padding = (tiles + 288 &* channelCount).assumingMemoryBound(to: Int8.self)
  }

  func run() {
    for channel in 0..<channelCount { padding[channel] = Int8(truncatingIfNeeded: zeroPoint) }
    storeStarts(0, qkn_set1(0), qkn_set1(0))
    for i in 0..<4 {
      inverses.storeBytes(of: 0x38E3_8E39 &<< Int32(min(i, 2)), toByteOffset: 4 &* i, as: Int32.self)
    }
    var first = 0
    while first < tileCount {
      transformInput(first)
      var channel = 0
      while channel < outputChannelCount {
        multiply(channel)
        finish(first, channel)
        channel &+= 16
      }
      first &+= 4
    }
  }

  /// Transforms the input of tiles `first ..< first + 4`, as far as there are any.
  private func transformInput(_ first: Int) {
    let end = min(first &+ 4, tileCount)
    var tile = first
    while tile < end {
      // Tiles that lie side by side share columns.
      let tileRow = tile / tilesPerRow
      let tileColumn = tile &- tileRow &* tilesPerRow
      let count = min(end &- tile, tilesPerRow &- tileColumn)
      for block in 0..<(channelCount / 16) {
        transformColumns(4 &* tileRow &- padTop, 4 &* tileColumn &- padLeft, 4 &* count &+ 2, block)
        transformRows(tile &- first, count, block)
      }
      tile &+= count
    }
  }

  /// Row `y` of the input, or the pixel of zero points with a step of 0.
  @inline(__always)
  private func row(_ y: Int) -> (start: UnsafePointer<Int8>, step: Int) {
    y >= 0 && y < height ? (input + y &* width &* channelCount, channelCount) : (UnsafePointer(padding), 0)
  }

  /// Transforms columns `left ..< left + count` of the input, rows `top ..< top + 6`, 16 channels.
  @inline(never)
  private func transformColumns(_ top: Int, _ left: Int, _ count: Int, _ block: Int) {
    let r0 = row(top), r1 = row(top &+ 1), r2 = row(top &+ 2), r3 = row(top &+ 3), r4 = row(top &+ 4)
    let r5 = row(top &+ 5)
    let channel = 16 &* block
    let four = qkn_constant16(4), minusFour = qkn_constant8(-4)
    var place = columns
    for x in left..<(left &+ count) {
      let column =
        if x >= 0, x < width {
          InputColumn(
            d0: qkn_load8(r0.start + (x &* r0.step &+ channel)), d1: qkn_load8(r1.start + (x &* r1.step &+ channel)),
            d2: qkn_load8(r2.start + (x &* r2.step &+ channel)), d3: qkn_load8(r3.start + (x &* r3.step &+ channel)),
            d4: qkn_load8(r4.start + (x &* r4.step &+ channel)), d5: qkn_load8(r5.start + (x &* r5.step &+ channel)))
        } else {
          InputColumn(repeating: qkn_set1_8(Int8(truncatingIfNeeded: zeroPoint)))
        }
      TransformedInput(low: column, four, minusFour).store(place, 32)
      TransformedInput(high: column, four, minusFour).store(place + 16, 32)
      place += 192
    }
  }

  /// Transforms the rows of the columns' `count` tiles, and stores them as tiles `tile ..< tile + count` of four.
  @inline(never)
  private func transformRows(_ tile: Int, _ count: Int, _ block: Int) {
    let four = qkn_constant16(4)
    var source = UnsafeRawPointer(columns)
    var place = tiles + (block &* 768 &+ tile &* 16)
    for _ in 0..<count {
      for half in 0..<2 {
        for row in 0..<6 {
          let p = source + (32 &* row &+ 16 &* half)
          TransformedInput(
            qkn_load16(p), qkn_load16(p + 192), qkn_load16(p + 384), qkn_load16(p + 576), qkn_load16(p + 768),
            qkn_load16(p + 960), four
          ).store(place + (64 &* row &+ 384 &* half), 48 &* channelCount)
        }
      }
      source += 768
      place += 16
    }
  }

  /// The products of four tiles with the channel block at `channel`.
  private func multiply(_ channel: Int) {
    let biases = LanesNEON(loading: quantization.bias + channel).map { qkn_mul($0, qkn_set1(36)) }
    storeStarts(1, biases.a, biases.b)
    storeStarts(2, biases.c, biases.d)
    var w = weights + channel &* 72 &* channelCount
    var x = UnsafeRawPointer(tiles)
    for column in 0..<6 {
      let place = sums + 256 &* column
      multiply(x, w, starts + (column == 1 ? 128 : 0), place)
      multiply(x, w + 32, starts + (column == 1 ? 256 : 0), place + 32)
      x += 48 &* channelCount
      w += 192 &* channelCount
    }
  }

  @inline(__always)
  private func storeStarts(_ index: Int, _ a: int32x4_t, _ b: int32x4_t) {
    for i in 0..<4 {
      qkn_store32(starts + (128 &* index &+ 32 &* i), a)
      qkn_store32(starts + (128 &* index &+ 32 &* i &+ 16), b)
    }
  }

  /// The products of a column of four tiles with 8 output channels, transformed along the column: two of six at a time, in
  /// an order in which the last two start with what the others contribute.
  @inline(never)
  private func multiply(
    _ x: UnsafeRawPointer, _ w: UnsafeRawPointer, _ start: UnsafeMutableRawPointer, _ place: UnsafeMutableRawPointer
  ) {
    let (m1, m2) = products(1, 2, x, w, ProductSums(TilePlaces(start, 32)), ProductSums(TilePlaces(starts, 32)))
    SumAndDifference(m1.a0, m2.a0).store(middle)
    SumAndDifference(m1.a1, m2.a1).store(middle + 32)
    SumAndDifference(m1.b0, m2.b0).store(middle + 64)
    SumAndDifference(m1.b1, m2.b1).store(middle + 96)
    SumAndDifference(m1.c0, m2.c0).store(middle + 128)
    SumAndDifference(m1.c1, m2.c1).store(middle + 160)
    SumAndDifference(m1.d0, m2.d0).store(middle + 192)
    SumAndDifference(m1.d1, m2.d1).store(middle + 224)
    // Loads of two registers are shorter than copies.
    let again = UnsafeMutableRawPointer(mutating: qkn_opaque(starts).unsafelyUnwrapped)
    let (m3, m4) = products(3, 4, x, w, ProductSums(TilePlaces(starts, 32)), ProductSums(TilePlaces(again, 32)))
    // Addresses too far apart for one base with what pairs of stores allow.
    let places = TilePlaces(place, qkn_single(1536))
    let factors = SumFactors()
    storeMiddle(middle, m3.a0, m4.a0, m3.a1, m4.a1, factors, places.a)
    storeMiddle(middle + 64, m3.b0, m4.b0, m3.b1, m4.b1, factors, places.b)
    storeMiddle(middle + 128, m3.c0, m4.c0, m3.c1, m4.c1, factors, places.c)
    storeMiddle(middle + 192, m3.d0, m4.d0, m3.d1, m4.d1, factors, places.d)
    let (v0, v3) = products(0, 5, x, w, ProductSums(places), ProductSums(places + 192))
    v0.store(places)
    v3.store(places + 192)
  }

  /// Products `first` and `second` of a column's six added to `s` and `t`.
  @inline(__always)
  private func products(
    _ first: Int, _ second: Int, _ x: UnsafeRawPointer, _ w: UnsafeRawPointer, _ s: ProductSums, _ t: ProductSums
  ) -> (ProductSums, ProductSums) {
    var s = s, t = t
    var x = x, v = w + 64 &* first, w = w + 64 &* second
    let stride = qkn_single(384)
    var left = channelCount
    while left > 0 {
      s.add(&x, 64 &* first, &v, stride)
      t.add(&x, 64 &* second, &w, stride)
      x += 384
      left &-= 8
    }
    return (s, t)
  }

  /// Transforms eight channels of a tile along the column but for the first and the last sum.
  @inline(__always)
  private func storeMiddle(
    _ m12: UnsafeRawPointer, _ m3: int32x4_t, _ m4: int32x4_t, _ n3: int32x4_t, _ n4: int32x4_t, _ factors: SumFactors,
    _ place: UnsafeMutableRawPointer
  ) {
    let m = MiddleSums(SumAndDifference(loading: m12), SumAndDifference(m3, m4), factors)
    let n = MiddleSums(SumAndDifference(loading: m12 + 32), SumAndDifference(n3, n4), factors)
    qkn_store32(place, m.v0)
    qkn_store32(place + 16, n.v0)
    qkn_store32(place + 64, m.v1)
    qkn_store32(place + 80, n.v1)
    qkn_store32(place + 128, m.v2)
    qkn_store32(place + 144, n.v2)
    qkn_store32(place + 192, m.v3)
    qkn_store32(place + 208, n.v3)
  }

  /// The outputs of tiles `first ..< first + 4`, as far as there are any, and of the channel block at `channel`.
  private func finish(_ first: Int, _ channel: Int) {
    switch Vec.Requantizer.path8(quantization, channel) {
    case .rectified: finish(first, channel, Rectified.self)
    case .plain: finish(first, channel, Plain.self)
    case .general: finish(first, channel, General.self)
    }
  }

  @inline(never)
  private func finish<Path: RequantizationPath>(_ first: Int, _ channel: Int, _: Path.Type) {
    let requantizer = Vec.Requantizer(quantization, channel)
    let sumFactors = SumFactors()
    let rowBytes = outputWidth &* outputChannelCount
    let count = outputChannelCount &- channel
    var source = UnsafeRawPointer(sums)
    for tile in first..<min(first &+ 4, tileCount) {
      let tileRow = tile / tilesPerRow
      let y = 4 &* tileRow, x = 4 &* (tile &- tileRow &* tilesPerRow)
      let pixels = outputWidth &- x
      var place = output + ((y &* outputWidth &+ x) &* outputChannelCount &+ channel)
      for row in 0..<min(4, outputHeight &- y) {
        // Sums of output row 0, 1, 2, 3 and column 0, 1, 2, 3 carry the factor 24, 12, 6, 6 for either. The product with
        // this makes it 64.
        let factors = qkn_shift(qkn_load32(inverses), qkn_set1(Int32(truncatingIfNeeded: min(row, 2))))
        let p = source + 64 &* row
        let a = TransformedSums(loading: p, sumFactors), b = TransformedSums(loading: p + 16, sumFactors)
        let c = TransformedSums(loading: p + 32, sumFactors), d = TransformedSums(loading: p + 48, sumFactors)
        let v0 = LanesNEON(a.v0, b.v0, c.v0, d.v0).map { qkn_shift_right6(qkn_mul_lane0($0, factors)) }
        let v1 = LanesNEON(a.v1, b.v1, c.v1, d.v1).map { qkn_shift_right6(qkn_mul_lane1($0, factors)) }
        let v2 = LanesNEON(a.v2, b.v2, c.v2, d.v2).map { qkn_shift_right6(qkn_mul_lane2($0, factors)) }
        let v3 = LanesNEON(a.v3, b.v3, c.v3, d.v3).map { qkn_shift_right6(qkn_mul_lane2($0, factors)) }
        let bytes = BytesNEON(
          requantizer.bytes(v0, Path.self), requantizer.bytes(v1, Path.self), requantizer.bytes(v2, Path.self),
          requantizer.bytes(v3, Path.self))
        if pixels >= 4, count >= 16 {
          qkn_store8(place, bytes.a)
          qkn_store8(place + outputChannelCount, bytes.b)
          qkn_store8(place + 2 &* outputChannelCount, bytes.c)
          qkn_store8(place + 3 &* outputChannelCount, bytes.d)
        } else {
          storePart(bytes, place, pixels, count)
        }
        place += rowBytes
      }
      source += 1536
    }
  }

  /// Stores what exists of a row of four pixels at the right edge or of the last block.
  @inline(never)
  private func storePart(_ bytes: BytesNEON, _ place: UnsafeMutablePointer<Int8>, _ pixels: Int, _ count: Int) {
    storePixel(bytes.a, place, count)
    if pixels > 1 { storePixel(bytes.b, place + outputChannelCount, count) }
    if pixels > 2 { storePixel(bytes.c, place + 2 &* outputChannelCount, count) }
    if pixels > 3 { storePixel(bytes.d, place + 3 &* outputChannelCount, count) }
  }

  @inline(__always)
  private func storePixel(_ bytes: int8x16_t, _ place: UnsafeMutablePointer<Int8>, _ count: Int) {
    if count >= 16 { qkn_store8(place, bytes) } else { qkn_store8_first(place, bytes, count) }
  }
}

extension InputColumn {
  /// Six equal pixels.
  @inline(__always) fileprivate init(repeating pixel: int8x16_t) {
    self.init(d0: pixel, d1: pixel, d2: pixel, d3: pixel, d4: pixel, d5: pixel)
  }
}

/// The whole primitive.
func winograd3x3(_ args: UnsafePointer<qk_winograd3x3_args>) { Winograd3x3(args.pointee).run() }
