import Testing

@testable import QModel

/// Real float models against the outputs that other runtimes computed for them.
@Suite(.enabled(if: Oracle.isAvailable))
struct OracleFloatTests {
  struct Model: CustomTestStringConvertible, Sendable {
    var model: String
    var input: String
    var output: String
    /// Samples of the array that are run.
    var limit = Int.max
    var testDescription: String { "\(model) on \(input)" }
  }

  // TensorFlow Lite Micro sums a dense layer in one float: its own error on ad01 is 1.14e-4 by the measure below, so there
  // LiteRT's outputs (4.9e-5) are the ones to equal.
  static let models = [
    Model(
      model: "models/ad01_fp32.tflite", input: "data/ad01_fp32/input_real_float.npy",
      output: "data/ad01_fp32/out_xnn_real.npy", limit: 40),
    Model(
      model: "models/ad01_fp32.onnx", input: "data/ad01_fp32/input_real_float.npy",
      output: "data/ad01_fp32/out_xnn_real.npy", limit: 40),
    Model(
      model: "models/kws_float_dequant.tflite", input: "data/kws_float_dequant/input_real_float.npy",
      output: "data/kws_float_dequant/out_tflm_real.npy", limit: 6),
    Model(
      model: "models/kws_ref_model_float32.onnx", input: "data/kws_float_dequant/input_real_float.npy",
      output: "data/kws_float_dequant/out_tflm_real.npy", limit: 6),
    Model(
      model: "models/pretrainedResnet.tflite", input: "data/pretrainedResnet/input_real_float.npy",
      output: "data/pretrainedResnet/out_tflm_real.npy", limit: 3),
    Model(
      model: "models/pretrainedResnet.onnx", input: "data/pretrainedResnet/input_real_float.npy",
      output: "data/pretrainedResnet/out_tflm_real.npy", limit: 3),
    Model(
      model: "models/trained_lstm.tflite", input: "data/trained_lstm/input_real_float.npy",
      output: "data/trained_lstm/out_tflm_real.npy"),
    Model(
      model: "models/hello_world_float.tflite", input: "data/hello_world_float/input_real_float.npy",
      output: "data/hello_world_float/out_tflm_real.npy"),
    Model(
      model: "digits/cnn_dws.onnx", input: "digits/x_test.npy", output: "digits/cnn_dws_float_out_test.npy", limit: 20),
    Model(
      model: "digits/cnn_dws_unfused_bn.onnx", input: "digits/x_test.npy", output: "digits/cnn_dws_float_out_test.npy",
      limit: 20),
    Model(model: "digits/lstm.onnx", input: "digits/x_test.npy", output: "digits/lstm_float_out_test.npy", limit: 40),
    Model(
      model: "digits/mlp_ae.onnx", input: "digits/x_test.npy", output: "digits/mlp_ae_float_out_test.npy", limit: 40),
  ]

  @Test(arguments: models) func outputsAgree(_ model: Model) throws {
    let imported = try Oracle.model(model.model)
    let optimized = try imported.optimized()
    try check(imported, model, "imported")
    try check(optimized, model, "optimized")
    #expect(optimized.nodes.count <= imported.nodes.count)
  }

  private func check(_ graph: Graph, _ model: Model, _ stage: String) throws {
    var evaluator = try ReferenceEvaluator(graph)
    let inputs = try Oracle.array(model.input)
    let expected = try Oracle.array(model.output).floats()
    let samples = min(model.limit, inputs.shape[0])
    let inputCount = inputs.count / inputs.shape[0]
    let outputCount = expected.count / inputs.shape[0]
    // Below a hundredth of the largest output, rounding of what cancelled is all there is.
    let floor = 1e-2 * expected.reduce(0) { max($0, $1.magnitude) }
    var worst: Float = 0
    for sample in 0..<samples {
      evaluator.resetState()
      let tensor = graph.tensors[graph.inputs[0]]
      let values = inputs.floats(in: sample * inputCount..<(sample + 1) * inputCount)
      let output = try evaluator.run([tensor.fromSourceLayout(values)])[0]
      let result = graph.tensors[graph.outputs[0]].inSourceLayout(output)
      try #require(result.count == outputCount)
      for (index, value) in result.enumerated() {
        let reference = expected[sample * outputCount + index]
        worst = max(worst, (value - reference).magnitude / max(reference.magnitude, floor))
      }
    }
    #expect(worst <= 1e-4, "\(stage): \(worst)")
  }
}
