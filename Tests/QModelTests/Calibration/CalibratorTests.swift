import Testing

@testable import QModel

@Suite struct CalibratorTests {
  private func network(seed: UInt64 = 5) throws -> Graph {
    var sketch = GraphSketch(seed: seed)
    let input = sketch.input([1, 6, 5, 3])
    let hidden = try sketch.node(.unary(.relu), try sketch.convolution(input, 4, name: "conv"), name: "relu")
    let flat = try sketch.reshape(hidden, [1, 120])
    let dense = try sketch.node(.fullyConnected(FullyConnectedOp()), flat, sketch.constant([7, 120]), name: "dense")
    sketch.output(try sketch.node(.softmax(SoftmaxOp(axis: 1)), dense))
    return sketch.graph
  }

  private func calibrate(
    _ graph: Graph, _ source: ArraySamples, threads: Int = 1, method: CalibrationMethod = .mse
  ) throws -> CalibratedRanges {
    let samples = try CalibrationSamples(source, for: graph)
    return try Calibrator(graph: graph, samples: samples, threads: threads).ranges(by: method)
  }

  @Test func observedRangesAreTheExtremes() throws {
    let graph = try network()
    let source = ArraySamples(for: graph, count: 9, seed: 21)
    let ranges = try calibrate(graph, source)
    var evaluator = try ReferenceEvaluator(graph)
    var expected: [TensorID: (Float, Float)] = [:]
    for sample in source.samples {
      _ = try evaluator.run([FloatTensor(shape: [1, 6, 5, 3], values: sample[0])]) { id, tensor in
        let low = tensor.values.min() ?? 0, high = tensor.values.max() ?? 0
        expected[id] = (min(expected[id]?.0 ?? low, low), max(expected[id]?.1 ?? high, high))
      }
    }
    #expect(ranges.observed.count == expected.count)
    for (id, range) in expected {
      #expect(ranges.observed[.tensor(id)] == ValueRange(low: range.0, high: range.1), "tensor \(id)")
    }
  }

  @Test(arguments: CalibrationMethod.allCases) func orderAndThreadsDoNotMatter(method: CalibrationMethod) throws {
    let graph = try network()
    let source = ArraySamples(for: graph, count: 23, seed: 22)
    let expected = try calibrate(graph, source, method: method)
    for threads in [1, 2, 3, 7] {
      let other = try calibrate(graph, source.shuffled(seed: UInt64(threads)), threads: threads, method: method)
      #expect(other == expected, "\(threads) threads")
    }
  }

  @Test func samplesAreSortedByContent() throws {
    let graph = try network()
    let source = ArraySamples(for: graph, count: 12, seed: 23)
    let sorted = try CalibrationSamples(source, for: graph)
    let shuffled = try CalibrationSamples(source.shuffled(seed: 3), for: graph)
    for position in 0..<12 { #expect(try sorted.sample(position) == shuffled.sample(position)) }
    #expect(Set(sorted.order) == Set(0..<12))
  }

  @Test func samplesTakeTheGraphsLayout() throws {
    var graph = Graph(name: "layout")
    // Source [N, C, H, W] = [1, 2, 3, 4]; here [N, H, W, C].
    graph.inputs = [graph.add(GraphTensor(name: "x", shape: [1, 3, 4, 2], sourceLayout: [0, 3, 1, 2]))]
    let values = (0..<24).map(Float.init)
    let tensor = try CalibrationSamples(ArraySamples(single: [values]), for: graph).sample(0)[0]
    #expect(tensor == graph.tensors[0].fromSourceLayout(values))
    #expect(tensor[0, 1, 2, 1] == Double(values[1 * 12 + 1 * 4 + 2]))
  }

  @Test func unfittingSamplesAreRefused() throws {
    let graph = try network()
    func problem(_ source: ArraySamples) -> String {
      do {
        _ = try CalibrationSamples(source, for: graph)
        return ""
      } catch { return "\(error)" }
    }
    let good = [Float](repeating: 1, count: 90)
    #expect(problem(ArraySamples([])).contains("no samples"))
    #expect(problem(ArraySamples(single: [good, Array(good.dropLast())])).contains("sample 1 has 89 values"))
    #expect(problem(ArraySamples([[good, good]])).contains("1 inputs, the calibration data 2"))
    for value in [Float.nan, .infinity, -.infinity] {
      var bad = good
      bad[7] = value
      #expect(problem(ArraySamples(single: [good, good, bad])).contains("sample 2 of input 'input'"))
    }
    #expect(problem(ArraySamples(single: [good])) == "")
  }

  @Test func overflowNamesTheNode() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4])
    let big = try sketch.node(.unary(.exp), input, name: "grown")
    sketch.output(try sketch.node(.unary(.relu), big))
    let source = ArraySamples(single: [[1, 2, 3, 4], [100, 0, 0, 0]])
    let error = #expect(throws: ModelError.self) { try calibrate(sketch.graph, source) }
    #expect(error?.description.contains("'grown' is not finite") == true)
  }
}
