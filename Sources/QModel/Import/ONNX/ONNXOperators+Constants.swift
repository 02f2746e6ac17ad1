// Operators that only compute constants: what exporters leave in a file to compute shapes and to unpack weights.

extension ONNXOperator {
  private static func comparison(_ name: String, since: Int = 7, _ operation: ONNXFoldedBinary) -> ONNXOperator {
    ONNXOperator(name, since: since, inputs: 2...2) { (builder, node) throws(ModelError) in
      guard try builder.fold(node, operation) else { throw node.unsupported("its inputs are not constants") }
    }
  }

  private static func reduction(
    _ name: String, axesInputSince: Int, _ reduction: ONNXConstant.Reduction
  ) -> ONNXOperator {
    let attributes: [Attribute] = [
      .init("axes", until: axesInputSince), .init("keepdims"), .init("noop_with_empty_axes", since: axesInputSince),
    ]
    return ONNXOperator(name, inputs: 1...2, attributes) { (builder, node) throws(ModelError) in
      try builder.foldReduction(node, axesInputSince: axesInputSince, reduction)
    }
  }

  private static func rounding(_ name: String, _ rule: FloatingPointRoundingRule) -> ONNXOperator {
    ONNXOperator(name, inputs: 1...1) { (builder, node) throws(ModelError) in
      let constant = try builder.constant(node, 0, "X")
      try builder.account(for: constant.elements.count, node)
      guard let result = constant.mapFloats({ $0.rounded(rule) }) else {
        throw node.malformed("its input is of type \(constant.elementType)")
      }
      builder.setOutput(node, to: result)
    }
  }

  static let constants: [ONNXOperator] = [
    ONNXOperator(
      "Constant", inputs: 0...0,
      [
        .init("value"), .init("value_float", since: 12), .init("value_floats", since: 12),
        .init("value_int", since: 12), .init("value_ints", since: 12),
      ]
    ) { (builder, node) throws(ModelError) in try builder.importConstant(node) },
    ONNXOperator("ConstantOfShape", since: 9, inputs: 1...1, [.init("value")]) {
      (builder, node) throws(ModelError) in try builder.foldConstantOfShape(node)
    },
    ONNXOperator("Shape", inputs: 1...1, [.init("start", since: 15), .init("end", since: 15)]) {
      (builder, node) throws(ModelError) in try builder.foldShape(node)
    },
    ONNXOperator("Size", inputs: 1...1) { (builder, node) throws(ModelError) in try builder.foldSize(node) },
    ONNXOperator("Range", since: 11, inputs: 3...3, [.init("stash_type", since: 27)]) {
      (builder, node) throws(ModelError) in try builder.foldRange(node)
    },
    ONNXOperator("Where", since: 9, inputs: 3...3) { (builder, node) throws(ModelError) in
      try builder.foldWhere(node)
    },
    ONNXOperator("Not", inputs: 1...1) { (builder, node) throws(ModelError) in
      let constant = try builder.constant(node, 0, "X")
      try builder.account(for: constant.elements.count, node)
      guard constant.elementType == .bool, let result = constant.mapIntegers({ 1 - $0 }) else {
        throw node.malformed("its input is of type \(constant.elementType)")
      }
      builder.setOutput(node, to: result)
    },
    comparison("Equal", .equal),
    comparison("Less", .less),
    comparison("Greater", .greater),
    comparison("LessOrEqual", since: 12, .lessOrEqual),
    comparison("GreaterOrEqual", since: 12, .greaterOrEqual),
    comparison("And", .and),
    comparison("Or", .or),
    comparison("Xor", .xor),
    rounding("Floor", .down),
    rounding("Ceil", .up),
    rounding("Round", .toNearestOrEven),
    reduction("ReduceProd", axesInputSince: 18, .product),
    reduction("ReduceL1", axesInputSince: 18, .absoluteSum),
    reduction("ReduceL2", axesInputSince: 18, .norm),
    reduction("ReduceSumSquare", axesInputSince: 18, .squareSum),
    ONNXOperator("Mod", since: 10, inputs: 2...2, [.init("fmod")]) { (builder, node) throws(ModelError) in
      if try node.flag("fmod") { throw node.unsupported("its attribute \"fmod\" is 1") }
      guard try builder.fold(node, .modulo) else { throw node.unsupported("its inputs are not constants") }
    },
    ONNXOperator(
      "DequantizeLinear", since: 10, inputs: 2...3,
      [.init("axis", since: 13), .init("block_size", since: 21), .init("output_dtype", since: 23)]
    ) { (builder, node) throws(ModelError) in try builder.foldDequantization(node) },
  ]
}

extension ONNXGraphBuilder {
  fileprivate mutating func importConstant(_ node: ONNXNode) throws(ModelError) {
    guard node.proto.attributes.count == 1 else {
      throw node.malformed("it has \(node.proto.attributes.count) attributes, expected one")
    }
    let result: ONNXConstant
    if let tensor = try node.tensor("value") {
      result = try decoded(tensor)
    } else if node.has("value_float") {
      // Floats from attributes are checked where they are used, as those of tensors are.
      guard let value = try node.optionalFloat("value_float") else { throw node.malformed("it has no value") }
      result = ONNXConstant(elementType: .float32, shape: [], elements: .floats([value]))
    } else if let values = try node.floats("value_floats") {
      result = ONNXConstant(elementType: .float32, shape: [values.count], elements: .floats(values))
    } else if let value = try node.int64("value_int") {
      result = ONNXConstant(elementType: .int64, shape: [], elements: .integers([value]))
    } else if let values = try node.int64s("value_ints") {
      result = ONNXConstant(integers: values)
    } else {
      throw node.malformed("it has no value")
    }
    setOutput(node, to: result)
  }

  fileprivate mutating func foldConstantOfShape(_ node: ONNXNode) throws(ModelError) {
    guard let shape = try optionalIntegers(node, 0, "input"), let count = ONNXConstant.elementCount(of: shape) else {
      throw node.malformed("its input is not a shape")
    }
    var value = ONNXConstant(elementType: .float32, shape: [1], elements: .floats([0]))
    if let tensor = try node.tensor("value") { value = try decoded(tensor) }
    guard value.elements.count == 1 else { throw node.malformed("its attribute \"value\" is not one number") }
    try account(for: count, node)
    let elements: ONNXConstant.Elements
    switch value.elements {
    case .floats(let values): elements = .floats([Float](repeating: values[0], count: count))
    case .integers(let values): elements = .integers([Int64](repeating: values[0], count: count))
    }
    setOutput(node, to: ONNXConstant(elementType: value.elementType, shape: shape, elements: elements))
  }

  /// Returns the shape of a value that need not be a constant.
  private mutating func knownShape(_ node: ONNXNode, _ index: Int) throws(ModelError) -> [Int] {
    switch try value(node, index) {
    case .constant(let constant): return constant.shape
    case .tensor(let id): return shape(of: id)
    case .unknown: throw node.malformed("the shape of its input is not known")
    }
  }

  fileprivate mutating func foldShape(_ node: ONNXNode) throws(ModelError) {
    let shape = try knownShape(node, 0)
    func position(_ given: Int) -> Int { min(max(given < 0 ? given + shape.count : given, 0), shape.count) }
    let start = position(try node.int("start") ?? 0)
    let end = position(try node.int("end") ?? shape.count)
    setOutput(node, to: ONNXConstant(integers: shape[start..<max(start, end)].map { Int64($0) }))
  }

  fileprivate mutating func foldSize(_ node: ONNXNode) throws(ModelError) {
    let count = ONNXConstant.elementCount(of: try knownShape(node, 0)) ?? 0
    setOutput(node, to: ONNXConstant(elementType: .int64, shape: [], elements: .integers([Int64(count)])))
  }

  fileprivate mutating func foldRange(_ node: ONNXNode) throws(ModelError) {
    let start = try constant(node, 0, "start")
    let limit = try constant(node, 1, "limit")
    let delta = try constant(node, 2, "delta")
    let type = start.elementType
    guard [start, limit, delta].allSatisfy({ $0.elements.count == 1 && $0.elementType == type }) else {
      throw node.malformed("its inputs are not three numbers of one type")
    }
    if let first = start.integers?[0], let last = limit.integers?[0], let step = delta.integers?[0] {
      guard step != 0, step != .min else { throw node.malformed("its step is \(step)") }
      let (distance, overflow) =
        step > 0 ? last.subtractingReportingOverflow(first) : first.subtractingReportingOverflow(last)
      guard !overflow else { throw node.malformed("it goes from \(first) to \(last)") }
      let count = distance <= 0 ? 0 : Int((distance - 1) / abs(step) + 1)
      try account(for: count, node)
      // No value lies beyond `last`, so none overflows.
      let values = (0..<count).map { first + Int64($0) * step }
      return setOutput(node, to: ONNXConstant(elementType: type, shape: [count], elements: .integers(values)))
    }
    guard let first = start.floats?[0], let last = limit.floats?[0], let step = delta.floats?[0] else {
      throw node.malformed("its inputs are not numbers")
    }
    let exact = ((Double(last) - Double(first)) / Double(step)).rounded(.up)
    guard let count = Int(exactly: max(exact, 0)) else { throw node.malformed("it goes from \(first) to \(last)") }
    try account(for: count, node)
    let values = (0..<count).map { first + Float($0) * step }
    setOutput(node, to: ONNXConstant(elementType: type, shape: [count], elements: .floats(values)))
  }

  fileprivate mutating func foldWhere(_ node: ONNXNode) throws(ModelError) {
    let condition = try constant(node, 0, "condition")
    let x = try constant(node, 1, "X")
    let y = try constant(node, 2, "Y")
    guard condition.elementType == .bool, x.elementType == y.elementType,
      let both = ONNXConstant.broadcast(x.shape, y.shape), let shape = ONNXConstant.broadcast(both, condition.shape)
    else { throw node.malformed("its inputs do not fit each other") }
    let (count, overflow) = (ONNXConstant.elementCount(of: shape) ?? .max).multipliedReportingOverflow(by: 3)
    try account(for: overflow ? .max : count, node)
    guard let mask = condition.broadcast(to: shape)?.integers, let x = x.broadcast(to: shape),
      let y = y.broadcast(to: shape)
    else { throw node.malformed("its inputs do not fit each other") }
    let elements: ONNXConstant.Elements
    switch (x.elements, y.elements) {
    case (.floats(let a), .floats(let b)): elements = .floats(mask.indices.map { mask[$0] != 0 ? a[$0] : b[$0] })
    case (.integers(let a), .integers(let b)): elements = .integers(mask.indices.map { mask[$0] != 0 ? a[$0] : b[$0] })
    case (.floats, .integers), (.integers, .floats): throw node.malformed("its inputs are of different types")
    }
    setOutput(node, to: ONNXConstant(elementType: x.elementType, shape: shape, elements: elements))
  }

  fileprivate mutating func foldReduction(
    _ node: ONNXNode, axesInputSince: Int, _ reduction: ONNXConstant.Reduction
  ) throws(ModelError) {
    let constant = try constant(node, 0, "data")
    try account(for: constant.elements.count, node)
    let rank = constant.shape.count
    var axes = try axes(node, inputSince: axesInputSince) ?? []
    let keepsAll = try node.flag("noop_with_empty_axes")
    if axes.isEmpty && !keepsAll { axes = [Int](0..<rank) }
    let resolved = try Self.resolved(axes: axes, rank: rank, node)
    let keepsAxes = try node.flag("keepdims", default: true)
    guard let result = constant.reduced(axes: resolved, keepsAxes: keepsAxes, reduction) else {
      throw node.malformed("it cannot reduce a constant of type \(constant.elementType) and shape \(constant.shape)")
    }
    setOutput(node, to: result)
  }

  // MARK: DequantizeLinear

  /// (x - zero point) * scale, for the whole tensor, for each index of one axis, or for blocks along it.
  fileprivate mutating func foldDequantization(_ node: ONNXNode) throws(ModelError) {
    let quantized = try constant(node, 0, "x")
    let scale = try weights(node, 1, "x_scale")
    let zeroPoint = try optionalConstant(node, 2, "x_zero_point")
    guard let values = quantized.integers else { throw node.malformed("its input is of type \(quantized.elementType)") }
    guard scale.values.allSatisfy({ $0 > 0 }) else { throw node.malformed("a scale is not positive") }
    if let zeroPoint, zeroPoint.elementType != quantized.elementType || zeroPoint.shape != scale.shape {
      throw node.malformed("its zero point does not have the type of its input and the shape of its scale")
    }
    let shape = quantized.shape
    try account(for: values.count, node)
    let zeros = zeroPoint?.integers
    let parameter = try parameterIndex(node, shape, scale: scale)
    let floats = values.indices.map { index in
      let entry = parameter(index)
      return Float(values[index] &- (zeros?[entry] ?? 0)) * scale.values[entry]
    }
    setOutput(node, to: ONNXConstant(elementType: .float32, shape: shape, elements: .floats(floats)))
  }

  /// Returns which scale an element of a tensor of the given shape uses.
  private func parameterIndex(
    _ node: ONNXNode, _ shape: [Int], scale: (values: [Float], shape: [Int])
  ) throws(ModelError) -> (Int) -> Int {
    let blockSize = try node.int("block_size") ?? 0
    let given = try node.int("axis") ?? 1
    if blockSize == 0 && (scale.shape.isEmpty || scale.shape == [1]) { return { _ in 0 } }
    guard let axis = ONNXConstant.resolved(axis: given, rank: shape.count) else {
      throw node.malformed("it has no axis \(given)")
    }
    let size = shape[axis]
    let inner = ONNXConstant.strides(of: shape)[axis]
    if blockSize == 0 {
      guard scale.shape == [size] else {
        throw node.malformed("its scale has the shape \(scale.shape), axis \(axis) of its input the size \(size)")
      }
      return { $0 / inner % size }
    }
    guard blockSize > 0 else { throw node.malformed("its attribute \"block_size\" is \(blockSize)") }
    var expected = shape
    let blocks = size == 0 ? 0 : (size - 1) / blockSize + 1
    expected[axis] = blocks
    guard scale.shape == expected else {
      throw node.malformed("its scale has the shape \(scale.shape), expected \(expected)")
    }
    return { index in
      let outer = index / inner / max(size, 1)
      return (outer * blocks + index / inner % max(size, 1) / blockSize) * inner + index % inner
    }
  }
}
