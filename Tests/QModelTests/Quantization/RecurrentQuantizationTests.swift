import Foundation
import QKernels
import Testing

@testable import QModel

/// Float recurrent layers on their way to integers.
@Suite struct RecurrentQuantizationTests {
  private struct Samples: SampleSource {
    var values: [[[Float]]]
    var sampleCount: Int { values.count }
    func sample(_ index: Int) throws(ModelError) -> [[Float]] { values[index] }
  }

  /// Which operands beside input and weights a layer has.
  struct Extras: OptionSet {
    let rawValue: Int
    static let biases = Extras(rawValue: 1), constantState = Extras(rawValue: 2), givenState = Extras(rawValue: 4)
    static let peepholes = Extras(rawValue: 8)
  }

  /// A layer with weights of trained size whose outputs are the model's.
  private static func graph(
    _ op: RecurrentOp, steps: Int = 6, inputs: Int = 5, extras: Extras = .biases, outputs: [Int] = [0], seed: UInt64 = 3
  ) throws -> Graph {
    var sketch = GraphSketch(seed: seed)
    let d = op.directionCount, rows = op.gateCount * op.hiddenSize
    let x = sketch.input([steps, 1, inputs], name: "x")
    var operands: [TensorID?] = [
      x, sketch.constant([d, rows, inputs]), sketch.constant([d, rows, op.hiddenSize], in: -0.5...0.5), nil, nil, nil,
      nil,
      nil,
    ]
    if extras.contains(.biases) {
      operands[3] = sketch.constant([d, rows], in: -0.5...0.5)
      operands[4] = sketch.constant([d, rows], in: -0.5...0.5)
    }
    let isLSTM = op.gateCount == 4
    for index in isLSTM ? [5, 6] : [5] {
      if extras.contains(.constantState) { operands[index] = sketch.constant([d, 1, op.hiddenSize], in: -0.9...0.9) }
      if extras.contains(.givenState) { operands[index] = sketch.input([d, 1, op.hiddenSize], name: "state \(index)") }
    }
    if extras.contains(.peepholes) { operands[7] = sketch.constant([d, 3 * op.hiddenSize], in: -0.5...0.5) }
    let results = try sketch.nodes(.recurrent(op), operands)
    for output in outputs { sketch.output(results[output], name: "output \(output)") }
    return sketch.graph
  }

  private static func samples(_ graph: Graph, count: Int = 40, seed: UInt64 = 5) -> Samples {
    var random = TensorGenerator(seed: seed)
    return Samples(
      values: (0..<count).map { _ in graph.inputs.map { random.tensor(graph.tensors[$0].shape, in: -1...1).values } })
  }

  private static func options(_ state: ElementType = .int8, threads: Int = 1) -> QuantizationOptions {
    var options = QuantizationOptions()
    options.recurrentState = state
    options.threads = threads
    return options
  }

  private static func quantized(_ graph: Graph, _ state: ElementType = .int8) throws -> QuantizedGraph {
    try Quantizer(options: options(state)).quantize(graph, samples: samples(graph))
  }

  /// The ratio of signal to error of each output, over the samples of the calibration, in dB.
  ///
  /// New samples would leave the ranges that so few can show: one value of 210 that saturates takes 12 dB, and hides the
  /// arithmetic that is tested here.
  private static func quality(_ graph: Graph, _ session: Session) throws -> [Double] {
    var evaluator = try ReferenceEvaluator(graph)
    var signal = graph.outputs.map { _ in 0.0 }, noise = signal
    for sample in samples(graph).values {
      session.reset()
      for (index, values) in sample.enumerated() {
        values.withUnsafeBufferPointer { session.setInput(index, quantizing: $0) }
      }
      session.run()
      let expected = try evaluator.run(
        zip(graph.inputs, sample).map { FloatTensor(shape: graph.tensors[$0].shape, values: $1) })
      for index in graph.outputs.indices {
        for (value, wanted) in zip(session.dequantizedOutput(index), expected[index].values) {
          signal[index] += Double(wanted * wanted)
          noise[index] += Double((value - wanted) * (value - wanted))
        }
      }
    }
    return zip(signal, noise).map { 10 * log10($0 / $1) }
  }

  struct Variant: CustomStringConvertible, Sendable {
    var description: String
    var op: RecurrentOp
    var extras = 1
    var outputs: [Int]

    init(
      _ name: String, _ cell: RecurrentOp.Cell, _ direction: RecurrentOp.Direction = .forward, hidden: Int = 7,
      _ extras: Extras = .biases, _ change: (inout RecurrentOp) -> Void = { _ in }
    ) {
      description = name
      op = RecurrentOp(cell: cell, direction: direction, hiddenSize: hidden)
      self.extras = extras.rawValue
      outputs = op.gateCount == 4 ? [0, 1, 2] : [0, 1]
      change(&op)
    }
  }

  static let variants: [Variant] = [
    Variant("LSTM", .lstm(coupledGates: false)),
    Variant("LSTM without biases", .lstm(coupledGates: false), .reverse, hidden: 4, []),
    Variant("LSTM bidirectional", .lstm(coupledGates: false), .bidirectional, [.biases, .constantState]),
    Variant("LSTM peepholes, states given", .lstm(coupledGates: false), .forward, [.biases, .peepholes, .givenState]),
    Variant("LSTM coupled, clipped", .lstm(coupledGates: true), .forward, hidden: 17) { $0.clip = 0.8 },
    Variant("LSTM cell clip", .lstm(coupledGates: false)) { $0.cellClip = 0.3 },
    Variant("GRU", .gru(linearBeforeReset: true)),
    Variant("GRU reset before", .gru(linearBeforeReset: false), .bidirectional, hidden: 9),
    Variant("GRU states given", .gru(linearBeforeReset: true), .bidirectional, [.biases, .givenState]),
    Variant("GRU constant state", .gru(linearBeforeReset: false), .reverse, hidden: 1, [.constantState]),
    Variant("GRU relu", .gru(linearBeforeReset: true)) { $0.activations = [[.logistic, .relu]] },
    Variant("GRU relu reset before", .gru(linearBeforeReset: false), .bidirectional, hidden: 9) {
      $0.activations = [[.logistic, .relu], [.logistic, .relu]]
    },
    Variant("GRU relu, clipped, states given", .gru(linearBeforeReset: true), .reverse, [.biases, .givenState]) {
      $0.activations = [[.logistic, .relu]]
      $0.clip = 0.9
    },
    Variant("RNN", .rnn, .bidirectional, hidden: 16),
    Variant("RNN relu", .rnn, hidden: 5) { $0.activations = [[.relu]] },
    Variant("RNN logistic, states given", .rnn, .reverse, [.givenState]) { $0.activations = [[.logistic]] },
  ]

  @Test(arguments: variants, [ElementType.int8, .int16])
  func integerFormIsClose(_ variant: Variant, _ state: ElementType) throws {
    let graph = try Self.graph(variant.op, extras: Extras(rawValue: variant.extras), outputs: variant.outputs)
    let session = try Session(bytes: try Pipeline.compile(try Self.quantized(graph, state)).bytes)
    let quality = try Self.quality(graph, session)
    for (output, decibels) in quality.enumerated() {
      #expect(decibels > 38, "\(variant), output \(output), \(state) state")
    }
  }

  /// T steps in one call, and one step in each of T calls with the state kept.
  @Test(arguments: variants.filter { $0.op.direction == .forward && $0.extras & 4 == 0 }, [ElementType.int8, .int16])
  func stepsOneByOneGiveTheSameBytes(_ variant: Variant, _ state: ElementType) throws {
    let steps = 6
    let graph = try Self.graph(variant.op, steps: steps, extras: Extras(rawValue: variant.extras), outputs: [0])
    let whole = try Self.quantized(graph, state)
    var single = whole
    for id in single.graph.tensors.indices where single.graph.tensors[id].data == nil {
      let shape = single.graph.tensors[id].shape
      if shape.first == steps { single.graph.tensors[id].shape = [1] + shape.dropFirst() }
    }
    let long = try Session(bytes: try Pipeline.compile(whole).bytes)
    let short = try Session(bytes: try Pipeline.compile(single).bytes)
    #expect(long.model.stateByteCount > 0 && long.model.stateByteCount == short.model.stateByteCount)
    for values in Self.samples(graph, count: 3, seed: 21).values.map({ $0[0] }) {
      let width = values.count / steps
      var stepwise: [Int] = []
      for step in 0..<steps {
        values[step * width..<(step + 1) * width].withUnsafeBufferPointer { short.setInput(0, quantizing: $0) }
        short.run()
        stepwise += short.integers(ofOutput: 0)
      }
      // The state of both is that of the sample before: they start the next one alike.
      values.withUnsafeBufferPointer { long.setInput(0, quantizing: $0) }
      long.run()
      #expect(long.integers(ofOutput: 0) == stepwise)
    }
    // And the state decides: after a reset the first sample gives what it gave first.
    let sample = Self.samples(graph, count: 1, seed: 30).values[0][0]
    func output() -> [Int] {
      sample.withUnsafeBufferPointer { long.setInput(0, quantizing: $0) }
      long.run()
      return long.integers(ofOutput: 0)
    }
    long.reset()
    let first = output(), second = output()
    long.reset()
    #expect(output() == first && second != first)
  }

  @Test func unusedSequenceIsNotComputed() throws {
    let graph = try Self.graph(
      RecurrentOp(cell: .gru(linearBeforeReset: true), direction: .forward, hiddenSize: 6), outputs: [1])
    let model = try VerifiedModel(bytes: try Pipeline.compile(try Self.quantized(graph)).bytes)
    let step = try #require(model.steps.first { $0.code == .gru })
    #expect(step.outputs.isEmpty)
  }

  @Test func bytesDependOnNeitherOrderNorThreads() throws {
    let op = RecurrentOp(cell: .lstm(coupledGates: false), direction: .bidirectional, hiddenSize: 5)
    let graph = try Self.graph(op, outputs: [0, 2])
    var samples = Self.samples(graph)
    let first = try Pipeline.compile(try Quantizer(options: Self.options()).quantize(graph, samples: samples))
    samples.values.reverse()
    let second = try Pipeline.compile(
      try Quantizer(options: Self.options(threads: 2)).quantize(graph, samples: samples))
    #expect(first == second)
  }

  @Test(arguments: [
    (RecurrentOp.Cell.lstm(coupledGates: false), [UnaryOp.hardSigmoid(alpha: 0.2, beta: 0.5), .tanh, .tanh]),
    (.lstm(coupledGates: false), [.logistic, .softsign, .tanh]),
    (.gru(linearBeforeReset: true), [.logistic, .logistic]), (.gru(linearBeforeReset: true), [.relu, .tanh]),
    (.rnn, [.elu(alpha: 1)]),
  ])
  func activationsWithoutIntegerFormAreNamed(_ cell: RecurrentOp.Cell, _ activations: [UnaryOp]) throws {
    var op = RecurrentOp(cell: cell, direction: .forward, hiddenSize: 3)
    op.activations = [activations]
    let graph = try Self.graph(op)
    let error = try #require(throws: ModelError.self) { _ = try Self.quantized(graph) }
    #expect(error.kind == .unsupported)
    let text = error.problems.joined()
    #expect(text.contains(graph.nodes[0].name) && text.contains("integer form"), "\(text)")
  }

  /// The trained models of this repository, with half of their calibration samples and every ninth test sample.
  @Test(arguments: ONNXGoldenModelTests.names.filter { $0 != "digits" }, [ElementType.int8, .int16])
  func trainedModelsKeepTheirAnswers(_ name: String, _ state: ElementType) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("golden/models").path
    func array(_ path: String) throws -> NPYArray { try NPYArray(parsing: readFile("\(folder)/\(path)"), path: path) }
    func rows(_ array: NPYArray, _ step: Int) -> [[Float]] {
      let size = array.count / array.shape[0]
      return stride(from: 0, to: array.shape[0], by: step).map { array.floats(in: $0 * size..<($0 + 1) * size) }
    }
    let graph = try Pipeline.optimize(try Pipeline.importModel(path: "\(folder)/\(name)/model.onnx"))
    let calibration = Samples(values: rows(try array("digits/calibration.npy"), 2).map { [$0] })
    let quantized = try Quantizer(options: Self.options(state)).quantize(graph, samples: calibration)
    let session = try Session(bytes: try Pipeline.compile(quantized).bytes)
    var signal = 0.0, noise = 0.0, changed = 0
    let inputs = rows(try array("digits/test_inputs.npy"), 9), outputs = rows(try array("\(name)/float_outputs.npy"), 9)
    for (input, expected) in zip(inputs, outputs) {
      session.reset()
      input.withUnsafeBufferPointer { session.setInput(0, quantizing: $0) }
      session.run()
      let result = session.dequantizedOutput(0)
      for (value, wanted) in zip(result, expected) {
        signal += Double(wanted * wanted)
        noise += Double((value - wanted) * (value - wanted))
      }
      func best(_ values: [Float]) -> Int? { values.indices.max { values[$0] < values[$1] } }
      if best(result) != best(expected) { changed += 1 }
    }
    #expect(changed <= 1 && 10 * log10(signal / noise) > 30, "\(10 * log10(signal / noise)) dB, \(changed) changed")
  }
}
