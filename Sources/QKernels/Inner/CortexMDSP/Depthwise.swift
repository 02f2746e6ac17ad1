import QKernelsIntrinsics

// The depthwise primitive, four channels at a time: their weights are widened once for all pixels of the call.

/// Most taps that are widened at once; windows with more are computed in pieces.
private var tapCapacity: Int { Int(QK_DSP_BUFFER_WORDS) / 2 }

@inline(__always)
func convolveDepthwise(_ args: UnsafePointer<qk_depthwise_args>) {
  var buffer = qk_dsp_any_buffer()
  withUnsafeMutablePointer(to: &buffer) { buffer in
    let words = UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Int32.self)
    let tapCount = Int(args.pointee.tapCount), channelCount = Int(args.pointee.channelCount)
    let finish = Finish(
      args.pointee.quantization, channelCount: channelCount, products: tapCount, outputBytes: 1)
    let groups = (tapCount &+ 3) / 4
    var channel = 0
    while channel < channelCount {
      let blockOffset: Int = (channel & ~15) &* 4 &* groups
      let weights: UnsafePointer<Int8> = args.pointee.weights + (blockOffset &+ (channel & 15) &* 4)
      if tapCount <= tapCapacity {
        convolveFourChannels(args, finish, weights, channel, words)
      } else {
        convolveLargeWindow(args, finish, weights, channel, words)
      }
      channel &+= 4
    }
  }
}

@inline(__always)
private func convolveFourChannels(
  _ args: UnsafePointer<qk_depthwise_args>, _ finish: Finish, _ weights: UnsafePointer<Int8>, _ channel: Int,
  _ words: UnsafeMutablePointer<Int32>
) {
  let bias: UnsafePointer<Int32> = args.pointee.quantization.bias + channel
  let triples = args.pointee.tapCount / 3
  let singles = args.pointee.tapCount &- 3 &* triples
  let count = Int(args.pointee.channelCount) &- channel
  widenWeights(weights, Int(args.pointee.tapCount &+ 3) / 4, words)
  var taps: UnsafePointer<UnsafePointer<Int8>?> = args.pointee.taps
  var offset = channel
  var output: UnsafeMutablePointer<Int8> = args.pointee.output + channel
  var left = Int(args.pointee.pixelCount)
  while left > 0 {
    let sums = qk_dsp_dot_taps(
      qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3]), taps, offset, words, triples, singles)
    finish.store(channels: sums, channel: channel, count: count, output)
    taps += Int(args.pointee.pointerStride)
    offset &+= Int(args.pointee.pixelStride)
    output += Int(args.pointee.outputStride)
    left &-= 1
  }
}

/// Four channels of a window whose weights do not fit the buffer: piece by piece, anew for every pixel.
@inline(never)
private func convolveLargeWindow(
  _ args: UnsafePointer<qk_depthwise_args>, _ finish: Finish, _ weights: UnsafePointer<Int8>, _ channel: Int,
  _ words: UnsafeMutablePointer<Int32>
) {
  let bias: UnsafePointer<Int32> = args.pointee.quantization.bias + channel
  let tapCount = Int(args.pointee.tapCount)
  var pixel = 0
  while pixel < Int(args.pointee.pixelCount) {
    var sums = qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3])
    let taps: UnsafePointer<UnsafePointer<Int8>?> = args.pointee.taps + pixel &* Int(args.pointee.pointerStride)
    var first = 0
    while first < tapCount {
      let piece = min(tapCapacity, tapCount &- first)
      // The capacity is a multiple of 4: every piece begins a group.
      widenWeights(weights + first / 4 &* 64, (piece &+ 3) / 4, words)
      sums = qk_dsp_dot_taps(
        sums, taps + first, pixel &* Int(args.pointee.pixelStride) &+ channel, words, 0,
        Int32(truncatingIfNeeded: piece))
      first &+= piece
    }
    finish.store(
      channels: sums, channel: channel, count: Int(args.pointee.channelCount) &- channel,
      args.pointee.output + (pixel &* Int(args.pointee.outputStride) &+ channel))
    pixel &+= 1
  }
}

/// Widens `groups` groups of four taps of four channels: for each tap a word of channels 0 and 2 and one of 1 and 3.
@inline(__always)
private func widenWeights(_ weights: UnsafePointer<Int8>, _ groups: Int, _ words: UnsafeMutablePointer<Int32>) {
  var w = UnsafeRawPointer(weights)
  var words = words
  let end = w + groups &* 64
  while w < end {
    let a = qk_dsp_load(w), b = qk_dsp_load(w + 4), c = qk_dsp_load(w + 8), d = qk_dsp_load(w + 12)
    let a02 = UInt32(bitPattern: qk_dsp_even(a)), a13 = UInt32(bitPattern: qk_dsp_odd(a))
    let b02 = UInt32(bitPattern: qk_dsp_even(b)), b13 = UInt32(bitPattern: qk_dsp_odd(b))
    let c02 = UInt32(bitPattern: qk_dsp_even(c)), c13 = UInt32(bitPattern: qk_dsp_odd(c))
    let d02 = UInt32(bitPattern: qk_dsp_even(d)), d13 = UInt32(bitPattern: qk_dsp_odd(d))
    words[0] = lows(a02, c02)
    words[1] = lows(b02, d02)
    words[2] = lows(a13, c13)
    words[3] = lows(b13, d13)
    words[4] = highs(a02, c02)
    words[5] = highs(b02, d02)
    words[6] = highs(a13, c13)
    words[7] = highs(b13, d13)
    words += 8
    w += 64
  }
}

@inline(__always) private func lows(_ a: UInt32, _ b: UInt32) -> Int32 { Int32(bitPattern: a & 0xFFFF | b &<< 16) }
@inline(__always) private func highs(_ a: UInt32, _ b: UInt32) -> Int32 {
  Int32(bitPattern: a &>> 16 | b & 0xFFFF_0000)
}
