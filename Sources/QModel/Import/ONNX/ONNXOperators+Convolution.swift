// Operators with windows over spatial axes. Each runs channels-last, with one spatial axis as an image of height 1.

extension ONNXOperator {
  private static let window: [Attribute] = [
    .init("auto_pad"), .init("kernel_shape"), .init("pads"), .init("strides"),
  ]

  static let convolutions: [ONNXOperator] = [
    ONNXOperator("Conv", inputs: 2...3, window + [.init("dilations"), .init("group")]) {
      (builder, node) throws(ModelError) in try builder.importConvolution(node)
    },
    ONNXOperator(
      "ConvTranspose", inputs: 2...3,
      window + [.init("dilations"), .init("group"), .init("output_padding"), .init("output_shape")]
    ) { (builder, node) throws(ModelError) in try builder.importTransposedConvolution(node) },
    ONNXOperator(
      "MaxPool", inputs: 1...1, outputs: 1...2,
      window + [.init("storage_order", since: 8), .init("ceil_mode", since: 10), .init("dilations", since: 10)]
    ) { (builder, node) throws(ModelError) in
      // Only the positions depend on "storage_order".
      if node.output(1) != nil { throw node.unsupported("its output of positions is not supported") }
      try builder.importPool(node, allowsIntegers: true) { .maxPool2D($0) }
    },
    ONNXOperator(
      "AveragePool", inputs: 1...1,
      window + [.init("count_include_pad", since: 7), .init("ceil_mode", since: 10), .init("dilations", since: 19)]
    ) { (builder, node) throws(ModelError) in try builder.importPool(node) { .averagePool2D($0) } },
    ONNXOperator("GlobalAveragePool", inputs: 1...1) {
      (builder, node) throws(ModelError) in try builder.importGlobalAverage(node)
    },
    ONNXOperator("GlobalMaxPool", inputs: 1...1) {
      (builder, node) throws(ModelError) in try builder.importGlobalMaximum(node)
    },
  ]
}

/// The attributes that all windows share, one entry per spatial axis, checked.
private struct ONNXWindow {
  /// How the padding is found.
  enum AutoPad { case explicit, sameUpper, sameLower, valid }

  /// Sizes above this are refused; with inputs of at most 2^31, no position below overflows.
  private static let largest = 1 << 24

  var kernel: [Int]
  var strides: [Int]
  var dilations: [Int]
  var before: [Int]
  var after: [Int]
  var autoPad: AutoPad

  /// Reads the attributes of a node with the given number of spatial axes.
  ///
  /// - Parameter weights: Spatial shape of the weights; `nil` where the attribute gives the window.
  init(_ node: ONNXNode, rank: Int, weights: [Int]?) throws(ModelError) {
    func list(
      _ name: String, default absent: [Int]?, count: Int, from lowest: Int
    ) throws(ModelError) -> [Int] {
      guard let values = try node.ints(name) ?? absent else {
        throw node.malformed("its attribute \"\(name)\" is missing")
      }
      guard values.count == count, values.allSatisfy({ $0 >= lowest && $0 <= Self.largest }) else {
        throw node.malformed(
          "its attribute \"\(name)\" is \(values); expected \(count) numbers from \(lowest) to \(Self.largest)")
      }
      return values
    }
    kernel = try list("kernel_shape", default: weights, count: rank, from: 1)
    if let weights, kernel != weights {
      throw node.malformed("its attribute \"kernel_shape\" is \(kernel), its weights have \(weights)")
    }
    let ones = [Int](repeating: 1, count: rank)
    strides = try list("strides", default: ones, count: rank, from: 1)
    dilations = try list("dilations", default: ones, count: rank, from: 1)
    switch try node.string("auto_pad", default: "NOTSET") {
    case "NOTSET", "": autoPad = .explicit
    case "SAME_UPPER": autoPad = .sameUpper
    case "SAME_LOWER": autoPad = .sameLower
    case "VALID": autoPad = .valid
    case let other: throw node.malformed("its attribute \"auto_pad\" is \"\(other)\"")
    }
    let zeros = [Int](repeating: 0, count: 2 * rank)
    let pads = autoPad == .explicit ? try list("pads", default: zeros, count: 2 * rank, from: 0) : zeros
    before = [Int](pads[..<rank])
    after = [Int](pads[rank...])
  }

  /// How many input elements the window spans along an axis.
  func extent(_ axis: Int) -> Int { (kernel[axis] - 1) * dilations[axis] + 1 }

  /// Returns the sizes of the output, and settles the padding where it depends on the input.
  mutating func outputSizes(of input: [Int], ceil: Bool = false, _ node: ONNXNode) throws(ModelError) -> [Int] {
    var sizes: [Int] = []
    for (axis, size) in input.enumerated() {
      let extent = extent(axis)
      let stride = strides[axis]
      if autoPad == .sameUpper || autoPad == .sameLower {
        let output = (size - 1) / stride + 1
        let total = max((output - 1) * stride + extent - size, 0)
        before[axis] = autoPad == .sameUpper ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
        sizes.append(output)
        continue
      }
      let span = size + before[axis] + after[axis] - extent
      guard span >= 0 else {
        throw node.malformed("its window of \(extent) elements does not fit the padded input of \(span + extent)")
      }
      var output = span / stride + 1
      if ceil && span % stride != 0 && output * stride < size + before[axis] {
        // One more window starts inside the input or its left padding and reaches beyond the right padding.
        output += 1
      }
      sizes.append(output)
    }
    return sizes
  }

  /// The padding of an image; of height 1 if there is one spatial axis.
  var padding: Padding2D {
    Padding2D(
      top: image(before, 0).height, left: image(before, 0).width, bottom: image(after, 0).height,
      right: image(after, 0).width)
  }

  /// A list with one entry per spatial axis as a pair.
  func image(_ values: [Int], _ missing: Int) -> (height: Int, width: Int) {
    values.count == 2 ? (values[0], values[1]) : (missing, values[0])
  }
}

extension ONNXGraphBuilder {
  // MARK: Convolutions

  fileprivate mutating func importConvolution(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let weights = try weights(node, 1, "W")
    let rank = source.count - 2
    guard source.count >= 3, weights.shape.count == source.count else {
      throw node.malformed("its input \(source) and weights \(weights.shape) do not fit each other")
    }
    guard rank <= 2 else { throw node.unsupported("it has \(rank) spatial axes; one and two are supported") }
    var window = try ONNXWindow(node, rank: rank, weights: [Int](weights.shape[2...]))
    let groups = try node.int("group") ?? 1
    let (channels, outputs) = (source[1], weights.shape[0])
    guard groups >= 1, groups <= channels, channels % groups == 0, weights.shape[1] == channels / groups, outputs > 0,
      outputs % groups == 0
    else {
      throw node.malformed("weights \(weights.shape) in \(groups) groups do not fit \(channels) channels")
    }
    let bias = try bias(node, 2, "B", count: outputs)
    let sizes = window.image(try window.outputSizes(of: [Int](source[2...]), node), 1)
    let (kernel, strides) = (window.image(window.kernel, 1), window.image(window.strides, 1))
    let dilations = window.image(window.dilations, 1)
    // [O,I/g,KH,KW] -> [O,KH,KW,I/g]; for depthwise, where I/g = 1, -> [1,KH,KW,O].
    let isDepthwise = groups == channels && groups > 1
    let stored = ONNXConstant(
      elementType: .float32, shape: [outputs, channels / groups, kernel.height, kernel.width],
      elements: .floats(weights.values))
    guard let permuted = stored.transposed(isDepthwise ? [1, 2, 3, 0] : [0, 2, 3, 1]), let values = permuted.floats
    else { throw node.malformed("its weights do not fit their shape") }
    let constant = try addConstant(values, shape: permuted.shape, name: node.input(1), for: node)
    let op: OpKind
    if isDepthwise {
      var depthwise = DepthwiseConv2DOp()
      (depthwise.strideHeight, depthwise.strideWidth) = strides
      (depthwise.dilationHeight, depthwise.dilationWidth) = dilations
      depthwise.padding = window.padding
      depthwise.depthMultiplier = outputs / channels
      op = .depthwiseConv2D(depthwise)
    } else {
      var convolution = Conv2DOp()
      (convolution.strideHeight, convolution.strideWidth) = strides
      (convolution.dilationHeight, convolution.dilationWidth) = dilations
      convolution.padding = window.padding
      convolution.groups = groups
      op = .conv2D(convolution)
    }
    let image = try channelsLast(input, for: node)
    let result = try add(
      op, [image, constant, bias], shape: [source[0], sizes.height, sizes.width, outputs], for: node)
    try setOutput(node, channelsLast: result, rank: source.count)
  }

  /// Returns a bias of `count` values as a constant tensor; `nil` where it is left out.
  mutating func bias(
    _ node: ONNXNode, _ index: Int, _ role: StaticString, count: Int
  ) throws(ModelError) -> TensorID? {
    guard let bias = try optionalWeights(node, index, role) else { return nil }
    guard bias.shape == [count] else {
      throw node.malformed("its input \"\(role)\" has the shape \(bias.shape), expected [\(count)]")
    }
    return try addConstant(bias.values, shape: [count], name: node.input(index), for: node)
  }

  fileprivate mutating func importTransposedConvolution(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let weights = try weights(node, 1, "W")
    let rank = source.count - 2
    guard source.count >= 3, weights.shape.count == source.count else {
      throw node.malformed("its input \(source) and weights \(weights.shape) do not fit each other")
    }
    guard rank <= 2 else { throw node.unsupported("it has \(rank) spatial axes; one and two are supported") }
    var window = try ONNXWindow(node, rank: rank, weights: [Int](weights.shape[2...]))
    let groups = try node.int("group") ?? 1
    let channels = source[1]
    guard groups >= 1, groups <= channels, channels % groups == 0, weights.shape[0] == channels, weights.shape[1] > 0
    else {
      throw node.malformed("weights \(weights.shape) in \(groups) groups do not fit \(channels) channels")
    }
    let (outputs, overflow) = weights.shape[1].multipliedReportingOverflow(by: groups)
    if overflow { throw node.malformed("its weights \(weights.shape) are too large") }
    let bias = try bias(node, 2, "B", count: outputs)
    let sizes = window.image(try window.transposedOutputSizes(of: [Int](source[2...]), node), 1)
    let kernel = window.image(window.kernel, 1)
    // [I,O/g,KH,KW] as [g,I/g,O/g,KH,KW] -> [g,O/g,KH,KW,I/g] = [O,KH,KW,I/g].
    let stored = ONNXConstant(
      elementType: .float32, shape: [groups, channels / groups, weights.shape[1], kernel.height, kernel.width],
      elements: .floats(weights.values))
    guard let values = stored.transposed([0, 2, 3, 4, 1])?.floats else {
      throw node.malformed("its weights do not fit their shape")
    }
    let shape = [outputs, kernel.height, kernel.width, channels / groups]
    let constant = try addConstant(values, shape: shape, name: node.input(1), for: node)
    var op = TransposeConv2DOp()
    (op.strideHeight, op.strideWidth) = window.image(window.strides, 1)
    (op.dilationHeight, op.dilationWidth) = window.image(window.dilations, 1)
    op.padding = window.padding
    op.groups = groups
    (op.outputHeight, op.outputWidth) = sizes
    let image = try channelsLast(input, for: node)
    let result = try add(
      .transposeConv2D(op), [image, constant, bias], shape: [source[0], sizes.height, sizes.width, outputs], for: node)
    try setOutput(node, channelsLast: result, rank: source.count)
  }

  // MARK: Pools

  fileprivate mutating func importPool(
    _ node: ONNXNode, allowsIntegers: Bool = false, _ kind: (Pool2DOp) -> OpKind
  ) throws(ModelError) {
    let input = try tensor(node, 0, allowsIntegers: allowsIntegers)
    let source = shape(of: input)
    let rank = source.count - 2
    guard rank >= 1 else { throw node.malformed("its input \(source) has no spatial axes") }
    guard rank <= 2 else { throw node.unsupported("it has \(rank) spatial axes; one and two are supported") }
    var window = try ONNXWindow(node, rank: rank, weights: nil)
    var op = Pool2DOp()
    op.ceilMode = try node.flag("ceil_mode")
    op.countIncludePad = try node.flag("count_include_pad")
    let sizes = window.image(try window.outputSizes(of: [Int](source[2...]), ceil: op.ceilMode, node), 1)
    for axis in 0..<rank where max(window.before[axis], window.after[axis]) >= window.extent(axis) {
      throw node.unsupported("its padding is as large as its window, so that a window may hold nothing")
    }
    (op.kernelHeight, op.kernelWidth) = window.image(window.kernel, 1)
    (op.strideHeight, op.strideWidth) = window.image(window.strides, 1)
    (op.dilationHeight, op.dilationWidth) = window.image(window.dilations, 1)
    op.padding = window.padding
    let image = try channelsLast(input, for: node)
    let shape = [source[0], sizes.height, sizes.width, source[1]]
    try setOutput(node, channelsLast: try add(kind(op), [image], shape: shape, for: node), rank: source.count)
  }

  fileprivate mutating func importGlobalAverage(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    guard source.count >= 3 else { throw node.malformed("its input \(source) has no spatial axes") }
    guard source.count <= 4 else {
      let op = ReduceOp(axes: [Int](2..<source.count), keepDimensions: true)
      let ones = [Int](repeating: 1, count: source.count - 2)
      return setOutput(node, to: try add(.mean(op), [input], shape: [source[0], source[1]] + ones, for: node))
    }
    let image = try channelsLast(input, for: node)
    let op = ReduceOp(axes: [1, 2], keepDimensions: true)
    let result = try add(.mean(op), [image], shape: [source[0], 1, 1, source[1]], for: node)
    try setOutput(node, channelsLast: result, rank: source.count)
  }

  fileprivate mutating func importGlobalMaximum(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    guard source.count >= 3 else { throw node.malformed("its input \(source) has no spatial axes") }
    let image = try channelsLast(input, for: node)
    let shape = shape(of: image)
    var op = Pool2DOp()
    (op.kernelHeight, op.kernelWidth) = (shape[1], shape[2])
    let result = try add(.maxPool2D(op), [image], shape: [shape[0], 1, 1, shape[3]], for: node)
    try setOutput(node, channelsLast: result, rank: source.count)
  }
}

extension ONNXWindow {
  /// Returns the sizes of a transposed convolution's output, and settles the padding where it depends on them.
  fileprivate mutating func transposedOutputSizes(
    of input: [Int], _ node: ONNXNode
  ) throws(ModelError) -> [Int] {
    let rank = input.count
    let zeros = [Int](repeating: 0, count: rank)
    let added = try node.ints("output_padding") ?? zeros
    guard added.count == rank, added.allSatisfy({ $0 >= 0 && $0 <= 1 << 24 }) else {
      throw node.malformed("its attribute \"output_padding\" is \(added)")
    }
    var wanted = try node.ints("output_shape")
    if wanted?.count == rank + 2 { wanted?.removeFirst(2) }
    if let wanted, wanted.count != rank || !wanted.allSatisfy({ $0 >= 1 && $0 < 1 << 31 }) {
      throw node.malformed("its attribute \"output_shape\" is \(wanted)")
    }
    var sizes: [Int] = []
    for axis in 0..<rank {
      let full = (input[axis] - 1) * strides[axis] + extent(axis) + added[axis]
      if wanted == nil && (autoPad == .explicit || autoPad == .valid) {
        sizes.append(full - before[axis] - after[axis])
      } else {
        let size = wanted?[axis] ?? input[axis] * strides[axis]
        let total = max(full - size, 0)
        // As the operator's definition has it: the odd element goes to the end only for SAME_UPPER.
        before[axis] = autoPad == .sameUpper ? total / 2 : total - total / 2
        after[axis] = total - before[axis]
        sizes.append(size)
      }
    }
    guard sizes.allSatisfy({ $0 >= 1 && $0 < 1 << 31 }) else { throw node.malformed("its output would be \(sizes)") }
    return sizes
  }
}
