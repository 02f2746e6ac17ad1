extension Graph {
  /// The graph with general ops made the special ones they are: a convolution with one input channel per group is a depthwise
  /// one, a product with a constant matrix is a dense layer.
  func namingSpecialCases() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index] else { continue }
      switch node.op {
      case .conv2D(let op): Self.nameDepthwise(index, node, op, &rewriter)
      case .batchMatMul(let op): Self.nameDense(index, node, op, &rewriter)
      case .depthwiseConv2D, .transposeConv2D, .fullyConnected, .averagePool2D, .maxPool2D, .mean, .binary, .unary,
        .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose,
        .resize, .requantize, .recurrent, .svdf:
        break
      }
    }
    return try rewriter.finished().removingDeadNodes()
  }

  private static func nameDepthwise(_ index: Int, _ node: Node, _ op: Conv2DOp, _ rewriter: inout GraphRewriter) {
    guard op.groups > 1, let input = node.inputs[0], let weightsID = node.inputs[1],
      op.groups == rewriter.shape(input)[3], let weights = rewriter.constant(weightsID)
    else { return }
    var depthwise = DepthwiseConv2DOp()
    (depthwise.strideHeight, depthwise.strideWidth) = (op.strideHeight, op.strideWidth)
    (depthwise.dilationHeight, depthwise.dilationWidth) = (op.dilationHeight, op.dilationWidth)
    depthwise.padding = op.padding
    depthwise.depthMultiplier = weights.shape[0] / op.groups
    depthwise.activation = op.activation
    var changed = node
    changed.op = .depthwiseConv2D(depthwise)
    // [O,KH,KW,1] -> [1,KH,KW,O].
    changed.inputs[1] = rewriter.addConstant(
      TransposeOp(permutation: [3, 1, 2, 0]).transpose(weights), madeFrom: weightsID)
    rewriter.replace(index, with: changed)
  }

  private static func nameDense(_ index: Int, _ node: Node, _ op: BatchMatMulOp, _ rewriter: inout GraphRewriter) {
    guard let a = node.inputs[0], let b = node.inputs[1], !op.transposeA, let matrix = rewriter.constant(b),
      matrix.shape.dropLast(2).allSatisfy({ $0 == 1 }), rewriter.shape(a).count >= matrix.shape.count
    else { return }
    let flat = matrix.reshaped(to: Array(matrix.shape.suffix(2)))
    let weights = op.transposeB ? flat : TransposeOp(permutation: [1, 0]).transpose(flat)
    let constant = rewriter.addConstant(weights, madeFrom: b)
    rewriter.replace(
      index,
      with: Node(
        name: node.name, op: .fullyConnected(FullyConnectedOp()), inputs: [a, constant, nil], outputs: node.outputs))
  }
}
