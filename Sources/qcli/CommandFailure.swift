import QModel

/// Why a command ended without a result.
struct CommandFailure: Error, Equatable {
  /// The program's exit codes, those of sysexits.h where it has one.
  enum Code: Int32 {
    /// Anything that is neither the command line's nor the input's fault.
    case other = 1
    /// The command line is wrong.
    case usage = 64
    /// A model or an array is malformed or not supported.
    case malformedInput = 65
    /// An input file is missing.
    case missingInput = 66
  }

  var code: Code
  /// What follows `Error: `; several lines are allowed.
  var message: String

  static func usage(_ message: String) -> CommandFailure { CommandFailure(code: .usage, message: message) }
  static func malformed(_ message: String) -> CommandFailure {
    CommandFailure(code: .malformedInput, message: message)
  }

  /// The failure that an error of another layer amounts to.
  init(_ error: any Error) {
    switch error {
    case let failure as CommandFailure: self = failure
    case let error as UsageError: self.init(code: .usage, message: error.message)
    case let error as FileError:
      switch error {
      case .missing: self.init(code: .missingInput, message: error.description)
      case .unreadable, .unwritable: self.init(code: .other, message: error.description)
      }
    case let error as ModelError:
      switch error.kind {
      case .malformed, .unsupported, .mismatch: self.init(code: .malformedInput, message: error.description)
      case .missingFile: self.init(code: .missingInput, message: error.description)
      case .other: self.init(code: .other, message: error.description)
      }
    case let error as NPYError: self.init(code: .malformedInput, message: error.description)
    default: self.init(code: .other, message: "\(error)")
    }
  }

  init(code: Code, message: String) {
    self.code = code
    self.message = message
  }
}
