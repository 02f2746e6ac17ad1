extension Graph {
  /// The graph with clamps (Relu, Relu6, Clip, ...) made part of the op that computes what they clamp.
  ///
  /// A clamp passes ops that only choose or move elements (maximum pool, concatenation, slice, reshape, nearest resize) when
  /// everything before them can take it, so that the tensors in between lose the range that nobody needs.
  func fusingActivations() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], case .unary(let function) = node.op,
        let activation = function.fusedActivation, let input = node.inputs[0],
        Self.canTake(activation, input, rewriter)
      else { continue }
      Self.take(activation, input, &rewriter)
      Self.rename(input, as: node.outputs[0], removing: index, &rewriter)
    }
    return try rewriter.finished()
  }

  /// Whether the op that computes the tensor, or those before it, can do the clamp, and nobody sees the tensor without it.
  private static func canTake(_ activation: FusedActivation, _ tensor: TensorID, _ rewriter: GraphRewriter) -> Bool {
    guard rewriter.hasSoleUse(tensor), let (_, producer) = rewriter.producer(of: tensor) else { return false }
    if producer.op.addingActivation(activation) != nil { return true }
    guard let sources = producer.sourcesOfClamp else { return false }
    return sources.allSatisfy { canTake(activation, $0, rewriter) }
  }

  private static func take(_ activation: FusedActivation, _ tensor: TensorID, _ rewriter: inout GraphRewriter) {
    guard let (index, producer) = rewriter.producer(of: tensor) else { return }
    // As early as possible: a maximum pool could do it too, but then what enters it keeps the useless range.
    if let sources = producer.sourcesOfClamp, sources.allSatisfy({ canTake(activation, $0, rewriter) }) {
      for source in sources { take(activation, source, &rewriter) }
    } else if let op = producer.op.addingActivation(activation) {
      var changed = producer
      changed.op = op
      rewriter.replace(index, with: changed)
    }
  }

  /// Lets the op that computes `old` compute `new` instead, and removes the node between the two.
  private static func rename(
    _ old: TensorID, as new: TensorID, removing index: Int, _ rewriter: inout GraphRewriter
  ) {
    guard let (producerIndex, producer) = rewriter.producer(of: old) else { return }
    rewriter.remove(index)
    var changed = producer
    changed.outputs = producer.outputs.map { $0 == old ? new : $0 }
    rewriter.replace(producerIndex, with: changed)
  }
}

extension Node {
  /// The operands on which a clamp may be done instead of on the result; nil if the op computes new values.
  fileprivate var sourcesOfClamp: [TensorID]? {
    switch op {
    case .maxPool2D, .slice, .reshape, .transpose: return inputs[0].map { [$0] }
    case .resize(let op): return op.mode == .nearest ? inputs[0].map { [$0] } : nil
    case .concatenation: return Set(inputs).count == inputs.count ? inputs.compactMap { $0 } : nil
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .mean, .binary,
      .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .split, .pad, .requantize, .recurrent, .svdf:
      return nil
    }
  }
}

extension OpKind {
  /// The clamp that the op does itself; nil if it has no place for one.
  var activation: FusedActivation? {
    switch self {
    case .conv2D(let op): op.activation
    case .depthwiseConv2D(let op): op.activation
    case .transposeConv2D(let op): op.activation
    case .fullyConnected(let op): op.activation
    case .averagePool2D(let op), .maxPool2D(let op): op.activation
    case .binary(let op): op.activation
    case .svdf(let op): op.activation
    case .batchMatMul, .mean, .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split,
      .slice,
      .pad, .reshape, .transpose, .resize, .requantize, .recurrent:
      nil
    }
  }

  /// The op with a clamp done after its own; nil if it has no place for one.
  func addingActivation(_ next: FusedActivation) -> OpKind? {
    switch self {
    case .conv2D(var op):
      op.activation = op.activation.followed(by: next)
      return .conv2D(op)
    case .depthwiseConv2D(var op):
      op.activation = op.activation.followed(by: next)
      return .depthwiseConv2D(op)
    case .transposeConv2D(var op):
      op.activation = op.activation.followed(by: next)
      return .transposeConv2D(op)
    case .fullyConnected(var op):
      op.activation = op.activation.followed(by: next)
      return .fullyConnected(op)
    case .averagePool2D(var op):
      op.activation = op.activation.followed(by: next)
      return .averagePool2D(op)
    case .maxPool2D(var op):
      op.activation = op.activation.followed(by: next)
      return .maxPool2D(op)
    case .binary(var op):
      op.activation = op.activation.followed(by: next)
      return .binary(op)
    case .svdf(var op):
      op.activation = op.activation.followed(by: next)
      return .svdf(op)
    case .unary(let op):
      // Two clamps in a row are one.
      guard let first = op.fusedActivation else { return nil }
      let both = first.followed(by: next).range
      return .unary(.clip(min: both.lowerBound, max: both.upperBound))
    case .batchMatMul, .mean, .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad,
      .reshape, .transpose, .resize, .requantize, .recurrent:
      return nil
    }
  }
}
