import Foundation
import QKernels
import Testing

@testable import QModel

/// One operator per model: what TensorFlow Lite Micro computes, through importer, plan and kernels.
struct QuantizedOperatorTests {
  struct Group: Decodable {
    struct Case: Decodable, CustomTestStringConvertible {
      var name: String
      var model: String
      /// Runs, in order, with state kept; for each the elements of every input (output).
      var inputs: [[[Int]]]
      var outputs: [[[Int]]]
      var testDescription: String { name }
    }
    var cases: [Case]
  }

  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("golden/ops/tflite")

  static let groups: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
    .filter { $0.hasSuffix(".json") }.map { String($0.dropLast(5)) }.sorted()

  @Test func theVectorsAreThere() { #expect(Self.groups.count >= 17) }

  @Test(arguments: groups) func resultsAreThoseOfTheReference(group: String) throws {
    let data = try Data(contentsOf: Self.folder.appendingPathComponent(group + ".json"))
    let cases = try JSONDecoder().decode(Group.self, from: data).cases
    #expect(!cases.isEmpty)
    for item in cases {
      let model = [UInt8](try #require(Data(base64Encoded: item.model)))
      let name = "\(group): \(item.name)"
      do {
        let graph = try Pipeline.importModel(bytes: model, name: name)
        let session = try Session(
          bytes: try Pipeline.compile(try Pipeline.quantize(graph, calibration: nil, method: .minmax)).bytes)
        for (inputs, outputs) in zip(item.inputs, item.outputs) {
          try #require(inputs.count == session.inputs.count && outputs.count == session.outputs.count, "\(name)")
          for (index, values) in inputs.enumerated() { session.setInput(index, integers: values) }
          session.run()
          for (index, expected) in outputs.enumerated() {
            let found = session.integers(ofOutput: index)
            let wrong = zip(found, expected).enumerated().filter { $1.0 != $1.1 }
            #expect(
              found.count == expected.count && wrong.isEmpty,
              "\(name): \(wrong.count) of \(expected.count) differ: \(wrong.prefix(8).map { "[\($0)] \($1.0) not \($1.1)" })"
            )
          }
        }
      } catch let error as ModelError {
        Issue.record("\(name): \(error)")
      }
    }
  }
}
