import QModel

/// `qcli quantize`: turns a source model into a `.qkm`.
enum QuantizeCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "quantize",
      overview: "Quantize a trained model to int8 and write it as a .qkm file.",
      discussion: """
        A float model needs calibration arrays: representative samples of shape [N] + the input's shape, with or \
        without the model's own batch axis of 1. An int8 .tflite keeps its own scales and needs none.
        """,
      arguments: [ArgumentDeclaration(name: "model", help: "A trained model, .onnx or .tflite.")],
      options: [
        OptionDeclaration(
          name: "calibration", value: .text(placeholder: "[name=]x.npy"), isRepeated: true,
          help: "Calibration samples of an input, float32. One file per input, in the model's order or with its name."),
        OptionDeclaration(
          name: "method",
          value: .choice(placeholder: "method", words: CalibrationMethod.allCases.map(\.rawValue)),
          defaultText: CalibrationMethod.standard.rawValue, help: "How calibrated values become ranges."),
        OptionDeclaration(
          name: "recurrent-state", value: .choice(placeholder: "bits", words: ["8", "16"]), defaultText: "8",
          help: "The width of the hidden state of recurrent layers."),
        OptionDeclaration(
          name: "output", short: "o", value: .text(placeholder: "out.qkm"),
          defaultText: "the model's path with .qkm as its extension", help: "Where to write the result."),
        OptionDeclaration(
          name: "self-test", value: .flag,
          help: "Add an input and a checksum of every layer's output, so that a device can test itself."),
        OptionDeclaration(
          name: "strip-names", value: .flag, help: "Leave out the names of tensors: a smaller file."),
        OptionDeclaration(
          name: "threads", value: .integer(placeholder: "n", range: 1...1024), defaultText: "all processors",
          help: "How many threads to calibrate with; the result does not depend on it."),
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let path = arguments.positionals[0]
    let outputPath = arguments.text("output") ?? defaultOutput(for: path)
    try checkWritable(outputPath)
    let source = try readFile(path)
    let graph = try Pipeline.optimize(try Pipeline.importModel(path: path))
    let calibration = try calibrationSamples(arguments.texts("calibration"), for: graph, path: path, console)

    var line = ProgressLine("Calibrating", on: console)
    let method = arguments.text("method").flatMap { CalibrationMethod(rawValue: $0) } ?? .standard
    var choices = QuantizationOptions()
    choices.recurrentState = arguments.text("recurrent-state") == "16" ? .int16 : .int8
    choices.threads = arguments.integer("threads") ?? onlineProcessorCount()
    let quantized = try Pipeline.quantize(graph, calibration: calibration, method: method, options: choices) {
      line.update($0, of: $1)
    }
    line.finish()

    var options = CompileOptions()
    options.keepNames = !arguments.has("strip-names")
    options.includeSelfTest = arguments.has("self-test")
    options.provenance = provenance(model: source, calibration: calibration, method: method)
    let compiled = try Pipeline.compile(quantized, options: options)
    // What is written is what a device will accept.
    let model = try loadModel(bytes: compiled.bytes, path: outputPath)
    try writeFileAtomically(outputPath, compiled.bytes)
    console.print(
      "\(outputPath): \(grouped(model.fileByteCount)) bytes, arena \(grouped(model.arenaByteCount)) bytes, "
        + "state \(grouped(model.stateByteCount)) bytes, \(grouped(model.macs)) multiply-accumulates")
  }

  /// The model's path with its extension replaced.
  static func defaultOutput(for path: String) -> String {
    for suffix in [".onnx", ".tflite"] where path.hasSuffix(suffix) { return path.dropLast(suffix.count) + ".qkm" }
    return path + ".qkm"
  }

  private static func calibrationSamples(
    _ values: [String], for graph: Graph, path: String, _ console: Console
  ) throws -> SampleArrays? {
    switch graph.origin {
    case .quantizedTFLite:
      if !values.isEmpty { console.note("note: \(path) is quantized already; the calibration arrays are not used") }
      return nil
    case .float:
      guard !values.isEmpty else {
        throw CommandFailure.usage(
          "Missing expected option '--calibration <[name=]x.npy>': \(path) is a float model, which needs"
            + " representative samples")
      }
      let tensors = graph.inputs.map { graph.tensors[$0] }
      let samples = try SampleArrays(
        values, option: "--calibration", names: callerNames(tensors.map(\.name), kind: "input"),
        layouts: tensors.map { SampleLayout($0) }, types: tensors.map { _ in .float32 }, isRaw: false)
      guard samples.sampleCount > 0 else {
        throw CommandFailure.malformed("\(samples.arrays[0].path): no samples, expected at least 1; add some")
      }
      return samples
    }
  }
}
