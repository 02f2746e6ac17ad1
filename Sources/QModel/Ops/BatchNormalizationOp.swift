/// Attributes of ``OpKind/batchNormalization(_:)``: (x − mean) / sqrt(variance + epsilon) · scale + bias.
public struct BatchNormalizationOp: Sendable, Equatable {
  /// The axis of the channels, non-negative.
  public var axis: Int
  /// Added to the variance.
  public var epsilon: Float
  /// Along `axis`.
  public init(axis: Int, epsilon: Float) {
    self.axis = axis
    self.epsilon = epsilon
  }
}

extension BatchNormalizationOp: GraphOp {
  static var name: String { "BatchNormalization" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 5)
    let input = operands[0]
    try operands.requireAxis(axis, rank: input.count)
    for (index, role) in ["scale", "bias", "mean", "variance"].enumerated() {
      try operands.require(
        operands[index + 1] == [input[axis]], "the \(role) has shape \(operands[index + 1]), expected [\(input[axis])]")
    }
    return [input]
  }

  /// The op as factor · x + offset per channel, in Double.
  func affine(
    scale: [Float], bias: [Float], mean: [Float], variance: [Float]
  ) -> (factors: [Double], offsets: [Double]) {
    let factors = zip(scale, variance).map { Double($0) / (Double($1) + Double(epsilon)).squareRoot() }
    let offsets = bias.indices.map { Double(bias[$0]) - Double(mean[$0]) * factors[$0] }
    return (factors, offsets)
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let (factors, offsets) = affine(
      scale: inputs.operand(1).values, bias: inputs.operand(2).values, mean: inputs.operand(3).values,
      variance: inputs.operand(4).values)
    let inner = input.shape[(axis + 1)...].reduce(1, *)
    var output = input
    for index in output.values.indices {
      let channel = index / inner % factors.count
      output.values[index] = Float(Double(output.values[index]) * factors[channel] + offsets[channel])
    }
    return [output]
  }
}
