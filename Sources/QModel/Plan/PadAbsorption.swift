extension Graph {
  /// The graph with paddings of zeros taken into the convolutions behind them, where not one byte of a result changes: the
  /// kernels pad with the input's zero point, which is what a padding of zeros writes.
  ///
  /// Float graphs had this done before they were quantized; what is left is for quantized models. A padding that somebody
  /// else reads stays.
  func absorbingPads() -> Graph {
    var graph = self
    var padding: [TensorID: (source: TensorID, amount: Padding2D)] = [:]
    for node in nodes {
      guard case .pad(let op) = node.op, case .constant(0) = op.mode, op.before.count == 4,
        op.before[0] + op.after[0] + op.before[3] + op.after[3] == 0, let source = node.inputs[0],
        tensors[source].type == tensors[node.outputs[0]].type,
        tensors[source].quantization == tensors[node.outputs[0]].quantization
      else { continue }
      padding[node.outputs[0]] = (
        source, Padding2D(top: op.before[1], left: op.before[2], bottom: op.after[1], right: op.after[2])
      )
    }
    if padding.isEmpty { return self }
    for index in graph.nodes.indices {
      guard let input = graph.nodes[index].inputs.first ?? nil, let (source, amount) = padding[input] else { continue }
      switch graph.nodes[index].op {
      case .conv2D(var op):
        op.padding = op.padding + amount
        graph.nodes[index].op = .conv2D(op)
      case .depthwiseConv2D(var op):
        op.padding = op.padding + amount
        graph.nodes[index].op = .depthwiseConv2D(op)
      case .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean, .binary, .unary, .prelu,
        .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize,
        .requantize, .recurrent, .svdf:
        continue
      }
      graph.nodes[index].inputs[0] = source
    }
    let used = Set(graph.nodes.flatMap { $0.inputs.compactMap { $0 } } + graph.outputs)
    graph.nodes.removeAll { padding[$0.outputs[0]] != nil && !used.contains($0.outputs[0]) }
    return graph
  }
}

extension Padding2D {
  /// Both paddings, one around the other.
  fileprivate static func + (first: Padding2D, second: Padding2D) -> Padding2D {
    Padding2D(
      top: first.top + second.top, left: first.left + second.left, bottom: first.bottom + second.bottom,
      right: first.right + second.right)
  }
}
