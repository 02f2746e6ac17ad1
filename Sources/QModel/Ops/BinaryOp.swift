/// Attributes of ``OpKind/binary(_:)``.
public struct BinaryOp: Sendable, Equatable {
  /// What is computed of a and b. A division's b is constant.
  public enum Kind: String, Sendable, Equatable { case add, sub, mul, div, maximum, minimum }
  /// The function.
  public var kind: Kind
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// The operation without activation.
  public init(_ kind: Kind) { self.kind = kind }
}

extension BinaryOp: GraphOp {
  static var name: String { "Binary" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: kind.rawValue, required: 2)
    try activation.validate(operands)
    guard let shape = broadcastShape(operands[0], operands[1]) else {
      throw ModelError(.mismatch, "\(kind.rawValue): the shapes \(operands[0]) and \(operands[1]) do not broadcast")
    }
    return [try operands.result(shape)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let a = inputs.operand(0)
    let b = inputs.operand(1)
    let output =
      switch kind {
      case .add: Self.combine(a, b, activation) { $0 + $1 }
      case .sub: Self.combine(a, b, activation) { $0 - $1 }
      case .mul: Self.combine(a, b, activation) { $0 * $1 }
      case .div: Self.combine(a, b, activation) { $0 / $1 }
      case .maximum: Self.combine(a, b, activation) { $0 < $1 ? $1 : $0 }
      case .minimum: Self.combine(a, b, activation) { $1 < $0 ? $1 : $0 }
      }
    return [output]
  }

  /// The function of two values, without activation.
  func value(_ a: Double, _ b: Double) -> Double {
    switch kind {
    case .add: a + b
    case .sub: a - b
    case .mul: a * b
    case .div: a / b
    case .maximum: a < b ? b : a
    case .minimum: b < a ? b : a
    }
  }

  @inline(__always)
  private static func combine(
    _ a: FloatTensor, _ b: FloatTensor, _ activation: FusedActivation, _ function: (Float, Float) -> Float
  ) -> FloatTensor {
    let shape = broadcastShape(a.shape, b.shape) ?? a.shape
    let left = a.values.count == 1 ? a.values : expanded(a, to: shape)
    let right = b.values.count == 1 ? b.values : expanded(b, to: shape)
    return FloatTensor(shape: shape) { output in
      left.withUnsafeBufferPointer { left in
        right.withUnsafeBufferPointer { right in
          if right.count == 1 {
            let value = right[0]
            for index in output.indices { output[index] = function(left[index], value) }
          } else if left.count == 1 {
            let value = left[0]
            for index in output.indices { output[index] = function(value, right[index]) }
          } else {
            for index in output.indices { output[index] = function(left[index], right[index]) }
          }
        }
      }
      activation.apply(to: output)
    }
  }

  /// The values of a tensor broadcast to a shape.
  static func expanded(_ tensor: FloatTensor, to shape: [Int]) -> [Float] {
    if tensor.values.count == shape.reduce(1, *) { return tensor.values }
    return FloatTensor(shape: shape) { output in
      tensor.values.withUnsafeBufferPointer { source in
        guard let source = source.baseAddress, let target = output.baseAddress else { return }
        gather(shape, strides: broadcastStrides(tensor.shape, to: shape), from: source, to: target)
      }
    }.values
  }
}
