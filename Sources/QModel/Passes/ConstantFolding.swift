extension Graph {
  /// The graph with nodes computed whose operands are all constants.
  ///
  /// What would grow a lot is left alone: a result of more than 2^24 elements that is larger than its operands together.
  func foldingConstants() -> Graph {
    var result = self
    var kept: [Node] = []
    for node in nodes {
      let operands = node.inputs.map { $0.map { result.tensors[$0] } }
      let isConstant = operands.allSatisfy { $0.map { $0.isConstant && !$0.isVariable } ?? true }
      let operandCount = operands.reduce(0) { $0 + ($1?.elementCount ?? 0) }
      let resultCount = node.outputs.reduce(0) { $0 + tensors[$1].elementCount }
      guard isConstant, operands.contains(where: { $0 != nil }), resultCount <= max(1 << 24, operandCount) else {
        kept.append(node)
        continue
      }
      var context = EvaluationContext()
      let values = node.op.definition.evaluate(operands.map { $0?.floatValues() }, context: &context)
      for (output, value) in zip(node.outputs, values) {
        result.tensors[output].data = .float(value.values)
        result.tensors[output].type = .float32
        result.tensors[output].quantization = nil
      }
    }
    result.nodes = kept
    return result
  }
}
