// Operators with state.
extension TFLiteGraphBuilder {
  /// A variable tensor that keeps an operator's state, [N, size]; its shape in the graph becomes `shape`.
  private mutating func state(
    _ op: Operator, _ position: Int, shape: [Int], types: [ElementType]
  ) throws(TFLiteProblem) -> Operand {
    let index = try requiredIndex(op, position)
    guard availability[index] == .state else {
      throw .unsupported("the state, \(label(index)), is not a variable tensor")
    }
    guard try checkedShape(index).reduce(1, *) == shape.reduce(1, *) else {
      throw .malformed("the state, \(label(index)), has the shape \(model.tensors[index].shape), expected \(shape)")
    }
    guard ownedStates.insert(index).inserted else {
      throw .malformed("the state, \(label(index)), belongs to another operator too")
    }
    try requireActivation(index, types: isQuantized ? types : [.float32])
    graph.tensors[index].shape = shape
    return operand(index)
  }

  // MARK: - SVDF

  mutating func importSVDF(_ op: Operator) throws(TFLiteProblem) {
    guard case .svdf(let rank, let activation) = op.record.options else { throw mismatchedOptions(op) }
    let input = try self.activation(op, 0, types: [.int8])
    let feature = try weights(op, 1, channelAxis: nil)
    let time = try weights(op, 2, channelAxis: nil, types: [.int8, .int16])
    guard input.rank == 2, feature.rank == 2, time.rank == 2, feature.shape[1] == input.shape[1],
      time.shape[0] == feature.shape[0]
    else {
      throw .malformed(
        "the input \(input.shape), feature weights \(feature.shape) and time weights \(time.shape) do not fit")
    }
    let filters = feature.shape[0]
    guard rank >= 1, filters % Int(rank) == 0 else {
      throw .malformed("\(filters) filters cannot be grouped by the rank \(rank)")
    }
    let units = filters / Int(rank)
    let (stateSize, overflow) = filters.multipliedReportingOverflow(by: time.shape[1])
    guard !overflow else { throw .malformed("the state is too large") }
    let state = try state(op, 4, shape: [input.shape[0], stateSize], types: [.int8, .int16])
    guard time.type == state.type else {
      throw .malformed("the time weights are \(time.type), the state is \(state.type)")
    }
    // The bias is added to products of state and time weights.
    var biasInput = state
    biasInput.type = .int8
    let bias = try bias(op, 3, channels: units, input: biasInput, weights: time)
    let output = try define(op, shape: [input.shape[0], units], types: sameType(input))
    let svdf = SVDFOp(rank: Int(rank), activation: try fusedActivation(activation))
    append(op, .svdf(svdf), [input.id, feature.id, time.id, bias?.id, state.id], [output])
  }

  // MARK: - LSTM

  /// TFLite's operands in the order of ``RecurrentOp``'s gates: input, output, forget, cell.
  private enum LSTMOperand {
    static let inputWeights = [1, 4, 2, 3]
    static let recurrentWeights = [5, 8, 6, 7]
    static let peepholes = [9, 11, 10]
    static let biases = [12, 15, 13, 14]
    static let projection = 16...17
    static let hiddenState = 18
    static let cellState = 19
    static let layerNormalization = 20...23
  }

  mutating func importLSTM(_ op: Operator) throws(TFLiteProblem) {
    guard case .lstm(let options) = op.record.options else { throw mismatchedOptions(op) }
    try checkLSTMOptions(op, options)
    let input = try activation(op, 0)
    guard input.rank == 3 else { throw .malformed("the input has the shape \(input.shape), expected 3 axes") }
    let (steps, batch) = options.isTimeMajor ? (input.shape[0], input.shape[1]) : (input.shape[1], input.shape[0])
    let features = input.shape[2]
    let first = try weights(op, LSTMOperand.recurrentWeights[1], channelAxis: nil)
    guard first.rank == 2 else { throw .malformed("the recurrent weights have the shape \(first.shape)") }
    let hidden = first.shape[0]
    let coupled = try inputIndex(op, LSTMOperand.inputWeights[0]) == nil
    if coupled, isQuantized {
      throw .unsupported("an LSTM whose input and forget gates are coupled is supported in float models only")
    }

    let inputWeights = try gateWeights(
      op, LSTMOperand.inputWeights, shape: [hidden, features], negatesForget: coupled)
    let recurrentWeights = try gateWeights(
      op, LSTMOperand.recurrentWeights, shape: [hidden, hidden], negatesForget: coupled)
    let bias = try gateBiases(op, input: input, hidden: hidden, negatesForget: coupled)
    let peepholes = try gatePeepholes(op, hidden: hidden, negatesForget: coupled)
    let hiddenState = try state(
      op, LSTMOperand.hiddenState, shape: [1, batch, hidden], types: [input.type])
    let cellState = try state(op, LSTMOperand.cellState, shape: [1, batch, hidden], types: [.int16])
    try checkCellScale(cellState)

    let output = try define(
      op, shape: options.isTimeMajor ? [steps, batch, hidden] : [batch, steps, hidden], types: sameType(input))
    var recurrent = RecurrentOp(
      cell: .lstm(coupledGates: coupled), direction: .forward, hiddenSize: hidden)
    recurrent.stateIsVariable = true
    recurrent.cellClip = options.cellClip > 0 ? options.cellClip : nil
    if options.activation != .tanh {
      let function: UnaryOp = options.activation == .relu ? .relu : .relu6
      recurrent.activations = [[.logistic, function, function]]
    }
    let sequence = appendTimeMajor(op, input, isTimeMajor: options.isTimeMajor, shape: [steps, batch, features])
    let states = temporary(
      like: output, shape: [steps, 1, batch, hidden], batchAxis: graph.tensors[sequence].batchAxis == 1 ? 2 : nil)
    let lastHidden = temporary(like: hiddenState.id, shape: hiddenState.shape)
    let lastCell = temporary(like: cellState.id, shape: cellState.shape)
    append(
      op, .recurrent(recurrent),
      [sequence, inputWeights, recurrentWeights, bias, nil, hiddenState.id, cellState.id, peepholes],
      [states, lastHidden, lastCell])
    appendSourceMajor(op, states, output, isTimeMajor: options.isTimeMajor, shape: [steps, batch, hidden])
  }

  private mutating func checkLSTMOptions(_ op: Operator, _ options: TFLiteOptions.LSTM) throws(TFLiteProblem) {
    for position in LSTMOperand.projection where try inputIndex(op, position) != nil {
      throw .unsupported("an LSTM with a projection is not supported")
    }
    for position in LSTMOperand.layerNormalization where try inputIndex(op, position) != nil {
      throw .unsupported("an LSTM with layer normalization is not supported")
    }
    guard !options.hasDiagonalRecurrentWeights else {
      throw .unsupported("an LSTM with diagonal recurrent weights is not supported")
    }
    guard options.cellClip.isFinite, options.cellClip >= 0 else {
      throw .malformed("the cell is clipped at \(options.cellClip)")
    }
    switch options.activation {
    case .tanh: break
    case .relu where !isQuantized, .relu6 where !isQuantized: break
    case .none, .relu, .reluN1To1, .relu6, .signBit:
      throw .unsupported("an LSTM with the activation \(options.activation) is not supported")
    }
  }

  /// The power-of-two scale that the integer tanh of the cell state needs.
  private func checkCellScale(_ cell: Operand) throws(TFLiteProblem) {
    guard isQuantized, let scale = cell.scale else { return }
    guard scale.significand == 1, graph.tensors[cell.id].quantization?.zeroPoint == 0 else {
      throw .malformed(
        "the cell state, \(label(cell.id)), has the scale \(scale), expected a power of two and the zero point 0")
    }
  }

  // MARK: Gates

  /// The weights of the four gates as one tensor [1, 4·H, ...], with one scale per row in quantized models.
  ///
  /// Coupled gates (no input gate in the file): TFLite has input = 1 − forget, the graph forget = 1 − input. With
  /// 1 − σ(x) = σ(−x), the input gate is the forget gate with its sign changed.
  private mutating func gateWeights(
    _ op: Operator, _ positions: [Int], shape: [Int], negatesForget: Bool
  ) throws(TFLiteProblem) -> TensorID {
    var floats: [Float] = []
    var bytes: [Int8] = []
    var scales: [Float] = []
    for (gate, position) in positions.enumerated() {
      let isNegated = gate == 0 && negatesForget
      if isNegated, try inputIndex(op, position) != nil {
        throw .malformed("an LSTM without input weights has recurrent weights for the input gate")
      }
      let source = isNegated ? positions[2] : position
      let weights = try weights(op, source, channelAxis: nil)
      guard weights.shape == shape, let data = weights.data else {
        throw .malformed("the weights, \(label(weights.id)), have the shape \(weights.shape), expected \(shape)")
      }
      try chargeDecoding(8 * data.count, weights.id)
      switch data {
      case .float(let values): floats += isNegated ? values.map { -$0 } : values
      case .int8(let values): bytes += values
      case .int16, .int32, .int64: throw .unsupported("the weights, \(label(weights.id)), are \(weights.type)")
      }
      if let scale = weights.scale { scales += [Float](repeating: scale, count: shape[0]) }
    }
    let rows = 4 * shape[0]
    return graph.add(
      GraphTensor(
        shape: [1, rows, shape[1]], type: isQuantized ? .int8 : .float32,
        data: isQuantized ? .int8(bytes) : .float(floats),
        quantization: isQuantized ? TensorQuantization(scales: scales, axis: 1) : nil))
  }

  /// The biases of the four gates as [1, 4·H].
  private mutating func gateBiases(
    _ op: Operator, input: Operand, hidden: Int, negatesForget: Bool
  ) throws(TFLiteProblem) -> TensorID {
    var floats: [Float] = []
    var integers: [Int] = []
    var scales: [Float] = []
    for (gate, position) in LSTMOperand.biases.enumerated() {
      let isNegated = gate == 0 && negatesForget
      let source = isNegated ? LSTMOperand.biases[2] : position
      let weights = try weights(op, LSTMOperand.inputWeights[isNegated ? 2 : gate], channelAxis: nil)
      guard let bias = try bias(op, source, channels: hidden, input: input, weights: weights), let data = bias.data
      else { throw .malformed("input \(source), a bias, is missing") }
      try chargeDecoding(16 * data.count, bias.id)
      if let values = data.floats {
        floats += isNegated ? values.map { -$0 } : values
      } else {
        integers += data.integers ?? []
        scales += [Float](repeating: bias.scale ?? 1, count: hidden)
      }
    }
    guard isQuantized else {
      return graph.add(GraphTensor(shape: [1, 4 * hidden], data: .float(floats)))
    }
    let isWide = input.type == .int16
    return graph.add(
      GraphTensor(
        shape: [1, 4 * hidden], type: isWide ? .int64 : .int32,
        data: isWide ? .int64(integers.map { Int64($0) }) : .int32(integers.map { Int32(truncatingIfNeeded: $0) }),
        quantization: TensorQuantization(scales: scales, axis: 1)))
  }

  /// The peepholes as [1, 3·H], or nil when the cell has none.
  private mutating func gatePeepholes(
    _ op: Operator, hidden: Int, negatesForget: Bool
  ) throws(TFLiteProblem) -> TensorID? {
    var isPresent = false
    for position in LSTMOperand.peepholes where try inputIndex(op, position) != nil { isPresent = true }
    guard isPresent else { return nil }
    guard !isQuantized else {
      throw .unsupported("an LSTM with peepholes is supported in float models only")
    }
    var floats: [Float] = []
    for (gate, position) in LSTMOperand.peepholes.enumerated() {
      let isNegated = gate == 0 && negatesForget
      let weights = try weights(op, isNegated ? LSTMOperand.peepholes[2] : position, channelAxis: nil)
      guard let values = weights.data?.floats, values.count == hidden else {
        throw .malformed("the peephole weights, \(label(weights.id)), have the shape \(weights.shape)")
      }
      try chargeDecoding(8 * values.count, weights.id)
      floats += isNegated ? values.map { -$0 } : values
    }
    return graph.add(GraphTensor(shape: [1, 3 * hidden], data: .float(floats)))
  }

  // MARK: Order of the axes

  /// The input as [T,N,I].
  private mutating func appendTimeMajor(
    _ op: Operator, _ input: Operand, isTimeMajor: Bool, shape: [Int]
  ) -> TensorID {
    guard !isTimeMajor else { return input.id }
    let batchAxis = graph.tensors[input.id].batchAxis == 0 ? 1 : nil
    let sequence = temporary(like: input.id, shape: shape, batchAxis: batchAxis)
    appendSwap(op, input.id, sequence, shape: shape)
    return sequence
  }

  /// From the states [T,1,N,H] to the result of the file.
  private mutating func appendSourceMajor(
    _ op: Operator, _ states: TensorID, _ output: TensorID, isTimeMajor: Bool, shape: [Int]
  ) {
    let isSwapped = !isTimeMajor && shape[0] > 1 && shape[1] > 1
    guard isSwapped else {
      append(op, .reshape(ReshapeOp(shape: graph.tensors[output].shape)), [states], [output])
      return
    }
    let sequence = temporary(like: output, shape: shape)
    append(op, .reshape(ReshapeOp(shape: shape)), [states], [sequence])
    appendSwap(op, sequence, output, shape: [shape[1], shape[0], shape[2]])
  }

  /// Swaps the first two axes; where one of them is 1, that is only another shape.
  private mutating func appendSwap(_ op: Operator, _ source: TensorID, _ target: TensorID, shape: [Int]) {
    let kind: OpKind =
      shape[0] == 1 || shape[1] == 1
      ? .reshape(ReshapeOp(shape: shape)) : .transpose(TransposeOp(permutation: [1, 0, 2]))
    append(op, kind, [source], [target])
  }
}
