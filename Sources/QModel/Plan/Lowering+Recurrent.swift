import QKernels

// Recurrent layers in an integer graph. Operands and outputs are those of RecurrentOp; on top of that:
// * input int8 or int16, weights int8 with one scale, one per row of both directions alike (G·H, axis 1), or one per row of
//   each (D·G·H); biases int32 with scale inputScale·weightScale (recurrent bias: hiddenScale·weightScale);
// * output 0 is int8 or int16; the hidden state of LSTM and RNN has its type and quantization. The hidden state of a GRU is
//   int16 with a power-of-two scale: that of operand 5 (initial hidden) or output 1;
// * the cell state is int16 with a power-of-two scale: that of operand 6 (initial cell) or output 2;
// * peepholes are int16 with one scale per direction and gate (3·D), or one.
extension Lowering {
  mutating func lowerRecurrent(_ node: Node, _ op: RecurrentOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    try require(input, .int8, .int16)
    try require(output, .int8, .int16)
    let activations = op.activations[0]
    guard op.activations.allSatisfy({ $0 == activations }) else {
      throw ModelError(.unsupported, "the two directions have different activations")
    }
    switch op.cell {
    case .lstm(let isCoupled): try lowerLSTM(node, op, input, output, isCoupled: isCoupled)
    case .gru(let linearBeforeReset): try lowerGRU(node, op, input, output, linearBeforeReset: linearBeforeReset)
    case .rnn: try lowerRNN(node, op, input, output)
    }
  }

  private mutating func lowerLSTM(
    _ node: Node, _ op: RecurrentOp, _ input: Operand, _ output: Operand, isCoupled: Bool
  ) throws(ModelError) {
    guard let cellQuantization = try stateQuantization(node, operand: 6, output: 2),
      let exponent = powerOfTwo(cellQuantization), (-15...0).contains(exponent)
    else {
      throw ModelError(.unsupported, "the cell state needs int16 with a scale of 2^-15 to 2^0 and the zero point 0")
    }
    let functions = op.activations[0]
    guard functions[0] == .logistic, let candidate = RecurrentActivation(functions[1]),
      let activation = RecurrentActivation(functions[2]), candidate != .logistic, activation != .logistic
    else { throw ModelError(.unsupported, "an LSTM with the activations \(functions)") }
    let cellScale = Double(cellQuantization.scale), half = 0x1p-15
    let forget = FixedPointMultiplier(nearest: half * cellScale / cellScale)
    let added = FixedPointMultiplier(nearest: half * (candidate == .relu ? 0x1p-12 : half) / cellScale)
    let result = FixedPointMultiplier(
      nearest: half * (activation == .relu ? cellScale : half) / Double(output.scale))
    var cellLimit = 32767
    if let clip = op.cellClip {
      // Truncated, as in TFLite.
      cellLimit = max(1, Int(max(0, min(clip / cellQuantization.scale, 32767))))
    }
    var params = LSTMParams(
      layer: try recurrentLayer(node, op, input, hidden: output, units: [0x1p-12]), isCoupled: isCoupled ? 1 : 0,
      candidateActivation: candidate.rawValue, cellActivation: activation.rawValue, cellLimit: Int32(cellLimit),
      cellExponent: Int32(exponent), forgetMultiplier: forget.multiplier, forgetShift: forget.shift,
      candidateMultiplier: added.multiplier, candidateShift: added.shift, outputMultiplier: result.multiplier,
      outputShift: result.shift, hiddenZeroPoint: Int32(output.zeroPoint))
    if node.inputs.count > 7, node.inputs[7] != nil { try addPeepholes(node, op, cellScale, &params) }
    let shape = [op.directionCount, input.shape[1], op.hiddenSize]
    let hidden = try recurrentState(
      node, operand: 5, shape, output.type, output.quantization ?? cellQuantization)
    let cell = try recurrentState(node, operand: 6, shape, .int16, cellQuantization)
    try recurrentStep(.lstm, params, params.layer, gates: 4, node, input, states: [hidden, cell])
  }

  private mutating func lowerGRU(
    _ node: Node, _ op: RecurrentOp, _ input: Operand, _ output: Operand, linearBeforeReset: Bool
  ) throws(ModelError) {
    guard let quantization = try stateQuantization(node, operand: 5, output: 1),
      let exponent = powerOfTwo(quantization), (-15...0).contains(exponent)
    else {
      throw ModelError(.unsupported, "the hidden state needs int16 with a scale of 2^-15 to 2^0 and the zero point 0")
    }
    let functions = op.activations[0].prefix(2)
    guard functions == [.logistic, .tanh] || functions == [.logistic, .relu],
      let candidate = RecurrentActivation(functions[1])
    else { throw ModelError(.unsupported, "a GRU with the activations \(functions)") }
    let isWide = output.type == .int16
    if isWide, output.quantization != quantization {
      throw ModelError(.unsupported, "an int16 output of a GRU needs the scale of its state")
    }
    let factor = FixedPointMultiplier(nearest: Double(quantization.scale) / Double(output.scale))
    // A candidate without bounds reaches four times the hidden state's end: as a sum of two parts that may cancel each
    // other, and because the update gate takes only a share of it.
    let candidateUnit = candidate == .relu ? 4 * Double(quantization.scale) : 0x1p-12
    let params = GRUParams(
      layer: try recurrentLayer(
        node, op, input, hidden: output, units: [0x1p-12, 0x1p-12, candidateUnit]),
      linearBeforeReset: linearBeforeReset ? 1 : 0, candidateActivation: candidate.rawValue,
      candidateLimit: gateLimit(op, unit: candidateUnit), hiddenExponent: Int32(exponent),
      outputMultiplier: factor.multiplier, outputShift: factor.shift,
      outputZeroPoint: Int32(output.zeroPoint), hasWideOperand: isWide ? 1 : 0)
    let hidden = try recurrentState(
      node, operand: 5, [op.directionCount, input.shape[1], op.hiddenSize], .int16, quantization)
    try recurrentStep(.gru, params, params.layer, gates: 3, node, input, states: [hidden])
  }

  private mutating func lowerRNN(
    _ node: Node, _ op: RecurrentOp, _ input: Operand, _ output: Operand
  ) throws(ModelError) {
    guard let activation = RecurrentActivation(op.activations[0][0]) else {
      throw ModelError(.unsupported, "an RNN with the activation \(op.activations[0][0])")
    }
    var gateUnit = 0x1p-12
    if activation == .relu {
      // The sums that are not cut off must reach the hidden state's end, with a reserve for parts that cancel each other.
      let largest = Double(output.scale) * Double(output.type.range.upperBound - output.zeroPoint)
      while 32767 * gateUnit < 4 * largest { gateUnit *= 2 }
      while 32767 * gateUnit > 8 * largest, gateUnit > 0x1p-40 { gateUnit /= 2 }
    }
    let unit = activation == .relu ? gateUnit : 0x1p-15
    let factor = FixedPointMultiplier(nearest: unit / Double(output.scale))
    let params = RNNParams(
      layer: try recurrentLayer(node, op, input, hidden: output, units: [gateUnit]), activation: activation.rawValue,
      outputMultiplier: factor.multiplier, outputShift: factor.shift, hiddenZeroPoint: Int32(output.zeroPoint))
    let hidden = try recurrentState(
      node, operand: 5, [op.directionCount, input.shape[1], op.hiddenSize], output.type,
      output.quantization ?? TensorQuantization(scale: 1, zeroPoint: 0))
    try recurrentStep(.rnn, params, params.layer, gates: 1, node, input, states: [hidden])
  }

  // MARK: - Products

  /// Sizes and both products of a layer.
  ///
  /// - Parameters:
  ///   - hidden: gives the quantization of what the recurrent weights multiply.
  ///   - units: the real value of one step of each gate's argument, or of all alike.
  private mutating func recurrentLayer(
    _ node: Node, _ op: RecurrentOp, _ input: Operand, hidden: Operand, units: [Double]
  ) throws(ModelError) -> RecurrentLayer {
    // A few steps of input products at once keep the wide kernels busy; more only cost memory.
    let rows = op.gateCount * op.hiddenSize
    let steps = max(1, min(input.shape[0], 8, max(2048, input.elementCount + hidden.elementCount) / (2 * rows)))
    return RecurrentLayer(
      inputSize: Int32(input.shape[2]), hiddenSize: Int32(op.hiddenSize), directionCount: Int32(op.directionCount),
      reverseMask: op.direction == .forward ? 0 : op.direction == .reverse ? 1 : 2, stepsPerChunk: Int32(steps),
      gateLimit: gateLimit(op, unit: units[0]), input: try gateProduct(node, weights: 1, bias: 3, op, input, units),
      recurrent: try gateProduct(node, weights: 2, bias: 4, op, hidden, units))
  }

  /// The clip of a layer in steps of an argument, 32767 for none.
  private func gateLimit(_ op: RecurrentOp, unit: Double) -> Int32 {
    guard let clip = op.clip else { return 32767 }
    return Int32(max(1, min(32767, (Double(clip) / unit).rounded())))
  }

  /// One of a layer's two products: from `operand` to gate arguments.
  private mutating func gateProduct(
    _ node: Node, weights index: Int, bias biasIndex: Int, _ op: RecurrentOp, _ operand: Operand,
    _ units: [Double]
  ) throws(ModelError) -> ChannelQuantization {
    let weights = try gateWeights(node, index)
    let directions = op.directionCount, rows = weights.shape[1], depth = weights.shape[2]
    let bias = try integers(node, biasIndex) ?? [Int](repeating: 0, count: directions * rows)
    var packed: [Int8] = []
    var sums = [ChannelSums](repeating: ChannelSums(), count: directions * rows)
    for direction in 0..<directions {
      packed += WeightPacking.rows(channels: rows, rows: 1, length: depth) { row, _, k in
        let weight = weights.values[(direction * rows + row) * depth + k]
        sums[direction * rows + row].add(Int(weight))
        return weight
      }
    }
    let multipliers = weights.scales.enumerated().map { row, scale in
      let unit = units.count == 1 ? units[0] : units[row / op.hiddenSize % op.gateCount]
      return FixedPointMultiplier(nearest: Double(operand.scale) * Double(scale) / unit)
    }
    if operand.type == .int16 {
      // Sums have 64 bits here, but the bias is stored in 32, and a factor of more than 2^14 would leave them.
      guard bias.allSatisfy({ Int32(exactly: $0) != nil }), multipliers.allSatisfy({ $0.shift <= 14 }) else {
        throw ModelError(.unsupported, "a bias or factor of \(label(node.inputs[index] ?? 0)) is too large")
      }
      for (row, sum) in sums.enumerated() {
        let products = sum.range(inputs: operand.type.range, zeroPoint: 0)
        let largest = Double(max(products.lowerBound.magnitude, products.upperBound.magnitude) + bias[row].magnitude)
        // What exceeds 32 bits after requantization would be cut off instead of saturated.
        guard largest * multipliers[row].value < 0x1p30 else {
          throw ModelError(.unsupported, "row \(row) of \(label(node.inputs[index] ?? 0)) is too large")
        }
      }
    }
    let gates = Operand(
      id: operand.id, shape: [rows], type: .int16,
      quantization: TensorQuantization(scale: Float(units[0]), zeroPoint: 0), label: "the gates")
    return try channelQuantization(
      packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: operand, output: gates,
      activation: .none, groups: directions, sumsAreWide: operand.type == .int16)
  }

  /// Gate weights [D,G·H,K] with one scale per row.
  private func gateWeights(_ node: Node, _ index: Int) throws(ModelError) -> LayerWeights {
    guard index < node.inputs.count, let id = node.inputs[index] else {
      throw ModelError(.malformed, "the weights are missing")
    }
    let tensor = graph.tensors[id]
    guard case .int8(let values)? = tensor.data, values.count == tensor.elementCount,
      let quantization = tensor.quantization
    else { throw ModelError(.unsupported, "the weights, \(label(id)), are no int8 constant with scales") }
    let rows = tensor.shape[0] * tensor.shape[1], count = quantization.scales.count
    guard count == 1 || count == rows || count == tensor.shape[1],
      quantization.scales.allSatisfy({ $0.isFinite && $0 > 0 }), quantization.zeroPoints.allSatisfy({ $0 == 0 })
    else {
      throw ModelError(
        .malformed, "the weights, \(label(id)), need one positive scale, or \(rows), and the zero point 0")
    }
    return LayerWeights(
      label: label(id), values: values, shape: tensor.shape,
      scales: (0..<rows).map { quantization.scales[$0 % count] }, zeroPoint: 0)
  }

  private mutating func addPeepholes(
    _ node: Node, _ op: RecurrentOp, _ cellScale: Double, _ params: inout LSTMParams
  ) throws(ModelError) {
    let count = 3 * op.directionCount
    guard let id = node.inputs[7], case .int16(let values)? = graph.tensors[id].data,
      values.count == count * op.hiddenSize, let quantization = graph.tensors[id].quantization,
      quantization.scales.count == 1 || quantization.scales.count == count
    else { throw ModelError(.unsupported, "the peepholes are no int16 constant with one scale per direction and gate") }
    let multipliers = (0..<count).map { index in
      let scale = quantization.scales[quantization.scales.count == 1 ? 0 : index]
      return FixedPointMultiplier(nearest: Double(scale) * cellScale / 0x1p-12)
    }
    // A product P·c may have 31 bits: there is none for a left shift.
    guard graph.origin != .float || multipliers.allSatisfy({ $0.shift <= 0 }) else {
      throw ModelError(.unsupported, "the peepholes, \(label(id)), are too large for the range of the cell state")
    }
    params.peepholes = builder.constant(values)
    params.peepholeMultiplier = builder.constant(multipliers.map(\.multiplier))
    params.peepholeShift = builder.constant(multipliers.map(\.shift))
  }

  // MARK: - State

  /// The quantization of a state: that of its variable or constant initial value, else of its final one.
  private func stateQuantization(
    _ node: Node, operand: Int, output: Int
  ) throws(ModelError) -> TensorQuantization? {
    if operand < node.inputs.count, let id = node.inputs[operand],
      graph.tensors[id].isVariable || graph.tensors[id].isConstant
    {
      return graph.tensors[id].quantization
    }
    return output < node.outputs.count ? graph.tensors[node.outputs[output]].quantization : nil
  }

  /// n for a scale of 2^n with the zero point 0.
  private func powerOfTwo(_ quantization: TensorQuantization) -> Int? {
    let scale = quantization.scale
    guard scale.isFinite, scale > 0, scale.significand == 1, quantization.zeroPoint == 0 else { return nil }
    return Int(scale.exponent)
  }

  /// The memory that a step keeps a state in.
  ///
  /// A state that starts at zero, at a constant or as a variable tensor is in the state buffer: kept from one run to the
  /// next until it is reset. One that the model is given with every run is a copy of what is given.
  private mutating func recurrentState(
    _ node: Node, operand index: Int, _ shape: [Int], _ type: StoredType, _ quantization: TensorQuantization
  ) throws(ModelError) -> Int {
    let name = node.name + (index == 5 ? ".hidden" : ".cell")
    var state = PlanTensor(
      name: name, shape: shape, type: type, scale: quantization.scale, zeroPoint: quantization.zeroPoint,
      place: .state(initialValue: nil))
    guard index < node.inputs.count, let id = node.inputs[index] else { return builder.add(state) }
    let initial = try quantized(operand(id))
    let isSame = initial.type == type && initial.quantization == quantization
    if graph.tensors[id].isVariable || graph.tensors[id].isConstant {
      guard isSame else {
        throw ModelError(
          .unsupported,
          "the state, \(initial.label), is \(initial.type) with scale \(initial.scale), expected \(type) "
            + "with scale \(quantization.scale)")
      }
      if graph.tensors[id].isVariable { return try self.state(id) }
      // A constant may be the initial value of several states.
      if let values = try integers(node, index) {
        state.place = .state(initialValue: builder.constant(values, as: type))
      }
      return builder.add(state)
    }
    state.place = .arena
    let source = try existing(id), target = builder.add(state)
    if isSame {
      builder.step(.copy, CopyParams(), inputs: [source], outputs: [target], inPlaceInputs: [0])
    } else {
      try requantize(source, to: target)
    }
    return target
  }

  /// The step itself, and the final states as further outputs.
  private mutating func recurrentStep<Params: BitwiseCopyable>(
    _ code: OpCode, _ params: Params, _ layer: RecurrentLayer, gates: Int, _ node: Node, _ input: Operand, states: [Int]
  ) throws(ModelError) {
    let source = try existing(input.id)
    let outputs = isUsed(node.outputs[0]) ? [try activation(node.outputs[0])] : []
    builder.step(
      code, params, inputs: [source] + states, outputs: outputs, scratch: layer.scratchByteCount(gateCount: gates))
    for (index, id) in node.outputs.enumerated().dropFirst() where index <= states.count && isUsed(id) {
      // The state changes with the next run, and is no result of the step: its value now is copied.
      let final = try quantized(operand(id)), state = builder.tensors[states[index - 1]]
      let target = try activation(id)
      if final.type == state.type, final.scale == state.scale, final.zeroPoint == state.zeroPoint {
        builder.step(.copy, CopyParams(), inputs: [states[index - 1]], outputs: [target])
      } else {
        try requantize(states[index - 1], to: target)
      }
    }
  }

  /// Whether a node reads a tensor, or the model gives it out.
  private func isUsed(_ id: TensorID) -> Bool {
    graph.outputs.contains(id) || graph.nodes.contains { $0.inputs.contains(id) }
  }
}

extension RecurrentActivation {
  /// The form of a graph's function in the recurrent kernels, nil if they have none.
  init?(_ function: UnaryOp) {
    switch function {
    case .logistic: self = .logistic
    case .tanh: self = .tanh
    case .relu: self = .relu
    case .relu6, .reluN1To1, .clip, .leakyRelu, .hardSigmoid, .hardSwish, .elu, .selu, .celu, .gelu, .silu, .mish,
      .softplus, .softsign, .thresholdedRelu, .exp, .log, .sqrt, .rsqrt, .square, .abs, .neg, .reciprocal, .erf, .sin,
      .cos:
      return nil
    }
  }
}
