// Operators that join tensors, take parts of them, or repeat them. On constants they are computed at import.

extension ONNXOperator {
  static let parts: [ONNXOperator] = [
    ONNXOperator("Concat", inputs: variadic, [.init("axis")]) {
      (builder, node) throws(ModelError) in try builder.importConcat(node)
    },
    ONNXOperator(
      "Split", inputs: 1...2, outputs: variadic,
      [.init("axis"), .init("split", until: 13), .init("num_outputs", since: 18)]
    ) { (builder, node) throws(ModelError) in try builder.importSplit(node) },
    ONNXOperator(
      "Slice", inputs: 1...5, [.init("starts", until: 10), .init("ends", until: 10), .init("axes", until: 10)]
    ) { (builder, node) throws(ModelError) in try builder.importSlice(node) },
    ONNXOperator("Pad", inputs: 1...4, [.init("mode"), .init("pads", until: 11), .init("value", until: 11)]) {
      (builder, node) throws(ModelError) in try builder.importPad(node)
    },
    ONNXOperator("Gather", inputs: 2...2, [.init("axis")]) {
      (builder, node) throws(ModelError) in try builder.importGather(node)
    },
    ONNXOperator("Expand", since: 8, inputs: 2...2) {
      (builder, node) throws(ModelError) in try builder.importExpand(node)
    },
    ONNXOperator("Tile", since: 6, inputs: 2...2) {
      (builder, node) throws(ModelError) in try builder.importTile(node)
    },
    ONNXOperator("DepthToSpace", inputs: 1...1, [.init("blocksize"), .init("mode", since: 11)]) {
      (builder, node) throws(ModelError) in try builder.importDepthToSpace(node)
    },
    ONNXOperator("SpaceToDepth", inputs: 1...1, [.init("blocksize"), .init("mode", since: 28)]) {
      (builder, node) throws(ModelError) in try builder.importSpaceToDepth(node)
    },
  ]
}

extension ONNXGraphBuilder {
  // MARK: Together and apart

  fileprivate mutating func importConcat(_ node: ONNXNode) throws(ModelError) {
    guard let given = try node.int("axis") else { throw node.malformed("its attribute \"axis\" is missing") }
    var constants: [ONNXConstant] = []
    for index in node.proto.inputs.indices {
      if case .constant(let constant) = try value(node, index) { constants.append(constant) }
    }
    if constants.count == node.proto.inputs.count {
      try account(for: constants.reduce(0) { $0 + $1.elements.count }, node)
      guard let axis = ONNXConstant.resolved(axis: given, rank: constants[0].shape.count),
        let result = ONNXConstant.concatenated(constants, axis: axis)
      else { throw node.malformed("its inputs do not fit each other") }
      return setOutput(node, to: result)
    }
    var inputs: [TensorID] = []
    for index in node.proto.inputs.indices { inputs.append(try tensor(node, index, allowsIntegers: true)) }
    guard let axis = ONNXConstant.resolved(axis: given, rank: shape(of: inputs[0]).count) else {
      throw node.malformed("it has no axis \(given)")
    }
    setOutput(node, to: try concatenated(inputs, axis: axis, for: node))
  }

  /// Adds a concatenation along an axis that the first input has.
  mutating func concatenated(
    _ inputs: [TensorID], axis: Int, for node: ONNXNode, role: String? = nil
  ) throws(ModelError) -> TensorID {
    if inputs.count == 1 { return inputs[0] }
    var result = shape(of: inputs[0])
    for input in inputs.dropFirst() {
      let other = shape(of: input)
      guard other.count == result.count, other.indices.allSatisfy({ $0 == axis || other[$0] == result[$0] }) else {
        throw node.malformed("the shapes \(result) and \(other) cannot be put together along axis \(axis)")
      }
      let (sum, overflow) = result[axis].addingReportingOverflow(other[axis])
      if overflow { throw node.malformed("its result is too large") }
      result[axis] = sum
    }
    return try add(.concatenation(ConcatenationOp(axis: axis)), inputs, shape: result, for: node, role: role)
  }

  fileprivate mutating func importSplit(_ node: ONNXNode) throws(ModelError) {
    let data = try value(node, 0)
    let source: [Int]
    switch data {
    case .constant(let constant): source = constant.shape
    case .tensor(let id): source = shape(of: id)
    case .unknown: return
    }
    let given = try node.int("axis") ?? 0
    guard let axis = ONNXConstant.resolved(axis: given, rank: source.count) else {
      throw node.malformed("it has no axis \(given)")
    }
    let sizes = try splitSizes(node, size: source[axis])
    if case .constant(let constant) = data {
      try account(for: constant.elements.count, node)
      var starts = [Int](repeating: 0, count: source.count)
      for (index, size) in sizes.enumerated() {
        var shape = source
        shape[axis] = size
        let steps = [Int](repeating: 1, count: source.count)
        setOutput(node, index, to: constant.sliced(starts: starts, sizes: shape, steps: steps))
        starts[axis] += size
      }
      return
    }
    let input = try tensor(node, 0, allowsIntegers: true)
    if sizes.count == 1 { return setOutput(node, to: input) }
    let shapes = sizes.map { size in
      var shape = source
      shape[axis] = size
      return shape
    }
    let outputs = try add(.split(SplitOp(axis: axis, sizes: sizes)), [input], shapes: shapes, for: node)
    for (index, output) in outputs.enumerated() { setOutput(node, index, to: output) }
  }

  private mutating func splitSizes(_ node: ONNXNode, size: Int) throws(ModelError) -> [Int] {
    if node.opset < 13 && node.input(1) != nil { throw node.malformed("sizes are an attribute in opset \(node.opset)") }
    let count = node.proto.outputs.count
    let sizes: [Int]
    if let given = node.opset < 13 ? try node.ints("split") : try optionalIntegers(node, 1, "split") {
      if node.has("num_outputs") { throw node.malformed("it has both sizes and \"num_outputs\"") }
      sizes = given
    } else {
      if let declared = try node.int("num_outputs"), declared != count {
        throw node.malformed("its attribute \"num_outputs\" is \(declared), it has \(count) outputs")
      }
      // From opset 18 on the last part may be smaller.
      let part = (size + count - 1) / count
      guard node.opset >= 18 || size % count == 0 else {
        throw node.malformed("the size \(size) cannot be split into \(count) equal parts")
      }
      sizes = (0..<count).map { index in
        let (start, overflow) = part.multipliedReportingOverflow(by: index)
        return overflow ? 0 : max(0, min(part, size - start))
      }
    }
    var sum = 0
    for size in sizes {
      guard size >= 0 else { throw node.malformed("it has a part of size \(size)") }
      sum = min(sum + size, 1 << 41)
    }
    guard sizes.count == count, sum == size else {
      throw node.malformed("the parts \(sizes) do not make up the size \(size) in \(count) outputs")
    }
    return sizes
  }

  // MARK: Parts and surroundings

  fileprivate mutating func importSlice(_ node: ONNXNode) throws(ModelError) {
    let starts: [Int]?
    let ends: [Int]?
    let axes: [Int]?
    var steps: [Int]?
    if node.opset < 10 {
      if node.proto.inputs.count > 1 { throw node.malformed("its bounds are attributes in opset \(node.opset)") }
      (starts, ends, axes) = (try node.ints("starts"), try node.ints("ends"), try node.ints("axes"))
    } else {
      starts = try optionalIntegers(node, 1, "starts")
      ends = try optionalIntegers(node, 2, "ends")
      axes = try optionalIntegers(node, 3, "axes")
      steps = try optionalIntegers(node, 4, "steps")
    }
    guard let starts, let ends else { throw node.malformed("its bounds are missing") }
    let bounds = SliceBounds(starts: starts, ends: ends, axes: axes, steps: steps)
    switch try value(node, 0) {
    case .constant(let constant):
      let op = try bounds.resolved(constant.shape, node)
      try account(for: ONNXConstant.elementCount(of: op.sizes) ?? .max, node)
      setOutput(node, to: constant.sliced(starts: op.starts, sizes: op.sizes, steps: op.strides))
    case .tensor(let id):
      let op = try bounds.resolved(shape(of: id), node)
      setOutput(node, to: try sliced(try tensor(node, 0, allowsIntegers: true), op, for: node))
    case .unknown: break
    }
  }

  /// Adds a slice unless it is the whole tensor.
  mutating func sliced(
    _ id: TensorID, _ op: SliceOp, for node: ONNXNode, role: String? = nil
  ) throws(ModelError) -> TensorID {
    if op.sizes == shape(of: id) && op.strides.allSatisfy({ $0 > 0 }) { return id }
    return try add(.slice(op), [id], shape: op.sizes, for: node, role: role)
  }

  /// The operands of a slice as ONNX gives them.
  private struct SliceBounds {
    var starts: [Int]
    var ends: [Int]
    var axes: [Int]?
    var steps: [Int]?

    /// Returns the slice of a tensor; sizes may be 0.
    func resolved(_ shape: [Int], _ node: ONNXNode) throws(ModelError) -> SliceOp {
      let axes = axes ?? [Int](starts.indices)
      let steps = steps ?? [Int](repeating: 1, count: starts.count)
      guard ends.count == starts.count, axes.count == starts.count, steps.count == starts.count else {
        throw node.malformed("its bounds, axes and steps differ in number")
      }
      var op = SliceOp(
        starts: [Int](repeating: 0, count: shape.count), sizes: shape,
        strides: [Int](repeating: 1, count: shape.count))
      var seen = Set<Int>()
      for (index, given) in axes.enumerated() {
        guard let axis = ONNXConstant.resolved(axis: given, rank: shape.count), seen.insert(axis).inserted else {
          throw node.malformed("its axes \(axes) do not fit the shape \(shape)")
        }
        let size = shape[axis]
        let step = steps[index]
        guard step != 0 else { throw node.malformed("it has a step of 0") }
        let start = starts[index] < 0 ? starts[index] + size : starts[index]
        let end = ends[index] < 0 ? ends[index] + size : ends[index]
        let (first, last) =
          step > 0
          ? (min(max(start, 0), size), min(max(end, 0), size))
          : (min(max(start, 0), size - 1), min(max(end, -1), size - 1))
        // Positions before `last`, counted in the direction of the step.
        let distance = step > 0 ? last - first : first - last
        let count = size == 0 || distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
        op.starts[axis] = count == 0 ? 0 : first
        op.sizes[axis] = count
        op.strides[axis] = count <= 1 ? 1 : step
      }
      return op
    }
  }

  fileprivate mutating func importPad(_ node: ONNXNode) throws(ModelError) {
    let given: [Int]?
    var value: Float = 0
    var axes: [Int]?
    if node.opset < 11 {
      if node.proto.inputs.count > 1 { throw node.malformed("its sizes are an attribute in opset \(node.opset)") }
      given = try node.ints("pads")
      value = try node.float("value", default: 0)
    } else {
      given = try optionalIntegers(node, 1, "pads")
      value = try optionalScalar(node, 2, "constant_value") ?? 0
      axes = try optionalIntegers(node, 3, "axes")
    }
    guard let given else { throw node.malformed("its sizes are missing") }
    let mode: PadOp.Mode?
    switch try node.string("mode", default: "constant") {
    case "constant": mode = .constant(value)
    case "reflect": mode = .reflect
    case "edge": mode = .edge
    case "wrap": mode = nil
    case let other: throw node.malformed("its attribute \"mode\" is \"\(other)\"")
    }
    let source: [Int]
    switch try self.value(node, 0) {
    case .constant(let constant): source = constant.shape
    case .tensor(let id): source = self.shape(of: id)
    case .unknown: return
    }
    var before = [Int](repeating: 0, count: source.count)
    var after = before
    let targets = axes ?? [Int](source.indices)
    guard given.count == 2 * targets.count else {
      throw node.malformed("it has \(given.count) sizes for \(targets.count) axes")
    }
    var seen = Set<Int>()
    for (index, axis) in targets.enumerated() {
      guard let axis = ONNXConstant.resolved(axis: axis, rank: source.count), seen.insert(axis).inserted else {
        throw node.malformed("its axes \(targets) do not fit the shape \(source)")
      }
      before[axis] = given[index]
      after[axis] = given[index + targets.count]
    }
    for axis in source.indices where source[axis] + min(before[axis], 0) + min(after[axis], 0) <= 0 {
      throw node.malformed("it crops more than the shape \(source)")
    }
    if case .constant(let constant) = try self.value(node, 0) {
      return setOutput(node, to: try padded(constant, before, after, mode, value, for: node))
    }
    let input = try tensor(node, 0, allowsIntegers: true)
    setOutput(node, to: try pad(input, before, after, mode, for: node))
  }

  private mutating func padded(
    _ constant: ONNXConstant, _ before: [Int], _ after: [Int], _ mode: PadOp.Mode?, _ value: Float, for node: ONNXNode
  ) throws(ModelError) -> ONNXConstant {
    var sources: [[Int?]] = []
    let sizes = constant.shape.indices.map { constant.shape[$0] + before[$0] + after[$0] }
    try account(for: ONNXConstant.elementCount(of: sizes) ?? .max, node)
    for (axis, size) in constant.shape.enumerated() {
      // Cropping comes first: positions are those of what it leaves.
      let first = max(-before[axis], 0)
      let kept = size + min(before[axis], 0) + min(after[axis], 0)
      var indices: [Int?] = []
      for position in (-max(before[axis], 0))..<(kept + max(after[axis], 0)) {
        let index: Int? =
          switch mode {
          case .constant: (0..<kept).contains(position) ? position : nil
          case .edge: min(max(position, 0), kept - 1)
          case .reflect, .symmetric: Self.reflected(position, kept)
          case nil: (position % kept + kept) % kept
          }
        indices.append(index.map { $0 + first })
      }
      sources.append(indices)
    }
    guard let result = constant.surrounded(sources, by: value) else {
      throw node.malformed("its value \(value) does not fit the type \(constant.elementType)")
    }
    return result
  }

  /// A position mirrored at the first and last element, neither repeated.
  private static func reflected(_ position: Int, _ size: Int) -> Int {
    if size == 1 { return 0 }
    let period = 2 * (size - 1)
    let wrapped = (position % period + period) % period
    return min(wrapped, period - wrapped)
  }

  /// Adds a padding; negative sizes crop, and do so first. Without a mode the tensor repeats.
  private mutating func pad(
    _ input: TensorID, _ before: [Int], _ after: [Int], _ mode: PadOp.Mode?, for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    let source = shape(of: input)
    let sizes = source.indices.map { source[$0] + min(before[$0], 0) + min(after[$0], 0) }
    let crop = SliceOp(
      starts: before.map { max(-$0, 0) }, sizes: sizes, strides: [Int](repeating: 1, count: source.count))
    let cropped = try sliced(input, crop, for: node, role: "crop")
    guard let mode else { return try wrap(cropped, before, after, for: node) }
    let op = PadOp(before: before.map { max($0, 0) }, after: after.map { max($0, 0) }, mode: mode)
    if op.before.allSatisfy({ $0 == 0 }) && op.after.allSatisfy({ $0 == 0 }) { return cropped }
    if mode == .reflect {
      for axis in sizes.indices where max(op.before[axis], op.after[axis]) >= sizes[axis] {
        throw node.unsupported("it reflects \(max(op.before[axis], op.after[axis])) elements of \(sizes[axis])")
      }
    }
    return try add(
      .pad(op), [cropped], shape: sizes.indices.map { sizes[$0] + op.before[$0] + op.after[$0] }, for: node)
  }

  /// Puts the end of each axis before it and its beginning behind it.
  private mutating func wrap(
    _ input: TensorID, _ before: [Int], _ after: [Int], for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    var result = input
    for axis in before.indices where before[axis] > 0 || after[axis] > 0 {
      let shape = self.shape(of: result)
      let size = shape[axis]
      guard before[axis] <= size, after[axis] <= size else {
        throw node.unsupported("it repeats an axis of size \(size) more than once to either side")
      }
      var parts: [TensorID] = [result]
      var op = SliceOp(
        starts: [Int](repeating: 0, count: shape.count), sizes: shape,
        strides: [Int](repeating: 1, count: shape.count))
      if after[axis] > 0 {
        op.sizes[axis] = after[axis]
        parts.append(try sliced(result, op, for: node, role: "beginning"))
      }
      if before[axis] > 0 {
        (op.starts[axis], op.sizes[axis]) = (size - before[axis], before[axis])
        parts.insert(try sliced(result, op, for: node, role: "end"), at: 0)
      }
      result = try concatenated(parts, axis: axis, for: node)
    }
    return result
  }

  // MARK: Chosen and repeated elements

  fileprivate mutating func importGather(_ node: ONNXNode) throws(ModelError) {
    let indices = try constant(node, 1, "indices")
    guard let positions = indices.integers else { throw node.malformed("its indices are not integers") }
    let given = try node.int("axis") ?? 0
    func axis(rank: Int) throws(ModelError) -> Int {
      guard let axis = ONNXConstant.resolved(axis: given, rank: rank) else {
        throw node.malformed("it has no axis \(given)")
      }
      return axis
    }
    switch try value(node, 0) {
    case .constant(let constant):
      let axis = try axis(rank: constant.shape.count)
      let slices = constant.elements.count / max(constant.shape[axis], 1)
      let (count, overflow) = slices.multipliedReportingOverflow(by: positions.count)
      try account(for: overflow ? .max : count, node)
      guard let result = constant.gathered(axis: axis, positions, shape: indices.shape) else {
        throw node.malformed("an index is outside the shape \(constant.shape)")
      }
      setOutput(node, to: result)
    case .tensor(let id):
      let axis = try axis(rank: shape(of: id).count)
      setOutput(
        node,
        to: try gathered(try tensor(node, 0, allowsIntegers: true), axis, positions, shape: indices.shape, for: node))
    case .unknown: break
    }
  }

  /// Adds slices, one per run of ascending neighbours, and puts them together.
  private mutating func gathered(
    _ input: TensorID, _ axis: Int, _ indices: [Int64], shape indexShape: [Int], for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    let source = shape(of: input)
    var runs: [(start: Int, count: Int)] = []
    for index in indices {
      guard let position = ONNXConstant.resolved(axis: ONNXNode.bounded(index), rank: source[axis]) else {
        throw node.malformed("the index \(index) is outside the shape \(source)")
      }
      if let last = runs.last, last.start + last.count == position {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((position, 1))
      }
    }
    var parts: [TensorID] = []
    for run in runs {
      var op = SliceOp(
        starts: [Int](repeating: 0, count: source.count), sizes: source,
        strides: [Int](repeating: 1, count: source.count))
      op.starts[axis] = run.start
      op.sizes[axis] = run.count
      parts.append(try sliced(input, op, for: node))
    }
    guard !parts.isEmpty else { throw node.unsupported("it has no indices") }
    let joined = try concatenated(parts, axis: axis, for: node)
    let result = [Int](source[..<axis]) + indexShape + [Int](source[(axis + 1)...])
    return try reshaped(joined, to: result, for: node, role: "shape")
  }

  fileprivate mutating func importExpand(_ node: ONNXNode) throws(ModelError) {
    guard let wanted = try optionalIntegers(node, 1, "shape") else { throw node.malformed("it has no shape") }
    func target(_ source: [Int]) throws(ModelError) -> [Int] {
      guard wanted.allSatisfy({ $0 >= 0 }), let target = ONNXConstant.broadcast(source, wanted) else {
        throw node.malformed("the shape \(source) cannot become \(wanted)")
      }
      return target
    }
    switch try value(node, 0) {
    case .constant(let constant):
      let target = try target(constant.shape)
      try account(for: ONNXConstant.elementCount(of: target) ?? .max, node)
      guard let result = constant.broadcast(to: target) else { throw node.malformed("its result is too large") }
      setOutput(node, to: result)
    case .tensor(let id):
      let source = shape(of: id)
      let target = try target(source)
      let input = try tensor(node, 0, allowsIntegers: true)
      guard ONNXConstant.elementCount(of: source) != ONNXConstant.elementCount(of: target) else {
        return setOutput(node, to: try reshaped(input, to: target, for: node, role: "shape"))
      }
      // Adding zeros is the operation that repeats.
      let zeros = try addZeros(shape: target, for: node)
      setOutput(node, to: try add(.binary(BinaryOp(.add)), [input, zeros], shape: target, for: node))
    case .unknown: break
    }
  }

  /// More copies of an activation than this are refused.
  private static let largestRepetition = 4096

  fileprivate mutating func importTile(_ node: ONNXNode) throws(ModelError) {
    guard let repeats = try optionalIntegers(node, 1, "repeats") else { throw node.malformed("it has no repeats") }
    func check(_ source: [Int]) throws(ModelError) {
      guard repeats.count == source.count, repeats.allSatisfy({ $0 > 0 }) else {
        throw node.malformed("its repeats \(repeats) do not fit the shape \(source)")
      }
      for count in repeats where count > Self.largestRepetition {
        throw node.unsupported("it repeats its input \(count) times")
      }
    }
    switch try value(node, 0) {
    case .constant(var constant):
      try check(constant.shape)
      for (axis, count) in repeats.enumerated() where count > 1 {
        try account(for: constant.elements.count * count, node)
        guard let tiled = ONNXConstant.concatenated([ONNXConstant](repeating: constant, count: count), axis: axis)
        else { throw node.malformed("its result is too large") }
        constant = tiled
      }
      setOutput(node, to: constant)
    case .tensor:
      var input = try tensor(node, 0, allowsIntegers: true)
      try check(shape(of: input))
      for (axis, count) in repeats.enumerated() where count > 1 {
        input = try concatenated([TensorID](repeating: input, count: count), axis: axis, for: node)
      }
      setOutput(node, to: input)
    case .unknown: break
    }
  }

  // MARK: Channels and pixels

  private func block(_ node: ONNXNode, _ source: [Int]) throws(ModelError) -> Int {
    guard source.count == 4 else { throw node.malformed("its input has the shape \(source)") }
    guard let block = try node.int("blocksize"), block >= 1, block <= 1 << 15 else {
      throw node.malformed("its attribute \"blocksize\" is missing or out of range")
    }
    return block
  }

  /// Channels become blocks of pixels. Channels-last, the channels of a pixel are [row, column, rest] in mode DCR and
  /// [rest, row, column] in mode CRD.
  fileprivate mutating func importDepthToSpace(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let block = try block(node, source)
    let (rows, columns, rest) = (source[2], source[3], source[1] / (block * block))
    guard rest >= 1, source[1] == rest * block * block else {
      throw node.malformed("\(source[1]) channels do not make blocks of \(block) by \(block)")
    }
    let image = try channelsLast(input, for: node)
    let lines = source[0] * rows
    let moved: TensorID
    switch try node.string("mode", default: "DCR") {
    case "DCR":
      let parts = try reshaped(image, to: [lines, columns, block, block * rest], for: node, role: "blocks")
      moved = try transposed(parts, [0, 2, 1, 3], for: node, role: "lines")
    case "CRD":
      let parts = try reshaped(image, to: [lines, columns, rest, block, block], for: node, role: "blocks")
      moved = try transposed(parts, [0, 3, 1, 4, 2], for: node, role: "lines")
    case let other: throw node.malformed("its attribute \"mode\" is \"\(other)\"")
    }
    let shape = [source[0], rows * block, columns * block, rest]
    let result = try add(.reshape(ReshapeOp(shape: shape)), [moved], shape: shape, for: node)
    try setOutput(node, channelsLast: result, rank: 4)
  }

  /// Blocks of pixels become channels, in the orders that DepthToSpace reads.
  fileprivate mutating func importSpaceToDepth(_ node: ONNXNode) throws(ModelError) {
    let input = try tensor(node, 0)
    let source = shape(of: input)
    let block = try block(node, source)
    let (rows, columns) = (source[2] / block, source[3] / block)
    guard rows * block == source[2], columns * block == source[3] else {
      throw node.malformed("the shape \(source) does not consist of blocks of \(block) by \(block)")
    }
    let image = try channelsLast(input, for: node)
    let lines = source[0] * rows
    let moved: TensorID
    switch try node.string("mode", default: "DCR") {
    case "DCR":
      let parts = try reshaped(image, to: [lines, block, columns, block * source[1]], for: node, role: "lines")
      moved = try transposed(parts, [0, 2, 1, 3], for: node, role: "blocks")
    case "CRD":
      let parts = try reshaped(image, to: [lines, block, columns, block, source[1]], for: node, role: "lines")
      moved = try transposed(parts, [0, 2, 4, 1, 3], for: node, role: "blocks")
    case let other: throw node.malformed("its attribute \"mode\" is \"\(other)\"")
    }
    let shape = [source[0], rows, columns, source[1] * block * block]
    let result = try add(.reshape(ReshapeOp(shape: shape)), [moved], shape: shape, for: node)
    try setOutput(node, channelsLast: result, rank: 4)
  }
}
