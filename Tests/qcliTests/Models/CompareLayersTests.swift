import QModel
import Testing

@testable import qcli

/// The float model that `TinyModel` is the integer form of; `slip` is added to one weight of the first layer.
func tinyGraph(slip: Float = 0) -> Graph {
  var graph = Graph(name: "tiny")
  func activation(_ name: String, _ channels: Int) -> TensorID {
    graph.add(GraphTensor(name: name, shape: [1, 2, 2, channels], sourceLayout: [0, 3, 1, 2], batchAxis: 0))
  }
  func dense(_ name: String, _ input: TensorID, _ output: TensorID, _ weights: [[Float]]) {
    let constant = graph.add(
      GraphTensor(
        name: name + "/weights", shape: [weights.count, weights[0].count], data: .float(weights.flatMap { $0 })))
    graph.nodes.append(
      Node(name: name, op: .fullyConnected(FullyConnectedOp()), inputs: [input, constant, nil], outputs: [output]))
  }
  let (x, h, y) = (activation("serving/x:0", 2), activation("h", 3), activation("y", 2))
  dense("first", x, h, [[1, 0], [0, 1], [2, -1 + slip]])
  dense("second", h, y, [[1, 1, 1], [0, 3, 0]])
  graph.inputs = [x]
  graph.outputs = [y]
  return graph
}

@Suite struct CompareLayersTests {
  private func report(_ graph: Graph, _ values: [Float], threads: Int = 1) throws -> VerifyReport {
    let folder = try TemporaryFolder()
    let array = NPYArray(shape: [values.count / 8, 2, 2, 2], floats: values)
    try writeFileAtomically(folder.file("x.npy"), array.encoded())
    let samples = try SampleArrays(
      [folder.file("x.npy")], option: "--input", names: ["x"], layouts: [SampleLayout(graph.tensors[graph.inputs[0]])],
      types: [.float32], isRaw: false)
    return try compareLayers(
      graph, try VerifiedModel(bytes: TinyModel.bytes()), samples, threads: threads, progress: nil)
  }

  static let whole: [Float] = (0..<160).map { Float(($0 * 7) % 11) - 5 }

  @Test func anExactModelHasNoError() throws {
    let report = try report(tinyGraph(), Self.whole)
    #expect(report.sampleCount == 20)
    #expect(report.layers.map(\.name) == ["serving/x:0", "h", "y"])
    #expect(report.layers.map(\.op) == ["input", "fullyConnected", "fullyConnected"])
    #expect(report.layers.allSatisfy { $0.own.decibels == .infinity && $0.total.decibels == .infinity })
    #expect(report.outputs.map(\.total.decibels) == [.infinity])
    #expect(report.agreements == [20])
    #expect(report.unmatched == 0)
  }

  @Test func theGuiltyLayerIsOnTop() throws {
    let slip: Float = 0.25
    let report = try report(tinyGraph(slip: slip), Self.whole)
    #expect(report.layers.map(\.name) == ["h", "serving/x:0", "y"])
    // Only h loses something of its own; y inherits it.
    #expect(report.layers[2].own.noise == 0)
    #expect(report.layers[2].total.noise > 0)
    // A second way to the figure: h's third channel is wrong by slip times the second input channel.
    var signal = 0.0, noise = 0.0
    for start in stride(from: 0, to: Self.whole.count, by: 8) {
      for pixel in 0..<4 {
        let a = Double(Self.whole[start + pixel]), b = Double(Self.whole[start + 4 + pixel])
        let third = 2 * a + (Double(slip) - 1) * b
        signal += a * a + b * b + third * third
        noise += (Double(slip) * b) * (Double(slip) * b)
      }
    }
    #expect(abs(report.layers[0].own.signal - signal) < 1e-9 * signal)
    #expect(abs(report.layers[0].own.noise - noise) < 1e-9 * noise)
    #expect(report.layers[0].own.largest == 1.25)
    #expect(report.layers[0].own.count == 20 * 12)
  }

  @Test func aNameBehindAReshapeStandsForTheLayerBeforeIt() throws {
    var graph = tinyGraph(slip: 0.25)
    let hidden = graph.nodes[0].outputs[0]
    let inside = graph.add(GraphTensor(shape: graph.tensors[hidden].shape))
    graph.nodes[0].outputs = [inside]
    let reshape = ReshapeOp(shape: graph.tensors[hidden].shape)
    graph.nodes.insert(Node(name: "r", op: .reshape(reshape), inputs: [inside], outputs: [hidden]), at: 1)
    let report = try report(graph, Self.whole)
    #expect(report.layers.map(\.name) == ["h", "serving/x:0", "y"])
    #expect(report.layers.map(\.op) == ["fullyConnected", "input", "fullyConnected"])
  }

  @Test func saturatedValuesAreCounted() throws {
    // The input holds -65.5 ... 62; half a step beyond still rounds into it.
    let report = try report(tinyGraph(), [62.2, 62.3, -65.7, -65.8, 1, 1, 1, 1])
    let input = try #require(report.layers.first { $0.name == "serving/x:0" })
    #expect(input.own.saturated == 2)
    #expect(input.own.saturatedShare == 0.25)
  }

  @Test func threadsDoNotChangeTheFigures() throws {
    let values = (0..<800).map { Float(($0 * 37) % 101) / 7 - 7 }
    let one = try report(tinyGraph(slip: 0.1), values)
    for threads in [2, 3, 7] {
      let more = try report(tinyGraph(slip: 0.1), values, threads: threads)
      #expect(more.layers.map(\.own.noise) == one.layers.map(\.own.noise))
      #expect(more.layers.map(\.total.signal) == one.layers.map(\.total.signal))
      #expect(more.agreements == one.agreements)
    }
  }

  @Test func theReportForReaders() throws {
    let report = try report(tinyGraph(slip: 0.25), Self.whole)
    #expect(
      report.text(path: "m.qkm", floatPath: "m.onnx") == """
        m.qkm against m.onnx, 20 samples

          output  SQNR dB  largest error  same argmax
          y         24.34           1.25     20 of 20

          #  own dB  total dB  saturated  op              name
          1   20.99     20.99     0.00 %  fullyConnected  h
          2   exact     exact     0.00 %  input           serving/x:0
          3   exact     24.34     0.00 %  fullyConnected  y

        """)
    #expect(
      report.json.text.hasPrefix(
        """
        {
          "samples": 20,
          "outputs": [
            {
              "name": "y",
              "sqnr_db": 24.338,
        """))
  }
}
