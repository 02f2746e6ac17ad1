/// Attributes of ``OpKind/fullyConnected(_:)``.
public struct FullyConnectedOp: Sendable, Equatable {
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// Keep the input's leading axes; otherwise the output is [rows, O].
  public var keepDimensions = true
  /// No activation.
  public init() {}
}

extension FullyConnectedOp: GraphOp {
  static var name: String { "FullyConnected" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 2, optional: 1)
    let input = operands[0]
    let weights = try operands.shape(1, rank: 2, "weights tensor")
    if let bias = operands.optional(2) {
      try operands.require(bias == [weights[0]], "the bias has shape \(bias), expected [\(weights[0])]")
    }
    try activation.validate(operands)
    if keepDimensions {
      try operands.require(input.last == weights[1], "weights \(weights) do not fit input \(input)")
      return [try operands.result(input.dropLast() + [weights[0]])]
    }
    let count = input.reduce(1, *)
    try operands.require(count % weights[1] == 0, "weights \(weights) do not fit input \(input)")
    return [try operands.result([count / weights[1], weights[0]])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let weights = inputs.operand(1)
    let bias = inputs.optionalOperand(2)?.values
    let outputs = weights.shape[0]
    let depth = weights.shape[1]
    let count = input.values.count / depth
    let shape = keepDimensions ? input.shape.dropLast() + [outputs] : [count, outputs]
    let output = FloatTensor(shape: shape) { output in
      input.values.withUnsafeBufferPointer { source in
        weights.values.withUnsafeBufferPointer { weights in
          guard let source = source.baseAddress, let weights = weights.baseAddress, let target = output.baseAddress
          else { return }
          if count >= 8 {
            let packed = PackedWeights(rows: weights, columns: outputs, depth: depth)
            withBias(bias, from: 0) { bias in
              multiply(
                rows: source, count: count, rowStride: depth, weights: packed, bias: bias, output: target,
                outputStride: outputs)
            }
          } else {
            for row in 0..<count {
              for column in 0..<outputs {
                let sum = dotProduct(source + row &* depth, weights + column &* depth, count: depth)
                target[row &* outputs &+ column] = sum + (bias.map { $0[column] } ?? 0)
              }
            }
          }
        }
      }
      activation.apply(to: output)
    }
    return [output]
  }
}
