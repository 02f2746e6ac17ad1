/// ``OpKind/requantize``: a change of scale, zero point or type; in real units nothing changes.
struct RequantizeOp: Sendable, Equatable, GraphOp {
  static var name: String { "Requantize" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try OperandShapes(inputs, op: Self.name, required: 1)[0]]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    [inputs.operand(0)]
  }
}
