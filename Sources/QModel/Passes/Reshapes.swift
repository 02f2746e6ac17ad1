extension Graph {
  /// The graph with reshapes of reshapes made one.
  func mergingReshapes() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard var node = rewriter.nodes[index], case .reshape = node.op,
        let (_, producer) = rewriter.producer(of: node.inputs[0]), case .reshape = producer.op
      else { continue }
      node.inputs = producer.inputs
      rewriter.replace(index, with: node)
    }
    return try rewriter.finished().removingDeadNodes()
  }

  /// The graph with reshapes moved behind ops that do not mind, so that a convolution and what can be folded into it stand
  /// next to each other even where the source model put axes of size 1 in between.
  ///
  /// A function of single values passes any reshape; per-channel ops pass if the last axis stays; paddings, slices,
  /// concatenations and means pass if only axes of size 1 come or go.
  func sinkingReshapes() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index], node.outputs.count == 1,
        let rule = ReshapeRule(node, rewriter)
      else { continue }
      let output = node.outputs[0]
      let inner = rewriter.add(GraphTensor(shape: rule.resultShape))
      rewriter.replace(
        index, with: Node(name: node.name, op: rule.op, inputs: rule.inputs(&rewriter), outputs: [inner]))
      rewriter.append(
        Node(
          name: "\(node.name)/reshaped", op: .reshape(ReshapeOp(shape: rewriter.shape(output))), inputs: [inner],
          outputs: [output]))
    }
    return try rewriter.finished().removingDeadNodes()
  }
}

/// How an op runs on operands before their reshape.
private struct ReshapeRule {
  var op: OpKind
  var resultShape: [Int]
  private var operands: [Operand]

  private enum Operand {
    case same(TensorID?)
    case constant(FloatTensor, from: TensorID)
  }

  /// The node's operands, constants reshaped.
  func inputs(_ rewriter: inout GraphRewriter) -> [TensorID?] {
    var inputs: [TensorID?] = []
    for operand in operands {
      switch operand {
      case .same(let tensor): inputs.append(tensor)
      case .constant(let value, let source): inputs.append(rewriter.addConstant(value, madeFrom: source))
      }
    }
    return inputs
  }

  /// - Returns: nil unless the node has a reshaped operand that only it uses, and can do without.
  init?(_ node: Node, _ rewriter: GraphRewriter) {
    // The activations of the node, which must all be reshaped the same way.
    let main = node.inputs.firstIndex { Self.source(of: $0, rewriter) != nil }
    guard let main, let source = Self.source(of: node.inputs[main], rewriter), let reshaped = node.inputs[main] else {
      return nil
    }
    let before = rewriter.shape(source)
    let after = rewriter.shape(reshaped)
    let output = rewriter.shape(node.outputs[0])
    let keepsLast = before.last == after.last && before.count >= 1
    operands = [.same(source)] + node.inputs.dropFirst().map { .same($0) }
    resultShape = before
    op = node.op
    switch node.op {
    case .unary, .requantize: break
    case .softmax(var softmax):
      guard keepsLast, softmax.axis == after.count - 1 else { return nil }
      softmax.axis = before.count - 1
      op = .softmax(softmax)
    case .logSoftmax(var softmax):
      guard keepsLast, softmax.axis == after.count - 1 else { return nil }
      softmax.axis = before.count - 1
      op = .logSoftmax(softmax)
    case .batchNormalization(var normalization):
      guard main == 0, keepsLast, normalization.axis == after.count - 1 else { return nil }
      normalization.axis = before.count - 1
      op = .batchNormalization(normalization)
    case .binary, .prelu:
      guard output == after, node.inputs.count == 2 else { return nil }
      operands = []
      for operand in node.inputs {
        guard let tensor = operand else { return nil }
        if let source = Self.source(of: tensor, rewriter) {
          guard rewriter.shape(source) == before else { return nil }
          operands.append(.same(source))
        } else if let value = rewriter.constant(tensor), let flat = Self.perChannel(value, after),
          keepsLast || flat.shape == []
        {
          operands.append(.constant(flat, from: tensor))
        } else {
          return nil
        }
      }
    case .concatenation(var concatenation):
      guard let axes = Self.axisMap(before, after), let axis = axes[concatenation.axis] else { return nil }
      operands = []
      for operand in node.inputs {
        guard let source = Self.source(of: operand, rewriter), let tensor = operand,
          Self.axisMap(rewriter.shape(source), rewriter.shape(tensor)) == axes,
          rewriter.shape(source).count == before.count
        else { return nil }
        operands.append(.same(source))
      }
      resultShape[axis] = output[concatenation.axis]
      concatenation.axis = axis
      op = .concatenation(concatenation)
    case .pad(let pad):
      guard let axes = Self.axisMap(before, after) else { return nil }
      var (first, last) = (before.map { _ in 0 }, before.map { _ in 0 })
      for (index, axis) in axes.enumerated() {
        guard let axis else {
          if pad.before[index] != 0 || pad.after[index] != 0 { return nil }
          continue
        }
        first[axis] = pad.before[index]
        last[axis] = pad.after[index]
        resultShape[axis] = output[index]
      }
      op = .pad(PadOp(before: first, after: last, mode: pad.mode))
    case .slice(let slice):
      guard let axes = Self.axisMap(before, after) else { return nil }
      var result = SliceOp(starts: before.map { _ in 0 }, sizes: before, strides: before.map { _ in 1 })
      for (index, axis) in axes.enumerated() {
        guard let axis else { continue }
        result.starts[axis] = slice.starts[index]
        result.sizes[axis] = slice.sizes[index]
        result.strides[axis] = slice.strides[index]
      }
      resultShape = result.sizes
      op = .slice(result)
    case .mean(var mean):
      guard let axes = Self.axisMap(before, after) else { return nil }
      mean.axes = mean.axes.compactMap { axes[$0] }.sorted()
      mean.keepDimensions = true
      for axis in mean.axes { resultShape[axis] = 1 }
      op = .mean(mean)
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .split,
      .reshape, .transpose, .resize, .recurrent, .svdf:
      return nil
    }
  }

  /// What a reshape that only one operand uses is made of.
  private static func source(of tensor: TensorID?, _ rewriter: GraphRewriter) -> TensorID? {
    guard let tensor, rewriter.hasSoleUse(tensor), let (_, producer) = rewriter.producer(of: tensor),
      case .reshape = producer.op
    else { return nil }
    return producer.inputs[0]
  }

  /// A constant operand as one value or one value per index of the last axis; nil if it varies along others.
  private static func perChannel(_ value: FloatTensor, _ shape: [Int]) -> FloatTensor? {
    if value.values.count == 1 { return value.reshaped(to: []) }
    guard value.values.count == value.shape.last, value.shape.last == shape.last else { return nil }
    return value.reshaped(to: [value.values.count])
  }

  /// For each axis of the reshaped tensor the axis it was before; nil for axes of size 1 that came from nowhere. Nil if more
  /// than axes of size 1 changed.
  static func axisMap(_ before: [Int], _ after: [Int]) -> [Int?]? {
    let kept = before.indices.filter { before[$0] != 1 }
    guard kept.map({ before[$0] }) == after.filter({ $0 != 1 }) else { return nil }
    var next = 0
    return after.map { size in
      if size == 1 { return nil }
      next += 1
      return kept[next - 1]
    }
  }
}
