/// A parsed model on its way to a graph.
///
/// Operators are taken in the file's order, so everything an operator reads must be known by then: a value that is only
/// computed later, or never, is found when it is used. Each operator either appends nodes, or is folded into a constant,
/// or adds to `problems`; the outputs of one that failed count as `failed`, so that it does not make others fail.
struct TFLiteGraphBuilder {
  /// What is known of a tensor of the file.
  enum Availability {
    /// Neither constant nor computed so far.
    case missing
    /// A constant of the file that no operator has used yet.
    case stored
    /// Memory that is kept from run to run.
    case state
    /// An input, a result, or a decoded constant.
    case ready
    /// The result of an operator that failed.
    case failed
  }

  let model: TFLiteModel
  var graph: Graph
  /// One per tensor of the file.
  var availability: [Availability]
  /// Whether activations are integers.
  let isQuantized: Bool
  /// Tensors that others stand for: results of removed conversions.
  var aliases: [Int: Int] = [:]
  /// The model's inputs, as the file has them.
  var modelInputs: Set<Int> = []
  /// Model inputs that only say a shape which is known anyway.
  var shapeInputs: Set<Int> = []
  /// State tensors that an operator already owns.
  var ownedStates: Set<Int> = []
  /// Decoded contents of buffers, so that tensors which share a buffer share memory.
  var decodedBuffers: [BufferKey: TensorData] = [:]
  /// What may still be decoded, in bytes: a multiple of the file's size, however often its parts are shared.
  var decodingBudget: Int
  var problems: [TFLiteProblem] = []

  /// One way to read one buffer.
  struct BufferKey: Hashable {
    var buffer: UInt32
    var typeCode: Int8
    var count: Int
  }

  /// An operator and its place, for messages.
  struct Operator {
    var index: Int
    var record: TFLiteOperator
    /// "CONV_2D #3".
    var name: String { "\(record.code.name) #\(index)" }
  }

  init(_ model: TFLiteModel, name: String) {
    self.model = model
    isQuantized = Self.hasIntegerActivations(model)
    graph = Graph(name: name, origin: isQuantized ? .quantizedTFLite : .float)
    let (product, overflow) = model.bytes.count.multipliedReportingOverflow(by: 16)
    decodingBudget = overflow ? Int.max : product
    availability = model.tensors.map { tensor in
      if tensor.isVariable { return .state }
      return Self.isConstant(tensor, in: model) ? .stored : .missing
    }
    for (index, tensor) in model.tensors.enumerated() {
      _ = graph.add(
        GraphTensor(
          name: tensor.name.isEmpty ? "tensor_\(index)" : tensor.name, shape: tensor.shape.map { Int($0) },
          type: Self.elementType(of: tensor, isQuantized: isQuantized), isVariable: tensor.isVariable,
          batchAxis: Self.batchAxis(of: tensor), sourceIndex: index))
    }
  }

  /// Whether a tensor's buffer has contents; an integer vector of no elements is a constant too (the shape of a scalar).
  private static func isConstant(_ tensor: TFLiteTensor, in model: TFLiteModel) -> Bool {
    guard let buffer = Int(exactly: tensor.buffer), buffer < model.buffers.count else { return false }
    return !model.buffers[buffer].isEmpty
      || (tensor.shape == [0] && (tensor.elementType == .int32 || tensor.elementType == .int64))
  }

  /// The type that a tensor has in the graph: constants of a float model become float, and packed ones are unpacked.
  private static func elementType(of tensor: TFLiteTensor, isQuantized: Bool) -> ElementType {
    switch tensor.elementType {
    case .int32: .int32
    case .int64: .int64
    case .int16 where isQuantized: .int16
    case .int8 where isQuantized, .int4 where isQuantized: .int8
    case .uint8 where isQuantized: .uint8
    case .bool: .bool
    default: .float32
    }
  }

  /// The one axis that the file leaves free.
  private static func batchAxis(of tensor: TFLiteTensor) -> Int? {
    guard let signature = tensor.shapeSignature, signature.count == tensor.shape.count else { return nil }
    let free = signature.indices.filter { signature[$0] < 0 }
    return free.count == 1 ? free[0] : nil
  }

  /// Whether any operator reads or writes an 8- or 16-bit integer that is not a constant.
  private static func hasIntegerActivations(_ model: TFLiteModel) -> Bool {
    for op in model.operators {
      for index in op.inputs + op.outputs where index >= 0 && index < Int32(clamping: model.tensors.count) {
        let tensor = model.tensors[Int(index)]
        switch tensor.elementType {
        case .int8, .int16, .uint8, .int4:
          if !isConstant(tensor, in: model) { return true }
        default: break
        }
      }
    }
    return false
  }

  /// The finished graph, or everything that is wrong.
  mutating func build() throws(ModelError) -> Graph {
    do throws(TFLiteProblem) {
      try declareInputs()
    } catch {
      // Without sound inputs and outputs every operator would be reported.
      throw ModelError(error.kind, error.text)
    }
    var removed = removeBoundaryConversions()
    let joined = joinedConversions()
    removed.formUnion(joined.removed)
    for (index, record) in model.operators.enumerated() where !removed.contains(index) {
      importOperator(Operator(index: index, record: joined.records[index] ?? record))
    }
    do throws(TFLiteProblem) {
      try finishInputs()
      try finishOutputs()
    } catch {
      problems.append(error)
    }
    guard problems.isEmpty else {
      let isMalformed = problems.contains { $0.kind == .malformed }
      let isUnsupported = problems.contains { $0.kind == .unsupported }
      throw ModelError(
        isMalformed ? .malformed : .unsupported, problems: problems.map(\.text),
        hint: isUnsupported ? "'qcli ops' lists the supported operators and types" : nil)
    }
    clearUnusedTensors()
    return graph
  }

  /// Tensors that nothing uses have not been checked: their shapes may be anything, so they are taken away, as are
  /// constants that have been folded into others.
  private mutating func clearUnusedTensors() {
    var isUsed = [Bool](repeating: false, count: graph.tensors.count)
    for index in graph.inputs + graph.outputs { isUsed[index] = true }
    for node in graph.nodes {
      for index in node.inputs { if let index { isUsed[index] = true } }
      for index in node.outputs { isUsed[index] = true }
    }
    for index in graph.tensors.indices {
      let tensor = graph.tensors[index]
      if !isUsed[index] {
        graph.tensors[index] = GraphTensor(name: tensor.name, shape: [])
      } else if tensor.isConstant || tensor.isVariable || tensor.batchAxis ?? 0 >= tensor.shape.count {
        graph.tensors[index].batchAxis = nil
      }
    }
  }

  // MARK: - Inputs and outputs

  private mutating func declareInputs() throws(TFLiteProblem) {
    guard !model.inputs.isEmpty else { throw .malformed("the model has no inputs") }
    guard !model.outputs.isEmpty else { throw .malformed("the model has no outputs") }
    for raw in model.inputs {
      let index = try checkedIndex(raw)
      guard modelInputs.insert(index).inserted else { throw .malformed("\(label(index)) is an input twice") }
      guard availability[index] == .missing else {
        throw .malformed("\(label(index)) is an input, but has contents of its own")
      }
      let signature = model.tensors[index].shapeSignature ?? []
      guard !signature.dropFirst().contains(where: { $0 < 0 }) else {
        throw .unsupported("\(label(index)) has a free axis that is not the batch axis: \(signature)")
      }
      _ = try checkedShape(index)
      graph.inputs.append(index)
      availability[index] = .ready
    }
  }

  private mutating func finishInputs() throws(TFLiteProblem) {
    let read = Set(graph.nodes.flatMap { $0.inputs.compactMap { $0 } })
    graph.inputs.removeAll { shapeInputs.contains($0) && !read.contains($0) }
    guard !graph.inputs.isEmpty else { throw .malformed("the model has no inputs but shapes") }
    for index in graph.inputs { try checkBoundary(index) }
  }

  private mutating func finishOutputs() throws(TFLiteProblem) {
    for raw in model.outputs {
      let index = resolved(try checkedIndex(raw))
      switch availability[index] {
      case .failed: continue
      case .missing: throw .malformed("\(label(index)) is an output, but no operator computes it")
      case .state: throw .unsupported("\(label(index)) is an output, but a state")
      case .stored: throw .unsupported("\(label(index)) is an output, but a constant")
      case .ready: break
      }
      guard graph.tensors[index].data == nil else {
        throw .unsupported("\(label(index)) is an output, but a constant")
      }
      try checkBoundary(index)
      graph.outputs.append(index)
    }
  }

  /// Checks the type of a model input or output.
  private mutating func checkBoundary(_ index: Int) throws(TFLiteProblem) {
    if isQuantized {
      try requireActivation(index, types: [.int8, .int16, .int32])
    } else {
      try requireActivation(index, types: [.float32])
    }
  }

  // MARK: - Conversions at the border

  /// Finds the conversions that only change the type of a model input or output, and puts the integer tensor in its
  /// place; returns their operators' indices.
  private mutating func removeBoundaryConversions() -> Set<Int> {
    guard isQuantized else { return [] }
    let outputs = Set(model.outputs)
    var isRead = [Bool](repeating: false, count: model.tensors.count)
    for op in model.operators {
      for index in op.inputs where index >= 0 && index < Int32(clamping: isRead.count) { isRead[Int(index)] = true }
    }
    var replacements: [Int: Int] = [:]
    var removed: Set<Int> = []
    for (position, op) in model.operators.enumerated() where op.inputs.count == 1 && op.outputs.count == 1 {
      guard let code = TFLiteBuiltinOperator(rawValue: op.code.builtinCode), code == .quantize || code == .dequantize,
        let input = try? checkedIndex(op.inputs[0]), let output = try? checkedIndex(op.outputs[0]), input != output
      else { continue }
      if modelInputs.contains(input), availability[output] == .missing, isExternalForm(input, of: output) {
        if let twin = replacements[input] {
          // The same conversion once more; another one of the same input stays, and is reported as it is imported.
          guard model.tensors[twin].quantization == model.tensors[output].quantization,
            model.tensors[twin].elementType == model.tensors[output].elementType
          else { continue }
          aliases[output] = twin
        } else if let place = graph.inputs.firstIndex(of: input) {
          graph.inputs[place] = output
          graph.tensors[output].name = graph.tensors[input].name
          availability[output] = .ready
          replacements[input] = output
        }
        removed.insert(position)
      } else if outputs.contains(Int32(output)), !isRead[output], aliases[output] == nil,
        availability[output] == .missing, isExternalForm(output, of: input)
      {
        aliases[output] = input
        graph.tensors[input].name = graph.tensors[output].name
        removed.insert(position)
      }
    }
    return removed
  }

  // MARK: - Conversions around one operator

  /// DEQUANTIZE, a function of one value in float, QUANTIZE: what TensorFlow's converter writes for functions that it has no
  /// integer kernel for. All three are one table from int8 to int8.
  ///
  /// - Returns: the functions' operators with the integer tensors in place of the float ones, by index, and the indices of
  ///   the conversions.
  private func joinedConversions() -> (records: [Int: TFLiteOperator], removed: Set<Int>) {
    guard isQuantized else { return ([:], []) }
    // Who writes and who reads a tensor; nobody else may see the floats.
    var writer: [Int32: Int] = [:], readers: [Int32: [Int]] = [:]
    for (position, op) in model.operators.enumerated() {
      for index in op.outputs { writer[index] = position }
      for index in op.inputs { readers[index, default: []].append(position) }
    }
    let outputs = Set(model.outputs)
    /// The operator at `position`, if it has this code, one input and one output.
    func single(_ position: Int?, _ codes: Set<TFLiteBuiltinOperator>) -> TFLiteOperator? {
      guard let position else { return nil }
      let op = model.operators[position]
      guard let code = TFLiteBuiltinOperator(rawValue: op.code.builtinCode), codes.contains(code), op.inputs.count == 1,
        op.outputs.count == 1, (try? checkedIndex(op.inputs[0])) != nil, (try? checkedIndex(op.outputs[0])) != nil
      else { return nil }
      return op
    }
    var records: [Int: TFLiteOperator] = [:]
    var removed: Set<Int> = []
    for position in model.operators.indices {
      guard var function = single(position, [.elu, .gelu]), readers[function.inputs[0]] == [position],
        outputs.isDisjoint(with: [function.inputs[0], function.outputs[0]]), let before = writer[function.inputs[0]],
        let after = readers[function.outputs[0]]?.first, readers[function.outputs[0]]?.count == 1,
        before < position, position < after, let dequantize = single(before, [.dequantize]),
        let quantize = single(after, [.quantize]),
        model.tensors[Int(dequantize.inputs[0])].elementType == .int8,
        model.tensors[Int(quantize.outputs[0])].elementType == .int8
      else { continue }
      function.inputs = dequantize.inputs
      function.outputs = quantize.outputs
      records[position] = function
      removed.formUnion([before, after])
    }
    return (records, removed)
  }

  /// Whether `external` holds the same values as the integer tensor `integer`, in a form for the outside: as floats, or
  /// as bytes without a sign.
  private func isExternalForm(_ external: Int, of integer: Int) -> Bool {
    let integerType = model.tensors[integer].elementType
    switch model.tensors[external].elementType {
    case .float32:
      return integerType == .int8 || integerType == .int16
    case .uint8:
      guard integerType == .int8, let outer = model.tensors[external].quantization,
        let inner = model.tensors[integer].quantization
      else { return false }
      return outer.scales == inner.scales && outer.zeroPoints == inner.zeroPoints.map { $0 &+ 128 }
    default:
      return false
    }
  }
}
