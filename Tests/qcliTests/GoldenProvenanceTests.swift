import Foundation
import QModel
import Testing

@testable import qcli

/// Golden data come from the scripts that stand beside them: whoever edits a script makes the data again.
@Suite struct GoldenProvenanceTests {
  private static let golden = "\(GoldenModels.package)/golden"

  private func object(_ path: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(fileURLWithPath: path))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any], "\(path)")
  }

  private func digest(_ path: String) throws -> String { hexadecimal(SHA256.digest(try readFile(path))) }

  /// The names of what is in a folder.
  private func names(_ folder: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
  }

  /// Checks the digests of the scripts that a file names, and returns the scripts.
  private func checkGenerators(_ record: [String: Any], _ path: String) throws -> Set<String> {
    let generators = try #require(record["generator"] as? [String: String], "\(path)")
    #expect(!generators.isEmpty, "\(path)")
    for (script, expected) in generators {
      let found = try digest("\(GoldenModels.package)/\(script)")
      #expect(found == expected, "\(script) has changed since it made \(path); run it again")
    }
    return Set(generators.keys)
  }

  @Test func modelsComeFromTheirScripts() throws {
    let folders = try names("\(Self.golden)/models")
    #expect(folders.count >= 19)
    for folder in folders {
      let path = "\(Self.golden)/models/\(folder)"
      let record = try object("\(path)/provenance.json")
      _ = try checkGenerators(record, path)
      let files = try #require(record["files"] as? [String: String], "\(path)")
      #expect(try names(path) == (files.keys + ["provenance.json"]).sorted(), "\(path)")
      for (name, expected) in files { #expect(try digest("\(path)/\(name)") == expected, "\(path)/\(name)") }
    }
  }

  @Test func rejectsComeFromTheirScripts() throws {
    let path = "\(Self.golden)/rejects"
    let record = try object("\(path)/provenance.json")
    _ = try checkGenerators(record, path)
    let files = try #require(record["files"] as? [String: String])
    // What is said about the files is recorded by the tests.
    #expect(try names(path) == (files.keys + ["errors.json", "provenance.json"]).sorted())
    for (name, expected) in files { #expect(try digest("\(path)/\(name)") == expected, "\(name)") }
  }

  @Test func vectorsComeFromTheirGenerators() throws {
    var used: Set<String> = []
    let folder = "\(Self.golden)/ops"
    for name in try names(folder) + names("\(folder)/tflite").map({ "tflite/\($0)" }) where name.hasSuffix(".json") {
      let record = try object("\(folder)/\(name)")
      #expect(record["format"] as? Int == 1, "\(name)")
      // A test in Swift compares what it records, every time it runs.
      if let test = record["generator"] as? String {
        #expect(FileManager.default.fileExists(atPath: "\(GoldenModels.package)/\(test)"), "\(name)")
        continue
      }
      used.formUnion(try checkGenerators(record, name))
      let reference = try #require(record["reference"] as? [String: String], "\(name)")
      #expect(reference["name"] != nil && reference["version"] != nil, "\(name)")
    }
    #expect(
      used == [
        "golden/generate/fixed_point.cc", "golden/generate/softmax.cc", "golden/generate/tflite_operators.py",
      ])
  }
}
