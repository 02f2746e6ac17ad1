/// Runs a verified plan in the caller's memory.
///
/// Allocates nothing. One runner per thread, each with its own arena and state; the plan may be shared.
public struct PlanRunner {
  /// The plan.
  public let plan: Plan
  let arena: UnsafeMutableRawPointer
  let state: UnsafeMutableRawPointer
  let workspace: Workspace
  let inner: InnerKernels

  /// Binds `plan` to memory and resets the state.
  ///
  /// - Parameters:
  ///   - arena: at least ``Plan/arenaByteCount`` bytes, 16-byte aligned.
  ///   - state: at least ``Plan/stateByteCount`` bytes, 16-byte aligned.
  ///   - workspace: nothing, or at least ``Plan/workspaceByteCount(_:)`` bytes, 16-byte aligned, for speed.
  ///   - set: the instruction set of the inner kernels; every set gives the same bytes.
  /// - Throws: ``Status/bufferTooSmall`` for a buffer that is smaller or misaligned, ``Status/badArgument`` for a set that
  ///   this machine lacks.
  public init(
    plan: Plan, arena: UnsafeMutableRawBufferPointer, state: UnsafeMutableRawBufferPointer,
    workspace: UnsafeMutableRawBufferPointer = UnsafeMutableRawBufferPointer(start: nil, count: 0),
    set: InnerSet = .best
  ) throws(Status) {
    guard set.isAvailable else { throw .badArgument }
    self.plan = plan
    self.inner = set.kernels
    self.arena = try PlanRunner.checked(arena, byteCount: plan.arenaByteCount)
    // A model without state never touches this pointer.
    self.state = plan.stateByteCount == 0 ? self.arena : try PlanRunner.checked(state, byteCount: plan.stateByteCount)
    self.workspace =
      workspace.count == 0
      ? Workspace() : Workspace(try PlanRunner.checked(workspace, byteCount: plan.workspaceByteCount(set)), plan, inner)
    reset()
  }

  /// A runner in memory that was checked before; the state stays as it is.
  @inline(__always)
  init(
    resuming plan: Plan, arena: UnsafeMutableRawPointer, state: UnsafeMutableRawPointer, workspace: Workspace,
    inner: InnerKernels
  ) {
    self.plan = plan
    self.arena = arena
    self.state = state
    self.workspace = workspace
    self.inner = inner
  }

  static func checked(_ buffer: UnsafeMutableRawBufferPointer, byteCount: Int) throws(Status)
    -> UnsafeMutableRawPointer
  {
    guard let base = buffer.baseAddress, buffer.count >= byteCount,
      UInt(bitPattern: base) % UInt(ModelFormat.pointerAlignment) == 0
    else { throw .bufferTooSmall }
    return base
  }

  /// Sets every state tensor to its initial value.
  public func reset() {
    var index = 0
    while index < Int(plan.model.header.pointee.tensorCount) {
      let tensor = plan.model.tensor(index)
      if tensor.pointee.storage == TensorStorage.state.rawValue {
        let memory = state + Int(tensor.pointee.offset)
        let count = tensor.pointee.elementCount
        if tensor.pointee.initialValue != ModelFormat.none {
          memory.copyMemory(
            from: plan.model.constant(tensor.pointee.initialValue), byteCount: Int(tensor.pointee.byteCount))
        } else if tensor.pointee.type == StoredType.int8.rawValue {
          memory.initializeMemory(
            as: Int8.self, repeating: Int8(truncatingIfNeeded: tensor.pointee.zeroPoint), count: count)
        } else if tensor.pointee.type == StoredType.int16.rawValue {
          memory.initializeMemory(
            as: Int16.self, repeating: Int16(truncatingIfNeeded: tensor.pointee.zeroPoint), count: count)
        } else {
          memory.initializeMemory(as: Int32.self, repeating: 0, count: count)
        }
      }
      index += 1
    }
  }

  /// The memory of tensor `index`: of `tensor(index).byteCount` bytes.
  @inline(__always) public func memory(ofTensor index: Int) -> UnsafeMutableRawPointer {
    let tensor = plan.model.tensor(index)
    switch tensor.pointee.storage {
    case TensorStorage.arena.rawValue: return arena + Int(tensor.pointee.offset)
    case TensorStorage.state.rawValue: return state + Int(tensor.pointee.offset)
    default: return UnsafeMutableRawPointer(mutating: plan.model.constant(tensor.pointee.offset))
    }
  }

  /// The memory of model input `index`. Write all inputs before every run: their memory is reused.
  public func input(_ index: Int) -> UnsafeMutableRawPointer { memory(ofTensor: plan.model.input(index)) }

  /// The memory of model output `index`, valid until the next run.
  public func output(_ index: Int) -> UnsafeMutableRawPointer { memory(ofTensor: plan.model.output(index)) }

  /// Runs every step.
  public func run() { run(AllKernels()) }

  /// Runs step `index` alone: for traces and per-op timing, in order.
  public func runStep(_ index: Int) { runStep(index, AllKernels()) }

  @inline(__always) func run<Kernels: KernelSet>(_ kernels: Kernels) {
    withUnsafePointer(to: inner) { inner in
      var index = 0
      let count = Int(plan.model.header.pointee.stepCount)
      while index < count {
        runStep(index, kernels, inner)
        index &+= 1
      }
    }
  }

  @inline(__always) func runStep<Kernels: KernelSet>(_ index: Int, _ kernels: Kernels) {
    withUnsafePointer(to: inner) { inner in runStep(index, kernels, inner) }
  }

  @inline(__always)
  private func runStep<Kernels: KernelSet>(_ index: Int, _ kernels: Kernels, _ inner: UnsafePointer<InnerKernels>) {
    let step = plan.model.step(index)
    let context = StepContext(
      view: StepView(model: plan.model, step: step), arena: arena, state: state,
      workspace: workspace.part(ofStep: index), inner: inner)
    kernels.run(step.pointee.code, context)
  }
}
