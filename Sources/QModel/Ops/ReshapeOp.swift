/// Attributes of ``OpKind/reshape(_:)``.
public struct ReshapeOp: Sendable, Equatable {
  /// The result's shape.
  public var shape: [Int]
  /// The resolved shape, batch axis 1.
  public init(shape: [Int]) { self.shape = shape }
}

extension ReshapeOp: GraphOp {
  static var name: String { "Reshape" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let result = try operands.result(shape)
    try operands.require(
      elementCount(of: operands[0]) == elementCount(of: result), "\(operands[0]) does not have the size of \(result)")
    return [result]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    [inputs.operand(0).reshaped(to: shape)]
  }
}
