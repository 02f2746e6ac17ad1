extension Graph {
  /// The graph without transpositions at its borders: an input that is only used transposed becomes the transposed tensor,
  /// an output that is only a transposed tensor becomes that tensor. ``GraphTensor/sourceLayout`` says how the source model
  /// orders the axes.
  func absorbingBoundaryTranspositions() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for input in inputs {
      let users = Set(rewriter.users(of: input)).sorted()
      guard !rewriter.isOutput(input), let first = users.first, case .transpose(let op)? = rewriter.nodes[first]?.op,
        users.allSatisfy({ rewriter.nodes[$0]?.op == .transpose(op) })
      else { continue }
      let results = users.compactMap { rewriter.nodes[$0]?.outputs[0] }
      guard !results.contains(where: rewriter.isOutput) else { continue }
      let description = rewriter.tensors[input].beforeTransposition(op.permutation.inverse)
      rewriter.updateTensor(input) { $0 = description }
      for (user, result) in zip(users, results) { rewriter.bypass(user, result, with: input) }
    }
    for output in outputs {
      guard let (index, node) = rewriter.producer(of: output), case .transpose(let op) = node.op,
        let source = node.inputs[0],
        rewriter.producer(of: source) != nil, !rewriter.isOutput(source)
      else { continue }
      let description = rewriter.tensors[output].beforeTransposition(op.permutation)
      let others = rewriter.users(of: output)
      rewriter.updateTensor(source) { $0.takeIdentity(of: description) }
      rewriter.setOutputs(rewriter.outputs.map { $0 == output ? source : $0 })
      rewriter.updateTensor(output) { $0.loseIdentity() }
      if others.isEmpty { rewriter.remove(index) }
    }
    return try rewriter.finished()
  }
}
