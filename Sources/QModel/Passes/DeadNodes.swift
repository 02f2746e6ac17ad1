extension Graph {
  /// The graph without nodes whose results nobody uses.
  ///
  /// Model inputs stay, used or not. Constants that nobody uses any more lose their values, so that they take no memory.
  func removingDeadNodes() -> Graph {
    var isNeeded = [Bool](repeating: false, count: tensors.count)
    for output in outputs { isNeeded[output] = true }
    var kept: [Node] = []
    for node in nodes.reversed() where node.outputs.contains(where: { isNeeded[$0] }) {
      for case .some(let input) in node.inputs { isNeeded[input] = true }
      kept.append(node)
    }
    var result = self
    result.nodes = kept.reversed()
    for index in tensors.indices where !isNeeded[index] && tensors[index].isConstant {
      result.tensors[index] = GraphTensor(shape: [])
    }
    return result
  }

  /// The graph without tensors that nothing refers to; the others get new numbers in the same order.
  func removingUnusedTensors() -> Graph {
    var isUsed = [Bool](repeating: false, count: tensors.count)
    for tensor in inputs + outputs { isUsed[tensor] = true }
    for node in nodes {
      for tensor in node.outputs + node.inputs.compactMap({ $0 }) { isUsed[tensor] = true }
    }
    var numbers = [Int](repeating: 0, count: tensors.count)
    var result = self
    result.tensors = []
    for index in tensors.indices where isUsed[index] { numbers[index] = result.add(tensors[index]) }
    result.inputs = inputs.map { numbers[$0] }
    result.outputs = outputs.map { numbers[$0] }
    result.nodes = nodes.map { node in
      Node(
        name: node.name, op: node.op, inputs: node.inputs.map { $0.map { numbers[$0] } },
        outputs: node.outputs.map { numbers[$0] })
    }
    return result
  }
}
