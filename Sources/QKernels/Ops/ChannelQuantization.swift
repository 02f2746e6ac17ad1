import QKernelsIntrinsics

/// The part of a params record that layers with weights share: packed weights and per-channel requantization.
///
/// All offsets are into the constants section, 64-byte aligned; arrays of Int32 hold one value per output channel, padded
/// to whole blocks of 16 channels with multiplier 0.
public struct ChannelQuantization: BitwiseCopyable, Sendable {
  /// Packed weights; the op defines their layout.
  public var weights: UInt32
  /// Int32: bias with the input zero point folded in, `b - inputZeroPoint * sum(w)`.
  public var bias: UInt32
  /// Int32: sum of the weights of each channel.
  public var weightSums: UInt32
  /// Int32: Q0.31 multiplier, 0 or >= 2^30.
  public var multiplier: UInt32
  /// Int32: -31...30, positive = left.
  public var shift: UInt32
  /// The output tensor's zero point.
  public var outputZeroPoint: Int32
  /// Fused activation as a clamp of the output, in output units.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(
    weights: UInt32, bias: UInt32, weightSums: UInt32, multiplier: UInt32, shift: UInt32, outputZeroPoint: Int32,
    outputMin: Int32, outputMax: Int32
  ) {
    self.weights = weights
    self.bias = bias
    self.weightSums = weightSums
    self.multiplier = multiplier
    self.shift = shift
    self.outputZeroPoint = outputZeroPoint
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  /// Throws unless every array lies in the file and every value is in its domain, for `channelCount` output channels,
  /// `weightByteCount` bytes of packed weights, and an output range of `lowest...highest`.
  ///
  /// - Parameter biasRows: how many sets of biases and weight sums stand one after another.
  func validate(
    _ view: StepView, channelCount: Int, weightByteCount: Int, biasRows: Int = 1, lowest: Int32 = -128,
    highest: Int32 = 127
  ) throws(Status) {
    let padded = (channelCount &+ 15) / 16 &* 16
    let biasBytes = try checkedProduct(padded &* 4, biasRows)
    try view.requireConstant(weights, byteCount: weightByteCount, alignment: 64)
    try view.requireConstant(bias, byteCount: biasBytes, alignment: 64)
    try view.requireConstant(weightSums, byteCount: biasBytes, alignment: 64)
    try view.requireConstant(multiplier, byteCount: padded &* 4, alignment: 64)
    try view.requireConstant(shift, byteCount: padded &* 4, alignment: 64)
    let multipliers = view.model.constant(multiplier).assumingMemoryBound(to: Int32.self)
    let shifts = view.model.constant(shift).assumingMemoryBound(to: Int32.self)
    var channel = 0
    while channel < padded {
      try requireMultiplier(multipliers[channel], shift: shifts[channel])
      channel += 1
    }
    try requireClamp(zeroPoint: outputZeroPoint, min: outputMin, max: outputMax, lowest: lowest, highest: highest)
  }

  /// The pointers that the primitives take.
  @inline(__always) func resolved(_ context: StepContext) -> qk_channel_quantization {
    qk_channel_quantization(
      bias: context.constant(bias, as: Int32.self),
      weightSums: context.constant(weightSums, as: Int32.self),
      multiplier: context.constant(multiplier, as: Int32.self),
      shift: context.constant(shift, as: Int32.self),
      outputZeroPoint: outputZeroPoint, outputMin: outputMin, outputMax: outputMax)
  }
}

/// Throws unless `lowest <= min <= max <= highest` and the zero point is in `lowest...highest`.
func requireClamp(zeroPoint: Int32, min: Int32, max: Int32, lowest: Int32, highest: Int32) throws(Status) {
  guard lowest <= min, min <= max, max <= highest, zeroPoint >= lowest, zeroPoint <= highest else {
    throw .badQuantization
  }
}

extension qk_channel_quantization {
  /// The same for the channels from `offset` on.
  @inline(__always)
  func advanced(by offset: Int) -> qk_channel_quantization {
    qk_channel_quantization(
      bias: bias + offset, weightSums: weightSums + offset, multiplier: multiplier + offset, shift: shift + offset,
      outputZeroPoint: outputZeroPoint, outputMin: outputMin, outputMax: outputMax)
  }
}
