// Operators on one value at a time or along one axis.

extension ONNXOperator {
  static let elementwise: [ONNXOperator] = unary + binary + normalizing

  private static func plain(_ name: String, since: Int = 1, _ op: UnaryOp) -> ONNXOperator {
    ONNXOperator(name, since: since, inputs: 1...1) {
      (builder, node) throws(ModelError) in try builder.importUnary(node, op)
    }
  }

  private static let unary: [ONNXOperator] = [
    plain("Relu", .relu),
    plain("Sigmoid", .logistic),
    plain("Tanh", .tanh),
    plain("HardSwish", since: 14, .hardSwish),
    plain("Mish", since: 18, .mish),
    plain("Softplus", .softplus),
    plain("Softsign", .softsign),
    plain("Exp", .exp),
    plain("Log", .log),
    plain("Sqrt", .sqrt),
    plain("Abs", .abs),
    plain("Neg", .neg),
    plain("Reciprocal", .reciprocal),
    plain("Erf", since: 9, .erf),
    plain("Sin", since: 7, .sin),
    plain("Cos", since: 7, .cos),
    ONNXOperator("LeakyRelu", inputs: 1...1, [.init("alpha")]) { (builder, node) throws(ModelError) in
      try builder.importUnary(node, .leakyRelu(alpha: try node.float("alpha", default: 0.01)))
    },
    ONNXOperator("HardSigmoid", inputs: 1...1, [.init("alpha"), .init("beta")]) { (builder, node) throws(ModelError) in
      let alpha = try node.float("alpha", default: 0.2)
      try builder.importUnary(node, .hardSigmoid(alpha: alpha, beta: try node.float("beta", default: 0.5)))
    },
    ONNXOperator("Elu", inputs: 1...1, [.init("alpha")]) { (builder, node) throws(ModelError) in
      try builder.importUnary(node, .elu(alpha: try node.float("alpha", default: 1)))
    },
    ONNXOperator("Selu", inputs: 1...1, [.init("alpha"), .init("gamma")]) { (builder, node) throws(ModelError) in
      let alpha = try node.float("alpha", default: 1.67326319217681884765625)
      let gamma = try node.float("gamma", default: 1.05070102214813232421875)
      try builder.importUnary(node, .selu(alpha: alpha, gamma: gamma))
    },
    ONNXOperator("Celu", since: 12, inputs: 1...1, [.init("alpha")]) { (builder, node) throws(ModelError) in
      try builder.importUnary(node, .celu(alpha: try node.float("alpha", default: 1)))
    },
    ONNXOperator("ThresholdedRelu", since: 10, inputs: 1...1, [.init("alpha")]) {
      (builder, node) throws(ModelError) in
      try builder.importUnary(node, .thresholdedRelu(alpha: try node.float("alpha", default: 1)))
    },
    ONNXOperator("Gelu", since: 20, inputs: 1...1, [.init("approximate")]) { (builder, node) throws(ModelError) in
      switch try node.string("approximate", default: "none") {
      case "none": try builder.importUnary(node, .gelu(approximate: false))
      case "tanh": try builder.importUnary(node, .gelu(approximate: true))
      case let other: throw node.malformed("its attribute \"approximate\" is \"\(other)\"")
      }
    },
    ONNXOperator("Swish", since: 24, inputs: 1...1, [.init("alpha")]) { (builder, node) throws(ModelError) in
      let alpha = try node.float("alpha", default: 1)
      guard alpha == 1 else { throw node.unsupported("its attribute \"alpha\" is \(alpha), not 1") }
      try builder.importUnary(node, .silu)
    },
    ONNXOperator("Clip", inputs: 1...3, [.init("min", until: 11), .init("max", until: 11)]) {
      (builder, node) throws(ModelError) in try builder.importClip(node)
    },
    ONNXOperator("PRelu", inputs: 2...2) { (builder, node) throws(ModelError) in try builder.importPRelu(node) },
  ]

  private static let binary: [ONNXOperator] = [
    ONNXOperator("Add", inputs: 2...2) { (builder, node) throws(ModelError) in
      try builder.importBinary(node, .add, folded: .add)
    },
    ONNXOperator("Sub", inputs: 2...2) { (builder, node) throws(ModelError) in
      try builder.importBinary(node, .sub, folded: .sub)
    },
    ONNXOperator("Mul", inputs: 2...2) { (builder, node) throws(ModelError) in
      try builder.importBinary(node, .mul, folded: .mul)
    },
    ONNXOperator("Div", inputs: 2...2) { (builder, node) throws(ModelError) in
      try builder.importBinary(node, .div, folded: .div)
    },
    ONNXOperator("Pow", inputs: 2...2) { (builder, node) throws(ModelError) in try builder.importPower(node) },
    ONNXOperator("Max", inputs: variadic) { (builder, node) throws(ModelError) in
      try builder.importVariadic(node, .maximum, folded: .maximum)
    },
    ONNXOperator("Min", inputs: variadic) { (builder, node) throws(ModelError) in
      try builder.importVariadic(node, .minimum, folded: .minimum)
    },
    ONNXOperator("Sum", inputs: variadic) { (builder, node) throws(ModelError) in
      try builder.importVariadic(node, .add, folded: .add)
    },
    ONNXOperator("Mean", inputs: variadic) { (builder, node) throws(ModelError) in
      try builder.importVariadic(node, .add, folded: .add, isMean: true)
    },
  ]

  private static let normalizing: [ONNXOperator] = [
    ONNXOperator("Softmax", inputs: 1...1, [.init("axis")]) { (builder, node) throws(ModelError) in
      try builder.importSoftmax(node) { .softmax(SoftmaxOp(axis: $0)) }
    },
    ONNXOperator("LogSoftmax", inputs: 1...1, [.init("axis")]) { (builder, node) throws(ModelError) in
      try builder.importSoftmax(node) { .logSoftmax(SoftmaxOp(axis: $0)) }
    },
    ONNXOperator(
      "BatchNormalization", inputs: 5...5, outputs: 1...5,
      [.init("epsilon"), .init("momentum"), .init("spatial", until: 9), .init("training_mode", since: 14)]
    ) { (builder, node) throws(ModelError) in try builder.importBatchNormalization(node) },
  ]
}

extension ONNXGraphBuilder {
  // MARK: One operand

  /// Adds a function of one value; functions of constants that exporters leave over are computed.
  mutating func importUnary(_ node: ONNXNode, _ op: UnaryOp) throws(ModelError) {
    if case .constant(let constant) = try value(node, 0), let folded = ONNXMath.folded(op) {
      try account(for: constant.elements.count, node)
      let result =
        constant.elementType.isFloatingPoint ? constant.mapFloats(folded.float) : constant.mapIntegers(folded.integer)
      guard let result else { throw node.malformed("it is not defined for a value of its input") }
      return setOutput(node, to: result)
    }
    let input = try tensor(node, 0)
    setOutput(node, to: try add(.unary(op), [input], shape: shape(of: input), for: node))
  }

  fileprivate mutating func importClip(_ node: ONNXNode) throws(ModelError) {
    var low: Float
    var high: Float
    if node.opset < 11 {
      if node.proto.inputs.count > 1 { throw node.malformed("its bounds are attributes in opset \(node.opset)") }
      low = try node.optionalFloat("min") ?? -.infinity
      high = try node.optionalFloat("max") ?? .infinity
    } else {
      low = try optionalScalar(node, 1, "min") ?? -.infinity
      high = try optionalScalar(node, 2, "max") ?? .infinity
    }
    // The extremes of float32 are how exporters write "no bound".
    if low <= -.greatestFiniteMagnitude { low = -.infinity }
    if high >= .greatestFiniteMagnitude { high = .infinity }
    // ONNX: where the bounds cross, the upper one is the result.
    low = min(low, high)
    guard low < .infinity, high > -.infinity else { throw node.malformed("its bounds are \(low) and \(high)") }
    if case .constant(let constant) = try value(node, 0) {
      try account(for: constant.elements.count, node)
      guard let result = constant.clipped(low, high) else { throw node.malformed("its bounds do not fit its input") }
      return setOutput(node, to: result)
    }
    let input = try tensor(node, 0)
    let op: UnaryOp
    switch (low, high) {
    case (-.infinity, .infinity): return setOutput(node, to: input)
    case (0, .infinity): op = .relu
    case (0, 6): op = .relu6
    case (-1, 1): op = .reluN1To1
    default: op = .clip(min: low, max: high)
    }
    setOutput(node, to: try add(.unary(op), [input], shape: shape(of: input), for: node))
  }

  fileprivate mutating func importPRelu(_ node: ONNXNode) throws(ModelError) {
    let slope = try weights(node, 1, "slope")
    let input = try tensor(node, 0)
    let shape = shape(of: input)
    guard ONNXConstant.broadcast(slope.shape, shape) == shape else {
      throw node.malformed("its slope of the shape \(slope.shape) does not fit \(shape)")
    }
    let constant = try addConstant(slope.values, shape: slope.shape, name: node.input(1), for: node)
    setOutput(node, to: try add(.prelu, [input, constant], shape: shape, for: node))
  }

  // MARK: Two operands and more

  fileprivate mutating func importBinary(
    _ node: ONNXNode, _ kind: BinaryOp.Kind, folded: ONNXFoldedBinary
  ) throws(ModelError) {
    if try fold(node, folded) { return }
    let a = try tensor(node, 0)
    var b = try tensor(node, 1)
    var kind = kind
    if kind == .div && !graph.tensors[b].isConstant {
      b = try add(.unary(.reciprocal), [b], shape: shape(of: b), for: node, role: "reciprocal")
      kind = .mul
    }
    setOutput(node, to: try binary(kind, a, b, for: node))
  }

  /// Adds an operation on two tensors that broadcast.
  mutating func binary(
    _ kind: BinaryOp.Kind, _ a: TensorID, _ b: TensorID, for node: ONNXNode, role: String? = nil
  ) throws(ModelError) -> TensorID {
    guard let shape = ONNXConstant.broadcast(shape(of: a), shape(of: b)) else {
      throw node.malformed("the shapes \(shape(of: a)) and \(shape(of: b)) do not fit each other")
    }
    return try add(.binary(BinaryOp(kind)), [a, b], shape: shape, for: node, role: role)
  }

  /// Computes a node of two constants; returns false if an operand is not one.
  mutating func fold(_ node: ONNXNode, _ operation: ONNXFoldedBinary) throws(ModelError) -> Bool {
    guard case .constant(let a) = try value(node, 0), case .constant(let b) = try value(node, 1) else { return false }
    setOutput(node, to: try folded(a, b, operation, for: node))
    return true
  }

  private mutating func folded(
    _ a: ONNXConstant, _ b: ONNXConstant, _ operation: ONNXFoldedBinary, for node: ONNXNode
  ) throws(ModelError) -> ONNXConstant {
    guard let shape = ONNXConstant.broadcast(a.shape, b.shape) else {
      throw node.malformed("the shapes \(a.shape) and \(b.shape) do not fit each other")
    }
    // The operands are spread out as well.
    let count = ONNXConstant.elementCount(of: shape) ?? .max
    try account(for: count, node)
    guard let result = ONNXConstant.combined(a, b, operation) else {
      throw node.malformed("its constants of types \(a.elementType) and \(b.elementType) cannot be combined")
    }
    return result
  }

  fileprivate mutating func importVariadic(
    _ node: ONNXNode, _ kind: BinaryOp.Kind, folded operation: ONNXFoldedBinary, isMean: Bool = false
  ) throws(ModelError) {
    let count = node.proto.inputs.count
    if case .constant(var result) = try value(node, 0) {
      var isConstant = true
      for index in 1..<max(count, 1) {
        guard case .constant(let next) = try value(node, index) else {
          isConstant = false
          break
        }
        result = try folded(result, next, operation, for: node)
      }
      if isConstant {
        guard isMean else { return setOutput(node, to: result) }
        guard let mean = result.mapFloats({ $0 / Float(count) }) else {
          throw node.unsupported("its inputs are of type \(result.elementType)")
        }
        return setOutput(node, to: mean)
      }
    }
    var result = try tensor(node, 0)
    for index in 1..<max(count, 1) {
      let isLast = index == count - 1 && !isMean
      result = try binary(
        kind, result, try tensor(node, index), for: node, role: isLast ? nil : "\(kind.rawValue) \(index)")
    }
    if isMean && count > 1 {
      let factor = try addConstant([1 / Float(count)], shape: [], for: node)
      result = try binary(.mul, result, factor, for: node)
    }
    setOutput(node, to: result)
  }

  /// Constant exponents that have a function of their own are supported for activations.
  fileprivate mutating func importPower(_ node: ONNXNode) throws(ModelError) {
    if try fold(node, .power) { return }
    let exponent = try constant(node, 1, "exponent")
    guard exponent.elements.count == 1, let power = try optionalScalar(node, 1, "exponent") else {
      throw node.unsupported("its exponent is not one number")
    }
    let input = try tensor(node, 0)
    let op: UnaryOp
    switch power {
    case 1: return setOutput(node, to: input)
    case 2: op = .square
    case 3:
      let square = try add(.unary(.square), [input], shape: shape(of: input), for: node, role: "square")
      return setOutput(node, to: try binary(.mul, square, input, for: node))
    case 0.5: op = .sqrt
    case -0.5: op = .rsqrt
    case -1: op = .reciprocal
    default: throw node.unsupported("the exponent \(power) is not supported")
    }
    let result = try add(.unary(op), [input], shape: shape(of: input), for: node)
    let shape = ONNXConstant.broadcast(shape(of: input), exponent.shape) ?? shape(of: input)
    setOutput(node, to: try reshaped(result, to: shape, for: node, role: "shape"))
  }

  // MARK: Along an axis

  /// Before opset 13 the input is seen as a matrix: the axes from `axis` on are one.
  fileprivate mutating func importSoftmax(_ node: ONNXNode, _ op: (Int) -> OpKind) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let given = try node.int("axis") ?? (node.opset < 13 ? 1 : -1)
    // A matrix may be made at the very end as well.
    let isAtEnd = node.opset < 13 && given == source.count
    guard let axis = isAtEnd ? given : ONNXConstant.resolved(axis: given, rank: source.count) else {
      throw node.malformed("it has no axis \(given)")
    }
    if node.opset >= 13 || axis == source.count - 1 {
      return setOutput(node, to: try add(op(axis), [input], shape: source, for: node))
    }
    let flat = [source[..<axis].reduce(1, *), source[axis...].reduce(1, *)]
    let matrix = try reshaped(input, to: flat, for: node, role: "matrix")
    let result = try add(op(1), [matrix], shape: flat, for: node)
    setOutput(node, to: try reshaped(result, to: source, for: node, role: "shape"))
  }

  fileprivate mutating func importBatchNormalization(_ node: ONNXNode) throws(ModelError) {
    if try node.flag("training_mode") { throw node.unsupported("it is in training mode") }
    if try !node.flag("spatial", default: true) { throw node.unsupported("it is not spatial") }
    let epsilon = try node.float("epsilon", default: 1e-5)
    let input = try tensor(node, 0)
    let source = shape(of: input)
    guard source.count >= 2 else { throw node.malformed("its input has no channels") }
    let roles: [StaticString] = ["scale", "B", "mean", "var"]
    var operands: [TensorID?] = []
    for (index, role) in roles.enumerated() {
      let weights = try weights(node, index + 1, role)
      guard weights.values.count == source[1] else {
        throw node.malformed("its input \"\(role)\" has \(weights.values.count) values for \(source[1]) channels")
      }
      if index == 3 && !weights.values.allSatisfy({ $0 + epsilon > 0 }) {
        throw node.malformed("a variance is negative")
      }
      let name = node.input(index + 1)
      operands.append(try addConstant(weights.values, shape: [weights.values.count], name: name, for: node))
    }
    let isImage = source.count == 3 || source.count == 4
    let data = isImage ? try channelsLast(input, for: node) : input
    let shape = shape(of: data)
    let op = BatchNormalizationOp(axis: isImage ? 3 : 1, epsilon: epsilon)
    let result = try add(.batchNormalization(op), [data] + operands, shape: shape, for: node)
    if isImage {
      try setOutput(node, channelsLast: result, rank: source.count)
    } else {
      setOutput(node, to: result)
    }
  }
}

extension ONNXConstant {
  /// The elements within bounds; `nil` if an integer bound does not fit the type.
  fileprivate func clipped(_ low: Float, _ high: Float) -> ONNXConstant? {
    if elementType.isFloatingPoint { return mapFloats { min(max($0, low), high) } }
    let integers = (
      low: low == -.infinity ? Int64.min : Int64(exactly: low.rounded(.up)),
      high: high == .infinity ? Int64.max : Int64(exactly: high.rounded(.down))
    )
    guard let low = integers.low, let high = integers.high else { return nil }
    return mapIntegers { min(max($0, low), high) }
  }
}
