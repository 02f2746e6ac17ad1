/// Gives every activation of a prepared float graph its scale and zero point.
///
/// Ops that choose or move elements (reshape, slice, maximum pool, ...) have one quantization for operand and result: their
/// tensors form a group, whose interval is that of the tensor that carries its values. Concatenations and maxima draw
/// their operands into the group of the result where that costs no resolution, and requantize them where it would.
/// Softmax, logistic and tanh have fixed output quantizations.
struct ScaleAssignment {
  /// The graph, with requantize nodes added.
  private(set) var graph: Graph
  /// The quantization of each activation.
  private(set) var quantizations: [TensorID: TensorQuantization] = [:]

  private let ranges: CalibratedRanges
  /// Union-find: the parent of each tensor.
  private var parents: [TensorID]
  /// Of each group's root.
  private var groups: [Group]
  private let modelInputs: Set<TensorID>

  private struct Group {
    /// The tensor whose interval counts.
    var carrier: TensorID
    /// The quantization, if the op that computes the group leaves no choice.
    var fixed: TensorQuantization?
    /// A model input's resolution is not given up for that of others.
    var containsInput = false
  }

  /// Decides for all activations.
  ///
  /// - Throws: ``ModelError`` naming a tensor without range, and all nodes that cannot be quantized.
  init(_ graph: Graph, ranges: CalibratedRanges) throws(ModelError) {
    self.graph = graph
    self.ranges = ranges
    self.parents = Array(graph.tensors.indices)
    self.groups = graph.tensors.indices.map { Group(carrier: $0) }
    self.modelInputs = Set(graph.inputs)
    for input in graph.inputs { groups[input].containsInput = true }
    try formGroups()
    try insertRequantizations()
    try decide()
  }

  // MARK: Groups

  private func root(_ tensor: TensorID) -> TensorID {
    var tensor = tensor
    while parents[tensor] != tensor { tensor = parents[tensor] }
    return tensor
  }

  /// Makes two groups one; its interval is that of `carrier`.
  private mutating func unite(_ a: TensorID, _ b: TensorID, carrier: TensorID) {
    let first = root(a), second = root(b)
    var merged = groups[first]
    merged.fixed = groups[first].fixed ?? groups[second].fixed
    merged.containsInput = groups[first].containsInput || groups[second].containsInput
    merged.carrier = carrier
    parents[second] = first
    groups[first] = merged
  }

  private func carrier(_ tensor: TensorID) -> TensorID { groups[root(tensor)].carrier }

  private func isActivation(_ tensor: TensorID) -> Bool { !graph.tensors[tensor].isConstant }

  private mutating func formGroups() throws(ModelError) {
    var useCounts = [Int](repeating: 0, count: graph.tensors.count)
    for node in graph.nodes { for case .some(let input) in node.inputs { useCounts[input] += 1 } }
    for output in graph.outputs { useCounts[output] += 1 }
    for node in graph.nodes {
      let operands = node.inputs.compactMap { $0 }.filter(isActivation)
      switch node.op {
      case .averagePool2D, .split, .slice, .reshape, .transpose, .resize:
        for case let input in operands.prefix(1) {
          for output in node.outputs { unite(input, output, carrier: carrier(input)) }
        }
      case .maxPool2D:
        // What no window keeps needs no range, if nobody else reads it.
        for case let input in operands.prefix(1) {
          let passes = useCounts[input] == 1 && carrier(input) == input && !modelInputs.contains(input)
          unite(input, node.outputs[0], carrier: passes ? node.outputs[0] : carrier(input))
        }
      case .pad(let op):
        for case let input in operands.prefix(1) {
          unite(input, node.outputs[0], carrier: op.needsRangeOfItsOwn ? node.outputs[0] : carrier(input))
        }
      case .softmax, .logSoftmax, .unary: groups[node.outputs[0]].fixed = node.op.fixedOutputQuantization
      case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .mean, .binary, .prelu,
        .batchNormalization, .concatenation, .requantize, .recurrent, .svdf:
        break
      }
    }
  }

  // MARK: Ops with operands of one quantization

  private mutating func insertRequantizations() throws(ModelError) {
    let nodes = graph.nodes
    graph.nodes = []
    for node in nodes {
      var node = node
      switch node.op {
      case .concatenation: try join(&node)
      case .binary(let op) where op.kind == .maximum || op.kind == .minimum: try join(&node)
      case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
        .binary, .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .split, .slice, .pad, .reshape, .transpose,
        .resize, .requantize, .recurrent, .svdf:
        break
      }
      graph.nodes.append(node)
    }
  }

  /// Gives the operands of a node the quantization of its result.
  private mutating func join(_ node: inout Node) throws(ModelError) {
    let output = node.outputs[0]
    let operands = node.inputs.compactMap { $0 }.filter(isActivation)
    if let fixed = operands.first.flatMap({ groups[root($0)].fixed }),
      operands.allSatisfy({ groups[root($0)].fixed == fixed })
    {
      // All operands have the same quantization that cannot be changed: so has the result.
      groups[root(output)].fixed = fixed
      return
    }
    let span = try range(of: output).span
    for (index, input) in node.inputs.enumerated() {
      guard let input, isActivation(input) else { continue }
      let group = groups[root(input)]
      var isFree = group.fixed == nil && !group.containsInput
      // Half the range is one bit of resolution.
      if isFree { isFree = try range(of: group.carrier).span >= span / 2 }
      if isFree {
        unite(output, input, carrier: carrier(output))
      } else if root(input) != root(output) {
        node.inputs[index] = appendRequantization(of: input, for: node, into: output)
      }
    }
  }

  private mutating func appendRequantization(of input: TensorID, for node: Node, into output: TensorID) -> TensorID {
    let tensor = graph.add(GraphTensor(shape: graph.tensors[input].shape))
    parents.append(tensor)
    groups.append(Group(carrier: tensor))
    unite(output, tensor, carrier: carrier(output))
    graph.nodes.append(Node(name: node.name, op: .requantize, inputs: [input], outputs: [tensor]))
    return tensor
  }

  // MARK: Decision

  private func range(of tensor: TensorID) throws(ModelError) -> ValueRange {
    guard let range = ranges.chosen[.tensor(tensor)] else {
      throw ModelError(.mismatch, "calibration has no range for tensor '\(graph.tensors[tensor].name)'")
    }
    guard !range.isEmpty, range.low.isFinite, range.high.isFinite else {
      throw ModelError(.mismatch, "tensor '\(graph.tensors[tensor].name)' has the range \(range.low)...\(range.high)")
    }
    return range
  }

  private mutating func decide() throws(ModelError) {
    for id in graph.inputs + graph.nodes.flatMap(\.outputs) where quantizations[id] == nil {
      let group = groups[root(id)]
      if let fixed = group.fixed {
        quantizations[id] = fixed
      } else {
        quantizations[id] = TensorQuantization(int8: try range(of: group.carrier))
      }
    }
  }
}

extension PadOp {
  /// Whether the constant may lie outside the input's range. Huge constants stand for infinity (padding before a maximum)
  /// and saturate.
  fileprivate var needsRangeOfItsOwn: Bool {
    if case .constant(let value) = mode { value != 0 && value.magnitude < 1e6 } else { false }
  }
}

extension OpKind {
  /// The quantization that an op's int8 form gives its result whatever the values; nil if it is free.
  var fixedOutputQuantization: TensorQuantization? {
    switch self {
    case .softmax, .unary(.logistic): TensorQuantization(scale: 1 / 256, zeroPoint: -128)
    case .unary(.tanh): TensorQuantization(scale: 1 / 128, zeroPoint: 0)
    case .logSoftmax: TensorQuantization(scale: 1 / 16, zeroPoint: 127)
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .binary, .unary, .prelu, .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize,
      .requantize, .recurrent, .svdf:
      nil
    }
  }
}
