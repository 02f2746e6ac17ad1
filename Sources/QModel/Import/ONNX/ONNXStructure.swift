/// A graph message whose names are checked: which tensors exist, and in which order the nodes run.
struct ONNXStructure {
  /// The constants by name.
  let initializers: [String: TensorProto]
  /// The model's inputs, without those that are constants.
  let inputs: [ValueInfoProto]
  /// What the model declares of inner tensors and outputs, by name.
  let declared: [String: ValueInfoProto]
  /// Indices of the nodes that an output needs, each after those it depends on; the file's order where that is legal.
  let order: [Int]

  /// Checks the names and orders the nodes.
  ///
  /// Takes time and memory proportional to the message, whatever it holds.
  init(_ graph: GraphProto) throws(ModelError) {
    var initializers: [String: TensorProto] = [:]
    for tensor in graph.initializers where initializers.updateValue(tensor, forKey: tensor.name) != nil {
      throw ModelError(.malformed, "there are two initializers \"\(tensor.name)\"")
    }
    var names = Set<String>()
    for input in graph.inputs {
      guard !input.name.isEmpty else { throw ModelError(.malformed, "an input of the model has no name") }
      guard names.insert(input.name).inserted else {
        throw ModelError(.malformed, "there are two inputs \"\(input.name)\"")
      }
    }
    var outputs = Set<String>()
    for output in graph.outputs where !outputs.insert(output.name).inserted {
      throw ModelError(.malformed, "there are two outputs \"\(output.name)\"")
    }
    guard !graph.outputs.isEmpty else { throw ModelError(.malformed, "the model has no outputs") }
    names.formUnion(initializers.keys)
    let producers = try Self.producers(graph, known: names)
    self.initializers = initializers
    self.inputs = graph.inputs.filter { initializers[$0.name] == nil }
    var declared: [String: ValueInfoProto] = [:]
    for value in graph.valueInfos + graph.outputs { declared[value.name] = value }
    self.declared = declared
    self.order = try Self.order(graph, known: names, producers)
  }

  /// Returns the node that computes each tensor.
  private static func producers(_ graph: GraphProto, known: Set<String>) throws(ModelError) -> [String: Int] {
    var producers: [String: Int] = [:]
    for (index, node) in graph.nodes.enumerated() {
      for output in node.outputs where !output.isEmpty {
        guard !known.contains(output), producers.updateValue(index, forKey: output) == nil else {
          throw ModelError(
            .malformed, "node \"\(ONNXNode.name(of: node, index: index))\": \"\(output)\" is defined twice")
        }
      }
    }
    return producers
  }

  /// Walks back from the outputs, depth first, without recursion.
  private static func order(
    _ graph: GraphProto, known: Set<String>, _ producers: [String: Int]
  ) throws(ModelError) -> [Int] {
    let isNeeded = try neededNodes(graph, known: known, producers)
    enum State { case new, entered, done }
    var states = [State](repeating: .new, count: graph.nodes.count)
    var order: [Int] = []
    for start in graph.nodes.indices where isNeeded[start] && states[start] == .new {
      var path: [(node: Int, nextInput: Int)] = [(start, 0)]
      states[start] = .entered
      while let (index, nextInput) = path.last {
        let node = graph.nodes[index]
        guard nextInput < node.inputs.count else {
          states[index] = .done
          order.append(index)
          path.removeLast()
          continue
        }
        path[path.count - 1].nextInput += 1
        guard let producer = producers[node.inputs[nextInput]] else { continue }
        switch states[producer] {
        case .done: break
        case .new:
          states[producer] = .entered
          path.append((producer, 0))
        case .entered:
          let cycle = path.drop { $0.node != producer }.map { ONNXNode.name(of: graph.nodes[$0.node], index: $0.node) }
          throw ModelError(.malformed, "the nodes \(cycle.prefix(8)) depend on each other in a cycle")
        }
      }
    }
    return order
  }

  private static func neededNodes(
    _ graph: GraphProto, known: Set<String>, _ producers: [String: Int]
  ) throws(ModelError) -> [Bool] {
    for (index, node) in graph.nodes.enumerated() {
      for input in node.inputs where !input.isEmpty && producers[input] == nil && !known.contains(input) {
        throw ModelError(
          .malformed, "node \"\(ONNXNode.name(of: node, index: index))\": nothing computes its input \"\(input)\"")
      }
    }
    var isNeeded = [Bool](repeating: false, count: graph.nodes.count)
    var waiting: [Int] = []
    for output in graph.outputs {
      if let producer = producers[output.name] {
        waiting.append(producer)
      } else if !known.contains(output.name) {
        throw ModelError(.malformed, "nothing computes the model's output \"\(output.name)\"")
      }
    }
    while let index = waiting.popLast() {
      if isNeeded[index] { continue }
      isNeeded[index] = true
      waiting += graph.nodes[index].inputs.compactMap { producers[$0] }
    }
    return isNeeded
  }
}

/// Which axis of each input and output counts samples.
///
/// A free first axis (a symbol, nothing, 0 or a negative number) is the batch axis and taken as 1, as is every other
/// axis with the same symbol. If no input has a free first axis, but all free axes bear one symbol, that is the batch.
struct ONNXBatchAxis {
  private var symbols: Set<String> = []
  /// Whether any input has a batch axis.
  private var isFree = false

  /// Finds the batch axis from the declared inputs.
  init(_ inputs: [ValueInfoProto]) {
    var others: Set<String> = []
    var hasAnonymousFreeAxis = false
    for input in inputs {
      guard case .tensor(_, let shape?) = input.type else { continue }
      for (axis, dimension) in shape.enumerated() {
        switch dimension {
        case .symbol(let symbol) where axis == 0: symbols.insert(symbol)
        case .symbol(let symbol): others.insert(symbol)
        case .size(let size): hasAnonymousFreeAxis = hasAnonymousFreeAxis || size <= 0
        case .unknown: hasAnonymousFreeAxis = true
        }
      }
    }
    if symbols.isEmpty && others.count == 1 && !hasAnonymousFreeAxis { symbols = others }
    isFree = !symbols.isEmpty || hasAnonymousFreeAxis
  }

  private func isFree(_ dimension: DimensionProto, axis: Int) -> Bool {
    switch dimension {
    case .size(let size): axis == 0 && size <= 0
    case .symbol(let symbol): axis == 0 || symbols.contains(symbol)
    case .unknown: axis == 0
    }
  }

  /// Returns a declared tensor with its static shape, and its type in the source.
  func tensor(of value: ValueInfoProto) throws(ModelError) -> (GraphTensor, ONNXElementType) {
    func problem(_ kind: ModelError.Kind, _ text: String, hint: String? = nil) -> ModelError {
      ModelError(kind, "tensor \"\(value.name)\": \(text)", hint: hint)
    }
    guard case .tensor(let code, let declared) = value.type else {
      if case .other(let kind) = value.type { throw problem(.unsupported, "it is a \(kind), not a tensor") }
      throw problem(.malformed, "its type is not given")
    }
    guard let type = ONNXElementType(rawValue: code), type.bitWidth != nil else {
      throw problem(.unsupported, "the type \(ONNXElementType.name(ofCode: code)) is not supported")
    }
    guard let declared else { throw problem(.unsupported, "its shape is not given") }
    var shape: [Int] = []
    var batchAxis: Int?
    for (axis, dimension) in declared.enumerated() {
      if isFree(dimension, axis: axis) {
        if batchAxis == nil { batchAxis = axis }
        shape.append(1)
      } else if case .size(let size) = dimension, size > 0, let narrow = Int(exactly: size) {
        shape.append(narrow)
      } else {
        let text =
          switch dimension {
          case .symbol(let symbol): "axis \(axis) has the free size \"\(symbol)\""
          case .size(let size): "axis \(axis) has the size \(size)"
          case .unknown: "axis \(axis) has no size"
          }
        throw problem(.unsupported, "\(text); only the batch axis may be free", hint: "export with fixed sizes")
      }
    }
    guard ONNXConstant.elementCount(of: shape) != nil else {
      throw problem(.malformed, "its shape \(shape) has too many elements")
    }
    return (GraphTensor(name: value.name, shape: shape, batchAxis: batchAxis), type)
  }

  /// Returns the batch axis of an output whose shape is known.
  ///
  /// Exporters give output axes names of their own, so the first free axis that has come out as 1 is taken.
  func batchAxis(ofOutput value: ValueInfoProto, shape: [Int]) -> Int? {
    guard case .tensor(_, let declared?) = value.type, declared.count == shape.count else {
      return isFree && shape.first == 1 ? 0 : nil
    }
    for (axis, dimension) in declared.enumerated() where shape[axis] == 1 {
      if case .size(let size) = dimension, size > 0 { continue }
      return axis
    }
    return nil
  }
}
