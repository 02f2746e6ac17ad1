import QKernels

extension Lowering {
  /// A normalization that no layer could take in: a factor and a summand per channel, as a depthwise 1x1 convolution.
  mutating func lowerBatchNormalization(_ node: Node, _ op: BatchNormalizationOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    try require(input, .int8)
    try require(output, .int8)
    let channels = input.shape[op.axis]
    let affine = try normalization(node, op, channels)
    // Weights of +-127 and a scale of their own for each channel, coarser where the summand needs it.
    var weights: [Int8] = [], scales: [Float] = [], bias: [Int] = []
    for (factor, summand) in affine {
      let coarsest = max(abs(factor) / 127, abs(summand) / (Double(input.scale) * 0x1p30))
      let scale = Float(max(coarsest, Double(Float.leastNormalMagnitude)))
      scales.append(scale)
      weights.append(Int8(clamping: Int((factor / Double(scale)).rounded(.toNearestOrAwayFromZero))))
      bias.append(Int((summand / (Double(input.scale) * Double(scale))).rounded(.toNearestOrAwayFromZero)))
    }
    var sums = [ChannelSums](repeating: ChannelSums(), count: channels)
    for (channel, weight) in weights.enumerated() { sums[channel].add(Int(weight)) }
    let layer = LayerWeights(
      label: node.name, values: weights, shape: [1, 1, 1, channels], scales: scales, zeroPoint: 0)
    let params = DepthwiseConv2DParams(
      geometry: DepthwiseConv2DGeometry(window: QKernels.Window2D(kernelHeight: 1, kernelWidth: 1)),
      quantization: try channelQuantization(
        packed: WeightPacking.taps(channels: channels, taps: 1) { channel, _ in weights[channel] }, sums: [sums],
        bias: bias, multipliers: channelMultipliers(input: input, weights: layer, output: output), input: input,
        output: output, activation: .none))
    // The kernel wants the channels last: another view where only axes of one element are in the way, else transpositions.
    let outer = input.shape[..<op.axis].reduce(1, *), inner = input.shape[(op.axis + 1)...].reduce(1, *)
    let shape = [1, 1, outer * inner, channels]
    var record = self.record(input)
    record.setShape(shape)
    guard let scratch = params.scratchByteCount(input: record, output: record) else {
      throw ModelError(.unsupported, "the layer needs more than 2 GiB")
    }
    let source = try existing(input.id)
    let normalized = temporary(like: output, shape: shape)
    if inner == 1 {
      builder.step(.depthwiseConv2D, params, inputs: [view(source, shape)], outputs: [normalized], scratch: scratch)
      try alias(output.id, ofPlanned: normalized)
      return
    }
    let last = temporary(like: input, shape: [outer, inner, channels])
    swapAxes(view(source, [outer, channels, inner]), last)
    builder.step(.depthwiseConv2D, params, inputs: [view(last, shape)], outputs: [normalized], scratch: scratch)
    let result = temporary(like: output, shape: [outer, channels, inner])
    swapAxes(view(normalized, [outer, inner, channels]), result)
    try alias(output.id, ofPlanned: result)
  }

  /// The same memory with another shape, for a step's operand.
  private mutating func view(_ tensor: Int, _ shape: [Int]) -> Int {
    let source = builder.tensors[tensor]
    var place = source.place
    if case .arena = place { place = .alias(of: tensor) }
    return builder.add(
      PlanTensor(shape: shape, type: source.type, scale: source.scale, zeroPoint: source.zeroPoint, place: place))
  }

  /// Exchanges the last two of three axes.
  private mutating func swapAxes(_ source: Int, _ target: Int) {
    var permutation = InlineArray<6, Int32>(repeating: 0)
    for axis in 0..<6 { permutation[axis] = Int32(axis == 1 ? 2 : axis == 2 ? 1 : axis) }
    builder.step(.transpose, TransposeParams(permutation: permutation), inputs: [source], outputs: [target])
  }

  /// Factor and summand of each channel, from float or quantized constants.
  private func normalization(
    _ node: Node, _ op: BatchNormalizationOp, _ channels: Int
  ) throws(ModelError) -> [(factor: Double, summand: Double)] {
    func reals(_ index: Int) throws(ModelError) -> [Double] {
      guard index < node.inputs.count, let id = node.inputs[index],
        let values = graph.tensors[id].data?.floats, values.count == channels
      else { throw ModelError(.unsupported, "operand \(index) is no constant of \(channels) floats") }
      return values.map { Double($0) }
    }
    let scale = try reals(1), bias = try reals(2), mean = try reals(3), variance = try reals(4)
    var result: [(factor: Double, summand: Double)] = []
    for channel in 0..<channels {
      let factor = scale[channel] / (variance[channel] + Double(op.epsilon)).squareRoot()
      let summand = bias[channel] - mean[channel] * factor
      guard factor.isFinite, summand.isFinite else {
        throw ModelError(.malformed, "channel \(channel) is normalized by a variance of \(variance[channel])")
      }
      result.append((factor, summand))
    }
    return result
  }
}
