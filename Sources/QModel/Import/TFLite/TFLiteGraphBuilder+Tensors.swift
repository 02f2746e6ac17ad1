extension TFLiteGraphBuilder {
  /// A tensor as an operator reads it.
  struct Operand {
    var id: TensorID
    var shape: [Int]
    var type: ElementType
    /// Its contents, for constants.
    var data: TensorData?
    /// The scale of a quantized tensor that has one, else nil.
    var scale: Float?

    var rank: Int { shape.count }
  }

  // MARK: - Indices and shapes

  /// Words that identify a tensor in a message.
  func label(_ index: Int) -> String {
    let name = model.tensors[index].name
    return name.isEmpty ? "tensor \(index)" : "tensor \(index) '\(name)'"
  }

  /// The index of an existing tensor.
  func checkedIndex(_ raw: Int32) throws(TFLiteProblem) -> Int {
    guard raw >= 0, raw < Int32(clamping: model.tensors.count) else {
      throw .malformed("tensor \(raw) does not exist, there are \(model.tensors.count)")
    }
    return Int(raw)
  }

  /// The tensor of the graph that holds the contents of a tensor of the file.
  func resolved(_ index: Int) -> TensorID {
    // An output may stand for a repeated input: two steps at the most.
    let next = aliases[index] ?? index
    return aliases[next] ?? next
  }

  /// The shape of a tensor of the file: 1 to 6 axes (0 for a scalar), all >= 1, with a product that fits in memory.
  func checkedShape(_ index: Int) throws(TFLiteProblem) -> [Int] {
    let shape = model.tensors[index].shape.map { Int($0) }
    try Self.checkShape(shape, label(index))
    return shape
  }

  /// Checks a shape before anything is computed from it.
  static func checkShape(_ shape: [Int], _ label: String) throws(TFLiteProblem) {
    guard shape.count <= 6 else { throw .unsupported("\(label) has \(shape.count) axes, at most 6 are supported") }
    var count = 1
    for size in shape {
      guard size >= 1 else { throw .malformed("\(label) has the shape \(shape)") }
      // 2^29 elements of 4 bytes are the 2 GB that 32-bit offsets reach.
      guard size <= (1 << 29) / count else {
        throw .unsupported("\(label) has the shape \(shape), which is more than 2^29 elements")
      }
      count *= size
    }
  }

  // MARK: - Reading operands

  /// The tensor at an operator's input position; nil when the position is absent or says "none" (-1).
  func inputIndex(_ op: Operator, _ position: Int) throws(TFLiteProblem) -> Int? {
    guard position < op.record.inputs.count, op.record.inputs[position] != -1 else { return nil }
    let index = resolved(try checkedIndex(op.record.inputs[position]))
    switch availability[index] {
    case .stored, .state, .ready, .failed: return index
    case .missing:
      throw .malformed(
        "input \(position), \(label(index)), is not computed before it is used (it is missing, or part of a cycle)")
    }
  }

  func requiredIndex(_ op: Operator, _ position: Int) throws(TFLiteProblem) -> Int {
    guard let index = try inputIndex(op, position) else { throw .malformed("input \(position) is missing") }
    return index
  }

  /// An input that carries values of the network: an activation, or a constant in the place of one.
  ///
  /// In a quantized model it has one scale, and one of `types`.
  mutating func activation(
    _ op: Operator, _ position: Int, types: [ElementType] = [.int8, .int16]
  ) throws(TFLiteProblem) -> Operand {
    let index = try requiredIndex(op, position)
    guard availability[index] != .state else {
      throw .unsupported("input \(position), \(label(index)), is a state; states belong to recurrent operators")
    }
    guard !isQuantized || !types.isEmpty else {
      throw .unsupported("the operator is supported in float models only")
    }
    if try isKnown(index, orFailed: true) {
      try decodeConstant(index)
      if isQuantized { try requireActivation(index, types: types) } else { try requireFloatConstant(index) }
    } else {
      try requireActivation(index, types: isQuantized ? types : [.float32])
    }
    return operand(index)
  }

  /// Whether a tensor is a constant, of the file or folded.
  func isKnown(_ index: Int, orFailed: Bool = false) throws(TFLiteProblem) -> Bool {
    switch availability[index] {
    case .stored: return true
    case .ready, .state, .missing: return graph.tensors[index].data != nil
    case .failed:
      // Where only a constant will do, the failure that kept it from being folded has been reported already.
      guard orFailed else { throw .consequence }
      return false
    }
  }

  /// The operand for a tensor that has been checked.
  func operand(_ id: TensorID) -> Operand {
    let tensor = graph.tensors[id]
    let scales = tensor.quantization?.scales ?? []
    return Operand(
      id: id, shape: tensor.shape, type: tensor.type, data: tensor.data, scale: scales.count == 1 ? scales[0] : nil)
  }

  /// The values of a constant of integers (axes, sizes, paddings), or nil when it is not constant.
  mutating func integers(_ op: Operator, _ position: Int) throws(TFLiteProblem) -> [Int]? {
    let index = try requiredIndex(op, position)
    guard try isKnown(index) else { return nil }
    switch model.tensors[index].elementType {
    case .int32, .int64: break
    default:
      throw .malformed("input \(position), \(label(index)), is \(typeName(index)), expected int32 or int64")
    }
    try decodeConstant(index)
    return graph.tensors[index].data?.integers
  }

  /// The same, where only a constant will do.
  mutating func constantIntegers(_ op: Operator, _ position: Int) throws(TFLiteProblem) -> [Int] {
    guard let values = try integers(op, position) else {
      let index = try requiredIndex(op, position)
      throw .unsupported("input \(position), \(label(index)), is computed at run time, only constants are supported")
    }
    return values
  }

  /// The type of a tensor in the words of the schema.
  func typeName(_ index: Int) -> String {
    let tensor = model.tensors[index]
    return tensor.elementType.map { "\($0)" } ?? "of the unknown type \(tensor.elementTypeCode)"
  }

  // MARK: - Checking quantization

  /// Checks that a tensor's type is one of `types`, and in a quantized model that its quantization is sound.
  mutating func requireActivation(_ index: Int, types: [ElementType]) throws(TFLiteProblem) {
    let tensor = model.tensors[index]
    guard let type = graphType(of: tensor), types.contains(type) else {
      if isQuantized, tensor.elementType == .float32 || tensor.elementType == .float16 {
        throw .unsupported(
          "\(label(index)) is \(typeName(index)) inside a quantized model; only a QUANTIZE of a model input and a "
            + "DEQUANTIZE of a model output may touch floats")
      }
      let expected = types.map(\.rawValue).joined(separator: " or ")
      throw .unsupported("\(label(index)) is \(typeName(index)), supported is \(expected)")
    }
    guard !tensor.isSparse else { throw .unsupported("\(label(index)) is sparse") }
    if isQuantized { graph.tensors[index].quantization = try quantization(of: index, axis: nil) }
  }

  /// The type of an activation; nil when activations cannot have it.
  private func graphType(of tensor: TFLiteTensor) -> ElementType? {
    switch tensor.elementType {
    case .float32: .float32
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    default: nil
    }
  }

  /// The quantization of an integer tensor: one scale, or one per index of `axis`.
  func quantization(of index: Int, axis: Int?) throws(TFLiteProblem) -> TensorQuantization {
    let tensor = model.tensors[index]
    guard let stored = tensor.quantization, !stored.scales.isEmpty else {
      throw .malformed("\(label(index)) is \(typeName(index)) but has no scale")
    }
    guard !stored.hasCustomDetails else { throw .unsupported("\(label(index)) has a custom quantization") }
    guard stored.zeroPoints.count == stored.scales.count else {
      throw .malformed(
        "\(label(index)) has \(stored.scales.count) scales and \(stored.zeroPoints.count) zero points")
    }
    for scale in stored.scales where !(scale > 0 && scale.isFinite) {
      throw .malformed("\(label(index)) has the scale \(scale), expected a finite number above 0")
    }
    let bounds: ClosedRange<Int64> =
      switch tensor.elementType {
      case .int4: -8...7
      case .uint8: 0...255
      case .int16: -32_768...32_767
      case .int32, .int64: Int64(Int32.min)...Int64(Int32.max)
      default: -128...127
      }
    for zeroPoint in stored.zeroPoints where !bounds.contains(zeroPoint) {
      throw .malformed("\(label(index)) has the zero point \(zeroPoint), outside of \(typeName(index))")
    }
    if stored.scales.count == 1 {
      return TensorQuantization(scale: stored.scales[0], zeroPoint: Int(stored.zeroPoints[0]))
    }
    guard let axis else {
      throw .malformed("\(label(index)) has \(stored.scales.count) scales, expected 1")
    }
    guard stored.quantizedDimension == Int32(clamping: axis) else {
      throw .malformed(
        "\(label(index)) has scales per index of axis \(stored.quantizedDimension), expected the output channels, "
          + "axis \(axis)")
    }
    guard axis < tensor.shape.count, Int(tensor.shape[axis]) == stored.scales.count else {
      throw .malformed(
        "\(label(index)) of shape \(tensor.shape) has \(stored.scales.count) scales for axis \(axis)")
    }
    return TensorQuantization(scales: stored.scales, zeroPoints: stored.zeroPoints.map { Int($0) }, axis: axis)
  }

  // MARK: - Weights and biases

  /// Constant weights whose output channels lie on `channelAxis`: floats in a float model, int8 in a quantized one.
  ///
  /// Quantized weights have the zero point 0 unless `allowsZeroPoint`, which one scale must then go with. int16 weights
  /// are allowed where `types` says so (the time weights of SVDF).
  mutating func weights(
    _ op: Operator, _ position: Int, channelAxis: Int?, types: [TFLiteElementType] = [.int8],
    allowsZeroPoint: Bool = false
  ) throws(TFLiteProblem) -> Operand {
    let index = try requiredIndex(op, position)
    guard try isKnown(index) else {
      throw .unsupported("the weights, \(label(index)), are computed at run time, only constants are supported")
    }
    try decodeConstant(index)
    guard isQuantized else {
      try requireFloatConstant(index)
      return operand(index)
    }
    guard let type = model.tensors[index].elementType, types.contains(type) else {
      let expected = types.map { "\($0)" }.joined(separator: " or ")
      throw .unsupported("the weights, \(label(index)), are \(typeName(index)), supported is \(expected)")
    }
    let quantization = try quantization(of: index, axis: channelAxis)
    guard quantization.zeroPoints.allSatisfy({ $0 == 0 }) || (allowsZeroPoint && quantization.axis == nil) else {
      throw .malformed("the weights, \(label(index)), have a zero point other than 0")
    }
    graph.tensors[index].quantization = quantization
    return operand(index)
  }

  /// A constant bias with one value per channel; nil when the operator has none.
  ///
  /// Quantized: int32 (where `input` is int16 also int64, and int16, which is widened), zero point 0, and scales within 1 %
  /// of the input's times the weights' (converters agree to 10^-7). Which axis the scales claim does not matter, there is
  /// only one.
  mutating func bias(
    _ op: Operator, _ position: Int, channels: Int, input: Operand, weights: Operand
  ) throws(TFLiteProblem) -> Operand? {
    guard let index = try inputIndex(op, position) else { return nil }
    guard try isKnown(index) else {
      throw .unsupported("the bias, \(label(index)), is computed at run time, only constants are supported")
    }
    try decodeConstant(index)
    guard graph.tensors[index].data?.count == channels else {
      throw .malformed("the bias, \(label(index)), has the shape \(graph.tensors[index].shape), expected [\(channels)]")
    }
    graph.tensors[index].shape = [channels]
    guard isQuantized, let inputScale = input.scale else {
      try requireFloatConstant(index)
      return operand(index)
    }
    switch graph.tensors[index].data {
    case .int32: break
    case .int64 where input.type == .int16: break
    case .int16(let values) where input.type == .int16:
      graph.tensors[index].data = .int32(values.map { Int32($0) })
      graph.tensors[index].type = .int32
    default:
      throw .unsupported(
        "the bias, \(label(index)), is \(typeName(index)), supported is int32 (and int64 with int16 activations)")
    }
    let weightScales = graph.tensors[weights.id].quantization?.scales ?? []
    try checkBiasScales(index, channels: channels, inputScale: inputScale, weightScales: weightScales)
    return operand(index)
  }

  private mutating func checkBiasScales(
    _ index: Int, channels: Int, inputScale: Float, weightScales: [Float]
  ) throws(TFLiteProblem) {
    guard let stored = model.tensors[index].quantization, !stored.scales.isEmpty else {
      throw .malformed("the bias, \(label(index)), has no scale")
    }
    guard stored.scales.count == 1 || stored.scales.count == channels else {
      throw .malformed("the bias, \(label(index)), has \(stored.scales.count) scales for \(channels) channels")
    }
    guard stored.zeroPoints.count == stored.scales.count else {
      throw .malformed(
        "the bias, \(label(index)), has \(stored.scales.count) scales and \(stored.zeroPoints.count) zero points")
    }
    guard stored.zeroPoints.allSatisfy({ $0 == 0 }) else {
      throw .malformed("the bias, \(label(index)), has a zero point other than 0")
    }
    for channel in 0..<channels {
      let scale = stored.scales[stored.scales.count == 1 ? 0 : channel]
      guard scale > 0, scale.isFinite else {
        throw .malformed("the bias, \(label(index)), has the scale \(scale), expected a finite number above 0")
      }
      let product = Double(inputScale) * Double(weightScales[weightScales.count == 1 ? 0 : channel])
      // The constant forgives denormal scales, whose products lose their precision.
      guard abs(Double(scale) - product) <= 0.01 * product + 1e-37 else {
        throw .malformed(
          "the bias, \(label(index)), has the scale \(scale) in channel \(channel), which contradicts input scale times "
            + "weight scale, \(product)")
      }
    }
    graph.tensors[index].quantization =
      stored.scales.count == 1
      ? TensorQuantization(scale: stored.scales[0], zeroPoint: 0) : TensorQuantization(scales: stored.scales, axis: 0)
  }

  // MARK: - Results

  /// The tensor of an operator's result, which nothing may have computed before.
  func outputIndex(_ op: Operator, _ position: Int) throws(TFLiteProblem) -> Int {
    guard position < op.record.outputs.count else { throw .malformed("output \(position) is missing") }
    let index = try checkedIndex(op.record.outputs[position])
    guard availability[index] == .missing, aliases[index] == nil else {
      throw .malformed("output \(position), \(label(index)), is an input, a constant or computed twice")
    }
    return index
  }

  /// Declares an operator's result: its shape must be what the file says, its type one of `types`.
  mutating func define(
    _ op: Operator, _ position: Int = 0, shape: [Int], types: [ElementType]
  ) throws(TFLiteProblem) -> TensorID {
    let index = try outputIndex(op, position)
    try Self.checkShape(shape, label(index))
    let tensor = model.tensors[index]
    let free = tensor.shapeSignature ?? []
    let agrees =
      tensor.shape.count == shape.count
      && shape.indices.allSatisfy { axis in
        Int(tensor.shape[axis]) == shape[axis] || (axis < free.count && free[axis] < 0)
      }
    // A shape without axes also stands for "unknown".
    guard agrees || tensor.shape.isEmpty else {
      throw .malformed("\(label(index)) has the shape \(tensor.shape), but the operator computes \(shape)")
    }
    try requireActivation(index, types: types)
    graph.tensors[index].shape = shape
    availability[index] = .ready
    return index
  }

  /// A tensor that the file does not have, of the type and quantization of another.
  mutating func temporary(like id: TensorID, shape: [Int], batchAxis: Int? = nil) -> TensorID {
    graph.add(
      GraphTensor(
        shape: shape, type: graph.tensors[id].type, quantization: graph.tensors[id].quantization, batchAxis: batchAxis))
  }

  /// Appends a node.
  mutating func append(_ op: Operator, _ kind: OpKind, _ inputs: [TensorID?], _ outputs: [TensorID]) {
    graph.nodes.append(Node(name: op.name, op: kind, inputs: inputs, outputs: outputs))
  }
}
