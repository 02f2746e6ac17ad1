import Foundation
import Testing

@testable import QModel

/// Real models with their inputs and expected outputs, which stand beside the repository and are not part of it.
enum Oracle {
  /// `QK_ORACLE`, else the folder `shared/oracle` beside the package.
  static let folder: String = {
    if let folder = ProcessInfo.processInfo.environment["QK_ORACLE"] { return folder }
    var package = URL(fileURLWithPath: #filePath)
    for _ in 0..<4 { package.deleteLastPathComponent() }
    return package.deletingLastPathComponent().appendingPathComponent("shared/oracle").path
  }()

  /// Whether the data is there; tests that need it are skipped visibly otherwise.
  static let isAvailable = FileManager.default.fileExists(atPath: folder + "/models/ad01_int8.tflite")

  /// The bytes of a file.
  static func bytes(_ path: String) throws -> [UInt8] { try readFile(folder + "/" + path) }

  /// An array.
  static func array(_ path: String) throws -> NPYArray { try NPYArray(parsing: try bytes(path), path: path) }

  /// A model, as imported.
  static func model(_ path: String) throws -> Graph {
    let contents = try bytes(path)
    return path.hasSuffix(".onnx")
      ? try ONNXImporter.graph(from: contents, name: path) : try TFLiteImporter.graph(from: contents, name: path)
  }

  /// Whether a file exists.
  static func has(_ path: String) -> Bool { FileManager.default.fileExists(atPath: folder + "/" + path) }
}

extension NPYArray {
  /// The integers of sample `index` along the first axis.
  func sample(_ index: Int) -> [Int] {
    let size = count / shape[0]
    return (integers(in: index * size..<(index + 1) * size) ?? []).map { Int($0) }
  }
}
