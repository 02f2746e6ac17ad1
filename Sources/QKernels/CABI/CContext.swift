import QKernelsIntrinsics

/// What a `qk_context` of the C header holds.
struct CContext {
  var model: UnsafeRawPointer
  var arena: UnsafeMutableRawPointer
  /// The arena again for a model without state.
  var state: UnsafeMutableRawPointer
  var workspace: Workspace
  var kernels: UnsafePointer<qk_kernel>?
  var kernelCount: Int
  /// Raw value of ``InnerSet``.
  var set: Int

  /// The context in the caller's memory.
  @inline(__always) init(_ context: UnsafePointer<qk_context>) {
    self = UnsafeRawPointer(context).assumingMemoryBound(to: CContext.self).pointee
  }

  /// Binds a verified model to memory, or says why it cannot be.
  @inline(__always)
  init(
    model: UnsafeRawPointer, arena: UnsafeMutableRawPointer?, arenaByteCount: Int, state: UnsafeMutableRawPointer?,
    stateByteCount: Int, kernels: UnsafePointer<qk_kernel>?, kernelCount: Int
  ) throws(Status) {
    let header = model.assumingMemoryBound(to: ModelHeader.self)
    guard isAligned(model), header.pointee.magic == ModelFormat.magic, header.pointee.version == ModelFormat.version
    else { throw .notAModel }
    let plan = Plan(verified: ModelView(base: model))
    guard let arena, isAligned(arena), arenaByteCount >= plan.arenaByteCount else { throw .bufferTooSmall }
    self.model = model
    self.arena = arena
    self.state = arena
    workspace = Workspace()
    self.kernels = kernels
    self.kernelCount = kernelCount
    set = Int(InnerSet.best.rawValue)
    if plan.stateByteCount > 0 {
      guard let state, isAligned(state), stateByteCount >= plan.stateByteCount else { throw .bufferTooSmall }
      self.state = state
    }
    let table = self.table
    var index = 0
    while index < Int(header.pointee.stepCount) {
      if table.entry(plan.model.step(index).pointee.code) == nil { throw .unknownOp }
      index &+= 1
    }
  }

  /// Writes the context into the caller's memory.
  @inline(__always) func store(to context: UnsafeMutablePointer<qk_context>) {
    UnsafeMutableRawPointer(context).assumingMemoryBound(to: CContext.self).pointee = self
  }

  /// The kernels that the program contains.
  @inline(__always) var table: KernelTable { KernelTable(entries: kernels, count: kernelCount) }

  /// The instruction set in use.
  @inline(__always) var innerSet: InnerSet { InnerSet(rawValue: Int32(truncatingIfNeeded: set)) ?? .best }

  /// The runner of the context's model in its memory.
  @inline(__always) var runner: PlanRunner {
    PlanRunner(
      resuming: Plan(verified: ModelView(base: model)), arena: arena, state: state, workspace: workspace,
      inner: innerSet.kernels)
  }
}

/// Whether a pointer from the caller has the alignment of ``ModelFormat/pointerAlignment``.
@inline(__always) func isAligned(_ pointer: UnsafeRawPointer) -> Bool {
  UInt(bitPattern: pointer) % UInt(ModelFormat.pointerAlignment) == 0
}
