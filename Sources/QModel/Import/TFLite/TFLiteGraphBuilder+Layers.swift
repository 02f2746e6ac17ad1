// Layers with weights, and poolings.
extension TFLiteGraphBuilder {
  // MARK: - Windows

  /// One axis of a window operator.
  private struct WindowAxis {
    var output: Int
    var before: Int
    var after: Int
  }

  /// Output size and padding of one axis: TFLite puts the odd element of SAME padding behind.
  private func windowAxis(
    input: Int, kernel: Int, stride: Int32, dilation: Int32, padding: TFLitePadding
  ) throws(TFLiteProblem) -> WindowAxis {
    let stride = Int(stride)
    let dilation = Int(dilation)
    guard kernel >= 1, stride >= 1, dilation >= 1 else {
      throw .malformed("the window has the size \(kernel), stride \(stride) and dilation \(dilation)")
    }
    let effective = (kernel - 1) * dilation + 1
    // Beyond these, no layer is meant; they keep padding and sizes far from overflow.
    guard stride <= 0xffff, dilation <= 0xffff, effective <= 0xff_ffff else {
      throw .unsupported("the window has the size \(kernel), stride \(stride) and dilation \(dilation)")
    }
    switch padding {
    case .valid:
      guard input >= effective else {
        throw .malformed("a window of \(effective) elements does not fit into \(input)")
      }
      return WindowAxis(output: (input - effective) / stride + 1, before: 0, after: 0)
    case .same:
      let output = (input + stride - 1) / stride
      let total = max(0, (output - 1) * stride + effective - input)
      return WindowAxis(output: output, before: total / 2, after: total - total / 2)
    }
  }

  private func requireRank4(_ operand: Operand, _ what: String) throws(TFLiteProblem) {
    guard operand.rank == 4 else { throw .malformed("\(what) has the shape \(operand.shape), expected 4 axes") }
  }

  /// int16 activations of layers with weights are symmetric: the kernels of the reference never subtract a zero point.
  private func requireSymmetricInt16(_ ids: TensorID...) throws(TFLiteProblem) {
    for id in ids where graph.tensors[id].type == .int16 {
      guard let quantization = graph.tensors[id].quantization, quantization.zeroPoint != 0 else { continue }
      throw .malformed("\(label(id)) is int16 and has the zero point \(quantization.zeroPoint), expected 0")
    }
  }

  /// Poolings hand values on as they are stored: a result of another quantization would be silently wrong.
  private func requireSameQuantization(_ input: TensorID, _ output: TensorID) throws(TFLiteProblem) {
    guard let source = graph.tensors[input].quantization, let target = graph.tensors[output].quantization else {
      return
    }
    guard abs(source.scale - target.scale) <= 1e-6, source.zeroPoint == target.zeroPoint else {
      throw .malformed(
        "\(label(output)) has scale \(target.scale) and zero point \(target.zeroPoint), expected those of the input, "
          + "\(source.scale) and \(source.zeroPoint)")
    }
  }

  // MARK: - Convolutions

  mutating func importConv2D(_ op: Operator) throws(TFLiteProblem) {
    guard case .conv2D(let window, let dilationHeight, let dilationWidth) = op.record.options else {
      throw mismatchedOptions(op)
    }
    let input = try activation(op, 0)
    let weights = try weights(op, 1, channelAxis: 0, types: [.int8, .int4])
    try requireRank4(input, "the input")
    try requireRank4(weights, "the weights")
    let bias = try bias(op, 2, channels: weights.shape[0], input: input, weights: weights)
    guard input.shape[3] % weights.shape[3] == 0 else {
      throw .malformed("\(input.shape[3]) input channels cannot be grouped by \(weights.shape[3])")
    }
    var conv = Conv2DOp()
    conv.groups = input.shape[3] / weights.shape[3]
    guard weights.shape[0] % conv.groups == 0 else {
      throw .malformed("\(weights.shape[0]) output channels cannot be divided into \(conv.groups) groups")
    }
    let rows = try windowAxis(
      input: input.shape[1], kernel: weights.shape[1], stride: window.strideHeight, dilation: dilationHeight,
      padding: window.padding)
    let columns = try windowAxis(
      input: input.shape[2], kernel: weights.shape[2], stride: window.strideWidth, dilation: dilationWidth,
      padding: window.padding)
    (conv.strideHeight, conv.strideWidth) = (Int(window.strideHeight), Int(window.strideWidth))
    (conv.dilationHeight, conv.dilationWidth) = (Int(dilationHeight), Int(dilationWidth))
    conv.padding = Padding2D(top: rows.before, left: columns.before, bottom: rows.after, right: columns.after)
    conv.activation = try fusedActivation(window.activation)
    let output = try define(
      op, shape: [input.shape[0], rows.output, columns.output, weights.shape[0]], types: sameType(input))
    try requireSymmetricInt16(input.id, output)
    append(op, .conv2D(conv), [input.id, weights.id, bias?.id], [output])
  }

  mutating func importDepthwiseConv2D(_ op: Operator) throws(TFLiteProblem) {
    guard case .conv2D(let window, let dilationHeight, let dilationWidth) = op.record.options else {
      throw mismatchedOptions(op)
    }
    let input = try activation(op, 0)
    let weights = try weights(op, 1, channelAxis: 3, types: [.int8, .int4])
    try requireRank4(input, "the input")
    try requireRank4(weights, "the weights")
    let channels = weights.shape[3]
    let bias = try bias(op, 2, channels: channels, input: input, weights: weights)
    guard weights.shape[0] == 1, channels % input.shape[3] == 0 else {
      throw .malformed(
        "the weights of shape \(weights.shape) do not fit \(input.shape[3]) input channels, expected [1, H, W, channels]"
      )
    }
    let rows = try windowAxis(
      input: input.shape[1], kernel: weights.shape[1], stride: window.strideHeight, dilation: dilationHeight,
      padding: window.padding)
    let columns = try windowAxis(
      input: input.shape[2], kernel: weights.shape[2], stride: window.strideWidth, dilation: dilationWidth,
      padding: window.padding)
    var conv = DepthwiseConv2DOp()
    (conv.strideHeight, conv.strideWidth) = (Int(window.strideHeight), Int(window.strideWidth))
    (conv.dilationHeight, conv.dilationWidth) = (Int(dilationHeight), Int(dilationWidth))
    conv.padding = Padding2D(top: rows.before, left: columns.before, bottom: rows.after, right: columns.after)
    conv.depthMultiplier = channels / input.shape[3]
    conv.activation = try fusedActivation(window.activation)
    let output = try define(op, shape: [input.shape[0], rows.output, columns.output, channels], types: sameType(input))
    try requireSymmetricInt16(input.id, output)
    append(op, .depthwiseConv2D(conv), [input.id, weights.id, bias?.id], [output])
  }

  /// Operands: output shape, weights [O,KH,KW,I], input, bias. The padding is that of the convolution from the output to
  /// the input.
  mutating func importTransposeConv(_ op: Operator) throws(TFLiteProblem) {
    guard case .transposeConv(let window) = op.record.options else { throw mismatchedOptions(op) }
    let weights = try weights(op, 1, channelAxis: 0)
    let input = try activation(op, 2)
    try requireRank4(input, "the input")
    try requireRank4(weights, "the weights")
    let bias = try bias(op, 3, channels: weights.shape[0], input: input, weights: weights)
    guard weights.shape[3] == input.shape[3] else {
      throw .malformed("the weights of shape \(weights.shape) do not fit \(input.shape[3]) input channels")
    }
    let shape = try resultShape(op, shapePosition: 0)
    guard shape.count == 4, shape[0] == input.shape[0], shape[3] == weights.shape[0], shape[1] >= 1, shape[2] >= 1
    else {
      throw .malformed("the output shape \(shape) does not fit the input \(input.shape) and weights \(weights.shape)")
    }
    var conv = TransposeConv2DOp()
    (conv.outputHeight, conv.outputWidth) = (shape[1], shape[2])
    (conv.strideHeight, conv.strideWidth) = (Int(window.strideHeight), Int(window.strideWidth))
    let rows = try windowAxis(
      input: shape[1], kernel: weights.shape[1], stride: window.strideHeight, dilation: 1, padding: window.padding)
    let columns = try windowAxis(
      input: shape[2], kernel: weights.shape[2], stride: window.strideWidth, dilation: 1, padding: window.padding)
    guard rows.output == input.shape[1], columns.output == input.shape[2] else {
      throw .malformed(
        "an output of \(shape) needs an input of \(rows.output) by \(columns.output), not \(input.shape)")
    }
    conv.padding = Padding2D(top: rows.before, left: columns.before, bottom: rows.after, right: columns.after)
    conv.activation = try fusedActivation(window.activation)
    let output = try define(op, shape: shape, types: sameType(input))
    try requireSymmetricInt16(input.id, output)
    append(op, .transposeConv2D(conv), [input.id, weights.id, bias?.id], [output])
  }

  /// The shape that an operand says, or, where it is only known at run time, that the file declares for the result.
  mutating func resultShape(_ op: Operator, shapePosition: Int) throws(TFLiteProblem) -> [Int] {
    if let shape = try integers(op, shapePosition) { return shape }
    let source = try requiredIndex(op, shapePosition)
    let shape = try checkedShape(try outputIndex(op, 0))
    if modelInputs.contains(source) { shapeInputs.insert(source) }
    return shape
  }

  // MARK: - Dense layers

  mutating func importFullyConnected(_ op: Operator) throws(TFLiteProblem) {
    guard case .fullyConnected(let activation, let shuffled, let keepsDimensions) = op.record.options else {
      throw mismatchedOptions(op)
    }
    guard !shuffled else { throw .unsupported("shuffled weights are not supported") }
    let input = try self.activation(op, 0)
    let weightsIndex = try requiredIndex(op, 1)
    guard try isKnown(weightsIndex, orFailed: true) else {
      return try importProduct(op, input, activation, keepsDimensions)
    }
    let weights = try weights(op, 1, channelAxis: 0, types: [.int8, .int4], allowsZeroPoint: true)
    guard weights.rank == 2 else {
      throw .malformed("the weights have the shape \(weights.shape), expected 2 axes")
    }
    let bias = try bias(op, 2, channels: weights.shape[0], input: input, weights: weights)
    var dense = FullyConnectedOp()
    dense.activation = try fusedActivation(activation)
    dense.keepDimensions = keepsDimensions
    let (shape, rows) = try denseShape(input, weights.shape, keepsDimensions)
    var source = input.id
    if input.shape.last != weights.shape[1] {
      source = temporary(like: input.id, shape: rows)
      append(op, .reshape(ReshapeOp(shape: rows)), [input.id], [source])
    }
    let output = try define(op, shape: shape, types: sameType(input))
    try requireSymmetricInt16(input.id, output)
    append(op, .fullyConnected(dense), [source, weights.id, bias?.id], [output])
  }

  /// The shape of a dense layer's result, and of its input as a matrix.
  private func denseShape(
    _ input: Operand, _ weights: [Int], _ keepsDimensions: Bool
  ) throws(TFLiteProblem) -> (result: [Int], rows: [Int]) {
    let count = input.shape.reduce(1, *)
    guard count % weights[1] == 0, !keepsDimensions || input.shape.last == weights[1] else {
      throw .malformed("the input \(input.shape) does not fit the weights \(weights)")
    }
    let rows = count / weights[1]
    return (keepsDimensions ? input.shape.dropLast() + [weights[0]] : [rows, weights[0]], [rows, weights[1]])
  }

  /// A dense layer whose weights are computed: the product of two activations.
  private mutating func importProduct(
    _ op: Operator, _ input: Operand, _ activation: TFLiteActivation, _ keepsDimensions: Bool
  ) throws(TFLiteProblem) {
    let weights = try self.activation(op, 1)
    guard weights.rank == 2 else {
      throw .malformed("the weights have the shape \(weights.shape), expected 2 axes")
    }
    guard try inputIndex(op, 2) == nil, activation == .none else {
      throw .unsupported("weights that are computed at run time are only supported without bias and activation")
    }
    let (shape, rows) = try denseShape(input, weights.shape, keepsDimensions)
    let output = try define(op, shape: shape, types: sameType(input))
    var source = input.id
    if input.shape != rows {
      source = temporary(like: input.id, shape: rows)
      append(op, .reshape(ReshapeOp(shape: rows)), [input.id], [source])
    }
    var product = BatchMatMulOp()
    product.transposeB = true
    let matrix = [rows[0], weights.shape[0]]
    let target = matrix == shape ? output : temporary(like: output, shape: matrix)
    append(op, .batchMatMul(product), [source, weights.id], [target])
    if target != output { append(op, .reshape(ReshapeOp(shape: shape)), [target], [output]) }
  }

  mutating func importBatchMatMul(_ op: Operator) throws(TFLiteProblem) {
    guard case .batchMatMul(let transposesA, let transposesB) = op.record.options else { throw mismatchedOptions(op) }
    let a = try activation(op, 0)
    let b = try activation(op, 1)
    guard a.rank >= 2, b.rank >= 2 else {
      throw .malformed("the operands have the shapes \(a.shape) and \(b.shape), expected at least 2 axes")
    }
    let (m, k) = transposesA ? (a.shape[a.rank - 1], a.shape[a.rank - 2]) : (a.shape[a.rank - 2], a.shape[a.rank - 1])
    let (k2, n) = transposesB ? (b.shape[b.rank - 1], b.shape[b.rank - 2]) : (b.shape[b.rank - 2], b.shape[b.rank - 1])
    guard k == k2, a.type == b.type else {
      throw .malformed("the operands \(a.type) \(a.shape) and \(b.type) \(b.shape) do not fit")
    }
    let leading = try broadcast(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2)))
    let output = try define(op, shape: leading + [m, n], types: sameType(a))
    if !transposesA, b.data != nil, a.rank >= b.rank, b.shape.dropLast(2).allSatisfy({ $0 == 1 }) {
      // By a constant matrix: a dense layer.
      let weights = try constantMatrix(b, transposed: !transposesB, index: try requiredIndex(op, 1))
      append(op, .fullyConnected(FullyConnectedOp()), [a.id, weights, nil], [output])
      return
    }
    var product = BatchMatMulOp()
    (product.transposeA, product.transposeB) = (transposesA, transposesB)
    append(op, .batchMatMul(product), [a.id, b.id], [output])
  }

  /// A constant as a matrix of its last two axes, swapped if `transposed`.
  private mutating func constantMatrix(_ source: Operand, transposed: Bool, index: Int) throws(TFLiteProblem)
    -> TensorID
  {
    let (rows, columns) = (source.shape[source.rank - 2], source.shape[source.rank - 1])
    let id = temporary(like: source.id, shape: transposed ? [columns, rows] : [rows, columns])
    guard let data = source.data else { return id }
    try chargeDecoding(8 * data.count, index)
    graph.tensors[id].data =
      transposed ? Self.permuted(data, shape: [rows, columns], permutation: [1, 0]) : data
    return id
  }

  // MARK: - Poolings and reductions

  mutating func importPool2D(_ op: Operator, isMaximum: Bool) throws(TFLiteProblem) {
    guard case .pool2D(let window, let filterHeight, let filterWidth) = op.record.options else {
      throw mismatchedOptions(op)
    }
    let input = try activation(op, 0)
    try requireRank4(input, "the input")
    let rows = try windowAxis(
      input: input.shape[1], kernel: Int(filterHeight), stride: window.strideHeight, dilation: 1,
      padding: window.padding)
    let columns = try windowAxis(
      input: input.shape[2], kernel: Int(filterWidth), stride: window.strideWidth, dilation: 1,
      padding: window.padding)
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (Int(filterHeight), Int(filterWidth))
    (pool.strideHeight, pool.strideWidth) = (Int(window.strideHeight), Int(window.strideWidth))
    pool.padding = Padding2D(top: rows.before, left: columns.before, bottom: rows.after, right: columns.after)
    pool.activation = try fusedActivation(window.activation)
    let output = try define(
      op, shape: [input.shape[0], rows.output, columns.output, input.shape[3]], types: sameType(input))
    try requireSameQuantization(input.id, output)
    append(op, isMaximum ? .maxPool2D(pool) : .averagePool2D(pool), [input.id], [output])
  }

  /// The axes of a reduction, ascending and distinct, and the shape that it leaves.
  private mutating func reduction(
    _ op: Operator, _ input: Operand
  ) throws(TFLiteProblem) -> (axes: [Int], shape: [Int], keepsDimensions: Bool) {
    guard case .reducer(let keepsDimensions) = op.record.options else { throw mismatchedOptions(op) }
    var axes: Set<Int> = []
    for axis in try constantIntegers(op, 1) { axes.insert(try normalizedAxis(axis, rank: input.rank)) }
    var shape: [Int] = []
    for (axis, size) in input.shape.enumerated() {
      if !axes.contains(axis) { shape.append(size) } else if keepsDimensions { shape.append(1) }
    }
    return (axes.sorted(), shape, keepsDimensions)
  }

  mutating func importMean(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let (axes, shape, keepsDimensions) = try reduction(op, input)
    let output = try define(op, shape: shape, types: sameType(input))
    append(op, .mean(ReduceOp(axes: axes, keepDimensions: keepsDimensions)), [input.id], [output])
  }

  /// The maximum over height and width: one pooling window.
  mutating func importReduceMax(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let (axes, shape, _) = try reduction(op, input)
    guard input.rank == 4, axes == [1, 2] else {
      throw .unsupported("the maximum is supported over height and width only, not over the axes \(axes)")
    }
    let output = try define(op, shape: shape, types: sameType(input))
    try requireSameQuantization(input.id, output)
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (input.shape[1], input.shape[2])
    let pooled = [input.shape[0], 1, 1, input.shape[3]]
    let target = pooled == shape ? output : temporary(like: output, shape: pooled)
    append(op, .maxPool2D(pool), [input.id], [target])
    if target != output { append(op, .reshape(ReshapeOp(shape: shape)), [target], [output]) }
  }
}
