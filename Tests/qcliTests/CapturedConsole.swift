@testable import qcli

/// A console that keeps what was written.
final class CapturedConsole {
  private final class Sinks {
    var output = ""
    var error = ""
  }
  private let sinks = Sinks()
  let console: Console

  init(showsProgress: Bool = false, acceptsOutput: Bool = true) {
    let sinks = self.sinks
    console = Console(
      output: {
        sinks.output += $0
        return acceptsOutput
      },
      error: { sinks.error += $0 },
      showsProgress: showsProgress)
  }

  var output: String { sinks.output }
  var error: String { sinks.error }
}

/// What one call of the program gave.
struct Outcome {
  var code: Int32
  var output: String
  var error: String
}

/// Runs the program inside the test's process.
func qcli(_ arguments: String..., commands: [Command] = allCommands) -> Outcome {
  qcli(arguments, commands: commands)
}

/// Runs the program inside the test's process.
func qcli(_ arguments: [String], commands: [Command] = allCommands) -> Outcome {
  let captured = CapturedConsole()
  let code = runQCLI(arguments: arguments, console: captured.console, commands: commands)
  return Outcome(code: code, output: captured.output, error: captured.error)
}
