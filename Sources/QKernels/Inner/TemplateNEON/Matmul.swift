import QKernelsIntrinsics

// The matmul primitive of the NEON sets, compiled once per set over that set's Vec.
//
// A tile of MR output pixels x NB channel blocks stays in registers while the whole reduction passes by. 16 bytes of a
// pixel's row are loaded at once; every lane of 4 of them meets 64 bytes of weights, which one instruction loads.

/// The outputs of matmul and of matmul16.
protocol MatmulOutput {
  /// Of an element.
  static var bytes: Int { get }
  /// The shortest way from the sums of a block to outputs.
  static func choice(_ q: qk_channel_quantization, _ channel: Int) -> PathChoice
  /// The way for ``PathChoice/rectified``, if there is any.
  associatedtype RectifiedPath: RequantizationPath
  /// Stores the first `count` of 16 outputs; all if it is more.
  static func store<Path: RequantizationPath>(
    _ requantizer: Vec.Requantizer, _ sum: LanesNEON, _: Path.Type, _ result: UnsafeMutableRawPointer, count: Int)
}

enum MatmulOutput8: MatmulOutput {
  typealias RectifiedPath = Rectified
  @inline(__always) static var bytes: Int { 1 }
  @inline(__always) static func choice(_ q: qk_channel_quantization, _ channel: Int) -> PathChoice {
    Vec.Requantizer.path8(q, channel)
  }
  @inline(__always)
  static func store<Path: RequantizationPath>(
    _ requantizer: Vec.Requantizer, _ sum: LanesNEON, _: Path.Type, _ result: UnsafeMutableRawPointer, count: Int
  ) {
    let bytes = requantizer.bytes(sum, Path.self)
    if count >= 16 { qkn_store8(result, bytes) } else { qkn_store8_first(result, bytes, count) }
  }
}

enum MatmulOutput16: MatmulOutput {
  typealias RectifiedPath = Plain
  @inline(__always) static var bytes: Int { 2 }
  @inline(__always) static func choice(_ q: qk_channel_quantization, _ channel: Int) -> PathChoice {
    Vec.Requantizer.path16(q, channel)
  }
  @inline(__always)
  static func store<Path: RequantizationPath>(
    _ requantizer: Vec.Requantizer, _ sum: LanesNEON, _: Path.Type, _ result: UnsafeMutableRawPointer, count: Int
  ) {
    let words = requantizer.words(sum, Path.self)
    if count >= 16 {
      qkn_store16(result, words.0)
      qkn_store16(result + 16, words.1)
    } else if count >= 8 {
      qkn_store16(result, words.0)
      qkn_store8_first(result + 16, qkn_bytes16(words.1), 2 &* (count &- 8))
    } else {
      qkn_store8_first(result, qkn_bytes16(words.0), 2 &* count)
    }
  }
}

/// The arguments that a tile needs.
struct MatmulLoop<Output: MatmulOutput> {
  let rows: UnsafePointer<UnsafePointer<Int8>?>
  let rowCount: Int
  let rowBytes: Int
  let pointerStride: Int
  let pixelStride: Int
  /// Bytes of packed weights per channel block.
  let blockBytes: Int
  let weights: UnsafePointer<Int8>
  let quantization: qk_channel_quantization
  let output: UnsafeMutableRawPointer
  /// Bytes.
  let outputStride: Int
  let channelCount: Int

  @inline(__always) init(_ args: qk_matmul_args) {
    rows = args.rows
    rowCount = Int(args.rowCount)
    rowBytes = Int(args.rowGroups) &* 4
    pointerStride = Int(args.pointerStride)
    pixelStride = Int(args.pixelStride)
    blockBytes = Int(args.rowCount) &* Int(args.rowGroups) &* 64
    weights = args.weights
    quantization = args.quantization
    output = args.output
    outputStride = Int(args.outputStride) &* Output.bytes
    channelCount = Int(args.channelCount)
  }

  /// Pixels `pixel ..< pixel + MR` of blocks `block ..< block + NB`.
  @inline(__always)
  func tile<let MR: Int, let NB: Int, Path: RequantizationPath>(
    _ pixel: Int, _ block: Int, _: Path.Type, _: InlineArray<MR, Void>, _: InlineArray<NB, Void>
  ) {
    let channel = block &* 16
    var accumulators = InlineArray<MR, InlineArray<NB, Vec.Accumulator>>(
      repeating: InlineArray<NB, Vec.Accumulator>(repeating: Vec.zero()))
    var w = InlineArray<NB, UnsafePointer<Int8>>(repeating: weights)
    for n in 0..<NB {
      w[n] = weights + (block &+ n) &* blockBytes
      var bias = UnsafeRawPointer(quantization.bias + (channel &+ 16 &* n))
      for m in 0..<MR {
        accumulators[m][n] = Vec.accumulator(bias)
        bias = qkn_opaque(bias)
      }
    }
    // Whole vectors of a row, then the one to three groups that are left.
    let vectorBytes = rowBytes & ~15
    let rest = rowBytes & 15
    let start: Int = pixel &* pixelStride &+ vectorBytes
    var row = 0
    // Rows of one group, as a first layer has: nothing but loads and products.
    while rowBytes == 4, pointerStride == 0, row < rowCount {
      let x = rows[row].unsafelyUnwrapped
      var inputs = InlineArray<MR, int8x16_t>(repeating: qkn_set1_8(0))
      for m in 0..<MR { inputs[m] = qkn_load_first4(x + (pixel &+ m) &* pixelStride) }
      group(&accumulators, inputs, &w, 0)
      row &+= 1
    }
    while row < rowCount {
      var x = InlineArray<MR, UnsafePointer<Int8>>(repeating: weights)
      if pointerStride == 0 {
        x[0] = rows[row].unsafelyUnwrapped + start
        for m in 1..<MR { x[m] = x[m &- 1] + pixelStride }
      } else {
        var list = rows + (pixel &* pointerStride &+ row)
        var distance = start
        for m in 0..<MR {
          x[m] = list[0].unsafelyUnwrapped + distance
          list += pointerStride
          distance &+= pixelStride
        }
      }
      var offset = 0 &- vectorBytes
      while offset != 0 {
        var inputs = InlineArray<MR, int8x16_t>(repeating: qkn_set1_8(0))
        for m in 0..<MR { inputs[m] = qkn_load8(x[m] + offset) }
        step(&accumulators, inputs, &w, 0)
        step(&accumulators, inputs, &w, 1)
        if Vec.stepsPerVector == 4 {
          step(&accumulators, inputs, &w, 2)
          step(&accumulators, inputs, &w, 3)
        }
        offset &+= 16
      }
      if rest != 0 {
        var inputs = InlineArray<MR, int8x16_t>(repeating: qkn_set1_8(0))
        if vectorBytes != 0 {
          // The row's last 16 bytes, some of which have had their turn.
          for m in 0..<MR { inputs[m] = qkn_load8(x[m] + (rest &- 16)) }
        } else if rest == 4 {
          for m in 0..<MR { inputs[m] = qkn_load_last4(x[m]) }
        } else if rest == 8 {
          for m in 0..<MR { inputs[m] = qkn_load_last8(x[m]) }
        } else {
          for m in 0..<MR { inputs[m] = qkn_load_last12(x[m]) }
        }
        if rest > 8 { group(&accumulators, inputs, &w, 1) }
        if rest > 4 { group(&accumulators, inputs, &w, 2) }
        group(&accumulators, inputs, &w, 3)
      }
      row &+= 1
    }

    // The compiler unrolls only loops with small bodies, and what is indexed by a variable lives in memory: hence one call
    // per block, and memory on purpose for the long way.
    if Path.choice != .general {
      finish(accumulators, pixel, channel, 0, Path.self)
      if NB > 1 { finish(accumulators, pixel, channel, 1, Path.self) }
      return
    }
    withUnsafeTemporaryAllocation(byteCount: 512, alignment: 16) { memory in
      let sums = memory.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: LanesNEON.self)
      for m in 0..<MR {
        for n in 0..<NB { sums[n &* MR &+ m] = Vec.total(accumulators[m][n]) }
      }
      for n in 0..<NB { storeAny(sums + n &* MR, pixel, MR, channel &+ 16 &* n) }
    }
  }

  /// Part `step` of 16 input bytes.
  @inline(__always)
  private func step<let MR: Int, let NB: Int>(
    _ accumulators: inout InlineArray<MR, InlineArray<NB, Vec.Accumulator>>, _ inputs: InlineArray<MR, int8x16_t>,
    _ w: inout InlineArray<NB, UnsafePointer<Int8>>, _ step: Int
  ) {
    for n in 0..<NB {
      let weightVectors = Vec.stepWeights(&w[n])
      for m in 0..<MR { accumulators[m][n] = Vec.dot(accumulators[m][n], inputs[m], weightVectors, step: step) }
    }
  }

  /// The group in lane `lane` of 16 input bytes.
  @inline(__always)
  private func group<let MR: Int, let NB: Int>(
    _ accumulators: inout InlineArray<MR, InlineArray<NB, Vec.Accumulator>>, _ inputs: InlineArray<MR, int8x16_t>,
    _ w: inout InlineArray<NB, UnsafePointer<Int8>>, _ lane: Int
  ) {
    for n in 0..<NB {
      let weightVectors = Vec.groupWeights(w[n])
      w[n] = qkn_next64(w[n])
      for m in 0..<MR { accumulators[m][n] = Vec.dot(accumulators[m][n], inputs[m], weightVectors, lane: lane) }
    }
  }

  /// Requantizes and stores column `n` of a tile.
  @inline(__always)
  private func finish<let MR: Int, let NB: Int, Path: RequantizationPath>(
    _ accumulators: InlineArray<MR, InlineArray<NB, Vec.Accumulator>>, _ pixel: Int, _ channel: Int, _ n: Int,
    _: Path.Type
  ) {
    let first: Int = channel &+ 16 &* n
    let count = channelCount &- first
    let requantizer = Vec.Requantizer(quantization, first)
    var result = output + (pixel &* outputStride &+ first &* Output.bytes)
    if count >= 16 {
      for m in 0..<MR {
        Output.store(requantizer, Vec.total(accumulators[m][n]), Path.self, result, count: 16)
        result += outputStride
      }
    } else {
      for m in 0..<MR {
        Output.store(requantizer, Vec.total(accumulators[m][n]), Path.self, result, count: count)
        result += outputStride
      }
    }
  }

  /// Requantizes the sums of `pixelCount` pixels of the block at channel `first` in the general way, and stores the
  /// channels that exist.
  @inline(never)
  private func storeAny(_ sums: UnsafePointer<LanesNEON>, _ pixel: Int, _ pixelCount: Int, _ first: Int) {
    let requantizer = Vec.Requantizer(quantization, first)
    var result = output + (pixel &* outputStride &+ first &* Output.bytes)
    for m in 0..<pixelCount {
      Output.store(requantizer, sums[m], General.self, result, count: channelCount &- first)
      result += outputStride
    }
  }

  /// All pixels of some blocks.
  @inline(__always)
  private func pixels<Path: RequantizationPath>(_ pixelCount: Int, _ blocks: Range<Int>, _: Path.Type) {
    let height = Vec.hasTallTiles ? 4 : 2
    let whole = pixelCount / height &* height
    if whole > 0 {
      if Vec.hasTallTiles {
        tiles(0, whole, blocks, Path.self, InlineArray<4, Void>(repeating: ()))
      } else {
        tiles(0, whole, blocks, Path.self, InlineArray<2, Void>(repeating: ()))
      }
    }
    switch pixelCount &- whole {
    case 3: tiles(whole, pixelCount, blocks, Path.self, InlineArray<3, Void>(repeating: ()))
    case 2: tiles(whole, pixelCount, blocks, Path.self, InlineArray<2, Void>(repeating: ()))
    case 1: single(whole, blocks, Path.self)
    default: break
    }
  }

  /// Pixels `first ..< end`, in tiles of MR. A function of its own, or there would be so much code in one that the compiler
  /// would not inline what must be.
  @inline(never)
  private func tiles<let MR: Int, Path: RequantizationPath>(
    _ first: Int, _ end: Int, _ blocks: Range<Int>, _: Path.Type, _ mr: InlineArray<MR, Void>
  ) {
    var block = blocks.lowerBound
    while block < blocks.upperBound {
      var pixel = first
      while pixel < end {
        tile(pixel, block, Path.self, mr, InlineArray<1, Void>(repeating: ()))
        pixel &+= MR
      }
      block &+= 1
    }
  }

  /// One pixel, in pairs of blocks, so that enough sums are under way at once.
  @inline(never)
  private func single<Path: RequantizationPath>(_ pixel: Int, _ blocks: Range<Int>, _: Path.Type) {
    let mr = InlineArray<1, Void>(repeating: ())
    var block = blocks.lowerBound
    while blocks.upperBound &- block >= 2 {
      tile(pixel, block, Path.self, mr, InlineArray<2, Void>(repeating: ()))
      block &+= 2
    }
    if block < blocks.upperBound { tile(pixel, block, Path.self, mr, InlineArray<1, Void>(repeating: ())) }
  }

  /// The whole primitive.
  @inline(__always)
  func run(_ pixelCount: Int) {
    let blocks = (channelCount &+ 15) / 16
    var block = 0
    while block < blocks {
      let path = Output.choice(quantization, 16 &* block)
      var end: Int = block &+ 1
      while end < blocks, Output.choice(quantization, 16 &* end) == path { end &+= 1 }
      let range = Range(uncheckedBounds: (block, end))
      switch path {
      case .rectified: pixels(pixelCount, range, Output.RectifiedPath.self)
      case .plain: pixels(pixelCount, range, Plain.self)
      case .general: pixels(pixelCount, range, General.self)
      }
      block = end
    }
  }
}

/// matmul.
@inline(__always)
func matmulNEON(_ args: UnsafePointer<qk_matmul_args>) {
  MatmulLoop<MatmulOutput8>(args.pointee).run(Int(args.pointee.pixelCount))
}

/// matmul16.
@inline(__always)
func matmul16NEON(_ args: UnsafePointer<qk_matmul_args>) {
  MatmulLoop<MatmulOutput16>(args.pointee).run(Int(args.pointee.pixelCount))
}
