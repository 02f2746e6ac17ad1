@testable import QModel

/// Builds integer graphs from seeded constants; scales of activations come from a run of the float reference.
struct SampleGraph {
  var graph: Graph
  var random: SplitMix64
  /// The values of all activations for two samples, from which scales are set.
  private var samples: [[TensorID: FloatTensor]] = [[:], [:]]

  init(seed: UInt64, origin: Graph.Origin) {
    graph = Graph(name: "sample \(seed)", origin: origin)
    random = SplitMix64(seed: seed)
  }

  mutating func uniform(_ range: ClosedRange<Double>) -> Double {
    range.lowerBound + (range.upperBound - range.lowerBound) * Double(random.next() >> 11) * 0x1p-53
  }

  mutating func integer(_ range: ClosedRange<Int>) -> Int { range.lowerBound + Int(random.next() % UInt64(range.count)) }

  private mutating func add(_ tensor: GraphTensor) -> TensorID {
    var tensor = tensor
    tensor.name = "t\(graph.tensors.count)"
    return graph.add(tensor)
  }

  mutating func input(_ shape: [Int], scale: Float = 0.03, zeroPoint: Int = 5, type: ElementType = .int8) -> TensorID {
    let id = add(
      GraphTensor(shape: shape, type: type, quantization: TensorQuantization(scale: scale, zeroPoint: zeroPoint)))
    graph.inputs.append(id)
    for index in samples.indices {
      let values = (0..<shape.reduce(1, *)).map { _ in integer(type == .int8 ? -128...127 : -32768...32767) }
      samples[index][id] = SampleGraph.real(values, graph.tensors[id])
    }
    return id
  }

  /// int8 weights with a scale for each index of `axis`.
  mutating func weights(_ shape: [Int], axis: Int) -> TensorID {
    let values = (0..<shape.reduce(1, *)).map { _ in Int8(integer(-127...127)) }
    let scales = (0..<shape[axis]).map { _ in Float(uniform(0.002...0.01)) }
    return add(
      GraphTensor(shape: shape, type: .int8, data: .int8(values), quantization: TensorQuantization(scales: scales, axis: axis)))
  }

  /// int32 (int64 for int16 inputs) bias of a layer.
  mutating func bias(_ weights: TensorID, input: TensorID, reach: Double = 0.5) -> TensorID {
    let source = graph.tensors[weights].quantization?.scales ?? []
    let inputScale = graph.tensors[input].quantization?.scale ?? 1
    let scales = source.map { $0 * inputScale }
    let values = scales.map { Int(uniform(-reach...reach) / Double($0)) }
    let isWide = graph.tensors[input].type == .int16
    return add(
      GraphTensor(
        shape: [scales.count], type: isWide ? .int64 : .int32,
        data: isWide ? .int64(values.map { Int64($0) }) : .int32(values.map { Int32($0) }),
        quantization: TensorQuantization(scales: scales, axis: 0)))
  }

  /// A constant of one scale.
  mutating func constant(_ shape: [Int], scale: Float = 0.02, zeroPoint: Int = -7, type: ElementType = .int8) -> TensorID {
    let values = (0..<shape.reduce(1, *)).map { _ in integer(-100...100) }
    return add(
      GraphTensor(
        shape: shape, type: type, data: type == .int8 ? .int8(values.map { Int8($0) }) : .int16(values.map { Int16($0) }),
        quantization: TensorQuantization(scale: scale, zeroPoint: zeroPoint)))
  }

  mutating func floats(_ values: [Float]) -> TensorID {
    add(GraphTensor(shape: [values.count], data: .float(values)))
  }

  mutating func variable(_ shape: [Int], scale: Float, zeroPoint: Int = 0, type: ElementType) -> TensorID {
    add(
      GraphTensor(
        shape: shape, type: type, quantization: TensorQuantization(scale: scale, zeroPoint: zeroPoint), isVariable: true))
  }

  /// Adds a node; its outputs get scales from their values unless they are given.
  mutating func node(
    _ op: OpKind, _ inputs: [TensorID?], type: ElementType = .int8, quantization: TensorQuantization? = nil,
    types: [ElementType]? = nil, quantizations: [TensorQuantization]? = nil
  ) throws -> [TensorID] {
    let shapes = try op.definition.outputShapes(inputs.map { id in id.map { graph.tensors[$0].shape } })
    let outputs = shapes.enumerated().map { index, shape in
      add(
        GraphTensor(
          shape: shape, type: types?[index] ?? type, quantization: quantizations?[index] ?? quantization))
    }
    let name = "\(Swift.type(of: op.definition).name) #\(graph.nodes.count)"
    graph.nodes.append(Node(name: name, op: op, inputs: inputs, outputs: outputs))
    setScales(of: graph.nodes[graph.nodes.count - 1])
    return outputs
  }

  /// Random values of the first input types, dequantized.
  mutating func sample() -> (integers: [[Int]], reals: [FloatTensor]) {
    var integers: [[Int]] = [], reals: [FloatTensor] = []
    for id in graph.inputs {
      let tensor = graph.tensors[id]
      let range = tensor.type == .int8 ? -128...127 : -32768...32767
      let values = (0..<tensor.elementCount).map { _ in integer(range) }
      integers.append(values)
      reals.append(SampleGraph.real(values, tensor))
    }
    return (integers, reals)
  }

  static func real(_ values: [Int], _ tensor: GraphTensor) -> FloatTensor {
    let scale = tensor.quantization?.scale ?? 1, zeroPoint = tensor.quantization?.zeroPoint ?? 0
    return FloatTensor(shape: tensor.shape, values: values.map { scale * Float($0 - zeroPoint) })
  }

  /// Gives the outputs of the last node that have no fixed quantization one from the values that two samples give.
  private mutating func setScales(of node: Node) {
    for index in samples.indices {
      var context = EvaluationContext()
      let operands = node.inputs.map { id in
        id.map { id in
          samples[index][id] ?? graph.tensors[id].floatValues()
            ?? FloatTensor(shape: graph.tensors[id].shape, repeating: 0)
        }
      }
      let results = node.op.definition.evaluate(operands, context: &context)
      for (id, value) in zip(node.outputs, results) { samples[index][id] = value }
    }
    for id in node.outputs where graph.tensors[id].quantization == nil {
      let values = samples.flatMap { $0[id]?.values ?? [] }
      let low = min(values.min() ?? 0, 0), high = max(values.max() ?? 0, 0)
      let width = max(high - low, 1e-4)
      if graph.tensors[id].type == .int8 {
        let scale = width / 255
        let zeroPoint = Int((-128 - low / scale).rounded())
        graph.tensors[id].quantization = TensorQuantization(scale: scale, zeroPoint: max(-128, min(zeroPoint, 127)))
      } else {
        graph.tensors[id].quantization = TensorQuantization(scale: max(-low, high, 1e-4) / 32767, zeroPoint: 0)
      }
    }
  }
}

/// Graphs that use many ops.
enum SampleGraphs {
  /// Every op kind at least once, small.
  static func everything(seed: UInt64, origin: Graph.Origin) -> Graph {
    do {
      return try make(seed, origin)
    } catch {
      preconditionFailure("the sample graph is unsound: \(error)")
    }
  }

  private static func make(_ seed: UInt64, _ origin: Graph.Origin) throws -> Graph {
    var g = SampleGraph(seed: seed, origin: origin)
    let image = g.input([1, 8, 7, 3])
    var keep: [TensorID] = []

    var conv = Conv2DOp()
    conv.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
    conv.activation = .relu
    var w = g.weights([17, 3, 3, 3], axis: 0)
    let a = try g.node(.conv2D(conv), [image, w, g.bias(w, input: image)])[0]
    var grouped = Conv2DOp()
    grouped.groups = 3
    grouped.strideWidth = 2
    grouped.dilationHeight = 2
    w = g.weights([6, 2, 2, 1], axis: 0)
    keep += try g.node(.conv2D(grouped), [image, w, nil])
    var depthwise = DepthwiseConv2DOp()
    depthwise.strideHeight = 2
    depthwise.strideWidth = 2
    depthwise.padding = Padding2D(top: 0, left: 0, bottom: 1, right: 1)
    depthwise.activation = .clip(min: -0.5, max: 0.75)
    w = g.weights([1, 3, 3, 17], axis: 3)
    let d = try g.node(.depthwiseConv2D(depthwise), [a, w, g.bias(w, input: a)])[0]
    var pointwise = Conv2DOp()
    pointwise.activation = .relu6
    w = g.weights([17, 1, 1, 17], axis: 0)
    let p = try g.node(.conv2D(pointwise), [d, w, g.bias(w, input: d)])[0]
    var residual = BinaryOp(.add)
    residual.activation = .relu
    let sum = try g.node(.binary(residual), [d, p])[0]
    var up = TransposeConv2DOp()
    up.strideHeight = 2
    up.strideWidth = 2
    up.padding = Padding2D(top: 1, left: 1, bottom: 0, right: 0)
    (up.outputHeight, up.outputWidth) = (7, 6)
    w = g.weights([5, 3, 3, 17], axis: 0)
    let u = try g.node(.transposeConv2D(up), [sum, w, g.bias(w, input: sum)])[0]
    keep.append(u)

    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth, pool.strideHeight, pool.strideWidth) = (3, 3, 2, 2)
    pool.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
    pool.countIncludePad = true
    keep += try g.node(.averagePool2D(pool), [u])
    pool.countIncludePad = false
    pool.ceilMode = true
    keep += try g.node(.maxPool2D(pool), [u])
    let mean = try g.node(.mean(ReduceOp(axes: [1, 2], keepDimensions: false)), [sum])[0]
    keep.append(mean)
    w = g.weights([10, 17], axis: 0)
    let dense = try g.node(.fullyConnected(FullyConnectedOp()), [mean, w, g.bias(w, input: mean)])[0]
    keep += try g.node(
      .softmax(SoftmaxOp(axis: 1)), [dense], quantization: TensorQuantization(scale: 1 / 256, zeroPoint: -128))
    keep += try g.node(
      .logSoftmax(SoftmaxOp(axis: 1)), [dense], quantization: TensorQuantization(scale: 1 / 16, zeroPoint: 127))

    for kind in [BinaryOp.Kind.sub, .mul, .maximum, .minimum] {
      keep += try g.node(.binary(BinaryOp(kind)), [d, p])
      keep += try g.node(.binary(BinaryOp(kind)), [d, g.constant([17])])
      keep += try g.node(.binary(BinaryOp(kind)), [g.constant([1, 1, 1, 1]), d])
    }
    keep += try g.node(.binary(BinaryOp(.add)), [d, g.constant([1, 4, 1, 1])])
    let functions: [UnaryOp] = [
      .relu, .relu6, .reluN1To1, .clip(min: -0.2, max: 0.3), .leakyRelu(alpha: 0.1), .logistic, .tanh,
      .hardSigmoid(alpha: 0.2, beta: 0.5), .hardSwish, .elu(alpha: 0.7), .selu(alpha: 1.67, gamma: 1.05),
      .celu(alpha: 0.5), .gelu(approximate: false), .silu, .mish, .softplus, .softsign, .thresholdedRelu(alpha: 0.2),
      .exp, .square, .abs, .neg, .erf, .sin, .cos,
    ]
    for function in functions { keep += try g.node(.unary(function), [d]) }
    keep += try g.node(.prelu, [d, g.constant([17], scale: 0.01)])
    var normalization = BatchNormalizationOp(axis: 3, epsilon: 1e-3)
    func floats(_ range: ClosedRange<Double>, _ count: Int) -> [Float] { (0..<count).map { _ in Float(g.uniform(range)) } }
    var parts = [floats(-2...2, 17), floats(-1...1, 17), floats(-1...1, 17), floats(0.1...2, 17)].map { g.floats($0) }
    keep += try g.node(.batchNormalization(normalization), [d] + parts)
    normalization.axis = 1
    parts = [floats(-2...2, 4), floats(-1...1, 4), floats(-1...1, 4), floats(0.1...2, 4)].map { g.floats($0) }
    keep += try g.node(.batchNormalization(normalization), [d] + parts)

    keep += try g.node(.concatenation(ConcatenationOp(axis: 3)), [d, p, g.constant([1, 4, 3, 2])])
    keep += try g.node(.split(SplitOp(axis: 3, sizes: [9, 8])), [d])
    keep += try g.node(.slice(SliceOp(starts: [0, 3, 0, 16], sizes: [1, 2, 3, 8], strides: [1, -2, 1, -2])), [d])
    for mode in [PadOp.Mode.constant(0), .constant(0.3), .reflect, .symmetric, .edge] {
      keep += try g.node(.pad(PadOp(before: [0, 1, 0, 2], after: [0, 0, 2, 1], mode: mode)), [d])
    }
    let flat = try g.node(.reshape(ReshapeOp(shape: [12, 17])), [d])[0]
    keep += try g.node(.transpose(TransposeOp(permutation: [1, 0])), [flat])
    keep += try g.node(.transpose(TransposeOp(permutation: [1, 0, 2, 3])), [d])
    for mode in [ResizeOp.Mode.nearest, .bilinear] {
      keep += try g.node(
        .resize(ResizeOp(mode: mode, coordinates: .halfPixel, rounding: .roundPreferFloor, outputHeight: 7, outputWidth: 5)),
        [d])
    }
    var product = BatchMatMulOp()
    product.transposeB = true
    keep += try g.node(.batchMatMul(product), [flat, try g.node(.unary(.tanh), [flat])[0]])

    // int16 in the middle.
    let wide = try g.node(.requantize, [d], type: .int16)[0]
    keep += try g.node(.requantize, [wide])
    keep += try g.node(.binary(BinaryOp(.add)), [wide, wide], type: .int16)
    keep += try g.node(.binary(BinaryOp(.mul)), [wide, wide], type: .int16)
    keep += try g.node(.unary(.leakyRelu(alpha: 0.25)), [wide], type: .int16)
    keep += try g.node(.unary(.clip(min: -0.1, max: 0.2)), [wide], type: .int16)
    let unit = TensorQuantization(scale: 1 / 32768, zeroPoint: 0)
    keep += try g.node(.unary(.logistic), [wide], type: .int16, quantization: unit)
    keep += try g.node(.unary(.tanh), [wide], type: .int16, quantization: unit)
    keep += try g.node(.softmax(SoftmaxOp(axis: 3)), [wide], type: .int16, quantization: unit)
    w = g.weights([4, 2, 2, 17], axis: 0)
    keep += try g.node(.conv2D(Conv2DOp()), [wide, w, g.bias(w, input: wide)], type: .int16)
    w = g.weights([5, 17], axis: 0)
    keep += try g.node(.fullyConnected(FullyConnectedOp()), [wide, w, g.bias(w, input: wide)], type: .int16)
    w = g.weights([1, 2, 2, 17], axis: 3)
    keep += try g.node(.depthwiseConv2D(DepthwiseConv2DOp()), [wide, w, nil], type: .int16)

    // State.
    let feature = g.weights([8, 10], axis: 0), time = g.constant([8, 4], scale: 0.01, zeroPoint: 0, type: .int16)
    g.graph.tensors[feature].quantization = TensorQuantization(scale: 0.004, zeroPoint: 0)
    let memory = g.variable([1, 32], scale: 0.001, type: .int16)
    keep += try g.node(.svdf(SVDFOp(rank: 2, activation: .none)), [dense, feature, time, nil, memory])
    let sequence = try g.node(.reshape(ReshapeOp(shape: [12, 1, 17])), [d])[0]
    keep += try recurrent(&g, sequence)

    g.graph.outputs = [dense] + keep
    return g.graph
  }

  /// One layer of each cell, the LSTM in both directions.
  private static func recurrent(_ g: inout SampleGraph, _ sequence: TensorID) throws -> [TensorID] {
    var keep: [TensorID] = []
    let hidden = 6, unit = TensorQuantization(scale: 1 / 128, zeroPoint: 3)
    let wideUnit = TensorQuantization(scale: 1 / 32768, zeroPoint: 0)
    let cells: [(RecurrentOp.Cell, RecurrentOp.Direction)] = [
      (.lstm(coupledGates: false), .bidirectional), (.lstm(coupledGates: true), .reverse),
      (.gru(linearBeforeReset: true), .forward), (.gru(linearBeforeReset: false), .forward), (.rnn, .forward),
    ]
    for (cell, direction) in cells {
      let op = RecurrentOp(cell: cell, direction: direction, hiddenSize: hidden)
      let rows = op.gateCount * hidden
      let w = g.weights([op.directionCount, rows, 17], axis: 1), r = g.weights([op.directionCount, rows, hidden], axis: 1)
      var quantizations = [unit], types: [ElementType] = [.int8]
      switch cell {
      case .lstm:
        quantizations += [unit, TensorQuantization(scale: 0x1p-11, zeroPoint: 0)]
        types += [.int8, .int16]
      case .gru:
        quantizations.append(wideUnit)
        types.append(.int16)
      case .rnn:
        quantizations.append(unit)
        types.append(.int8)
      }
      keep += try g.node(.recurrent(op), [sequence, w, r, nil, nil, nil, nil, nil], types: types, quantizations: quantizations)
    }
    return keep
  }
}
