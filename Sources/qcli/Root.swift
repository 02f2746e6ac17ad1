import QModel

/// A subcommand: its declaration, and what it does with a command line that fits.
struct Command: Sendable {
  var declaration: CommandDeclaration
  var run: @Sendable (ParsedArguments, Console) throws -> Void
}

/// The program apart from the process: parses the command line, runs the subcommand, reports errors.
///
/// - Parameters:
///   - arguments: the command line without the program's name.
///   - console: where results, progress and errors go.
///   - commands: the subcommands, in the order of the help.
/// - Returns: the exit code: 0, or one of `CommandFailure.Code`.
func runQCLI(arguments: [String], console: Console, commands: [Command] = allCommands) -> Int32 {
  let declarations = commands.map(\.declaration)
  let overview = "Quantize neural networks to int8 and run them with integer kernels."
  func rootHelp() -> String { HelpText.help(overview: overview, commands: declarations) }
  func refuse(_ message: String) -> Int32 {
    console.note("Error: \(message)")
    console.note("Usage: \(programName) <subcommand>")
    console.note("  See '\(programName) --help' for more information.")
    return CommandFailure.Code.usage.rawValue
  }
  func finish() -> Int32 {
    if console.flush() { return 0 }
    console.note("Error: standard output: cannot be written")
    return CommandFailure.Code.other.rawValue
  }

  guard let first = arguments.first else { return refuse("Missing expected subcommand") }
  switch first {
  case "-h", "--help":
    console.printText(rootHelp())
    return finish()
  case "--version":
    console.print(QModelInfo.version)
    return finish()
  case "help":
    guard arguments.count > 1 else {
      console.printText(rootHelp())
      return finish()
    }
  default: break
  }
  let name = first == "help" ? arguments[1] : first
  guard let command = commands.first(where: { $0.declaration.name == name }) else {
    if name.hasPrefix("-") { return refuse("Unknown option '\(name)'") }
    return refuse("Unknown subcommand '\(name)'" + didYouMean(name, among: declarations.map(\.name) + ["help"]))
  }
  if first == "help" {
    console.printText(HelpText.help(for: command.declaration))
    return finish()
  }

  do {
    switch try ArgumentParser(declaration: command.declaration).parse(Array(arguments.dropFirst())) {
    case .help: console.printText(HelpText.help(for: command.declaration))
    case .version: console.print(QModelInfo.version)
    case .run(let parsed): try command.run(parsed, console)
    }
  } catch {
    let failure = CommandFailure(error)
    console.note("Error: \(failure.message)")
    if failure.code == .usage { console.note(String(HelpText.usageHint(for: command.declaration).dropLast())) }
    return failure.code.rawValue
  }
  return finish()
}
