import QKernels

/// Addresses for every tensor and every step's scratch memory.
struct ArenaAssignment {
  /// One per tensor: offset in the arena, the constants section or the state buffer.
  private(set) var offsets: [Int]
  /// One per step.
  private(set) var scratchOffsets: [Int]
  private(set) var arenaByteCount: Int
  private(set) var stateByteCount: Int

  init(_ builder: PlanBuilder) {
    offsets = [Int](repeating: 0, count: builder.tensors.count)
    scratchOffsets = [Int](repeating: 0, count: builder.steps.count)
    stateByteCount = 0
    arenaByteCount = 0
    for (index, tensor) in builder.tensors.enumerated() {
      switch tensor.place {
      case .constant(let offset): offsets[index] = Int(offset)
      case .state:
        stateByteCount = ArenaAssignment.aligned(stateByteCount, to: ArenaAssignment.alignment(of: tensor.byteCount))
        offsets[index] = stateByteCount
        stateByteCount += tensor.byteCount
      case .arena, .alias: break
      }
    }
    if stateByteCount > 0 { stateByteCount += ModelFormat.readSlack }

    var blocks = Blocks(builder)
    blocks.shareInPlace(builder)
    let requests = blocks.requests(builder)
    let plan = MemoryPlanner.plan(requests.map(\.request))
    var offsetOfBlock = [Int](repeating: 0, count: builder.tensors.count)
    for (entry, offset) in zip(requests, plan.offsets) {
      switch entry.owner {
      case .tensor(let block): offsetOfBlock[block] = offset
      case .scratch(let step): scratchOffsets[step] = offset
      }
    }
    for index in builder.tensors.indices where blocks.isArena(index) {
      offsets[index] = offsetOfBlock[blocks.block(index)]
    }
    for (index, tensor) in builder.tensors.enumerated() {
      if case .alias = tensor.place, !blocks.isArena(index) { offsets[index] = offsets[builder.root(of: index)] }
    }
    arenaByteCount = plan.byteCount
  }

  static func aligned(_ value: Int, to alignment: Int) -> Int { (value + alignment - 1) & ~(alignment - 1) }

  /// Whole cache lines for what vectors stream through; small blocks need only the format's 16.
  static func alignment(of byteCount: Int) -> Int {
    byteCount >= 4 * ModelFormat.sectionAlignment ? ModelFormat.sectionAlignment : ModelFormat.pointerAlignment
  }
}

/// Which tensors share memory, and when each block of memory is in use.
private struct Blocks {
  enum Owner { case tensor(Int), scratch(Int) }

  /// For each tensor another one in the same block, or itself.
  private var parent: [Int]
  private let inArena: [Bool]
  private var first: [Int]
  private var last: [Int]

  init(_ builder: PlanBuilder) {
    let count = builder.tensors.count
    parent = (0..<count).map { builder.root(of: $0) }
    inArena = parent.map { builder.tensors[$0].place == .arena }
    first = [Int](repeating: Int.max, count: count)
    last = [Int](repeating: Int.min, count: count)
    // Inputs are written before step 0, outputs read after the last one.
    for tensor in builder.inputs { use(tensor, at: -1) }
    for (index, step) in builder.steps.enumerated() {
      for tensor in step.inputs + step.outputs { use(tensor, at: index) }
    }
    for tensor in builder.outputs { use(tensor, at: builder.steps.count) }
  }

  private mutating func use(_ tensor: Int, at step: Int) {
    let block = block(tensor)
    first[block] = min(first[block], step)
    last[block] = max(last[block], step)
  }

  func block(_ tensor: Int) -> Int {
    var index = tensor
    while parent[index] != index { index = parent[index] }
    return index
  }

  func isArena(_ tensor: Int) -> Bool { inArena[tensor] }

  /// Lets an output take over the memory of an input that no later step reads.
  mutating func shareInPlace(_ builder: PlanBuilder) {
    for (index, step) in builder.steps.enumerated() {
      guard let output = step.outputs.first, inArena[output] else { continue }
      let target = block(output)
      guard first[target] == index, parent[target] == target else { continue }
      for position in step.inPlaceInputs {
        let input = step.inputs[position], source = block(input)
        // Another view of the same memory may be read in another order than it is overwritten.
        let isReadOtherwise = step.inputs.contains { $0 != input && block($0) == source }
        guard inArena[input], source != target, last[source] == index, !isReadOtherwise,
          builder.tensors[input].byteCount >= builder.tensors[output].byteCount
        else { continue }
        parent[target] = source
        last[source] = max(last[source], last[target])
        break
      }
    }
  }

  /// What the planner must place.
  func requests(_ builder: PlanBuilder) -> [(owner: Owner, request: MemoryRequest)] {
    var size = [Int](repeating: 0, count: parent.count)
    for (index, tensor) in builder.tensors.enumerated() where inArena[index] {
      let block = block(index)
      size[block] = max(size[block], tensor.byteCount)
    }
    var result: [(owner: Owner, request: MemoryRequest)] = []
    for block in parent.indices where parent[block] == block && inArena[block] {
      // A tensor that nothing uses still has an address inside the arena.
      let start = first[block] == Int.max ? -1 : first[block], end = first[block] == Int.max ? -1 : last[block]
      result.append(
        (
          .tensor(block),
          MemoryRequest(
            byteCount: size[block], alignment: ArenaAssignment.alignment(of: size[block]),
            slack: ModelFormat.readSlack, first: start, last: end)
        ))
    }
    for (index, step) in builder.steps.enumerated() where step.scratchByteCount > 0 {
      result.append(
        (
          .scratch(index),
          MemoryRequest(
            byteCount: step.scratchByteCount, alignment: ModelFormat.sectionAlignment, slack: 0, first: index,
            last: index)
        ))
    }
    return result
  }
}
