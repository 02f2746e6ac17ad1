import QModel

/// Where a command writes: results to one sink, progress and errors to the other.
///
/// Results are kept until the command ends and are written at once, so that a failing command prints none of them.
final class Console {
  private let writeOutput: (String) -> Bool
  private let writeError: (String) -> Void
  /// Whether progress lines make sense: standard error is a terminal.
  let showsProgress: Bool
  private var pending = ""

  /// - Parameters:
  ///   - output: takes results; returns whether they could be written.
  ///   - error: takes progress and errors.
  ///   - showsProgress: whether `error` leads to a terminal.
  init(output: @escaping (String) -> Bool, error: @escaping (String) -> Void, showsProgress: Bool) {
    writeOutput = output
    writeError = error
    self.showsProgress = showsProgress
  }

  /// Standard output and standard error of the process.
  static func standard() -> Console {
    Console(
      output: { writeText($0, toDescriptor: 1) },
      error: { _ = writeText($0, toDescriptor: 2) },
      showsProgress: isTerminal(2))
  }

  /// Adds a line to the result.
  func print(_ line: String = "") { pending += line + "\n" }

  /// Adds text that ends its own lines to the result.
  func printText(_ text: String) { pending += text }

  /// Writes a line about the work, not its result.
  func note(_ line: String) { writeError(line + "\n") }

  /// Writes a piece of a progress line.
  func progress(_ text: String) { if showsProgress { writeError(text) } }

  /// Writes the collected result.
  ///
  /// - Returns: whether all of it was written.
  func flush() -> Bool {
    defer { pending = "" }
    return pending.isEmpty || writeOutput(pending)
  }
}

/// One line on a terminal that says how far long work has come, and vanishes at its end. Nothing when piped.
struct ProgressLine {
  private let console: Console
  private let label: String
  private var lastTime: UInt64 = 0
  private var isVisible = false

  /// At most ten updates a second.
  static let interval: UInt64 = 100_000_000

  init(_ label: String, on console: Console) {
    self.label = label
    self.console = console
  }

  /// Shows that `done` of `total` units are finished.
  mutating func update(_ done: Int, of total: Int) {
    guard console.showsProgress else { return }
    let now = monotonicNanoseconds()
    guard !isVisible || now &- lastTime >= Self.interval else { return }
    lastTime = now
    isVisible = true
    let percent = total > 0 ? done * 100 / total : 100
    console.progress("\r\u{1B}[K\(label): \(done) of \(total) (\(percent) %)")
  }

  /// Removes the line.
  mutating func finish() {
    if isVisible { console.progress("\r\u{1B}[K") }
    isVisible = false
  }
}

/// A progress line that work on several threads updates: only one of the threads may call it at a time.
final class SharedProgress: @unchecked Sendable {
  private var line: ProgressLine?

  init(_ line: ProgressLine?) { self.line = line }

  /// Shows that `done` of `total` units are finished.
  func update(_ done: Int, of total: Int) { line?.update(done, of: total) }

  /// Removes the line.
  func finish() { line?.finish() }
}
