extension Graph {
  /// The graph with whole regions of ops that do not mind the order of axes put into the layout in which fewest elements are
  /// moved at the regions' borders.
  ///
  /// Where one operand of an addition comes transposed and the other does not, moving a transposition across that one
  /// addition gains nothing, but moving it across all that follows may.
  func choosingLayouts() throws(ModelError) -> Graph {
    var graph = self
    // Each step moves fewer elements than the one before or moves them closer to the outputs; the bound is for safety.
    for _ in 0..<(16 + nodes.count) {
      guard let next = try graph.choosingOneLayout() else { break }
      graph = next
    }
    return graph
  }

  /// The graph with one region in a better layout; nil if all are in the best.
  private func choosingOneLayout() throws(ModelError) -> Graph? {
    let rewriter = GraphRewriter(self)
    let weight = rewriter.transpositionWeight
    var isVisited = [Bool](repeating: false, count: nodes.count)
    for seed in nodes.indices where !isVisited[seed] {
      guard let region = LayoutRegion(around: seed, rewriter) else { continue }
      for member in region.members { isVisited[member] = true }
      for candidate in region.candidates(rewriter) where region.gain(candidate, rewriter) >= 0 {
        // The estimate takes each border for itself; what counts is the graph that comes out.
        var relaid = rewriter
        region.relay(to: candidate, &relaid)
        let next = try relaid.finished().removingDeadNodes().mergingTranspositions().mergingDuplicates()
        let change = GraphRewriter(next).transpositionWeight - weight
        if change < 0 || (change == 0 && region.isFed(by: candidate, rewriter)) { return next }
      }
    }
    return nil
  }
}

/// Nodes of one rank, connected by their operands and results, that all run in any order of axes.
private struct LayoutRegion {
  let members: [Int]
  private let rank: Int
  private let isMember: Set<Int>

  init?(around seed: Int, _ rewriter: GraphRewriter) {
    guard let node = rewriter.nodes[seed], Self.isIndifferent(node, rewriter) else { return nil }
    rank = rewriter.shape(node.outputs[0]).count
    var members = [seed]
    var isMember: Set<Int> = [seed]
    var next = 0
    while next < members.count {
      guard let node = rewriter.nodes[members[next]] else { break }
      next += 1
      var neighbours: [Int] = []
      for operand in node.inputs { if let (index, _) = rewriter.producer(of: operand) { neighbours.append(index) } }
      for output in node.outputs { neighbours += rewriter.users(of: output) }
      for index in neighbours where !isMember.contains(index) {
        guard let other = rewriter.nodes[index], Self.isIndifferent(other, rewriter),
          rewriter.shape(other.outputs[0]).count == rank
        else { continue }
        isMember.insert(index)
        members.append(index)
      }
    }
    self.members = members.sorted()
    self.isMember = isMember
  }

  /// Whether the op runs with any order of axes and gives its result in that same order.
  private static func isIndifferent(_ node: Node, _ rewriter: GraphRewriter) -> Bool {
    switch node.op {
    case .transpose, .reshape, .fullyConnected: return false
    case .unary, .softmax, .logSoftmax, .batchNormalization, .prelu, .binary, .concatenation, .split, .slice, .pad,
      .mean,
      .requantize, .conv2D, .depthwiseConv2D, .transposeConv2D, .batchMatMul, .averagePool2D, .maxPool2D, .resize,
      .recurrent, .svdf:
      let order = Array(rewriter.shape(node.outputs[0]).indices)
      guard let first = node.inputs.first, let main = first, order.count > 1 else { return false }
      let isSameRank = node.inputs.contains { $0.map { rewriter.shape($0).count == order.count } ?? false }
      if case .mean = node.op, rewriter.shape(main).count != order.count { return false }
      return isSameRank && LayoutRule(node, order, rewriter) != nil
    }
  }

  /// The orders in which the region's neighbours want or give their tensors.
  func candidates(_ rewriter: GraphRewriter) -> [Permutation] {
    var found: [Permutation] = []
    func note(_ permutation: Permutation) {
      if permutation.count == rank, !found.contains(permutation) { found.append(permutation) }
    }
    for member in members {
      guard let node = rewriter.nodes[member] else { continue }
      for operand in node.inputs {
        if let (_, producer) = rewriter.producer(of: operand), case .transpose(let op) = producer.op {
          note(op.permutation)
        }
      }
      for output in node.outputs {
        for user in rewriter.users(of: output) {
          if let node = rewriter.nodes[user], case .transpose(let op) = node.op { note(op.permutation.inverse) }
        }
      }
    }
    return found
  }

  /// The tensors that enter, without those the members compute.
  private func entries(_ rewriter: GraphRewriter) -> [TensorID] {
    var found: [TensorID] = []
    for member in members {
      guard let node = rewriter.nodes[member],
        let rule = LayoutRule(node, Array(0..<rank), rewriter)
      else { continue }
      for index in rule.operands {
        guard let operand = node.inputs[index], !found.contains(operand) else { continue }
        if let (producer, _) = rewriter.producer(of: operand), isMember.contains(producer) { continue }
        found.append(operand)
      }
    }
    return found
  }

  /// Whether all that enters comes from this one transposition and is needed nowhere else: then the transposition may move
  /// behind the region, closer to the outputs, even if that alone saves nothing.
  func isFed(by p: Permutation, _ rewriter: GraphRewriter) -> Bool {
    var isFed = false
    for tensor in entries(rewriter) where !rewriter.isConstant(tensor) {
      let shape = rewriter.shape(tensor)
      if p.inverse.isReshape(of: [Int](repeating: 1, count: rank - shape.count) + shape) { continue }
      guard let (_, producer) = rewriter.producer(of: tensor), case .transpose(let op) = producer.op,
        op.permutation == p, !rewriter.isOutput(tensor), rewriter.users(of: tensor).allSatisfy(isMember.contains)
      else { return false }
      isFed = true
    }
    return isFed
  }

  /// How many elements fewer are moved when all members run on tensors x with t = Tp(x) for every tensor t of the region.
  func gain(_ p: Permutation, _ rewriter: GraphRewriter) -> Int {
    var gain = 0
    let entries = entries(rewriter)
    for tensor in entries {
      let shape = rewriter.shape(tensor)
      let full = [Int](repeating: 1, count: rank - shape.count) + shape
      if rewriter.isConstant(tensor) || p.inverse.isReshape(of: full) { continue }
      let outside = rewriter.users(of: tensor).filter { !isMember.contains($0) }
      // A transposition that others need anyway; one that only feeds this region goes with it.
      let alreadyTransposed = outside.contains { user in
        guard let node = rewriter.nodes[user], case .transpose(let op) = node.op else { return false }
        return op.permutation == p.inverse && !entries.contains(node.outputs[0])
      }
      if alreadyTransposed { continue }
      let isKept = !outside.isEmpty || rewriter.isOutput(tensor)
      gain -=
        shape.count == rank
        ? rewriter.transpositionCost(tensor, by: p.inverse, isKept: isKept) : shape.reduce(1, *)
    }
    for member in members {
      guard let node = rewriter.nodes[member] else { continue }
      for output in node.outputs {
        let outside = rewriter.users(of: output).filter { !isMember.contains($0) }
        let shape = rewriter.shape(output)
        if p.isReshape(of: p.inverse.applied(to: shape)) { continue }
        let count = shape.reduce(1, *)
        var needsOld = false
        for user in outside {
          if case .transpose(let op)? = rewriter.nodes[user]?.op {
            if p.followed(by: op.permutation).isReshape(of: p.inverse.applied(to: shape)) {
              gain += rewriter.transpositionWeight(user)
            }
          } else {
            needsOld = true
          }
        }
        if needsOld { gain -= count }
      }
    }
    return gain
  }

  /// Runs all members in the other order.
  func relay(to p: Permutation, _ rewriter: inout GraphRewriter) {
    var inner: [TensorID: TensorID] = [:]
    for tensor in entries(rewriter) {
      inner[tensor] = rewriter.relaidOperand(tensor, by: p.inverse, for: "layout")
    }
    var rules: [Int: LayoutRule] = [:]
    for member in members {
      guard let node = rewriter.nodes[member], let rule = LayoutRule(node, p, rewriter) else { continue }
      rules[member] = rule
      for (output, shape) in zip(node.outputs, rule.resultShapes) {
        let tensor = rewriter.add(GraphTensor(shape: shape))
        rewriter.nameInner(tensor, behind: output, p)
        inner[output] = tensor
      }
    }
    for member in members {
      guard var node = rewriter.nodes[member], let rule = rules[member] else { continue }
      let old = node.outputs
      for index in rule.operands { node.inputs[index] = node.inputs[index].flatMap { inner[$0] } }
      node.op = rule.op
      node.outputs = old.map { inner[$0] ?? $0 }
      rewriter.replace(member, with: node)
      for (outer, tensor) in zip(old, node.outputs) {
        let isUsed = rewriter.isOutput(outer) || rewriter.users(of: outer).contains { !isMember.contains($0) }
        guard isUsed else { continue }
        rewriter.append(
          Node(
            name: "\(node.name)/transposed", op: .transpose(TransposeOp(permutation: p)), inputs: [tensor],
            outputs: [outer]))
      }
    }
  }
}
