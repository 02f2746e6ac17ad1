import QModel

/// `qcli export`: turns a `.qkm` into source that a program can be built with.
enum ExportCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "export",
      overview: "Write a .qkm model as C source.",
      arguments: [ArgumentDeclaration(name: "model", help: "The model, a .qkm file.")],
      options: [
        OptionDeclaration(
          name: "c", value: .text(placeholder: "folder"), isRequired: true,
          help: "The folder for NAME.h and NAME.c; it is made if its parent exists."),
        OptionDeclaration(
          name: "name", value: .text(placeholder: "name"), defaultText: "model",
          help: "What files, symbols and, in upper case, macros are called."),
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let path = arguments.positionals[0]
    let folder = arguments.text("c") ?? "."
    let name = arguments.text("name") ?? "model"
    guard CExport.isIdentifier(name) else {
      throw CommandFailure.usage(
        "The value '\(name)' is invalid for '--name <name>': expected a C identifier that starts with a letter")
    }
    let bytes = try readFile(path)
    let export = CExport(bytes: bytes, model: try loadModel(bytes: bytes, path: path), name: name)
    try writeFiles(export.files, toFolder: folder)
  }
}
