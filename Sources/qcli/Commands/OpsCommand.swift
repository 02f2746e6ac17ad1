import QModel

/// `qcli ops`: the operators that source models may use.
enum OpsCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "ops",
      overview: "List the operators that source models may use.",
      discussion: """
        Float models are quantized to int8 with any of these; ONNX operators for constants are computed when the model \
        is read and need constant inputs. The types of a TFLite operator are those that an already quantized model may \
        have; its results then equal TensorFlow Lite Micro's.
        """,
      options: [
        OptionDeclaration(name: "markdown", value: .flag, help: "Print Markdown tables, as in the README.")
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    console.printText(arguments.has("markdown") ? markdown : text)
  }

  private static func types(_ op: TFLiteImporter.SupportedOperator) -> String {
    op.integerTypes.isEmpty ? "float only" : op.integerTypes.map(\.rawValue).joined(separator: ", ")
  }

  private static func use(_ op: ONNXImporter.SupportedOperator) -> String { op.isFolded ? "constants" : "all tensors" }

  static var text: String {
    var onnx = TextTable([("ONNX", .left), ("since opset", .right), ("of", .left)])
    for op in ONNXImporter.supportedOperators { onnx.add([op.name, "\(op.since)", use(op)]) }
    var tflite = TextTable([("TFLite", .left), ("quantized types", .left)])
    for op in TFLiteImporter.supportedOperators { tflite.add([op.name, types(op)]) }
    return onnx.text() + "\n" + tflite.text()
  }

  static var markdown: String {
    var text = "| ONNX operator | since opset | of |\n|-|-|-|\n"
    for op in ONNXImporter.supportedOperators { text += "| \(op.name) | \(op.since) | \(use(op)) |\n" }
    text += "\n| TFLite operator | quantized types |\n|-|-|\n"
    for op in TFLiteImporter.supportedOperators { text += "| \(op.name) | \(types(op)) |\n" }
    return text
  }
}
