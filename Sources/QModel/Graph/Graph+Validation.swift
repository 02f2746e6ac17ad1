extension Graph {
  /// Checks everything that passes, evaluation and quantization rely on, once.
  ///
  /// All indices exist; each tensor is computed at most once, and before it is used; inputs are not computed; shapes have
  /// dimensions >= 1 and at most 2^28 elements; constants fill their shapes; scales are finite and positive, zero points
  /// fit, axes exist; every node's output tensors have the shapes that its op says.
  /// - Throws: ``ModelError`` of kind `malformed` for the structure, of kind `mismatch` for shapes, with node or tensor
  ///   named.
  public func validate() throws(ModelError) {
    for index in tensors.indices { try validateTensor(index) }
    var isKnown = tensors.map { $0.isConstant || $0.isVariable }
    for input in inputs {
      try requireTensor(input, "the model's inputs")
      guard !isKnown[input] else {
        throw ModelError(.malformed, "input '\(tensors[input].name)' is given twice or is a constant")
      }
      isKnown[input] = true
    }
    for node in nodes { try validate(node, &isKnown) }
    for output in outputs {
      try requireTensor(output, "the model's outputs")
      guard isKnown[output] else {
        throw ModelError(.malformed, "no node computes output '\(tensors[output].name)'")
      }
    }
  }

  private func requireTensor(_ id: TensorID, _ place: String) throws(ModelError) {
    guard tensors.indices.contains(id) else {
      throw ModelError(.malformed, "\(place) name tensor \(id), the model has \(tensors.count)")
    }
  }

  private func validateTensor(_ id: TensorID) throws(ModelError) {
    let tensor = tensors[id]
    let name = tensor.name.isEmpty ? "tensor \(id)" : "tensor '\(tensor.name)'"
    guard let count = QModel.elementCount(of: tensor.shape), count <= OperandShapes.elementLimit,
      tensor.shape.allSatisfy({ $0 >= 1 })
    else {
      throw ModelError(.malformed, "\(name): shape \(tensor.shape) has an empty axis or too many elements")
    }
    if let data = tensor.data, data.count != count {
      throw ModelError(.malformed, "\(name): \(data.count) values do not fill shape \(tensor.shape)")
    }
    if let layout = tensor.sourceLayout, layout.sorted() != Array(tensor.shape.indices) {
      throw ModelError(.malformed, "\(name): source layout \(layout) is no permutation of its axes")
    }
    if let axis = tensor.batchAxis, !tensor.shape.indices.contains(axis) {
      throw ModelError(.malformed, "\(name): batch axis \(axis) does not exist")
    }
    guard let quantization = tensor.quantization else { return }
    var expected = 1
    if let axis = quantization.axis {
      guard tensor.shape.indices.contains(axis) else {
        throw ModelError(.malformed, "\(name): quantization axis \(axis) does not exist")
      }
      expected = tensor.shape[axis]
      let rows = tensor.shape[...axis].reduce(1, *)
      if quantization.scales.count == rows { expected = rows }
    }
    guard quantization.scales.count == expected, quantization.zeroPoints.count == expected else {
      throw ModelError(
        .malformed,
        "\(name): \(quantization.scales.count) scales and \(quantization.zeroPoints.count) zero points, expected \(expected)"
      )
    }
    guard quantization.scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ModelError(.malformed, "\(name): a scale is not finite and positive")
    }
    guard quantization.zeroPoints.allSatisfy({ $0 >= -65536 && $0 <= 65536 }) else {
      throw ModelError(.malformed, "\(name): a zero point lies outside its type")
    }
  }

  private func validate(_ node: Node, _ isKnown: inout [Bool]) throws(ModelError) {
    var shapes: [[Int]?] = []
    for input in node.inputs {
      guard let input else {
        shapes.append(nil)
        continue
      }
      try requireTensor(input, "the operands of node '\(node.name)'")
      guard isKnown[input] else {
        throw ModelError(
          .malformed,
          "node '\(node.name)': operand '\(tensors[input].name)' (tensor \(input)) is not computed before it")
      }
      shapes.append(tensors[input].shape)
    }
    let expected: [[Int]]
    do {
      expected = try node.op.definition.outputShapes(shapes)
    } catch {
      throw error.inNode(node.name)
    }
    guard node.outputs.count == expected.count else {
      throw ModelError(
        .malformed, "node '\(node.name)': \(node.outputs.count) outputs, its op has \(expected.count)")
    }
    for (output, shape) in zip(node.outputs, expected) {
      try requireTensor(output, "the results of node '\(node.name)'")
      guard !isKnown[output] else {
        throw ModelError(.malformed, "node '\(node.name)': tensor '\(tensors[output].name)' is computed twice")
      }
      isKnown[output] = true
      guard tensors[output].shape == shape else {
        throw ModelError(
          .mismatch,
          "node '\(node.name)': the model gives its result the shape \(tensors[output].shape), its operands make it \(shape)"
        )
      }
    }
  }
}

extension GraphTensor {
  /// The constant's values in real units, dequantized if it has a quantization; nil for activations.
  public func floatValues() -> FloatTensor? {
    guard let data else { return nil }
    if case .float(let values) = data { return FloatTensor(shape: shape, values: values) }
    guard let integers = data.integers else { return nil }
    guard let quantization else { return FloatTensor(shape: shape, values: integers.map { Float($0) }) }
    let inner = quantization.axis.map { shape[($0 + 1)...].reduce(1, *) } ?? 1
    let channels = quantization.axis == nil ? 1 : quantization.scales.count
    let values = integers.enumerated().map { index, value in
      let channel = index / inner % channels
      // In Double, where the difference of any two integers of a file is safe.
      return quantization.scales[channel] * Float(Double(value) - Double(quantization.zeroPoints[channel]))
    }
    return FloatTensor(shape: shape, values: values)
  }
}
