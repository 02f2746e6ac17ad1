/// Attributes of ``OpKind/split(_:)``.
public struct SplitOp: Sendable, Equatable {
  /// The axis that is cut.
  public var axis: Int
  /// The sizes of the outputs along the axis; their sum is its size.
  public var sizes: [Int]
  /// Along `axis`, non-negative.
  public init(axis: Int, sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }
}

extension SplitOp: GraphOp {
  static var name: String { "Split" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = operands[0]
    try operands.requireAxis(axis, rank: input.count)
    try operands.require(
      !sizes.isEmpty && sizes.allSatisfy { $0 >= 1 && $0 <= OperandShapes.elementLimit }
        && sizes.count <= input[axis] && sizes.reduce(0, +) == input[axis],
      "sizes \(sizes) do not add up to axis \(axis) of \(input)")
    return sizes.map { size in
      var shape = input
      shape[axis] = size
      return shape
    }
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    var start = 0
    return sizes.map { size in
      var starts = [Int](repeating: 0, count: input.shape.count)
      starts[axis] = start
      start += size
      var shape = input.shape
      shape[axis] = size
      return SliceOp(starts: starts, sizes: shape, strides: shape.map { _ in 1 }).slice(input)
    }
  }
}
