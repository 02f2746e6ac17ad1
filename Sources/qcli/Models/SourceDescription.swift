import QModel

/// What `inspect` says about a source model.
struct SourceDescription {
  private let graph: Graph
  private let format: ModelFileFormat
  private let byteCount: Int

  init(_ graph: Graph, format: ModelFileFormat, byteCount: Int) {
    self.graph = graph
    self.format = format
    self.byteCount = byteCount
  }

  private var origin: String {
    switch graph.origin {
    case .float: "float"
    case .quantizedTFLite: "int8"
    }
  }

  /// Elements of all constants that a node uses.
  private var parameterCount: Int {
    Set(graph.nodes.flatMap { $0.inputs.compactMap { $0 } }).reduce(0) {
      $0 + (graph.tensors[$1].isConstant ? graph.tensors[$1].elementCount : 0)
    }
  }

  /// The op's name without its attributes.
  static func name(of op: OpKind) -> String {
    if case .unary(let function) = op { return word("\(function)") }
    if case .binary(let operation) = op { return operation.kind.rawValue }
    return word("\(op)")
  }

  private static func word(_ text: String) -> String { String(text.prefix { $0 != "(" }) }

  private func sourceShape(_ tensor: TensorID) -> [Int] { SampleLayout(graph.tensors[tensor]).fullShape }

  var json: JSON {
    func tensors(_ ids: [TensorID], kind: String) -> JSON {
      .array(
        zip(ids, callerNames(ids.map { graph.tensors[$0].name }, kind: kind)).map { id, name in
          let tensor = graph.tensors[id]
          var entries: [(key: String, value: JSON)] = [
            ("name", .string(name)), ("shape", .integers(sourceShape(id))), ("type", .string(tensor.type.rawValue)),
          ]
          if let quantization = tensor.quantization {
            entries.append(("scale", .float(quantization.scale)))
            entries.append(("zero_point", .integer(quantization.zeroPoint)))
          }
          return .object(entries)
        })
    }
    return .object([
      ("format", .string(format.rawValue)), ("name", .string(graph.name)), ("kind", .string(origin)),
      ("file_bytes", .integer(byteCount)), ("parameters", .integer(parameterCount)),
      ("inputs", tensors(graph.inputs, kind: "input")), ("outputs", tensors(graph.outputs, kind: "output")),
      (
        "ops",
        .array(
          graph.nodes.map { node in
            .object([
              ("name", .string(node.name)), ("code", .string(Self.name(of: node.op))),
              ("outputs", .array(node.outputs.map { .integers(graph.tensors[$0].shape) })),
            ])
          })
      ),
    ])
  }

  func text(path: String) -> String {
    var text = "\(path): \(origin) .\(format.rawValue) model\n\n"
    var facts = TextTable([("", .left), ("", .right), ("", .left)])
    facts.add(["file", grouped(byteCount), "bytes"])
    facts.add(["parameters", grouped(parameterCount), ""])
    text += facts.body(indent: 2)

    var tensors = TextTable([("", .left), ("name", .left), ("shape", .left), ("type", .left)])
    for (kind, ids) in [("input", graph.inputs), ("output", graph.outputs)] {
      for (id, name) in zip(ids, callerNames(ids.map { graph.tensors[$0].name }, kind: kind)) {
        tensors.add([kind, name, InspectCommand.shapeText(sourceShape(id)), graph.tensors[id].type.rawValue])
      }
    }
    text += "\n" + tensors.text(indent: 2)

    var nodes = TextTable([("#", .right), ("op", .left), ("output", .left), ("name", .left)])
    for (index, node) in graph.nodes.enumerated() {
      let shapes = node.outputs.map { InspectCommand.shapeText(graph.tensors[$0].shape) }.joined(separator: " ")
      nodes.add(["\(index)", Self.name(of: node.op), shapes, node.name])
    }
    return text + "\n" + nodes.text(indent: 2)
  }
}
