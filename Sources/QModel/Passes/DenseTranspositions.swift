extension Graph {
  /// The graph with transpositions before flattening dense layers, and behind dense layers whose result is shaped to an
  /// image, folded into the order of the weights; and those of matrices folded into matrix products.
  func foldingTranspositionsIntoWeights() throws(ModelError) -> Graph {
    var rewriter = GraphRewriter(self)
    for index in nodes.indices {
      guard let node = rewriter.nodes[index] else { continue }
      switch node.op {
      case .fullyConnected: Self.foldBefore(index, node, &rewriter)
      case .transpose(let op): Self.foldBehind(index, node, op.permutation, &rewriter)
      case .batchMatMul(let op): Self.foldMatrix(index, node, op, &rewriter)
      case .conv2D, .depthwiseConv2D, .transposeConv2D, .averagePool2D, .maxPool2D, .mean, .binary, .unary, .prelu,
        .softmax, .logSoftmax, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .resize,
        .requantize,
        .recurrent, .svdf:
        break
      }
    }
    return try rewriter.finished().removingDeadNodes()
  }

  /// x → Transpose → Reshape? → dense: the columns of the weights take x's order.
  private static func foldBefore(_ index: Int, _ node: Node, _ rewriter: inout GraphRewriter) {
    guard let input = node.inputs[0], let weightsID = node.inputs[1], let weights = rewriter.constant(weightsID),
      weights.shape.count == 2
    else { return }
    var transposed = input
    if let (_, reshape) = rewriter.producer(of: input), case .reshape = reshape.op, let source = reshape.inputs[0] {
      transposed = source
    }
    guard let (_, producer) = rewriter.producer(of: transposed), case .transpose(let op) = producer.op,
      let source = producer.inputs[0]
    else { return }
    let p = op.permutation
    let shape = rewriter.shape(transposed)
    let depth = weights.shape[1]
    // The last axes of the transposed tensor that make up one row of the dense layer's input.
    var first = shape.count
    var product = 1
    while first > 0, product < depth || shape[first - 1] == 1 {
      first -= 1
      product *= shape[first]
    }
    guard product == depth else { return }
    // They must be the last ones of the source too, and the axes before them in order.
    let sourceShape = rewriter.shape(source)
    let outer = (0..<first).filter { shape[$0] != 1 }.map { p[$0] }
    let inner = (first..<shape.count).filter { shape[$0] != 1 }.map { p[$0] }
    let sourceOrder = sourceShape.indices.filter { sourceShape[$0] != 1 }
    guard outer + inner.sorted() == sourceOrder, inner != inner.sorted() else { return }
    // Weights [O, row in transposed order] -> [O, row in source order].
    let rowShape = inner.map { sourceShape[$0] }
    let order = inner.sorted()
    let back = order.map { axis in 1 + (inner.firstIndex(of: axis) ?? 0) }
    let cube = weights.reshaped(to: [weights.shape[0]] + rowShape)
    let reordered = TransposeOp(permutation: [0] + back).transpose(cube).reshaped(to: weights.shape)
    let flat = rewriter.add(GraphTensor(shape: rewriter.shape(input)))
    rewriter.append(
      Node(
        name: "\(node.name)/flattened", op: .reshape(ReshapeOp(shape: rewriter.shape(input))), inputs: [source],
        outputs: [flat]))
    var changed = node
    changed.inputs[0] = flat
    changed.inputs[1] = rewriter.addConstant(reordered, madeFrom: weightsID)
    rewriter.replace(index, with: changed)
  }

  /// dense → Reshape → Transpose: the rows of the weights take the order behind the transposition.
  private static func foldBehind(_ index: Int, _ node: Node, _ p: Permutation, _ rewriter: inout GraphRewriter) {
    guard let image = node.inputs[0], rewriter.hasSoleUse(image), let (_, reshape) = rewriter.producer(of: image),
      case .reshape = reshape.op, let vector = reshape.inputs[0], rewriter.hasSoleUse(vector),
      let (denseIndex, dense) = rewriter.producer(of: vector), case .fullyConnected = dense.op,
      let weightsID = dense.inputs[1], let weights = rewriter.constant(weightsID), weights.shape.count == 2,
      rewriter.shape(vector).reduce(1, *) == weights.shape[0]
    else { return }
    let shape = rewriter.shape(image)
    func rows(_ value: FloatTensor) -> FloatTensor {
      let tail = Array(value.shape.dropFirst())
      let cube = value.reshaped(to: shape + tail)
      let order = p + tail.indices.map { shape.count + $0 }
      return TransposeOp(permutation: order).transpose(cube).reshaped(to: value.shape)
    }
    var changed = dense
    changed.inputs[1] = rewriter.addConstant(rows(weights), madeFrom: weightsID)
    if dense.inputs.count > 2, let biasID = dense.inputs[2] {
      guard let bias = rewriter.constant(biasID) else { return }
      changed.inputs[2] = rewriter.addConstant(rows(bias), madeFrom: biasID)
    }
    // The vector in another order is another tensor.
    let reordered = rewriter.add(GraphTensor(shape: rewriter.shape(vector)))
    changed.outputs = [reordered]
    rewriter.replace(denseIndex, with: changed)
    var result = node
    result.op = .reshape(ReshapeOp(shape: rewriter.shape(node.outputs[0])))
    result.inputs = [reordered]
    rewriter.replace(index, with: result)
  }

  /// Transpositions that swap the last two axes before a matrix product.
  private static func foldMatrix(_ index: Int, _ node: Node, _ op: BatchMatMulOp, _ rewriter: inout GraphRewriter) {
    var op = op
    var changed = node
    for operand in 0..<2 {
      guard let (_, producer) = rewriter.producer(of: node.inputs[operand]),
        case .transpose(let transpose) = producer.op
      else { continue }
      let rank = transpose.permutation.count
      var swapped = Array(0..<rank)
      swapped.swapAt(rank - 2, rank - 1)
      guard transpose.permutation == swapped else { continue }
      changed.inputs[operand] = producer.inputs[0]
      if operand == 0 { op.transposeA.toggle() } else { op.transposeB.toggle() }
    }
    changed.op = .batchMatMul(op)
    if changed.inputs != node.inputs { rewriter.replace(index, with: changed) }
  }
}
