import Foundation
import Testing

@testable import QModel

/// Real models, quantized with the defaults, against the float model's own outputs.
///
/// Many minutes without optimization, so only in release builds: `QK_FULL_TESTS=1 swift test -c release`.
@Suite(
  .enabled(if: Oracle.isAvailable && ProcessInfo.processInfo.environment["QK_FULL_TESTS"] == "1" && isOptimized),
  .serialized)
struct OracleAccuracyTests {
  struct Model: CustomTestStringConvertible, Sendable {
    var path: String
    /// Calibration samples, test samples, float outputs.
    var data: (String, String, String)
    /// The least signal-to-noise ratio in dB over all outputs, and the least share of equal predictions.
    var decibels: Double
    var agreement: Double
    var testDescription: String { path }
  }

  private static func tiny(_ name: String, _ path: String, _ decibels: Double, _ agreement: Double) -> Model {
    let folder = "data/\(name)/"
    return Model(
      path: path,
      data: (folder + "input_real_float.npy", folder + "input_real_float.npy", folder + "out_tflm_real.npy"),
      decibels: decibels, agreement: agreement)
  }

  private static func digits(_ model: String, _ outputs: String, _ decibels: Double, _ agreement: Double) -> Model {
    Model(
      path: "digits/\(model).onnx",
      data: ("digits/x_calib.npy", "digits/x_test.npy", "digits/\(outputs)_float_out_test.npy"), decibels: decibels,
      agreement: agreement)
  }

  static let models = [
    tiny("ad01_fp32", "models/ad01_fp32.tflite", 44, 0),
    tiny("ad01_fp32", "models/ad01_fp32.onnx", 44, 0),
    tiny("kws_float_dequant", "models/kws_float_dequant.tflite", 31, 1),
    tiny("kws_float_dequant", "models/kws_ref_model_float32.onnx", 31, 1),
    tiny("pretrainedResnet", "models/pretrainedResnet.tflite", 21, 38.0 / 41),
    tiny("pretrainedResnet", "models/pretrainedResnet.onnx", 21, 38.0 / 41),
    digits("cnn_dws", "cnn_dws", 30.5, 0.99),
    digits("cnn_dws_unfused_bn", "cnn_dws", 30.5, 0.99),
    digits("mlp_ae", "mlp_ae", 35, 0),
  ]

  private struct Samples: SampleSource {
    let array: NPYArray
    var sampleCount: Int { array.shape[0] }
    func sample(_ index: Int) throws(ModelError) -> [[Float]] {
      let size = array.count / array.shape[0]
      return [array.floats(in: index * size..<(index + 1) * size)]
    }
  }

  @Test(arguments: models) func accuracy(_ model: Model) throws {
    let graph = try Oracle.model(model.path).optimized()
    var options = QuantizationOptions()
    options.threads = onlineProcessorCount()
    let quantized = try Pipeline.quantize(
      graph, calibration: Samples(array: try Oracle.array(model.data.0)), options: options)
    let session = try Session(bytes: try Pipeline.compile(quantized).bytes)
    let inputs = Samples(array: try Oracle.array(model.data.1))
    let expected = try Oracle.array(model.data.2)
    let width = expected.count / inputs.sampleCount
    var signal = 0.0, noise = 0.0, agreeing = 0
    for index in 0..<inputs.sampleCount {
      try inputs.sample(index)[0].withUnsafeBufferPointer { session.setInput(0, quantizing: $0) }
      session.run()
      let output = session.dequantizedOutput(0)
      let reference = expected.floats(in: index * width..<(index + 1) * width)
      try #require(output.count == width)
      for (a, b) in zip(reference, output) {
        signal += Double(a) * Double(a)
        noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
      }
      func largest(_ values: [Float]) -> Int? { values.indices.max { values[$0] < values[$1] } }
      if largest(output) == largest(reference) { agreeing += 1 }
    }
    let decibels = 10 * log10(signal / noise)
    #expect(decibels >= model.decibels, "\(decibels) dB")
    #expect(Double(agreeing) >= model.agreement * Double(inputs.sampleCount), "\(agreeing) of \(inputs.sampleCount)")
  }
}

#if DEBUG
  private let isOptimized = false
#else
  private let isOptimized = true
#endif
