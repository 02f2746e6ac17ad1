import QKernelsIntrinsics

/// From accumulators of one factor to outputs, under the double-rounding law, in nine instructions each.
struct Requantizer {
  let multiplier: Int32
  let shift: Int32

  @inline(__always) init(multiplier: Int32, shift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
  }

  /// `accumulator` times the factor.
  ///
  /// SMMULR rounds the upper word of a product half up, so it is the doubling high multiply of half its argument: exact
  /// for what can be doubled, which every sane accumulator can.
  @inline(__always) func scaled(_ accumulator: Int32) -> Int32 {
    if shift >= 0 { return qk_dsp_wide_high_multiply(accumulator &<< shift, multiplier) }
    let high = highMultiply(accumulator)
    // Ties away from zero: see Rounding.swift.
    return (qk_dsp_shift_right(high &+ (high &>> 31), -1 &- shift) &+ 1) &>> 1
  }

  /// `zeroPoint` plus `accumulator` times the factor, for a factor of `shift < 0`; `twice` is `2 * zeroPoint + 1`.
  @inline(__always) func shiftedRight(_ accumulator: Int32, twice: Int32) -> Int32 {
    let high = highMultiply(accumulator)
    return (qk_dsp_shift_right(high &+ (high &>> 31), -1 &- shift) &+ twice) &>> 1
  }

  @inline(__always) private func highMultiply(_ accumulator: Int32) -> Int32 {
    let (doubled, overflow) = accumulator.addingReportingOverflow(accumulator)
    return overflow
      ? qk_dsp_wide_high_multiply(accumulator, multiplier) : qk_dsp_high_multiply(doubled, multiplier)
  }
}

/// The zero point and the clamp of a layer's outputs.
struct OutputRange {
  let zeroPoint: Int32
  let minimum: Int32
  let maximum: Int32

  @inline(__always) init(_ quantization: qk_channel_quantization) {
    zeroPoint = quantization.outputZeroPoint
    minimum = quantization.outputMin
    maximum = quantization.outputMax
  }

  /// `value` within the range: one instruction where the range is that of the type.
  @inline(__always) func clamped(_ value: Int32) -> Int32 { min(max(value, minimum), maximum) }
}

/// Stores an output of one byte or two.
@inline(__always)
func store(_ value: Int32, _ output: UnsafeMutableRawPointer, _ outputBytes: Int) {
  if outputBytes == 1 {
    output.storeBytes(of: Int8(truncatingIfNeeded: value), as: Int8.self)
  } else {
    output.storeBytes(of: Int16(truncatingIfNeeded: value), as: Int16.self)
  }
}

/// Requantizes and stores the accumulators of one channel at four output pixels.
@inline(__always)
func finish(
  pixels sums: qk_dsp_sums, _ requantizer: Requantizer, _ range: OutputRange, _ output: UnsafeMutableRawPointer,
  stride: Int, outputBytes: Int
) {
  var a: Int32, b: Int32, c: Int32, d: Int32
  if requantizer.shift < 0 {
    let twice = range.zeroPoint &+ range.zeroPoint &+ 1
    a = requantizer.shiftedRight(sums.sum0, twice: twice)
    b = requantizer.shiftedRight(sums.sum1, twice: twice)
    c = requantizer.shiftedRight(sums.sum2, twice: twice)
    d = requantizer.shiftedRight(sums.sum3, twice: twice)
  } else {
    a = requantizer.scaled(sums.sum0) &+ range.zeroPoint
    b = requantizer.scaled(sums.sum1) &+ range.zeroPoint
    c = requantizer.scaled(sums.sum2) &+ range.zeroPoint
    d = requantizer.scaled(sums.sum3) &+ range.zeroPoint
  }
  if outputBytes == 1 {
    a = qk_dsp_saturate8(a)
    b = qk_dsp_saturate8(b)
    c = qk_dsp_saturate8(c)
    d = qk_dsp_saturate8(d)
  }
  if outputBytes == 2 || range.minimum != -128 || range.maximum != 127 {
    a = range.clamped(a)
    b = range.clamped(b)
    c = range.clamped(c)
    d = range.clamped(d)
  }
  store(a, output, outputBytes)
  store(b, output + stride, outputBytes)
  store(c, output + 2 &* stride, outputBytes)
  store(d, output + 3 &* stride, outputBytes)
}

/// Requantizes and stores the accumulators of `count` (1 ... 4) channels from `channel` on, at one output pixel.
@inline(__always)
func finish(
  channels sums: qk_dsp_sums, _ quantization: qk_channel_quantization, _ range: OutputRange, channel: Int, count: Int,
  _ output: UnsafeMutableRawPointer, outputBytes: Int
) {
  finishOne(sums.sum0, quantization, range, channel, output, outputBytes)
  if count > 1 { finishOne(sums.sum1, quantization, range, channel &+ 1, output + outputBytes, outputBytes) }
  if count > 2 { finishOne(sums.sum2, quantization, range, channel &+ 2, output + 2 &* outputBytes, outputBytes) }
  if count > 3 { finishOne(sums.sum3, quantization, range, channel &+ 3, output + 3 &* outputBytes, outputBytes) }
}

@inline(__always)
private func finishOne(
  _ sum: Int32, _ quantization: qk_channel_quantization, _ range: OutputRange, _ channel: Int,
  _ output: UnsafeMutableRawPointer, _ outputBytes: Int
) {
  let requantizer = Requantizer(multiplier: quantization.multiplier[channel], shift: quantization.shift[channel])
  store(range.clamped(requantizer.scaled(sum) &+ range.zeroPoint), output, outputBytes)
}
