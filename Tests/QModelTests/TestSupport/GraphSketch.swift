@testable import QModel

/// A graph written down node by node; shapes are inferred.
struct GraphSketch {
  var graph = Graph(name: "sketch")
  var random: TensorGenerator

  init(seed: UInt64 = 1) { random = TensorGenerator(seed: seed) }

  mutating func input(_ shape: [Int], name: String = "input") -> TensorID {
    let id = graph.add(GraphTensor(name: name, shape: shape))
    graph.inputs.append(id)
    return id
  }

  mutating func constant(_ value: FloatTensor) -> TensorID {
    graph.add(GraphTensor(shape: value.shape, data: .float(value.values)))
  }

  mutating func constant(_ value: Float) -> TensorID { constant(FloatTensor(shape: [], values: [value])) }

  /// A constant of random values.
  mutating func constant(_ shape: [Int], in range: ClosedRange<Float> = -1...1) -> TensorID {
    constant(random.tensor(shape, in: range))
  }

  /// Adds a node with one result per output of its op.
  mutating func nodes(_ op: OpKind, _ inputs: [TensorID?], name: String = "") throws -> [TensorID] {
    let shapes = try op.definition.outputShapes(inputs.map { $0.map { graph.tensors[$0].shape } })
    let outputs = shapes.indices.map { index in
      graph.add(GraphTensor(name: name.isEmpty ? "" : index == 0 ? name : "\(name):\(index)", shape: shapes[index]))
    }
    graph.nodes.append(Node(name: "\(op.summary) #\(graph.nodes.count)", op: op, inputs: inputs, outputs: outputs))
    return outputs
  }

  mutating func node(_ op: OpKind, _ inputs: TensorID?..., name: String = "") throws -> TensorID {
    try nodes(op, inputs, name: name)[0]
  }

  mutating func output(_ id: TensorID, name: String = "output") {
    graph.tensors[id].name = name
    graph.outputs.append(id)
  }

  // MARK: Shorthands

  mutating func transpose(_ id: TensorID, _ permutation: [Int], name: String = "") throws -> TensorID {
    try node(.transpose(TransposeOp(permutation: permutation)), id, name: name)
  }

  mutating func reshape(_ id: TensorID, _ shape: [Int]) throws -> TensorID {
    try node(.reshape(ReshapeOp(shape: shape)), id)
  }

  mutating func binary(_ kind: BinaryOp.Kind, _ a: TensorID, _ b: TensorID) throws -> TensorID {
    try node(.binary(BinaryOp(kind)), a, b)
  }

  /// A convolution with random weights.
  mutating func convolution(
    _ id: TensorID, _ outputs: Int, kernel: Int = 3, padding: Int = 1, bias: Bool = true, name: String = ""
  ) throws -> TensorID {
    var op = Conv2DOp()
    op.padding = Padding2D(top: padding, left: padding, bottom: padding, right: padding)
    let weights = constant([outputs, kernel, kernel, graph.tensors[id].shape[3]])
    let biasID = bias ? constant([outputs]) : nil
    return try nodes(.conv2D(op), [id, weights, biasID], name: name)[0]
  }

  /// A convolution as the ONNX importer writes it: channels first outside, channels last inside.
  mutating func convolutionNCHW(_ id: TensorID, _ outputs: Int, kernel: Int = 3, name: String = "") throws -> TensorID {
    let last = try transpose(id, [0, 2, 3, 1])
    let result = try convolution(last, outputs, kernel: kernel, padding: kernel / 2)
    return try transpose(result, [0, 3, 1, 2], name: name)
  }

  mutating func batchNormalization(_ id: TensorID, axis: Int) throws -> TensorID {
    let channels = graph.tensors[id].shape[axis]
    return try node(
      .batchNormalization(BatchNormalizationOp(axis: axis, epsilon: 1e-3)), id, constant([channels], in: 0.5...2),
      constant([channels]), constant([channels]), constant([channels], in: 0.5...2))
  }
}

extension Graph {
  /// The outputs for inputs in the source model's layout, in the source model's layout.
  func sourceOutputs(_ inputs: [FloatTensor]) throws -> [FloatTensor] {
    var evaluator = try ReferenceEvaluator(self)
    let arrays = zip(self.inputs, inputs).map { tensors[$0].fromSourceLayout($1.values) }
    return zip(outputs, try evaluator.run(arrays)).map { id, result in
      FloatTensor(shape: tensors[id].sourceShape, values: tensors[id].inSourceLayout(result))
    }
  }

  /// The largest relative difference between the outputs of two graphs on the same random inputs, given in the source
  /// model's layout.
  func difference(from other: Graph, seed: UInt64 = 99) throws -> Double {
    var random = TensorGenerator(seed: seed)
    let inputs = self.inputs.map { random.tensor(tensors[$0].sourceShape) }
    let (own, others) = (try sourceOutputs(inputs), try other.sourceOutputs(inputs))
    guard own.map(\.shape) == others.map(\.shape) else { return .infinity }
    return zip(own, others).map { worstDifference($0.values, $1.values.map(Double.init)) }.max() ?? .infinity
  }
}

extension GraphTensor {
  /// The axes' sizes as the source model orders them.
  var sourceShape: [Int] { sourceLayout.map { layout in layout.map { shape[$0] } } ?? shape }

  /// Values in the source model's order as a tensor of the graph.
  func fromSourceLayout(_ values: [Float]) -> FloatTensor {
    let source = FloatTensor(shape: sourceShape, values: values)
    return sourceLayout.map { TransposeOp(permutation: $0.inverse).transpose(source) } ?? source
  }

  /// A tensor of the graph as values in the source model's order.
  func inSourceLayout(_ tensor: FloatTensor) -> [Float] {
    sourceLayout.map { TransposeOp(permutation: $0).transpose(tensor).values } ?? tensor.values
  }
}
