import QModel

/// `qcli verify`: measures a `.qkm` against the float model it was made from.
enum VerifyCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "verify",
      overview: "Show what each layer of a .qkm loses against the float model.",
      discussion: """
        A layer's own error is what remains when it is given the very values that the .qkm gave it, so the layer at \
        fault is on top, not those behind it. Errors are signal-to-quantization-noise ratios: 10 log10 of the sum of \
        squares of the float values over that of the differences. Saturated values lie beyond the range of their type.
        """,
      arguments: [
        ArgumentDeclaration(name: "float-model", help: "The trained model, .onnx or .tflite."),
        ArgumentDeclaration(name: "model", help: "The .qkm file made from it."),
      ],
      options: [
        OptionDeclaration(
          name: "input", value: .text(placeholder: "[name=]x.npy"), isRepeated: true, isRequired: true,
          help: "Samples of an input, float32. One file per input, in the model's order or with its name."),
        OptionDeclaration(
          name: "labels", value: .text(placeholder: "y.npy"),
          help:
            "The class of each sample, integers: shows the accuracy of both models by the largest value of the first "
            + "output."),
        OptionDeclaration(
          name: "threads", value: .integer(placeholder: "n", range: 1...1024), defaultText: "all processors",
          help: "How many samples to run at once; the result does not depend on it."),
        OptionDeclaration(name: "json", value: .flag, help: "Print a JSON object."),
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let floatPath = arguments.positionals[0]
    let path = arguments.positionals[1]
    let graph = try Pipeline.optimize(try Pipeline.importModel(path: floatPath))
    guard graph.origin == .float else {
      throw CommandFailure.malformed("\(floatPath): a quantized model, expected the float model as the reference")
    }
    let model = try loadModel(path)
    let tensors = graph.inputs.map { graph.tensors[$0] }
    let layouts = tensors.map { SampleLayout($0) }
    let results = graph.outputs.map { SampleLayout(graph.tensors[$0]) }
    guard layouts.map(\.fullShape) == model.inputs.map(\.sourceShape),
      results.map(\.fullShape) == model.outputs.map(\.sourceShape)
    else {
      throw CommandFailure.malformed(
        "\(path): its inputs and outputs are not those of \(floatPath); verify a .qkm against the model it was made from"
      )
    }
    let samples = try SampleArrays(
      arguments.texts("input"), option: "--input", names: callerNames(tensors.map(\.name), kind: "input"),
      layouts: layouts, types: tensors.map { _ in .float32 }, isRaw: false)
    guard samples.sampleCount > 0 else {
      throw CommandFailure.malformed("\(samples.arrays[0].path): no samples, expected at least 1; add some")
    }
    let labels = try arguments.text("labels").map { try readLabels($0, count: samples.sampleCount) }
    let report = try compareLayers(
      graph, model, samples, labels: labels, threads: arguments.integer("threads") ?? onlineProcessorCount(),
      progress: ProgressLine("Verifying", on: console))
    if arguments.has("json") {
      console.printText(report.json.text)
    } else {
      console.printText(report.text(path: path, floatPath: floatPath))
    }
  }

  /// The classes of `count` samples.
  private static func readLabels(_ path: String, count: Int) throws -> [Int] {
    let array = try NPYArray(parsing: try readFile(path), path: path)
    guard let values = array.integers(in: 0..<array.count) else {
      throw CommandFailure.malformed(
        "\(path): element type \(array.elementType.rawValue), expected integers; save y.astype(numpy.int32)")
    }
    guard array.shape == [count] || array.shape == [count, 1] else {
      throw CommandFailure.malformed(
        "\(path): shape \(npyShapeText(array.shape)), expected (\(count),): one class for each sample")
    }
    return values.map { Int($0) }
  }
}
