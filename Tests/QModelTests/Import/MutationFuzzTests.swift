import Foundation
import QKernels
import Testing

@testable import QModel

/// Files with several damages at once, seeded: what the importers take must go the whole way to a run, or throw.
@Suite struct MutationFuzzTests {
  /// How many damaged files each test makes of each sound one.
  private static func rounds(_ count: Int) -> Int {
    ProcessInfo.processInfo.environment["QK_FULL_TESTS"] == "1" ? 40 * count : count
  }

  /// Larger graphs are imported, not run.
  private static let elementLimit = 20_000

  private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("golden")

  // MARK: Sound files

  /// Single operators of the ONNX tests, and small trained models.
  private static func onnxFiles() -> [[UInt8]] {
    let cases = ONNXOperatorTests.shapeCases + ONNXOperatorTests.elementCases + ONNXOperatorTests.matrixCases
    let files = (cases + ONNXOperatorTests.windowCases).map {
      single($0.opType, opset: $0.opset, $0.shape, $0.attributes, constants: $0.constants).bytes
    }
    let trained = ["gru_reset_before", "lstm_peephole_reverse_states"].compactMap {
      try? readFile(golden.appendingPathComponent("models/\($0)/model.onnx").path)
    }
    return files + [ONNXModelWriter.small.bytes, ONNXModelWriter.recurrent.bytes] + trained
  }

  /// The quantized operators of `golden/ops/tflite`.
  private static func tfliteFiles() throws -> [[UInt8]] {
    struct File: Decodable {
      struct Case: Decodable { var model: String }
      var cases: [Case]
    }
    let folder = golden.appendingPathComponent("ops/tflite")
    return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().flatMap { name -> [[UInt8]] in
      let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: folder.appendingPathComponent(name)))
      return file.cases.compactMap { Data(base64Encoded: $0.model).map { [UInt8]($0) } }
    } + TFLiteImporterRobustnessTests.models.map(\.bytes)
  }

  // MARK: Damage

  private static func damaged(_ bytes: [UInt8], _ random: inout TensorGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<random.int(1...3) where !bytes.isEmpty {
      let place = random.int(0...bytes.count - 1)
      let length = min(bytes.count - place, 1 << random.int(0...5))
      switch random.int(0...14) {
      // Most damage leaves everything else where it is: it goes deeper.
      case 0...3: bytes[place] ^= 1 << UInt8(random.int(0...7))
      case 4, 5: bytes[place] = UInt8(random.int(0...255))
      case 6, 7: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][random.int(0...4)]
      case 8, 9, 10:
        // A whole word: a size, an offset, an index, or a number that is none.
        let words: [UInt32] = [0, 1, 4, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x7FC0_0000, 0x7F80_0000, 0x0001_0000]
        let word = words[random.int(0...words.count - 1)]
        let start = place / 4 * 4
        for index in 0..<4 where start + index < bytes.count {
          bytes[start + index] = UInt8(truncatingIfNeeded: word >> (8 * UInt32(index)))
        }
      case 11: bytes.removeSubrange(place..<place + length)
      case 12: bytes.insert(contentsOf: bytes[place..<place + length], at: random.int(0...bytes.count))
      case 13:
        let source = random.int(0...bytes.count - length)
        bytes.replaceSubrange(place..<place + length, with: Array(bytes[source..<source + length]))
      default: bytes.removeLast(length)
      }
    }
    return bytes
  }

  /// Takes a file as far as it goes; everything that stops it is a `ModelError`. Returns whether it ran.
  private static func runs(_ bytes: [UInt8]) throws(ModelError) -> Bool {
    let graph = try Pipeline.importModel(bytes: bytes, name: "damaged")
    guard isSmall(graph) else { return false }
    let optimized = try Pipeline.optimize(graph)
    guard isSmall(optimized) else { return false }
    var options = QuantizationOptions()
    options.threads = 1
    let samples = ArraySamples(for: optimized, count: 2, seed: 3)
    let quantized = try Pipeline.quantize(optimized, calibration: samples, method: .minmax, options: options)
    let session = try Session(bytes: try Pipeline.compile(quantized).bytes)
    session.run()
    return true
  }

  private static func isSmall(_ graph: Graph) -> Bool {
    graph.tensors.reduce(0) { $0 + min($1.elementCount, elementLimit) } < elementLimit
  }

  private func check(_ files: [[UInt8]], rounds: Int, seed: UInt64) throws {
    for bytes in files { #expect(try Self.runs(bytes)) }
    var random = TensorGenerator(seed: seed)
    var ran = 0, refused = 0
    for bytes in files {
      for _ in 0..<Self.rounds(rounds) {
        do throws(ModelError) {
          if try Self.runs(Self.damaged(bytes, &random)) { ran += 1 }
        } catch {
          refused += 1
          #expect(!error.problems.joined().isEmpty)
        }
      }
    }
    // Damage to weights and names leaves a model; most other damage does not.
    #expect(ran > files.count * rounds / 40 && refused > files.count * rounds / 2, "\(ran) ran, \(refused) refused")
  }

  // MARK: Tests

  @Test(.timeLimit(.minutes(10))) func damagedONNXRunsOrIsRefused() throws {
    try check(Self.onnxFiles(), rounds: 24, seed: 1)
  }

  @Test(.timeLimit(.minutes(10))) func damagedTFLiteRunsOrIsRefused() throws {
    try check(Self.tfliteFiles(), rounds: 8, seed: 2)
  }

  /// Sealed again, so that the checksum does not spare the rest of the verification.
  @Test(.timeLimit(.minutes(10))) func damagedCompiledModelsRunOrAreRefused() {
    var random = TensorGenerator(seed: 3)
    var ran = 0, refused = 0
    for bytes in SpoiltFileTests.models {
      for _ in 0..<Self.rounds(100) {
        var copy = Self.damaged(bytes, &random)
        guard copy.count >= 64 else { continue }
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: copy.count)) { copy.replaceSubrange(8..<12, with: $0) }
        if SpoiltFileTests.accepts(SpoiltFileTests.sealed(copy)) { ran += 1 } else { refused += 1 }
      }
    }
    #expect(ran > 0 && refused > 0, "\(ran) ran, \(refused) refused")
  }

  @Test(.timeLimit(.minutes(10))) func damagedArraysAreReadOrRefused() {
    var random = TensorGenerator(seed: 4)
    let arrays: [NPYArray] = [
      NPYArray(shape: [3, 4, 5], floats: (0..<60).map { Float($0) }), NPYArray(shape: [], int32: [7]),
      NPYArray(shape: [0, 3], int16: []), NPYArray(shape: [17], int8: (0..<17).map { Int8($0) }),
    ]
    var read = 0, refused = 0
    for array in arrays {
      let bytes = array.encoded()
      for _ in 0..<Self.rounds(3000) {
        do throws(NPYError) {
          let result = try NPYArray(parsing: Self.damaged(bytes, &random), path: "damaged.npy")
          // Elements that the header promises are there.
          #expect(result.floats().count == result.shape.reduce(1, *))
          read += 1
        } catch {
          refused += 1
        }
      }
    }
    #expect(read > 100 && refused > 100, "\(read) read, \(refused) refused")
  }
}
