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
    // `high / 2^-shift`, ties away from zero: see Rounding.swift.
    let high = qk_dsp_wide_high_multiply(value, multiplier)
    return (qk_dsp_shift_right(high &+ (high &>> 31), ~shift) &+ 1) &>> 1
  }
}

/// Whether the clamp is narrower than the output type.
@inline(__always)
func isLimited(_ quantization: qk_channel_quantization, outputBytes: Int) -> Bool {
  outputBytes == 1
    ? quantization.outputMin != -128 || quantization.outputMax != 127
    : quantization.outputMin != -32768 || quantization.outputMax != 32767
}

/// A bit for every channel block (the last one for all blocks from there on): whether the loops leave its requantization to
/// ``storeCarefully(_:pixelCount:channel:channelCount:_:_:stride:outputBytes:)``.
///
/// The loops want sums whose double fits. Sums of up to 2^15 products, each at most 2^14 in magnitude, and of a bias below
/// 2^29 are below 2^30. They want right shifts of 2 ... 12 bits for 8-bit outputs, as intrinsics_arm32.h explains, and of 1 or more for
/// 16-bit outputs.
///
/// - Parameter products: how many products an accumulator sums.
@inline(__always)
func carefulBlocks(
  _ quantization: qk_channel_quantization, channelCount: Int, products: Int, outputBytes: Int
) -> UInt32 {
  if products > 1 << 15 { return ~0 }
  let bias: UnsafePointer<Int32> = quantization.bias, shift: UnsafePointer<Int32> = quantization.shift
  let lowest: Int32 = outputBytes == 1 ? -12 : -31, highest: Int32 = outputBytes == 1 ? -2 : -1
  let width = UInt32(truncatingIfNeeded: highest &- lowest)
  let limit: UInt32 = 1 << 29
  var careful: UInt32 = 0
  var channel = 0
  while channel < channelCount {
    if UInt32(bitPattern: shift[channel] &- lowest) > width || UInt32(bitPattern: bias[channel]) &+ limit >= 2 &* limit
    {
      careful |= 1 &<< UInt32(truncatingIfNeeded: min(channel &>> 4, 31))
    }
    channel &+= 1
  }
  return careful
}

/// Stores the outputs of any sums, factors and clamps; `sums` has those of a channel at all pixels side by side.
@inline(never)
func storeCarefully(
  _ sums: UnsafePointer<Int32>, pixelCount: Int, channel: Int, channelCount: Int,
  _ quantization: qk_channel_quantization,
  _ output: UnsafeMutableRawPointer, stride: Int, outputBytes: Int
) {
  var index = 0
  while index < channelCount {
    let requantizer = Requantizer(
      multiplier: quantization.multiplier[channel &+ index], shift: quantization.shift[channel &+ index])
    var pixel = 0
    while pixel < pixelCount {
      let value = requantizer.scaled(sums[index &* pixelCount &+ pixel]) &+ quantization.outputZeroPoint
      let limited = min(max(value, quantization.outputMin), quantization.outputMax)
      let address = output + (index &* outputBytes &+ pixel &* stride)
      if outputBytes == 1 {
        address.storeBytes(of: Int8(truncatingIfNeeded: limited), as: Int8.self)
      } else {
        address.storeBytes(of: Int16(truncatingIfNeeded: limited), as: Int16.self)
      }
      pixel &+= 1
    }
    index &+= 1
  }
}
