/// Permutations of axes as ``TransposeOp`` has them: axis i of the result is axis `permutation[i]` of the operand.
typealias Permutation = [Int]

extension Permutation {
  /// The permutation that undoes this one.
  var inverse: Permutation {
    var result = self
    for (index, axis) in enumerated() { result[axis] = index }
    return result
  }

  /// The one transposition that does this one first and `next` after it.
  func followed(by next: Permutation) -> Permutation { next.map { self[$0] } }

  var isIdentity: Bool { self == Array(indices) }

  /// Whether a tensor of this shape keeps its elements in their order: only axes of size 1 move.
  func isReshape(of shape: [Int]) -> Bool {
    let moving = filter { shape[$0] != 1 }
    return moving == moving.sorted()
  }

  /// A shape after the transposition.
  func applied(to shape: [Int]) -> [Int] { map { shape[$0] } }
}

extension GraphTensor {
  /// The description of the tensor before a transposition whose result this describes: the same name, other axes.
  ///
  /// - Parameter permutation: the transposition from the returned tensor to this one.
  func beforeTransposition(_ permutation: Permutation) -> GraphTensor {
    var result = self
    result.shape = permutation.inverse.applied(to: shape)
    let layout = (sourceLayout ?? Array(shape.indices)).map { permutation[$0] }
    result.sourceLayout = layout.isIdentity ? nil : layout
    result.batchAxis = batchAxis.map { permutation[$0] }
    return result
  }
}

extension GraphRewriter {
  /// The tensor transposed, with as little work as possible: a constant is transposed here, a transposition before it is
  /// merged, one that only moves axes of size 1 is a reshape, and one that is there already is used again.
  mutating func transposed(_ tensor: TensorID, by permutation: Permutation, for name: String) -> TensorID {
    var source = tensor
    var total = permutation
    if let (_, producer) = producer(of: tensor), case .transpose(let op) = producer.op, let origin = producer.inputs[0]
    {
      source = origin
      total = op.permutation.followed(by: permutation)
    }
    if total.isIdentity { return source }
    if isConstant(source), let value = constant(source) {
      return addConstant(TransposeOp(permutation: total).transpose(value), madeFrom: source)
    }
    let shape = total.applied(to: shape(source))
    let op: OpKind =
      total.isReshape(of: self.shape(source))
      ? .reshape(ReshapeOp(shape: shape)) : .transpose(TransposeOp(permutation: total))
    for user in users(of: source) { if let node = nodes[user], node.op == op { return node.outputs[0] } }
    let result = add(GraphTensor(shape: shape))
    append(Node(name: "\(name)/transposed", op: op, inputs: [source], outputs: [result]))
    return result
  }

  /// The tensor with axes of size 1 in front, up to a rank.
  mutating func padded(_ tensor: TensorID, toRank rank: Int, for name: String) -> TensorID {
    let shape = shape(tensor)
    if shape.count >= rank { return tensor }
    let wanted = [Int](repeating: 1, count: rank - shape.count) + shape
    if isConstant(tensor), let value = constant(tensor) {
      return addConstant(value.reshaped(to: wanted), madeFrom: tensor)
    }
    let result = add(GraphTensor(shape: wanted))
    append(
      Node(name: "\(name)/rank", op: .reshape(ReshapeOp(shape: wanted)), inputs: [tensor], outputs: [result]))
    return result
  }

  /// The elements that a transposition moves: none if it can become the layout of a model input or output.
  func transpositionWeight(_ index: Int) -> Int {
    guard let node = nodes[index], let source = node.inputs[0] else { return 0 }
    let result = node.outputs[0]
    if inputs.contains(source), hasSoleUse(source), !isOutput(result) { return 0 }
    if isOutput(result), users(of: result).isEmpty, producer(of: source) != nil, !isOutput(source) { return 0 }
    return shape(result).reduce(1, *)
  }

  /// The elements that all transpositions move.
  var transpositionWeight: Int {
    nodes.indices.reduce(0) { sum, index in
      if case .transpose? = nodes[index]?.op { sum + transpositionWeight(index) } else { sum }
    }
  }

  /// How many elements more are moved when some users of a tensor get it transposed; negative if fewer.
  ///
  /// - Parameter isKept: others go on using the tensor as it is.
  func transpositionCost(_ tensor: TensorID, by permutation: Permutation, isKept: Bool) -> Int {
    if isConstant(tensor) { return 0 }
    let count = shape(tensor).reduce(1, *)
    guard let (index, producer) = producer(of: tensor), case .transpose(let op) = producer.op,
      let origin = producer.inputs[0]
    else {
      if permutation.isReshape(of: shape(tensor)) { return 0 }
      // The transposition of a model input that is used no other way becomes the input's layout.
      return inputs.contains(tensor) && !isKept && !isOutput(tensor) ? 0 : count
    }
    let weight = transpositionWeight(index)
    let isGone = op.permutation.followed(by: permutation).isReshape(of: shape(origin))
    if isKept { return (isGone ? 0 : count) + (weight == 0 ? count : 0) }
    return isGone || weight == 0 ? -weight : count - weight
  }
}
