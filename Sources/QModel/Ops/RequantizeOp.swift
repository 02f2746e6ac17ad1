/// ``OpKind/requantize``: a change of scale, zero point or type; in real units nothing changes.
public struct RequantizeOp: Sendable, Equatable, GraphOp {
  /// The op has no attributes: the tensors' quantizations say everything.
  public init() {}

  public static var name: String { "Requantize" }

  public func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try OperandShapes(inputs, op: Self.name, required: 1)[0]]
  }

  public func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    [inputs.operand(0)]
  }
}
