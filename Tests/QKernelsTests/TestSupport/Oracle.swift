import Foundation
import Testing

/// Public models and vectors to compare with; not part of the package, absent on most machines.
enum Oracle {
  /// The folder that `QK_ORACLE` names, else `../shared/oracle` beside the package.
  static let folder: URL? = {
    let environment = ProcessInfo.processInfo.environment["QK_ORACLE"].map { URL(fileURLWithPath: $0) }
    let folder = environment ?? packageRoot.deletingLastPathComponent().appendingPathComponent("shared/oracle")
    return FileManager.default.fileExists(atPath: folder.appendingPathComponent("cmsis/index.json").path) ? folder : nil
  }()

  static var isPresent: Bool { folder != nil }
}

/// One of CMSIS-NN's unit-test vectors.
struct CMSISCase: CustomTestStringConvertible, Sendable {
  var name: String
  var op: String
  var isVerified: Bool
  var isInt16: Bool
  private let record: Record

  var testDescription: String { name }

  /// What the index says; `Any` values of JSON do not cross actors by type, but are never changed.
  private struct Record: @unchecked Sendable { var values: [String: Any] }

  /// All cases of the index, verified or not.
  static let all: [CMSISCase] = {
    guard let folder = Oracle.folder,
      let data = try? Data(contentsOf: folder.appendingPathComponent("cmsis/index.json")),
      let list = try? JSONSerialization.jsonObject(with: data) as? [[String: Any]]
    else { return [] }
    return list.map { values in
      CMSISCase(
        name: values["case"] as? String ?? "", op: values["op"] as? String ?? "",
        isVerified: values["status"] as? String == "ok", isInt16: values["dtype"] as? String == "int16",
        record: Record(values: values))
    }
  }()

  static func verified(_ ops: String...) -> [CMSISCase] { all.filter { $0.isVerified && ops.contains($0.op) } }

  var arrays: NumpyArchive {
    get throws {
      guard let folder = Oracle.folder else { throw NumpyArchive.Malformed(reason: "no oracle") }
      return try NumpyArchive(folder.appendingPathComponent("cmsis/\(name).npz"))
    }
  }

  /// A number of the case's configuration.
  func config(_ key: String) throws -> Int {
    guard let values = record.values["config"] as? [String: Any] else {
      throw NumpyArchive.Malformed(reason: "\(name): no configuration")
    }
    if let text = values[key] as? String, text == "true" || text == "false" { return text == "true" ? 1 : 0 }
    guard let number = values[key] as? Int else {
      throw NumpyArchive.Malformed(reason: "\(name): no \(key) in the configuration")
    }
    return number
  }

  /// A number that the index states itself.
  func number(_ key: String) throws -> Int {
    guard let number = record.values[key] as? Int else { throw NumpyArchive.Malformed(reason: "\(name): no \(key)") }
    return number
  }

  /// A list of numbers that the index states itself.
  func numbers(_ key: String) throws -> [Int] {
    guard let numbers = record.values[key] as? [Int] else { throw NumpyArchive.Malformed(reason: "\(name): no \(key)") }
    return numbers
  }

  func texts(_ key: String) -> [String] { record.values[key] as? [String] ?? [] }
  func text(_ key: String) -> String? { record.values[key] as? String }
  func pairs(_ key: String) -> [[Int]]? { record.values[key] as? [[Int]] }
}
