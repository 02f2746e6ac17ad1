import Foundation
import Testing

@testable import QModel

/// Trained models from other projects, against their own float outputs.
///
/// The models are not part of the package: `QK_ORACLE` names their folder, `../shared/oracle` beside the package is taken
/// without it, and the tests are skipped where there is none.
private enum ONNXOracle {
  static let folder: String? = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let beside = package.deletingLastPathComponent().appendingPathComponent("shared/oracle").path
    let path = ProcessInfo.processInfo.environment["QK_ORACLE"] ?? beside
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }()
}

@Suite(.enabled(if: ONNXOracle.folder != nil, "needs QK_ORACLE"))
struct ONNXOracleTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var model: String
    var input: String
    var output: String
    /// Nodes that do arithmetic in the source model, and so must be in the graph.
    var operations: [String: Int]

    var testDescription: String { model }
  }

  static let cases = [
    Case(
      model: "digits/cnn_dws.onnx", input: "digits/x_test.npy", output: "digits/cnn_dws_float_out_test.npy",
      operations: ["Conv2D": 5, "DepthwiseConv2D": 3, "Binary": 2, "FullyConnected": 1]),
    Case(
      model: "digits/cnn_dws_unfused_bn.onnx", input: "digits/x_test.npy", output: "digits/cnn_dws_float_out_test.npy",
      operations: ["Conv2D": 5, "DepthwiseConv2D": 3, "BatchNormalization": 8]),
    Case(
      model: "digits/lstm.onnx", input: "digits/x_test.npy", output: "digits/lstm_float_out_test.npy",
      operations: ["Recurrent": 1, "FullyConnected": 1]),
    Case(
      model: "digits/mlp_ae.onnx", input: "digits/x_test.npy", output: "digits/mlp_ae_float_out_test.npy",
      operations: ["FullyConnected": 6]),
    Case(
      model: "models/ad01_fp32.onnx", input: "data/ad01_fp32/input_real_float.npy",
      output: "data/ad01_fp32/out_tflm_real.npy", operations: ["FullyConnected": 10]),
    Case(
      model: "models/kws_ref_model_float32.onnx", input: "data/kws_float_dequant/input_real_float.npy",
      output: "data/kws_float_dequant/out_tflm_real.npy",
      operations: ["Conv2D": 5, "DepthwiseConv2D": 4, "AveragePool2D": 1, "FullyConnected": 1]),
    Case(
      model: "models/pretrainedResnet.onnx", input: "data/pretrainedResnet/input_real_float.npy",
      output: "data/pretrainedResnet/out_tflm_real.npy",
      operations: ["Conv2D": 9, "Binary": 4, "AveragePool2D": 1, "FullyConnected": 1]),
  ]

  private func array(_ path: String) throws -> NPYArray {
    try NPYArray(parsing: readFile(path), path: path)
  }

  @Test(arguments: cases)
  func outputsEqualTheModelsOwn(_ item: Case) throws {
    let folder = try #require(ONNXOracle.folder)
    let path = "\(folder)/\(item.model)"
    let graph = try ONNXImporter.graph(from: readFile(path), name: item.model)
    #expect(graph.inputs.count == 1 && graph.outputs.count == 1)
    #expect(graph.tensors[graph.inputs[0]].batchAxis == 0)
    #expect(graph.tensors[graph.outputs[0]].batchAxis == 0)
    let counts = Dictionary(grouping: graph.nodes) { type(of: $0.op.definition).name }.mapValues(\.count)
    for (operation, count) in item.operations {
      #expect(counts[operation] == count, "\(operation): \(counts)")
    }
    var evaluator = try ReferenceEvaluator(graph)
    let input = try array("\(folder)/\(item.input)")
    let output = try array("\(folder)/\(item.output)")
    let samples = input.shape[0]
    try #require(output.shape[0] == samples)
    let (inputSize, outputSize) = (input.count / samples, output.count / samples)
    let shape = graph.tensors[graph.inputs[0]].shape
    try #require(shape.reduce(1, *) == inputSize)
    // A few samples spread over the set: one would not notice a mixed-up batch, all take long without optimization.
    for sample in Swift.stride(from: 0, to: samples, by: max(1, samples / 5)) {
      let values = input.floats(in: (sample * inputSize)..<((sample + 1) * inputSize))
      let expected = output.floats(in: (sample * outputSize)..<((sample + 1) * outputSize))
      let result = try evaluator.run([FloatTensor(shape: shape, values: values)])[0]
      try #require(result.values.count == expected.count)
      let largest = expected.map(\.magnitude).max() ?? 0
      for (position, (value, wanted)) in zip(result.values, expected).enumerated() {
        #expect(abs(value - wanted) <= 1e-4 * max(largest, 1e-3), "sample \(sample), output \(position)")
      }
    }
  }
}
