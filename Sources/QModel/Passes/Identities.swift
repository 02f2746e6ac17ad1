extension Graph {
  /// The graph without nodes that compute nothing: reshapes to the same shape, transpositions that move nothing, slices of
  /// everything, paddings of nothing, pools and resizes of single elements, clamps without bounds, concatenations and
  /// splits of one, additions of 0 and multiplications by 1.
  ///
  /// A node between an input (or a constant) and an output stays, so that the two remain different tensors.
  func removingIdentities() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], node.outputs.count == 1 else { continue }
      if let source = Self.source(of: node, in: rewriter), rewriter.shape(source) == rewriter.shape(node.outputs[0]) {
        rewriter.bypass(index, node.outputs[0], with: source)
      }
    }
    return try rewriter.finished()
  }

  /// The operand whose values are the node's result; nil if it computes something.
  private static func source(of node: Node, in rewriter: GraphRewriter) -> TensorID? {
    guard let first = node.inputs.first, let input = first else { return nil }
    let shape = rewriter.shape(input)
    let isIdentity: Bool
    switch node.op {
    case .reshape: isIdentity = true
    case .transpose(let op): isIdentity = op.permutation == Array(shape.indices)
    case .slice(let op): isIdentity = op.sizes == shape && op.strides.allSatisfy { $0 > 0 }
    case .pad(let op): isIdentity = (op.before + op.after).allSatisfy { $0 == 0 }
    case .concatenation(let op): isIdentity = node.inputs.count == 1 && op.activation == .none
    case .split(let op): isIdentity = op.sizes.count == 1
    case .unary(let op): isIdentity = op.fusedActivation == FusedActivation.none
    case .averagePool2D(let op), .maxPool2D(let op):
      isIdentity =
        op.kernelHeight == 1 && op.kernelWidth == 1 && op.strideHeight == 1 && op.strideWidth == 1
        && op.padding == .zero && op.activation == .none
    case .mean(let op): isIdentity = op.axes.allSatisfy { shape[$0] == 1 }
    case .resize(let op):
      isIdentity =
        shape[1] == op.outputHeight && shape[2] == op.outputWidth
        && op.rowTaps(shape[1]).isIdentity && op.columnTaps(shape[2]).isIdentity
    case .binary(let op):
      guard op.activation == .none, node.inputs.count == 2, let second = node.inputs[1] else { return nil }
      let neutral: Float
      switch op.kind {
      case .add, .sub: neutral = 0
      case .mul, .div: neutral = 1
      case .maximum, .minimum: return nil
      }
      if let constant = rewriter.constant(second), constant.values.allSatisfy({ $0 == neutral }) { return input }
      guard op.kind == .add || op.kind == .mul else { return nil }
      if let constant = rewriter.constant(input), constant.values.allSatisfy({ $0 == neutral }) { return second }
      return nil
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .prelu, .softmax, .logSoftmax,
      .batchNormalization, .requantize, .recurrent, .svdf:
      isIdentity = false
    }
    return isIdentity ? input : nil
  }
}

extension [(first: Int, second: Int, share: Double)] {
  /// Whether each output element is the input element of the same index.
  fileprivate var isIdentity: Bool {
    enumerated().allSatisfy { $0.element.first == $0.offset && $0.element.share == 0 }
  }
}
