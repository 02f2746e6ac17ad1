/// One positional argument; all of them are required.
struct ArgumentDeclaration {
  /// Its name in help and errors, without angle brackets.
  var name: String
  /// One sentence.
  var help: String
}

/// One option; parsing, help and errors all come from this.
struct OptionDeclaration {
  /// What an option takes.
  enum Value {
    /// Nothing: it is present or not.
    case flag
    /// Any text; the placeholder is its name in help and errors.
    case text(placeholder: String)
    /// An integer of a range.
    case integer(placeholder: String, range: ClosedRange<Int>)
    /// One of some words.
    case choice(placeholder: String, words: [String])

    /// The placeholder, nil for a flag.
    var placeholder: String? {
      switch self {
      case .flag: nil
      case .text(let placeholder), .integer(let placeholder, _), .choice(let placeholder, _): placeholder
      }
    }
  }

  /// The long name, without dashes.
  var name: String
  /// The short name, without its dash.
  var short: Character? = nil
  var value: Value
  /// Whether it may be given several times, or be followed by several values.
  var isRepeated = false
  /// Whether a command line without it is an error.
  var isRequired = false
  /// What holds when it is not given, as help shows it.
  var defaultText: String? = nil
  /// One or two sentences.
  var help: String

  /// `--name` or `--name <placeholder>`.
  var usage: String { value.placeholder.map { "--\(name) <\($0)>" } ?? "--\(name)" }
}

/// A subcommand's face: everything that its help shows and its parser accepts.
struct CommandDeclaration {
  var name: String
  /// One sentence, for the list of subcommands and the first line of the help.
  var overview: String
  /// More about it, for its own help; empty when there is nothing to add.
  var discussion = ""
  var arguments: [ArgumentDeclaration] = []
  var options: [OptionDeclaration] = []

  /// The options that every command has.
  static let commonOptions = [
    OptionDeclaration(name: "version", value: .flag, help: "Show the version."),
    OptionDeclaration(name: "help", short: "h", value: .flag, help: "Show help information."),
  ]
}

/// What a command line said, checked against a declaration.
struct ParsedArguments {
  /// The positional arguments, as many as declared.
  fileprivate(set) var positionals: [String] = []
  fileprivate(set) var values: [String: [String]] = [:]

  init(positionals: [String] = [], values: [String: [String]] = [:]) {
    self.positionals = positionals
    self.values = values
  }

  /// Whether a flag, or an option with a value, was given.
  func has(_ name: String) -> Bool { values[name] != nil }
  /// The last value of an option, or nil.
  func text(_ name: String) -> String? { values[name]?.last }
  /// All values of a repeated option, in order.
  func texts(_ name: String) -> [String] { values[name] ?? [] }
  /// The value of an integer option, or nil; the parser has checked its range.
  func integer(_ name: String) -> Int? { text(name).flatMap { Int($0) } }
}
