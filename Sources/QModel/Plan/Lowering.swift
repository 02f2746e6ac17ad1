import QKernels

/// From the nodes of an integer graph to the steps of a plan.
///
/// One method per op, in `Lowering+….swift`. Every integer that a kernel needs is computed here: multipliers, folded
/// biases, lookup tables, packed weights.
struct Lowering {
  let graph: Graph
  var builder = PlanBuilder()
  /// The plan's tensor for each tensor of the graph that has one.
  var planned: [TensorID: Int] = [:]
  /// Results of nodes that could not be lowered: what reads them is no finding of its own.
  private var failed: Set<TensorID> = []

  /// Lowers every node.
  ///
  /// - Throws: all nodes that cannot be lowered, each with its reason.
  static func lower(_ quantized: QuantizedGraph) throws(ModelError) -> PlanBuilder {
    // Once, so that the lowering of an op may rely on counts, ranks and sizes.
    try quantized.graph.validate()
    var lowering = Lowering(graph: quantized.graph.absorbingPads())
    try lowering.run()
    return lowering.builder
  }

  init(graph: Graph) { self.graph = graph }

  private mutating func run() throws(ModelError) {
    var problems: [String] = []
    var kind = ModelError.Kind.unsupported
    func note(_ error: ModelError, _ node: String? = nil) {
      problems += error.problems.map { problem in node.map { "\($0): \(problem)" } ?? problem }
      if error.kind == .malformed, !error.problems.isEmpty { kind = .malformed }
    }
    for id in graph.inputs {
      do throws(ModelError) { builder.inputs.append(try activation(id)) } catch { note(error) }
    }
    for node in graph.nodes {
      do throws(ModelError) {
        try lower(node)
      } catch {
        note(error, node.name)
        failed.formUnion(node.outputs)
      }
    }
    for id in graph.outputs where problems.isEmpty {
      do throws(ModelError) { builder.outputs.append(try existing(id)) } catch { note(error) }
    }
    if !problems.isEmpty { throw ModelError(kind, problems: problems) }
    if builder.inputs.isEmpty { throw ModelError(.malformed, "the model has no input") }
    if builder.outputs.isEmpty { throw ModelError(.malformed, "the model has no output") }
  }

  private mutating func lower(_ node: Node) throws(ModelError) {
    switch node.op {
    case .conv2D(let op): try lowerConv2D(node, op)
    case .depthwiseConv2D(let op): try lowerDepthwiseConv2D(node, op)
    case .transposeConv2D(let op): try lowerTransposeConv2D(node, op)
    case .fullyConnected(let op): try lowerFullyConnected(node, op)
    case .batchMatMul(let op): try lowerBatchMatMul(node, op)
    case .averagePool2D(let op): try lowerPool2D(node, op, isMaximum: false)
    case .maxPool2D(let op): try lowerPool2D(node, op, isMaximum: true)
    case .mean(let op): try lowerMean(node, op)
    case .binary(let op): try lowerBinary(node, op)
    case .unary(let op): try lowerUnary(node, op)
    case .prelu: try lowerPRelu(node)
    case .softmax(let op): try lowerSoftmax(node, op)
    case .logSoftmax(let op): try lowerLogSoftmax(node, op)
    case .batchNormalization(let op): try lowerBatchNormalization(node, op)
    case .concatenation(let op): try lowerConcatenation(node, op)
    case .split(let op): try lowerSplit(node, op)
    case .slice(let op): try lowerSlice(node, op)
    case .pad(let op): try lowerPad(node, op)
    case .reshape: try lowerReshape(node)
    case .transpose(let op): try lowerTranspose(node, op)
    case .resize(let op): try lowerResize(node, op)
    case .requantize: try lowerRequantize(node)
    case .recurrent(let op): try lowerRecurrent(node, op)
    case .svdf(let op): try lowerSVDF(node, op)
    }
  }
}

// Operands.
extension Lowering {
  /// A tensor of the graph with a type that a plan can store.
  struct Operand {
    var id: TensorID
    var shape: [Int]
    var type: StoredType
    var quantization: TensorQuantization?
    var label: String

    var elementCount: Int { shape.reduce(1, *) }
    /// The one scale; 0 for tensors without real meaning.
    var scale: Float { quantization?.scale ?? 0 }
    var zeroPoint: Int { quantization?.zeroPoint ?? 0 }
  }

  /// What messages call a tensor.
  func label(_ id: TensorID) -> String {
    let name = graph.tensors[id].name
    return name.isEmpty ? "tensor \(id)" : "tensor '\(name)'"
  }

  /// Operand or result `id` as an activation: int8, int16 or int32, with one scale.
  func operand(_ id: TensorID) throws(ModelError) -> Operand {
    let tensor = graph.tensors[id]
    guard let type = StoredType(tensor.type) else {
      throw ModelError(.unsupported, "\(label(id)) is \(tensor.type.rawValue), expected int8, int16 or int32")
    }
    guard tensor.shape.count <= ModelFormat.maximumRank else {
      throw ModelError(
        .unsupported, "\(label(id)) has \(tensor.shape.count) axes, at most \(ModelFormat.maximumRank) are supported")
    }
    if let quantization = tensor.quantization {
      guard quantization.scales.count == 1, quantization.zeroPoints.count == 1 else {
        throw ModelError(.malformed, "\(label(id)) has \(quantization.scales.count) scales, expected one")
      }
      guard quantization.scale.isFinite, quantization.scale > 0, type.range.contains(quantization.zeroPoint) else {
        throw ModelError(
          .malformed, "\(label(id)) has scale \(quantization.scale) and zero point \(quantization.zeroPoint)")
      }
    }
    return Operand(id: id, shape: tensor.shape, type: type, quantization: tensor.quantization, label: label(id))
  }

  /// Input `index` of a node; it is there (``Graph/validate()``).
  func input(_ node: Node, _ index: Int) throws(ModelError) -> Operand {
    guard index < node.inputs.count, let id = node.inputs[index] else {
      throw ModelError(.malformed, "operand \(index) is missing")
    }
    return try operand(id)
  }

  /// Output `index` of a node.
  func output(_ node: Node, _ index: Int = 0) throws(ModelError) -> Operand {
    guard index < node.outputs.count else { throw ModelError(.malformed, "output \(index) is missing") }
    return try operand(node.outputs[index])
  }

  /// An operand that must have a scale.
  func quantized(_ operand: Operand) throws(ModelError) -> Operand {
    guard operand.quantization != nil else { throw ModelError(.malformed, "\(operand.label) has no scale") }
    return operand
  }

  /// Throws unless an operand has one of the types.
  func require(_ operand: Operand, _ types: StoredType...) throws(ModelError) {
    guard types.contains(operand.type) else {
      throw ModelError(
        .unsupported,
        "\(operand.label) is \(operand.type), expected \(types.map { "\($0)" }.joined(separator: " or "))")
    }
  }

  /// The values of constant operand `index`, nil when it is absent.
  func integers(_ node: Node, _ index: Int) throws(ModelError) -> [Int]? {
    guard index < node.inputs.count, let id = node.inputs[index] else { return nil }
    guard let values = graph.tensors[id].data?.integers, values.count == graph.tensors[id].elementCount else {
      throw ModelError(.unsupported, "\(label(id)) is no integer constant, expected one")
    }
    return values
  }

  /// Whether operand `index` is a constant.
  func isConstant(_ node: Node, _ index: Int) -> Bool {
    guard index < node.inputs.count, let id = node.inputs[index] else { return false }
    return graph.tensors[id].isConstant
  }
}

// The plan's tensors.
extension Lowering {
  /// The plan's tensor of an activation or constant that is computed or known already.
  mutating func existing(_ id: TensorID) throws(ModelError) -> Int {
    if let index = planned[id] { return index }
    let tensor = graph.tensors[id]
    if tensor.isVariable { return try state(id) }
    if let data = tensor.data { return try addConstant(id, data) }
    throw ModelError(.malformed, problems: failed.contains(id) ? [] : ["\(label(id)) is read before it is computed"])
  }

  /// The plan's tensor of a model input or a node's result, made when there is none.
  mutating func activation(_ id: TensorID) throws(ModelError) -> Int {
    if let index = planned[id] { return index }
    return try add(id, place: .arena)
  }

  /// The plan's tensor of a variable tensor: state that starts at its zero point, or at its data.
  ///
  /// - Parameter shape: as its op sees it, when that is another one than the graph's.
  mutating func state(_ id: TensorID, shape: [Int]? = nil) throws(ModelError) -> Int {
    if let index = planned[id] { return index }
    var initialValue: UInt32?
    if let values = graph.tensors[id].data?.integers {
      initialValue = builder.constant(values, as: try operand(id).type)
    }
    let index = try add(id, place: .state(initialValue: initialValue))
    if let shape { builder.setShape(shape, of: index) }
    return index
  }

  private mutating func add(_ id: TensorID, place: PlanTensor.Place) throws(ModelError) -> Int {
    let operand = try operand(id)
    let source = graph.tensors[id]
    let index = builder.add(
      PlanTensor(
        name: source.name, shape: operand.shape, type: operand.type, scale: operand.scale, zeroPoint: operand.zeroPoint,
        place: place, sourceLayout: source.sourceLayout, batchAxis: source.batchAxis, sourceIndex: source.sourceIndex))
    planned[id] = index
    return index
  }

  private mutating func addConstant(_ id: TensorID, _ data: TensorData) throws(ModelError) -> Int {
    let operand = try operand(id)
    guard let values = data.integers, values.count == operand.elementCount else {
      throw ModelError(.malformed, "\(operand.label) has \(data.count) values for shape \(operand.shape)")
    }
    return try add(id, place: .constant(builder.constant(values, as: operand.type)))
  }

  /// Makes `id` another view of the memory of `source`, without a step.
  mutating func alias(_ id: TensorID, of source: TensorID) throws(ModelError) {
    try alias(id, ofPlanned: try existing(source))
  }

  /// Makes `id` another view of the memory of a plan's tensor.
  mutating func alias(_ id: TensorID, ofPlanned root: Int) throws(ModelError) {
    switch builder.tensors[builder.root(of: root)].place {
    case .constant(let offset): _ = try add(id, place: .constant(offset))
    case .arena, .alias: _ = try add(id, place: .alias(of: root))
    case .state:
      // The state may change before the view is read.
      let target = try activation(id)
      builder.step(.copy, CopyParams(), inputs: [root], outputs: [target])
    }
  }

  /// A tensor that the graph does not have.
  mutating func temporary(like operand: Operand, shape: [Int]? = nil, type: StoredType? = nil) -> Int {
    builder.add(
      PlanTensor(
        shape: shape ?? operand.shape, type: type ?? operand.type, scale: operand.scale, zeroPoint: operand.zeroPoint))
  }
}

extension PlanBuilder {
  /// Stores integers in the width of `type`; values beyond it are saturated.
  mutating func constant(_ values: [Int], as type: StoredType) -> UInt32 {
    switch type {
    case .int8: constant(values.map { Int8(clamping: $0) })
    case .int16: constant(values.map { Int16(clamping: $0) })
    case .int32: constant(values.map { Int32(clamping: $0) })
    }
  }
}

extension StoredType {
  /// The stored type of a graph's element type, nil when a plan has none.
  init?(_ type: ElementType) {
    switch type {
    case .int8: self = .int8
    case .int16: self = .int16
    case .int32: self = .int32
    case .float32, .int64, .uint8, .bool: return nil
    }
  }
}
