/// Attributes of ``OpKind/concatenation(_:)``.
public struct ConcatenationOp: Sendable, Equatable {
  /// The axis along which the operands follow each other.
  public var axis: Int
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// Along `axis`, non-negative.
  public init(axis: Int) { self.axis = axis }
}

extension ConcatenationOp: GraphOp {
  static var name: String { "Concatenation" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(all: inputs, op: Self.name)
    var shape = operands[0]
    try operands.requireAxis(axis, rank: shape.count)
    try activation.validate(operands)
    shape[axis] = 0
    for index in inputs.indices {
      var other = operands[index]
      try operands.require(other.count == shape.count, "operand \(index) has \(other.count) axes, not \(shape.count)")
      let size = other[axis]
      other[axis] = operands[0][axis]
      try operands.require(
        other == operands[0], "operand \(index) has shape \(operands[index]), which does not fit \(operands[0])")
      shape[axis] += size
    }
    return [try operands.result(shape)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let parts = inputs.compactMap { $0 }
    var shape = inputs.operand(0).shape
    shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    let outer = shape[..<axis].reduce(1, *)
    let output = FloatTensor(shape: shape) { output in
      guard var target = output.baseAddress else { return }
      for block in 0..<outer {
        for part in parts {
          let count = part.values.count / outer
          part.values.withUnsafeBufferPointer { source in
            guard let source = source.baseAddress else { return }
            target.update(from: source + block * count, count: count)
          }
          target += count
        }
      }
      activation.apply(to: output)
    }
    return [output]
  }
}
