/// A prepared graph that can be evaluated as it is, and as its int8 form will compute: weights and constants rounded as far
/// as they are decided, every activation rounded to its int8 quantization.
struct NetworkSimulation: Sendable {
  private let nodes: [Node]
  private let inputs: [TensorID]
  private let quantizations: [TensorQuantization?]
  private let constants: [FloatTensor?]
  /// Constants that differ in the int8 form, by node and operand.
  private var replacements: [[Int: FloatTensor]]
  /// The node that computes each tensor.
  private let producers: [Int?]
  /// For recurrent nodes, by index: tensors that stand for the hidden states before each step, one per direction.
  private let hiddenStates: [Int: [TensorID]]

  /// - Parameters:
  ///   - quantizations: of the int8 activations.
  ///   - hiddenStates: for recurrent nodes, by index, tensors for the hidden states before each step, one per direction.
  init(
    _ graph: Graph, quantizations: [TensorID: TensorQuantization], hiddenStates: [Int: [TensorID]] = [:]
  ) {
    self.hiddenStates = hiddenStates
    nodes = graph.nodes
    inputs = graph.inputs
    self.quantizations = graph.tensors.indices.map { quantizations[$0] }
    constants = graph.tensors.map { tensor in
      tensor.floatValues() ?? (tensor.isVariable ? FloatTensor(shape: tensor.shape, repeating: 0) : nil)
    }
    replacements = [[Int: FloatTensor]](repeating: [:], count: graph.nodes.count)
    var producers = [Int?](repeating: nil, count: graph.tensors.count)
    for (index, node) in graph.nodes.enumerated() { for output in node.outputs { producers[output] = index } }
    for (index, tensors) in hiddenStates { for tensor in tensors { producers[tensor] = index } }
    self.producers = producers
  }

  /// Puts another constant in an operand's place in the int8 form.
  mutating func replace(operand: Int, ofNode node: Int, by value: FloatTensor) { replacements[node][operand] = value }

  /// The nodes needed to compute tensors, in order.
  func nodes(computing tensors: [TensorID]) -> [Int] {
    var isNeeded = [Bool](repeating: false, count: nodes.count)
    var pending = tensors.compactMap { producers[$0] }
    while let index = pending.popLast() {
      if isNeeded[index] { continue }
      isNeeded[index] = true
      for case .some(let input) in nodes[index].inputs {
        if let producer = producers[input] { pending.append(producer) }
      }
    }
    return nodes.indices.filter { isNeeded[$0] }
  }

  /// Evaluates some nodes on one sample.
  ///
  /// - Parameters:
  ///   - schedule: what ``nodes(computing:)`` gave for `wanted`.
  ///   - simulatesInt8: whether to round.
  /// - Returns: the wanted tensors.
  func run(
    _ sample: [FloatTensor], schedule: [Int], wanted: [TensorID], simulatesInt8: Bool
  ) -> [TensorID: FloatTensor] {
    var lastUses = [TensorID: Int]()
    for index in schedule { for case .some(let input) in nodes[index].inputs { lastUses[input] = index } }
    for tensor in wanted { lastUses[tensor] = nil }
    var values: [TensorID: FloatTensor] = [:]
    func store(_ tensor: TensorID, _ value: FloatTensor) {
      var value = value
      if simulatesInt8, let quantization = quantizations[tensor] {
        value.values.withUnsafeMutableBufferPointer { quantization.roundTrip($0) }
      }
      values[tensor] = value
    }
    for (tensor, value) in zip(inputs, sample) { store(tensor, value) }
    for index in schedule {
      let node = nodes[index]
      let operands = node.inputs.enumerated().map { position, tensor -> FloatTensor? in
        if simulatesInt8, let replacement = replacements[index][position] { return replacement }
        guard let tensor else { return nil }
        return values[tensor] ?? constants[tensor]
      }
      var context = EvaluationContext()
      var previous: [TensorID: FloatTensor] = [:]
      if let states = hiddenStates[index] {
        if states.contains(where: wanted.contains) {
          context.observeInternal = { value, tensor in
            guard value.kind == .hidden else { return }
            // The last state is nobody's operand.
            let shape = [tensor.shape[0] - 1] + tensor.shape[1...]
            previous[states[value.direction]] = FloatTensor(
              shape: shape, values: Array(tensor.values[..<shape.reduce(1, *)]))
          }
        }
        if simulatesInt8, quantizations[node.outputs[0]] != nil, let quantization = quantizations[states[0]] {
          context.roundHidden = { hidden in
            hidden.withUnsafeMutableBufferPointer { quantization.roundTrip($0) }
          }
        }
      }
      let results = node.op.definition.evaluate(operands, context: &context)
      for (tensor, value) in previous { store(tensor, value) }
      for (tensor, value) in zip(node.outputs, results) { store(tensor, value) }
      for case .some(let input) in node.inputs where lastUses[input] == index { values[input] = nil }
    }
    return values.filter { wanted.contains($0.key) }
  }
}
