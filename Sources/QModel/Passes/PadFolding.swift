extension Graph {
  /// The graph with spatial paddings of zeros folded into the convolution or average pool behind them, and into a maximum
  /// pool where the padding can never win.
  func foldingPads() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard var node = rewriter.nodes[index], let (_, producer) = rewriter.producer(of: node.inputs.first ?? nil),
        case .pad(let pad) = producer.op, case .constant(let filler) = pad.mode, let source = producer.inputs[0],
        let extra = Self.spatialPadding(pad)
      else { continue }
      switch node.op {
      case .conv2D(var op):
        guard filler == 0 else { continue }
        op.padding = op.padding.adding(extra)
        node.op = .conv2D(op)
      case .depthwiseConv2D(var op):
        guard filler == 0 else { continue }
        op.padding = op.padding.adding(extra)
        node.op = .depthwiseConv2D(op)
      case .averagePool2D(var op):
        // The padded zeros count in the divisor; so must all padding afterwards.
        guard filler == 0, op.padding == .zero || op.countIncludePad else { continue }
        op.padding = op.padding.adding(extra)
        op.countIncludePad = true
        node.op = .averagePool2D(op)
      case .maxPool2D(var op):
        guard filler <= Self.lowerBound(of: source, rewriter) else { continue }
        op.padding = op.padding.adding(extra)
        // A window of nothing but padding would lose the filler.
        let shape = rewriter.shape(source)
        let result = rewriter.shape(node.outputs[0])
        guard !(0..<result[1]).contains(where: { op.rows(shape).taps($0).isEmpty }),
          !(0..<result[2]).contains(where: { op.columns(shape).taps($0).isEmpty })
        else { continue }
        node.op = .maxPool2D(op)
      case .transposeConv2D, .fullyConnected, .batchMatMul, .mean, .binary, .unary, .prelu, .softmax, .logSoftmax,
        .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize, .requantize,
        .recurrent,
        .svdf:
        continue
      }
      node.inputs[0] = source
      let shapes = node.inputs.map { $0.map { rewriter.shape($0) } }
      // Rounding up may count windows differently when the padding belongs to the pool.
      guard let result = try? node.op.definition.outputShapes(shapes), result == [rewriter.shape(node.outputs[0])]
      else {
        continue
      }
      rewriter.replace(index, with: node)
    }
    return try rewriter.finished().removingDeadNodes()
  }

  /// The padding if it concerns only the height and width of an image.
  private static func spatialPadding(_ pad: PadOp) -> Padding2D? {
    guard pad.before.count == 4, pad.before[0] == 0, pad.after[0] == 0, pad.before[3] == 0, pad.after[3] == 0 else {
      return nil
    }
    return Padding2D(top: pad.before[1], left: pad.before[2], bottom: pad.after[1], right: pad.after[2])
  }

  /// A value that no element of the tensor is below, as far as its producer says.
  private static func lowerBound(of tensor: TensorID, _ rewriter: GraphRewriter) -> Float {
    guard let (_, producer) = rewriter.producer(of: tensor) else { return -.infinity }
    return producer.op.outputRange.lowerBound
  }
}

extension Padding2D {
  fileprivate func adding(_ other: Padding2D) -> Padding2D {
    Padding2D(
      top: top + other.top, left: left + other.left, bottom: bottom + other.bottom, right: right + other.right)
  }
}

extension OpKind {
  /// The real interval that the op's results lie in whatever its operands are.
  var outputRange: ClosedRange<Float> {
    switch self {
    case .conv2D(let op): op.activation.range
    case .depthwiseConv2D(let op): op.activation.range
    case .transposeConv2D(let op): op.activation.range
    case .fullyConnected(let op): op.activation.range
    case .averagePool2D(let op), .maxPool2D(let op): op.activation.range
    case .binary(let op): op.activation.range
    case .concatenation(let op): op.activation.range
    case .svdf(let op): op.activation.range
    case .unary(let op): op.outputRange
    case .softmax: 0...1
    case .logSoftmax: -Float.infinity...0
    case .batchMatMul, .mean, .prelu, .batchNormalization, .split, .slice, .pad, .reshape, .transpose, .resize,
      .requantize, .recurrent:
      -Float.infinity...Float.infinity
    }
  }
}

extension UnaryOp {
  /// The real interval that the function's values lie in.
  var outputRange: ClosedRange<Float> {
    switch self {
    case .relu, .relu6, .reluN1To1, .clip: fusedActivation?.range ?? -Float.infinity...Float.infinity
    case .logistic, .hardSigmoid: 0...1
    case .tanh, .softsign, .erf, .sin, .cos: -1...1
    case .softplus, .exp, .sqrt, .rsqrt, .square, .abs: 0...Float.infinity
    case .leakyRelu, .hardSwish, .elu, .selu, .celu, .gelu, .silu, .mish, .thresholdedRelu, .log, .neg, .reciprocal:
      -Float.infinity...Float.infinity
    }
  }
}
