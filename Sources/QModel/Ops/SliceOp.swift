/// Attributes of ``OpKind/slice(_:)``: output index i of axis a is input index starts[a] + i·strides[a].
public struct SliceOp: Sendable, Equatable {
  /// One per axis, inside the input.
  public var starts: [Int]
  /// Output sizes, one per axis, >= 1.
  public var sizes: [Int]
  /// Not 0; may be negative.
  public var strides: [Int]
  /// A resolved slice.
  public init(starts: [Int], sizes: [Int], strides: [Int]) {
    self.starts = starts
    self.sizes = sizes
    self.strides = strides
  }
}

extension SliceOp: GraphOp {
  static var name: String { "Slice" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = operands[0]
    try operands.require(
      starts.count == input.count && sizes.count == input.count && strides.count == input.count,
      "starts \(starts), sizes \(sizes) and strides \(strides) do not have one entry per axis of \(input)")
    for axis in input.indices {
      // A size from 1 to the input's, so that subtracting is safe; the product may still overflow.
      let steps = sizes[axis] >= 1 && sizes[axis] <= input[axis] ? sizes[axis] - 1 : -1
      let (reach, overflow) = steps.multipliedReportingOverflow(by: strides[axis])
      let isSound =
        starts[axis] >= 0 && starts[axis] < input[axis] && steps >= 0 && strides[axis] != 0 && !overflow
        && reach.magnitude <= UInt(input[axis])
      let last = isSound ? starts[axis] + reach : -1
      try operands.require(
        last >= 0 && last < input[axis],
        "axis \(axis): \(sizes[axis]) elements from \(starts[axis]) by \(strides[axis]) leave the input \(input)")
    }
    return [try operands.result(sizes)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    [slice(inputs.operand(0))]
  }

  func slice(_ input: FloatTensor) -> FloatTensor {
    let steps = contiguousStrides(input.shape)
    let offset = zip(starts, steps).reduce(0) { $0 + $1.0 * $1.1 }
    return FloatTensor(shape: sizes) { output in
      input.values.withUnsafeBufferPointer { source in
        guard let source = source.baseAddress, let target = output.baseAddress else { return }
        gather(
          sizes, strides: sizes.indices.map { sizes[$0] == 1 ? 0 : steps[$0] * strides[$0] }, from: source + offset,
          to: target)
      }
    }
  }
}
