/// ``OpKind/prelu``: slope · x below 0, x elsewhere.
struct PReluOp: Sendable, Equatable, GraphOp {
  static var name: String { "PRelu" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 2)
    try operands.require(
      broadcastShape(operands[0], operands[1]) == operands[0],
      "the slope's shape \(operands[1]) does not broadcast to the input's \(operands[0])")
    return [operands[0]]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let slope = BinaryOp.expanded(inputs.operand(1), to: input.shape)
    var output = input
    for index in output.values.indices where output.values[index] < 0 { output.values[index] *= slope[index] }
    return [output]
  }
}
