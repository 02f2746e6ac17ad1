/// Why a command line was refused; the text that follows `Error: `.
struct UsageError: Error, Equatable {
  var message: String
}

/// What a command line asks for.
enum Parsed {
  case run(ParsedArguments)
  case help
  case version
}

/// Matches a command line with a declaration.
///
/// - `--name value`, `--name=value`, `-x value`, `-x=value`; `--` ends the options.
/// - A repeated option takes all values up to the next option. If positional arguments are missing at the end, they are
///   the last of those values, so `--input a.npy b.npy model.qkm` means what it says.
/// - Help and version win over anything else on the line.
struct ArgumentParser {
  let declaration: CommandDeclaration

  private var options: [OptionDeclaration] { declaration.options + CommandDeclaration.commonOptions }

  func parse(_ arguments: [String]) throws(UsageError) -> Parsed {
    let options = self.options
    // A word after `--` is never an option.
    let lead = arguments.prefix { $0 != "--" }
    if lead.contains("--help") || lead.contains("-h") { return .help }
    if lead.contains("--version") { return .version }

    var positionals: [String] = []
    var given: [Given] = []
    var repeated: String?
    var index = 0
    while index < arguments.count {
      let word = arguments[index]
      index += 1
      if word == "--" {
        positionals += arguments[index...]
        break
      }
      guard word.hasPrefix("-") && word != "-" else {
        if let repeated {
          given.append(Given(name: repeated, value: word, isBorrowed: true))
        } else {
          positionals.append(word)
        }
        continue
      }

      let (spelling, attached) = Self.split(word)
      guard let option = options.first(where: { Self.spells(spelling, $0) }) else {
        throw UsageError(message: "Unknown option '\(spelling)'" + suggestion(for: spelling, among: options))
      }
      repeated = nil
      guard option.value.placeholder != nil else {
        guard attached == nil else {
          throw UsageError(message: "The option '\(spelling)' takes no value")
        }
        given.append(Given(name: option.name))
        continue
      }
      let value: String
      if let attached {
        value = attached
      } else {
        guard index < arguments.count, !Self.looksLikeOption(arguments[index]) else {
          throw UsageError(message: "Missing value for '\(option.usage)'")
        }
        value = arguments[index]
        index += 1
      }
      try check(value, of: option)
      if option.isRepeated {
        if attached == nil { repeated = option.name }
      } else if given.contains(where: { $0.name == option.name }) {
        throw UsageError(message: "The option '--\(option.name)' is given more than once")
      }
      given.append(Given(name: option.name, value: value))
    }

    try settle(&positionals, &given)
    var values: [String: [String]] = [:]
    for entry in given { values[entry.name, default: []] += entry.value.map { [$0] } ?? [] }
    return .run(ParsedArguments(positionals: positionals, values: values))
  }

  /// One option as it stands on the command line.
  private struct Given {
    var name: String
    var value: String? = nil
    /// Whether it is a further value of a repeated option, which may turn out to be a positional argument.
    var isBorrowed = false
  }

  /// Gives missing positional arguments back from the end of a repeated option, then checks that all is there.
  private func settle(_ positionals: inout [String], _ given: inout [Given]) throws(UsageError) {
    var taken: [String] = []
    while positionals.count + taken.count < declaration.arguments.count,
      let last = given.lastIndex(where: { $0.isBorrowed })
    {
      if let value = given.remove(at: last).value { taken.insert(value, at: 0) }
    }
    // Words before the option came first, so what is given back follows them.
    positionals += taken
    if positionals.count < declaration.arguments.count {
      throw UsageError(message: "Missing expected argument '<\(declaration.arguments[positionals.count].name)>'")
    }
    if positionals.count > declaration.arguments.count {
      throw UsageError(message: "Unexpected argument '\(positionals[declaration.arguments.count])'")
    }
    let names = Set(given.map(\.name))
    if let missing = declaration.options.first(where: { $0.isRequired && !names.contains($0.name) }) {
      throw UsageError(message: "Missing expected option '\(missing.usage)'")
    }
  }

  private func check(_ value: String, of option: OptionDeclaration) throws(UsageError) {
    switch option.value {
    case .flag, .text:
      break
    case .integer(_, let range):
      guard let number = Int(value), range.contains(number) else {
        throw UsageError(
          message: "The value '\(value)' is invalid for '\(option.usage)': expected an integer from "
            + "\(range.lowerBound) to \(range.upperBound)")
      }
    case .choice(_, let words):
      guard words.contains(value) else {
        throw UsageError(
          message: "The value '\(value)' is invalid for '\(option.usage)': expected one of "
            + words.joined(separator: ", ") + didYouMean(value, among: words))
      }
    }
  }

  private func suggestion(for spelling: String, among options: [OptionDeclaration]) -> String {
    didYouMean(spelling, among: options.map { "--\($0.name)" })
  }

  private static func split(_ word: String) -> (spelling: String, value: String?) {
    guard let equals = word.firstIndex(of: "=") else { return (word, nil) }
    return (String(word[..<equals]), String(word[word.index(after: equals)...]))
  }

  private static func spells(_ spelling: String, _ option: OptionDeclaration) -> Bool {
    spelling == "--\(option.name)" || option.short.map { spelling == "-\($0)" } ?? false
  }

  /// A negative number is a value, which the range then judges.
  private static func looksLikeOption(_ word: String) -> Bool {
    word.hasPrefix("-") && word != "-" && Int(word) == nil
  }
}

/// ". Did you mean 'x'?" for the nearest candidate, or nothing when none is near.
func didYouMean(_ word: String, among candidates: [String]) -> String {
  let near = candidates.map { (editDistance(word, $0), $0) }.min { $0.0 < $1.0 }
  guard let near, near.0 <= max(1, word.count / 3) else { return "" }
  return ". Did you mean '\(near.1)'?"
}

/// The number of insertions, deletions, replacements and swaps of neighbours that turn one word into the other
/// (optimal string alignment). O(a * b) time, O(b) memory.
func editDistance(_ a: String, _ b: String) -> Int {
  let (a, b) = (Array(a.unicodeScalars), Array(b.unicodeScalars))
  var (beforeLast, last) = ([Int](), Array(0...b.count))
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] { cost = min(cost, beforeLast[j - 1] + 1) }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}
