/// The part of a params record that layers with int16 activations and int8 weights share.
///
/// All offsets are into the constants section, 64-byte aligned; arrays hold one value per output channel, padded to whole
/// blocks of 16 channels with multiplier 0.
public struct WideChannelQuantization: BitwiseCopyable, Sendable {
  /// Packed weights; the op defines their layout, that of its int8 form.
  public var weights: UInt32
  /// Int64: bias with the input zero point folded in, `b - inputZeroPoint * sum(w)`.
  public var bias: UInt32
  /// Int32: Q0.31 multiplier, 0 or >= 2^30.
  public var multiplier: UInt32
  /// Int32: positive = left; -31...30 for 32-bit accumulators, -31...14 for 64-bit ones.
  public var shift: UInt32
  /// 32: the accumulator wraps to 32 bits and is requantized by double rounding (TFLite, int32 bias);
  /// 64: it keeps 64 bits and is requantized with the reduced multiplier (TFLite, int64 bias).
  public var accumulatorBits: Int32
  /// The output tensor's zero point.
  public var outputZeroPoint: Int32
  /// Fused activation as a clamp of the output, in output units.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(
    weights: UInt32, bias: UInt32, multiplier: UInt32, shift: UInt32, accumulatorBits: Int32, outputZeroPoint: Int32,
    outputMin: Int32, outputMax: Int32
  ) {
    self.weights = weights
    self.bias = bias
    self.multiplier = multiplier
    self.shift = shift
    self.accumulatorBits = accumulatorBits
    self.outputZeroPoint = outputZeroPoint
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  /// Throws unless every array lies in the file and every value is in its domain.
  ///
  /// - Parameter biasRows: how many sets of biases stand one after another.
  func validate(_ view: StepView, channelCount: Int, weightByteCount: Int, biasRows: Int = 1) throws(Status) {
    let padded = (channelCount &+ 15) / 16 &* 16
    try view.requireConstant(weights, byteCount: weightByteCount, alignment: 64)
    try view.requireConstant(bias, byteCount: try checkedProduct(padded &* 8, biasRows), alignment: 64)
    try view.requireConstant(multiplier, byteCount: padded &* 4, alignment: 64)
    try view.requireConstant(shift, byteCount: padded &* 4, alignment: 64)
    guard accumulatorBits == 32 || accumulatorBits == 64 else { throw .badParams }
    let multipliers = view.model.constant(multiplier).assumingMemoryBound(to: Int32.self)
    let shifts = view.model.constant(shift).assumingMemoryBound(to: Int32.self)
    var channel = 0
    while channel < padded {
      try requireMultiplier(multipliers[channel], shift: shifts[channel])
      guard accumulatorBits == 32 || shifts[channel] <= 14 else { throw .badQuantization }
      channel += 1
    }
    try requireClamp(zeroPoint: outputZeroPoint, min: outputMin, max: outputMax, lowest: -32768, highest: 32767)
  }

  /// The arrays in memory.
  @inline(__always) func resolved(_ context: StepContext) -> WideChannels {
    WideChannels(
      bias: context.constant(bias, as: Int64.self), multiplier: context.constant(multiplier, as: Int32.self),
      shift: context.constant(shift, as: Int32.self), params: self)
  }
}

/// The arrays of a ``WideChannelQuantization`` in memory.
struct WideChannels {
  var bias: UnsafePointer<Int64>
  var multiplier: UnsafePointer<Int32>
  var shift: UnsafePointer<Int32>
  var params: WideChannelQuantization

  /// The same for the channels from `offset` on.
  @inline(__always) func advanced(by offset: Int) -> WideChannels {
    WideChannels(bias: bias + offset, multiplier: multiplier + offset, shift: shift + offset, params: params)
  }

  /// One output value from the accumulator of channel `channel`.
  @inline(__always) func output(_ accumulator: Int64, channel: Int) -> Int16 {
    let factor = FixedPointMultiplier(multiplier: multiplier[channel], shift: shift[channel])
    let scaled =
      params.accumulatorBits == 32
      ? factor.requantized(Int32(truncatingIfNeeded: accumulator)) : factor.requantized(accumulator)
    return Int16(
      truncatingIfNeeded: clamped(params.outputZeroPoint &+ scaled, params.outputMin, params.outputMax))
  }
}

extension Conv2DRun<Int16> {
  /// The product for int16 activations: the primitive `matmul` with 64-bit accumulators.
  func multiply(weights: UnsafePointer<Int8>, channels: WideChannels, output: UnsafeMutablePointer<Int16>) {
    var pixel = 0
    while pixel < pixelCount {
      let destination = output + (outputOffset &+ pixel &* outputStride)
      var channel = 0
      while channel < channelCount {
        let blockRows = weights + (weightOffset &+ channel / 16 &* rowCount &* rowGroups &* 64 &+ channel % 16 &* 4)
        var accumulator = channels.bias[channel]
        var row = 0
        while row < rowCount {
          if let start = rows[row] {
            accumulator =
              accumulator &+ Self.dot(start + pixel &* pixelStride, blockRows + row &* rowGroups &* 64, rowGroups)
          }
          row &+= 1
        }
        destination[channel] = channels.output(accumulator, channel: channel)
        channel &+= 1
      }
      pixel &+= 1
    }
  }

  /// The sum of `groups` groups of four products. A group's sum has less than 25 bits.
  @inline(__always)
  private static func dot(_ x: UnsafePointer<Int16>, _ w: UnsafePointer<Int8>, _ groups: Int) -> Int64 {
    var sum: Int64 = 0
    var group = 0
    while group < groups {
      let a = x + group &* 4, b = w + group &* 64
      let low = Int32(a[0]) &* Int32(b[0]) &+ Int32(a[1]) &* Int32(b[1])
      let high = Int32(a[2]) &* Int32(b[2]) &+ Int32(a[3]) &* Int32(b[3])
      sum = sum &+ widened(low &+ high)
      group &+= 1
    }
    return sum
  }
}
