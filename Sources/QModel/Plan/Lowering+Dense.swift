import QKernels

extension Lowering {
  mutating func lowerFullyConnected(_ node: Node, _ op: FullyConnectedOp) throws(ModelError) {
    var weights = try weights(node, 1, channelAxis: 0, allowsZeroPoint: true)
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let channels = weights.shape[0], depth = weights.shape[1]
    // Weights that stay in 8 bits without their zero point need no correction at run time.
    let differences = weights.values.map { Int($0) - weights.zeroPoint }
    if differences.allSatisfy({ StoredType.int8.range.contains($0) }) {
      weights.values = differences.map { Int8($0) }
      weights.zeroPoint = 0
    }
    var sums = [ChannelSums](repeating: ChannelSums(), count: channels)
    for (index, difference) in differences.enumerated() { sums[index / depth].add(difference) }
    for channel in sums.indices { sums[channel].zeroPoints = depth * weights.zeroPoint }
    let packed = WeightPacking.rows(channels: channels, rows: 1, length: depth) { o, _, k in
      weights.values[o * depth + k]
    }
    let bias = try bias(node, 2, channels: channels)
    let multipliers = channelMultipliers(input: input, weights: weights, output: output)
    let source = try existing(input.id)
    switch (input.type, output.type) {
    case (.int8, .int8):
      let params = FullyConnectedParams(
        inputDepth: Int32(depth), outputDepth: Int32(channels), weightsZeroPoint: Int32(weights.zeroPoint),
        quantization: try channelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: op.activation))
      builder.step(
        .fullyConnected, params, inputs: [source], outputs: [try activation(output.id)],
        scratch: params.scratchByteCount)
    case (.int16, .int16):
      guard weights.zeroPoint == 0 else {
        throw ModelError(.unsupported, "int16 activations need weights without a zero point")
      }
      let params = FullyConnectedInt16Params(
        inputDepth: Int32(depth), outputDepth: Int32(channels),
        quantization: try wideChannelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: op.activation, accumulatorBits: accumulatorBits(node, bias: 2)))
      builder.step(.fullyConnectedInt16, params, inputs: [source], outputs: [try activation(output.id)])
    default: throw unsupportedTypes(input, output)
    }
  }

  mutating func lowerBatchMatMul(_ node: Node, _ op: BatchMatMulOp) throws(ModelError) {
    let a = try quantized(input(node, 0)), b = try quantized(input(node, 1)), output = try quantized(output(node))
    guard a.type == b.type, a.type == output.type, a.type != .int32 else { throw unsupportedTypes(a, output) }
    let factor = FixedPointMultiplier(nearest: Double(a.scale) * Double(b.scale) / Double(output.scale))
    let depth = op.transposeA ? a.shape[a.shape.count - 2] : a.shape[a.shape.count - 1]
    // Sums of products of two activations: 17 bits each for int8.
    guard depth <= 1 << 15 else {
      throw ModelError(.unsupported, "a product over \(depth) elements, at most \(1 << 15) are supported")
    }
    if a.type == .int16 {
      guard factor.shift <= 14 else { throw ModelError(.unsupported, "the scales give a factor of \(factor.value)") }
    }
    let params = BatchMatMulParams(
      transposeA: op.transposeA, transposeB: op.transposeB, multiplier: factor.multiplier, shift: factor.shift,
      outputMin: Int32(output.type.range.lowerBound), outputMax: Int32(output.type.range.upperBound))
    let inputs = [try existing(a.id), try existing(b.id)], outputs = [try activation(output.id)]
    if a.type == .int8 {
      builder.step(
        .batchMatMul, params, inputs: inputs, outputs: outputs,
        scratch: params.scratchByteCount(a: record(a), b: record(b)))
    } else {
      builder.step(.batchMatMulInt16, params, inputs: inputs, outputs: outputs)
    }
  }
}
