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

  /// The types of activations that are not int8.
  private(set) var types: [TensorID: ElementType] = [:]
  /// What recurrent nodes have besides, by their first output.
  private(set) var recurrents: [TensorID: RecurrentScales] = [:]

  private let ranges: CalibratedRanges
  /// The type of the hidden state of recurrent nodes: int8 or int16.
  private let recurrentState: ElementType
  private let sampleCount: Int
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

  /// Model outputs of which fewer values than this were seen get a reserve: the extremes of few values say little about
  /// those to come, and what saturates is an error of whole units.
  static let wellSeenCount = 10_000
  /// The reserve at each end, as a share of it. Measured on classifiers calibrated with 200 samples: without it the largest
  /// logits saturate, which costs up to 3 dB; where nothing would have saturated it costs 0.5 dB.
  static let outputReserve: Float = 0.08

  /// Decides for all activations.
  ///
  /// - Parameters:
  ///   - recurrentState: the type of the hidden state of recurrent nodes, int8 or int16.
  ///   - sampleCount: the samples behind the ranges; nil if they are no samples'.
  /// - Throws: ``ModelError`` naming a tensor without range, and all nodes that cannot be quantized.
  init(
    _ graph: Graph, ranges: CalibratedRanges, recurrentState: ElementType = .int8, sampleCount: Int? = nil
  ) throws(ModelError) {
    self.sampleCount = sampleCount ?? .max
    self.graph = graph
    self.recurrentState = recurrentState
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
        .batchNormalization, .concatenation, .requantize, .svdf:
        break
      case .recurrent(let op):
        if recurrentState == .int16 { break }
        let quantization = try hiddenQuantization(node, op)
        for output in node.outputs.prefix(2) { groups[root(output)].fixed = quantization }
      }
    }
  }

  // MARK: Ops with operands of one quantization

  private mutating func insertRequantizations() throws(ModelError) {
    let nodes = graph.nodes
    graph.nodes = []
    let used = Set(nodes.flatMap(\.inputs).compactMap { $0 } + graph.outputs)
    for node in nodes {
      var node = node
      var following: [Node] = []
      switch node.op {
      case .concatenation: try join(&node)
      case .binary(let op) where op.kind == .maximum || op.kind == .minimum: try join(&node)
      case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D,
        .mean,
        .binary, .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .split, .slice, .pad, .reshape, .transpose,
        .resize, .requantize, .svdf:
        break
      case .recurrent(let op): following = try separateStates(&node, op, used)
      }
      graph.nodes.append(node)
      graph.nodes += following
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
    let outputGroups = Set(
      graph.outputs.filter { id in
        let count = graph.tensors[id].elementCount.multipliedReportingOverflow(by: sampleCount)
        return !count.overflow && count.partialValue < Self.wellSeenCount
      }.map(root))
    for id in graph.inputs + graph.nodes.flatMap(\.outputs) where quantizations[id] == nil {
      let group = groups[root(id)]
      if let fixed = group.fixed {
        quantizations[id] = fixed
      } else {
        var range = try range(of: group.carrier)
        if outputGroups.contains(root(id)), !group.containsInput {
          range.low *= 1 + Self.outputReserve
          range.high *= 1 + Self.outputReserve
        }
        quantizations[id] = TensorQuantization(int8: range)
      }
    }
  }
}

// MARK: Recurrent nodes

/// The quantizations inside a recurrent node.
struct RecurrentScales {
  /// What the recurrent weights multiply: the hidden state in the type of the node's first output.
  var operand: TensorQuantization
  /// For each direction a tensor that no node computes: the hidden states before each step, [T,N,H], as int8.
  var previous: [TensorID]
}

extension ScaleAssignment {
  /// The interval of a value inside a node, both directions together.
  private func range(
    inside node: Node, _ op: RecurrentOp, _ kind: InternalValue.Kind, _ source: [CalibratedValue: ValueRange]
  ) throws(ModelError) -> ValueRange {
    var result = ValueRange.empty
    for direction in 0..<op.directionCount {
      if let range = source[.inside(output: node.outputs[0], InternalValue(kind, direction: direction))] {
        result = result.union(range)
      }
    }
    guard !result.isEmpty, result.low.isFinite, result.high.isFinite else {
      throw ModelError(.mismatch, "calibration has no range for the \(kind.rawValue) state of node '\(node.name)'")
    }
    return result
  }

  /// The int8 form of the hidden state.
  private func hiddenQuantization(_ node: Node, _ op: RecurrentOp) throws(ModelError) -> TensorQuantization {
    var result = TensorQuantization(int8: try range(inside: node, op, .hidden, ranges.chosen))
    result.scales[0] = max(result.scale, op.leastHiddenScale)
    return result
  }

  /// Gives the results of a recurrent node that are int16 tensors of their own, and decides their scales.
  ///
  /// - Returns: the steps from those tensors to the node's int8 results, as far as somebody uses them.
  private mutating func separateStates(
    _ node: inout Node, _ op: RecurrentOp, _ used: Set<TensorID>
  ) throws(ModelError) -> [Node] {
    let original = node
    let isWide = recurrentState == .int16
    let narrow = try hiddenQuantization(original, op)
    let hidden = try range(inside: original, op, .hidden, ranges.observed)
    let wide: TensorQuantization
    if case .gru = op.cell {
      wide = TensorQuantization(powerOfTwoInt16: hidden, reserve: op.boundsHidden ? 1 : 1.25)
    } else {
      wide = TensorQuantization(int16: hidden, limit: op.boundsHidden ? 1 : .infinity, leastScale: op.leastHiddenScale)
    }
    var following: [Node] = []
    func separate(_ index: Int, _ quantization: TensorQuantization) {
      let result = original.outputs[index]
      let tensor = addTensor(graph.tensors[result].shape)
      quantizations[tensor] = quantization
      types[tensor] = .int16
      node.outputs[index] = tensor
      if used.contains(result) {
        following.append(Node(name: node.name, op: .requantize, inputs: [tensor], outputs: [result]))
      }
    }
    if isWide { separate(0, wide) }
    switch op.cell {
    case .lstm:
      if isWide { separate(1, wide) }
      let cell = try range(inside: original, op, .cell, ranges.observed)
      separate(2, TensorQuantization(powerOfTwoInt16: cell, reserve: 1.25))
    case .gru: separate(1, wide)
    case .rnn: if isWide { separate(1, wide) }
    }
    let shape = graph.tensors[original.outputs[0]].shape
    let previous = (0..<op.directionCount).map { _ in
      let tensor = addTensor([shape[0], shape[2], shape[3]])
      quantizations[tensor] = narrow
      return tensor
    }
    recurrents[node.outputs[0]] = RecurrentScales(operand: isWide ? wide : narrow, previous: previous)
    return following
  }

  private mutating func addTensor(_ shape: [Int]) -> TensorID {
    let tensor = graph.add(GraphTensor(shape: shape))
    parents.append(tensor)
    groups.append(Group(carrier: tensor))
    return tensor
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
