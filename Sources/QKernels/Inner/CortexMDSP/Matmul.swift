import QKernelsIntrinsics

// The matmul primitives. The activations of four pixels are widened to 16 bits once, into a buffer on the stack, and serve
// all channels; a channel's weights are widened in registers and serve the four pixels. A reduction that is longer than
// the buffer is done in pieces, sixteen channels at a time. What is left of the pixels is done one by one, four channels at
// a time.

@inline(__always)
func multiply(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  let groups = Int(args.pointee.rowCount) &* Int(args.pointee.rowGroups)
  let finish = Finish(
    args.pointee.quantization, channelCount: Int(args.pointee.channelCount), products: 4 &* groups,
    outputBytes: outputBytes)
  var buffer = qk_dsp_any_buffer()
  withUnsafeMutablePointer(to: &buffer) { buffer in
    let product = Product(
      args: args, finish: finish, groups: groups,
      words: UnsafeMutableRawPointer(buffer).assumingMemoryBound(to: Int32.self))
    let pixelCount = Int(args.pointee.pixelCount)
    var pixel = 0
    while pixelCount &- pixel >= 4 {
      product.multiplyFourPixels(pixel)
      pixel &+= 4
    }
    while pixel < pixelCount {
      product.multiplyOnePixel(pixel)
      pixel &+= 1
    }
  }
}

private struct Product {
  let args: UnsafePointer<qk_matmul_args>
  let finish: Finish
  let groups: Int
  @inline(__always) var outputBytes: Int { finish.outputBytes }
  /// The buffer.
  let words: UnsafeMutablePointer<Int32>

  /// Widens groups `first ..< first + count` of pixel `pixel`, to every `step`-th pair of words.
  @inline(__always)
  func widen(_ pixel: Int, first: Int, count: Int, _ words: UnsafeMutablePointer<Int32>, step: Int) {
    let rowGroups = Int(args.pointee.rowGroups)
    let offset = pixel &* Int(args.pointee.pixelStride)
    var rows: UnsafePointer<UnsafePointer<Int8>?> = args.pointee.rows + pixel &* Int(args.pointee.pointerStride)
    var group = first
    if first > 0 {
      rows += first / rowGroups
      group = first % rowGroups
    }
    var words = words
    var left = count
    while left > 0 {
      let piece = min(left, rowGroups &- group)
      var x = UnsafeRawPointer(rows[0].unsafelyUnwrapped + offset) + 4 &* group
      let end = x + 4 &* piece
      if piece & 1 != 0 {
        widenGroup(x, words)
        words += step
        x += 4
      }
      while x < end {
        widenGroup(x, words)
        widenGroup(x + 4, words + step)
        words += 2 &* step
        x += 8
      }
      left &-= piece
      group = 0
      rows += 1
    }
  }

  @inline(__always)
  private func widenGroup(_ x: UnsafeRawPointer, _ words: UnsafeMutablePointer<Int32>) {
    let word = qk_dsp_load(x)
    words[0] = qk_dsp_even(word)
    words[1] = qk_dsp_odd(word)
  }

  @inline(__always)
  private func widenFour(_ pixel: Int, first: Int, count: Int) {
    var index = 0
    while index < 4 {
      widen(pixel &+ index, first: first, count: count, words + 2 &* index, step: 8)
      index &+= 1
    }
  }

  @inline(__always)
  func multiplyFourPixels(_ pixel: Int) {
    let channelCount = Int(args.pointee.channelCount)
    let stride = Int(args.pointee.outputStride) &* outputBytes
    let capacity = Int(QK_DSP_BUFFER_WORDS) / 8
    let bias: UnsafePointer<Int32> = args.pointee.quantization.bias
    var output: UnsafeMutableRawPointer = args.pointee.output + pixel &* stride
    if groups <= capacity {
      widenFour(pixel, first: 0, count: groups)
      var weights: UnsafePointer<Int8> = args.pointee.weights
      var channel = 0
      while channel < channelCount {
        let start = bias[channel]
        let sums = qk_dsp_dot_4_pixels(
          qk_dsp_sums(sum0: start, sum1: start, sum2: start, sum3: start), words, weights,
          Int32(truncatingIfNeeded: groups))
        finish.store(pixels: sums, channel: channel, output, stride: stride)
        weights += 4
        output += outputBytes
        channel &+= 1
        if channel & 15 == 0 { weights += 64 &* (groups &- 1) }
      }
      return
    }
    var partial = qk_dsp_any_partial()
    withUnsafeMutablePointer(to: &partial) { partial in
      let partial = UnsafeMutableRawPointer(partial).assumingMemoryBound(to: qk_dsp_sums.self)
      var channel = 0
      while channel < channelCount {
        let count = min(16, channelCount &- channel)
        var index = 0
        while index < count {
          let start = bias[channel &+ index]
          partial[index] = qk_dsp_sums(sum0: start, sum1: start, sum2: start, sum3: start)
          index &+= 1
        }
        var weights: UnsafePointer<Int8> = args.pointee.weights + channel &* 4 &* groups
        var first = 0
        while first < groups {
          let piece = min(capacity, groups &- first)
          widenFour(pixel, first: first, count: piece)
          index = 0
          while index < count {
            partial[index] = qk_dsp_dot_4_pixels(
              partial[index], words, weights + 4 &* index, Int32(truncatingIfNeeded: piece))
            index &+= 1
          }
          weights += 64 &* piece
          first &+= piece
        }
        index = 0
        while index < count {
          finish.store(
            pixels: partial[index], channel: channel &+ index, output, stride: stride)
          output += outputBytes
          index &+= 1
        }
        channel &+= 16
      }
    }
  }

  @inline(__always)
  func multiplyOnePixel(_ pixel: Int) {
    let channelCount = Int(args.pointee.channelCount)
    var bias: UnsafePointer<Int32> = args.pointee.quantization.bias
    var output: UnsafeMutableRawPointer = args.pointee.output + pixel &* Int(args.pointee.outputStride) &* outputBytes
    if groups > Int(QK_DSP_BUFFER_WORDS) / 2 {
      multiplyOneLongPixel(pixel, output)
      return
    }
    widen(pixel, first: 0, count: groups, words, step: 2)
    var weights: UnsafePointer<Int8> = args.pointee.weights
    var channel = 0
    while channel < channelCount {
      let sums = qk_dsp_dot_4_channels(
        qk_dsp_sums(sum0: bias[0], sum1: bias[1], sum2: bias[2], sum3: bias[3]), words, weights,
        Int32(truncatingIfNeeded: groups))
      finish.store(channels: sums, channel: channel, count: channelCount &- channel, output)
      bias += 4
      weights += 16
      output += 4 &* outputBytes
      channel &+= 4
      if channel & 15 == 0 { weights += 64 &* (groups &- 1) }
    }
  }

  /// ``multiplyOnePixel(_:)`` for a reduction beyond the buffer, a channel block at a time.
  @inline(never)
  private func multiplyOneLongPixel(_ pixel: Int, _ start: UnsafeMutableRawPointer) {
    let channelCount = Int(args.pointee.channelCount)
    let bias: UnsafePointer<Int32> = args.pointee.quantization.bias
    let capacity = Int(QK_DSP_BUFFER_WORDS) / 2
    var output = start
    var partial = qk_dsp_any_partial()
    withUnsafeMutablePointer(to: &partial) { partial in
      let partial = UnsafeMutableRawPointer(partial).assumingMemoryBound(to: qk_dsp_sums.self)
      var channel = 0
      while channel < channelCount {
        let count = min(16, channelCount &- channel)
        (UnsafeMutableRawPointer(partial)).copyMemory(from: bias + channel, byteCount: 64)
        var weights: UnsafePointer<Int8> = args.pointee.weights + channel &* 4 &* groups
        var first = 0
        while first < groups {
          let piece = min(capacity, groups &- first)
          widen(pixel, first: first, count: piece, words, step: 2)
          var quad = 0
          while 4 &* quad < count {
            partial[quad] = qk_dsp_dot_4_channels(
              partial[quad], words, weights + 16 &* quad, Int32(truncatingIfNeeded: piece))
            quad &+= 1
          }
          weights += 64 &* piece
          first &+= piece
        }
        var quad = 0
        while 4 &* quad < count {
          finish.store(channels: partial[quad], channel: channel &+ 4 &* quad, count: count &- 4 &* quad, output)
          output += 4 &* outputBytes
          quad &+= 1
        }
        channel &+= 16
      }
    }
  }
}
