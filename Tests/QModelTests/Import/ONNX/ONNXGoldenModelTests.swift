import Foundation
import Testing

@testable import QModel

/// The trained models of this repository, against the float outputs that ONNX Runtime gave for them.
@Suite struct ONNXGoldenModelTests {
  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("golden/models").path

  static let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    .filter { FileManager.default.fileExists(atPath: "\(folder)/\($0)/model.onnx") }

  private func array(_ path: String) throws -> NPYArray { try NPYArray(parsing: readFile(path), path: path) }

  @Test func thereAreModels() {
    #expect(Self.names.count >= 17)
  }

  @Test(arguments: names)
  func outputsEqualTheModelsOwn(_ name: String) throws {
    let folder = "\(Self.folder)/\(name)"
    let graph = try ONNXImporter.graph(from: readFile("\(folder)/model.onnx"), name: name)
    var evaluator = try ReferenceEvaluator(graph)
    let input = try array("\(Self.folder)/digits/test_inputs.npy")
    let output = try array("\(folder)/float_outputs.npy")
    let samples = input.shape[0]
    try #require(output.shape[0] == samples)
    let (inputSize, outputSize) = (input.count / samples, output.count / samples)
    let shape = graph.tensors[graph.inputs[0]].shape
    try #require(shape.reduce(1, *) == inputSize)
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
