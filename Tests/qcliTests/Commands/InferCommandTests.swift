import Foundation
import QModel
import Testing

@testable import qcli

@Suite struct InferCommandTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.file("m.qkm")
    try writeFileAtomically(model, TinyModel.bytes())
  }

  /// Three samples whose results are whole and fit.
  static let samples: [Float] = (0..<24).map { Float(($0 * 7) % 11) - 5 }

  private func save(_ name: String, _ array: NPYArray) throws -> String {
    try writeFileAtomically(folder.file(name), array.encoded())
    return folder.file(name)
  }

  private func load(_ name: String) throws -> NPYArray {
    try NPYArray(parsing: try readFile(folder.file(name)), path: name)
  }

  static func expected(_ samples: [Float]) -> (hidden: [Float], output: [Float]) {
    var hidden: [Float] = [], output: [Float] = []
    for start in stride(from: 0, to: samples.count, by: 8) {
      let values = TinyModel.values(Array(samples[start..<start + 8]))
      hidden += values.hidden
      output += values.output
    }
    return (hidden, output)
  }

  @Test(arguments: [[3, 2, 2, 2], [3, 1, 2, 2, 2]])
  func arraysFitWithAndWithoutBatchAxis(shape: [Int]) throws {
    let input = try save("x.npy", NPYArray(shape: shape, floats: Self.samples))
    let outcome = qcli("infer", model, "--input", input, "--output", folder.file("y.npy"))
    #expect(outcome.error == "")
    #expect(outcome.output == "")
    #expect(outcome.code == 0)
    let output = try load("y.npy")
    #expect(output.shape == [3, 2, 2, 2])
    #expect(output.elementType == .float32)
    #expect(output.floats() == Self.expected(Self.samples).output)
    #expect(folder.names == ["m.qkm", "x.npy", "y.npy"])
  }

  @Test func namesMaySayWhichTensorAFileIs() throws {
    let input = try save("x.npy", NPYArray(shape: [3, 2, 2, 2], floats: Self.samples))
    let outcome = qcli(
      "infer", model, "--input", "\(TinyModel.inputName)=\(input)", "--output",
      "\(TinyModel.outputName)=\(folder.file("y.npy"))")
    #expect(outcome.code == 0)
    #expect(try load("y.npy").floats() == Self.expected(Self.samples).output)
  }

  @Test func rawIntegersGoInAndOut() throws {
    // Scale 0.5, zero point 3; the output has scale 1, zero point 0.
    let integers = Self.samples.map { Int8($0 * 2 + 3) }
    let input = try save("x.npy", NPYArray(shape: [3, 2, 2, 2], int8: integers))
    let outcome = qcli("infer", model, "--raw", "--input", input, "-o", folder.file("y.npy"))
    #expect(outcome.code == 0)
    let output = try load("y.npy")
    #expect(output.elementType == .int8)
    #expect(output.floats() == Self.expected(Self.samples).output)
  }

  @Test func realValuesAreRoundedAwayFromZeroAndSaturated() throws {
    // x / 0.5 + 3: 0.25 is half a step, 100 and infinity's neighbours are beyond the type.
    let samples: [Float] = [0.25, -0.25, 0.24, -0.24, 0.75, -0.75, 0, 0]
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: samples))
    let trace = folder.file("t")
    #expect(qcli("infer", model, "--raw", "--input", input).code == 65)
    #expect(qcli("infer", model, "--input", input, "--trace", trace).code == 0)
    #expect(try load("t/serving_x_0.npy").floats() == [0.5, -0.5, 0, 0, 1, -1, 0, 0])
    let extremes: [Float] = [1e30, -1e30, 62, -65.5, 62.25, -65.75, 61.5, -65]
    _ = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: extremes))
    #expect(qcli("infer", model, "--input", input, "--trace", trace).code == 0)
    #expect(try load("t/serving_x_0.npy").floats() == [62, -65.5, 62, -65.5, 62, -65.5, 61.5, -65])
  }

  @Test(arguments: [1, 2, 3, 8])
  func threadsDoNotChangeTheResult(threads: Int) throws {
    let samples = (0..<800).map { Float(($0 * 31) % 11) - 5 }
    let input = try save("x.npy", NPYArray(shape: [100, 2, 2, 2], floats: samples))
    let outcome = qcli(
      "infer", model, "--threads", "\(threads)", "--input", input, "--output", folder.file("y\(threads).npy"))
    #expect(outcome.code == 0)
    #expect(try load("y\(threads).npy").floats() == Self.expected(samples).output)
  }

  @Test func aTraceHoldsEveryNamedTensorInTheSourceLayout() throws {
    let input = try save("x.npy", NPYArray(shape: [3, 2, 2, 2], floats: Self.samples))
    let outcome = qcli("infer", model, "--input", input, "--trace", folder.file("trace"), "-o", folder.file("y.npy"))
    #expect(outcome.code == 0)
    let files = try FileManager.default.contentsOfDirectory(atPath: folder.file("trace")).sorted()
    #expect(files == ["h.npy", "index.json", "serving_x_0.npy", "y.npy"])
    let hidden = try load("trace/h.npy")
    #expect(hidden.shape == [3, 3, 2, 2])
    #expect(hidden.floats() == Self.expected(Self.samples).hidden)
    #expect(try load("trace/serving_x_0.npy").floats() == Self.samples)
    #expect(try load("trace/y.npy").encoded() == load("y.npy").encoded())
    let index = try String(contentsOfFile: folder.file("trace/index.json"), encoding: .utf8)
    #expect(
      index.hasPrefix(
        """
        {
          "tensors": [
            {
              "name": "serving/x:0",
              "source_index": null,
              "file": "serving_x_0.npy",
              "shape": [3, 2, 2, 2],
              "type": "float32",
              "scale": 0.5,
              "zero_point": 3
            },
        """))
  }

  @Test func aRawTraceHoldsIntegers() throws {
    let integers = Self.samples.map { Int8($0 * 2 + 3) }
    let input = try save("x.npy", NPYArray(shape: [3, 2, 2, 2], int8: integers))
    #expect(qcli("infer", model, "--raw", "--input", input, "--trace", folder.file("trace")).code == 0)
    #expect(try load("trace/serving_x_0.npy").integers(in: 0..<24) == integers.map { Int64($0) })
    let hidden = try load("trace/h.npy")
    #expect(hidden.floats() == Self.expected(Self.samples).hidden.map { $0 * 2 - 4 })
  }

  @Test func aModelWithoutNamesHasPlainOnes() throws {
    try writeFileAtomically(model, TinyModel.bytes(names: false))
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: [1, 2, 3, 4, 5, 6, 7, 8]))
    let outcome = qcli("infer", model, "--input", "input0=\(input)", "-o", "output0=\(folder.file("y.npy"))")
    #expect(outcome.code == 0)
    #expect(qcli("infer", model, "--input", input, "--trace", folder.file("t")).code == 0)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.file("t")) == ["index.json"])
  }

  @Test func withoutOutputFilesValuesArePrinted() throws {
    let input = try save("x.npy", NPYArray(shape: [2, 2, 2, 2], floats: (0..<16).map { Float($0 % 8) - 2 }))
    let outcome = qcli("infer", model, "--input", input)
    #expect(
      outcome.output == """
        y float32 (2, 2, 2, 2)
        -6.0 -3.0 0.0 3.0 6.0 9.0 12.0 15.0
        -6.0 -3.0 0.0 3.0 6.0 9.0 12.0 15.0

        """)
    #expect(
      qcli("infer", model, "--json", "--input", input, "-o", "./y.npy").code == 0)
    try? FileManager.default.removeItem(atPath: "./y.npy")
    let json = qcli("infer", model, "--json", "--input", input)
    #expect(
      json.output == """
        {
          "samples": 2,
          "outputs": [
            {
              "name": "y",
              "type": "float32",
              "shape": [2, 2, 2, 2],
              "values": [-6, -3, 0, 3, 6, 9, 12, 15, -6, -3, 0, 3, 6, 9, 12, 15]
            }
          ]
        }

        """)
  }

  @Test func noSamplesGiveEmptyResults() throws {
    let input = try save("x.npy", NPYArray(shape: [0, 2, 2, 2], floats: []))
    #expect(qcli("infer", model, "--input", input, "-o", folder.file("y.npy")).code == 0)
    #expect(try load("y.npy").shape == [0, 2, 2, 2])
  }

  // MARK: refusals

  @Test func wrongArrays() throws {
    func refusal(_ array: NPYArray, _ options: String...) throws -> String {
      let input = try save("x.npy", array)
      let outcome = qcli(["infer", model, "--input", input, "-o", folder.file("y.npy")] + options)
      #expect(outcome.code == 65)
      #expect(outcome.output == "")
      #expect(!folder.names.contains("y.npy"))
      return outcome.error.replacingOccurrences(of: folder.path + "/", with: "")
    }
    #expect(
      try refusal(NPYArray(shape: [2, 2, 2], floats: [Float](repeating: 0, count: 8)))
        == "Error: x.npy: shape (2, 2, 2), expected (N, 2, 2, 2) or (N, 1, 2, 2, 2) for the input 'serving/x:0', where"
        + " N counts samples; reshape the array before it is saved\n")
    #expect(
      try refusal(NPYArray(shape: [1, 2, 2, 2], int8: [Int8](repeating: 0, count: 8)))
        == "Error: x.npy: element type int8, expected float32 for the input 'serving/x:0'; save the real values as"
        + " x.astype(numpy.float32), or pass --raw where the command has it\n")
    #expect(
      try refusal(NPYArray(shape: [1, 2, 2, 2], floats: [Float](repeating: 0, count: 8)), "--raw")
        == "Error: x.npy: element type float32, expected int8 for the input 'serving/x:0'; save"
        + " x.astype(numpy.int8), or leave out --raw and give real values as float32\n")
    #expect(
      try refusal(NPYArray(shape: [1, 2, 2, 2], floats: [0, 0, 0, .nan, 0, 0, 0, 0]))
        == "Error: x.npy: element 3 is not a finite number; remove NaN and infinity from the array\n")
    #expect(
      try refusal(NPYArray(shape: [1, 2, 2, 2], elementType: .float64, bytes: [UInt8](repeating: 0, count: 64)))
        == "Error: x.npy: element type float64, expected float32 for the input 'serving/x:0'; save"
        + " x.astype(numpy.float32)\n")
  }

  @Test func wrongCommandLines() throws {
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: [1, 2, 3, 4, 5, 6, 7, 8]))
    func refusal(_ words: String...) -> String {
      let outcome = qcli(["infer", model] + words)
      #expect(outcome.code == 64)
      #expect(outcome.output == "")
      return String(outcome.error.split(separator: "\n")[0]).replacingOccurrences(of: folder.path + "/", with: "")
    }
    #expect(refusal() == "Error: Missing expected option '--input <[name=]x.npy>'")
    #expect(
      refusal("--input", "z=\(input)")
        == "Error: The model has no input named 'z'; its inputs are 'serving/x:0' (a path that contains '=' must start"
        + " with './')")
    #expect(
      refusal("--input", input, "--input", input)
        == "Error: There are more --input files than the model has inputs (1): 'serving/x:0'")
    #expect(
      refusal("--input", input, "--stateful", "--threads", "2")
        == "Error: --stateful runs samples one after the other and cannot be combined with --threads")
    #expect(
      refusal("--input", input, "-o", "z=y.npy")
        == "Error: The model has no output named 'z'; its outputs are 'y'. Did you mean 'y'? (a path that contains '='"
        + " must start with './')")
  }

  /// T steps in one process, and in two with the state saved between them. Refusals leave nothing behind.
  @Test func savedStateContinues() throws {
    let recurrent = folder.file("r.qkm"), state = folder.file("s.bin")
    let array = try GoldenModels.array(GoldenModels.digits("test_inputs.npy"))
    let calibration = try save("c.npy", GoldenModels.prefix(array, 8))
    #expect(
      qcli(
        "quantize", "\(GoldenModels.package)/golden/models/lstm_pytorch/model.onnx", "--calibration", calibration, "-o",
        recurrent
      ).code == 0)
    let size = array.count / array.shape[0]
    func part(_ name: String, _ range: Range<Int>) throws -> String {
      try save(
        name,
        NPYArray(
          shape: [range.count] + array.shape.dropFirst(),
          floats: array.floats(in: range.lowerBound * size..<range.upperBound * size)))
    }
    func values(_ input: String, _ options: String...) throws -> [Float] {
      let outcome = qcli(["infer", recurrent, "--stateful", "--input", input, "-o", folder.file("y.npy")] + options)
      #expect(outcome.code == 0, "\(outcome.error)")
      return try load("y.npy").floats()
    }
    let (all, first, second) = (try part("all.npy", 0..<7), try part("1.npy", 0..<4), try part("2.npy", 4..<7))
    let whole = try values(all)
    #expect(try values(first, "--save-state", state) == Array(whole[..<40]))
    let saved = try readFile(state)
    #expect(saved.count == (try loadModel(recurrent)).stateByteCount && saved.contains { $0 != 0 })
    #expect(try values(second, "--load-state", state, "--save-state", state) == Array(whole[40...]))
    #expect(try readFile(state) != saved)
    #expect(try values(second) != Array(whole[40...]))
    // No sample leaves the state as it was.
    let none = try save("0.npy", NPYArray(shape: [0] + array.shape.dropFirst(), floats: []))
    try writeFileAtomically(state, saved)
    let again = folder.file("again.bin")
    #expect(try values(none, "--load-state", state, "--save-state", again).isEmpty)
    #expect(try readFile(again) == saved)
    // Without output files results are text, and the state is still saved.
    let printed = qcli("infer", recurrent, "--stateful", "--input", first, "--save-state", again)
    #expect(printed.code == 0 && !printed.output.isEmpty)
    #expect(try readFile(again) == saved)

    let names = folder.names
    func refusal(_ code: Int32, _ words: String...) -> String {
      let outcome = qcli(["infer", "--input", first, "-o", folder.file("none.npy")] + words)
      #expect(outcome.code == code && outcome.output == "")
      return String(outcome.error.split(separator: "\n")[0]).replacingOccurrences(of: folder.path + "/", with: "")
    }
    for option in ["--load-state", "--save-state"] {
      #expect(
        refusal(64, recurrent, option, state) == "Error: \(option) is for a state that is kept: add --stateful")
      #expect(
        refusal(65, model, "--stateful", option, state)
          == "Error: m.qkm: the model has no recurrent state to load or save; leave out --load-state and --save-state")
    }
    try writeFileAtomically(state, Array(saved.dropLast()))
    #expect(
      refusal(65, recurrent, "--stateful", "--load-state", state, "--save-state", folder.file("none.bin"))
        == "Error: s.bin: \(saved.count - 1) bytes, expected the \(saved.count) of the model's recurrent state; give a file"
        + " that --save-state wrote for this model")
    #expect(
      refusal(66, recurrent, "--stateful", "--load-state", folder.file("none.bin"))
        == "Error: none.bin: no such file; check the path")
    #expect(
      refusal(1, recurrent, "--stateful", "--save-state", folder.file("none/s.bin"))
        == "Error: none/s.bin: cannot be written: the folder none does not exist; choose a path in an existing folder with"
        + " write permission and free space")
    #expect(folder.names == names)
  }

  @Test func wrongFiles() throws {
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: [1, 2, 3, 4, 5, 6, 7, 8]))
    #expect(qcli("infer", folder.file("none.qkm"), "--input", input).code == 66)
    #expect(qcli("infer", model, "--input", folder.file("none.npy")).code == 66)
    #expect(qcli("infer", input, "--input", input).code == 65)
    #expect(qcli("infer", model, "--input", model).code == 65)
    #expect(qcli("infer", model, "--input", input, "-o", folder.file("none/y.npy")).code == 1)
    #expect(qcli("infer", model, "--input", input, "-o", "/dev/full").code == 1)
    #expect(qcli("infer", model, "--input", input, "--trace", folder.file("none/t")).code == 1)
    #expect(folder.names == ["m.qkm", "x.npy"])
  }

  @Test func aSourceModelIsSentToQuantize() throws {
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: [1, 2, 3, 4, 5, 6, 7, 8]))
    let path = folder.file("m.tflite")
    try writeFileAtomically(path, [28, 0, 0, 0] + Array("TFL3".utf8) + [0, 0])
    let outcome = qcli("infer", path, "--input", input)
    #expect(outcome.code == 65)
    #expect(
      outcome.error
        == "Error: \(path): a source model, expected a .qkm; make one with 'qcli quantize \(path)'\n")
  }

  @Test func everyDamagedByteIsRefused() throws {
    let input = try save("x.npy", NPYArray(shape: [1, 2, 2, 2], floats: [1, 2, 3, 4, 5, 6, 7, 8]))
    let bytes = TinyModel.bytes()
    for index in stride(from: 0, to: bytes.count, by: 7) {
      var damaged = bytes
      damaged[index] ^= 0x10
      try Data(damaged).write(to: URL(fileURLWithPath: model))
      #expect(qcli("infer", model, "--input", input).code == 65, "byte \(index)")
      try Data(bytes[..<index]).write(to: URL(fileURLWithPath: model))
      #expect(qcli("infer", model, "--input", input).code == 65, "\(index) bytes")
    }
  }
}
