import Foundation
import Testing

@testable import QModel

/// Published models, which stand beside the repository and are not part of it: `QK_ORACLE` names their folder, else it is
/// `../shared/oracle` beside the package. Without them the tests are skipped.
private enum TFLiteOracle {
  static let folder: String = {
    if let folder = ProcessInfo.processInfo.environment["QK_ORACLE"] { return folder }
    var package = URL(fileURLWithPath: #filePath)
    for _ in 0..<5 { package.deleteLastPathComponent() }
    return package.deletingLastPathComponent().appendingPathComponent("shared/oracle").path
  }()
  static let isAvailable = FileManager.default.fileExists(atPath: folder + "/models/hello_world_int8.tflite")

  static func bytes(_ path: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + path)))
  }

  static func array(_ path: String) throws -> NPYArray { try NPYArray(parsing: bytes(path), path: path) }

  static func graph(_ model: String) throws -> Graph {
    let graph = try TFLiteImporter.graph(from: bytes("models/\(model).tflite"), name: model)
    try graph.validate()
    return graph
  }
}

@Suite(.enabled(if: TFLiteOracle.isAvailable, "needs the published models, see QK_ORACLE"))
struct TFLiteOracleTests {
  /// Figures of a model, read from its file with the `tflite` package for Python.
  struct Facts: CustomTestStringConvertible, Sendable {
    var model: String
    var origin: Graph.Origin
    var input: [Int]
    var output: [Int]
    /// How often each op occurs, without the reshapes and transposes that only reorder axes.
    var ops: [String: Int]
    /// Scale and zero point of the input, then of the output.
    var scales: [Float] = []
    var zeroPoints: [Int] = []

    var testDescription: String { model }
  }

  static let facts = [
    Facts(
      model: "ad01_fp32", origin: .float, input: [1, 640], output: [1, 640], ops: ["FullyConnected": 10]),
    Facts(
      model: "ad01_int8", origin: .quantizedTFLite, input: [1, 640], output: [1, 640], ops: ["FullyConnected": 10],
      scales: [0.3910152316093445, 0.36449846625328064], zeroPoints: [89, 96]),
    Facts(model: "hello_world_float", origin: .float, input: [1, 1], output: [1, 1], ops: ["FullyConnected": 3]),
    Facts(
      model: "hello_world_int8", origin: .quantizedTFLite, input: [1, 1], output: [1, 1], ops: ["FullyConnected": 3],
      scales: [0.024480115622282028, 0.008290956728160381], zeroPoints: [-128, 5]),
    Facts(
      model: "kws_float_dequant", origin: .float, input: [1, 49, 10, 1], output: [1, 12],
      ops: ["Conv2D": 5, "DepthwiseConv2D": 4, "AveragePool2D": 1, "FullyConnected": 1, "Softmax": 1]),
    Facts(
      model: "kws_ref_model", origin: .quantizedTFLite, input: [1, 49, 10, 1], output: [1, 12],
      ops: ["Conv2D": 5, "DepthwiseConv2D": 4, "AveragePool2D": 1, "FullyConnected": 1, "Softmax": 1],
      scales: [0.5847029089927673, 0.00390625], zeroPoints: [83, -128]),
    Facts(
      model: "pretrainedResnet", origin: .float, input: [1, 32, 32, 3], output: [1, 10],
      ops: ["Conv2D": 9, "Binary": 3, "AveragePool2D": 1, "FullyConnected": 1, "Softmax": 1]),
    Facts(
      model: "pretrainedResnet_quant", origin: .quantizedTFLite, input: [1, 32, 32, 3], output: [1, 10],
      ops: ["Conv2D": 9, "Binary": 3, "AveragePool2D": 1, "FullyConnected": 1, "Softmax": 1],
      scales: [1, 0.00390625], zeroPoints: [-128, -128]),
    Facts(
      model: "trained_lstm", origin: .float, input: [1, 28, 28], output: [1, 10],
      ops: ["Recurrent": 1, "FullyConnected": 1, "Softmax": 1]),
    Facts(
      model: "trained_lstm_int8", origin: .quantizedTFLite, input: [1, 28, 28], output: [1, 10],
      ops: ["Recurrent": 1, "FullyConnected": 1, "Softmax": 1], scales: [0.003921568859368563, 0.00390625],
      zeroPoints: [-128, -128]),
  ]

  @Test(arguments: facts)
  func modelsAreWhatTheirFilesSay(_ facts: Facts) throws {
    let graph = try TFLiteOracle.graph(facts.model)
    #expect(graph.origin == facts.origin)
    #expect(graph.inputs.map { graph.tensors[$0].shape } == [facts.input])
    #expect(graph.outputs.map { graph.tensors[$0].shape } == [facts.output])
    var ops: [String: Int] = [:]
    for node in graph.nodes {
      switch node.op {
      case .reshape, .transpose: continue
      default: ops[type(of: node.op.definition).name, default: 0] += 1
      }
    }
    #expect(ops == facts.ops)
    let border = (graph.inputs + graph.outputs).map { graph.tensors[$0].quantization }
    #expect(border.compactMap { $0?.scale } == facts.scales)
    #expect(border.compactMap { $0?.zeroPoint } == facts.zeroPoints)
  }

  /// The whole import, run in float: equal to the float outputs of the reference runtime on real inputs.
  @Test(arguments: ["ad01_fp32", "hello_world_float", "kws_float_dequant", "pretrainedResnet", "trained_lstm"])
  func floatModelsComputeTheirOutputs(model: String) throws {
    let graph = try TFLiteOracle.graph(model)
    let input = try TFLiteOracle.array("data/\(model)/input_real_float.npy")
    let expected = try TFLiteOracle.array("data/\(model)/out_tflm_real.npy").floats()
    let shape = graph.tensors[graph.inputs[0]].shape
    let size = shape.reduce(1, *)
    let count = min(input.count / size, 8)
    var evaluator = try ReferenceEvaluator(graph)
    var values: [Float] = []
    for sample in 0..<count {
      evaluator.resetState()
      let tensor = FloatTensor(shape: shape, values: input.floats(in: (sample * size)..<((sample + 1) * size)))
      values += try evaluator.run([tensor])[0].values
    }
    #expect(values.count == count * (expected.count / (input.count / size)))
    let largest = expected.map(abs).max() ?? 0
    for (position, (value, truth)) in zip(values, expected).enumerated() {
      #expect(abs(value - truth) <= 1e-4 * largest, "value \(position)")
    }
  }

  @Test func channelScalesAreKeptToTheBit() throws {
    let graph = try TFLiteOracle.graph("kws_ref_model")
    guard case .conv2D(let first) = graph.nodes[0].op, case .depthwiseConv2D(let second) = graph.nodes[1].op else {
      Issue.record("unexpected first layers")
      return
    }
    // 49 x 10 by a window of 10 x 4, stride 2: 25 x 5 with 9 and 2 missing; 25 x 5 by 3 x 3, stride 1.
    #expect(first.padding == Padding2D(top: 4, left: 1, bottom: 5, right: 1))
    #expect(second.padding == Padding2D(top: 1, left: 1, bottom: 1, right: 1))
    #expect(first.activation == .relu)
    let kernel = graph.tensors[17].quantization
    #expect(kernel?.axis == 0)
    #expect(kernel?.scales.count == 64)
    #expect(kernel?.scales.prefix(2) == [0.0013318449491634965, 0.0007400733884423971])
    let depthwise = graph.tensors[5].quantization
    #expect(depthwise?.axis == 3)
    #expect(depthwise?.scales.prefix(2) == [0.008551519364118576, 0.005172602832317352])
    #expect(graph.tensors[3].quantization?.scales.prefix(2) == [0.0007787336362525821, 0.00043272305629216135])
    #expect(graph.tensors[22].quantization == TensorQuantization(scale: 0.07872539758682251, zeroPoint: -128))
  }

  @Test func everyPrefixOfARealModelIsRefused() throws {
    let bytes = try TFLiteOracle.bytes("models/hello_world_int8.tflite")
    for count in 0..<bytes.count where (try? TFLiteImporter.graph(from: Array(bytes.prefix(count)))) != nil {
      Issue.record("the first \(count) of \(bytes.count) bytes are imported")
    }
  }

  @Test func everyByteFlipOfARealModelIsImportedOrRefused() throws {
    let bytes = try TFLiteOracle.bytes("models/hello_world_int8.tflite")
    for position in bytes.indices {
      for mask: UInt8 in [0x01, 0xff] {
        var flipped = bytes
        flipped[position] ^= mask
        guard let graph = try? TFLiteImporter.graph(from: flipped) else { continue }
        do throws(ModelError) {
          try graph.validate()
        } catch {
          Issue.record("byte \(position) ^ \(mask): \(error)")
        }
      }
    }
  }
}
