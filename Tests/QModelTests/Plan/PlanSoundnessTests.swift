import QKernels
import Testing

@testable import QModel

/// What must hold for every file that the plan compiler writes.
struct PlanSoundnessTests {
  /// Who uses which bytes of the arena when, by reading the file alone.
  struct Usage {
    var what: String
    var bytes: Range<Int>
    var steps: ClosedRange<Int>
  }

  /// The uses of the arena, one per tensor and scratch block; views of one tensor count as one.
  static func usages(_ model: VerifiedModel) -> [Usage] {
    let view = model.plan.model, end = model.steps.count
    var first: [Int: Int] = [:], last: [Int: Int] = [:]
    var owner: [Int: Int] = [:]
    func define(_ tensors: [Int], at step: Int) {
      for tensor in tensors {
        owner[tensor] = owner[tensor] ?? tensors[0]
        first[tensors[0]] = min(first[tensors[0]] ?? step, step)
        last[tensors[0]] = max(last[tensors[0]] ?? step, step)
      }
    }
    // Inputs come one by one with their views.
    for input in model.inputs {
      let start = model.inputValues.firstIndex(of: input.index) ?? 0
      let views = model.inputValues[(start + 1)...].prefix { index in !model.inputs.contains { $0.index == index } }
      define([input.index] + views, at: -1)
    }
    for (index, step) in model.steps.enumerated() {
      for output in step.outputs { define([output], at: index) }
      for value in step.values where !step.outputs.contains(value) {
        owner[value] = step.outputs.first { model.plan.model.tensor($0).pointee.offset == view.tensor(value).pointee.offset }
      }
      for input in step.inputs { owner[input].map { last[$0] = max(last[$0] ?? index, index) } }
    }
    for output in model.outputs { owner[output.index].map { last[$0] = end } }
    var usages: [Usage] = []
    for (tensor, start) in first.sorted(by: { $0.key < $1.key }) {
      let record = view.tensor(tensor).pointee
      guard record.storage == TensorStorage.arena.rawValue else { continue }
      usages.append(
        Usage(
          what: "tensor \(tensor)", bytes: Int(record.offset)..<Int(record.offset + record.byteCount),
          steps: start...(last[tensor] ?? start)))
    }
    for index in model.steps.indices {
      let step = view.step(index).pointee
      guard step.scratchByteCount > 0 else { continue }
      usages.append(
        Usage(
          what: "scratch \(index)", bytes: Int(step.scratchOffset)..<Int(step.scratchOffset + step.scratchByteCount),
          steps: index...index))
    }
    return usages
  }

  /// Pairs that hold the same bytes at the same time, except an output in the place of an input that ends there.
  static func overlaps(_ model: VerifiedModel) -> [String] {
    let all = usages(model)
    var problems: [String] = []
    for (i, a) in all.enumerated() {
      for b in all[(i + 1)...] where a.bytes.overlaps(b.bytes) && a.steps.overlaps(b.steps) {
        let (early, late) = a.steps.lowerBound <= b.steps.lowerBound ? (a, b) : (b, a)
        let takesOver =
          early.steps.upperBound == late.steps.lowerBound && early.bytes.lowerBound == late.bytes.lowerBound
          && early.what.hasPrefix("tensor") && late.what.hasPrefix("tensor")
        if !takesOver { problems.append("\(a) \(b)") }
      }
    }
    return problems
  }

  @Test(.enabled(if: Oracle.isAvailable, "no oracle data: set QK_ORACLE"), arguments: QuantizedTFLiteTests.models)
  func liveTensorsNeverShareBytes(model: String) throws {
    let model = try VerifiedModel(bytes: try QuantizedTFLiteTests.compiled(model).bytes)
    #expect(Self.usages(model).count > model.steps.count)
    #expect(Self.overlaps(model) == [])
    for usage in Self.usages(model) { #expect(usage.bytes.upperBound <= model.arenaByteCount) }
  }

  @Test func theSameGraphGivesTheSameBytes() throws {
    for seed in 0..<3 {
      let graph = SampleGraphs.everything(seed: UInt64(seed), origin: .float)
      let first = try CompiledModel(QuantizedGraph(graph), options: CompileOptions())
      let second = try CompiledModel(QuantizedGraph(graph), options: CompileOptions())
      #expect(first.bytes == second.bytes, "seed \(seed)")
    }
  }

  @Test func anArenaOneByteSmallerIsRefused() throws {
    let compiled = try CompiledModel(
      QuantizedGraph(SampleGraphs.everything(seed: 1, origin: .float)), options: CompileOptions())
    let model = try VerifiedModel(bytes: compiled.bytes)
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: model.arenaByteCount + model.stateByteCount, alignment: 64)
    defer { memory.deallocate() }
    func run(arena: Int, state: Int) throws(Status) -> PlanRunner {
      try PlanRunner(
        plan: model.plan, arena: UnsafeMutableRawBufferPointer(rebasing: memory[..<arena]),
        state: UnsafeMutableRawBufferPointer(rebasing: memory[..<state]))
    }
    _ = try run(arena: model.arenaByteCount, state: model.stateByteCount)
    #expect(throws: Status.bufferTooSmall) { _ = try run(arena: model.arenaByteCount - 1, state: model.stateByteCount) }
    #expect(model.stateByteCount > 0)
    #expect(throws: Status.bufferTooSmall) { _ = try run(arena: model.arenaByteCount, state: model.stateByteCount - 1) }
  }

  /// The exact number is the smallest: a header that gives one byte less does not pass verification.
  @Test func aHeaderWithOneByteLessIsRefused() throws {
    let compiled = try CompiledModel(
      QuantizedGraph(SampleGraphs.everything(seed: 1, origin: .float)), options: CompileOptions())
    var bytes = compiled.bytes
    var header = bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    header.arenaByteCount -= 1
    header.seal(&bytes)
    #expect(throws: ModelError.self) { try VerifiedModel(bytes: bytes) }
    header.arenaByteCount += 1
    header.seal(&bytes)
    #expect(bytes == compiled.bytes)
  }

  @Test func aStrippedFileHasNoNames() throws {
    let graph = QuantizedGraph(SampleGraphs.everything(seed: 2, origin: .float))
    let named = try VerifiedModel(bytes: try CompiledModel(graph, options: CompileOptions()).bytes)
    var options = CompileOptions()
    options.keepNames = false
    let stripped = try VerifiedModel(bytes: try CompiledModel(graph, options: options).bytes)
    #expect(named.tensors.contains { $0.name != nil })
    #expect(stripped.tensors.allSatisfy { $0.name == nil })
    #expect(stripped.fileByteCount < named.fileByteCount)
    #expect(stripped.arenaByteCount == named.arenaByteCount)
  }

  @Test func theSelfTestPassesAndNamesASpoiltLayer() throws {
    var options = CompileOptions()
    options.includeSelfTest = true
    options.provenance = "tool: test"
    let compiled = try CompiledModel(
      QuantizedGraph(SampleGraphs.everything(seed: 3, origin: .float)), options: options)
    let session = try Session(bytes: compiled.bytes)
    #expect(session.model.provenance == "tool: test")
    #expect(try session.firstFailingStep() == nil)
    // Every step's checksum is compared: spoil one after another.
    let header = compiled.bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    let end = Int(header.selfTestOffset + header.selfTestByteCount)
    for step in session.steps.indices {
      var bytes = compiled.bytes
      bytes[end - 4 * (session.steps.count - step)] ^= 1
      var copy = header
      copy.seal(&bytes)
      #expect(try Session(bytes: bytes).firstFailingStep() == step)
    }
    let plain = try CompiledModel(
      QuantizedGraph(SampleGraphs.everything(seed: 3, origin: .float)), options: CompileOptions())
    #expect(throws: ModelError.self) { try Session(bytes: plain.bytes).firstFailingStep() }
  }
}
