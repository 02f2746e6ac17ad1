// Operators that work value by value, and changes of type.
extension TFLiteGraphBuilder {
  mutating func importUnary(_ op: Operator, _ function: UnaryOp, types: [ElementType]) throws(TFLiteProblem) {
    let input = try activation(op, 0, types: types)
    let output = try define(op, shape: input.shape, types: sameType(input))
    append(op, .unary(function), [input.id], [output])
  }

  /// A function whose integer form has one possible result range: scale 1/`inverseScale8` and `zeroPoint8` for int8, 1/32768
  /// and 0 for int16. The reference kernels compute nothing else, so another quantization would be silently wrong.
  mutating func importFixedRange(
    _ op: Operator, _ function: UnaryOp, inverseScale8: Float, zeroPoint8: Int
  ) throws(TFLiteProblem) {
    try importUnary(op, function, types: [.int8, .int16])
    guard isQuantized, let node = graph.nodes.last, let input = node.inputs[0] else { return }
    if graph.tensors[input].type == .int16 {
      try requireZeroPoint(input, 0)
      try requireRange(node.outputs[0], inverseScale: 32_768, zeroPoint: 0)
    } else {
      try requireRange(node.outputs[0], inverseScale: inverseScale8, zeroPoint: zeroPoint8)
    }
  }

  /// Checks the one quantization that a result can have; the scale within 0.1 %, as the reference does.
  private func requireRange(_ id: TensorID, inverseScale: Float, zeroPoint: Int) throws(TFLiteProblem) {
    guard let quantization = graph.tensors[id].quantization else { return }
    guard abs(quantization.scale * inverseScale - 1) <= 0.001 else {
      throw .malformed("\(label(id)) has the scale \(quantization.scale), expected 1/\(Int(inverseScale))")
    }
    try requireZeroPoint(id, zeroPoint)
  }

  private func requireZeroPoint(_ id: TensorID, _ zeroPoint: Int) throws(TFLiteProblem) {
    guard let quantization = graph.tensors[id].quantization, quantization.zeroPoint != zeroPoint else { return }
    throw .malformed("\(label(id)) has the zero point \(quantization.zeroPoint), expected \(zeroPoint)")
  }

  mutating func importLeakyRelu(_ op: Operator) throws(TFLiteProblem) {
    guard case .leakyRelu(let alpha) = op.record.options else { throw mismatchedOptions(op) }
    guard alpha.isFinite else { throw .malformed("the slope is \(alpha)") }
    try importUnary(op, .leakyRelu(alpha: alpha), types: [.int8, .int16])
  }

  mutating func importGelu(_ op: Operator) throws(TFLiteProblem) {
    guard case .gelu(let approximate) = op.record.options else { throw mismatchedOptions(op) }
    try importUnary(op, .gelu(approximate: approximate), types: [.int8])
  }

  mutating func importBinary(
    _ op: Operator, _ kind: BinaryOp.Kind, types: [ElementType]
  ) throws(TFLiteProblem) {
    let a = try activation(op, 0, types: types)
    let b = try activation(op, 1, types: types)
    guard a.type == b.type else { throw .unsupported("the operands are \(a.type) and \(b.type)") }
    var binary = BinaryOp(kind)
    if case .arithmetic(let activation) = op.record.options { binary.activation = try fusedActivation(activation) }
    if kind == .mul, a.type == .int16 {
      try requireZeroPoint(a.id, 0)
      try requireZeroPoint(b.id, 0)
    }
    if kind == .div, b.data == nil { throw .unsupported("the divisor is computed at run time") }
    let output = try define(op, shape: try broadcast(a.shape, b.shape), types: sameType(a))
    append(op, .binary(binary), [a.id, b.id], [output])
  }

  /// The common shape of two operands, aligned at the last axis.
  func broadcast(_ a: [Int], _ b: [Int]) throws(TFLiteProblem) -> [Int] {
    var result: [Int] = []
    for back in 1...max(a.count, b.count, 1) where back <= max(a.count, b.count) {
      let left = back <= a.count ? a[a.count - back] : 1
      let right = back <= b.count ? b[b.count - back] : 1
      guard left == right || left == 1 || right == 1 else {
        throw .malformed("the shapes \(a) and \(b) cannot be broadcast")
      }
      result.append(max(left, right))
    }
    return result.reversed()
  }

  mutating func importPrelu(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let slope = try activation(op, 1)
    guard slope.data != nil else { throw .unsupported("the slope is computed at run time") }
    guard slope.type == input.type, try broadcast(input.shape, slope.shape) == input.shape else {
      throw .malformed("the slope \(slope.type) \(slope.shape) does not fit the input \(input.type) \(input.shape)")
    }
    let output = try define(op, shape: input.shape, types: sameType(input))
    append(op, .prelu, [input.id, slope.id], [output])
  }

  mutating func importSoftmax(_ op: Operator) throws(TFLiteProblem) {
    guard case .softmax(let beta) = op.record.options else { throw mismatchedOptions(op) }
    guard beta > 0, beta.isFinite else { throw .malformed("beta is \(beta), expected a finite number above 0") }
    let input = try activation(op, 0)
    guard input.rank >= 1 else { throw .malformed("the input is a scalar") }
    // An int8 softmax may give int16.
    let output = try define(
      op, shape: input.shape, types: input.type == .int8 ? [.int8, .int16] : sameType(input))
    if isQuantized {
      switch (input.type, graph.tensors[output].type) {
      case (.int8, .int8): try requireRange(output, inverseScale: 256, zeroPoint: -128)
      case (.int8, _): try requireRange(output, inverseScale: 65_536, zeroPoint: -32_768)
      default:
        try requireZeroPoint(input.id, 0)
        try requireRange(output, inverseScale: 32_768, zeroPoint: 0)
      }
    }
    append(op, .softmax(SoftmaxOp(axis: input.rank - 1, beta: beta)), [input.id], [output])
  }

  mutating func importLogSoftmax(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0, types: [.int8])
    guard input.rank >= 1 else { throw .malformed("the input is a scalar") }
    let output = try define(op, shape: input.shape, types: sameType(input))
    if isQuantized { try requireRange(output, inverseScale: 16, zeroPoint: 127) }
    append(op, .logSoftmax(SoftmaxOp(axis: input.rank - 1)), [input.id], [output])
  }

  // MARK: - Changes of type

  /// Between integers: a change of scale. Of a float constant: folded. Of a model input: removed before.
  mutating func importQuantize(_ op: Operator) throws(TFLiteProblem) {
    let index = try requiredIndex(op, 0)
    if try isKnown(index, orFailed: true), model.tensors[index].elementType == .float32 {
      return try foldQuantize(op, index)
    }
    let types: [ElementType] = [.int8, .int16, .int32]
    let input = try activation(op, 0, types: types)
    let output = try define(op, shape: input.shape, types: types)
    append(op, .requantize, [input.id], [output])
  }

  private mutating func foldQuantize(_ op: Operator, _ index: Int) throws(TFLiteProblem) {
    try decodeConstant(index)
    guard let values = graph.tensors[index].data?.floats else { throw .unsupported("the constant is not float") }
    let shape = graph.tensors[index].shape
    let output = try define(op, shape: shape, types: [.int8, .int16])
    guard let quantization = graph.tensors[output].quantization else {
      throw .unsupported("a quantized constant in a float model")
    }
    try chargeDecoding(2 * values.count, index)
    /// Rounds half away from zero and saturates; NaN becomes the zero point.
    func quantized(_ value: Float, _ bounds: ClosedRange<Float>) -> Float {
      let scaled = (value / quantization.scale).rounded(.toNearestOrAwayFromZero) + Float(quantization.zeroPoint)
      return scaled.isNaN ? Float(quantization.zeroPoint) : min(max(scaled, bounds.lowerBound), bounds.upperBound)
    }
    graph.tensors[output].data =
      graph.tensors[output].type == .int8
      ? .int8(values.map { Int8(quantized($0, -128...127)) })
      : .int16(values.map { Int16(quantized($0, -32_768...32_767)) })
  }

  /// Of a constant: folded into a float constant. Of a model output: removed before.
  mutating func importDequantize(_ op: Operator) throws(TFLiteProblem) {
    let index = try requiredIndex(op, 0)
    guard try isKnown(index, orFailed: true) else {
      throw .unsupported(
        "\(label(index)) is dequantized at run time; only a model output or a constant may be")
    }
    try decodeConstant(index)
    guard let data = graph.tensors[index].data else { return }
    let floats: [Float]
    if let values = data.floats { floats = values } else { floats = try dequantized(index, data) }
    let output = try outputIndex(op, 0)
    guard model.tensors[output].elementType == .float32 else {
      throw .unsupported("\(label(output)) is \(typeName(output)), supported is float32")
    }
    graph.tensors[output].shape = graph.tensors[index].shape
    graph.tensors[output].data = .float(floats)
    availability[output] = .ready
  }

  /// A cast to the same type keeps the values; others are folded where they concern shapes.
  mutating func importCast(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let output = try define(op, shape: input.shape, types: sameType(input))
    append(op, .reshape(ReshapeOp(shape: input.shape)), [input.id], [output])
  }
}
