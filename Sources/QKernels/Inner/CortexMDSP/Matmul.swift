import QKernelsIntrinsics

// The matmul primitives. The activations of four pixels are widened to 16 bits once, into a buffer on the stack, and serve
// all channels; a channel's weights are widened in registers and serve the four pixels. A reduction that is longer than
// the buffer is done in pieces, anew for every channel block. What is left of the pixels is done one by one, four channels
// at a time.

@inline(__always)
func multiply(
  _ args: UnsafePointer<qk_matmul_args>, _ product: UnsafeMutablePointer<qk_dsp_product>, outputBytes: Int,
  byFour: (UnsafeMutablePointer<qk_dsp_product>) -> Void, byOne: (UnsafeMutablePointer<qk_dsp_product>) -> Void
) {
  let quantization = args.pointee.quantization
  let pixelCount = Int(args.pointee.pixelCount), channelCount = Int(args.pointee.channelCount)
  let groups = Int(args.pointee.rowCount) &* Int(args.pointee.rowGroups)
  let careful = carefulBlocks(quantization, channelCount: channelCount, products: 4 &* groups, outputBytes: outputBytes)
  let stride = Int(args.pointee.outputStride) &* outputBytes
  product.pointee.x = UnsafePointer(qk_dsp_product_words(product))
  product.pointee.stride = Int32(truncatingIfNeeded: stride)
  let zeroPoint = quantization.outputZeroPoint
  product.pointee.zeroPoint = outputBytes == 1 ? zeroPoint : zeroPoint &+ zeroPoint &+ 1
  product.pointee.isLimited = isLimited(quantization, outputBytes: outputBytes) ? 1 : 0
  product.pointee.minimum = quantization.outputMin
  product.pointee.maximum = quantization.outputMax
  var pixel = 0
  while pixel < pixelCount {
    let step = pixelCount &- pixel >= 4 ? 4 : 1
    // In reduction groups.
    let capacity = Int(QK_DSP_BUFFER_WORDS) / (step == 4 ? 8 : 2)
    let output: UnsafeMutableRawPointer = args.pointee.output + pixel &* stride
    var weights: UnsafePointer<Int8> = args.pointee.weights
    var channel = 0
    while channel < channelCount {
      let count = min(16, channelCount &- channel)
      let width = step == 4 ? count : (count &+ 3) & ~3
      let end = channel &+ width
      let isCareful = careful &>> UInt32(truncatingIfNeeded: min(channel &>> 4, 31)) & 1 != 0 || width != count
      product.pointee.bias = quantization.bias + end
      product.pointee.shift = quantization.shift + end
      product.pointee.output = output + end &* outputBytes
      var first = 0
      // Once even without a product: the outputs are the biases'.
      repeat {
        let piece = min(capacity, groups &- first)
        if piece > 0, channel == 0 || groups > capacity { widen(args, product, pixel, step, first, piece) }
        product.pointee.groups = Int32(truncatingIfNeeded: piece)
        product.pointee.weights = weights + 4 &* width
        weights += 64 &* piece
        first &+= piece
        product.pointee.multiplier = isCareful || first < groups ? nil : quantization.multiplier + end
        product.pointee.offset = Int32(truncatingIfNeeded: -4 &* width)
        if step == 4 { byFour(product) } else { byOne(product) }
        product.pointee.bias = nil
      } while first < groups
      if isCareful {
        storeCarefully(
          qk_dsp_product_sums(product) + (64 &- step &* width), pixelCount: step, channel: channel,
          channelCount: count,
          quantization, output + channel &* outputBytes, stride: stride, outputBytes: outputBytes)
      }
      channel = end
    }
    pixel &+= step
  }
}

/// Widens reduction groups `first ..< first + count` of `step` pixels.
@inline(never)
private func widen(
  _ args: UnsafePointer<qk_matmul_args>, _ product: UnsafeMutablePointer<qk_dsp_product>, _ pixel: Int, _ step: Int,
  _ first: Int, _ count: Int
) {
  let rowGroups = Int(args.pointee.rowGroups)
  let row = first / rowGroups
  var rows: UnsafePointer<UnsafePointer<Int8>?> = args.pointee.rows + (pixel &* Int(args.pointee.pointerStride) &+ row)
  var offset = Int32(truncatingIfNeeded: pixel) &* args.pointee.pixelStride
  let words: UnsafeMutablePointer<Int32> = qk_dsp_product_words(product)
  let group = Int32(truncatingIfNeeded: first &- row &* rowGroups)
  let count = Int32(truncatingIfNeeded: count)
  if step == 1 {
    qk_dsp_widen_1_pixel(rows, words, offset, count, args.pointee.rowGroups, group)
    return
  }
  var index = 0
  while index < 4 {
    qk_dsp_widen_4_pixels(rows, words + 2 &* index, offset, count, args.pointee.rowGroups, group)
    rows += Int(args.pointee.pointerStride)
    offset &+= args.pointee.pixelStride
    index &+= 1
  }
}
