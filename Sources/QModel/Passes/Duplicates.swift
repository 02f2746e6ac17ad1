extension Graph {
  /// The graph with each value computed once: of nodes with the same op and the same operands the first stays.
  ///
  /// Ops with state are no duplicates of each other, and nodes that compute a model output stay.
  func mergingDuplicates() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    var known: [[TensorID?]: [Int]] = [:]
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], !node.op.hasState else { continue }
      let candidates = known[node.inputs] ?? []
      let original = candidates.first { rewriter.nodes[$0]?.op == node.op }
      if let original, let first = rewriter.nodes[original], !node.outputs.contains(where: rewriter.isOutput) {
        for (old, new) in zip(node.outputs, first.outputs) { rewriter.bypass(index, old, with: new) }
      } else {
        known[node.inputs, default: []].append(index)
      }
    }
    return try rewriter.finished()
  }
}

extension OpKind {
  /// Whether running the op changes what it computes the next time.
  var hasState: Bool {
    switch self {
    case .recurrent(let op): op.stateIsVariable
    case .svdf: true
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .binary, .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad,
      .reshape, .transpose, .resize, .requantize:
      false
    }
  }
}
