import Foundation
import Testing

@testable import QModel

/// The operator tests that the `onnx` package generates, one small model each.
///
/// Set `QK_ONNX_NODE_TESTS` to a folder with `index.json` and one folder per test (`model.onnx`,
/// `test_data_set_0/input_N.pb`, `output_N.pb`). What passes and what does not, by name, is `docs/onnx-node-tests.md`: the
/// test fails unless it says what was found. `QK_ONNX_NODE_REPORT` names a file to write the page to.
@Suite(.enabled(if: ProcessInfo.processInfo.environment["QK_ONNX_NODE_TESTS"] != nil))
struct ONNXNodeTests {
  /// How a case was brought to run.
  enum Mode: String, CaseIterable {
    /// With its inputs as the model's inputs.
    case evaluated
    /// With all inputs but the first as constants, as real models have their weights.
    case withConstants = "with constants"
    /// With all inputs as constants: computed at import.
    case folded
  }

  @Test func casesGiveThePageThatIsWritten() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["QK_ONNX_NODE_TESTS"])
    let index = try Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent("index.json"))
    let entries = try #require(try JSONSerialization.jsonObject(with: index) as? [[String: Any]])
    try #require(!entries.isEmpty)
    var report = NodeTestReport()
    for entry in entries {
      let name = try #require(entry["name"] as? String)
      let tolerance = (
        relative: Float(entry["rtol"] as? Double ?? 1e-3), absolute: Float(entry["atol"] as? Double ?? 1e-7)
      )
      var reason: String?
      for mode in Mode.allCases {
        reason = try failure(of: "\(folder)/\(name)", mode, tolerance)
        if reason == nil { break }
      }
      report.add(name, try #require(entry["op"] as? String), reason)
    }
    let page = report.page
    if let path = ProcessInfo.processInfo.environment["QK_ONNX_NODE_REPORT"] {
      try page.write(toFile: path, atomically: true, encoding: .utf8)
    }
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<5 { root.deleteLastPathComponent() }
    let written = try String(contentsOf: root.appendingPathComponent("docs/onnx-node-tests.md"), encoding: .utf8)
    #expect(written == page, "docs/onnx-node-tests.md is not what the tests give; QK_ONNX_NODE_REPORT writes it")
  }

  /// Damages each case in many places; nothing may trap, whatever the operator.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["QK_FULL_TESTS"] == "1"))
  func damagedCasesImportOrThrow() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["QK_ONNX_NODE_TESTS"])
    var imported = 0
    for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where !name.contains(".") {
      var bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)/model.onnx")))
      let inputs = try inputs(of: ModelProto(bytes: bytes), "\(folder)/\(name)")
      for index in bytes.indices {
        for bit in 0..<8 {
          bytes[index] ^= 1 << bit
          defer { bytes[index] ^= 1 << bit }
          guard let model = try? ModelProto(bytes: bytes) else { continue }
          for bound in [[:], inputs] {
            if (try? ONNXImporter.graph(of: model, byteCount: bytes.count, name: "case", bound: bound)) != nil {
              imported += 1
            }
          }
        }
      }
    }
    #expect(imported > 0)
  }

  private func inputs(of model: ModelProto, _ folder: String) throws -> [String: ONNXConstant] {
    var inputs: [String: ONNXConstant] = [:]
    for (index, input) in (model.graph?.inputs ?? []).enumerated() where !input.name.isEmpty {
      inputs[input.name] = try tensor("\(folder)/test_data_set_0/input_\(index).pb")
    }
    return inputs
  }

  private struct Mismatch: Error { var reason: String }

  private func tensor(_ path: String) throws -> ONNXConstant {
    try ONNXConstant(TensorProto(bytes: [UInt8](Data(contentsOf: URL(fileURLWithPath: path)))), externalData: nil)
  }

  /// Returns why a case does not pass; `nil` if it does.
  private func failure(
    of folder: String, _ mode: Mode, _ tolerance: (relative: Float, absolute: Float)
  ) throws -> String? {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(folder)/model.onnx")))
    do {
      let model = try ModelProto(bytes: bytes)
      guard let proto = model.graph else { throw Mismatch(reason: "no graph") }
      let inputs = try inputs(of: model, folder)
      let first = proto.inputs.first?.name
      let bound =
        switch mode {
        case .evaluated: inputs.filter { $0.value.floats == nil && $0.key != first }
        case .withConstants: inputs.filter { $0.key != first }
        case .folded: inputs
        }
      let graph = try ONNXImporter.graph(of: model, byteCount: bytes.count + 1 << 20, name: "case", bound: bound)
      var evaluator = try ReferenceEvaluator(graph)
      let arrays = try graph.inputs.map { id -> FloatTensor in
        guard let constant = inputs[graph.tensors[id].name] else { throw Mismatch(reason: "an input has no data") }
        let values = constant.floats ?? (constant.integers ?? []).map { Float($0) }
        return FloatTensor(shape: constant.shape, values: values)
      }
      let results = try evaluator.run(arrays)
      for (index, result) in results.enumerated() {
        try compare(result, try tensor("\(folder)/test_data_set_0/output_\(index).pb"), index, tolerance)
      }
      return nil
    } catch let error as ModelError {
      return error.problems.joined(separator: "; ")
    } catch let error as Mismatch {
      return error.reason
    }
  }

  private func compare(
    _ result: FloatTensor, _ expected: ONNXConstant, _ index: Int, _ tolerance: (relative: Float, absolute: Float)
  ) throws {
    guard result.shape == expected.shape else {
      throw Mismatch(reason: "output \(index) has the shape \(result.shape), expected \(expected.shape)")
    }
    let values = expected.floats ?? (expected.integers ?? []).map { Float($0) }
    for (position, (value, wanted)) in zip(result.values, values).enumerated() {
      if value == wanted || (value.isNaN && wanted.isNaN) { continue }
      guard abs(value - wanted) <= tolerance.absolute + tolerance.relative * abs(wanted) else {
        throw Mismatch(reason: "output \(index)[\(position)] is \(value), expected \(wanted)")
      }
    }
  }
}

/// What passed, as a page of the documentation.
private struct NodeTestReport {
  private var counts: [String: (passed: Int, total: Int)] = [:]
  private var failures: [(name: String, reason: String)] = []

  /// Takes one case over; a case that passed has no reason.
  mutating func add(_ name: String, _ op: String, _ reason: String?) {
    counts[op, default: (0, 0)].total += 1
    if let reason {
      if ONNXOperator.all[op] != nil { failures.append((name, reason)) }
    } else {
      counts[op, default: (0, 0)].passed += 1
    }
  }

  var page: String {
    let known = counts.filter { ONNXOperator.all[$0.key] != nil }.sorted { $0.key < $1.key }
    let passed = known.reduce(0) { $0 + $1.value.passed }, total = known.reduce(0) { $0 + $1.value.total }
    var lines = [
      "# ONNX node tests", "",
      "The `onnx` package has a small model with inputs and outputs for each operator and attribute. Of its cases of the "
        + "operators that are imported, \(passed) of \(total) pass: the float reference, or constant folding, gives the "
        + "expected values. `ONNXNodeTests.swift` makes this page and compares it.", "",
      "| operator | passed | of |", "|-|-:|-:|",
    ]
    lines += known.map { "| \($0.key) | \($0.value.passed) | \($0.value.total) |" }
    lines += ["", "## Cases that do not pass", "", "Each is refused with an error, which is:", ""]
    lines += failures.sorted { $0.name < $1.name }.map { "- `\($0.name)`: \($0.reason)" }
    let others = counts.keys.filter { ONNXOperator.all[$0] == nil }.sorted()
    lines += ["", "## Operators of the tests that are not imported", "", others.joined(separator: ", "), ""]
    return lines.joined(separator: "\n")
  }
}
