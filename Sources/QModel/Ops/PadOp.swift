/// Attributes of ``OpKind/pad(_:)``.
public struct PadOp: Sendable, Equatable {
  /// What stands in the padding.
  public enum Mode: Sendable, Equatable {
    /// One value.
    case constant(Float)
    /// Mirrors without repeating the edge.
    case reflect
    /// Mirrors with the edge repeated (TFLite SYMMETRIC).
    case symmetric
    /// The nearest element.
    case edge
  }
  /// One per axis, >= 0.
  public var before: [Int], after: [Int]
  /// What the padding holds.
  public var mode: Mode
  /// A resolved padding.
  public init(before: [Int], after: [Int], mode: Mode) {
    self.before = before
    self.after = after
    self.mode = mode
  }
}

extension PadOp: GraphOp {
  static var name: String { "Pad" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = operands[0]
    try operands.require(
      before.count == input.count && after.count == input.count,
      "paddings \(before) and \(after) do not have one entry per axis of \(input)")
    var shape = input
    for axis in input.indices {
      let limit =
        switch mode {
        case .constant, .edge: OperandShapes.attributeLimit
        case .reflect: input[axis] - 1
        case .symmetric: input[axis]
        }
      try operands.require(
        before[axis] >= 0 && before[axis] <= limit && after[axis] >= 0 && after[axis] <= limit,
        "axis \(axis) of \(input) cannot be padded by \(before[axis]) and \(after[axis]) elements")
      shape[axis] += before[axis] + after[axis]
    }
    return [try operands.result(shape)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let shape = input.shape.indices.map { before[$0] + input.shape[$0] + after[$0] }
    let steps = contiguousStrides(input.shape)
    // For each axis and output index the offset of the input element, negative in constant padding.
    let sources = shape.indices.map { axis in
      (0..<shape[axis]).map { index in
        source(index - before[axis], size: input.shape[axis]).map { $0 * steps[axis] } ?? -1
      }
    }
    let filler: Float = if case .constant(let value) = mode { value } else { 0 }
    var output = FloatTensor(shape: shape, repeating: filler)
    var position = 0
    func fill(_ axis: Int, _ offset: Int, _ isPadding: Bool) {
      if axis == shape.count {
        if !isPadding { output.values[position] = input.values[offset] }
        position += 1
        return
      }
      for source in sources[axis] { fill(axis + 1, offset + max(0, source), isPadding || source < 0) }
    }
    fill(0, 0, false)
    return [output]
  }

  /// The input index that stands at an index relative to the input, nil in constant padding.
  private func source(_ index: Int, size: Int) -> Int? {
    if index >= 0, index < size { return index }
    switch mode {
    case .constant: return nil
    case .edge: return index < 0 ? 0 : size - 1
    case .reflect: return index < 0 ? -index : 2 * size - 2 - index
    case .symmetric: return index < 0 ? -1 - index : 2 * size - 1 - index
    }
  }
}
