// Arithmetic on shapes: files with a free batch axis compute the shapes of reshapes at run time. Here all shapes are known,
// so such operators become constants.
extension TFLiteGraphBuilder {
  /// Enough for any arithmetic on shapes; keeps the time bounded for files that build up large constants.
  private static let foldingLimit = 4_096

  /// A small constant of integers.
  private struct Integers {
    var values: [Int]
    var shape: [Int]
  }

  /// Computes the operator now if it works on known integers only; whether it did.
  mutating func foldIntegers(_ code: TFLiteBuiltinOperator, _ op: Operator) throws(TFLiteProblem) -> Bool {
    switch code {
    case .shape:
      let source = try requiredIndex(op, 0)
      let shape = graph.tensors[source].shape
      if availability[source] == .failed { throw .consequence }
      if modelInputs.contains(source) { shapeInputs.insert(source) }
      try setFolded(op, Integers(values: shape, shape: [shape.count]))
      return true
    case .stridedSlice, .slice, .pack, .concatenation, .reshape, .squeeze, .expandDims, .cast, .add, .sub, .mul,
      .maximum, .minimum, .gather, .reduceProd:
      guard let operands = try knownIntegers(op), let result = try folded(code, op, operands) else { return false }
      try setFolded(op, result)
      return true
    default:
      return false
    }
  }

  /// All operands, if they are known integers without a quantization.
  private mutating func knownIntegers(_ op: Operator) throws(TFLiteProblem) -> [Integers]? {
    var operands: [Integers] = []
    for position in op.record.inputs.indices {
      guard let index = try inputIndex(op, position) else { return nil }
      let tensor = model.tensors[index]
      guard tensor.elementType == .int32 || tensor.elementType == .int64,
        tensor.quantization?.scales.isEmpty ?? true
      else { return nil }
      guard try isKnown(index) else { return nil }
      try decodeConstant(index)
      guard let values = graph.tensors[index].data?.integers, values.count <= Self.foldingLimit else { return nil }
      operands.append(Integers(values: values, shape: graph.tensors[index].shape))
    }
    return operands.isEmpty ? nil : operands
  }

  /// Stores a result as a constant.
  private mutating func setFolded(_ op: Operator, _ result: Integers) throws(TFLiteProblem) {
    guard result.values.count <= Self.foldingLimit else {
      throw .unsupported("arithmetic on more than \(Self.foldingLimit) integers is not supported")
    }
    let output = try outputIndex(op, 0)
    graph.tensors[output].shape = result.shape
    switch model.tensors[output].elementType {
    case .int32:
      graph.tensors[output].data = .int32(result.values.map { Int32(clamping: $0) })
    case .int64:
      graph.tensors[output].data = .int64(result.values.map { Int64($0) })
    default:
      throw .unsupported("\(label(output)) is \(typeName(output)), supported for shapes is int32 and int64")
    }
    availability[output] = .ready
  }

  /// The result, or nil when the operator cannot be folded with these operands.
  private func folded(
    _ code: TFLiteBuiltinOperator, _ op: Operator, _ operands: [Integers]
  ) throws(TFLiteProblem) -> Integers? {
    let first = operands[0]
    switch (code, op.record.options) {
    case (.cast, _), (.squeeze, _):
      return Integers(values: first.values, shape: code == .cast ? first.shape : [first.values.count])
    case (.expandDims, _):
      return Integers(values: first.values, shape: [1] + first.shape)
    case (.reshape, _):
      return Integers(values: first.values, shape: [first.values.count])
    case (.concatenation, _), (.pack, _):
      guard operands.allSatisfy({ $0.shape.count <= 1 }) else { return nil }
      let values = operands.flatMap(\.values)
      return Integers(values: values, shape: [values.count])
    case (.add, _):
      return elementwise(operands) { $0.addingReportingOverflow($1) }
    case (.sub, _):
      return elementwise(operands) { $0.subtractingReportingOverflow($1) }
    case (.mul, _):
      return elementwise(operands) { $0.multipliedReportingOverflow(by: $1) }
    case (.maximum, _):
      return elementwise(operands) { (max($0, $1), false) }
    case (.minimum, _):
      return elementwise(operands) { (min($0, $1), false) }
    case (.reduceProd, _):
      guard first.shape.count <= 1 else { return nil }
      return Integers(values: [Self.product(first.values)], shape: [])
    case (.gather, .gather(let axis, let batch)):
      guard operands.count == 2, axis == 0, batch == 0, first.shape.count == 1 else { return nil }
      guard operands[1].values.allSatisfy({ first.values.indices.contains($0) }) else {
        throw .malformed("the indices \(operands[1].values) do not exist among \(first.values.count) values")
      }
      return Integers(values: operands[1].values.map { first.values[$0] }, shape: operands[1].shape)
    case (.slice, _):
      guard operands.count == 3, first.shape.count == 1, let begin = operands[1].values.first,
        let size = operands[2].values.first
      else { return nil }
      guard begin >= 0, begin <= first.values.count, size >= -1, size <= first.values.count - begin else {
        throw .malformed("begin \(begin) and size \(size) leave \(first.values.count) values")
      }
      let values = first.values[begin...].prefix(size == -1 ? first.values.count : size)
      return Integers(values: Array(values), shape: [values.count])
    case (.stridedSlice, .stridedSlice(let options)):
      guard operands.count == 4, first.shape.count == 1 else { return nil }
      let slice = try TFLiteStridedSlice(
        shape: first.shape, begin: operands[1].values, end: operands[2].values, strides: operands[3].values,
        options: options)
      let values = (0..<slice.sizes[0]).map { first.values[slice.starts[0] + $0 * slice.strides[0]] }
      return Integers(values: values, shape: slice.shape)
    default:
      return nil
    }
  }

  /// One operation on two operands of one shape, or of which one is a single value.
  private func elementwise(
    _ operands: [Integers], _ combine: (Int, Int) -> (partialValue: Int, overflow: Bool)
  ) -> Integers? {
    guard operands.count == 2 else { return nil }
    let (a, b) = (operands[0], operands[1])
    guard a.shape == b.shape || a.values.count == 1 || b.values.count == 1 else { return nil }
    var values: [Int] = []
    let count = a.values.isEmpty || b.values.isEmpty ? 0 : max(a.values.count, b.values.count)
    for index in 0..<count {
      let result = combine(a.values[a.values.count == 1 ? 0 : index], b.values[b.values.count == 1 ? 0 : index])
      if result.overflow { return nil }
      values.append(result.partialValue)
    }
    return Integers(values: values, shape: a.values.count >= b.values.count ? a.shape : b.shape)
  }
}
