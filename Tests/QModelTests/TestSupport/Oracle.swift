import Foundation

@testable import QModel

/// The folder of real models and their outputs, which is not part of the repository.
enum Oracle {
  /// `QK_ORACLE`, else `../shared/oracle` beside the package; nil if it is not there.
  static let folder: String? = {
    let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let candidates: [String?] = [
      ProcessInfo.processInfo.environment["QK_ORACLE"],
      package.appendingPathComponent("../shared/oracle").path,
    ]
    return candidates.compactMap { $0 }.first { FileManager.default.fileExists(atPath: "\($0)/README.md") }
  }()

  static var isThere: Bool { folder != nil }

  /// An array of the folder.
  static func array(_ path: String) throws -> NPYArray {
    let file = "\(folder ?? "")/\(path)"
    return try NPYArray(parsing: try readFile(file), path: file)
  }

  /// A model of the folder, as imported.
  static func model(_ path: String) throws -> Graph {
    let file = "\(folder ?? "")/\(path)"
    let bytes = try readFile(file)
    return path.hasSuffix(".onnx")
      ? try ONNXImporter.graph(from: bytes, name: path) : try TFLiteImporter.graph(from: bytes, name: path)
  }
}
