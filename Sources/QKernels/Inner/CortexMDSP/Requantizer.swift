import QKernelsIntrinsics

/// From accumulators of one factor to outputs, under the double-rounding law.
struct Requantizer {
  let multiplier: Int32
  let shift: Int32

  @inline(__always) init(multiplier: Int32, shift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
  }

  /// `value` times the factor, whatever both are.
  @inline(__always) func scaled(_ value: Int32) -> Int32 {
    if shift >= 0 { return qk_dsp_wide_high_multiply(value &<< shift, multiplier) }
    return rounded(qk_dsp_wide_high_multiply(value, multiplier))
  }

  /// Twice `value` times the factor, before the lowest bit is dropped, plus `twice`, for a value whose double fits and
  /// `shift < 0`. With `twice == 2 * zeroPoint + 1`, half of it, rounded down, is the output.
  ///
  /// SMMULR rounds the upper word of a product half up: it is the doubling high multiply of half its argument.
  @inline(__always) func doubled(_ value: Int32, twice: Int32) -> Int32 {
    let high = qk_dsp_high_multiply(value &<< 1, multiplier)
    return qk_dsp_shift_right(high &+ (high &>> 31), ~shift) &+ twice
  }

  /// `high / 2^-shift`, ties away from zero: see Rounding.swift.
  @inline(__always) private func rounded(_ high: Int32) -> Int32 {
    (qk_dsp_shift_right(high &+ (high &>> 31), ~shift) &+ 1) &>> 1
  }
}

/// What the output channels of a layer have in common.
struct Finish {
  let quantization: qk_channel_quantization
  /// 1 or 2.
  let outputBytes: Int
  /// Whether ``Requantizer/doubled(_:twice:)`` serves all channels.
  let isPlain: Bool
  /// Whether the clamp is that of the output type itself.
  let isFullRange: Bool

  /// - Parameter products: how many products an accumulator sums.
  @inline(__always)
  init(_ quantization: qk_channel_quantization, channelCount: Int, products: Int, outputBytes: Int) {
    self.quantization = quantization
    self.outputBytes = outputBytes
    isFullRange =
      outputBytes == 1
      ? quantization.outputMin == -128 && quantization.outputMax == 127
      : quantization.outputMin == -32768 && quantization.outputMax == 32767
    // A product is at most 2^14 in magnitude, so all of them and a bias below 2^29 stay below 2^30.
    var isPlain = products <= 1 << 15
    let bias: UnsafePointer<Int32> = quantization.bias, shift: UnsafePointer<Int32> = quantization.shift
    let limit: Int32 = 1 << 29
    var channel = 0
    while channel < channelCount {
      if shift[channel] >= 0 || bias[channel] >= limit || bias[channel] < 0 &- limit { isPlain = false }
      channel &+= 1
    }
    self.isPlain = isPlain
  }

  /// `2 * zeroPoint + 1`: see ``Requantizer/doubled(_:twice:)``.
  @inline(__always) private var twice: Int32 { quantization.outputZeroPoint &+ quantization.outputZeroPoint &+ 1 }

  @inline(__always) private func requantizer(_ channel: Int) -> Requantizer {
    Requantizer(multiplier: quantization.multiplier[channel], shift: quantization.shift[channel])
  }

  @inline(__always) private func clamped(_ value: Int32) -> Int32 {
    min(max(value, quantization.outputMin), quantization.outputMax)
  }

  /// The halves of four values, within the clamp.
  @inline(__always) private func limitedHalves(_ a: Int32, _ b: Int32, _ c: Int32, _ d: Int32) -> qk_dsp_sums {
    let values =
      outputBytes == 1
      ? qk_dsp_sums(
        sum0: qk_dsp_saturate8(a &>> 1), sum1: qk_dsp_saturate8(b &>> 1), sum2: qk_dsp_saturate8(c &>> 1),
        sum3: qk_dsp_saturate8(d &>> 1))
      : qk_dsp_sums(
        sum0: qk_dsp_saturate16(a &>> 1), sum1: qk_dsp_saturate16(b &>> 1), sum2: qk_dsp_saturate16(c &>> 1),
        sum3: qk_dsp_saturate16(d &>> 1))
    if isFullRange { return values }
    return qk_dsp_clamp_each(values, quantization.outputMin, quantization.outputMax)
  }

  @inline(__always) private func write(_ value: Int32, _ output: UnsafeMutableRawPointer) {
    if outputBytes == 1 {
      output.storeBytes(of: Int8(truncatingIfNeeded: value), as: Int8.self)
    } else {
      output.storeBytes(of: Int16(truncatingIfNeeded: value), as: Int16.self)
    }
  }

  /// Stores the outputs of `channel` at four pixels.
  @inline(__always)
  func store(pixels sums: qk_dsp_sums, channel: Int, _ output: UnsafeMutableRawPointer, stride: Int) {
    guard isPlain else {
      storeCarefully(sums, channel: channel, channelStep: 0, count: 4, output, stride: stride)
      return
    }
    let requantizer = requantizer(channel)
    let outputs = limitedHalves(
      requantizer.doubled(sums.sum0, twice: twice), requantizer.doubled(sums.sum1, twice: twice),
      requantizer.doubled(sums.sum2, twice: twice), requantizer.doubled(sums.sum3, twice: twice))
    write(outputs.sum0, output)
    write(outputs.sum1, output + stride)
    write(outputs.sum2, output + 2 &* stride)
    write(outputs.sum3, output + 3 &* stride)
  }

  /// Stores the outputs of `count` (at least 1; at most 4 count) channels from `channel` on, at one pixel.
  @inline(__always)
  func store(channels sums: qk_dsp_sums, channel: Int, count: Int, _ output: UnsafeMutableRawPointer) {
    guard isPlain, count >= 4 else {
      storeCarefully(sums, channel: channel, channelStep: 1, count: count, output, stride: outputBytes)
      return
    }
    // Four neighbours of one address, so that the processor's loads of pairs apply.
    let multiplier: UnsafePointer<Int32> = quantization.multiplier + channel
    let shift: UnsafePointer<Int32> = quantization.shift + channel
    let a = Requantizer(multiplier: multiplier[0], shift: shift[0]).doubled(sums.sum0, twice: twice)
    let b = Requantizer(multiplier: multiplier[1], shift: shift[1]).doubled(sums.sum1, twice: twice)
    let c = Requantizer(multiplier: multiplier[2], shift: shift[2]).doubled(sums.sum2, twice: twice)
    let d = Requantizer(multiplier: multiplier[3], shift: shift[3]).doubled(sums.sum3, twice: twice)
    if outputBytes == 1 {
      var word = qk_dsp_pack_halves(a, b, c, d)
      if !isFullRange {
        let minimum = UInt32(bitPattern: quantization.outputMin & 0xFF) &* 0x0101_0101
        let maximum = UInt32(bitPattern: quantization.outputMax & 0xFF) &* 0x0101_0101
        word = qk_dsp_clamp4(word, minimum, maximum)
      }
      qk_dsp_store(output, word)
    } else {
      let outputs = limitedHalves(a, b, c, d)
      write(outputs.sum0, output)
      write(outputs.sum1, output + 2)
      write(outputs.sum2, output + 4)
      write(outputs.sum3, output + 6)
    }
  }

  /// Stores up to four outputs for any accumulators, factors and clamps.
  @inline(never)
  private func storeCarefully(
    _ sums: qk_dsp_sums, channel: Int, channelStep: Int, count: Int, _ output: UnsafeMutableRawPointer, stride: Int
  ) {
    var index = 0
    while index < count && index < 4 {
      let sum = index < 2 ? (index == 0 ? sums.sum0 : sums.sum1) : (index == 2 ? sums.sum2 : sums.sum3)
      let scaled = requantizer(channel &+ index &* channelStep).scaled(sum)
      write(clamped(scaled &+ quantization.outputZeroPoint), output + index &* stride)
      index &+= 1
    }
  }
}
