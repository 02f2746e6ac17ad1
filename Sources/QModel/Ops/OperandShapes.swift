/// The shapes that shape inference was given, with the checks that all ops share.
struct OperandShapes {
  /// Tensors beyond this are refused: as floats they would take a gigabyte, and index arithmetic must not overflow.
  static let elementLimit = 1 << 28
  /// Strides, paddings, window sizes beyond this are refused for the same reason.
  static let attributeLimit = 1 << 24

  let op: String
  let shapes: [[Int]?]

  /// Checks counts, ranks and sizes: the first `required` operands are there, there are at most `required + optional`, and
  /// every shape has dimensions >= 1 and no more than ``elementLimit`` elements.
  init(_ shapes: [[Int]?], op: String, required: Int, optional: Int = 0) throws(ModelError) {
    self.op = op
    self.shapes = shapes
    guard shapes.count >= required, shapes.count <= required + optional else {
      let expected = optional == 0 ? "\(required)" : "\(required) to \(required + optional)"
      throw ModelError(.mismatch, "\(op) takes \(expected) operands, not \(shapes.count)")
    }
    for index in 0..<required where shapes[index] == nil {
      throw ModelError(.mismatch, "\(op): operand \(index) is missing")
    }
    for case .some(let shape) in shapes { try check(shape) }
  }

  /// Checks any number of operands, all of them required.
  init(all shapes: [[Int]?], op: String) throws(ModelError) {
    try self.init(shapes, op: op, required: max(1, shapes.count))
  }

  /// The shape of a required operand.
  subscript(index: Int) -> [Int] { shapes[index] ?? [] }

  /// The shape of an optional operand.
  func optional(_ index: Int) -> [Int]? { index < shapes.count ? shapes[index] : nil }

  /// The shape of a required operand that has so many axes.
  func shape(_ index: Int, rank: Int, _ role: String) throws(ModelError) -> [Int] {
    try require(self[index].count == rank, "the \(role) has shape \(self[index]), expected \(rank) axes")
    return self[index]
  }

  /// Throws with the op's name before the message unless the condition holds.
  func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(ModelError) {
    guard condition else { throw ModelError(.mismatch, "\(op): \(message())") }
  }

  /// Checks a number that foreign files give against a range and ``attributeLimit``.
  func requireAttribute(_ value: Int, atLeast minimum: Int, _ name: String) throws(ModelError) {
    try require(
      value >= minimum && value <= Self.attributeLimit,
      "\(name) is \(value), expected \(minimum) to \(Self.attributeLimit)")
  }

  /// Checks an axis.
  func requireAxis(_ axis: Int, rank: Int) throws(ModelError) {
    try require(axis >= 0 && axis < rank, "axis \(axis) does not exist in \(rank) axes")
  }

  /// The result shape, checked like an operand.
  func result(_ shape: [Int]) throws(ModelError) -> [Int] {
    try check(shape)
    return shape
  }

  private func check(_ shape: [Int]) throws(ModelError) {
    guard let count = elementCount(of: shape), count <= Self.elementLimit, shape.allSatisfy({ $0 >= 1 }) else {
      throw ModelError(
        .mismatch, "\(op): shape \(shape) has an empty axis or more than \(Self.elementLimit) elements")
    }
  }
}

/// The product of the dimensions, nil if it overflows or a dimension is negative.
func elementCount(of shape: [Int]) -> Int? {
  var count = 1
  for size in shape {
    let (product, overflow) = count.multipliedReportingOverflow(by: size)
    if overflow || size < 0 { return nil }
    count = product
  }
  return count
}

/// The shape that two shapes have in common when axes of size 1 stretch, aligned from the right; nil if there is none.
func broadcastShape(_ a: [Int], _ b: [Int]) -> [Int]? {
  var result = [Int](repeating: 1, count: max(a.count, b.count))
  for index in result.indices {
    let sizeA = index < a.count ? a[a.count - 1 - index] : 1
    let sizeB = index < b.count ? b[b.count - 1 - index] : 1
    guard sizeA == sizeB || sizeA == 1 || sizeB == 1 else { return nil }
    result[result.count - 1 - index] = sizeA == 1 ? sizeB : sizeA
  }
  return result
}

/// The distance in elements between neighbours along each axis, C order.
func contiguousStrides(_ shape: [Int]) -> [Int] {
  var strides = [Int](repeating: 1, count: shape.count)
  for axis in stride(from: shape.count - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] * shape[axis + 1] }
  return strides
}

/// Strides that read `shape` as if it were broadcast to `target`, aligned from the right: 0 where an axis stretches.
func broadcastStrides(_ shape: [Int], to target: [Int]) -> [Int] {
  let own = contiguousStrides(shape)
  let offset = target.count - shape.count
  return target.indices.map { axis in
    axis < offset || shape[axis - offset] == 1 ? 0 : own[axis - offset]
  }
}

extension [FloatTensor?] {
  /// A required operand of `evaluate`.
  /// - Precondition: shape inference accepted the operands, so it is there.
  func operand(_ index: Int) -> FloatTensor {
    guard index < count, let tensor = self[index] else {
      preconditionFailure("operand \(index) is missing although its shape was accepted")
    }
    return tensor
  }

  /// An optional operand of `evaluate`.
  func optionalOperand(_ index: Int) -> FloatTensor? { index < count ? self[index] : nil }
}

extension ModelError {
  /// The same error with the node named in front of each problem.
  public func inNode(_ name: String) -> ModelError {
    var copy = self
    copy.problems = problems.map { "node '\(name)': \($0)" }
    return copy
  }
}
