// Operators that give elements another shape, order or type. On constants they are computed at import.

extension ONNXOperator {
  static let shapes: [ONNXOperator] = [
    ONNXOperator("Identity", inputs: 1...1) {
      (builder, node) throws(ModelError) in try builder.importIdentity(node)
    },
    ONNXOperator("Dropout", inputs: 1...3, outputs: 1...2, [.init("ratio", until: 12), .init("seed", since: 12)]) {
      (builder, node) throws(ModelError) in try builder.importDropout(node)
    },
    ONNXOperator("Cast", inputs: 1...1, [.init("to"), .init("saturate", since: 19), .init("round_mode", since: 24)]) {
      (builder, node) throws(ModelError) in try builder.importCast(node)
    },
    ONNXOperator("Reshape", inputs: 2...2, [.init("allowzero", since: 14)]) {
      (builder, node) throws(ModelError) in try builder.importReshape(node)
    },
    ONNXOperator("Flatten", inputs: 1...1, [.init("axis")]) {
      (builder, node) throws(ModelError) in try builder.importFlatten(node)
    },
    ONNXOperator("Squeeze", inputs: 1...2, [.init("axes", until: 13)]) {
      (builder, node) throws(ModelError) in try builder.importSqueeze(node)
    },
    ONNXOperator("Unsqueeze", inputs: 1...2, [.init("axes", until: 13)]) {
      (builder, node) throws(ModelError) in try builder.importUnsqueeze(node)
    },
    ONNXOperator("Transpose", inputs: 1...1, [.init("perm")]) {
      (builder, node) throws(ModelError) in try builder.importTranspose(node)
    },
  ]
}

extension ONNXGraphBuilder {
  // MARK: Same elements, same shape

  fileprivate mutating func importIdentity(_ node: ONNXNode) throws(ModelError) {
    alias(node, to: try value(node, 0))
  }

  /// Makes the first output another name of a value.
  mutating func alias(_ node: ONNXNode, to value: Value) {
    switch value {
    case .constant(let constant): setOutput(node, to: constant)
    case .tensor(let id): setOutput(node, to: id)
    case .unknown: break
    }
  }

  /// Inference keeps everything: the output is the input and the mask, if wanted, is all true.
  fileprivate mutating func importDropout(_ node: ONNXNode) throws(ModelError) {
    if node.opset < 12 && node.proto.inputs.count > 1 { throw node.malformed("it has more than one input") }
    if let training = try optionalScalar(node, 2, "training_mode"), training != 0 {
      guard try optionalScalar(node, 1, "ratio") == 0 else { throw node.unsupported("it is in training mode") }
    }
    let data = try value(node, 0)
    alias(node, to: data)
    guard node.output(1) != nil else { return }
    let shape: [Int]
    switch data {
    case .constant(let constant): shape = constant.shape
    case .tensor(let id): shape = self.shape(of: id)
    case .unknown: return
    }
    let count = ONNXConstant.elementCount(of: shape) ?? .max
    try account(for: count, node)
    let mask = ONNXConstant(
      elementType: .bool, shape: shape, elements: .integers([Int64](repeating: 1, count: count)))
    setOutput(node, 1, to: mask)
  }

  /// Between floating-point types nothing happens: the graph holds all of them as float32.
  fileprivate mutating func importCast(_ node: ONNXNode) throws(ModelError) {
    guard let code = try node.int("to") else { throw node.malformed("its attribute \"to\" is missing") }
    guard let type = ONNXElementType(rawValue: Int32(clamping: code)), type.bitWidth != nil else {
      throw node.unsupported("the type \(ONNXElementType.name(ofCode: Int32(clamping: code))) is not supported")
    }
    switch try value(node, 0) {
    case .constant(let constant):
      try account(for: constant.elements.count, node)
      guard let result = constant.cast(to: type) else { throw node.malformed("a value does not fit the type \(type)") }
      setOutput(node, to: result)
    case .tensor(let id):
      guard type.isFloatingPoint else { throw node.unsupported("it casts an activation to \(type)") }
      guard integerType(of: id) != nil else { return setOutput(node, to: id) }
      // An integer input's values are floats in the graph already; the copy is what may be calculated with.
      let shape = shape(of: id)
      let floats = try add(.reshape(ReshapeOp(shape: shape)), [id], shape: shape, for: node)
      setFloat(floats)
      setOutput(node, to: floats)
    case .unknown: break
    }
  }

  // MARK: Same elements, another shape

  /// Gives the first input another shape; fails if the number of elements differs.
  private mutating func reshape(_ node: ONNXNode, _ shape: ([Int]) throws(ModelError) -> [Int]) throws(ModelError) {
    switch try value(node, 0) {
    case .constant(let constant):
      guard let result = constant.reshaped(to: try shape(constant.shape)) else {
        throw node.malformed("the shape \(constant.shape) cannot become \(try shape(constant.shape))")
      }
      setOutput(node, to: result)
    case .tensor(let id):
      let source = self.shape(of: id)
      let target = try shape(source)
      guard ONNXConstant.elementCount(of: source) == ONNXConstant.elementCount(of: target) else {
        throw node.malformed("the shape \(source) cannot become \(target)")
      }
      if source == target { return setOutput(node, to: id) }
      let input = try tensor(node, 0, allowsIntegers: true)
      setOutput(node, to: try add(.reshape(ReshapeOp(shape: target)), [input], shape: target, for: node))
    case .unknown: break
    }
  }

  fileprivate mutating func importReshape(_ node: ONNXNode) throws(ModelError) {
    guard let wanted = try optionalIntegers(node, 1, "shape") else { throw node.malformed("it has no shape") }
    let allowsZero = try node.flag("allowzero")
    try reshape(node) { (source) throws(ModelError) in
      try Self.resolved(wanted, source, allowsZero: allowsZero, node)
    }
  }

  /// Replaces 0 by the source's size and -1 by what is left.
  private static func resolved(
    _ wanted: [Int], _ source: [Int], allowsZero: Bool, _ node: ONNXNode
  ) throws(ModelError) -> [Int] {
    func failure() -> ModelError { node.malformed("the shape \(source) cannot become \(wanted)") }
    var shape = wanted
    var free: Int?
    for (axis, size) in wanted.enumerated() {
      if size == 0 && !allowsZero {
        guard axis < source.count else { throw failure() }
        shape[axis] = source[axis]
      } else if size == -1 {
        guard free == nil else { throw failure() }
        free = axis
        shape[axis] = 1
      }
    }
    guard let count = ONNXConstant.elementCount(of: source), let known = ONNXConstant.elementCount(of: shape) else {
      throw failure()
    }
    if let free {
      guard known > 0, count % known == 0 else { throw failure() }
      shape[free] = count / known
    }
    return shape
  }

  fileprivate mutating func importFlatten(_ node: ONNXNode) throws(ModelError) {
    let axis = try node.int("axis") ?? 1
    try reshape(node) { (source) throws(ModelError) in
      let split = axis < 0 ? axis + source.count : axis
      guard split >= 0 && split <= source.count else { throw node.malformed("it has no axis \(axis)") }
      return [source[..<split].reduce(1, *), source[split...].reduce(1, *)]
    }
  }

  /// Returns axes given as an attribute in old operator sets and as an input in later ones; `nil` if not given.
  mutating func axes(_ node: ONNXNode, inputSince: Int, input: Int = 1) throws(ModelError) -> [Int]? {
    if node.opset < inputSince {
      guard node.input(input) == nil else { throw node.malformed("axes are an attribute in opset \(node.opset)") }
      return try node.ints("axes")
    }
    return try optionalIntegers(node, input, "axes")
  }

  /// Returns axes counted from the front, ascending.
  static func resolved(axes: [Int], rank: Int, _ node: ONNXNode) throws(ModelError) -> [Int] {
    var resolved: [Int] = []
    for axis in axes {
      guard let position = ONNXConstant.resolved(axis: axis, rank: rank) else {
        throw node.malformed("it has no axis \(axis)")
      }
      resolved.append(position)
    }
    guard Set(resolved).count == resolved.count else { throw node.malformed("its axes \(axes) repeat") }
    return resolved.sorted()
  }

  fileprivate mutating func importSqueeze(_ node: ONNXNode) throws(ModelError) {
    let axes = try axes(node, inputSince: 13)
    try reshape(node) { (source) throws(ModelError) in
      guard let axes else { return source.filter { $0 != 1 } }
      let removed = try Self.resolved(axes: axes, rank: source.count, node)
      for axis in removed where source[axis] != 1 {
        throw node.malformed("axis \(axis) of the shape \(source) is not 1")
      }
      return source.indices.filter { !removed.contains($0) }.map { source[$0] }
    }
  }

  fileprivate mutating func importUnsqueeze(_ node: ONNXNode) throws(ModelError) {
    guard let axes = try axes(node, inputSince: 13) else { throw node.malformed("its axes are missing") }
    try reshape(node) { (source) throws(ModelError) in
      var shape = source
      for axis in try Self.resolved(axes: axes, rank: source.count + axes.count, node) { shape.insert(1, at: axis) }
      return shape
    }
  }

  fileprivate mutating func importTranspose(_ node: ONNXNode) throws(ModelError) {
    func permutation(rank: Int) throws(ModelError) -> [Int] {
      guard let given = try node.ints("perm") else { return (0..<rank).reversed() }
      guard given.sorted() == [Int](0..<rank) else {
        throw node.malformed("its attribute \"perm\" is \(given), the input has \(rank) axes")
      }
      return given
    }
    switch try value(node, 0) {
    case .constant(let constant):
      try account(for: constant.elements.count, node)
      guard let result = constant.transposed(try permutation(rank: constant.shape.count)) else {
        throw node.malformed("its permutation does not fit its input")
      }
      setOutput(node, to: result)
    case .tensor(let id):
      let source = shape(of: id)
      let permutation = try permutation(rank: source.count)
      if permutation == [Int](permutation.indices) { return setOutput(node, to: id) }
      let op = OpKind.transpose(TransposeOp(permutation: permutation))
      let input = try tensor(node, 0, allowsIntegers: true)
      setOutput(node, to: try add(op, [input], shape: permutation.map { source[$0] }, for: node))
    case .unknown: break
    }
  }
}
