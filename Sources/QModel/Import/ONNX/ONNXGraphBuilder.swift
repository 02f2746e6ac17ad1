/// The graph under construction, and what each tensor name of the source model stands for.
struct ONNXGraphBuilder {
  /// What a name stands for.
  enum Value {
    /// Elements known at import.
    case constant(ONNXConstant)
    /// A tensor of the graph.
    case tensor(TensorID)
    /// The result of a node that could not be imported.
    case unknown
  }

  private(set) var graph: Graph
  /// Names of the model's outputs, which keep their tensors apart from others.
  let outputNames: Set<String>
  private var values: [String: Value] = [:]
  /// Initializers that nobody has asked for yet.
  private var stored: [String: TensorProto]
  private let externalData: ONNXExternalData?
  /// Tensors made of constants, so that a constant used twice stands in the graph once.
  private var constantTensors: [String: TensorID] = [:]
  /// Tensors that the source gives as integers; the graph holds their values as floats.
  private var integerTypes: [TensorID: ONNXElementType] = [:]
  /// Elements that folding may still produce.
  private var foldingBudget: Int

  /// An empty graph over the stored constants.
  ///
  /// - Parameters:
  ///   - foldingBudget: How many elements constant folding may produce in total.
  init(
    name: String, outputNames: Set<String>, initializers: [String: TensorProto], externalData: ONNXExternalData?,
    foldingBudget: Int
  ) {
    self.graph = Graph(name: name)
    self.outputNames = outputNames
    self.stored = initializers
    self.externalData = externalData
    self.foldingBudget = foldingBudget
  }

  // MARK: Values

  /// Decodes a stored tensor that belongs to a node or the model.
  func decoded(_ tensor: TensorProto) throws(ModelError) -> ONNXConstant {
    try ONNXConstant(tensor, externalData: externalData)
  }

  /// Whether a name has a value or an initializer.
  func isDefined(_ name: String) -> Bool { values[name] != nil || stored[name] != nil }

  /// Returns what a name stands for; `nil` if nothing has it.
  mutating func value(of name: String) throws(ModelError) -> Value? {
    if let value = values[name] { return value }
    guard let tensor = stored.removeValue(forKey: name) else { return nil }
    // Whoever asks next gets `unknown` rather than a second error, if this one throws.
    values[name] = .unknown
    let value = Value.constant(try decoded(tensor))
    values[name] = value
    return value
  }

  /// Binds a name.
  mutating func define(_ name: String, as value: Value) {
    values[name] = value
  }

  /// Adds an input of the model.
  mutating func addInput(_ tensor: GraphTensor, sourceType: ONNXElementType) {
    let id = graph.add(tensor)
    graph.inputs.append(id)
    if !sourceType.isFloatingPoint { integerTypes[id] = sourceType }
    values[tensor.name] = .tensor(id)
  }

  /// Stands in for a tensor that could not be computed, so that what follows can be checked.
  mutating func addPlaceholder(_ tensor: GraphTensor, sourceType: ONNXElementType) {
    let id = graph.add(tensor)
    if !sourceType.isFloatingPoint { integerTypes[id] = sourceType }
    values[tensor.name] = .tensor(id)
  }

  /// Returns a tensor that may bear an output's name: the given one, or a copy if that is an input, a constant, or an
  /// output already.
  mutating func ownTensor(_ id: TensorID, named name: String, taken: [TensorID]) -> TensorID {
    if graph.tensors[id].name == name { return id }
    if !graph.inputs.contains(id) && !graph.tensors[id].isConstant && !taken.contains(id) {
      graph.tensors[id].name = name
      return id
    }
    let shape = shape(of: id)
    let copy = graph.add(GraphTensor(name: name, shape: shape))
    graph.nodes.append(
      Node(name: name, op: .reshape(ReshapeOp(shape: shape)), inputs: [id], outputs: [copy]))
    return copy
  }

  /// Sets the model's outputs.
  mutating func setOutputs(_ ids: [TensorID]) { graph.outputs = ids }

  /// Marks the axis that counts samples.
  mutating func setBatchAxis(_ axis: Int?, of id: TensorID) { graph.tensors[id].batchAxis = axis }

  /// Returns the shape of a tensor.
  func shape(of id: TensorID) -> [Int] { graph.tensors[id].shape }

  /// Takes the elements of a constant that is about to be made from the budget.
  mutating func account(for count: Int, _ node: ONNXNode) throws(ModelError) {
    guard count <= foldingBudget else {
      throw node.unsupported("its constants of \(count) elements are more than a model of this size may have")
    }
    foldingBudget -= count
  }

  // MARK: Operands of a node

  /// Returns an input's value; `nil` where it is left out.
  mutating func optionalValue(_ node: ONNXNode, _ index: Int) throws(ModelError) -> Value? {
    guard let name = node.input(index) else { return nil }
    guard let value = try value(of: name) else { throw node.malformed("nothing computes its input \"\(name)\"") }
    return value
  }

  /// Returns an input's value.
  mutating func value(_ node: ONNXNode, _ index: Int) throws(ModelError) -> Value {
    guard let value = try optionalValue(node, index) else { throw node.malformed("its input \(index) is missing") }
    return value
  }

  /// Returns an input that must be known at import; `nil` where it is left out.
  mutating func optionalConstant(
    _ node: ONNXNode, _ index: Int, _ role: StaticString
  ) throws(ModelError) -> ONNXConstant? {
    switch try optionalValue(node, index) {
    case nil: return nil
    case .constant(let constant): return constant
    case .tensor, .unknown: throw node.unsupported("its input \"\(role)\" is not a constant")
    }
  }

  /// Returns an input that must be known at import.
  mutating func constant(_ node: ONNXNode, _ index: Int, _ role: StaticString) throws(ModelError) -> ONNXConstant {
    guard let constant = try optionalConstant(node, index, role) else {
      throw node.malformed("its input \"\(role)\" is missing")
    }
    return constant
  }

  /// Returns weights or the like: finite floats known at import; `nil` where they are left out.
  mutating func optionalWeights(
    _ node: ONNXNode, _ index: Int, _ role: StaticString
  ) throws(ModelError) -> (values: [Float], shape: [Int])? {
    guard let constant = try optionalConstant(node, index, role) else { return nil }
    guard let values = constant.floats else {
      throw node.unsupported("its input \"\(role)\" is of type \(constant.elementType)")
    }
    guard values.allSatisfy({ $0.isFinite }) else {
      throw node.malformed("its input \"\(role)\" has a value that is not finite")
    }
    return (values, constant.shape)
  }

  /// Returns weights or the like: finite floats known at import.
  mutating func weights(
    _ node: ONNXNode, _ index: Int, _ role: StaticString
  ) throws(ModelError) -> (values: [Float], shape: [Int]) {
    guard let weights = try optionalWeights(node, index, role) else {
      throw node.malformed("its input \"\(role)\" is missing")
    }
    return weights
  }

  /// Returns integers known at import, as sizes or positions cut off at 2^40 either way; `nil` where they are left out.
  ///
  /// A scalar counts as a list of one.
  mutating func optionalIntegers(
    _ node: ONNXNode, _ index: Int, _ role: StaticString
  ) throws(ModelError) -> [Int]? {
    guard let constant = try optionalConstant(node, index, role) else { return nil }
    guard let integers = constant.integers, constant.shape.count <= 1 else {
      throw node.malformed("its input \"\(role)\" is not a list of integers")
    }
    return integers.map { ONNXNode.bounded($0) }
  }

  /// Returns one float known at import; `nil` where it is left out.
  mutating func optionalScalar(
    _ node: ONNXNode, _ index: Int, _ role: StaticString
  ) throws(ModelError) -> Float? {
    guard let constant = try optionalConstant(node, index, role) else { return nil }
    guard constant.elements.count == 1 else { throw node.malformed("its input \"\(role)\" is not one number") }
    switch constant.elements {
    case .floats(let values):
      guard !values[0].isNaN else { throw node.malformed("its input \"\(role)\" is not a number") }
      return values[0]
    case .integers(let values): return Float(values[0])
    }
  }

  /// Returns an input as a tensor of floats; a constant becomes a constant tensor.
  ///
  /// - Parameter allowsIntegers: Whether an integer tensor of the source will do, because its elements only move.
  mutating func tensor(
    _ node: ONNXNode, _ index: Int, allowsIntegers: Bool = false
  ) throws(ModelError) -> TensorID {
    let id: TensorID
    switch try value(node, index) {
    case .tensor(let known): id = known
    case .constant(let constant):
      guard constant.floats != nil else {
        throw node.unsupported("its input \(index) is of type \(constant.elementType)")
      }
      id = tensor(of: constant, named: node.input(index) ?? "")
    case .unknown: throw node.malformed("its input \(index) is not known")
    }
    if !allowsIntegers, let type = integerTypes[id] { throw node.unsupported("its input \(index) is of type \(type)") }
    return id
  }

  /// Marks a tensor as one of floats.
  mutating func setFloat(_ id: TensorID) { integerTypes[id] = nil }

  /// Returns the type of a tensor whose source is not floating point.
  func integerType(of id: TensorID) -> ONNXElementType? { integerTypes[id] }

  /// Returns the constant tensor of a constant that has a name.
  mutating func tensor(of constant: ONNXConstant, named name: String) -> TensorID {
    if !name.isEmpty, let id = constantTensors[name] { return id }
    let id = graph.add(constant.graphTensor(named: name))
    if !name.isEmpty { constantTensors[name] = id }
    return id
  }

  // MARK: Results of a node

  /// Adds a constant tensor of floats that the importer made, which may bear the name of what it was made of.
  mutating func addConstant(
    _ values: [Float], shape: [Int], name: String? = nil, for node: ONNXNode
  ) throws(ModelError) -> TensorID {
    try account(for: values.count, node)
    return graph.add(GraphTensor(name: name ?? "", shape: shape, data: .float(values)))
  }

  /// Adds a constant tensor of zeros.
  mutating func addZeros(shape: [Int], for node: ONNXNode) throws(ModelError) -> TensorID {
    let count = ONNXConstant.elementCount(of: shape) ?? .max
    try account(for: count, node)
    return graph.add(GraphTensor(shape: shape, data: .float([Float](repeating: 0, count: count))))
  }

  /// Adds an operation with one output and returns that.
  ///
  /// - Parameters:
  ///   - role: What the operation is for, when it is not the source node itself.
  ///   - shape: Shape of the result.
  mutating func add(
    _ op: OpKind, _ inputs: [TensorID?], shape: [Int], for node: ONNXNode, role: String? = nil
  ) throws(ModelError) -> TensorID {
    try add(op, inputs, shapes: [shape], for: node, role: role)[0]
  }

  /// Adds an operation and returns its outputs.
  mutating func add(
    _ op: OpKind, _ inputs: [TensorID?], shapes: [[Int]], for node: ONNXNode, role: String? = nil
  ) throws(ModelError) -> [TensorID] {
    for shape in shapes {
      guard let count = ONNXConstant.elementCount(of: shape), count > 0 else {
        throw node.unsupported("its result would have the shape \(shape)")
      }
    }
    let outputs = shapes.map { graph.add(GraphTensor(shape: $0)) }
    // Only what moves elements accepts integers, so the type stays.
    for case .some(let input) in inputs {
      if let type = integerTypes[input] { outputs.forEach { integerTypes[$0] = type } }
    }
    let name = role.map { "\(node.name)/\($0)" } ?? node.name
    graph.nodes.append(Node(name: name, op: op, inputs: inputs, outputs: outputs))
    return outputs
  }

  /// Binds an output of a node to a tensor, which takes its name unless it has one.
  mutating func setOutput(_ node: ONNXNode, _ index: Int = 0, to id: TensorID) {
    guard let name = node.output(index) else { return }
    if graph.tensors[id].name.isEmpty { graph.tensors[id].name = name }
    values[name] = .tensor(id)
  }

  /// Binds an output of a node to a constant.
  mutating func setOutput(_ node: ONNXNode, _ index: Int = 0, to constant: ONNXConstant) {
    if let name = node.output(index) { values[name] = .constant(constant) }
  }

  // MARK: Layout

  /// Returns the tensor with permuted axes: axis `i` of the result is axis `permutation[i]`.
  mutating func transposed(
    _ id: TensorID, _ permutation: [Int], for node: ONNXNode, role: String
  ) throws(ModelError) -> TensorID {
    if permutation == [Int](permutation.indices) { return id }
    let source = shape(of: id)
    let op = OpKind.transpose(TransposeOp(permutation: permutation))
    return try add(op, [id], shape: permutation.map { source[$0] }, for: node, role: role)
  }

  /// Returns the tensor with another shape of as many elements.
  mutating func reshaped(
    _ id: TensorID, to shape: [Int], for node: ONNXNode, role: String
  ) throws(ModelError) -> TensorID {
    if self.shape(of: id) == shape { return id }
    return try add(.reshape(ReshapeOp(shape: shape)), [id], shape: shape, for: node, role: role)
  }

  /// Returns a channels-first tensor [N,C,H,W] or [N,C,L] as [N,H,W,C], with H = 1 for the latter.
  mutating func channelsLast(_ id: TensorID, for node: ONNXNode) throws(ModelError) -> TensorID {
    let rank = shape(of: id).count
    guard rank == 3 || rank == 4 else {
      throw node.unsupported("its input has \(rank) axes; one and two spatial axes are supported")
    }
    if rank == 4 { return try transposed(id, [0, 2, 3, 1], for: node, role: "nhwc") }
    let last = try transposed(id, [0, 2, 1], for: node, role: "nhwc")
    let shape = shape(of: last)
    return try reshaped(last, to: [shape[0], 1, shape[1], shape[2]], for: node, role: "height")
  }

  /// Binds an output of a node to a result [N,H,W,C], as channels-first of the given rank.
  ///
  /// The channels-last tensor bears the source's name and says how its axes are ordered, so that the tensor can still be
  /// found when passes have removed the transposition.
  mutating func setOutput(
    _ node: ONNXNode, _ index: Int = 0, channelsLast id: TensorID, rank: Int
  ) throws(ModelError) {
    guard let name = node.output(index) else { return }
    var last = id
    if rank == 3 {
      let shape = shape(of: id)
      last = try reshaped(id, to: [shape[0], shape[2], shape[3]], for: node, role: "length")
    }
    let permutation = rank == 3 ? [0, 2, 1] : [0, 3, 1, 2]
    let first = try transposed(last, permutation, for: node, role: "nchw")
    if outputNames.contains(name) {
      graph.tensors[first].name = name
    } else {
      graph.tensors[last].name = name
      graph.tensors[last].sourceLayout = permutation
    }
    values[name] = .tensor(first)
  }
}

extension ONNXConstant {
  /// The constant as a tensor of the graph.
  func graphTensor(named name: String) -> GraphTensor {
    switch elements {
    case .floats(let values): GraphTensor(name: name, shape: shape, data: .float(values))
    case .integers(let values):
      switch elementType {
      case .int8: GraphTensor(name: name, shape: shape, type: .int8, data: .int8(values.map { Int8(clamping: $0) }))
      case .int16: GraphTensor(name: name, shape: shape, type: .int16, data: .int16(values.map { Int16(clamping: $0) }))
      case .int32: GraphTensor(name: name, shape: shape, type: .int32, data: .int32(values.map { Int32(clamping: $0) }))
      case .bool: GraphTensor(name: name, shape: shape, type: .bool, data: .int8(values.map { Int8(clamping: $0) }))
      case .float32, .uint8, .uint16, .int64, .string, .float16, .float64, .uint32, .uint64, .complex64, .complex128,
        .bfloat16, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .uint4, .int4, .float4E2M1,
        .float8E8M0:
        GraphTensor(name: name, shape: shape, type: .int64, data: .int64(values))
      }
    }
  }
}
