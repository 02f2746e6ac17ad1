import Testing

@testable import QModel

/// Small networks, from float to the bytes of the compiled model.
@Suite struct QuantizerTests {
  /// Convolutions, depthwise, residual, pools, concatenation, dense, softmax.
  static func network(seed: UInt64) throws -> Graph {
    var sketch = GraphSketch(seed: seed)
    let input = sketch.input([1, 8, 8, 3])
    let stem = try sketch.node(.unary(.relu6), try sketch.convolution(input, 8, name: "stem"))
    var depthwise = DepthwiseConv2DOp()
    depthwise.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
    let filtered = try sketch.node(
      .depthwiseConv2D(depthwise), stem, sketch.constant([1, 3, 3, 8]), sketch.constant([8]), name: "filtered")
    let mixed = try sketch.convolution(filtered, 8, kernel: 1, padding: 0, name: "mixed")
    let sum = try sketch.node(.unary(.relu), try sketch.binary(.add, stem, mixed), name: "sum")
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth, pool.strideHeight, pool.strideWidth) = (2, 2, 2, 2)
    let pooled = try sketch.node(.maxPool2D(pool), sum)
    let averaged = try sketch.node(.averagePool2D(pool), filtered)
    let joined = try sketch.node(.concatenation(ConcatenationOp(axis: 3)), pooled, averaged, name: "joined")
    (pool.kernelHeight, pool.kernelWidth) = (4, 4)
    let features = try sketch.reshape(try sketch.node(.averagePool2D(pool), joined), [1, 16])
    let scores = try sketch.node(
      .fullyConnected(FullyConnectedOp()), features, sketch.constant([5, 16]), sketch.constant([5]), name: "scores")
    sketch.output(try sketch.node(.softmax(SoftmaxOp(axis: 1)), scores))
    return try sketch.graph.optimized()
  }

  private func compiled(
    _ graph: Graph, _ source: ArraySamples, method: CalibrationMethod = .mse, threads: Int = 1,
    rounding: QuantizationOptions.WeightRounding = .fitted
  ) throws -> [UInt8] {
    var options = QuantizationOptions()
    options.threads = threads
    options.weightRounding = rounding
    let quantized = try Pipeline.quantize(graph, calibration: source, method: method, options: options)
    try quantized.graph.validate()
    return try Pipeline.compile(quantized).bytes
  }

  @Test(arguments: CalibrationMethod.allCases) func orderAndThreadsDoNotMatter(method: CalibrationMethod) throws {
    let graph = try Self.network(seed: 51)
    let source = ArraySamples(for: graph, count: 10, seed: 52)
    let expected = try compiled(graph, source, method: method)
    #expect(try compiled(graph, source, method: method) == expected)
    #expect(try compiled(graph, source.shuffled(seed: 1), method: method, threads: 3) == expected)
  }

  @Test func otherSamplesGiveAnotherModel() throws {
    let graph = try Self.network(seed: 51)
    let a = try compiled(graph, ArraySamples(for: graph, count: 4, seed: 1))
    let b = try compiled(graph, ArraySamples(for: graph, count: 4, seed: 2))
    #expect(a != b)
  }

  /// The signal-to-noise ratio of the integer model's outputs as a factor.
  private func accuracy(_ graph: Graph, _ bytes: [UInt8], _ test: ArraySamples) throws -> Double {
    let session = try Session(bytes: bytes)
    var evaluator = try ReferenceEvaluator(graph)
    var signal = 0.0, noise = 0.0
    for sample in test.samples {
      let inputs = zip(graph.inputs, sample).map { graph.tensors[$0].fromSourceLayout($1) }
      let expected = try evaluator.run(inputs)
      for (index, values) in sample.enumerated() {
        values.withUnsafeBufferPointer { session.setInput(index, quantizing: $0) }
      }
      session.run()
      for (index, output) in graph.outputs.enumerated() {
        let exact = graph.tensors[output].inSourceLayout(expected[index])
        for (a, b) in zip(exact, session.dequantizedOutput(index)) {
          signal += Double(a) * Double(a)
          noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
        }
      }
    }
    return signal / noise
  }

  @Test(arguments: [51, 53, 54] as [UInt64]) func fittedModelsAreNearTheFloatModel(seed: UInt64) throws {
    let graph = try Self.network(seed: seed)
    let source = ArraySamples(for: graph, count: 24, seed: 52)
    let test = ArraySamples(for: graph, count: 40, seed: 55)
    let fitted = try accuracy(graph, try compiled(graph, source, threads: 2), test)
    let nearest = try accuracy(graph, try compiled(graph, source, rounding: .nearest), test)
    // 20 dB at least, and on samples never seen not worse than plain rounding by more than 1 dB.
    #expect(fitted > 100, "\(fitted)")
    #expect(fitted > nearest * 0.8, "fitted \(fitted), nearest \(nearest)")
  }

  @Test func progressEndsAtItsTotal() throws {
    let graph = try Self.network(seed: 56)
    var seen: [(Int, Int)] = []
    _ = try Pipeline.quantize(graph, calibration: ArraySamples(for: graph, count: 3, seed: 1)) { seen.append(($0, $1)) }
    #expect(seen.last.map { $0.0 == $0.1 } == true)
    #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.0 <= $1.0 && $0.1 == $1.1 })
    #expect(seen.allSatisfy { $0.0 <= $0.1 })
  }

  @Test func everythingIsAnInteger() throws {
    let graph = try Self.network(seed: 57)
    let quantized = try Quantizer().quantize(graph, samples: ArraySamples(for: graph, count: 3, seed: 1)).graph
    var used = Set(quantized.inputs + quantized.outputs)
    for node in quantized.nodes { used.formUnion(node.outputs + node.inputs.compactMap { $0 }) }
    for id in used {
      let tensor = quantized.tensors[id]
      #expect([.int8, .int32].contains(tensor.type), "tensor \(id) '\(tensor.name)' is \(tensor.type)")
      #expect(tensor.quantization != nil, "tensor \(id) '\(tensor.name)'")
      if let data = tensor.data { #expect(data.floats == nil) }
    }
    for node in quantized.nodes {
      guard case .conv2D = node.op, let input = node.inputs[0], let weights = node.inputs[1], let bias = node.inputs[2],
        let inputScale = quantized.tensors[input].quantization?.scale,
        let weightScales = quantized.tensors[weights].quantization?.scales
      else { continue }
      #expect(quantized.tensors[bias].quantization?.scales == weightScales.map { $0 * inputScale })
      #expect(quantized.tensors[weights].data?.integers?.allSatisfy { abs($0) <= 127 } == true)
    }
  }

  @Test func deadAndConstantModelsRun() throws {
    // A ReLU that never fires, weights that are all zero, a constant result.
    var sketch = GraphSketch(seed: 58)
    let input = sketch.input([1, 4])
    let dead = try sketch.node(
      .fullyConnected(FullyConnectedOp()), input, sketch.constant(FloatTensor(shape: [3, 4], repeating: 0)),
      sketch.constant(FloatTensor(shape: [3], values: [-1, -2, -3])))
    let zero = try sketch.node(.unary(.relu), dead)
    let final = try sketch.node(
      .fullyConnected(FullyConnectedOp()), zero, sketch.constant([2, 3]),
      sketch.constant(FloatTensor(shape: [2], values: [0.5, -0.25])))
    sketch.output(final)
    let graph = try sketch.graph.optimized()
    for rounding in [QuantizationOptions.WeightRounding.nearest, .fitted] {
      let bytes = try compiled(graph, ArraySamples(for: graph, count: 5, seed: 3), rounding: rounding)
      let session = try Session(bytes: bytes)
      [1, -1, 2, 0.5].withUnsafeBufferPointer { session.setInput(0, quantizing: $0) }
      session.run()
      let output = session.dequantizedOutput(0)
      #expect(abs(output[0] - 0.5) < 0.01 && abs(output[1] + 0.25) < 0.01, "\(output)")
    }
  }

  @Test func oneSampleIsEnough() throws {
    let graph = try Self.network(seed: 59)
    let source = ArraySamples(for: graph, count: 1, seed: 4)
    #expect(try accuracy(graph, try compiled(graph, source), source) > 100)
  }

  @Test func floatModelsNeedSamples() throws {
    let graph = try Self.network(seed: 60)
    let error = #expect(throws: ModelError.self) { try Pipeline.quantize(graph, calibration: nil) }
    #expect(error?.kind == .mismatch)
  }

  @Test func brokenWeightsAreRefused() throws {
    for value in [Float.nan, .infinity] {
      var sketch = GraphSketch(seed: 61)
      let input = sketch.input([1, 2])
      sketch.output(
        try sketch.node(
          .fullyConnected(FullyConnectedOp()), input, sketch.constant(FloatTensor(shape: [1, 2], values: [1, value]))))
      let source = ArraySamples(single: [[1, 0], [0, 0]])
      #expect(throws: ModelError.self) { try Quantizer().quantize(sketch.graph, samples: source) }
    }
  }

  /// Every elementwise and movement op once, on its own, against the float model.
  @Test func singleOpsAgree() throws {
    let unary: [UnaryOp] = [
      .relu, .relu6, .reluN1To1, .clip(min: -0.5, max: 1.5), .leakyRelu(alpha: 0.1), .logistic, .tanh,
      .hardSigmoid(alpha: 0.2, beta: 0.5), .hardSwish, .elu(alpha: 1), .selu(alpha: 1.67, gamma: 1.05),
      .celu(alpha: 1.5),
      .gelu(approximate: true), .gelu(approximate: false), .silu, .mish, .softplus, .softsign, .exp, .square, .abs,
      .neg,
      .erf, .sin, .cos,
    ]
    var cases: [(String, (inout GraphSketch, TensorID) throws -> TensorID)] = unary.map { op in
      (op.functionName, { sketch, input in try sketch.node(.unary(op), input) })
    }
    for kind in [BinaryOp.Kind.add, .sub, .mul, .maximum, .minimum] {
      cases.append(
        (
          "\(kind) of two",
          { sketch, input in
            try sketch.binary(kind, input, try sketch.node(.unary(.sin), input))
          }
        ))
      cases.append(
        (
          "\(kind) of a constant",
          { sketch, input in
            try sketch.binary(kind, input, sketch.constant([3]))
          }
        ))
      cases.append(
        (
          "\(kind) of one value",
          { sketch, input in
            try sketch.binary(kind, sketch.constant(0.7), input)
          }
        ))
    }
    cases.append(
      (
        "division",
        { sketch, input in
          try sketch.binary(.div, input, sketch.constant([3], in: 0.5...2))
        }
      ))
    cases.append(
      (
        "prelu",
        { sketch, input in
          try sketch.node(.prelu, input, sketch.constant([3], in: 0...0.5))
        }
      ))
    cases.append(("softmax", { sketch, input in try sketch.node(.softmax(SoftmaxOp(axis: 3)), input) }))
    cases.append(("log softmax", { sketch, input in try sketch.node(.logSoftmax(SoftmaxOp(axis: 3)), input) }))
    cases.append(
      (
        "mean",
        { sketch, input in
          try sketch.node(.mean(ReduceOp(axes: [1, 2], keepDimensions: false)), input)
        }
      ))
    cases.append(
      (
        "concatenation of a constant",
        { sketch, input in
          try sketch.node(.concatenation(ConcatenationOp(axis: 3)), input, sketch.constant([1, 4, 4, 2]))
        }
      ))
    cases.append(
      (
        "pad",
        { sketch, input in
          try sketch.node(.pad(PadOp(before: [0, 1, 0, 0], after: [0, 0, 2, 0], mode: .constant(0.3))), input)
        }
      ))
    cases.append(
      (
        "resize",
        { sketch, input in
          try sketch.node(
            .resize(ResizeOp(mode: .nearest, coordinates: .asymmetric, outputHeight: 8, outputWidth: 8)), input)
        }
      ))
    cases.append(
      (
        "matrix product",
        { sketch, input in
          try sketch.node(.batchMatMul(BatchMatMulOp()), input, sketch.constant([1, 4, 3, 2]))
        }
      ))
    cases.append(
      (
        "transposed convolution",
        { sketch, input in
          var op = TransposeConv2DOp()
          (op.strideHeight, op.strideWidth, op.outputHeight, op.outputWidth) = (2, 2, 9, 9)
          return try sketch.node(.transposeConv2D(op), input, sketch.constant([5, 3, 3, 3]), sketch.constant([5]))
        }
      ))
    for (name, build) in cases {
      var sketch = GraphSketch(seed: 62)
      let input = sketch.input([1, 4, 4, 3])
      sketch.output(try build(&sketch, input))
      let graph = try sketch.graph.optimized()
      let source = ArraySamples(for: graph, count: 12, seed: 63)
      let ratio = try accuracy(graph, try compiled(graph, source), source)
      // 27 dB: some 4.5 bits remain even where a coarse input meets a steep function.
      #expect(ratio > 500, "\(name): \(ratio)")
    }
  }
}
