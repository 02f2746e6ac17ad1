import QKernelsIntrinsics

// The matmul primitive, compiled once per instruction set over that set's Vec.
//
// A tile of MR output pixels x NB channel blocks stays in registers while the whole reduction passes by; every weight
// vector that is loaded serves MR pixels, every input group NB blocks.

/// The arguments that a tile needs, in registers.
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
  func tile<let MR: Int, let NB: Int>(_ pixel: Int, _ block: Int, _: InlineArray<MR, Void>, _: InlineArray<NB, Void>) {
    let channel = block &* 16
    var accumulators = InlineArray<MR, InlineArray<NB, Vec.Accumulator>>(
      repeating: InlineArray<NB, Vec.Accumulator>(repeating: Vec.zero()))
    for n in 0..<NB {
      let initial = Vec.accumulator(quantization, channel &+ 16 &* n)
      for m in 0..<MR { accumulators[m][n] = initial }
    }
    var w = weights + block &* blockBytes
    var row = 0
    while row < rowCount {
      var x = InlineArray<MR, UnsafePointer<Int8>>(repeating: weights)
      for m in 0..<MR {
        x[m] = rows[(pixel &+ m) &* pointerStride &+ row].unsafelyUnwrapped + (pixel &+ m) &* pixelStride
      }
      var offset = 0
      while offset < rowBytes {
        var weightVectors = InlineArray<NB, Vec.Weights>(repeating: Vec.zeroWeights())
        for n in 0..<NB { weightVectors[n] = Vec.weights(w + n &* blockBytes) }
        for m in 0..<MR {
          let input = Vec.input(x[m] + offset)
          for n in 0..<NB { accumulators[m][n] = Vec.dot(accumulators[m][n], input, weightVectors[n]) }
        }
        w += 64
        offset &+= 4
      }
      row &+= 1
    }
    // The compiler unrolls only loops with small bodies, and an accumulator that is indexed by a variable lives in memory:
    // hence one call per block, and memory on purpose for the rare block that is not full.
    if channelCount &- channel >= 16 &* NB {
      finish(accumulators, pixel, channel, 0)
      if NB > 1 { finish(accumulators, pixel, channel, 1) }
      return
    }
    var buffer = InlineArray<24, Vec.Accumulator>(repeating: Vec.zero())
    withUnsafeMutablePointer(to: &buffer) { buffer in
      let spilled = UnsafeMutableRawPointer(buffer)
      for m in 0..<MR {
        for n in 0..<NB { Vec.spill(accumulators[m][n], spilled + (m &* NB &+ n) &* Vec.accumulatorBytes) }
      }
      storePartly(spilled, pixel, channel, MR, NB)
    }
  }

  /// Requantizes and stores a tile of MR x NB accumulators in memory, whose last block is not full.
  func storePartly(_ spilled: UnsafeMutableRawPointer, _ pixel: Int, _ channel: Int, _ MR: Int, _ NB: Int) {
    for n in 0..<NB {
      let first: Int = channel &+ 16 &* n
      let requantizer = Vec.Requantizer(quantization, first)
      let count = min(channelCount &- first, 16)
      var result = output + (pixel &* outputStride &+ first &* outputBytes)
      for m in 0..<MR {
        let accumulator = Vec.reload(spilled + (m &* NB &+ n) &* Vec.accumulatorBytes)
        if outputBytes == 1 {
          requantizer.store8(accumulator, result, count)
        } else {
          requantizer.store16(accumulator, result, count)
        }
        result += outputStride
      }
    }
  }

  /// Requantizes and stores column `n` of a tile.
  @inline(__always)
  func finish<let MR: Int, let NB: Int>(
    _ accumulators: InlineArray<MR, InlineArray<NB, Vec.Accumulator>>, _ pixel: Int, _ channel: Int, _ n: Int
  ) {
    let first: Int = channel &+ 16 &* n
    let requantizer = Vec.Requantizer(quantization, first)
    var result = output + (pixel &* outputStride &+ first &* outputBytes)
    if outputBytes == 1 {
      for m in 0..<MR {
        requantizer.store8(accumulators[m][n], result)
        result += outputStride
      }
    } else {
      for m in 0..<MR {
        requantizer.store16(accumulators[m][n], result)
        result += outputStride
      }
    }
  }

  /// All pixels of blocks `block ..< block + NB`, in tiles of the widest heights that fit.
  @inline(__always)
  func column<let NB: Int, let MR: Int>(
    _ pixelCount: Int, _ block: Int, _ nb: InlineArray<NB, Void>, _ mr: InlineArray<MR, Void>
  ) {
    var pixel = 0
    while pixelCount &- pixel >= MR {
      tile(pixel, block, mr, nb)
      pixel &+= MR
    }
    if MR > 4, pixelCount &- pixel >= 4 {
      tile(pixel, block, InlineArray<4, Void>(repeating: ()), nb)
      pixel &+= 4
    }
    if pixelCount &- pixel >= 2 {
      tile(pixel, block, InlineArray<2, Void>(repeating: ()), nb)
      pixel &+= 2
    }
    if pixelCount &- pixel >= 1 {
      tile(pixel, block, InlineArray<1, Void>(repeating: ()), nb)
    }
  }
}

/// The whole primitive: matmul (one output byte) or matmul16 (two).
@inline(__always)
func matmulTemplate(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  let loop = MatmulLoop(args.pointee, outputBytes: outputBytes)
  let pixelCount = Int(args.pointee.pixelCount)
  let blocks = (loop.channelCount &+ 15) / 16
  var block = 0
  while block < blocks {
    if Vec.hasBlockPairs, blocks &- block >= 2 {
      loop.column(pixelCount, block, InlineArray<2, Void>(repeating: ()), Vec.PairPixels(repeating: ()))
      block &+= 2
    } else {
      loop.column(pixelCount, block, InlineArray<1, Void>(repeating: ()), Vec.SinglePixels(repeating: ()))
      block &+= 1
    }
  }
}
