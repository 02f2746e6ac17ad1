// Matrix products and reductions.

extension ONNXOperator {
  private static func reduction(
    _ name: String, axesInputSince: Int, _ reduction: ONNXConstant.Reduction
  ) -> ONNXOperator {
    let attributes: [Attribute] = [
      .init("axes", until: axesInputSince), .init("keepdims"), .init("noop_with_empty_axes", since: axesInputSince),
    ]
    return ONNXOperator(name, inputs: 1...2, attributes) { (builder, node) throws(ModelError) in
      try builder.importReduction(node, axesInputSince: axesInputSince, reduction)
    }
  }

  static let dense: [ONNXOperator] = [
    ONNXOperator(
      "Gemm", inputs: 2...3, [.init("alpha"), .init("beta"), .init("transA"), .init("transB")]
    ) { (builder, node) throws(ModelError) in try builder.importGemm(node) },
    ONNXOperator("MatMul", inputs: 2...2) { (builder, node) throws(ModelError) in try builder.importMatMul(node) },
    reduction("ReduceMean", axesInputSince: 18, .mean),
    reduction("ReduceSum", axesInputSince: 13, .sum),
    reduction("ReduceMax", axesInputSince: 18, .maximum),
    reduction("ReduceMin", axesInputSince: 18, .minimum),
  ]
}

extension ONNXGraphBuilder {
  // MARK: Gemm

  /// alpha * A * B + beta * C, A and B transposed on demand.
  fileprivate mutating func importGemm(_ node: ONNXNode) throws(ModelError) {
    let alpha = try node.float("alpha", default: 1)
    let beta = try node.float("beta", default: 1)
    let transA = try node.flag("transA")
    let transB = try node.flag("transB")
    var a = try tensor(node, 0)
    guard shape(of: a).count == 2 else { throw node.malformed("its input A has the shape \(shape(of: a))") }
    let depth = shape(of: a)[transA ? 0 : 1]
    let rows = shape(of: a)[transA ? 1 : 0]
    guard case .constant = try value(node, 1) else {
      return try importGemmOfActivations(node, a, transA: transA, transB: transB, alpha: alpha, beta: beta)
    }
    let weights = try weights(node, 1, "B")
    guard weights.shape.count == 2, weights.shape[transB ? 1 : 0] == depth else {
      throw node.malformed("the shapes \(shape(of: a)) and \(weights.shape) do not fit each other")
    }
    let columns = weights.shape[transB ? 0 : 1]
    if transA { a = try transposed(a, [1, 0], for: node, role: "transA") }
    let matrix = transB ? weights.values : Self.transposed(weights.values, rows: depth, columns: columns)
    let scaled = alpha == 1 ? matrix : matrix.map { $0 * alpha }
    let constant = try addConstant(scaled, shape: [columns, depth], name: node.input(1), for: node)
    let addend = try gemmAddend(node, beta: beta, columns: columns)
    let isWhole = addend.other == nil
    let result = try add(
      .fullyConnected(FullyConnectedOp()), [a, constant, addend.bias], shape: [rows, columns], for: node,
      role: isWhole ? nil : "product")
    try setGemmOutput(node, result, addend.other)
  }

  private mutating func importGemmOfActivations(
    _ node: ONNXNode, _ a: TensorID, transA: Bool, transB: Bool, alpha: Float, beta: Float
  ) throws(ModelError) {
    let b = try tensor(node, 1)
    var op = BatchMatMulOp()
    (op.transposeA, op.transposeB) = (transA, transB)
    let (left, right) = (shape(of: a), shape(of: b))
    guard right.count == 2, left[transA ? 0 : 1] == right[transB ? 1 : 0] else {
      throw node.malformed("the shapes \(left) and \(right) do not fit each other")
    }
    let columns = right[transB ? 0 : 1]
    let addend = try gemmAddend(node, beta: beta, columns: columns)
    let isWhole = addend.bias == nil && addend.other == nil && alpha == 1
    var result = try add(
      .batchMatMul(op), [a, b], shape: [left[transA ? 1 : 0], columns], for: node, role: isWhole ? nil : "product")
    if alpha != 1 {
      let factor = try addConstant([alpha], shape: [], for: node)
      result = try binary(.mul, result, factor, for: node, role: "alpha")
    }
    try setGemmOutput(node, result, addend.bias ?? addend.other)
  }

  /// Returns beta * C: as a bias if it is a constant that is the same for every row, else as what remains to be added.
  private mutating func gemmAddend(
    _ node: ONNXNode, beta: Float, columns: Int
  ) throws(ModelError) -> (bias: TensorID?, other: TensorID?) {
    guard let addend = try optionalValue(node, 2), beta != 0 else { return (nil, nil) }
    guard case .constant = addend else {
      var other = try tensor(node, 2)
      if beta != 1 {
        let factor = try addConstant([beta], shape: [], for: node)
        other = try binary(.mul, other, factor, for: node, role: "beta")
      }
      return (nil, other)
    }
    let constant = try weights(node, 2, "C")
    let values = beta == 1 ? constant.values : constant.values.map { $0 * beta }
    if values.count == columns && (constant.shape.last == columns || columns == 1) && constant.shape.count <= 2 {
      return (try addConstant(values, shape: [columns], name: node.input(2), for: node), nil)
    }
    if values.count == 1 {
      try account(for: columns, node)
      let bias = [Float](repeating: values[0], count: columns)
      return (try addConstant(bias, shape: [columns], name: node.input(2), for: node), nil)
    }
    return (nil, try addConstant(values, shape: constant.shape, name: node.input(2), for: node))
  }

  private mutating func setGemmOutput(
    _ node: ONNXNode, _ product: TensorID, _ addend: TensorID?
  ) throws(ModelError) {
    guard let addend else { return setOutput(node, to: product) }
    let shape = shape(of: product)
    let result = try binary(.add, product, addend, for: node)
    guard self.shape(of: result) == shape else {
      throw node.malformed("its input C has the shape \(self.shape(of: addend)), its product \(shape)")
    }
    setOutput(node, to: result)
  }

  /// A matrix of the given rows and columns, transposed.
  private static func transposed(_ values: [Float], rows: Int, columns: Int) -> [Float] {
    var result: [Float] = []
    result.reserveCapacity(values.count)
    for column in 0..<columns {
      for row in 0..<rows { result.append(values[row * columns + column]) }
    }
    return result
  }

  // MARK: MatMul

  fileprivate mutating func importMatMul(_ node: ONNXNode) throws(ModelError) {
    let (left, right) = (try value(node, 0), try value(node, 1))
    switch (left, right) {
    case (_, .constant(let constant)) where Self.isMatrix(constant.shape):
      try importProduct(node, weights: 1)
    case (.constant(let constant), .tensor(let id)) where Self.isMatrix(constant.shape) && shape(of: id).count <= 2:
      try importProduct(node, weights: 0)
    default: try importMatMulOfActivations(node)
    }
  }

  /// Whether a shape is a vector or matrix, behind axes of 1.
  private static func isMatrix(_ shape: [Int]) -> Bool {
    !shape.isEmpty && shape.dropLast(2).allSatisfy { $0 == 1 }
  }

  /// A product with a constant matrix on either side; the other operand has at most two axes if that is the left one.
  private mutating func importProduct(_ node: ONNXNode, weights index: Int) throws(ModelError) {
    let weights = try weights(node, index, index == 0 ? "A" : "B")
    let input = try tensor(node, 1 - index)
    let source = shape(of: input)
    let isLeft = index == 0
    // The matrix as [depth, columns] if it is on the right, [rows, depth] on the left.
    let isVector = weights.shape.count == 1
    let length = weights.shape[weights.shape.count - 1]
    let height = isVector ? 1 : weights.shape[weights.shape.count - 2]
    let depth = isLeft || isVector ? length : height
    let outputs = isVector ? 1 : isLeft ? height : length
    let sourceDepth = isLeft ? source.first : source.last
    guard let sourceDepth, sourceDepth == depth, outputs > 0 else {
      throw node.malformed("the shapes \(source) and \(weights.shape) do not fit each other")
    }
    let values =
      isLeft || isVector ? weights.values : Self.transposed(weights.values, rows: depth, columns: outputs)
    let constant = try addConstant(values, shape: [outputs, depth], name: node.input(index), for: node)
    // As rows of vectors of `depth`: X·B directly, A·X = (Xᵀ·Aᵀ)ᵀ.
    var rows = input
    if source.count == 1 {
      rows = try reshaped(rows, to: [1, depth], for: node, role: "row")
    } else if isLeft {
      rows = try transposed(rows, [1, 0], for: node, role: "transposed")
    }
    let leading = [Int](shape(of: rows).dropLast())
    var result = try add(
      .fullyConnected(FullyConnectedOp()), [rows, constant, nil], shape: leading + [outputs], for: node)
    if isLeft { result = try transposed(result, [1, 0], for: node, role: "back") }
    // Vectors lose their axis; axes of 1 before the matrix stay.
    var shape = source
    let extra = max(weights.shape.count - max(source.count, 2), 0)
    if isLeft {
      shape = (isVector ? [] : [outputs]) + source.dropFirst()
    } else {
      shape = source.dropLast() + (isVector ? [] : [outputs])
    }
    setOutput(node, to: try reshaped(result, to: [Int](repeating: 1, count: extra) + shape, for: node, role: "shape"))
  }

  private mutating func importMatMulOfActivations(_ node: ONNXNode) throws(ModelError) {
    var a = try tensor(node, 0)
    var b = try tensor(node, 1)
    let (left, right) = (shape(of: a), shape(of: b))
    guard !left.isEmpty, !right.isEmpty else { throw node.malformed("an operand is a scalar") }
    if left.count == 1 { a = try reshaped(a, to: [1, left[0]], for: node, role: "row") }
    if right.count == 1 { b = try reshaped(b, to: [right[0], 1], for: node, role: "column") }
    let (first, second) = (shape(of: a), shape(of: b))
    guard first[first.count - 1] == second[second.count - 2],
      let leading = ONNXConstant.broadcast([Int](first.dropLast(2)), [Int](second.dropLast(2)))
    else { throw node.malformed("the shapes \(left) and \(right) do not fit each other") }
    let rows = left.count == 1 ? [] : [first[first.count - 2]]
    let columns = right.count == 1 ? [] : [second[second.count - 1]]
    let result = try add(
      .batchMatMul(BatchMatMulOp()), [a, b],
      shape: leading + [first[first.count - 2], second[second.count - 1]], for: node)
    setOutput(node, to: try reshaped(result, to: leading + rows + columns, for: node, role: "shape"))
  }

  // MARK: Reductions

  fileprivate mutating func importReduction(
    _ node: ONNXNode, axesInputSince: Int, _ reduction: ONNXConstant.Reduction
  ) throws(ModelError) {
    let given = try axes(node, inputSince: axesInputSince)
    let keepsAxes = try node.flag("keepdims", default: true)
    let keepsAll = try node.flag("noop_with_empty_axes")
    func reducedAxes(rank: Int) throws(ModelError) -> [Int] {
      if let given, !given.isEmpty { return try Self.resolved(axes: given, rank: rank, node) }
      return keepsAll ? [] : [Int](0..<rank)
    }
    if case .constant(let constant) = try value(node, 0) {
      try account(for: constant.elements.count, node)
      let axes = try reducedAxes(rank: constant.shape.count)
      guard let result = constant.reduced(axes: axes, keepsAxes: keepsAxes, reduction) else {
        throw node.unsupported("it reduces a constant of type \(constant.elementType) and shape \(constant.shape)")
      }
      return setOutput(node, to: result)
    }
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let axes = try reducedAxes(rank: source.count)
    if axes.isEmpty { return setOutput(node, to: input) }
    // Over the two spatial axes of a channels-first image it runs channels-last, as a global pool does.
    let isImage = source.count == 4 && axes == [2, 3]
    let data = isImage ? try channelsLast(input, for: node) : input
    let result = try reduced(data, isImage ? [1, 2] : axes, keepsAxes: keepsAxes, reduction, for: node)
    if isImage && keepsAxes { return try setOutput(node, channelsLast: result, rank: 4) }
    setOutput(node, to: result)
  }

  private mutating func reduced(
    _ input: TensorID, _ axes: [Int], keepsAxes: Bool, _ reduction: ONNXConstant.Reduction, for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    let source = shape(of: input)
    let shape = source.indices.compactMap { axes.contains($0) ? (keepsAxes ? 1 : nil) : source[$0] }
    let mean = OpKind.mean(ReduceOp(axes: axes, keepDimensions: keepsAxes))
    switch reduction {
    case .mean: return try add(mean, [input], shape: shape, for: node)
    case .sum:
      let count = axes.reduce(1) { $0 * source[$1] }
      let part = try add(mean, [input], shape: shape, for: node, role: "mean")
      let factor = try addConstant([Float(count)], shape: [], for: node)
      return try binary(.mul, part, factor, for: node)
    case .maximum: return try maximum(input, axes, shape: shape, for: node)
    case .minimum:
      let negative = try add(.unary(.neg), [input], shape: source, for: node, role: "negative")
      let largest = try maximum(negative, axes, shape: shape, for: node)
      return try add(.unary(.neg), [largest], shape: shape, for: node, role: "positive")
    case .product, .absoluteSum, .squareSum, .norm: throw node.unsupported("its input is not a constant")
    }
  }

  /// A maximum as a pool whose window is all that is reduced.
  private mutating func maximum(
    _ input: TensorID, _ axes: [Int], shape: [Int], for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    let source = self.shape(of: input)
    var op = Pool2DOp()
    if source.count == 4 && axes == [1, 2] {
      (op.kernelHeight, op.kernelWidth) = (source[1], source[2])
      let pooled = [source[0], 1, 1, source[3]]
      let result = try add(.maxPool2D(op), [input], shape: pooled, for: node)
      return try reshaped(result, to: shape, for: node, role: "shape")
    }
    // Any other axes go last: [1, kept, reduced, 1].
    let kept = source.indices.filter { !axes.contains($0) }
    let sorted = try transposed(input, kept + axes, for: node, role: "reduced axes last")
    let count = axes.reduce(1) { $0 * source[$1] }
    let rows = kept.reduce(1) { $0 * source[$1] }
    let image = try reshaped(sorted, to: [1, rows, count, 1], for: node, role: "rows")
    op.kernelWidth = count
    let result = try add(.maxPool2D(op), [image], shape: [1, rows, 1, 1], for: node)
    return try reshaped(result, to: shape, for: node, role: "shape")
  }
}
