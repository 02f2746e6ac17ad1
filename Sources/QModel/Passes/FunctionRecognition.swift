extension Graph {
  /// The graph with elementwise expressions of one tensor replaced by the named functions they are: x·sigmoid(x) is Silu,
  /// x·clip(x+3, 0, 6)/6 HardSwish, 0.5·x·(1+erf(x/√2)) Gelu, max(x, 0) Relu, and so on.
  ///
  /// An expression is recognized by its values, not by its form: it is computed on a grid of points and compared with each
  /// function. So it does not matter in which of many orders an exporter wrote it.
  func recognizingFunctions() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices.reversed() {
      guard let node = rewriter.nodes[index], Expression.isElementwise(node) else { continue }
      guard let (function, root) = Expression.function(endingAt: index, rewriter) else { continue }
      if case .unary(function) = node.op { continue }
      rewriter.replace(
        index, with: Node(name: node.name, op: .unary(function), inputs: [root], outputs: node.outputs))
    }
    return try rewriter.finished().removingDeadNodes()
  }
}

/// Nodes that compute one tensor from one other, element by element.
private struct Expression {
  /// Node indices, in the order of computation.
  private var members: [Int]
  private let end: Int

  static func isElementwise(_ node: Node) -> Bool {
    switch node.op {
    case .unary, .binary: true
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose,
      .resize, .requantize, .recurrent, .svdf:
      false
    }
  }

  /// The named function that ends at a node, of the largest expression that is one, and the tensor it is a function of.
  static func function(endingAt end: Int, _ rewriter: GraphRewriter) -> (UnaryOp, root: TensorID)? {
    guard let last = rewriter.nodes[end] else { return nil }
    let shape = rewriter.shape(last.outputs[0])
    var expression = Expression(members: [end], end: end)
    var frontier = operands(of: last, rewriter)
    var best: (UnaryOp, root: TensorID)?
    // The longest known form, a tanh Gelu with the cube as two products, has nine nodes.
    while expression.members.count <= 12 {
      guard frontier.allSatisfy({ rewriter.shape($0) == shape }) else { break }
      if frontier.count == 1, let root = frontier.first, let function = expression.named(of: root, rewriter) {
        best = (function, root)
      }
      // The tensor computed last cannot be what the others are computed from.
      let computed = frontier.compactMap { tensor in rewriter.producer(of: tensor).map { (tensor, $0.index, $0.node) } }
      guard let (tensor, index, node) = computed.max(by: { $0.1 < $1.1 }), isElementwise(node) else { break }
      frontier.remove(tensor)
      frontier.formUnion(operands(of: node, rewriter))
      expression.members.append(index)
    }
    return best
  }

  /// The operands that are not one constant value.
  private static func operands(of node: Node, _ rewriter: GraphRewriter) -> Set<TensorID> {
    Set(node.inputs.compactMap { $0 }.filter { uniformValue($0, rewriter) == nil })
  }

  /// The one value that all elements of a constant have.
  private static func uniformValue(_ tensor: TensorID, _ rewriter: GraphRewriter) -> Double? {
    guard rewriter.isConstant(tensor), let values = rewriter.constant(tensor)?.values, let first = values.first,
      values.allSatisfy({ $0 == first })
    else { return nil }
    return Double(first)
  }

  /// The function that the expression is.
  private func named(of root: TensorID, _ rewriter: GraphRewriter) -> UnaryOp? {
    guard let last = rewriter.nodes[end] else { return nil }
    if members.count == 1, case .unary = last.op { return nil }
    // 1/32 apart, from -32 to 32: beyond, all candidates are straight lines.
    let grid = (-1024...1024).map { Double($0) / 32 }
    let probes: [Double] = [-1e6, 1e6, -1, 0, -0.25, 0.25]
    let values = evaluate(at: probes + grid, root, rewriter)
    guard values.count == probes.count + grid.count, values.allSatisfy({ $0.isFinite }) else { return nil }
    return Self.candidates(values).first { candidate in
      zip(probes + grid, values).dropFirst(2).allSatisfy { point, value in
        let expected = candidate.value(at: point)
        return (value - expected).magnitude <= 1e-5 + 1e-5 * expected.magnitude
      }
    }
  }

  /// Functions worth comparing with; parameters are read off the values at the probes.
  private static func candidates(_ values: [Double]) -> [UnaryOp] {
    var candidates: [UnaryOp] = [
      .relu, .relu6, .reluN1To1, .hardSwish, .silu, .gelu(approximate: false), .gelu(approximate: true), .mish,
      .logistic, .tanh, .softplus, .softsign, .abs, .square,
    ]
    let (low, high) = (Float(values[0]), Float(values[1]))
    if low < high {
      let lower = low > -1e5 ? low : -Float.infinity
      let upper = high < 1e5 ? high : Float.infinity
      if lower > -.infinity || upper < .infinity, low < 1e5, high > -1e5 {
        candidates.append(.clip(min: lower, max: upper))
      }
    }
    candidates.append(.leakyRelu(alpha: Float(-values[2])))
    candidates.append(.hardSigmoid(alpha: Float((values[5] - values[4]) * 2), beta: Float(values[3])))
    return candidates
  }

  /// The expression's values at points, empty if a member cannot be computed.
  private func evaluate(at points: [Double], _ root: TensorID, _ rewriter: GraphRewriter) -> [Double] {
    var known: [TensorID: [Double]] = [root: points]
    for index in Set(members).sorted() {
      guard let node = rewriter.nodes[index] else { return [] }
      let operands = node.inputs.compactMap { tensor in
        tensor.flatMap { id in
          known[id] ?? Self.uniformValue(id, rewriter).map { [Double](repeating: $0, count: points.count) }
        }
      }
      guard operands.count == node.inputs.count else { return [] }
      switch node.op {
      case .unary(let op): known[node.outputs[0]] = operands[0].map { op.value(at: $0) }
      case .binary(let op):
        let range = op.activation.range
        known[node.outputs[0]] = zip(operands[0], operands[1]).map { a, b in
          min(max(op.value(a, b), Double(range.lowerBound)), Double(range.upperBound))
        }
      case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D,
        .mean,
        .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose,
        .resize, .requantize, .recurrent, .svdf:
        return []
      }
    }
    return rewriter.nodes[end].flatMap { known[$0.outputs[0]] } ?? []
  }
}
