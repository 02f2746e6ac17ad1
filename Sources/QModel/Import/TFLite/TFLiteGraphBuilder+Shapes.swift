// Operators that move values without changing them, and resizing.
extension TFLiteGraphBuilder {
  /// A non-negative axis below `rank`.
  func normalizedAxis(_ axis: Int, rank: Int) throws(TFLiteProblem) -> Int {
    let normalized = axis < 0 ? axis + rank : axis
    guard normalized >= 0, normalized < rank else {
      throw .malformed("the axis \(axis) does not exist in a tensor of \(rank) axes")
    }
    return normalized
  }

  // MARK: - Same values, other shape

  /// Declares a result with the values of `input` in another shape.
  private mutating func appendReshape(_ op: Operator, _ input: Operand, shape: [Int]) throws(TFLiteProblem) {
    guard shape.allSatisfy({ $0 >= 1 }), Self.product(shape) == Self.product(input.shape) else {
      throw .malformed("the shape \(input.shape) cannot become \(shape)")
    }
    let output = try define(op, shape: shape, types: sameType(input))
    if let data = input.data {
      graph.tensors[output].data = data
    } else {
      append(op, .reshape(ReshapeOp(shape: shape)), [input.id], [output])
    }
  }

  /// The number of elements, saturating: shapes come from the file.
  static func product(_ shape: [Int]) -> Int {
    shape.reduce(1) { product, size in
      let (value, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? Int.max : value
    }
  }

  mutating func importReshape(_ op: Operator) throws(TFLiteProblem) {
    guard case .reshape(let optionShape) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    var shape: [Int]
    if try inputIndex(op, 1) != nil {
      shape = try resultShape(op, shapePosition: 1)
    } else if let optionShape {
      shape = optionShape.map { Int($0) }
    } else {
      throw .malformed("there is no new shape")
    }
    // Old converters wrote the shape of a scalar as [0].
    if shape == [0] { shape = [] }
    let unknown = shape.indices.filter { shape[$0] == -1 }
    if unknown.count == 1 {
      shape[unknown[0]] = 1
      let known = Self.product(shape)
      let count = Self.product(input.shape)
      guard known >= 1, count % known == 0 else {
        throw .malformed("the shape \(input.shape) cannot become \(shape) with one free axis")
      }
      shape[unknown[0]] = count / known
    }
    try appendReshape(op, input, shape: shape)
  }

  mutating func importSqueeze(_ op: Operator) throws(TFLiteProblem) {
    guard case .squeeze(let axes) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    var removed: Set<Int> = []
    for axis in axes { removed.insert(try normalizedAxis(Int(axis), rank: input.rank)) }
    if axes.isEmpty { removed = Set(input.shape.indices.filter { input.shape[$0] == 1 }) }
    guard removed.allSatisfy({ input.shape[$0] == 1 }) else {
      throw .malformed("the axes \(axes) of the shape \(input.shape) are not all 1")
    }
    try appendReshape(op, input, shape: input.shape.indices.filter { !removed.contains($0) }.map { input.shape[$0] })
  }

  mutating func importExpandDims(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let axes = try constantIntegers(op, 1)
    guard axes.count == 1 else { throw .malformed("expected one axis, found \(axes)") }
    var shape = input.shape
    shape.insert(1, at: try normalizedAxis(axes[0], rank: input.rank + 1))
    try appendReshape(op, input, shape: shape)
  }

  // MARK: - Order and parts

  mutating func importTranspose(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    var permutation: [Int] = []
    for axis in try constantIntegers(op, 1) { permutation.append(try normalizedAxis(axis, rank: input.rank)) }
    guard permutation.sorted() == Array(input.shape.indices) else {
      throw .malformed("\(permutation) is not a permutation of the \(input.rank) axes")
    }
    let output = try define(op, shape: permutation.map { input.shape[$0] }, types: sameType(input))
    if let data = input.data {
      try chargeDecoding(8 * data.count, try requiredIndex(op, 0))
      graph.tensors[output].data = Self.permuted(data, shape: input.shape, permutation: permutation)
    } else {
      append(op, .transpose(TransposeOp(permutation: permutation)), [input.id], [output])
    }
  }

  /// A constant with its axes in another order.
  static func permuted(_ data: TensorData, shape: [Int], permutation: [Int]) -> TensorData {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    let outer = permutation.map { shape[$0] }
    let steps = permutation.map { strides[$0] }
    func values<T>(_ source: [T]) -> [T] {
      var index = [Int](repeating: 0, count: outer.count)
      var position = 0
      var result: [T] = []
      result.reserveCapacity(source.count)
      for _ in source.indices {
        result.append(source[position])
        for axis in stride(from: outer.count - 1, through: 0, by: -1) {
          index[axis] += 1
          position += steps[axis]
          if index[axis] < outer[axis] { break }
          position -= steps[axis] * outer[axis]
          index[axis] = 0
        }
      }
      return result
    }
    switch data {
    case .float(let source): return .float(values(source))
    case .int8(let source): return .int8(values(source))
    case .int16(let source): return .int16(values(source))
    case .int32(let source): return .int32(values(source))
    case .int64(let source): return .int64(values(source))
    }
  }

  mutating func importSlice(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let begin = try constantIntegers(op, 1)
    let size = try constantIntegers(op, 2)
    guard begin.count == input.rank, size.count == input.rank else {
      throw .malformed("begin \(begin) and size \(size) do not fit the shape \(input.shape)")
    }
    var sizes: [Int] = []
    for (axis, extent) in input.shape.enumerated() {
      let length = size[axis] == -1 ? extent - min(max(begin[axis], 0), extent) : size[axis]
      guard begin[axis] >= 0, length >= 1, begin[axis] <= extent, length <= extent - begin[axis] else {
        throw .malformed("begin \(begin) and size \(size) leave the shape \(input.shape)")
      }
      sizes.append(length)
    }
    let output = try define(op, shape: sizes, types: sameType(input))
    let strides = [Int](repeating: 1, count: input.rank)
    append(op, .slice(SliceOp(starts: begin, sizes: sizes, strides: strides)), [input.id], [output])
  }

  /// A walk backwards along some axes.
  mutating func importReverse(_ op: Operator) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    var starts = [Int](repeating: 0, count: input.rank)
    var strides = [Int](repeating: 1, count: input.rank)
    for axis in try constantIntegers(op, 1) {
      let axis = try normalizedAxis(axis, rank: input.rank)
      guard strides[axis] == 1 else { throw .malformed("axis \(axis) is reversed twice") }
      (starts[axis], strides[axis]) = (input.shape[axis] - 1, -1)
    }
    let output = try define(op, shape: input.shape, types: sameType(input))
    append(op, .slice(SliceOp(starts: starts, sizes: input.shape, strides: strides)), [input.id], [output])
  }

  mutating func importStridedSlice(_ op: Operator) throws(TFLiteProblem) {
    guard case .stridedSlice(let options) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    let resolved = try TFLiteStridedSlice(
      shape: input.shape, begin: try constantIntegers(op, 1), end: try constantIntegers(op, 2),
      strides: try constantIntegers(op, 3), options: options)
    guard resolved.sizes.allSatisfy({ $0 >= 1 }) else { throw .unsupported("the slice is empty") }
    let output = try define(op, shape: resolved.shape, types: sameType(input))
    let isReshaped = resolved.shape != resolved.sizes
    let target = isReshaped ? temporary(like: output, shape: resolved.sizes) : output
    append(
      op, .slice(SliceOp(starts: resolved.starts, sizes: resolved.sizes, strides: resolved.strides)), [input.id],
      [target])
    if isReshaped { append(op, .reshape(ReshapeOp(shape: resolved.shape)), [target], [output]) }
  }

  mutating func importSplit(_ op: Operator) throws(TFLiteProblem) {
    guard case .split(let count) = op.record.options else { throw mismatchedOptions(op) }
    let axes = try constantIntegers(op, 0)
    let input = try activation(op, 1)
    guard axes.count == 1 else { throw .malformed("expected one axis, found \(axes)") }
    let axis = try normalizedAxis(axes[0], rank: input.rank)
    guard count >= 1, Int(count) == op.record.outputs.count, input.shape[axis] % Int(count) == 0 else {
      throw .malformed(
        "axis \(axis) of \(input.shape) cannot be split into \(count) parts for \(op.record.outputs.count) outputs")
    }
    let sizes = [Int](repeating: input.shape[axis] / Int(count), count: Int(count))
    try appendSplit(op, input, axis: axis, sizes: sizes)
  }

  mutating func importSplitV(_ op: Operator) throws(TFLiteProblem) {
    guard case .split(let count) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    var sizes = try constantIntegers(op, 1)
    let axes = try constantIntegers(op, 2)
    guard axes.count == 1 else { throw .malformed("expected one axis, found \(axes)") }
    let axis = try normalizedAxis(axes[0], rank: input.rank)
    let extent = input.shape[axis]
    let problem = TFLiteProblem.malformed(
      "axis \(axis) of \(input.shape) cannot be split into the sizes \(sizes) for \(op.record.outputs.count) outputs")
    guard Int(count) == sizes.count, sizes.count == op.record.outputs.count,
      sizes.allSatisfy({ $0 >= -1 && $0 <= extent })
    else { throw problem }
    let unknown = sizes.indices.filter { sizes[$0] == -1 }
    if unknown.count == 1 { sizes[unknown[0]] = extent - (sizes.reduce(0, +) + 1) }
    guard sizes.allSatisfy({ $0 >= 1 }), sizes.reduce(0, +) == extent else { throw problem }
    try appendSplit(op, input, axis: axis, sizes: sizes)
  }

  private mutating func appendSplit(
    _ op: Operator, _ input: Operand, axis: Int, sizes: [Int]
  ) throws(TFLiteProblem) {
    var outputs: [TensorID] = []
    for (position, size) in sizes.enumerated() {
      var shape = input.shape
      shape[axis] = size
      outputs.append(try define(op, position, shape: shape, types: sameType(input)))
    }
    append(op, .split(SplitOp(axis: axis, sizes: sizes)), [input.id], outputs)
  }

  // MARK: - Joining

  mutating func importConcatenation(_ op: Operator) throws(TFLiteProblem) {
    guard case .concatenation(let axis, let activation) = op.record.options else { throw mismatchedOptions(op) }
    var inputs: [Operand] = []
    for position in op.record.inputs.indices { inputs.append(try self.activation(op, position)) }
    try appendConcatenation(op, inputs, axis: Int(axis), activation: activation)
  }

  private mutating func appendConcatenation(
    _ op: Operator, _ inputs: [Operand], axis: Int, activation: TFLiteActivation
  ) throws(TFLiteProblem) {
    guard let first = inputs.first else { throw .malformed("there are no inputs") }
    let axis = try normalizedAxis(axis, rank: first.rank)
    var shape = first.shape
    shape[axis] = 0
    for input in inputs {
      var other = input.shape
      guard other.count == shape.count, input.type == first.type else {
        throw .malformed("\(first.type) \(first.shape) and \(input.type) \(input.shape) cannot be joined along \(axis)")
      }
      // Sizes are below 2^29 and inputs below 2^30, so the sum is far from overflow.
      shape[axis] += other[axis]
      other[axis] = shape[axis]
      guard other == shape else {
        throw .malformed("the shapes \(first.shape) and \(input.shape) cannot be joined along axis \(axis)")
      }
    }
    var joined = ConcatenationOp(axis: axis)
    joined.activation = try fusedActivation(activation)
    let output = try define(op, shape: shape, types: sameType(first))
    append(op, .concatenation(joined), inputs.map(\.id), [output])
  }

  /// A new axis in every input, then a concatenation along it.
  mutating func importPack(_ op: Operator) throws(TFLiteProblem) {
    guard case .pack(let count, let axis) = op.record.options else { throw mismatchedOptions(op) }
    guard Int(count) == op.record.inputs.count else {
      throw .malformed("\(count) inputs are packed, but there are \(op.record.inputs.count)")
    }
    var inputs: [Operand] = []
    for position in op.record.inputs.indices {
      let input = try activation(op, position)
      var shape = input.shape
      shape.insert(1, at: try normalizedAxis(Int(axis), rank: input.rank + 1))
      let expanded = temporary(like: input.id, shape: shape)
      if let data = input.data {
        graph.tensors[expanded].data = data
      } else {
        append(op, .reshape(ReshapeOp(shape: shape)), [input.id], [expanded])
      }
      inputs.append(operand(expanded))
    }
    let place = try normalizedAxis(Int(axis), rank: inputs.first?.rank ?? 0)
    try appendConcatenation(op, inputs, axis: place, activation: .none)
  }

  /// A split into slices of one, then each without the axis.
  mutating func importUnpack(_ op: Operator) throws(TFLiteProblem) {
    guard case .unpack(let count, let axis) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    let place = try normalizedAxis(Int(axis), rank: input.rank)
    guard input.shape[place] == Int(count), op.record.outputs.count == Int(count) else {
      throw .malformed("axis \(place) of \(input.shape) does not unpack into \(op.record.outputs.count) outputs")
    }
    var shape = input.shape
    shape.remove(at: place)
    var thick = input.shape
    thick[place] = 1
    var parts: [TensorID] = []
    var outputs: [TensorID] = []
    for position in op.record.outputs.indices {
      let output = try define(op, position, shape: shape, types: sameType(input))
      outputs.append(output)
      parts.append(temporary(like: output, shape: thick))
    }
    let sizes = [Int](repeating: 1, count: Int(count))
    append(op, .split(SplitOp(axis: place, sizes: sizes)), [input.id], parts)
    for (part, output) in zip(parts, outputs) { append(op, .reshape(ReshapeOp(shape: shape)), [part], [output]) }
  }

  // MARK: - Padding and resizing

  /// Amounts before and after each axis.
  private mutating func paddings(_ op: Operator, _ input: Operand) throws(TFLiteProblem) -> (
    before: [Int], after: [Int]
  ) {
    let amounts = try constantIntegers(op, 1)
    guard amounts.count == 2 * input.rank, amounts.allSatisfy({ $0 >= 0 && $0 <= 1 << 29 }) else {
      throw .malformed("the paddings \(amounts) do not fit the shape \(input.shape)")
    }
    return (input.shape.indices.map { amounts[2 * $0] }, input.shape.indices.map { amounts[2 * $0 + 1] })
  }

  /// Pads with zero (the output's zero point), or with the value at `valuePosition`.
  mutating func importPad(_ op: Operator, valuePosition: Int?) throws(TFLiteProblem) {
    let input = try activation(op, 0)
    let (before, after) = try paddings(op, input)
    let shape = input.shape.indices.map { before[$0] + input.shape[$0] + after[$0] }
    let output = try define(op, shape: shape, types: sameType(input))
    var value: Float = 0
    if let valuePosition, try inputIndex(op, valuePosition) != nil {
      let constant = try activation(op, valuePosition)
      guard let data = constant.data, data.count == 1, constant.type == input.type else {
        throw .unsupported("the padding value is not one constant of type \(input.type)")
      }
      guard graph.tensors[constant.id].quantization == graph.tensors[output].quantization else {
        throw .malformed("the padding value, \(label(constant.id)), has another quantization than the result")
      }
      value = data.floats?.first ?? 0
      if let integer = data.integers?.first, let quantization = graph.tensors[output].quantization {
        value = quantization.scale * Float(integer - quantization.zeroPoint)
      }
    }
    append(op, .pad(PadOp(before: before, after: after, mode: .constant(value))), [input.id], [output])
  }

  mutating func importMirrorPad(_ op: Operator) throws(TFLiteProblem) {
    guard case .mirrorPad(let isSymmetric) = op.record.options else { throw mismatchedOptions(op) }
    let input = try activation(op, 0)
    let (before, after) = try paddings(op, input)
    for (axis, size) in input.shape.enumerated() {
      let limit = isSymmetric ? size : size - 1
      guard before[axis] <= limit, after[axis] <= limit else {
        throw .malformed("axis \(axis) of \(input.shape) cannot be mirrored by \(before[axis]) and \(after[axis])")
      }
    }
    let shape = input.shape.indices.map { before[$0] + input.shape[$0] + after[$0] }
    let output = try define(op, shape: shape, types: sameType(input))
    append(
      op, .pad(PadOp(before: before, after: after, mode: isSymmetric ? .symmetric : .reflect)), [input.id], [output])
  }

  /// TFLite's nearest neighbour is floor((x + offset) * ratio), or, with aligned corners, rounded half up; the first with
  /// an offset of a half is the half-pixel coordinate rounded half up.
  mutating func importResize(_ op: Operator, isNearest: Bool) throws(TFLiteProblem) {
    guard case .resize(let alignCorners, let halfPixelCenters) = op.record.options else { throw mismatchedOptions(op) }
    guard !(alignCorners && halfPixelCenters) else {
      throw .malformed("align_corners and half_pixel_centers exclude each other")
    }
    let input = try activation(op, 0, types: isNearest ? [.int8, .int16] : [.int8])
    let size = try constantIntegers(op, 1)
    guard input.rank == 4, size.count == 2, size.allSatisfy({ $0 >= 1 && $0 <= 1 << 29 }) else {
      throw .malformed("the input \(input.shape) cannot be resized to \(size)")
    }
    let resize = ResizeOp(
      mode: isNearest ? .nearest : .bilinear,
      coordinates: alignCorners ? .alignCorners : halfPixelCenters ? .halfPixel : .asymmetric,
      rounding: alignCorners || halfPixelCenters ? .roundPreferCeil : .floor, outputHeight: size[0],
      outputWidth: size[1])
    let output = try define(op, shape: [input.shape[0], size[0], size[1], input.shape[3]], types: sameType(input))
    append(op, .resize(resize), [input.id], [output])
  }
}

/// A strided slice with all its masks resolved.
struct TFLiteStridedSlice {
  /// One per axis of the input.
  var starts: [Int] = []
  var sizes: [Int] = []
  var strides: [Int] = []
  /// The shape of the result: `sizes` without the axes that shrink, with the new ones.
  var shape: [Int] = []

  /// Walks the entries of `begin`, `end` and `strides`, which are sparse: an ellipsis stands for several axes, a new axis
  /// for none.
  init(
    shape input: [Int], begin: [Int], end: [Int], strides steps: [Int], options: TFLiteOptions.StridedSlice
  ) throws(TFLiteProblem) {
    guard begin.count == end.count, begin.count == steps.count, begin.count < 32 else {
      throw .malformed("begin \(begin), end \(end) and strides \(steps) do not fit together")
    }
    func isSet(_ mask: Int32, _ entry: Int) -> Bool { mask >> Int32(entry) & 1 != 0 }
    guard begin.indices.filter({ isSet(options.ellipsisMask, $0) }).count <= 1 else {
      throw .malformed("there is more than one ellipsis")
    }
    for entry in begin.indices {
      if isSet(options.ellipsisMask, entry) {
        // Whatever the entries behind it leave over.
        let behind = begin.indices.filter { $0 > entry && !isSet(options.newAxisMask, $0) }.count
        while starts.count < input.count - behind { appendWhole(input[starts.count]) }
        continue
      }
      if isSet(options.newAxisMask, entry) {
        shape.append(1)
        continue
      }
      guard starts.count < input.count else { throw .malformed("begin \(begin) has more axes than \(input)") }
      let extent = input[starts.count]
      let step = steps[entry]
      guard step != 0 else { throw .malformed("the stride 0 is not possible") }
      // The bounds of a walk in either direction; the end may lie one before the first element.
      let bounds = step > 0 ? 0...extent : -1...(extent - 1)
      func position(_ value: Int, isOpen: Bool, extreme: Int) -> Int {
        if isOpen { return extreme }
        return min(max(value < 0 ? value + extent : value, bounds.lowerBound), bounds.upperBound)
      }
      let start = position(
        begin[entry], isOpen: isSet(options.beginMask, entry), extreme: step > 0 ? 0 : extent - 1)
      if isSet(options.shrinkAxisMask, entry) {
        guard start >= 0, start < extent else {
          throw .malformed("index \(begin[entry]) lies outside of an axis of \(extent)")
        }
        starts.append(start)
        sizes.append(1)
        strides.append(1)
        continue
      }
      let (sum, overflow) = start.addingReportingOverflow(end[entry])
      guard !overflow else { throw .malformed("begin \(begin) and end \(end) are out of range") }
      let stop = position(
        options.endIsOffset ? sum : end[entry], isOpen: isSet(options.endMask, entry),
        extreme: step > 0 ? extent : -1)
      let distance = step > 0 ? stop - start : start - stop
      let magnitude = step.magnitude
      let size = distance > 0 ? Int((UInt(distance) + magnitude - 1) / magnitude) : 0
      starts.append(start)
      sizes.append(size)
      // A stride that is never taken may be any number.
      strides.append(size > 1 ? step : 1)
      shape.append(size)
    }
    while starts.count < input.count { appendWhole(input[starts.count]) }
  }

  private mutating func appendWhole(_ extent: Int) {
    starts.append(0)
    sizes.append(extent)
    strides.append(1)
    shape.append(extent)
  }
}
