import Foundation
import QModel
import Testing

@testable import qcli

@Suite struct QuantizeCommandTests {
  let folder: TemporaryFolder
  let calibration: String

  init() throws {
    folder = try TemporaryFolder()
    calibration = folder.file("c.npy")
    let array = GoldenModels.prefix(try GoldenModels.array(GoldenModels.digits("calibration.npy")), 8)
    try writeFileAtomically(calibration, array.encoded())
  }

  private var model: String { GoldenModels.digits("model.onnx") }

  private func quantize(_ output: String, _ options: String...) -> Outcome {
    qcli(["quantize", model, "--calibration", calibration, "-o", folder.file(output)] + options)
  }

  @Test func aFloatModelBecomesOneThatAgrees() throws {
    let outcome = quantize("m.qkm")
    #expect(outcome.code == 0)
    #expect(outcome.error == "")
    #expect(outcome.output.hasPrefix("\(folder.file("m.qkm")): "))
    let inputs = GoldenModels.prefix(try GoldenModels.array(GoldenModels.digits("test_inputs.npy")), 40)
    try writeFileAtomically(folder.file("x.npy"), inputs.encoded())
    #expect(qcli("infer", folder.file("m.qkm"), "--input", folder.file("x.npy"), "-o", folder.file("y.npy")).code == 0)
    let found = try GoldenModels.array(folder.file("y.npy"))
    #expect(found.shape == [40, 10])
    let expected = try GoldenModels.array(GoldenModels.digits("float_outputs.npy")).floats(in: 0..<400)
    // Eight calibration samples are few; the full set gives more than 30.
    #expect(signalToNoise(expected, found.floats()) > 20)

    let verified = qcli("verify", "--json", model, folder.file("m.qkm"), "--input", folder.file("x.npy"))
    #expect(verified.code == 0)
    let report = try #require(
      try JSONSerialization.jsonObject(with: Data(verified.output.utf8)) as? [String: Any])
    #expect(report["samples"] as? Int == 40)
    let layers = try #require(report["layers"] as? [[String: Any]])
    let own = layers.map { $0["sqnr_db"] as? Double ?? .infinity }
    #expect(own == own.sorted())
    #expect(layers.contains { $0["name"] as? String == "logits" })
    let outputs = try #require(report["outputs"] as? [[String: Any]])
    // The report's figure against the float reference of this package, ours against ONNX Runtime's.
    #expect(abs(try #require(outputs[0]["sqnr_db"] as? Double) - signalToNoise(expected, found.floats())) < 0.01)
  }

  @Test func labelsGiveAccuracies() throws {
    #expect(quantize("m.qkm").code == 0)
    let inputs = GoldenModels.prefix(try GoldenModels.array(GoldenModels.digits("test_inputs.npy")), 30)
    try writeFileAtomically(folder.file("x.npy"), inputs.encoded())
    let labels = try #require(try GoldenModels.array(GoldenModels.digits("test_labels.npy")).integers(in: 0..<30))
    let wrong = labels.enumerated().map { Int32($0.offset < 3 ? ($0.element + 1) % 10 : $0.element) }
    try writeFileAtomically(folder.file("l.npy"), NPYArray(shape: [30], int32: wrong).encoded())
    let outcome = qcli(
      "verify", model, folder.file("m.qkm"), "--input", folder.file("x.npy"), "--labels", folder.file("l.npy"))
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("float accuracy 90.00 % (27 of 30)"))
    #expect(outcome.output.contains("int8  accuracy "))
    #expect(
      qcli(
        "verify", model, folder.file("m.qkm"), "--input", folder.file("x.npy"), "--labels", folder.file("x.npy")
      ).code == 65)
  }

  @Test func sameInputsGiveTheSameBytes() throws {
    #expect(quantize("a.qkm").code == 0)
    #expect(quantize("b.qkm", "--threads", "3").code == 0)
    let array = try GoldenModels.array(calibration)
    let size = array.count / 8
    let reversed = (0..<8).reversed().flatMap { array.floats(in: $0 * size..<($0 + 1) * size) }
    try writeFileAtomically(calibration, NPYArray(shape: array.shape, floats: reversed).encoded())
    #expect(quantize("c.qkm").code == 0)
    let first = try readFile(folder.file("a.qkm"))
    #expect(try readFile(folder.file("b.qkm")) == first)
    #expect(try readFile(folder.file("c.qkm")) == first)
    #expect(quantize("d.qkm", "--method", "minmax").code == 0)
    #expect(try readFile(folder.file("d.qkm")) != first)
  }

  @Test func optionsReachTheFile() throws {
    #expect(quantize("named.qkm").code == 0)
    #expect(quantize("bare.qkm", "--strip-names", "--self-test").code == 0)
    let named = try loadModel(folder.file("named.qkm"))
    let bare = try loadModel(folder.file("bare.qkm"))
    #expect(named.inputs[0].name == "image")
    #expect(bare.tensors.allSatisfy { $0.name == nil })
    #expect(try Session(bare).firstFailingStep() == nil)
    #expect(throws: ModelError.self) { try Session(named).firstFailingStep() }
    #expect(named.provenance.contains("calibration: 8 samples, \(CalibrationMethod.standard.rawValue)\n"))
  }

  @Test func theDefaultOutputStandsBesideTheModel() throws {
    #expect(QuantizeCommand.defaultOutput(for: "a/b.onnx") == "a/b.qkm")
    #expect(QuantizeCommand.defaultOutput(for: "b.tflite") == "b.qkm")
    #expect(QuantizeCommand.defaultOutput(for: "b") == "b.qkm")
    try writeFileAtomically(folder.file("copy.onnx"), try readFile(model))
    #expect(qcli("quantize", folder.file("copy.onnx"), "--calibration", calibration).code == 0)
    #expect(folder.names == ["c.npy", "copy.onnx", "copy.qkm"])
  }

  // MARK: refusals

  @Test func wrongCommandLines() throws {
    let outcome = qcli("quantize", model, "-o", folder.file("m.qkm"))
    #expect(outcome.code == 64)
    #expect(
      outcome.error.hasPrefix(
        "Error: Missing expected option '--calibration <[name=]x.npy>': \(model) is a float model, which needs"
          + " representative samples\nUsage: qcli quantize <model>"))
    #expect(quantize("m.qkm", "--method", "median").code == 64)
    #expect(quantize("m.qkm", "--calibration", calibration).code == 64)
    #expect(folder.names == ["c.npy"])
  }

  @Test func wrongFiles() throws {
    #expect(qcli("quantize", folder.file("none.onnx"), "--calibration", calibration).code == 66)
    #expect(qcli("quantize", calibration, "--calibration", calibration).code == 65)
    #expect(qcli("quantize", model, "--calibration", folder.file("none.npy"), "-o", folder.file("m.qkm")).code == 66)
    #expect(qcli("quantize", model, "--calibration", model, "-o", folder.file("m.qkm")).code == 65)
    #expect(qcli("quantize", model, "--calibration", calibration, "-o", folder.file("none/m.qkm")).code == 1)
    #expect(qcli("quantize", model, "--calibration", calibration, "-o", folder.path).code == 1)
    try writeFileAtomically(folder.file("empty.npy"), NPYArray(shape: [0, 1, 8, 8], floats: []).encoded())
    #expect(qcli("quantize", model, "--calibration", folder.file("empty.npy"), "-o", folder.file("m.qkm")).code == 65)
    #expect(folder.names == ["c.npy", "empty.npy"])
  }

  @Test func damagedSourceModelsAreRefused() throws {
    let bytes = try readFile(model)
    for count in [0, 1, 100, bytes.count / 2, bytes.count - 1] {
      try writeFileAtomically(folder.file("cut.onnx"), Array(bytes[..<count]))
      let outcome = qcli(
        "quantize", folder.file("cut.onnx"), "--calibration", calibration, "-o", folder.file("m.qkm"))
      #expect(outcome.code == 65, "\(count) bytes")
      #expect(outcome.error.hasPrefix("Error: \(folder.file("cut.onnx")): "), "\(outcome.error)")
    }
    #expect(folder.names == ["c.npy", "cut.onnx"])
  }

  @Test func aSourceModelIsInspected() throws {
    let outcome = qcli("inspect", "--json", model)
    #expect(outcome.code == 0)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(object["format"] as? String == "onnx")
    #expect(object["kind"] as? String == "float")
    #expect((object["inputs"] as? [[String: Any]])?[0]["shape"] as? [Int] == [1, 1, 8, 8])
    #expect((object["outputs"] as? [[String: Any]])?[0]["name"] as? String == "logits")
    let text = qcli("inspect", model)
    #expect(text.code == 0)
    #expect(text.output.hasPrefix("\(model): float .onnx model\n"))
  }
}

@Suite(.enabled(if: GoldenModels.hasOracle, "needs the published models, see QK_ORACLE"))
struct PublishedModelTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  static let quantized = [
    "hello_world_int8", "ad01_int8", "kws_ref_model", "pretrainedResnet_quant", "trained_lstm_int8",
  ]

  @Test(arguments: quantized)
  func aQuantizedModelKeepsItsBytes(name: String) throws {
    let model = folder.file("m.qkm")
    #expect(qcli("quantize", "\(GoldenModels.oracle)/models/\(name).tflite", "-o", model).code == 0)
    let data = "\(GoldenModels.oracle)/data/\(name)"
    for kind in ["real", "rand"] {
      let outcome = qcli(
        "infer", model, "--raw", "--input", "\(data)/input_\(kind).npy", "-o", folder.file("y.npy"), "--trace",
        folder.file("t"))
      #expect(outcome.code == 0)
      let expected = try GoldenModels.array("\(data)/out_tflm_\(kind).npy")
      let found = try GoldenModels.array(folder.file("y.npy"))
      #expect(found.integers(in: 0..<found.count) == expected.integers(in: 0..<expected.count))
    }
    // The digests of every layer's output for the first real input: [op, kind, tensor, shape, type, sha256].
    #expect(
      qcli("infer", model, "--raw", "--input", "\(data)/input_real.npy", "--trace", folder.file("t")).code == 0)
    let digests = try #require(
      try JSONSerialization.jsonObject(with: Data(try readFile("\(data)/layers_real0_sha256.json"))) as? [[Any]])
    let index = try #require(
      try JSONSerialization.jsonObject(with: Data(try readFile(folder.file("t/index.json")))) as? [String: Any])
    let files = try #require(index["tensors"] as? [[String: Any]])
    #expect(!digests.isEmpty)
    for digest in digests {
      let tensor = try #require(digest[2] as? Int)
      let entry = try #require(files.first { $0["source_index"] as? Int == tensor }, "tensor \(tensor)")
      let array = try GoldenModels.array(folder.file("t/\(try #require(entry["file"] as? String))"))
      let bytes = array.withElementBytes { Array($0.prefix($0.count / array.shape[0])) }
      #expect(hexadecimal(SHA256.digest(bytes)) == digest[5] as? String, "tensor \(tensor)")
    }
  }

  @Test(arguments: [
    ("ad01_int8", 264_192), ("kws_ref_model", 2_656_768), ("pretrainedResnet_quant", 12_501_632),
    ("trained_lstm_int8", 28 * 80 * 48 + 5600),
  ])
  func workIsCounted(name: String, macs: Int) throws {
    #expect(qcli("quantize", "\(GoldenModels.oracle)/models/\(name).tflite", "-o", folder.file("m.qkm")).code == 0)
    #expect(try loadModel(folder.file("m.qkm")).macs == macs)
  }

  @Test func stateIsKeptOnDemand() throws {
    let model = folder.file("m.qkm"), input = "\(GoldenModels.oracle)/data/trained_lstm_int8/input_real.npy"
    #expect(
      qcli("quantize", "\(GoldenModels.oracle)/models/trained_lstm_int8.tflite", "-o", model).code == 0)
    func run(_ options: String...) throws -> [Int64] {
      #expect(qcli(["infer", model, "--raw", "--input", input, "-o", folder.file("y.npy")] + options).code == 0)
      let array = try GoldenModels.array(folder.file("y.npy"))
      return try #require(array.integers(in: 0..<array.count))
    }
    let reset = try run(), kept = try run("--stateful")
    #expect(kept.prefix(10) == reset.prefix(10))
    #expect(kept != reset)
    // State that is kept is that of the sample before: two samples alone give the same as the first two of all.
    let array = try GoldenModels.array(input)
    let size = array.count / array.shape[0]
    let bytes = array.withElementBytes { Array($0.prefix(2 * size)) }
    try writeFileAtomically(
      folder.file("x.npy"),
      NPYArray(shape: [2] + array.shape.dropFirst(), elementType: .int8, bytes: bytes).encoded())
    #expect(
      qcli("infer", model, "--raw", "--stateful", "--input", folder.file("x.npy"), "-o", folder.file("z.npy")).code == 0
    )
    let two = try GoldenModels.array(folder.file("z.npy"))
    #expect(two.integers(in: 0..<20) == Array(kept.prefix(20)))
    #expect(try run() == reset)
  }

  @Test func calibrationOfAQuantizedModelIsNotUsed() throws {
    let outcome = qcli(
      "quantize", "\(GoldenModels.oracle)/models/hello_world_int8.tflite", "-o", folder.file("m.qkm"), "--calibration",
      "x.npy")
    #expect(outcome.code == 0)
    #expect(outcome.error.hasSuffix("is quantized already; the calibration arrays are not used\n"))
  }
}
