extension Graph {
  /// The graph with per-channel factors and offsets folded into weights and biases.
  ///
  /// BatchNormalization and additions, subtractions, multiplications and divisions by constants that depend on the channel
  /// only go into the convolution or dense layer before them; if there is none, into one behind them when that is exact: the
  /// offset is 0 or there is no padding that it would have to reach.
  func foldingAffines() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], let affine = ChannelAffine(node, rewriter) else { continue }
      if Self.foldBack(index, node, affine, &rewriter) { continue }
      Self.foldForward(index, node, affine, &rewriter)
    }
    return try rewriter.finished()
  }

  /// Into the op that computes the operand.
  private static func foldBack(
    _ index: Int, _ node: Node, _ affine: ChannelAffine, _ rewriter: inout GraphRewriter
  ) -> Bool {
    guard rewriter.hasSoleUse(affine.input), let (producerIndex, producer) = rewriter.producer(of: affine.input),
      producer.op.activation == FusedActivation.none, let axis = producer.op.outputChannelAxisOfWeights,
      let weightsID = producer.inputs[1], let weights = rewriter.constant(weightsID),
      weights.shape[axis] == affine.factors.count
    else { return false }
    let biasID = producer.inputs.count > 2 ? producer.inputs[2] : nil
    let bias = rewriter.constant(biasID)
    if biasID != nil && bias == nil { return false }
    let scaled = weights.scaled(along: axis, by: affine.factors)
    let newBias = affine.offsets.indices.map { channel in
      Float(Double(bias?.values[channel] ?? 0) * affine.factors[channel] + affine.offsets[channel])
    }
    guard scaled.values.allSatisfy(\.isFinite), newBias.allSatisfy(\.isFinite) else { return false }
    var changed = producer
    changed.op = producer.op.addingActivation(affine.activation) ?? producer.op
    changed.inputs = [
      producer.inputs[0], rewriter.addConstant(scaled, madeFrom: weightsID),
      rewriter.addConstant(FloatTensor(shape: [newBias.count], values: newBias), madeFrom: biasID),
    ]
    changed.outputs = node.outputs
    rewriter.remove(index)
    rewriter.replace(producerIndex, with: changed)
    return true
  }

  /// Into the only op that uses the result.
  private static func foldForward(
    _ index: Int, _ node: Node, _ affine: ChannelAffine, _ rewriter: inout GraphRewriter
  ) {
    let result = node.outputs[0]
    guard affine.activation == .none, affine.isEven, rewriter.hasSoleUse(result),
      let userIndex = rewriter.users(of: result).first, let user = rewriter.nodes[userIndex], user.inputs[0] == result,
      let weightsID = user.inputs.count > 1 ? user.inputs[1] : nil, let weights = rewriter.constant(weightsID)
    else { return }
    let hasOffset = affine.offsets.contains { $0 != 0 }
    let outputs: Int
    switch user.op {
    case .conv2D(let op):
      guard op.groups == 1, op.padding == .zero || !hasOffset else { return }
      outputs = weights.shape[0]
    case .fullyConnected:
      guard weights.shape[1] == affine.factors.count else { return }
      outputs = weights.shape[0]
    case .depthwiseConv2D, .transposeConv2D, .batchMatMul, .averagePool2D, .maxPool2D, .mean, .binary, .unary, .prelu,
      .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize,
      .requantize, .recurrent, .svdf:
      return
    }
    guard weights.shape.last == affine.factors.count else { return }
    let biasID = user.inputs.count > 2 ? user.inputs[2] : nil
    let bias = rewriter.constant(biasID)
    if biasID != nil && bias == nil { return }
    let channels = affine.factors.count
    let perOutput = weights.values.count / outputs
    let newBias = (0..<outputs).map { output in
      var sum = Double(bias?.values[output] ?? 0)
      for k in 0..<perOutput {
        sum += Double(weights.values[output * perOutput + k]) * affine.offsets[k % channels]
      }
      return Float(sum)
    }
    let scaled = weights.scaled(along: weights.shape.count - 1, by: affine.factors)
    guard scaled.values.allSatisfy(\.isFinite), newBias.allSatisfy(\.isFinite) else { return }
    var changed = user
    changed.inputs = [
      affine.input, rewriter.addConstant(scaled, madeFrom: weightsID),
      rewriter.addConstant(FloatTensor(shape: [outputs], values: newBias), madeFrom: biasID),
    ]
    rewriter.remove(index)
    rewriter.replace(userIndex, with: changed)
  }

  /// The graph with what ``foldingAffines()`` left: each BatchNormalization, and each row of two or more per-channel factors
  /// and offsets, becomes a depthwise 1x1 convolution, which an integer kernel computes with one rounding.
  func loweringAffines() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], let last = ChannelAffine(node, rewriter) else { continue }
      // The longest row that ends here: every link before it is used by the next only.
      var affine = last
      var members = [index]
      while rewriter.hasSoleUse(affine.input), let (before, producer) = rewriter.producer(of: affine.input),
        let previous = ChannelAffine(producer, rewriter), previous.activation == .none,
        let both = previous.followed(by: affine)
      {
        affine = both
        members.append(before)
      }
      let isNormalization = if case .batchNormalization = node.op { true } else { false }
      let user = rewriter.users(of: node.outputs[0]).first
      let goesOn =
        rewriter.hasSoleUse(node.outputs[0]) && affine.activation == .none
        && user.flatMap { rewriter.nodes[$0] }.flatMap { ChannelAffine($0, rewriter) } != nil
      guard !goesOn, isNormalization || members.count > 1 else { continue }
      Self.lower(affine, members, node, &rewriter)
    }
    return try rewriter.finished().removingDeadNodes()
  }

  private static func lower(_ affine: ChannelAffine, _ members: [Int], _ node: Node, _ rewriter: inout GraphRewriter) {
    let output = node.outputs[0]
    let shape = rewriter.shape(output)
    let channels = shape[shape.count - 1]
    let factors = affine.factors.map { Float($0) }
    let offsets = affine.offsets.map { Float($0) }
    guard (factors + offsets).allSatisfy(\.isFinite) else { return }
    let image = shape.count == 4 ? shape : [1, 1, shape.dropLast().reduce(1, *), channels]
    var input = affine.input
    var result = output
    if image != shape {
      input = rewriter.add(GraphTensor(shape: image))
      result = rewriter.add(GraphTensor(shape: image))
      rewriter.append(
        Node(
          name: "\(node.name)/image", op: .reshape(ReshapeOp(shape: image)), inputs: [affine.input], outputs: [input]))
    }
    var op = DepthwiseConv2DOp()
    op.activation = affine.activation
    let weights = rewriter.addConstant(FloatTensor(shape: [1, 1, 1, channels], values: factors))
    let bias = rewriter.addConstant(FloatTensor(shape: [channels], values: offsets))
    for member in members { rewriter.remove(member) }
    rewriter.append(
      Node(name: node.name, op: .depthwiseConv2D(op), inputs: [input, weights, bias], outputs: [result]))
    if image != shape {
      rewriter.append(
        Node(name: "\(node.name)/back", op: .reshape(ReshapeOp(shape: shape)), inputs: [result], outputs: [output]))
    }
  }
}

/// A node as factor · x + offset per channel of the last axis.
struct ChannelAffine {
  var input: TensorID
  /// One per channel.
  var factors: [Double]
  var offsets: [Double]
  var activation: FusedActivation

  /// - Returns: nil if the node is something else, or depends on more than the channel.
  init?(_ node: Node, _ rewriter: GraphRewriter) {
    guard let first = node.inputs.first, let a = first else { return nil }
    switch node.op {
    case .batchNormalization(let op):
      let constants = node.inputs.dropFirst().compactMap { rewriter.constant($0)?.values }
      guard op.axis == rewriter.shape(a).count - 1, constants.count == 4 else { return nil }
      input = a
      (factors, offsets) = op.affine(
        scale: constants[0], bias: constants[1], mean: constants[2], variance: constants[3])
      activation = .none
    case .binary(let op):
      guard node.inputs.count == 2, let b = node.inputs[1], !(rewriter.isConstant(a) && rewriter.isConstant(b)) else {
        return nil
      }
      let isReversed = rewriter.isConstant(a)
      input = isReversed ? b : a
      let shape = rewriter.shape(node.outputs[0])
      guard rewriter.shape(input) == shape, let channels = shape.last,
        let constant = rewriter.constant(isReversed ? a : b), constant.shape.count <= shape.count
      else { return nil }
      let isPerChannel = constant.values.count == channels && constant.shape.last == channels
      guard isPerChannel || constant.values.count == 1 else { return nil }
      let values = constant.values.map { Double($0) }
      let ones = [Double](repeating: 1, count: values.count)
      let zeros = [Double](repeating: 0, count: values.count)
      switch op.kind {
      case .add: (factors, offsets) = (ones, values)
      case .sub: (factors, offsets) = isReversed ? (ones.map { -$0 }, values) : (ones, values.map { -$0 })
      case .mul: (factors, offsets) = (values, zeros)
      case .div:
        if isReversed { return nil }
        (factors, offsets) = (values.map { 1 / $0 }, zeros)
      case .maximum, .minimum: return nil
      }
      if values.count == 1, channels > 1 {
        factors = [Double](repeating: factors[0], count: channels)
        offsets = [Double](repeating: offsets[0], count: channels)
      }
      activation = op.activation
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .unary, .prelu, .softmax, .logSoftmax, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize,
      .requantize, .recurrent, .svdf:
      return nil
    }
    guard (factors + offsets).allSatisfy(\.isFinite) else { return nil }
  }

  /// Whether the factors are near enough to each other that the weights behind can take them up and still be quantized with
  /// one scale per output channel.
  var isEven: Bool {
    let magnitudes = factors.map(\.magnitude)
    guard let least = magnitudes.min(), let most = magnitudes.max() else { return false }
    return least > 0 && most <= 16 * least
  }

  /// This one first, then the next.
  func followed(by next: ChannelAffine) -> ChannelAffine? {
    guard factors.count == next.factors.count else { return nil }
    var result = next
    result.input = input
    result.factors = zip(factors, next.factors).map { $0 * $1 }
    result.offsets = factors.indices.map { offsets[$0] * next.factors[$0] + next.offsets[$0] }
    return result
  }
}

extension OpKind {
  /// The axis of the weights (operand 1) that counts the channels of the result's last axis; nil for ops without weights
  /// that factors could go into.
  fileprivate var outputChannelAxisOfWeights: Int? {
    switch self {
    case .conv2D, .transposeConv2D, .fullyConnected: 0
    case .depthwiseConv2D: 3
    case .batchMatMul, .averagePool2D, .maxPool2D, .mean, .binary, .unary, .prelu, .softmax, .logSoftmax,
      .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize, .requantize, .recurrent,
      .svdf:
      nil
    }
  }
}

extension FloatTensor {
  /// The values times one factor for each index of an axis, each product rounded once.
  func scaled(along axis: Int, by factors: [Double]) -> FloatTensor {
    let inner = shape[(axis + 1)...].reduce(1, *)
    var result = self
    for index in result.values.indices {
      result.values[index] = Float(Double(values[index]) * factors[index / inner % factors.count])
    }
    return result
  }
}
