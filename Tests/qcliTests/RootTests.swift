import Testing

@testable import QModel
@testable import qcli

private let echo = Command(
  declaration: CommandDeclaration(
    name: "echo", overview: "Print the argument.", arguments: [ArgumentDeclaration(name: "word", help: "The word.")]),
  run: { arguments, console in
    console.print("partial")
    switch arguments.positionals[0] {
    case "missing": throw FileError.missing(path: "m", detail: "no such file")
    case "locked": throw FileError.unreadable(path: "m", detail: "Permission denied")
    case "full": throw FileError.unwritable(path: "m", detail: "No space left on device")
    case "array": throw NPYError(path: "a.npy", problem: .fortranOrder)
    case "usage": throw CommandFailure.usage("Wrong.")
    case let word: console.print(word)
    }
  })

@Suite struct RootTests {
  @Test func aResultGoesToStandardOutput() {
    let outcome = qcli("echo", "hello", commands: [echo])
    #expect(outcome.code == 0)
    #expect(outcome.output == "partial\nhello\n")
    #expect(outcome.error == "")
  }

  @Test(arguments: [
    ("missing", 66, "Error: m: no such file; check the path\n"),
    ("locked", 1, "Error: m: cannot be read: Permission denied; check its permissions\n"),
    (
      "full", 1,
      "Error: m: cannot be written: No space left on device; choose a path in an existing folder with write permission"
        + " and free space\n"
    ),
    (
      "array", 65,
      "Error: a.npy: column-major order (fortran_order is True), expected C order; save numpy.ascontiguousarray(x)\n"
    ),
    ("usage", 64, "Error: Wrong.\nUsage: qcli echo <word>\n  See 'qcli echo --help' for more information.\n"),
  ])
  func aFailurePrintsNoResult(word: String, code: Int32, text: String) {
    let outcome = qcli("echo", word, commands: [echo])
    #expect(outcome.code == code)
    #expect(outcome.output == "")
    #expect(outcome.error == text)
  }

  @Test func usageErrors() {
    let hint = "Usage: qcli <subcommand>\n  See 'qcli --help' for more information.\n"
    for (words, message) in [
      ([], "Missing expected subcommand"),
      (["ehco", "x"], "Unknown subcommand 'ehco'. Did you mean 'echo'?"),
      (["nothing-like-it"], "Unknown subcommand 'nothing-like-it'"),
      (["help", "ecco"], "Unknown subcommand 'ecco'. Did you mean 'echo'?"),
      (["--nope"], "Unknown option '--nope'"),
    ] {
      let outcome = qcli(words, commands: [echo])
      #expect(outcome.code == 64)
      #expect(outcome.output == "")
      #expect(outcome.error == "Error: \(message)\n" + hint)
    }
    let outcome = qcli("echo", commands: [echo])
    #expect(outcome.code == 64)
    #expect(
      outcome.error == "Error: Missing expected argument '<word>'\nUsage: qcli echo <word>\n"
        + "  See 'qcli echo --help' for more information.\n")
  }

  @Test func helpAndVersionAreResults() {
    for words in [["--help"], ["-h"], ["help"]] {
      let outcome = qcli(words, commands: [echo])
      #expect(outcome.code == 0)
      #expect(outcome.error == "")
      #expect(
        outcome.output.hasPrefix("OVERVIEW: Quantize neural networks to int8 and run them with integer kernels.\n"))
      #expect(outcome.output.contains("\n  echo                    Print the argument.\n"))
    }
    for words in [["help", "echo"], ["echo", "--help"], ["echo", "x", "y", "-h"]] {
      let outcome = qcli(words, commands: [echo])
      #expect(outcome.code == 0)
      #expect(outcome.output == HelpText.help(for: echo.declaration))
    }
    for words in [["--version"], ["echo", "--version"]] {
      #expect(qcli(words, commands: [echo]).output == QModelInfo.version + "\n")
    }
  }

  @Test func aResultThatCannotBeWrittenIsAFailure() {
    let captured = CapturedConsole(acceptsOutput: false)
    #expect(runQCLI(arguments: ["echo", "x"], console: captured.console, commands: [echo]) == 1)
    #expect(captured.error == "Error: standard output: cannot be written\n")
  }
}
