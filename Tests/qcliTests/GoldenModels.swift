import Foundation
import QModel

/// The models that stand in the package, and those that may stand beside it.
enum GoldenModels {
  /// The package's folder.
  static let package: String = {
    var folder = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { folder.deleteLastPathComponent() }
    return folder.path
  }()

  /// A file of the digits model.
  static func digits(_ name: String) -> String { "\(package)/golden/models/digits/\(name)" }

  /// Published models with inputs and outputs, which are not part of the package: `QK_ORACLE`, else `shared/oracle` beside
  /// the package.
  static let oracle =
    ProcessInfo.processInfo.environment["QK_ORACLE"]
    ?? URL(fileURLWithPath: package).deletingLastPathComponent().appendingPathComponent("shared/oracle").path

  /// Whether they are there; tests that need them are skipped visibly otherwise.
  static let hasOracle = FileManager.default.fileExists(atPath: oracle + "/models/ad01_int8.tflite")

  /// An array from a file.
  static func array(_ path: String) throws -> NPYArray { try NPYArray(parsing: try readFile(path), path: path) }

  /// The first `count` samples of an array.
  static func prefix(_ array: NPYArray, _ count: Int) -> NPYArray {
    let size = array.count / array.shape[0]
    return NPYArray(shape: [count] + array.shape.dropFirst(), floats: array.floats(in: 0..<count * size))
  }
}

/// 10 log10 of the sum of squares of `expected` over that of the differences.
func signalToNoise(_ expected: [Float], _ found: [Float]) -> Double {
  var signal = 0.0, noise = 0.0
  for (a, b) in zip(expected, found) {
    signal += Double(a) * Double(a)
    noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
  }
  return 10 * log10(signal / noise)
}
