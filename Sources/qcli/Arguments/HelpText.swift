/// The name of the program, as help and errors print it.
let programName = "qcli"

/// Help and usage in the layout that swift-argument-parser has made familiar, 80 columns wide.
enum HelpText {
  static let width = 80
  /// Where descriptions start.
  static let labelWidth = 26

  /// The help of one subcommand.
  static func help(for command: CommandDeclaration) -> String {
    var text = section("OVERVIEW: ", command.overview)
    if !command.discussion.isEmpty {
      for paragraph in command.discussion.split(separator: "\n", omittingEmptySubsequences: false) {
        text += wrap(String(paragraph), indent: 0) + "\n"
      }
      text += "\n"
    }
    text += "USAGE: " + usage(of: command, indent: 7) + "\n\n"
    if !command.arguments.isEmpty {
      text += "ARGUMENTS:\n" + command.arguments.map { row("<\($0.name)>", $0.help) }.joined() + "\n"
    }
    let options = command.options + CommandDeclaration.commonOptions
    text += "OPTIONS:\n" + options.map { row(label(of: $0), description(of: $0)) }.joined()
    return text
  }

  /// The help of the program.
  static func help(overview: String, commands: [CommandDeclaration]) -> String {
    section("OVERVIEW: ", overview) + "USAGE: \(programName) <subcommand>\n\nOPTIONS:\n"
      + CommandDeclaration.commonOptions.map { row(label(of: $0), description(of: $0)) }.joined()
      + "\nSUBCOMMANDS:\n" + commands.map { row($0.name, $0.overview) }.joined()
      + "\n  See '\(programName) help <subcommand>' for detailed help.\n"
  }

  /// What follows `Error: ...` when a command line was refused.
  static func usageHint(for command: CommandDeclaration) -> String {
    "Usage: " + usage(of: command, indent: 7) + "\n"
      + "  See '\(programName) \(command.name) --help' for more information.\n"
  }

  /// The usage line, wrapped with its continuation lines indented under the first argument where that leaves room.
  static func usage(of command: CommandDeclaration, indent: Int) -> String {
    let head = "\(programName) \(command.name)"
    var parts = command.arguments.map { "<\($0.name)>" }
    for option in command.options {
      let part = option.usage + (option.isRepeated ? " ..." : "")
      parts.append(option.isRequired ? part : "[\(part)]")
    }
    return fill(parts, after: head, firstIndent: indent, indent: indent + 2)
  }

  private static func label(of option: OptionDeclaration) -> String {
    (option.short.map { "-\($0), " } ?? "") + option.usage
  }

  private static func description(of option: OptionDeclaration) -> String {
    var notes: [String] = []
    if case .choice(_, let words) = option.value { notes.append("values: " + words.joined(separator: ", ")) }
    if let defaultText = option.defaultText { notes.append("default: \(defaultText)") }
    return option.help + (notes.isEmpty ? "" : " (" + notes.joined(separator: "; ") + ")")
  }

  private static func section(_ label: String, _ text: String) -> String {
    fill(words(text), after: label.trimmingLastSpace, firstIndent: 0, indent: 0) + "\n\n"
  }

  /// A label and its description in two columns; a long label has a line of its own.
  private static func row(_ label: String, _ text: String) -> String {
    let body = wrap(text, indent: labelWidth)
    guard label.count + 2 < labelWidth else { return "  \(label)\n\(body)\n" }
    return "  " + label + body.dropFirst(label.count + 2) + "\n"
  }

  private static func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }

  /// `text` in lines of at most `width` columns, each indented.
  static func wrap(_ text: String, indent: Int) -> String {
    let words = words(text)
    guard let first = words.first else { return "" }
    let margin = String(repeating: " ", count: indent)
    return margin + fill(Array(words.dropFirst()), after: first, firstIndent: indent, indent: indent)
  }

  /// `parts` after `head`, which starts in column `firstIndent`, broken before the column `width`.
  private static func fill(_ parts: [String], after head: String, firstIndent: Int, indent: Int) -> String {
    var text = head
    var column = firstIndent + head.count
    for part in parts {
      if column + 1 + part.count > width {
        text += "\n" + String(repeating: " ", count: indent) + part
        column = indent + part.count
      } else {
        text += " " + part
        column += 1 + part.count
      }
    }
    return text
  }
}

extension String {
  fileprivate var trimmingLastSpace: String { hasSuffix(" ") ? String(dropLast()) : self }
}
