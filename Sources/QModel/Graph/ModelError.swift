/// What went wrong with a model or an array, in words for the person at the command line.
///
/// It names the file (added where the file is known), the node or tensor, what was expected, and what to do next.
public struct ModelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The classes of failure; the command line maps them to exit codes.
  public enum Kind: Sendable, Equatable {
    /// Malformed bytes: exit 65.
    case malformed
    /// Well-formed, but not supported: exit 65.
    case unsupported
    /// The arguments or arrays do not fit the model: exit 65.
    case mismatch
    /// A file does not exist: exit 66.
    case missingFile
    /// Anything else, such as a disk that is full: exit 1.
    case other
  }

  /// The class of failure.
  public var kind: Kind
  /// The file, if known.
  public var file: String?
  /// One line per problem; several for a list of unsupported nodes.
  public var problems: [String]
  /// What to do about it, if there is something.
  public var hint: String?

  /// An error with one problem.
  public init(_ kind: Kind, _ problem: String, file: String? = nil, hint: String? = nil) {
    self.init(kind, problems: [problem], file: file, hint: hint)
  }

  /// An error with several problems.
  public init(_ kind: Kind, problems: [String], file: String? = nil, hint: String? = nil) {
    self.kind = kind
    self.problems = problems
    self.file = file
    self.hint = hint
  }

  /// The same error with the file named.
  public func naming(file: String) -> ModelError {
    var copy = self
    if copy.file == nil { copy.file = file }
    return copy
  }

  /// The message, one line per problem, without a final line end.
  public var description: String {
    let prefix = file.map { "\($0): " } ?? ""
    var lines = problems.count == 1 ? ["\(prefix)\(problems[0])"] : ["\(prefix)\(problems.count) problems:"]
    if problems.count > 1 { lines += problems.map { "  - \($0)" } }
    if let hint { lines.append("hint: \(hint)") }
    return lines.joined(separator: "\n")
  }
}
