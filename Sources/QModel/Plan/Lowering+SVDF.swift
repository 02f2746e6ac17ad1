import QKernels

extension Lowering {
  mutating func lowerSVDF(_ node: Node, _ op: SVDFOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let state = try quantized(self.input(node, 4))
    try require(input, .int8)
    try require(output, .int8)
    try require(state, .int8, .int16)
    guard graph.tensors[state.id].isVariable else {
      throw ModelError(.unsupported, "the state, \(state.label), is no variable tensor")
    }
    let feature = try weights(node, 1, channelAxis: 0)
    guard let time = try integers(node, 2), let timeID = node.inputs[2],
      let timeScale = graph.tensors[timeID].quantization
    else { throw ModelError(.malformed, "the time weights have no scale or no values") }
    guard timeScale.scales.count == 1, timeScale.scale.isFinite, timeScale.scale > 0, timeScale.zeroPoint == 0,
      time.allSatisfy({ state.type.range.contains($0) })
    else { throw ModelError(.malformed, "the time weights, \(label(timeID)), need one scale and the zero point 0") }
    let filters = feature.shape[0], depth = feature.shape[1], memory = graph.tensors[timeID].shape[1]
    var sums = [ChannelSums](repeating: ChannelSums(), count: filters)
    let packed = WeightPacking.rows(channels: filters, rows: 1, length: depth) { o, _, k in
      let weight = feature.values[o * depth + k]
      sums[o].add(Int(weight))
      return weight
    }
    let stateFactors = feature.scales.map {
      FixedPointMultiplier(nearest: Double(input.scale) * Double($0) / Double(state.scale))
    }
    let factor = FixedPointMultiplier(nearest: Double(state.scale) * Double(timeScale.scale) / Double(output.scale))
    var stored = state
    stored.quantization = TensorQuantization(scale: state.scale, zeroPoint: 0)
    // The reference has no activation here but the ends of the type.
    let clamp = activationRange(graph.origin == .float ? op.activation : .none, output)
    let params = SVDFParams(
      rank: Int32(op.rank), filterCount: Int32(filters), memorySize: Int32(memory),
      weightsTime: builder.constant(time, as: state.type),
      bias: builder.constant(try bias(node, 3, channels: filters / op.rank), as: .int32),
      outputMultiplier: factor.multiplier, outputShift: factor.shift, outputMin: Int32(clamp.lowerBound),
      outputMax: Int32(clamp.upperBound),
      feature: try channelQuantization(
        packed: packed, sums: [sums], bias: [Int](repeating: 0, count: filters), multipliers: stateFactors,
        input: input,
        output: stored, activation: .none))
    let memoryTensor = try self.state(state.id, shape: [input.shape[0], filters, memory])
    let source = try existing(input.id)
    builder.step(
      .svdf, params, inputs: [source, memoryTensor], outputs: [try activation(output.id)],
      scratch: params.scratchByteCount)
  }
}
