import QKernelsIntrinsics

// The depthwise primitive, four channels at a time: their weights are widened once for all pixels of the call.

/// Most taps that are widened at once; windows with more are computed in pieces.
private var tapCapacity: Int { Int(QK_DSP_BUFFER_WORDS) / 2 }

@inline(__always)
func convolveDepthwise(_ args: UnsafePointer<qk_depthwise_args>, _ taps: UnsafeMutablePointer<qk_dsp_taps>) {
  let quantization = args.pointee.quantization
  let tapCount = Int(args.pointee.tapCount), channelCount = Int(args.pointee.channelCount)
  let groups = (tapCount &+ 3) / 4
  let careful = carefulBlocks(quantization, channelCount: channelCount, products: tapCount, outputBytes: 1)
  taps.pointee.tapsStride = 4 &* args.pointee.pointerStride
  taps.pointee.offsetStride = args.pointee.pixelStride
  taps.pointee.stride = args.pointee.outputStride
  taps.pointee.zeroPoint = quantization.outputZeroPoint
  taps.pointee.isLimited = isLimited(quantization, outputBytes: 1) ? 1 : 0
  taps.pointee.minimum = UInt32(bitPattern: quantization.outputMin & 0xFF) &* 0x0101_0101
  taps.pointee.maximum = UInt32(bitPattern: quantization.outputMax & 0xFF) &* 0x0101_0101
  taps.pointee.isSum = 0
  var weights: UnsafePointer<Int8> = args.pointee.weights
  var channel = 0
  while channel < channelCount {
    let isCareful = careful &>> UInt32(truncatingIfNeeded: min(channel &>> 4, 31)) & 1 != 0
    if isCareful || channelCount &- channel < 4 || tapCount > tapCapacity || tapCount < 1 {
      convolveCarefully(args, taps, weights, channel)
    } else {
      taps.pointee.taps = args.pointee.taps
      taps.pointee.offset = Int32(truncatingIfNeeded: channel)
      taps.pointee.output = args.pointee.output + channel
      taps.pointee.pixelCount = args.pointee.pixelCount
      qk_dsp_set_channels(
        taps, quantization.bias + channel, quantization.multiplier + channel, quantization.shift + channel)
      convolve(taps, weights, tapCount)
    }
    channel &+= 4
    weights += 16
    if channel & 15 == 0 { weights += 64 &* groups &- 64 }
  }
}

/// Runs the loop over `tapCount` taps with these weights.
@inline(never)
private func convolve(_ taps: UnsafeMutablePointer<qk_dsp_taps>, _ weights: UnsafePointer<Int8>, _ tapCount: Int) {
  qk_dsp_widen_taps(weights, qk_dsp_taps_words(taps), Int32(truncatingIfNeeded: (tapCount &+ 3) / 4))
  let triples = tapCount / 3
  taps.pointee.triples = Int32(truncatingIfNeeded: triples)
  taps.pointee.singles = Int32(truncatingIfNeeded: tapCount &- 3 &* triples)
  qk_dsp_convolve_taps(taps)
}

/// Four channels, or fewer at the end, of any factors and with any number of taps.
@inline(never)
private func convolveCarefully(
  _ args: UnsafePointer<qk_depthwise_args>, _ taps: UnsafeMutablePointer<qk_dsp_taps>, _ weights: UnsafePointer<Int8>,
  _ channel: Int
) {
  let quantization = args.pointee.quantization
  let tapCount = Int(args.pointee.tapCount)
  taps.pointee.isSum = 1
  var pixel = 0
  while pixel < Int(args.pointee.pixelCount) {
    let pointers: UnsafePointer<UnsafePointer<Int8>?> = args.pointee.taps + pixel &* Int(args.pointee.pointerStride)
    taps.pointee.offset = Int32(truncatingIfNeeded: pixel &* Int(args.pointee.pixelStride) &+ channel)
    let bias: UnsafePointer<Int32> = quantization.bias + channel
    taps.pointee.sums = qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3])
    var first = 0
    while first < tapCount {
      // The capacity is a multiple of 4: every piece begins a group.
      let piece = min(tapCapacity, tapCount &- first)
      taps.pointee.taps = pointers + first
      convolve(taps, weights + 16 &* first, piece)
      first &+= piece
    }
    storeCarefully(
      qk_dsp_taps_sums(taps), pixelCount: 1, channel: channel,
      channelCount: min(4, Int(args.pointee.channelCount) &- channel), quantization,
      args.pointee.output + (pixel &* Int(args.pointee.outputStride) &+ channel), stride: 0, outputBytes: 1)
    pixel &+= 1
  }
  taps.pointee.isSum = 0
}
