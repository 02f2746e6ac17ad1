import Foundation
import QModel
import Testing

@testable import qcli

/// The files of `golden/rejects`: each is refused in the words of `errors.json`, and nothing is written.
@Suite struct RejectsTests {
  private static let folder = "\(GoldenModels.package)/golden/rejects"

  /// What the program says about a file.
  private func error(_ name: String) throws -> String {
    let output = try TemporaryFolder()
    let path = "\(Self.folder)/\(name)", target = output.file("m.qkm")
    let outcome: Outcome
    if name.hasSuffix(".npy") {
      outcome = qcli("quantize", GoldenModels.digits("model.onnx"), "--calibration", path, "-o", target)
    } else if name.hasSuffix(".qkm") {
      outcome = qcli("inspect", path)
    } else {
      outcome = qcli("quantize", path, "-o", target)
    }
    #expect(outcome.code == 65 && outcome.output == "", "\(name)")
    #expect(output.names == [], "\(name)")
    return outcome.error.replacingOccurrences(of: Self.folder + "/", with: "")
  }

  /// `QK_RECORD_GOLDEN` writes the words.
  @Test func everyFileIsRefusedWithItsError() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { !$0.hasSuffix(".json") }
    #expect(names.count > 30)
    var errors: [String: String] = [:]
    for name in names { errors[name] = try error(name) }
    let url = URL(fileURLWithPath: "\(Self.folder)/errors.json")
    if ProcessInfo.processInfo.environment["QK_RECORD_GOLDEN"] != nil {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      try (encoder.encode(errors) + Data("\n".utf8)).write(to: url)
    }
    let expected = try JSONDecoder().decode([String: String].self, from: Data(contentsOf: url))
    #expect(Set(expected.keys) == Set(names))
    for (name, text) in errors { #expect(expected[name] == text, "\(name)") }
  }
}
