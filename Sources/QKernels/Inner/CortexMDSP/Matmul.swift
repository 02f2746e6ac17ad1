import QKernelsIntrinsics

// The matmul primitives. The activations of four pixels are widened to 16 bits once, into a buffer on the stack, and serve
// all channels; a channel's weights are widened in registers and serve the four pixels. A reduction that is longer than
// the buffer is done in pieces, sixteen channels at a time.

/// A place in the reduction of four pixels or one: row and byte, advanced piece by piece.
private struct Widening {
  let rows: UnsafePointer<UnsafePointer<Int8>?>
  let rowGroups: Int
  var row = 0
  var group = 0

  /// Widens the next `count` groups of the pixel whose rows start `offset` bytes after the pointers of `list`, to every
  /// `step`-th pair of words.
  @inline(__always)
  mutating func widen(_ count: Int, list: Int, offset: Int, _ words: UnsafeMutablePointer<Int32>, step: Int) {
    var words = words
    var left = count
    while left > 0 {
      let piece = min(left, rowGroups &- group)
      var x = UnsafeRawPointer(rows[list &+ row].unsafelyUnwrapped + offset) + 4 &* group
      let end = x + 4 &* piece
      while x < end {
        let word = qk_dsp_load(x)
        words[0] = qk_dsp_even(word)
        words[1] = qk_dsp_odd(word)
        words += step
        x += 4
      }
      left &-= piece
      group &+= piece
      if group == rowGroups {
        group = 0
        row &+= 1
      }
    }
  }
}

@inline(__always)
func multiply(_ args: qk_matmul_args, outputBytes: Int) {
  var buffer = qk_dsp_any_buffer()
  withUnsafeMutablePointer(to: &buffer) { buffer in
    let words = UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Int32.self)
    let pixelCount = Int(args.pixelCount)
    var pixel = 0
    while pixelCount &- pixel >= 4 {
      multiplyFourPixels(args, pixel, words, outputBytes)
      pixel &+= 4
    }
    while pixel < pixelCount {
      multiplyOnePixel(args, pixel, words, outputBytes)
      pixel &+= 1
    }
  }
}

@inline(__always)
private func multiplyFourPixels(
  _ args: qk_matmul_args, _ pixel: Int, _ words: UnsafeMutablePointer<Int32>, _ outputBytes: Int
) {
  let groups = Int(args.rowCount) &* Int(args.rowGroups)
  let channelCount = Int(args.channelCount)
  let range = OutputRange(args.quantization)
  let stride = Int(args.outputStride) &* outputBytes
  let capacity = Int(QK_DSP_BUFFER_WORDS) / 8
  let output = args.output + pixel &* stride
  var partial = InlineArray<16, qk_dsp_sums>(repeating: qk_dsp_sums())
  var channel = 0
  while channel < channelCount {
    let blockEnd = min(channel &+ 16, channelCount)
    let blockWeights = args.weights + channel &* 4 &* groups
    var widening = Widening(rows: args.rows, rowGroups: Int(args.rowGroups))
    var first = 0
    while first < groups {
      let piece = min(capacity, groups &- first)
      if channel == 0 || groups > capacity {
        let start = widening
        var index = 0
        while index < 4 {
          widening = start
          widening.widen(
            piece, list: (pixel &+ index) &* Int(args.pointerStride), offset: (pixel &+ index) &* Int(args.pixelStride),
            words + 2 &* index, step: 8)
          index &+= 1
        }
      }
      var weights = blockWeights + first &* 64
      var current = channel
      while current < blockEnd {
        let bias = args.quantization.bias[current]
        var sums = qk_dsp_sums(sum0: bias, sum1: bias, sum2: bias, sum3: bias)
        if first > 0 { sums = partial[unchecked: current &- channel] }
        sums = qk_dsp_dot_4_pixels(sums, words, weights, Int32(truncatingIfNeeded: piece))
        weights += 4
        if first &+ piece == groups {
          let requantizer = Requantizer(
            multiplier: args.quantization.multiplier[current], shift: args.quantization.shift[current])
          finish(
            pixels: sums, requantizer, range, output + current &* outputBytes, stride: stride, outputBytes: outputBytes)
        } else {
          partial[unchecked: current &- channel] = sums
        }
        current &+= 1
      }
      first &+= piece
    }
    channel &+= 16
  }
}

@inline(__always)
private func multiplyOnePixel(
  _ args: qk_matmul_args, _ pixel: Int, _ words: UnsafeMutablePointer<Int32>, _ outputBytes: Int
) {
  let groups = Int(args.rowCount) &* Int(args.rowGroups)
  let channelCount = Int(args.channelCount)
  let range = OutputRange(args.quantization)
  let capacity = Int(QK_DSP_BUFFER_WORDS) / 2
  let output = args.output + pixel &* Int(args.outputStride) &* outputBytes
  var partial = InlineArray<4, qk_dsp_sums>(repeating: qk_dsp_sums())
  var channel = 0
  while channel < channelCount {
    let blockEnd = min(channel &+ 16, channelCount)
    let blockWeights = args.weights + channel &* 4 &* groups
    var widening = Widening(rows: args.rows, rowGroups: Int(args.rowGroups))
    var first = 0
    while first < groups {
      let piece = min(capacity, groups &- first)
      if channel == 0 || groups > capacity {
        widening.widen(
          piece, list: pixel &* Int(args.pointerStride), offset: pixel &* Int(args.pixelStride), words, step: 2)
      }
      var weights = blockWeights + first &* 64
      var current = channel
      while current < blockEnd {
        let bias = args.quantization.bias + current
        var sums = qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3])
        if first > 0 { sums = partial[unchecked: (current &- channel) / 4] }
        sums = qk_dsp_dot_4_channels(sums, words, weights, Int32(truncatingIfNeeded: piece))
        weights += 16
        if first &+ piece == groups {
          finish(
            channels: sums, args.quantization, range, channel: current, count: blockEnd &- current,
            output + current &* outputBytes, outputBytes: outputBytes)
        } else {
          partial[unchecked: (current &- channel) / 4] = sums
        }
        current &+= 4
      }
      first &+= piece
    }
    channel &+= 16
  }
}
