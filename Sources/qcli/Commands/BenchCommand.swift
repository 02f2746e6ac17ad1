import QKernels
import QModel

/// `qcli bench`: measures the time of a run.
enum BenchCommand {
  static let command = Command(
    declaration: CommandDeclaration(
      name: "bench",
      overview: "Measure how long a .qkm model runs on this machine.",
      discussion: """
        One thread, random input, the monotonic clock. Runs are timed one by one after a warm-up; the times per op \
        come from runs of their own, so that reading the clock between ops does not count into the total.
        """,
      arguments: [ArgumentDeclaration(name: "model", help: "The model, a .qkm file.")],
      options: [
        OptionDeclaration(
          name: "runs", value: .integer(placeholder: "n", range: 1...10_000_000),
          defaultText: "as many as fit in one second, 10 to 10000", help: "How many runs to time."),
        OptionDeclaration(name: "per-op", value: .flag, help: "Show the time of every op."),
        OptionDeclaration(name: "json", value: .flag, help: "Print a JSON object."),
      ]),
    run: run)

  private static func run(_ arguments: ParsedArguments, _ console: Console) throws {
    let path = arguments.positionals[0]
    let model = try loadModel(path)
    let session = try Session(model, set: try chosenInstructionSet())
    fill(session)
    let runs = warmUp(session, requested: arguments.integer("runs"))
    let result = Measurement(session, runs: runs, progress: ProgressLine("Measuring", on: console))
    if arguments.has("json") {
      console.printText(result.json.text)
    } else {
      console.printText(result.text(path: path, perOp: arguments.has("per-op")))
    }
  }

  /// Fills the inputs with seeded noise over the whole range of their type.
  private static func fill(_ session: Session) {
    var state: UInt64 = 0x9E37_79B9_7F4A_7C15
    for index in session.inputs.indices {
      session.withInput(index) { bytes in
        for offset in bytes.indices {
          // xorshift64*: any generator does, as long as every run of the program measures the same input.
          state ^= state >> 12
          state ^= state << 25
          state ^= state >> 27
          bytes[offset] = UInt8(truncatingIfNeeded: (state &* 0x2545_F491_4F6C_DD1D) >> 56)
        }
      }
    }
  }

  /// Runs until caches and clock frequency have settled: at least 3 runs and 0.2 s, or as many as were asked for if that
  /// is less.
  ///
  /// - Returns: the number of runs to time.
  private static func warmUp(_ session: Session, requested: Int?) -> Int {
    let start = monotonicNanoseconds()
    var runs = 0
    var elapsed: UInt64 = 0
    while runs < 3 || (elapsed < 200_000_000 && runs < requested ?? Int.max) {
      session.run()
      runs += 1
      elapsed = monotonicNanoseconds() &- start
    }
    if let requested { return requested }
    return min(max(Int(1_000_000_000 / max(1, elapsed / UInt64(runs))), 10), 10_000)
  }
}

/// The times of a number of runs.
struct Measurement {
  /// Sorted times of whole runs, in nanoseconds.
  private let times: [UInt64]
  /// The median time of each step, in nanoseconds.
  private let stepTimes: [UInt64]
  private let model: VerifiedModel
  private let set: InnerSet

  init(_ session: Session, runs: Int, progress: ProgressLine) {
    var progress = progress
    model = session.model
    set = session.set
    var times: [UInt64] = []
    times.reserveCapacity(runs)
    for run in 0..<runs {
      let start = monotonicNanoseconds()
      session.run()
      times.append(monotonicNanoseconds() &- start)
      // A terminal may be slow: not more often than every 64 runs of a fast model.
      if run % 64 == 63 { progress.update(run + 1, of: runs) }
    }
    self.times = times.sorted()

    let steps = session.steps.count
    // At most 16 million times are kept, whatever the number of runs and steps.
    let stepRuns = min(runs, max(1, 16_000_000 / max(1, steps)))
    var perStep = [[UInt64]](repeating: [], count: steps)
    for _ in 0..<stepRuns {
      var last = monotonicNanoseconds()
      for step in 0..<steps {
        session.runStep(step)
        let now = monotonicNanoseconds()
        perStep[step].append(now &- last)
        last = now
      }
    }
    stepTimes = perStep.map { Self.median($0.sorted()) }
    progress.finish()
  }

  /// The middle of sorted values, the mean of the two middle ones for an even number.
  static func median(_ sorted: [UInt64]) -> UInt64 {
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }

  private static func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1000 }
  private var median: UInt64 { Self.median(times) }

  var json: JSON {
    .object([
      ("median_us", .number(Self.microseconds(median))), ("min_us", .number(Self.microseconds(times.first ?? 0))),
      ("max_us", .number(Self.microseconds(times.last ?? 0))), ("runs", .integer(times.count)),
      ("isa", .string("\(set.name)")), ("macs", .integer(model.macs)), ("arena_bytes", .integer(model.arenaByteCount)),
      ("state_bytes", .integer(model.stateByteCount)),
      ("workspace_bytes", .integer(model.workspaceByteCount(set))),
      (
        "ops",
        .array(
          zip(model.steps, stepTimes).map { step, time in
            .object([
              ("name", .string(step.name ?? "")), ("code", .string("\(step.code)")),
              ("median_us", .number(Self.microseconds(time))), ("macs", .integer(step.macs)),
            ])
          })
      ),
    ])
  }

  /// Giga multiply-accumulates per second, or nothing for an op without any.
  private static func rate(_ macs: Int, _ time: UInt64) -> String {
    macs == 0 || time == 0 ? "" : fixed(Double(macs) / Double(time), decimals: 2)
  }

  func text(path: String, perOp: Bool) -> String {
    var text = "\(path) on \(set.name), \(times.count) runs\n\n"
    var facts = TextTable([("", .left), ("", .right), ("", .left)])
    facts.add(["median", fixed(Self.microseconds(median), decimals: 2), "us"])
    facts.add(["min", fixed(Self.microseconds(times.first ?? 0), decimals: 2), "us"])
    facts.add(["max", fixed(Self.microseconds(times.last ?? 0), decimals: 2), "us"])
    facts.add(["work", grouped(model.macs), "multiply-accumulates"])
    if model.macs > 0 { facts.add(["rate", Self.rate(model.macs, median), "GMAC/s"]) }
    facts.add(["arena", grouped(model.arenaByteCount), "bytes"])
    facts.add(["state", grouped(model.stateByteCount), "bytes"])
    let workspace = model.workspaceByteCount(set)
    if workspace > 0 { facts.add(["workspace", grouped(workspace), "bytes"]) }
    text += facts.body(indent: 2)
    guard perOp else { return text }

    let total = stepTimes.reduce(0, +)
    var ops = TextTable([
      ("#", .right), ("op", .left), ("us", .right), ("share", .right), ("MACs", .right), ("GMAC/s", .right),
      ("name", .left),
    ])
    for (index, (step, time)) in zip(model.steps, stepTimes).enumerated() {
      let share = total == 0 ? 0 : Double(time) * 100 / Double(total)
      ops.add([
        "\(index)", "\(step.code)", fixed(Self.microseconds(time), decimals: 2), fixed(share, decimals: 1) + " %",
        grouped(step.macs), Self.rate(step.macs, time), step.name ?? "",
      ])
    }
    return text + "\n" + ops.text(indent: 2)
  }
}
