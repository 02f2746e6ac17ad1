/// Attributes of ``OpKind/mean(_:)``.
public struct ReduceOp: Sendable, Equatable {
  /// Non-negative, ascending, distinct.
  public var axes: [Int]
  /// Reduced axes stay with size 1; otherwise they go.
  public var keepDimensions: Bool
  /// Reduces `axes`.
  public init(axes: [Int], keepDimensions: Bool) {
    self.axes = axes
    self.keepDimensions = keepDimensions
  }
}

extension ReduceOp: GraphOp {
  static var name: String { "Mean" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = operands[0]
    for (index, axis) in axes.enumerated() {
      try operands.requireAxis(axis, rank: input.count)
      try operands.require(index == 0 || axes[index - 1] < axis, "the axes \(axes) are not ascending")
    }
    return [try operands.result(reducedShape(input))]
  }

  private func reducedShape(_ input: [Int]) -> [Int] {
    input.enumerated().compactMap { axis, size in
      axes.contains(axis) ? (keepDimensions ? 1 : nil) : size
    }
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let shape = input.shape
    // Where an element is added: the strides of the result, 0 along reduced axes.
    let kept = shape.enumerated().map { axes.contains($0.offset) ? 1 : $0.element }
    let strides = broadcastStrides(kept, to: shape)
    var sums = [Double](repeating: 0, count: kept.reduce(1, *))
    let inner = shape.last ?? 1
    let innerStride = strides.last ?? 1
    let outer = shape.isEmpty ? 1 : input.values.count / inner
    var index = [Int](repeating: 0, count: max(0, shape.count - 1))
    var position = 0
    sums.withUnsafeMutableBufferPointer { sums in
      input.values.withUnsafeBufferPointer { values in
        for row in 0..<outer {
          let start = row &* inner
          if innerStride == 0 {
            var sum = 0.0
            for element in 0..<inner { sum += Double(values[start &+ element]) }
            sums[position] += sum
          } else {
            for element in 0..<inner { sums[position &+ element] += Double(values[start &+ element]) }
          }
          var axis = index.count - 1
          while axis >= 0 {
            index[axis] &+= 1
            position &+= strides[axis]
            if index[axis] < shape[axis] { break }
            position &-= strides[axis] &* shape[axis]
            index[axis] = 0
            axis -= 1
          }
        }
      }
    }
    let count = Double(input.values.count / max(1, sums.count))
    return [FloatTensor(shape: reducedShape(shape), values: sums.map { Float($0 / count) })]
  }
}
