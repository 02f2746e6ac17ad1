/// A graph while a pass rewrites it: who computes and who uses each tensor is known at every moment.
///
/// Node indices stay valid while nodes are removed and appended; ``finished()`` puts the nodes in order again.
struct GraphRewriter {
  private var graph: Graph
  /// The nodes; nil where one was removed.
  private(set) var nodes: [Node?]
  private var producers: [Int?]
  /// For each tensor the nodes that use it, one entry per operand.
  private var uses: [[Int]]

  /// - Precondition: the graph is sound (``Graph/validate()``).
  init(_ graph: Graph) {
    self.graph = graph
    self.nodes = graph.nodes
    self.producers = [Int?](repeating: nil, count: graph.tensors.count)
    self.uses = [[Int]](repeating: [], count: graph.tensors.count)
    for index in graph.nodes.indices { connect(index) }
  }

  var tensors: [GraphTensor] { graph.tensors }
  var inputs: [TensorID] { graph.inputs }
  var outputs: [TensorID] { graph.outputs }

  // MARK: Questions

  /// The node that computes a tensor; nil for inputs, constants and variables.
  func producer(of tensor: TensorID?) -> (index: Int, node: Node)? {
    guard let tensor, let index = producers[tensor], let node = nodes[index] else { return nil }
    return (index, node)
  }

  /// The nodes that use a tensor, one entry per operand.
  func users(of tensor: TensorID) -> [Int] { uses[tensor] }

  func isOutput(_ tensor: TensorID) -> Bool { graph.outputs.contains(tensor) }

  /// Whether exactly one operand of one node uses the tensor, and nobody outside sees it.
  func hasSoleUse(_ tensor: TensorID) -> Bool { uses[tensor].count == 1 && !isOutput(tensor) }

  func shape(_ tensor: TensorID) -> [Int] { graph.tensors[tensor].shape }

  /// A constant's values in real units; nil for anything else.
  func constant(_ tensor: TensorID?) -> FloatTensor? {
    guard let tensor, !graph.tensors[tensor].isVariable else { return nil }
    return graph.tensors[tensor].floatValues()
  }

  func isConstant(_ tensor: TensorID) -> Bool { graph.tensors[tensor].isConstant && !graph.tensors[tensor].isVariable }

  // MARK: Changes

  mutating func add(_ tensor: GraphTensor) -> TensorID {
    producers.append(nil)
    uses.append([])
    return graph.add(tensor)
  }

  /// Adds a float constant that takes the name of what it was made of.
  mutating func addConstant(_ value: FloatTensor, madeFrom source: TensorID? = nil) -> TensorID {
    add(
      GraphTensor(
        name: source.map { graph.tensors[$0].name } ?? "", shape: value.shape, data: .float(value.values)))
  }

  mutating func updateTensor(_ id: TensorID, _ change: (inout GraphTensor) -> Void) { change(&graph.tensors[id]) }

  @discardableResult
  mutating func append(_ node: Node) -> Int {
    nodes.append(node)
    connect(nodes.count - 1)
    return nodes.count - 1
  }

  mutating func remove(_ index: Int) {
    guard let node = nodes[index] else { return }
    for case .some(let input) in node.inputs {
      if let position = uses[input].firstIndex(of: index) { uses[input].remove(at: position) }
    }
    for output in node.outputs where producers[output] == index { producers[output] = nil }
    nodes[index] = nil
  }

  mutating func replace(_ index: Int, with node: Node) {
    remove(index)
    nodes[index] = node
    connect(index)
  }

  /// Makes every node that uses one tensor use another instead.
  mutating func replaceUses(of old: TensorID, with new: TensorID) {
    for index in Set(uses[old]).sorted() {
      guard var node = nodes[index] else { continue }
      node.inputs = node.inputs.map { $0 == old ? new : $0 }
      replace(index, with: node)
    }
  }

  /// Removes the node that computes `old` because `new` has the same values and shape.
  ///
  /// A model output keeps its name: the other tensor takes it over.
  /// - Returns: false if nothing was done, because `old` is an output and `new` cannot become one.
  @discardableResult
  mutating func bypass(_ index: Int, _ old: TensorID, with new: TensorID) -> Bool {
    let description = graph.tensors[old]
    if isOutput(old) {
      guard producers[new] != nil, !isOutput(new) else { return false }
      graph.outputs = graph.outputs.map { $0 == old ? new : $0 }
      graph.tensors[new].takeIdentity(of: description)
    } else if !graph.tensors[new].hasIdentity, !isConstant(new) {
      graph.tensors[new].takeIdentity(of: description)
    }
    remove(index)
    replaceUses(of: old, with: new)
    return true
  }

  /// Removes the node that computes a tensor, and those before it, as far as nobody uses their results any more.
  mutating func removeUnused(_ tensor: TensorID) {
    var candidates = [tensor]
    while let candidate = candidates.popLast() {
      guard let (index, node) = producer(of: candidate), node.outputs.allSatisfy({ uses[$0].isEmpty && !isOutput($0) })
      else { continue }
      remove(index)
      candidates += node.inputs.compactMap { $0 }
    }
  }

  mutating func setOutputs(_ outputs: [TensorID]) { graph.outputs = outputs }

  /// Takes all users of a tensor and, if it is one, its place among the model's outputs.
  private mutating func connect(_ index: Int) {
    guard let node = nodes[index] else { return }
    for case .some(let input) in node.inputs { uses[input].append(index) }
    for output in node.outputs { producers[output] = index }
  }

  // MARK: Result

  /// The graph with its nodes in an order in which operands come first, as close to the old order as that allows: appended
  /// nodes stand right before their first user.
  /// - Throws: ``ModelError`` if the nodes depend on each other in a circle.
  func finished() throws(ModelError) -> Graph {
    var result = graph
    result.nodes = []
    var isDone = [Bool](repeating: false, count: nodes.count)
    var isOpen = isDone
    for root in nodes.indices where nodes[root] != nil && !isDone[root] {
      // Without recursion: a deep model is a deep chain.
      var stack = [root]
      while let index = stack.last {
        guard let node = nodes[index], !isDone[index] else {
          stack.removeLast()
          continue
        }
        let missing = node.inputs.compactMap { $0.flatMap { producers[$0] } }.filter { !isDone[$0] }
        if missing.isEmpty {
          isDone[index] = true
          result.nodes.append(node)
          stack.removeLast()
        } else {
          guard !isOpen[index] else {
            throw ModelError(.malformed, "node '\(node.name)' depends on its own result")
          }
          isOpen[index] = true
          stack += missing.reversed()
        }
      }
    }
    return result
  }
}

extension GraphTensor {
  /// Whether the source model knows the tensor.
  var hasIdentity: Bool { !name.isEmpty || sourceIndex != nil }

  /// Becomes the tensor of the source model that another one was; the shapes are the same.
  mutating func takeIdentity(of other: GraphTensor) {
    name = other.name
    sourceIndex = other.sourceIndex
    sourceLayout = other.sourceLayout
    batchAxis = other.batchAxis ?? batchAxis
  }

  /// Is no tensor of the source model any more.
  mutating func loseIdentity() {
    name = ""
    sourceIndex = nil
    sourceLayout = nil
  }
}
