import QKernels
import Testing

@testable import QModel

/// Every op through plan and kernels, each node against the float reference on the very values that it was given.
struct LoweringTests {
  /// By how many steps of its own output a node may miss the exact value.
  ///
  /// Half a step is rounding, a quarter the second rounding of the law; the rest is what fixed-point forms of the op lose.
  static func tolerance(_ op: OpKind) -> Float {
    switch op {
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .mean, .concatenation, .split,
      .slice,
      .pad, .reshape, .transpose, .requantize, .prelu, .maxPool2D, .unary:
      0.76
    case .averagePool2D, .resize, .batchNormalization, .binary: 1.26
    case .softmax, .logSoftmax, .svdf: 1.6
    // Errors of one step feed the next, in a network whose weights were not trained to forget them.
    case .recurrent: 12
    }
  }

  @Test(arguments: 0..<3) func everyNodeComputesWhatTheReferenceDoes(seed: Int) throws {
    let graph = SampleGraphs.everything(seed: UInt64(seed), origin: .float)
    let session = try Session(bytes: try CompiledModel(QuantizedGraph(graph), options: CompileOptions()).bytes)
    var maker = SampleGraph(seed: UInt64(100 + seed), origin: .float)
    maker.graph = graph
    for _ in 0..<2 {
      let sample = maker.sample()
      session.reset()
      for (index, values) in sample.integers.enumerated() { session.setInput(index, integers: values) }
      var traced: [String: [Int]] = [:]
      for (tensor, values) in session.runTracing() {
        if let name = session.model.tensors[tensor].name { traced[name] = values }
      }
      var evaluator = try ReferenceEvaluator(graph)
      var expected: [TensorID: FloatTensor] = [:]
      _ = try evaluator.run(
        sample.reals,
        observe: { id, value in expected[id] = value },
        replace: { id, _ in traced[graph.tensors[id].name].map { SampleGraph.real($0, graph.tensors[id]) } })
      for node in graph.nodes {
        for id in node.outputs {
          let tensor = graph.tensors[id]
          let found = try #require(
            traced[tensor.name], "seed \(seed), \(node.name): tensor \(tensor.name) is not traced")
          let scale = try #require(tensor.quantization?.scale), real = SampleGraph.real(found, tensor)
          let limits = tensor.type == .int8 ? (-128, 127) : (-32768, 32767)
          var worst: Float = 0, place = 0
          for (index, value) in try #require(expected[id]).values.enumerated() {
            // Beyond the ends of the type there is only saturation.
            if found[index] == limits.0 && value < real.values[index] { continue }
            if found[index] == limits.1 && value > real.values[index] { continue }
            let error = abs(value - real.values[index]) / scale
            if error > worst { (worst, place) = (error, index) }
          }
          var allowed = Self.tolerance(node.op)
          // int16 results of approximations by table are a few of their own small steps off.
          if tensor.type == .int16 {
            switch node.op {
            case .conv2D, .depthwiseConv2D, .fullyConnected: allowed = 1.26  // 16 bits of the factor
            case .unary, .softmax: allowed = 40
            case .recurrent: allowed = 400
            default: break
            }
          }
          #expect(
            worst <= allowed,
            "seed \(seed), \(node.name) \(node.op), \(tensor.type.rawValue): element \(place) is \(worst) steps off")
        }
      }
    }
  }

  @Test func aQuantizedModelsGraphIsLoweredToo() throws {
    // The same graph taken at its word: it must compile and run; its bytes are tested against TensorFlow Lite Micro.
    let graph = SampleGraphs.everything(seed: 9, origin: .quantizedTFLite)
    let session = try Session(bytes: try CompiledModel(QuantizedGraph(graph), options: CompileOptions()).bytes)
    session.run()
    #expect(session.steps.count > 90)
  }

  @Test(arguments: [
    RecurrentOp.Cell.lstm(coupledGates: false), .gru(linearBeforeReset: true), .gru(linearBeforeReset: false), .rnn,
  ]) func stateCarriesARecurrentLayerFromRunToRun(cell: RecurrentOp.Cell) throws {
    let steps = 11, depth = 5
    let graph = try SampleGraphs.recurrent(cell, steps: steps, depth: depth)
    // The same layer for one step at a time.
    var single = graph
    for id in single.tensors.indices where single.tensors[id].shape.first == steps { single.tensors[id].shape[0] = 1 }
    let whole = try Session(bytes: try CompiledModel(QuantizedGraph(graph), options: CompileOptions()).bytes)
    let stepwise = try Session(bytes: try CompiledModel(QuantizedGraph(single), options: CompileOptions()).bytes)
    #expect(whole.model.stateByteCount > 0)
    #expect(whole.model.tensors.contains { $0.name?.hasSuffix(".hidden") == true })
    var maker = SampleGraph(seed: 5, origin: .float)
    maker.graph = graph
    let sample = maker.sample().integers[0]
    whole.setInput(0, integers: sample)
    whole.run()
    let expected = whole.integers(ofOutput: 0), last = whole.integers(ofOutput: 1)
    func walk(_ range: Range<Int>) -> [Int] {
      range.flatMap { step in
        stepwise.setInput(0, integers: Array(sample[step * depth..<(step + 1) * depth]))
        stepwise.run()
        return stepwise.integers(ofOutput: 0)
      }
    }
    #expect(walk(0..<steps) == expected)
    #expect(stepwise.integers(ofOutput: 1) == last)
    // A reset starts again; a saved state continues in its middle.
    stepwise.reset()
    var found = walk(0..<4)
    let state = stepwise.savedState
    _ = walk(0..<3)
    try stepwise.restore(state: state)
    found += walk(4..<steps)
    #expect(found == expected)
    #expect(throws: ModelError.self) { try stepwise.restore(state: Array(state.dropLast())) }
  }

  @Test(arguments: [true, false]) func aPaddingBeforeAConvolutionCostsNoStep(isDepthwise: Bool) throws {
    /// A padding and a convolution; both outputs of the model, or the convolution alone.
    func graph(showsPadding: Bool) throws -> Graph {
      var g = SampleGraph(seed: 6, origin: .quantizedTFLite)
      let x = g.input([1, 6, 5, 4])
      let pad = PadOp(before: [0, 1, 2, 0], after: [0, 0, 1, 0], mode: .constant(0))
      let padded = try g.node(.pad(pad), [x], quantization: g.graph.tensors[x].quantization)[0]
      let w = isDepthwise ? g.weights([1, 3, 3, 4], axis: 3) : g.weights([5, 3, 3, 4], axis: 0)
      var conv = Conv2DOp(), depthwise = DepthwiseConv2DOp()
      conv.padding = Padding2D(top: 0, left: 1, bottom: 1, right: 0)
      depthwise.padding = conv.padding
      let y = try g.node(
        isDepthwise ? .depthwiseConv2D(depthwise) : .conv2D(conv), [padded, w, g.bias(w, input: padded)])[0]
      g.graph.outputs = showsPadding ? [y, padded] : [y]
      return g.graph
    }
    let plain = try Session(
      bytes: try CompiledModel(QuantizedGraph(try graph(showsPadding: true)), options: CompileOptions()).bytes)
    let absorbed = try Session(
      bytes: try CompiledModel(QuantizedGraph(try graph(showsPadding: false)), options: CompileOptions()).bytes)
    #expect(plain.steps.map(\.code).contains(.pad))
    #expect(absorbed.steps.count == 1)
    var random = SplitMix64(seed: 11)
    let values = (0..<120).map { _ in Int(random.next() % 256) - 128 }
    for session in [plain, absorbed] {
      session.setInput(0, integers: values)
      session.run()
    }
    #expect(plain.integers(ofOutput: 0) == absorbed.integers(ofOutput: 0))
  }

  @Test func sumsThatCouldLeave32BitsAreRefused() throws {
    var g = SampleGraph(seed: 1, origin: .float)
    let x = g.input([1, 4])
    let w = g.weights([2, 4], axis: 0)
    let bias = g.bias(w, input: x)
    g.graph.tensors[bias].data = .int32([0, Int32.max])
    g.graph.outputs = try g.node(.fullyConnected(FullyConnectedOp()), [x, w, bias])
    let error = #expect(throws: ModelError.self) {
      try CompiledModel(QuantizedGraph(g.graph), options: CompileOptions())
    }
    #expect(error?.kind == .unsupported)
    #expect(error?.description.contains("channel 1") == true, "\(String(describing: error))")
  }

  @Test func everyUnsupportedNodeIsListed() throws {
    var g = SampleGraph(seed: 1, origin: .float)
    let x = g.input([1, 4], scale: 0.1, zeroPoint: 0, type: .int16)
    let first = try g.node(.unary(.silu), [x], type: .int16)[0]
    let second = try g.node(.unary(.tanh), [first], type: .int16)[0]
    g.graph.outputs = try g.node(.unary(.sin), [x], type: .int16) + [second]
    let error = #expect(throws: ModelError.self) {
      try CompiledModel(QuantizedGraph(g.graph), options: CompileOptions())
    }
    // The node that only lacks its operand is no finding.
    #expect(error?.problems.count == 2, "\(String(describing: error))")
  }
}
