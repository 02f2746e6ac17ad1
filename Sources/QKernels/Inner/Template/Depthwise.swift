import QKernelsIntrinsics

// The depthwise primitive, compiled once per instruction set over that set's Vec: one channel block at a time, whose
// weights stay in registers while the pixels pass by. Four taps of a channel meet in one dot product.

/// The arguments of one channel block.
struct DepthwiseLoop {
  let taps: UnsafePointer<UnsafePointer<Int8>?>
  let pointerStride: Int
  let tapCount: Int
  let pixelStride: Int
  let pixelCount: Int
  let outputStride: Int

  @inline(__always) init(_ args: qk_depthwise_args) {
    taps = args.taps
    pointerStride = Int(args.pointerStride)
    tapCount = Int(args.tapCount)
    pixelStride = Int(args.pixelStride)
    pixelCount = Int(args.pixelCount)
    outputStride = Int(args.outputStride)
  }

  /// Taps `4 * group ..< 4 * group + 4` of a pixel; a tap past the end has weight 0, so any readable pointer serves.
  @inline(__always)
  private func input(_ list: UnsafePointer<UnsafePointer<Int8>?>, _ offset: Int, _ group: Int) -> Vec.Interleaved {
    let first = 4 &* group, last = tapCount &- 1
    return Vec.interleaved(
      list[first].unsafelyUnwrapped + offset,
      list[min(first &+ 1, last)].unsafelyUnwrapped + offset,
      list[min(first &+ 2, last)].unsafelyUnwrapped + offset,
      list[min(first &+ 3, last)].unsafelyUnwrapped + offset)
  }

  /// All pixels of the block at `channel`, with `G` groups of taps held in registers.
  @inline(__always)
  func block<let G: Int>(
    _ channel: Int, _ count: Int, _ weights: UnsafePointer<Int8>, _ q: qk_channel_quantization,
    _ output: UnsafeMutablePointer<Int8>, _: InlineArray<G, Void>
  ) {
    var w = InlineArray<G, Vec.Weights>(repeating: Vec.zeroWeights())
    for g in 0..<G { w[g] = Vec.weights(weights + 64 &* g) }
    let initial = Vec.accumulator(q, channel)
    let requantizer = Vec.Requantizer(q, channel)
    var list = taps
    var offset = channel
    var result = output + channel
    for _ in 0..<pixelCount {
      var accumulator = initial
      for g in 0..<G { accumulator = Vec.dot(accumulator, input(list, offset, g), w[g]) }
      if count == 16 { requantizer.store8(accumulator, result) } else { requantizer.store8(accumulator, result, count) }
      list += pointerStride
      offset &+= pixelStride
      result += outputStride
    }
  }

  /// The same for any number of groups, whose weights are loaded anew for each pixel.
  @inline(__always)
  func block(
    _ channel: Int, _ count: Int, _ weights: UnsafePointer<Int8>, _ q: qk_channel_quantization,
    _ output: UnsafeMutablePointer<Int8>, groups: Int
  ) {
    let initial = Vec.accumulator(q, channel)
    let requantizer = Vec.Requantizer(q, channel)
    var list = taps
    var offset = channel
    var result = output + channel
    for _ in 0..<pixelCount {
      var accumulator = initial
      for g in 0..<groups {
        accumulator = Vec.dot(accumulator, input(list, offset, g), Vec.weights(weights + 64 &* g))
      }
      if count == 16 { requantizer.store8(accumulator, result) } else { requantizer.store8(accumulator, result, count) }
      list += pointerStride
      offset &+= pixelStride
      result += outputStride
    }
  }
}

/// The whole primitive.
@inline(__always)
func depthwiseTemplate(_ args: UnsafePointer<qk_depthwise_args>) {
  let a = args.pointee
  let loop = DepthwiseLoop(a)
  let groups = (loop.tapCount &+ 3) / 4
  let channels = Int(a.channelCount)
  let output = a.output.unsafelyUnwrapped
  var channel = 0
  var weights = a.weights.unsafelyUnwrapped
  while channel < channels {
    let wide = Vec.depthwiseWide(loop, channel, channels, weights, a.quantization, output)
    if wide > 0 {
      weights += 4 &* wide &* groups
      channel &+= wide
      continue
    }
    let count = min(channels &- channel, 16)
    switch groups {
    case 1: loop.block(channel, count, weights, a.quantization, output, InlineArray<1, Void>(repeating: ()))
    case 2: loop.block(channel, count, weights, a.quantization, output, InlineArray<2, Void>(repeating: ()))
    case 3: loop.block(channel, count, weights, a.quantization, output, InlineArray<3, Void>(repeating: ()))
    default: loop.block(channel, count, weights, a.quantization, output, groups: groups)
    }
    weights += 64 &* groups
    channel &+= 16
  }
}
