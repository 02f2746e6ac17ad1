import Testing

@testable import QKernels
@testable import QModel

/// A tensor of a step under test: integers in C order.
struct Operand {
  /// Where the plan puts it.
  enum Place { case arena, constant, state }
  var shape: [Int]
  var type: StoredType
  var zeroPoint = 0
  var values: [Int] = []
  var place = Place.arena

  var count: Int { shape.reduce(1, *) }

  /// The record of a tensor of this shape, for the functions that compute scratch sizes.
  var record: TensorRecord {
    var record = TensorRecord()
    record.type = type.rawValue
    record.setShape(shape)
    record.byteCount = UInt32(count * type.byteCount)
    record.zeroPoint = Int32(zeroPoint)
    return record
  }

  /// Values spread over the whole range of the type.
  static func random(_ shape: [Int], _ type: StoredType, zeroPoint: Int = 0, using generator: inout SeededGenerator)
    -> Operand
  {
    var operand = Operand(shape: shape, type: type, zeroPoint: zeroPoint)
    let range: ClosedRange<Int> =
      switch type {
      case .int8: -128...127
      case .int16: -32768...32767
      case .int32: -1_000_000...1_000_000
      }
    // One value in eight lies at an end of the range.
    operand.values = (0..<operand.count).map { _ in
      switch generator.next() % 16 {
      case 0: range.lowerBound
      case 1: range.upperBound
      default: Int.random(in: range, using: &generator)
      }
    }
    return operand
  }
}

/// What a step under test did.
struct StepResult {
  /// One per output, in C order.
  var outputs: [[Int]]
  /// The inputs' memory afterwards: state tensors change.
  var inputs: [[Int]]
}

/// The instruction sets of this machine beside the scalar one.
private let vectorSets: [InnerSet] = (1..<32).compactMap { InnerSet(rawValue: $0) }.filter(\.isAvailable)

/// Writes a model of one step, verifies it, runs it on every instruction set of this machine, without and with workspace,
/// and checks that all give the
/// same outputs and write nothing but outputs, state and scratch. Returns what the scalar set gives.
///
/// - Parameters:
///   - sequence: values of input 0 for more runs after the first, which state tensors outlive.
///   - makeParams: adds the step's constants and returns its params record.
///   - scratch: the op's own statement of its scratch.
func runStep<Params: BitwiseCopyable>(
  _ code: OpCode, inputs: [Operand], outputs: [Operand], sequence: [[Int]] = [],
  scratch: (Params) -> Int = { _ in 0 }, makeParams: (inout PlanBuilder) -> Params,
  sourceLocation: SourceLocation = #_sourceLocation
) throws -> StepResult {
  let bytes = try buildStep(code, inputs: inputs, outputs: outputs, scratch: scratch, makeParams: makeParams)
  let result = try runModel(
    bytes, inputs: inputs, outputs: outputs, sequence: sequence, set: .scalar, sourceLocation: sourceLocation)
  for set in vectorSets {
    for usesWorkspace in [false, true] {
      let other = try runModel(
        bytes, inputs: inputs, outputs: outputs, sequence: sequence, set: set, usesWorkspace: usesWorkspace,
        sourceLocation: sourceLocation)
      for (index, output) in other.outputs.enumerated() {
        expectEqual(
          output, result.outputs[index], "\(code) on \(set)\(usesWorkspace ? " with workspace" : "")",
          sourceLocation: sourceLocation)
      }
    }
  }
  return result
}

/// The bytes of a model of one step. Arena inputs are model inputs.
func buildStep<Params: BitwiseCopyable>(
  _ code: OpCode, inputs: [Operand], outputs: [Operand], scratch: (Params) -> Int,
  makeParams: (inout PlanBuilder) -> Params
) throws -> [UInt8] {
  var builder = PlanBuilder()
  func add(_ operand: Operand) -> Int {
    let place: PlanTensor.Place
    switch operand.place {
    case .arena: place = .arena
    case .constant: place = .constant(builder.constant(encoded(operand)))
    case .state: place = .state(initialValue: operand.values.isEmpty ? nil : builder.constant(encoded(operand)))
    }
    return builder.add(
      PlanTensor(shape: operand.shape, type: operand.type, scale: 1, zeroPoint: operand.zeroPoint, place: place))
  }
  let inputTensors = inputs.map(add), outputTensors = outputs.map(add)
  let params = makeParams(&builder)
  builder.inputs = zip(inputTensors, inputs).filter { $0.1.place == .arena }.map { $0.0 }
  builder.outputs = outputTensors
  builder.step(code, params, inputs: inputTensors, outputs: outputTensors, scratch: scratch(params))
  return try builder.build(names: false, provenance: "")
}

/// The bytes of an operand's values.
func encoded(_ operand: Operand) -> [UInt8] {
  switch operand.type {
  case .int8: operand.values.map { UInt8(truncatingIfNeeded: $0) }
  case .int16: operand.values.flatMap { withUnsafeBytes(of: Int16(truncatingIfNeeded: $0)) { [UInt8]($0) } }
  case .int32: operand.values.flatMap { withUnsafeBytes(of: Int32(truncatingIfNeeded: $0)) { [UInt8]($0) } }
  }
}

/// The values that `count` elements at `memory` hold.
func decoded(_ memory: UnsafeRawPointer, _ type: StoredType, count: Int) -> [Int] {
  switch type {
  case .int8: (0..<count).map { Int(memory.load(fromByteOffset: $0, as: Int8.self)) }
  case .int16: (0..<count).map { Int(memory.load(fromByteOffset: $0 * 2, as: Int16.self)) }
  case .int32: (0..<count).map { Int(memory.load(fromByteOffset: $0 * 4, as: Int32.self)) }
  }
}

private func runModel(
  _ bytes: [UInt8], inputs: [Operand], outputs: [Operand], sequence: [[Int]], set: InnerSet,
  usesWorkspace: Bool = false, sourceLocation: SourceLocation
) throws -> StepResult {
  let file = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
  defer { file.deallocate() }
  file.copyBytes(from: bytes)
  guard let base = file.baseAddress else { throw Status.wrongSize }
  let plan = try Plan(validating: base, byteCount: bytes.count)

  let guardBytes = 256
  let arena = UnsafeMutableRawBufferPointer.allocate(byteCount: plan.arenaByteCount + 2 * guardBytes, alignment: 64)
  let state = UnsafeMutableRawBufferPointer.allocate(byteCount: plan.stateByteCount + 16, alignment: 64)
  let workspace = UnsafeMutableRawBufferPointer.allocate(
    byteCount: usesWorkspace ? plan.workspaceByteCount(set) : 0, alignment: 16)
  defer {
    arena.deallocate()
    state.deallocate()
    workspace.deallocate()
  }
  for index in arena.indices { arena[index] = UInt8(truncatingIfNeeded: index &* 151 &+ 77) }
  let runner = try PlanRunner(
    plan: plan, arena: UnsafeMutableRawBufferPointer(rebasing: arena[guardBytes..<arena.count - guardBytes]),
    state: state, workspace: workspace, set: set)

  let step = plan.model.step(0).pointee
  let view = StepView(model: plan.model, step: plan.model.step(0))
  func memory(_ record: UnsafePointer<TensorRecord>) -> UnsafeMutableRawPointer {
    (0..<Int(plan.model.header.pointee.tensorCount)).first { plan.model.tensor($0) == record }
      .map { runner.memory(ofTensor: $0) } ?? UnsafeMutableRawPointer(mutating: base)
  }
  var mayChange = [Bool](repeating: false, count: arena.count)
  func release(_ offset: Int, _ count: Int) {
    for index in 0..<count { mayChange[guardBytes + offset + index] = true }
  }
  release(Int(step.scratchOffset), Int(step.scratchByteCount))
  for index in outputs.indices {
    release(Int(view.output(index).pointee.offset), Int(view.output(index).pointee.byteCount))
  }

  for (index, operand) in inputs.enumerated() where operand.place == .arena {
    memory(view.input(index)).copyMemory(from: encoded(operand), byteCount: operand.count * operand.type.byteCount)
  }
  let before = [UInt8](arena)
  runner.run()
  for values in sequence {
    release(Int(view.input(0).pointee.offset), Int(view.input(0).pointee.byteCount))
    var operand = inputs[0]
    operand.values = values
    memory(view.input(0)).copyMemory(from: encoded(operand), byteCount: operand.count * operand.type.byteCount)
    runner.run()
  }
  let stray = arena.indices.filter { !mayChange[$0] && arena[$0] != before[$0] }
  #expect(stray.isEmpty, "wrote outside outputs and scratch at \(stray.prefix(4))", sourceLocation: sourceLocation)
  return StepResult(
    outputs: outputs.enumerated().map { decoded(memory(view.output($0)), $1.type, count: $1.count) },
    inputs: inputs.enumerated().map { decoded(memory(view.input($0)), $1.type, count: $1.count) })
}

/// Records the first difference between two lists.
func expectEqual(
  _ actual: [Int], _ expected: [Int], _ what: @autoclosure () -> String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  if actual == expected { return }
  let differing = zip(actual, expected).enumerated().filter { $1.0 != $1.1 }.map { $0.0 }
  let first = differing.first ?? min(actual.count, expected.count)
  Issue.record(
    """
    \(what()): \(differing.count) of \(expected.count) differ (\(actual.count) computed); at \(first): \
    \(first < actual.count ? actual[first] : 0) instead of \(first < expected.count ? expected[first] : 0)
    """, sourceLocation: sourceLocation)
}
