extension Graph {
  /// The graph with transpositions of transpositions made one, and those that only move axes of size 1 made reshapes.
  func mergingTranspositions() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard var node = rewriter.nodes[index], case .transpose(let op) = node.op, var source = node.inputs[0] else {
        continue
      }
      var permutation = op.permutation
      if let (_, producer) = rewriter.producer(of: source), case .transpose(let first) = producer.op,
        let origin = producer.inputs[0]
      {
        permutation = first.permutation.followed(by: permutation)
        source = origin
      }
      node.inputs = [source]
      if permutation.isIdentity, rewriter.bypass(index, node.outputs[0], with: source) { continue }
      node.op =
        permutation.isReshape(of: rewriter.shape(source))
        ? .reshape(ReshapeOp(shape: rewriter.shape(node.outputs[0])))
        : .transpose(TransposeOp(permutation: permutation))
      rewriter.replace(index, with: node)
    }
    return try rewriter.finished().removingDeadNodes()
  }

  /// The graph with transpositions moved behind the ops that do not mind, where that saves work or costs nothing; there they
  /// meet others and cancel.
  func sinkingTranspositions() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index] else { continue }
      if case .transpose = node.op { continue }
      for operand in node.inputs {
        guard let (_, producer) = rewriter.producer(of: operand), case .transpose(let op) = producer.op,
          let rule = LayoutRule(node, op.permutation, rewriter), rule.isWorthwhile(node, op.permutation, rewriter)
        else { continue }
        rule.apply(to: index, op.permutation, &rewriter)
        break
      }
    }
    return try rewriter.finished().removingDeadNodes().mergingTranspositions()
  }
}

extension Graph {
  /// The graph with a transposition behind a reshape moved before it where another transposition stands there, so that the
  /// two become one.
  func mergingTranspositionsAroundReshapes() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard var node = rewriter.nodes[index], case .transpose(let last) = node.op, let image = node.inputs[0],
        rewriter.hasSoleUse(image), let (_, reshape) = rewriter.producer(of: image), case .reshape = reshape.op,
        let before = reshape.inputs[0], rewriter.hasSoleUse(before),
        let (_, producer) = rewriter.producer(of: before), case .transpose = producer.op,
        // Read backwards, the reshape has a transposition before it, which then can be put behind it.
        let (_, back) = LayoutRule.reshape(
          rewriter.shape(image), last.permutation.inverse, to: rewriter.shape(before))
      else { continue }
      let moved = rewriter.transposed(before, by: back.inverse, for: node.name)
      node.op = .reshape(ReshapeOp(shape: rewriter.shape(node.outputs[0])))
      node.inputs = [moved]
      rewriter.replace(index, with: node)
    }
    return try rewriter.finished().removingDeadNodes()
  }
}

extension LayoutRule {
  /// Whether fewer elements are moved than before; or as many, if every operand comes from this transposition, so that it
  /// only moves on towards the outputs.
  fileprivate func isWorthwhile(_ node: Node, _ p: Permutation, _ rewriter: GraphRewriter) -> Bool {
    let rank = p.count
    var gain = 0
    var isUniform = true
    for operand in Set(operands.compactMap { node.inputs[$0] }).sorted() {
      let shape = rewriter.shape(operand)
      if rewriter.isConstant(operand) || isFree(shape, p) { continue }
      let others = rewriter.users(of: operand).contains { rewriter.nodes[$0]?.outputs != node.outputs }
      gain -=
        shape.count == rank
        ? rewriter.transpositionCost(operand, by: p.inverse, isKept: others || rewriter.isOutput(operand))
        : shape.reduce(1, *)
      if rewriter.producer(of: operand)?.node.op != .transpose(TransposeOp(permutation: p)) { isUniform = false }
    }
    for (output, shape) in zip(node.outputs, resultShapes) where !result.isReshape(of: shape) {
      gain += outputGain(output, shape, rewriter)
    }
    return gain > 0 || (gain == 0 && isUniform)
  }

  /// Whether a smaller operand, with axes of size 1 in front, needs no moving.
  private func isFree(_ shape: [Int], _ p: Permutation) -> Bool {
    p.inverse.isReshape(of: [Int](repeating: 1, count: p.count - shape.count) + shape)
  }

  /// The elements that a transposition behind a result moves (negative) or saves, because it meets others.
  private func outputGain(_ output: TensorID, _ shape: [Int], _ rewriter: GraphRewriter) -> Int {
    let count = shape.reduce(1, *)
    var saved = 0
    for user in rewriter.users(of: output) {
      guard let node = rewriter.nodes[user], case .transpose(let next) = node.op else { return -count }
      if result.followed(by: next.permutation).isReshape(of: shape) { saved += rewriter.transpositionWeight(user) }
    }
    // The transposition of a model output becomes the output's layout.
    return saved
  }

  /// Rewrites the node and puts the transposition behind its results.
  fileprivate func apply(to index: Int, _ p: Permutation, _ rewriter: inout GraphRewriter) {
    guard var node = rewriter.nodes[index] else { return }
    let old = node.outputs
    let oldInputs = node.inputs
    for operand in operands {
      guard let tensor = node.inputs[operand] else { continue }
      node.inputs[operand] = rewriter.relaidOperand(tensor, by: p.inverse, for: node.name)
    }
    node.op = op
    node.outputs = zip(old, resultShapes).map { output, shape in
      result.isIdentity ? output : rewriter.add(GraphTensor(shape: shape))
    }
    rewriter.replace(index, with: node)
    for case .some(let input) in oldInputs { rewriter.removeUnused(input) }
    if result.isIdentity { return }
    for (output, inner) in zip(old, node.outputs) {
      let op: OpKind =
        result.isReshape(of: rewriter.shape(inner))
        ? .reshape(ReshapeOp(shape: rewriter.shape(output))) : .transpose(TransposeOp(permutation: result))
      rewriter.nameInner(inner, behind: output, result)
      rewriter.append(Node(name: "\(node.name)/transposed", op: op, inputs: [inner], outputs: [output]))
    }
  }
}

extension GraphRewriter {
  /// An operand in another layout; one value alone fits all.
  mutating func relaidOperand(_ tensor: TensorID, by permutation: Permutation, for name: String) -> TensorID {
    if shape(tensor).count < permutation.count {
      if shape(tensor).allSatisfy({ $0 == 1 }) { return tensor }
      return transposed(padded(tensor, toRank: permutation.count, for: name), by: permutation, for: name)
    }
    return transposed(tensor, by: permutation, for: name)
  }

  /// Gives the tensor before a transposition the name of the one after it, which passes may remove; model outputs keep
  /// theirs.
  mutating func nameInner(_ inner: TensorID, behind outer: TensorID, _ permutation: Permutation) {
    if isOutput(outer) { return }
    let description = tensors[outer].beforeTransposition(permutation)
    updateTensor(inner) { $0.takeIdentity(of: description) }
    updateTensor(outer) { $0.loseIdentity() }
  }
}
