import QKernelsIntrinsics

// Depthwise convolution under a window of 3 x 3: a column of four input rows is loaded and its bytes are brought side by
// side once, for all windows that see it: three neighbours, and with a vertical step of 1 also those of the next output
// row. Padding needs no copy of the input: a column beyond the sides is made of zero points, and the rows above and below
// have weights of zero and a share in the biases.

/// What the windows of one or two output rows need, in memory: too much for the registers.
private struct RowTable {
  typealias Memory = InlineArray<32, int8x16_t>
  let memory: UnsafeMutableRawPointer

  /// The weights of the first output row's three columns, then of the second's: 16 channels x 4 input rows each.
  @inline(__always) func weights(_ outputRow: Int, _ column: Int) -> UnsafeMutableRawPointer {
    memory + 64 &* (3 &* outputRow &+ column)
  }
  @inline(__always) func bias(_ outputRow: Int) -> UnsafeMutableRawPointer { memory + 64 &* (6 &+ outputRow) }

  /// Fills the table for four input rows of which those in the bit set `rows` are in the image.
  @inline(never)
  func fill(_ args: qk_depthwise3x3_args, channel: Int, rows: Int) {
    let packed = args.weights + channel &* 12
    let first = qkn_load64_by_4(packed), second = qkn_load64_by_4(packed + 64)
    let last = qkn_load_every4th(packed + 128)
    fill(args, channel, rows, 0, first.a, first.d, second.c)
    fill(args, channel, rows, 1, first.b, second.a, second.d)
    fill(args, channel, rows, 2, first.c, second.b, last)
  }

  /// The weights of column `column`, taps `x`, `y` and `z` from the top.
  @inline(__always)
  private func fill(
    _ args: qk_depthwise3x3_args, _ channel: Int, _ rows: Int, _ column: Int, _ x: int8x16_t, _ y: int8x16_t,
    _ z: int8x16_t
  ) {
    for outputRow in 0..<2 {
      let sees = rows >> outputRow
      let zero = qkn_set1_8(0)
      var sum = LanesNEON(
        loading: column == 0 ? UnsafeRawPointer(args.quantization.bias + channel) : UnsafeRawPointer(bias(outputRow)))
      let zeroPoint = qkn_set1_8(Int8(truncatingIfNeeded: args.inputZeroPoint))
      if sees & 1 == 0 { sum = Vec.plus(sum, x, zeroPoint) }
      if sees & 2 == 0 { sum = Vec.plus(sum, y, zeroPoint) }
      if sees & 4 == 0 { sum = Vec.plus(sum, z, zeroPoint) }
      qkn_store32(bias(outputRow), sum.a)
      qkn_store32(bias(outputRow) + 16, sum.b)
      qkn_store32(bias(outputRow) + 32, sum.c)
      qkn_store32(bias(outputRow) + 48, sum.d)
      let x = sees & 1 == 0 ? zero : x, y = sees & 2 == 0 ? zero : y, z = sees & 4 == 0 ? zero : z
      let quad =
        outputRow == 0 ? Vec.sideBySide(x, y, z, zero) : Vec.sideBySide(zero, x, y, z)
      let place = weights(outputRow, column)
      qkn_store8(place, quad.a)
      qkn_store8(place + 16, quad.b)
      qkn_store8(place + 32, quad.c)
      qkn_store8(place + 48, quad.d)
    }
  }
}

/// One block of channels of an image.
private struct Depthwise3x3Block<Path: RequantizationPath> {
  let table: RowTable
  let requantizer: Vec.Requantizer
  let zeroPoint: int8x16_t
  let input: UnsafePointer<Int8>
  let output: UnsafeMutablePointer<Int8>
  /// Of the block, up to 16 and more.
  let count: Int
  let channels: Int
  let width: Int
  let outputWidth: Int
  let stride: Int
  /// The first window's first column.
  let left: Int

  @inline(__always) init(_ args: qk_depthwise3x3_args, _ table: RowTable, channel: Int) {
    self.table = table
    requantizer = Vec.Requantizer(args.quantization, channel)
    zeroPoint = qkn_set1_8(Int8(truncatingIfNeeded: args.inputZeroPoint))
    input = args.input + channel
    output = args.output + channel
    channels = Int(args.channelCount)
    count = channels &- channel
    width = Int(args.width)
    outputWidth = Int(args.outputWidth)
    stride = Int(args.strideWidth)
    left = 0 &- Int(args.padLeft)
  }

  /// All output rows.
  @inline(never)
  static func run(_ args: qk_depthwise3x3_args, _ table: RowTable, channel: Int) {
    let block = Depthwise3x3Block(args, table, channel: channel)
    let rowBytes = block.width &* block.channels
    let outputHeight = Int(args.outputHeight), height = Int(args.height)
    let canPair = args.strideHeight == 1 && args.strideWidth == 1
    var output = block.output
    var filled = -1
    var y = 0
    while y < outputHeight {
      let top = y &* Int(args.strideHeight) &- Int(args.padTop)
      var rows = 0
      var pointers = InlineArray<4, UnsafePointer<Int8>>(repeating: block.input)
      for i in 0..<4 {
        if top &+ i >= 0, top &+ i < height {
          rows |= 1 &<< i
          pointers[i] += (top &+ i) &* rowBytes
        }
      }
      if rows != filled { table.fill(args, channel: channel, rows: rows) }
      filled = rows
      if canPair, outputHeight &- y >= 2 {
        block.twoRows(pointers, output)
        output += 2 &* block.outputWidth &* block.channels
        y &+= 2
      } else {
        block.oneRow(pointers, output)
        output += block.outputWidth &* block.channels
        y &+= 1
      }
    }
  }

  /// Column `x` of four input rows; the fourth has no weight where it does not exist.
  @inline(__always)
  private func column(_ rows: InlineArray<4, UnsafePointer<Int8>>, _ x: Int) -> BytesNEON {
    if _fastPath(UInt(bitPattern: x) < UInt(bitPattern: width)) {
      let offset = qkn_single(x &* channels)
      return Vec.sideBySide(
        qkn_load8(rows[0] + offset), qkn_load8(rows[1] + offset), qkn_load8(rows[2] + offset),
        qkn_load8(rows[3] + offset))
    }
    return BytesNEON(zeroPoint, zeroPoint, zeroPoint, zeroPoint)
  }

  /// One output pixel of row `row` of the table, whose weights are at `w`, which moves on to those of the next.
  @inline(__always)
  private func store(
    _ row: Int, _ w: inout UnsafePointer<Int8>, _ a: BytesNEON, _ b: BytesNEON, _ c: BytesNEON,
    _ output: UnsafeMutablePointer<Int8>
  ) {
    var sum = LanesNEON(loading: qkn_opaque(table.bias(row)))
    sum = Vec.plus(sum, a, Vec.stepWeights(&w))
    sum = Vec.plus(sum, b, Vec.stepWeights(&w))
    sum = Vec.plus(sum, c, Vec.stepWeights(&w))
    let bytes = requantizer.bytes(sum, Path.self)
    if _fastPath(count >= 16) { qkn_store8(output, bytes) } else { qkn_store8_first(output, bytes, count) }
  }

  /// An output pixel in the first row, with `second` also the one below it.
  @inline(__always)
  private func store(
    _ a: BytesNEON, _ b: BytesNEON, _ c: BytesNEON, _ first: UnsafeMutablePointer<Int8>,
    _ second: UnsafeMutablePointer<Int8>?
  ) {
    var w = qkn_opaque(table.memory).assumingMemoryBound(to: Int8.self)
    store(0, &w, a, b, c, first)
    if let second { store(1, &w, a, b, c, second) }
  }

  /// A row of output pixels.
  @inline(__always)
  private func oneRow(_ rows: InlineArray<4, UnsafePointer<Int8>>, _ output: UnsafeMutablePointer<Int8>) {
    var x = left
    var a = column(rows, x), b = column(rows, x &+ 1)
    var output = output
    for _ in 0..<outputWidth {
      let c = column(rows, x &+ 2)
      store(a, b, c, output, nil)
      output += channels
      x &+= stride
      a = stride == 1 ? b : stride == 2 ? c : column(rows, x)
      b = stride == 1 ? c : column(rows, x &+ 1)
    }
  }

  /// Two adjacent rows of output pixels, with steps of 1.
  @inline(__always)
  private func twoRows(_ rows: InlineArray<4, UnsafePointer<Int8>>, _ first: UnsafeMutablePointer<Int8>) {
    var x = left &+ 2
    let end: Int = x &+ outputWidth
    var a = column(rows, left), b = column(rows, left &+ 1)
    var first = first, second = first + outputWidth &* channels
    // Three pixels per round, so that columns need not change their registers.
    while true {
      let c = column(rows, x)
      store(a, b, c, first, second)
      first += channels
      second += channels
      x &+= 1
      if x == end { return }
      a = column(rows, x)
      store(b, c, a, first, second)
      first += channels
      second += channels
      x &+= 1
      if x == end { return }
      b = column(rows, x)
      store(c, a, b, first, second)
      first += channels
      second += channels
      x &+= 1
      if x == end { return }
    }
  }
}

/// The whole primitive.
@inline(__always)
func depthwise3x3NEON(_ args: UnsafePointer<qk_depthwise3x3_args>) {
  let a = args.pointee
  var memory = RowTable.Memory(repeating: qkn_set1_8(0))
  withUnsafeMutablePointer(to: &memory) { memory in
    let table = RowTable(memory: UnsafeMutableRawPointer(memory))
    var channel = 0
    while channel < Int(a.channelCount) {
      switch Vec.Requantizer.path8(a.quantization, channel) {
      case .rectified: Depthwise3x3Block<Rectified>.run(a, table, channel: channel)
      case .plain: Depthwise3x3Block<Plain>.run(a, table, channel: channel)
      case .general: Depthwise3x3Block<General>.run(a, table, channel: channel)
      }
      channel &+= 16
    }
  }
}
