extension Graph {
  /// The graph folded, fused and cleaned for quantization; in float it computes the same.
  ///
  /// Passes run until nothing changes. Inputs and outputs stay in number and order; those that were only used or computed
  /// transposed change their axes and say so in ``GraphTensor/sourceLayout``. A quantized graph is only relieved of nodes
  /// that nobody needs: every other change could change its bytes.
  /// - Throws: ``ModelError`` if the graph is not sound.
  public func optimized() throws(ModelError) -> Graph {
    try validate()
    if origin == .quantizedTFLite { return removingDeadNodes().removingUnusedTensors() }
    var graph = try simplified()
    graph = try graph.loweringAffines().simplified()
    graph = graph.removingUnusedTensors()
    try graph.validate()
    return graph
  }

  /// The passes that only make a graph simpler, until nothing changes.
  private func simplified() throws(ModelError) -> Graph {
    var graph = self
    // Three or four rounds are usual: within one, nodes move as far as they can. The bound is for safety.
    for _ in 0..<64 {
      var next = graph.removingDeadNodes().foldingConstants()
      next = try next.removingIdentities().mergingDuplicates().recognizingFunctions().namingSpecialCases()
      next = try next.mergingTranspositions().mergingReshapes().absorbingBoundaryTranspositions()
      next = try next.sinkingTranspositions().choosingLayouts().mergingTranspositionsAroundReshapes()
        .absorbingBoundaryTranspositions()
      next = try next.foldingTranspositionsIntoWeights().sinkingReshapes()
      next = try next.foldingPads().foldingAffines().fusingActivations()
      if next.hasSameNodes(as: graph) { return graph }
      graph = next
    }
    return graph
  }

  /// Whether two graphs over the same tensors have the same nodes, inputs and outputs.
  private func hasSameNodes(as other: Graph) -> Bool {
    nodes.count == other.nodes.count && inputs == other.inputs && outputs == other.outputs
      && zip(nodes, other.nodes).allSatisfy { $0.op == $1.op && $0.inputs == $1.inputs && $0.outputs == $1.outputs }
  }
}
