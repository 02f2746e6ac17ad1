/// Runs a graph in float32, one sample at a time: the truth that calibration listens to and quantization is measured
/// against.
///
/// Constants of integer type are dequantized once, so hybrid models and quantized graphs run in real units too
/// (`requantize` does nothing then). A value type: a copy shares the constants and has its own state, so a caller with
/// several threads gives each its own copy. Memory while running: constants, state and the tensors that are still needed.
public struct ReferenceEvaluator: Sendable {
  /// The graph as given.
  public let graph: Graph
  /// Dequantized constants, by tensor.
  private let constants: [FloatTensor?]
  /// For each node, the tensors that nobody needs after it.
  private let lastUses: [[TensorID]]
  /// The current values of variable tensors.
  private var state: [TensorID: FloatTensor]

  /// Prepares a graph.
  /// - Throws: ``ModelError`` naming the node when the graph is not sound (see ``Graph/validate()``).
  public init(_ graph: Graph) throws(ModelError) {
    try graph.validate()
    self.graph = graph
    self.constants = graph.tensors.map { $0.data == nil || $0.isVariable ? nil : $0.floatValues() }
    var lastUse = [Int](repeating: -1, count: graph.tensors.count)
    for (index, node) in graph.nodes.enumerated() {
      for tensor in node.inputs { if let tensor { lastUse[tensor] = index } }
      for tensor in node.outputs where lastUse[tensor] < index { lastUse[tensor] = index }
    }
    for tensor in graph.outputs { lastUse[tensor] = -1 }
    var lastUses = [[TensorID]](repeating: [], count: graph.nodes.count)
    for (tensor, index) in lastUse.enumerated() where index >= 0 && constants[tensor] == nil {
      lastUses[index].append(tensor)
    }
    self.lastUses = lastUses
    self.state = [:]
    resetState()
  }

  /// Puts all variable tensors back to their initial values, zero unless the graph says otherwise.
  public mutating func resetState() {
    state = [:]
    for (index, tensor) in graph.tensors.enumerated() where tensor.isVariable {
      state[index] = tensor.floatValues() ?? FloatTensor(shape: tensor.shape, repeating: 0)
    }
  }

  /// Runs one sample; state is kept for the next run unless ``resetState()`` is called.
  ///
  /// - Parameters:
  ///   - inputs: one per graph input, in order, of exactly the input's shape (in the graph's layout).
  ///   - observe: called with every input and every computed tensor as soon as it is known, in node order.
  ///   - replace: called after `observe`; a value that it returns, of the same shape, takes the tensor's place for the
  ///     nodes that follow. So a node can be evaluated on what another implementation computed before it.
  ///   - observeInternal: called with the index of a node and a value inside it (recurrent ops, SVDF).
  /// - Returns: one tensor per graph output.
  /// - Throws: ``ModelError`` of kind `mismatch` if the inputs do not fit.
  public mutating func run(
    _ inputs: [FloatTensor], observe: ((TensorID, FloatTensor) -> Void)? = nil,
    replace: ((TensorID, FloatTensor) -> FloatTensor?)? = nil,
    observeInternal: ((Int, InternalValue, FloatTensor) -> Void)? = nil
  ) throws(ModelError) -> [FloatTensor] {
    guard inputs.count == graph.inputs.count else {
      throw ModelError(.mismatch, "the model has \(graph.inputs.count) inputs, \(inputs.count) arrays were given")
    }
    var values = [FloatTensor?](repeating: nil, count: graph.tensors.count)
    for (tensor, value) in zip(graph.inputs, inputs) {
      guard value.shape == graph.tensors[tensor].shape else {
        throw ModelError(
          .mismatch,
          "input '\(graph.tensors[tensor].name)' has shape \(graph.tensors[tensor].shape), the array has \(value.shape)"
        )
      }
      observe?(tensor, value)
      values[tensor] = replace?(tensor, value) ?? value
    }
    for (index, node) in graph.nodes.enumerated() {
      let operands = node.inputs.map { operand in operand.flatMap { values[$0] ?? constants[$0] ?? state[$0] } }
      var context = EvaluationContext(
        observeInternal: observeInternal.map { observer in { observer(index, $0, $1) } })
      let results = node.op.definition.evaluate(operands, context: &context)
      for (tensor, value) in zip(node.outputs, results) {
        observe?(tensor, value)
        values[tensor] = replace?(tensor, value) ?? value
      }
      for (operand, value) in context.stateUpdates {
        if operand < node.inputs.count, let tensor = node.inputs[operand], state[tensor] != nil {
          state[tensor] = value
        }
      }
      for tensor in lastUses[index] { values[tensor] = nil }
    }
    return graph.outputs.map { output in
      values[output] ?? constants[output] ?? state[output]
        ?? FloatTensor(shape: graph.tensors[output].shape, repeating: 0)
    }
  }
}
