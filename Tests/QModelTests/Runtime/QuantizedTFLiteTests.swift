import QKernels
import Testing

@testable import QModel

/// Whole int8 models, byte for byte against what TensorFlow Lite Micro's reference kernels gave.
@Suite(.enabled(if: Oracle.isAvailable, "no oracle data: set QK_ORACLE"))
struct QuantizedTFLiteTests {
  static let models = ["hello_world_int8", "ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "trained_lstm_int8"]

  static func compiled(_ model: String) throws -> CompiledModel {
    let graph = try Pipeline.importModel(path: Oracle.folder + "/models/\(model).tflite")
    return try Pipeline.compile(try Pipeline.quantize(graph, calibration: nil, method: .minmax))
  }

  static func session(_ model: String) throws -> Session { try Session(bytes: try compiled(model).bytes) }

  @Test(arguments: models, ["real", "rand"]) func outputsAreThoseOfTheReference(model: String, kind: String) throws {
    let session = try Self.session(model)
    let inputs = try Oracle.array("data/\(model)/input_\(kind).npy")
    let expected = try Oracle.array("data/\(model)/out_tflm_\(kind).npy")
    #expect(inputs.shape[0] == expected.shape[0])
    var differences = 0
    for sample in 0..<inputs.shape[0] {
      session.reset()
      session.setInput(0, integers: inputs.sample(sample))
      session.run()
      differences += zip(session.integers(ofOutput: 0), expected.sample(sample)).filter { $0 != $1 }.count
    }
    #expect(differences == 0, "\(model), \(kind) inputs")
  }

  /// Softmax saturates; what comes before it, and out of recurrent layers, says more.
  @Test(
    arguments: [
      ("kws_ref_model", "logits", 33), ("pretrainedResnet_quant", "logits", 36), ("trained_lstm_int8", "logits", 25),
      ("trained_lstm_int8", "rec23", 23),
    ], ["real", "rand"])
  func innerTensorsAreThoseOfTheReference(_ what: (model: String, name: String, tensor: Int), kind: String) throws {
    let session = try Self.session(what.model)
    let inputs = try Oracle.array("data/\(what.model)/input_\(kind).npy")
    let expected = try Oracle.array("data/\(what.model)/\(what.name)_tflm_\(kind).npy")
    var differences = 0, found = 0
    for sample in 0..<inputs.shape[0] {
      session.reset()
      session.setInput(0, integers: inputs.sample(sample))
      for (tensor, values) in session.runTracing() where session.model.tensors[tensor].sourceIndex == what.tensor {
        found += 1
        differences += zip(values, expected.sample(sample)).filter { $0 != $1 }.count
      }
    }
    #expect(found == inputs.shape[0])
    #expect(differences == 0, "\(what.model), \(what.name), \(kind) inputs")
  }

  @Test(arguments: models) func everyLayerIsThatOfTheReference(model: String) throws {
    let session = try Self.session(model)
    let input = try Oracle.array("data/\(model)/input_real.npy")
    session.setInput(0, integers: input.sample(0))
    var traced: [Int: [Int]] = [:]
    for (tensor, values) in session.runTracing() {
      if let index = session.model.tensors[tensor].sourceIndex { traced[index] = values }
    }
    let members = ZipArchive(try Oracle.bytes("data/\(model)/layers_real0.npz")).members
    #expect(!members.isEmpty)
    for (name, bytes) in members {
      let layer = try NPYArray(parsing: bytes, path: name)
      let expected = try #require(layer.integers(in: 0..<layer.count)).map { Int($0) }
      let index = try #require(Int(name.dropLast(4).split(separator: "t").last ?? ""))
      let values = try #require(traced[index], "\(model): tensor \(index) (\(name)) is not traced")
      #expect(values == expected, "\(model), \(name)")
    }
  }
}

extension Session {
  /// Runs step by step; returns every tensor as it was right after the step that computed it.
  func runTracing() -> [(tensor: Int, values: [Int])] {
    var result: [(tensor: Int, values: [Int])] = []
    func note(_ tensors: [Int]) { result += tensors.map { ($0, integers(ofTensor: $0)) } }
    note(model.inputValues)
    for index in steps.indices {
      runStep(index)
      note(steps[index].values)
    }
    return result
  }
}
