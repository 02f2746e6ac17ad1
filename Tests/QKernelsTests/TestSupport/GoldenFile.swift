import Foundation

/// The package's root folder, from this file's place in it.
let packageRoot = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

/// A file of `golden/ops`: cases of named integer arrays.
struct GoldenFile: Decodable {
  struct Case: Decodable {
    var name: String
    var parameter: Int
    var input: [Int64]
    var output: [Int64]
    var second: [Int64]?
    var third: [Int64]?
  }

  var cases: [Case]

  static func load(_ name: String) throws -> GoldenFile {
    let url = packageRoot.appendingPathComponent("golden/ops/\(name)")
    return try JSONDecoder().decode(GoldenFile.self, from: Data(contentsOf: url))
  }
}
