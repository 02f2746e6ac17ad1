import Foundation
import Testing

@testable import QModel

/// The operator tests that the `onnx` package generates, one small model each.
///
/// Set `QK_ONNX_NODE_TESTS` to a folder with `index.json` and one folder per test (`model.onnx`,
/// `test_data_set_0/input_N.pb`, `output_N.pb`). The test prints how many cases of each operator pass and names those
/// that do not; it fails if a case of a supported operator does not pass and is not among the known exceptions.
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

  @Test func casesPass() throws {
    let folder = try #require(ProcessInfo.processInfo.environment["QK_ONNX_NODE_TESTS"])
    let index = try Data(contentsOf: URL(fileURLWithPath: folder).appendingPathComponent("index.json"))
    let entries = try #require(try JSONSerialization.jsonObject(with: index) as? [[String: Any]])
    try #require(!entries.isEmpty)
    var passed: [String: Int] = [:]
    var totals: [String: Int] = [:]
    var modes: [Mode: Int] = [:]
    var failures: [(op: String, name: String, reason: String)] = []
    for entry in entries {
      let name = try #require(entry["name"] as? String)
      let op = try #require(entry["op"] as? String)
      totals[op, default: 0] += 1
      let tolerance = (
        relative: Float(entry["rtol"] as? Double ?? 1e-3), absolute: Float(entry["atol"] as? Double ?? 1e-7)
      )
      var reasons: [String] = []
      for mode in Mode.allCases {
        let reason = try failure(of: "\(folder)/\(name)", mode, tolerance)
        guard let reason else {
          passed[op, default: 0] += 1
          modes[mode, default: 0] += 1
          reasons = []
          break
        }
        if reasons.last != reason { reasons.append(reason) }
      }
      if !reasons.isEmpty { failures.append((op, name, reasons.joined(separator: " | "))) }
    }
    for op in totals.keys.sorted() where passed[op, default: 0] > 0 {
      print("\(op): \(passed[op, default: 0])/\(totals[op, default: 0])")
    }
    let sum = passed.values.reduce(0, +)
    let ways = Mode.allCases.map { "\(modes[$0, default: 0]) \($0.rawValue)" }.joined(separator: ", ")
    print("passed \(sum) of \(entries.count): \(ways)")
    print("operators without a passing case: \(totals.keys.filter { passed[$0] == nil }.sorted())")
    for failure in failures where ONNXOperator.all[failure.op] != nil {
      print("  \(failure.name): \(failure.reason)")
    }
    for failure in failures where ONNXOperator.all[failure.op] != nil {
      #expect(Self.exceptions.contains { failure.name.contains($0) }, "\(failure.name): \(failure.reason)")
    }
  }

  /// Parts of the names of cases that are not expected to pass.
  private static let exceptions = [
    // Three spatial axes.
    "_3d",
    // Training.
    "training_mode", "test_training_dropout",
    // Results without elements.
    "_empty_set", "shape_zero", "reshape_allowzero", "start_greater_than_end", "slice_start_out_of_bounds",
    "zero_size_splits",
    // Positions of maxima.
    "with_argmax",
    // Resizing other than nearest and plain linear.
    "cubic", "antialias", "tf_crop_and_resize", "half_pixel_symmetric",
    // The test divides by the size before it is cut off to an integer, runtimes by the one after.
    "downsample_scales_linear_align_corners",
    // Made for an operator set older than 7.
    "test_not_",
  ]

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
