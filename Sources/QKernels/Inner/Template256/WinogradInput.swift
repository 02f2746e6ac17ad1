import QKernelsIntrinsics

/// A column of six values per lane, in 16 bits, multiplied by
/// [4 0 -5 0 1 0; 0 -4 -4 1 1 0; 0 4 -4 -1 1 0; 0 -2 -1 2 1 0; 0 2 -1 -2 1 0; 0 4 0 -5 0 1].
private struct TransformedInput {
  let v0: __m256i, v1: __m256i, v2: __m256i, v3: __m256i, v4: __m256i, v5: __m256i

  @inline(__always)
  init(_ d0: __m256i, _ d1: __m256i, _ d2: __m256i, _ d3: __m256i, _ d4: __m256i, _ d5: __m256i) {
    let even = qk256_sub16(d4, qk256_shift_left16_by2(d2)), odd = qk256_sub16(d3, qk256_shift_left16_by2(d1))
    v1 = qk256_add16(even, odd)
    v2 = qk256_sub16(even, odd)
    let d42 = qk256_sub16(d4, d2), d31 = qk256_sub16(d3, d1)
    let twice = qk256_add16(d31, d31)
    v3 = qk256_add16(d42, twice)
    v4 = qk256_sub16(d42, twice)
    v0 = qk256_add16(qk256_shift_left16_by2(qk256_sub16(d0, d2)), d42)
    v5 = qk256_sub16(qk256_sub16(d5, d3), qk256_add16(twice, twice))
  }

  /// Six equal values.
  @inline(__always) init(repeating value: __m256i) { self.init(value, value, value, value, value, value) }

  /// Stores the six vectors `stride` bytes apart.
  @inline(__always) func store(_ p: UnsafeMutableRawPointer, _ stride: Int) {
    qk256_store(p, v0)
    qk256_store(p + stride, v1)
    qk256_store(p + 2 &* stride, v2)
    qk256_store(p + 3 &* stride, v3)
    qk256_store(p + 4 &* stride, v4)
    qk256_store(p + 5 &* stride, v5)
  }
}

/// The input of a call of winograd3x3, which is transformed for four tiles at a time.
struct WinogradInput {
  private let input: UnsafePointer<Int8>
  private let height: Int
  private let width: Int
  let channelCount: Int
  private let padTop: Int
  private let padLeft: Int
  private let zeroPoint: Int32
  let tilesPerRow: Int
  let tileCount: Int

  /// Transformed input of four tiles: [6 columns][channelCount / 16][6 rows][4 tiles][16] int16.
  let tiles: UnsafeMutableRawPointer
  /// Columns of a tile row, transformed: [18][6][16] int16.
  private let columns: UnsafeMutableRawPointer
  /// A pixel of zero points.
  private let padding: UnsafeMutablePointer<Int8>

  /// Uses 3456 + 289 · channelCount bytes at `memory`.
  @inline(__always)
  init(_ args: qk_winograd3x3_args, _ memory: UnsafeMutableRawPointer) {
    input = args.input
    height = Int(args.height)
    width = Int(args.width)
    channelCount = Int(args.channelCount)
    padTop = Int(args.padTop)
    padLeft = Int(args.padLeft)
    zeroPoint = args.inputZeroPoint
    tilesPerRow = (Int(args.outputWidth) &+ 3) / 4
    tileCount = tilesPerRow &* ((Int(args.outputHeight) &+ 3) / 4)
    columns = memory
    tiles = columns + 3456
    padding = (tiles + 288 &* channelCount).assumingMemoryBound(to: Int8.self)
    for channel in 0..<channelCount { padding[channel] = Int8(truncatingIfNeeded: zeroPoint) }
  }

  /// Transforms the input of tiles `first ..< first + 4`, as far as there are any.
  @inline(__always)
  func transform(_ first: Int) {
    let end = min(first &+ 4, tileCount)
    var tile = first
    while tile < end {
      // Tiles that lie side by side share columns.
      let tileRow = tile / tilesPerRow
      let tileColumn = tile &- tileRow &* tilesPerRow
      let count = min(end &- tile, tilesPerRow &- tileColumn)
      for block in 0..<(channelCount / 16) {
        transformColumns(4 &* tileRow &- padTop, 4 &* tileColumn &- padLeft, 4 &* count &+ 2, block)
        for index in 0..<count { transformRows(index, tile &- first &+ index, block) }
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
  private func transformColumns(_ top: Int, _ left: Int, _ count: Int, _ block: Int) {
    let r0 = row(top), r1 = row(top &+ 1), r2 = row(top &+ 2), r3 = row(top &+ 3), r4 = row(top &+ 4)
    let r5 = row(top &+ 5)
    let channel = 16 &* block
    var place = columns
    for x in left..<(left &+ count) {
      let column =
        if x >= 0, x < width {
          TransformedInput(
            qk256_widen8to16(r0.start + (x &* r0.step &+ channel)),
            qk256_widen8to16(r1.start + (x &* r1.step &+ channel)),
            qk256_widen8to16(r2.start + (x &* r2.step &+ channel)),
            qk256_widen8to16(r3.start + (x &* r3.step &+ channel)),
            qk256_widen8to16(r4.start + (x &* r4.step &+ channel)),
            qk256_widen8to16(r5.start + (x &* r5.step &+ channel)))
        } else {
          TransformedInput(repeating: qk256_set1_16(Int16(truncatingIfNeeded: zeroPoint)))
        }
      column.store(place, 32)
      place += 192
    }
  }

  /// Transforms the rows of the tile that begins at column `4 * index` of the columns, and stores it as tile `tile` of four.
  @inline(__always)
  private func transformRows(_ index: Int, _ tile: Int, _ block: Int) {
    let source = columns + index &* 768
    let place = tiles + (block &* 768 &+ tile &* 32)
    for row in 0..<6 {
      let p = source + 32 &* row
      TransformedInput(
        qk256_load(p), qk256_load(p + 192), qk256_load(p + 384), qk256_load(p + 576), qk256_load(p + 768),
        qk256_load(p + 960)
      ).store(place + 128 &* row, 48 &* channelCount)
    }
  }
}
