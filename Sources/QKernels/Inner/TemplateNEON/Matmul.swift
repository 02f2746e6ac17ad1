import QKernelsIntrinsics

// The matmul primitive of the NEON sets, compiled once per set over that set's Vec.
//
// A tile of MR output pixels x NB channel blocks stays in registers while the whole reduction passes by. 16 bytes of a
// pixel's row are loaded at once; every lane of 4 of them meets 64 bytes of weights, which one instruction loads.

/// The arguments that a tile needs.
struct MatmulLoop {
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
  /// 1 or 2.
  let outputBytes: Int
  let channelCount: Int

  @inline(__always) init(_ args: qk_matmul_args, outputBytes: Int) {
    rows = args.rows
    rowCount = Int(args.rowCount)
    rowBytes = Int(args.rowGroups) &* 4
    pointerStride = Int(args.pointerStride)
    pixelStride = Int(args.pixelStride)
    blockBytes = Int(args.rowCount) &* Int(args.rowGroups) &* 64
    weights = args.weights
    quantization = args.quantization
    self.outputBytes = outputBytes
    output = args.output
    outputStride = Int(args.outputStride) &* outputBytes
    channelCount = Int(args.channelCount)
  }

  /// Pixels `pixel ..< pixel + MR` of blocks `block ..< block + NB`.
  @inline(__always)
  func tile<let MR: Int, let NB: Int>(
    _ pixel: Int, _ block: Int, path: PathChoice, _: InlineArray<MR, Void>, _: InlineArray<NB, Void>
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

    if path != .general, channelCount &- channel >= 16 &* NB {
      if path == .rectified {
        finish(accumulators, pixel, channel, Rectified.self)
      } else {
        finish(accumulators, pixel, channel, Plain.self)
      }
      return
    }
    // The compiler unrolls only loops with small bodies, and what is indexed by a variable lives in memory: on purpose here.
    var sums = InlineArray<16, LanesNEON>(repeating: LanesNEON(repeating: 0))
    withUnsafeMutablePointer(to: &sums) { pointer in
      let sums = UnsafeMutableRawPointer(pointer).assumingMemoryBound(to: LanesNEON.self)
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

  /// Requantizes and stores the tile.
  @inline(__always)
  private func finish<let MR: Int, let NB: Int, Path: RequantizationPath>(
    _ accumulators: InlineArray<MR, InlineArray<NB, Vec.Accumulator>>, _ pixel: Int, _ channel: Int,
    _: Path.Type
  ) {
    for n in 0..<NB {
      let first: Int = channel &+ 16 &* n
      let requantizer = Vec.Requantizer(quantization, first)
      var result = output + (pixel &* outputStride &+ first &* outputBytes)
      for m in 0..<MR {
        store(requantizer, Vec.total(accumulators[m][n]), Path.self, result)
        result += outputStride
      }
    }
  }

  @inline(__always)
  private func store<Path: RequantizationPath>(
    _ requantizer: Vec.Requantizer, _ sum: LanesNEON, _: Path.Type, _ result: UnsafeMutableRawPointer
  ) {
    if outputBytes == 1 {
      qkn_store8(result, requantizer.bytes(sum, Path.self))
    } else {
      let words = requantizer.words(sum, Path.self)
      qkn_store16(result, words.0)
      qkn_store16(result + 16, words.1)
    }
  }

  /// Requantizes the sums of `count` pixels of the block at channel `first` in the general way, and stores the channels
  /// that exist.
  @inline(never)
  private func storeAny(_ sums: UnsafeMutablePointer<LanesNEON>, _ pixel: Int, _ count: Int, _ first: Int) {
    let requantizer = Vec.Requantizer(quantization, first)
    let bytes = min(channelCount &- first, 16) &* outputBytes
    var result = output + (pixel &* outputStride &+ first &* outputBytes)
    for m in 0..<count {
      if bytes == 16 &* outputBytes {
        store(requantizer, sums[m], General.self, result)
      } else {
        let block = UnsafeMutableRawPointer(sums + m)
        store(requantizer, sums[m], General.self, block)
        if bytes < 16 {
          qkn_store8_first(result, qkn_load8(block), bytes)
        } else {
          qkn_store8(result, qkn_load8(block))
          qkn_store8_first(result + 16, qkn_load8(block + 16), bytes &- 16)
        }
      }
      result += outputStride
    }
  }

  /// The requantization of block `block`.
  @inline(__always)
  func path(_ block: Int) -> PathChoice {
    outputBytes == 1
      ? Vec.Requantizer.path8(quantization, 16 &* block) : Vec.Requantizer.path16(quantization, 16 &* block)
  }

  /// All pixels of block `block` but a last one that is left over.
  @inline(__always)
  func column(_ pixelCount: Int, _ block: Int) {
    let path = path(block)
    var pixel = 0
    if Vec.hasTallTiles {
      pixel = pixelCount & ~3
      if pixel > 0 { tiles(0, pixel, block, path, InlineArray<4, Void>(repeating: ())) }
      if pixelCount &- pixel == 3 { tiles(pixel, pixelCount, block, path, InlineArray<3, Void>(repeating: ())) }
      if pixelCount &- pixel == 2 { tiles(pixel, pixelCount, block, path, InlineArray<2, Void>(repeating: ())) }
    } else {
      tiles(0, pixelCount & ~1, block, path, InlineArray<2, Void>(repeating: ()))
    }
  }

  /// Pixels `first ..< end`, in tiles of MR. A function of its own, or there would be so much code in one that the compiler
  /// would not inline what must be.
  @inline(never)
  private func tiles<let MR: Int>(
    _ first: Int, _ end: Int, _ block: Int, _ path: PathChoice, _ mr: InlineArray<MR, Void>
  ) {
    var pixel = first
    while pixel < end {
      tile(pixel, block, path: path, mr, InlineArray<1, Void>(repeating: ()))
      pixel &+= MR
    }
  }

  /// Pixel `pixel` of all blocks, in pairs, so that enough sums are under way at once.
  @inline(__always)
  func row(_ pixel: Int, blocks: Int) {
    let mr = InlineArray<1, Void>(repeating: ())
    var block = 0
    while blocks &- block >= 2 {
      let first = path(block)
      let path = path(block &+ 1) == first ? first : .general
      tile(pixel, block, path: path, mr, InlineArray<2, Void>(repeating: ()))
      block &+= 2
    }
    if block < blocks { tile(pixel, block, path: path(block), mr, InlineArray<1, Void>(repeating: ())) }
  }
}

/// The whole primitive: matmul (one output byte) or matmul16 (two).
@inline(__always)
func matmulTemplate(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  let loop = MatmulLoop(args.pointee, outputBytes: outputBytes)
  let pixelCount = Int(args.pointee.pixelCount)
  let blocks = (loop.channelCount &+ 15) / 16
  if pixelCount > 1 {
    for block in 0..<blocks { loop.column(pixelCount, block) }
  }
  // The tiles of a column leave three pixels, two or one, and only in the last case a pixel that has no partner.
  if pixelCount & 1 != 0, !Vec.hasTallTiles || pixelCount & 3 == 1 { loop.row(pixelCount &- 1, blocks: blocks) }
}
