import QModel

/// `qcli infer`: runs a model on arrays.
enum InferCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "infer",
      overview: "Run a .qkm model on arrays.",
      discussion: """
        Arrays have shape [N] + the model's input shape, with or without the model's own batch axis of 1; the model \
        runs N times. Results go to the --output files, or to standard output as text when there are none.
        """,
      arguments: [ArgumentDeclaration(name: "model", help: "The model, a .qkm file.")],
      options: [
        OptionDeclaration(
          name: "input", value: .text(placeholder: "[name=]x.npy"), isRepeated: true, isRequired: true,
          help: "The samples of an input: float32, or the model's integer type with --raw. One file per input, in the "
            + "model's order or with its name."),
        OptionDeclaration(
          name: "output", short: "o", value: .text(placeholder: "[name=]y.npy"), isRepeated: true,
          help: "Where to write an output, in the model's order or with its name."),
        OptionDeclaration(
          name: "raw", value: .flag, help: "Read and write the model's integers instead of real values."),
        OptionDeclaration(
          name: "stateful", value: .flag, help: "Keep recurrent state from one sample to the next."),
        OptionDeclaration(
          name: "load-state", value: .text(placeholder: "file"),
          help: "Start from the recurrent state in this file, which --save-state wrote for the same model. Needs "
            + "--stateful."),
        OptionDeclaration(
          name: "save-state", value: .text(placeholder: "file"),
          help: "Write the recurrent state after the last sample to this file. Needs --stateful."),
        OptionDeclaration(
          name: "threads", value: .integer(placeholder: "n", range: 1...1024), defaultText: "1",
          help: "How many samples to run at once; results do not depend on it."),
        OptionDeclaration(
          name: "trace", value: .text(placeholder: "folder"),
          help: "Write every tensor that has a name in the source model to this folder, one .npy each."),
        OptionDeclaration(name: "json", value: .flag, help: "Print a JSON object with the results."),
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let isRaw = arguments.has("raw")
    let isStateful = arguments.has("stateful")
    let threads = arguments.integer("threads") ?? 1
    if isStateful && threads > 1 {
      throw CommandFailure.usage("--stateful runs samples one after the other and cannot be combined with --threads")
    }
    let (loadPath, savePath) = (arguments.text("load-state"), arguments.text("save-state"))
    for (option, path) in [("--load-state", loadPath), ("--save-state", savePath)] where path != nil && !isStateful {
      throw CommandFailure.usage("\(option) is for a state that is kept: add --stateful")
    }
    let model = try loadModel(arguments.positionals[0])
    if loadPath ?? savePath != nil && model.stateByteCount == 0 {
      throw CommandFailure.malformed(
        "\(arguments.positionals[0]): the model has no recurrent state to load or save; leave out --load-state and"
          + " --save-state")
    }
    let state = try loadPath.map { try loadState($0, of: model) }
    let outputNames = callerNames(model.outputs.map(\.name), kind: "output")
    let outputPaths = try assignFiles(arguments.texts("output"), to: outputNames, option: "--output", kind: "output")
    for case let path? in outputPaths + [savePath] { try checkWritable(path) }
    let samples = try SampleArrays(
      arguments.texts("input"), option: "--input",
      names: callerNames(model.inputs.map(\.name), kind: "input"), layouts: model.inputs.map { SampleLayout($0) },
      types: model.inputs.map { isRaw ? $0.type.arrayType : .float32 }, isRaw: isRaw)

    let trace = arguments.text("trace").map { TraceRecorder(model: model, folder: $0, isRaw: isRaw) }
    let (outputs, finalState) = try runSamples(
      model, samples, isRaw: isRaw, isStateful: isStateful, state: state, threads: threads, trace: trace,
      progress: ProgressLine("Running", on: console))

    var files: [(path: String, bytes: [UInt8])] = []
    for (output, path) in zip(outputs, outputPaths) {
      if let path { files.append((path, output.encoded())) }
    }
    let hasOutputFiles = !files.isEmpty
    if let savePath { files.append((savePath, finalState)) }
    if let trace {
      try trace.write(with: files)
    } else {
      try writeFilesAtomically(files)
    }
    if arguments.has("json") {
      printJSON(names: outputNames, outputs, outputPaths, sampleCount: samples.sampleCount, console)
    } else if !hasOutputFiles && trace == nil {
      printText(names: outputNames, outputs, console)
    }
  }

  /// The bytes of a saved state, as many as the model's.
  private static func loadState(_ path: String, of model: VerifiedModel) throws -> [UInt8] {
    let state = try readFile(path)
    guard state.count == model.stateByteCount else {
      throw CommandFailure.malformed(
        "\(path): \(state.count) bytes, expected the \(model.stateByteCount) of the model's recurrent state; give a file"
          + " that --save-state wrote for this model")
    }
    return state
  }

  private static func printText(names: [String], _ outputs: [NPYArray], _ console: Console) {
    for (name, output) in zip(names, outputs) {
      console.print("\(name) \(output.elementType.rawValue) \(npyShapeText(output.shape))")
      let width = output.shape.isEmpty ? 1 : output.count / max(1, output.shape[0])
      for start in stride(from: 0, to: output.count, by: max(1, width)) {
        console.print(valueTexts(output, start..<start + width).joined(separator: " "))
      }
    }
  }

  private static func valueTexts(_ array: NPYArray, _ range: Range<Int>) -> [String] {
    array.integers(in: range)?.map { "\($0)" } ?? array.floats(in: range).map { "\($0)" }
  }

  private static func printJSON(
    names: [String], _ outputs: [NPYArray], _ paths: [String?], sampleCount: Int, _ console: Console
  ) {
    let entries = outputs.indices.map { index -> JSON in
      let output = outputs[index]
      var entries: [(key: String, value: JSON)] = [
        ("name", .string(names[index])), ("type", .string(output.elementType.rawValue)),
        ("shape", .integers(output.shape)),
      ]
      if let path = paths[index] {
        entries.append(("file", .string(path)))
      } else {
        let all = 0..<output.count
        let values =
          output.integers(in: all)?.map { JSON.integer(Int($0)) } ?? output.floats(in: all).map { .float($0) }
        entries.append(("values", .array(values)))
      }
      return .object(entries)
    }
    console.printText(JSON.object([("samples", .integer(sampleCount)), ("outputs", .array(entries))]).text)
  }
}
