import QKernels

extension Lowering {
  mutating func lowerPool2D(_ node: Node, _ op: Pool2DOp, isMaximum: Bool) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type, input.type != .int32 else { throw unsupportedTypes(input, output) }
    let window = try window(
      kernel: (op.kernelHeight, op.kernelWidth), stride: (op.strideHeight, op.strideWidth),
      dilation: (op.dilationHeight, op.dilationWidth), padding: op.padding)
    guard op.padding.bottom <= 32767, op.padding.right <= 32767 else {
      throw ModelError(.unsupported, "a window's padding exceeds 32767")
    }
    if !isMaximum, graph.origin == .float, input.type == .int8, input.quantization != output.quantization,
      try lowerRescaledAverage(op, window, input, output)
    {
      return
    }
    // In the scale of the input: values that the output could not hold may have a mean that it can.
    var natural = output
    if graph.origin == .float { natural.quantization = try quantized(input).quantization }
    let clamp = activationRange(op.activation, natural)
    let padded = op.padding != Padding2D()
    let params = Pool2DParams(
      window: window, countsPadding: !isMaximum && op.countIncludePad && padded, padBottom: Int32(op.padding.bottom),
      padRight: Int32(op.padding.right), outputMin: Int32(clamp.lowerBound), outputMax: Int32(clamp.upperBound))
    let source = try existing(input.id), scratch = params.scratchByteCount(input: record(input))
    try compute(output, in: natural.quantization) { lowering, target in
      lowering.builder.step(
        isMaximum ? .maxPool2D : .averagePool2D, params, inputs: [source], outputs: [target], scratch: scratch)
    }
  }

  /// An average whose result has a scale of its own, so that the sum is rounded once: a mean over the whole image, or a
  /// depthwise convolution with weights of 1 where the padding counts or there is none. False for other averages.
  private mutating func lowerRescaledAverage(
    _ op: Pool2DOp, _ window: QKernels.Window2D, _ input: Operand, _ output: Operand
  ) throws(ModelError) -> Bool {
    let isPadded = op.padding != Padding2D()
    let taps = op.kernelHeight * op.kernelWidth, channels = input.shape[3]
    if !isPadded, op.dilationHeight == 1, op.dilationWidth == 1, op.activation == .none,
      [op.kernelHeight, op.kernelWidth] == input.shape[1...2], output.shape[1...2] == [1, 1]
    {
      try mean(try quantized(input), try quantized(output), axes: [1, 2])
      return true
    }
    let isExact = !isPadded || op.countIncludePad
    // With the ceiling, the last window may hold fewer elements than it divides by.
    guard isExact, !op.ceilMode, taps <= 64 else { return false }
    let layer = LayerWeights(
      label: "", values: [], shape: [1, op.kernelHeight, op.kernelWidth, channels],
      scales: [Float](repeating: 1 / Float(taps), count: channels), zeroPoint: 0)
    var sum = ChannelSums()
    sum.add(taps)
    let packed = WeightPacking.taps(channels: channels, taps: taps) { _, _ in 1 }
    let params = DepthwiseConv2DParams(
      geometry: DepthwiseConv2DGeometry(window: window),
      quantization: try channelQuantization(
        packed: packed, sums: [[ChannelSums](repeating: sum, count: channels)],
        bias: [Int](repeating: 0, count: channels),
        multipliers: channelMultipliers(input: try quantized(input), weights: layer, output: try quantized(output)),
        input: input, output: output, activation: op.activation))
    try layerStep(
      .depthwiseConv2D, params, input, output, params.scratchByteCount(input: record(input), output: record(output)))
    return true
  }

  mutating func lowerMean(_ node: Node, _ op: ReduceOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    try mean(input, output, axes: op.axes)
  }

  private mutating func mean(_ input: Operand, _ output: Operand, axes: [Int]) throws(ModelError) {
    guard input.type == output.type, input.type != .int32 else { throw unsupportedTypes(input, output) }
    let count = axes.reduce(1) { $0 * input.shape[$1] }
    var factor = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale) / Double(count))
    if graph.origin == .quantizedTFLite {
      // The ratio of the scales first, then divided by the count with as many bits as fit (TFLite's QuantizedMeanOrSum).
      let ratio = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale))
      let shift = min(Int.bitWidth - 1 - count.leadingZeroBitCount, 32, 31 + Int(ratio.shift))
      factor = FixedPointMultiplier(
        multiplier: Int32(truncatingIfNeeded: (Int(ratio.multiplier) << shift) / count),
        shift: ratio.shift - Int32(shift))
    }
    let params = MeanParams(
      axes: axes.reduce(0) { $0 | 1 << UInt32($1) }, multiplier: factor.multiplier, shift: factor.shift,
      outputMin: Int32(output.type.range.lowerBound), outputMax: Int32(output.type.range.upperBound))
    builder.step(
      .mean, params, inputs: [try existing(input.id)], outputs: [try activation(output.id)],
      scratch: params.scratchByteCount(input: record(input)))
  }
}
