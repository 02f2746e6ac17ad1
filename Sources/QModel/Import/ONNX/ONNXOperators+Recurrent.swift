// LSTM, GRU and RNN.

extension ONNXOperator {
  private static let cell: [Attribute] = [
    .init("activation_alpha"), .init("activation_beta"), .init("activations"), .init("clip"), .init("direction"),
    .init("hidden_size"), .init("layout", since: 14),
  ]

  static let recurrent: [ONNXOperator] = [
    ONNXOperator("LSTM", inputs: 3...8, outputs: 0...3, cell + [.init("input_forget")]) {
      (builder, node) throws(ModelError) in
      try builder.importRecurrent(node, .lstm(coupledGates: try node.flag("input_forget")))
    },
    ONNXOperator("GRU", inputs: 3...6, outputs: 0...2, cell + [.init("linear_before_reset", since: 3)]) {
      (builder, node) throws(ModelError) in
      try builder.importRecurrent(node, .gru(linearBeforeReset: try node.flag("linear_before_reset")))
    },
    ONNXOperator("RNN", inputs: 3...6, outputs: 0...2, cell) { (builder, node) throws(ModelError) in
      try builder.importRecurrent(node, .rnn)
    },
  ]
}

extension ONNXGraphBuilder {
  fileprivate mutating func importRecurrent(_ node: ONNXNode, _ cell: RecurrentOp.Cell) throws(ModelError) {
    let isBatchMajor = try node.flag("layout")
    let direction: RecurrentOp.Direction
    switch try node.string("direction", default: "forward") {
    case "forward": direction = .forward
    case "reverse": direction = .reverse
    case "bidirectional": direction = .bidirectional
    case let other: throw node.malformed("its attribute \"direction\" is \"\(other)\"")
    }
    var input = try tensor(node, 0)
    guard shape(of: input).count == 3 else { throw node.malformed("its input has the shape \(shape(of: input))") }
    if isBatchMajor { input = try transposed(input, [1, 0, 2], for: node, role: "time major") }
    let source = shape(of: input)
    let recurrence = try weights(node, 2, "R")
    guard recurrence.shape.count == 3, let hidden = recurrence.shape.last, hidden > 0, hidden <= 1 << 24 else {
      throw node.malformed("its input \"R\" has the shape \(recurrence.shape)")
    }
    if let declared = try node.int("hidden_size"), declared != hidden {
      throw node.malformed("its attribute \"hidden_size\" is \(declared), its weights have \(hidden)")
    }
    var op = RecurrentOp(cell: cell, direction: direction, hiddenSize: hidden)
    let directions = op.directionCount
    if let clip = try node.optionalFloat("clip") {
      guard clip >= 0 else { throw node.malformed("its attribute \"clip\" is \(clip)") }
      // 0 is how old exporters write "no bound".
      op.clip = clip > 0 && clip.isFinite ? clip : nil
    }
    try setActivations(node, &op)
    let rows = op.gateCount * hidden
    let weights = try operand(node, 1, "W", shape: [directions, rows, source[2]])
    let recurrentWeights = try operand(node, 2, "R", shape: [directions, rows, hidden])
    guard let weights, let recurrentWeights else { throw node.malformed("its weights are missing") }
    let (bias, recurrentBias) = try biases(node, directions: directions, rows: rows)
    try checkLengths(node, source)
    let stateShape = [directions, source[1], hidden]
    let initialHidden = try state(node, 5, "initial_h", shape: stateShape, isBatchMajor: isBatchMajor)
    var initialCell: TensorID?
    var peepholes: TensorID?
    if case .lstm = cell {
      initialCell = try state(node, 6, "initial_c", shape: stateShape, isBatchMajor: isBatchMajor)
      peepholes = try operand(node, 7, "P", shape: [directions, 3 * hidden])
    }
    var shapes = [[source[0], directions, source[1], hidden], stateShape]
    if case .lstm = cell { shapes.append(stateShape) }
    let operands = [
      input, weights, recurrentWeights, bias, recurrentBias, initialHidden, initialCell, peepholes,
    ]
    let results = try add(.recurrent(op), operands, shapes: shapes, for: node)
    for (index, result) in results.enumerated() where node.output(index) != nil {
      // Batch-major: [N,T,D,H] and [N,D,H].
      let permutation = index == 0 ? [2, 0, 1, 3] : [1, 0, 2]
      let output = isBatchMajor ? try transposed(result, permutation, for: node, role: "batch major") : result
      setOutput(node, index, to: output)
    }
  }

  /// Returns weights of a known shape as a constant tensor; `nil` where they are left out.
  private mutating func operand(
    _ node: ONNXNode, _ index: Int, _ role: StaticString, shape: [Int]
  ) throws(ModelError) -> TensorID? {
    guard let weights = try optionalWeights(node, index, role) else { return nil }
    guard weights.shape == shape else {
      throw node.malformed("its input \"\(role)\" has the shape \(weights.shape), expected \(shape)")
    }
    return try addConstant(weights.values, shape: shape, name: node.input(index), for: node)
  }

  /// Takes the bias [D,2·rows] apart into that of the input part and that of the recurrent part.
  private mutating func biases(
    _ node: ONNXNode, directions: Int, rows: Int
  ) throws(ModelError) -> (input: TensorID?, recurrent: TensorID?) {
    guard let both = try optionalWeights(node, 3, "B") else { return (nil, nil) }
    guard both.shape == [directions, 2 * rows] else {
      throw node.malformed("its input \"B\" has the shape \(both.shape), expected [\(directions), \(2 * rows)]")
    }
    var input: [Float] = []
    var recurrent: [Float] = []
    for direction in 0..<directions {
      let start = direction * 2 * rows
      input += both.values[start..<(start + rows)]
      recurrent += both.values[(start + rows)..<(start + 2 * rows)]
    }
    let shape = [directions, rows]
    let name = node.input(3)
    return (
      try addConstant(input, shape: shape, name: name, for: node),
      try addConstant(recurrent, shape: shape, name: name.map { $0 + "/recurrent" }, for: node)
    )
  }

  /// All sequences must be as long as the input.
  private mutating func checkLengths(_ node: ONNXNode, _ source: [Int]) throws(ModelError) {
    guard let lengths = try optionalIntegers(node, 4, "sequence_lens") else { return }
    guard lengths.count == source[1] else { throw node.malformed("it has \(lengths.count) sequence lengths") }
    guard lengths.allSatisfy({ $0 == source[0] }) else {
      throw node.unsupported("its sequence lengths \(lengths) differ from the input's \(source[0])")
    }
  }

  /// Returns an initial state [D,N,H]; `nil` where it is left out or constant zeros.
  private mutating func state(
    _ node: ONNXNode, _ index: Int, _ role: StaticString, shape: [Int], isBatchMajor: Bool
  ) throws(ModelError) -> TensorID? {
    guard let value = try optionalValue(node, index) else { return nil }
    let stored = isBatchMajor ? [shape[1], shape[0], shape[2]] : shape
    if case .constant = value {
      let constant = try weights(node, index, role)
      guard constant.shape == stored else {
        throw node.malformed("its input \"\(role)\" has the shape \(constant.shape), expected \(stored)")
      }
      if constant.values.allSatisfy({ $0 == 0 }) { return nil }
      let source = ONNXConstant(elementType: .float32, shape: stored, elements: .floats(constant.values))
      guard let values = (isBatchMajor ? source.transposed([1, 0, 2]) : source)?.floats else { return nil }
      return try addConstant(values, shape: shape, name: node.input(index), for: node)
    }
    let id = try tensor(node, index)
    guard self.shape(of: id) == stored else {
      throw node.malformed("its input \"\(role)\" has the shape \(self.shape(of: id)), expected \(stored)")
    }
    return isBatchMajor ? try transposed(id, [1, 0, 2], for: node, role: "\(role)") : id
  }

  // MARK: Activations

  private func setActivations(_ node: ONNXNode, _ op: inout RecurrentOp) throws(ModelError) {
    guard let names = try node.strings("activations"), !names.isEmpty else { return }
    let count = op.activations[0].count
    guard names.count == count * op.directionCount else {
      throw node.malformed("it has \(names.count) activations, expected \(count * op.directionCount)")
    }
    // Each activation that has a parameter takes the next one.
    var alphas = (try node.floats("activation_alpha") ?? [])[...]
    var betas = (try node.floats("activation_beta") ?? [])[...]
    guard alphas.allSatisfy({ $0.isFinite }), betas.allSatisfy({ $0.isFinite }) else {
      throw node.malformed("a parameter of its activations is not finite")
    }
    for (index, name) in names.enumerated() {
      let activation = try activation(node, name, &alphas, &betas)
      op.activations[index / count][index % count] = activation
    }
  }

  private func activation(
    _ node: ONNXNode, _ name: String, _ alphas: inout ArraySlice<Float>, _ betas: inout ArraySlice<Float>
  ) throws(ModelError) -> UnaryOp {
    switch name.lowercased() {
    case "relu": return .relu
    case "tanh": return .tanh
    case "sigmoid": return .logistic
    case "softsign": return .softsign
    case "softplus": return .softplus
    case "leakyrelu": return .leakyRelu(alpha: alphas.popFirst() ?? 0.01)
    case "thresholdedrelu": return .thresholdedRelu(alpha: alphas.popFirst() ?? 1)
    case "elu": return .elu(alpha: alphas.popFirst() ?? 1)
    case "hardsigmoid":
      return .hardSigmoid(alpha: alphas.popFirst() ?? 0.2, beta: betas.popFirst() ?? 0.5)
    default: throw node.unsupported("the activation \"\(name)\" is not supported")
    }
  }
}
