import QKernels
import QModel

/// `qcli inspect`: says what a model is made of.
enum InspectCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "inspect",
      overview: "Show what a model is made of.",
      discussion: """
        A source model is shown as quantization sees it: folded, its activations fused into layers, channels last.
        """,
      arguments: [ArgumentDeclaration(name: "model", help: "A .qkm, .onnx or .tflite file.")],
      options: [OptionDeclaration(name: "json", value: .flag, help: "Print a JSON object.")]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let path = arguments.positionals[0]
    let bytes = try readFile(path)
    let asJSON = arguments.has("json")
    switch ModelFileFormat(bytes) {
    case .qkm:
      let model = try loadModel(bytes: bytes, path: path)
      let set = try chosenInstructionSet()
      console.printText(asJSON ? json(model, set).text : text(model, set, path: path))
    case .onnx, .tflite:
      let graph = try Pipeline.optimize(try Pipeline.importModel(path: path))
      let source = SourceDescription(graph, format: ModelFileFormat(bytes), byteCount: bytes.count)
      if asJSON { console.printText(source.json.text) } else { console.printText(source.text(path: path)) }
    }
  }

  // MARK: .qkm

  static func json(_ model: VerifiedModel, _ set: InnerSet) -> JSON {
    func tensors(_ infos: [TensorInfo], kind: String) -> JSON {
      .array(zip(infos, callerNames(infos.map(\.name), kind: kind)).map { info, name in json(info, name: name) })
    }
    return .object([
      ("format", "qkm"), ("format_version", .integer(Int(ModelFormat.version))),
      ("file_bytes", .integer(model.fileByteCount)), ("arena_bytes", .integer(model.arenaByteCount)),
      ("state_bytes", .integer(model.stateByteCount)),
      ("workspace_bytes", .integer(model.workspaceByteCount(set))), ("macs", .integer(model.macs)),
      ("isa", .string("\(set.name)")), ("inputs", tensors(model.inputs, kind: "input")),
      ("outputs", tensors(model.outputs, kind: "output")),
      (
        "ops",
        .array(
          model.steps.map { step in
            .object([
              ("name", .string(step.name ?? "")), ("code", .string("\(step.code)")),
              ("inputs", .array(step.inputs.map { shape(model, $0) })),
              ("outputs", .array(step.outputs.map { shape(model, $0) })), ("macs", .integer(step.macs)),
            ])
          })
      ),
      ("provenance", .string(model.provenance)),
    ])
  }

  private static func shape(_ model: VerifiedModel, _ tensor: Int) -> JSON { .integers(model.tensors[tensor].shape) }

  static func json(_ info: TensorInfo, name: String) -> JSON {
    .object([
      ("name", .string(name)), ("shape", .integers(info.sourceShape)), ("type", .string("\(info.type)")),
      ("scale", .float(info.scale)), ("zero_point", .integer(info.zeroPoint)),
    ])
  }

  static func text(_ model: VerifiedModel, _ set: InnerSet, path: String) -> String {
    var text = "\(path): .qkm of format version \(ModelFormat.version)\n\n"
    var facts = TextTable([("", .left), ("", .right), ("", .left)])
    facts.add(["file", grouped(model.fileByteCount), "bytes"])
    facts.add(["arena", grouped(model.arenaByteCount), "bytes"])
    facts.add(["state", grouped(model.stateByteCount), "bytes"])
    let workspace = model.workspaceByteCount(set)
    if workspace > 0 { facts.add(["workspace", grouped(workspace), "bytes, optional, for speed"]) }
    facts.add(["work", grouped(model.macs), "multiply-accumulates"])
    text += facts.body(indent: 2)
    text += "  runs on instruction set \(set.name)\n"
    for line in model.provenance.split(separator: "\n") { text += "  \(line)\n" }

    var tensors = TextTable([
      ("", .left), ("name", .left), ("shape", .left), ("type", .left), ("scale", .right), ("zero point", .right),
    ])
    for (kind, infos) in [("input", model.inputs), ("output", model.outputs)] {
      for (info, name) in zip(infos, callerNames(infos.map(\.name), kind: kind)) {
        tensors.add([kind, name, shapeText(info.sourceShape), "\(info.type)", "\(info.scale)", "\(info.zeroPoint)"])
      }
    }
    text += "\n" + tensors.text(indent: 2)

    var steps = TextTable([("#", .right), ("op", .left), ("output", .left), ("MACs", .right), ("name", .left)])
    for (index, step) in model.steps.enumerated() {
      let shapes = step.outputs.map { shapeText(model.tensors[$0].shape) }.joined(separator: " ")
      steps.add(["\(index)", "\(step.code)", shapes, grouped(step.macs), step.name ?? ""])
    }
    return text + "\n" + steps.text(indent: 2)
  }

  static func shapeText(_ shape: [Int]) -> String {
    shape.isEmpty ? "scalar" : shape.map { "\($0)" }.joined(separator: "x")
  }
}
