/// Attributes of ``OpKind/transpose(_:)``.
public struct TransposeOp: Sendable, Equatable {
  /// Output axis i is input axis permutation[i].
  public var permutation: [Int]
  /// Of all axes.
  public init(permutation: [Int]) { self.permutation = permutation }
}

extension TransposeOp: GraphOp {
  static var name: String { "Transpose" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = operands[0]
    try operands.require(
      permutation.sorted() == Array(input.indices), "\(permutation) is no permutation of the axes of \(input)")
    return [permutation.map { input[$0] }]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    [transpose(inputs.operand(0))]
  }

  func transpose(_ input: FloatTensor) -> FloatTensor {
    let shape = permutation.map { input.shape[$0] }
    let steps = contiguousStrides(input.shape)
    return FloatTensor(shape: shape) { output in
      input.values.withUnsafeBufferPointer { source in
        guard let source = source.baseAddress, let target = output.baseAddress else { return }
        gather(shape, strides: permutation.map { steps[$0] }, from: source, to: target)
      }
    }
  }
}
