import QKernelsIntrinsics

// The depthwise primitive, four channels at a time: their weights are widened once for all pixels of the call.

/// Most taps that are widened at once; windows with more are computed in pieces.
private var tapCapacity: Int { Int(QK_DSP_BUFFER_WORDS) / 2 }

@inline(__always)
func convolveDepthwise(_ args: qk_depthwise_args) {
  var buffer = qk_dsp_any_buffer()
  withUnsafeMutablePointer(to: &buffer) { buffer in
    let words = UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Int32.self)
    let tapCount = Int(args.tapCount), channelCount = Int(args.channelCount)
    let range = OutputRange(args.quantization)
    let groups = (tapCount &+ 3) / 4
    var channel = 0
    while channel < channelCount {
      let blockOffset: Int = (channel & ~15) &* 4 &* groups
      let weights: UnsafePointer<Int8> = args.weights + (blockOffset &+ (channel & 15) &* 4)
      if tapCount <= tapCapacity { widenWeights(weights, groups, words) }
      var pixel = 0
      while pixel < Int(args.pixelCount) {
        let bias = args.quantization.bias + channel
        var sums = qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3])
        var taps = args.taps + pixel &* Int(args.pointerStride)
        let offset = pixel &* Int(args.pixelStride) &+ channel
        var left = tapCount
        var group = 0
        while left > 0 {
          let piece = min(left, tapCapacity)
          if tapCount > tapCapacity {
            widenWeights(weights + group &* 64, (piece &+ 3) / 4, words)
            group &+= tapCapacity / 4
          }
          accumulate(&sums, taps, offset, words, piece)
          taps += piece
          left &-= piece
        }
        finish(
          channels: sums, args.quantization, range, channel: channel, count: channelCount &- channel,
          args.output + (pixel &* Int(args.outputStride) &+ channel), outputBytes: 1)
        pixel &+= 1
      }
      channel &+= 4
    }
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
@inline(__always) private func highs(_ a: UInt32, _ b: UInt32) -> Int32 { Int32(bitPattern: a &>> 16 | b & 0xFFFF_0000) }

@inline(__always)
private func accumulate(
  _ sums: inout qk_dsp_sums, _ taps: UnsafePointer<UnsafePointer<Int8>?>, _ offset: Int,
  _ words: UnsafeMutablePointer<Int32>, _ count: Int
) {
  var taps = taps
  var words = words
  var left = count
  while left >= 3 {
    accumulateTap(&sums, taps[0].unsafelyUnwrapped + offset, words)
    accumulateTap(&sums, taps[1].unsafelyUnwrapped + offset, words + 2)
    accumulateTap(&sums, taps[2].unsafelyUnwrapped + offset, words + 4)
    taps += 3
    words += 6
    left &-= 3
  }
  while left > 0 {
    accumulateTap(&sums, taps[0].unsafelyUnwrapped + offset, words)
    taps += 1
    words += 2
    left &-= 1
  }
}

/// Four products, one per channel.
@inline(__always)
private func accumulateTap(_ sums: inout qk_dsp_sums, _ x: UnsafePointer<Int8>, _ words: UnsafeMutablePointer<Int32>) {
  let word = qk_dsp_load(x)
  let even = qk_dsp_even(word), odd = qk_dsp_odd(word)
  sums.sum0 = qk_dsp_low_low(sums.sum0, even, words[0])
  sums.sum2 = qk_dsp_high_high(sums.sum2, even, words[0])
  sums.sum1 = qk_dsp_low_low(sums.sum1, odd, words[1])
  sums.sum3 = qk_dsp_high_high(sums.sum3, odd, words[1])
}
