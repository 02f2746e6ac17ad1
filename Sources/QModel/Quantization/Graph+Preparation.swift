extension Graph {
  /// The same function in the form that quantizes best. Tensors keep their identifiers.
  ///
  /// - An average pool whose window is the whole image becomes a mean: a mean has a scale of its own, while a pool keeps its
  ///   input's, which is too coarse for averages.
  /// - A division by a constant becomes a multiplication.
  /// - A clamp fused into an op that only chooses or moves elements becomes a node of its own.
  func preparedForQuantization() throws(ModelError) -> Graph {
    var result = self
    result.nodes = []
    for node in nodes {
      do throws(ModelError) {
        try result.appendPrepared(node)
      } catch {
        throw error.inNode(node.name)
      }
    }
    return result
  }

  private mutating func appendPrepared(_ node: Node) throws(ModelError) {
    var node = node
    switch node.op {
    case .averagePool2D(let op):
      if let input = node.inputs[0], op.isGlobal(over: tensors[input].shape) {
        node.op = .mean(ReduceOp(axes: [1, 2], keepDimensions: true))
        appendUnfused(node, op.activation)
        return
      }
    case .binary(var op):
      switch op.kind {
      case .div:
        guard node.inputs.count == 2, let divisor = node.inputs[1], let values = tensors[divisor].floatValues() else {
          throw ModelError(
            .unsupported, "a division by something that is not constant cannot be quantized",
            hint: "multiply by a reciprocal, or keep the division out of the model")
        }
        guard values.values.allSatisfy({ (1 / $0).isFinite }) else {
          throw ModelError(.unsupported, "the divisor contains 0 or a value too small to have a reciprocal")
        }
        node.inputs[1] = add(
          GraphTensor(
            name: tensors[divisor].name, shape: values.shape,
            data: .float(values.values.map { Float(1 / Double($0)) })))
        op.kind = .mul
        node.op = .binary(op)
      case .maximum, .minimum:
        let activation = op.activation
        op.activation = .none
        node.op = .binary(op)
        appendUnfused(node, activation)
        return
      case .add, .sub, .mul: break
      }
    case .concatenation(var op):
      let activation = op.activation
      op.activation = .none
      node.op = .concatenation(op)
      appendUnfused(node, activation)
      return
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .maxPool2D, .mean, .unary, .prelu,
      .softmax, .logSoftmax, .batchNormalization, .split, .slice, .pad, .reshape, .transpose, .resize, .requantize,
      .svdf:
      break
    case .recurrent(let op):
      try op.requireIntegerForm()
      // One slot for each operand, so that biases can be added.
      while node.inputs.count < RecurrentOp.operandCount { node.inputs.append(nil) }
    }
    nodes.append(node)
  }

  /// Appends a node and, if there is one, its activation as a second node that computes the node's output.
  private mutating func appendUnfused(_ node: Node, _ activation: FusedActivation) {
    guard activation != .none else {
      nodes.append(node)
      return
    }
    let output = node.outputs[0]
    let inner = add(GraphTensor(shape: tensors[output].shape))
    nodes.append(Node(name: node.name, op: node.op, inputs: node.inputs, outputs: [inner]))
    nodes.append(
      Node(
        name: node.name, op: .unary(.clip(min: activation.range.lowerBound, max: activation.range.upperBound)),
        inputs: [inner], outputs: [output]))
  }
}

extension Pool2DOp {
  /// Whether the one window covers the whole image and nothing else.
  fileprivate func isGlobal(over shape: [Int]) -> Bool {
    kernelHeight == shape[1] && kernelWidth == shape[2] && dilationHeight == 1 && dilationWidth == 1
      && padding == .zero
  }
}
