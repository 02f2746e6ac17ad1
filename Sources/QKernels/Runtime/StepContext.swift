import QKernelsIntrinsics

/// What an op sees while a file is verified: its record and its tensors, but no memory yet.
public struct StepView {
  let model: ModelView
  let step: UnsafePointer<StepRecord>

  @inline(__always) init(model: ModelView, step: UnsafePointer<StepRecord>) {
    self.model = model
    self.step = step
  }

  @inline(__always) var inputCount: Int { Int(step.pointee.inputCount) }
  @inline(__always) var outputCount: Int { Int(step.pointee.outputCount) }

  /// The record of the step's input `index`.
  @inline(__always) func input(_ index: Int) -> UnsafePointer<TensorRecord> {
    model.tensor(model.operand(Int(step.pointee.operands) + index))
  }

  /// The record of the step's output `index`.
  @inline(__always) func output(_ index: Int) -> UnsafePointer<TensorRecord> {
    model.tensor(model.operand(Int(step.pointee.operands) + inputCount + index))
  }

  /// The params record, in place.
  @inline(__always) func params<Params: BitwiseCopyable>(_: Params.Type) -> UnsafePointer<Params> {
    (model.base + Int(model.header.pointee.paramsOffset) + Int(step.pointee.params)).assumingMemoryBound(
      to: Params.self)
  }

  /// Throws unless the step has exactly these numbers of operands.
  func requireOperands(inputs: Int, outputs: Int) throws(Status) {
    if inputCount != inputs || outputCount != outputs { throw .badParams }
  }

  /// Throws unless `byteCount` bytes from `offset` lie in the constants section and `offset` is a multiple of `alignment`.
  func requireConstant(_ offset: UInt32, byteCount: Int, alignment: UInt32 = 4) throws(Status) {
    let size = model.header.pointee.constantsByteCount
    guard byteCount >= 0, let count = UInt32(exactly: byteCount), offset <= size, count <= size - offset,
      offset % alignment == 0
    else { throw .badReference }
  }

  /// Throws unless the tensor has type `type`.
  func require(_ tensor: UnsafePointer<TensorRecord>, type: StoredType) throws(Status) {
    if tensor.pointee.type != type.rawValue { throw .badTensor }
  }
}

/// What a kernel sees while a model runs: its record, its operands' memory, its scratch, the active primitives.
public struct StepContext {
  let view: StepView
  let arena: UnsafeMutableRawPointer
  let state: UnsafeMutableRawPointer
  private let workspacePart: UnsafeMutableRawPointer?
  /// The runner's table of primitives, which is not copied for every step.
  private let innerTable: UnsafePointer<InnerKernels>

  @inline(__always) init(
    view: StepView, arena: UnsafeMutableRawPointer, state: UnsafeMutableRawPointer, workspace: UnsafeMutableRawPointer?,
    inner: UnsafePointer<InnerKernels>
  ) {
    self.view = view
    self.arena = arena
    self.state = state
    workspacePart = workspace
    innerTable = inner
  }

  /// The step's part of the runner's workspace, or nil.
  @inline(__always) var workspace: UnsafeMutableRawPointer? { InnerKernels.useWorkspace ? workspacePart : nil }

  /// The active primitives.
  @inline(__always) var inner: InnerKernels { innerTable.pointee }

  /// The memory of a tensor. Constant tensors are never a step's output (verified).
  @inline(__always) func memory(of tensor: UnsafePointer<TensorRecord>) -> UnsafeMutableRawPointer {
    let offset = Int(tensor.pointee.offset)
    switch tensor.pointee.storage {
    case TensorStorage.arena.rawValue: return arena + offset
    case TensorStorage.state.rawValue: return state + offset
    default: return UnsafeMutableRawPointer(mutating: view.model.constant(tensor.pointee.offset))
    }
  }

  /// The elements of input `index`, in C order of its shape.
  @inline(__always) func input<Element>(_ index: Int, as _: Element.Type) -> UnsafePointer<Element> {
    UnsafePointer(memory(of: view.input(index)).assumingMemoryBound(to: Element.self))
  }

  /// The elements of output `index`, in C order of its shape.
  @inline(__always) func output<Element>(_ index: Int, as _: Element.Type) -> UnsafeMutablePointer<Element> {
    memory(of: view.output(index)).assumingMemoryBound(to: Element.self)
  }

  /// The elements of the constant at `offset`.
  @inline(__always) func constant<Element>(_ offset: UInt32, as _: Element.Type) -> UnsafePointer<Element> {
    view.model.constant(offset).assumingMemoryBound(to: Element.self)
  }

  /// The step's scratch memory, 64-byte aligned relative to the arena.
  @inline(__always) var scratch: UnsafeMutableRawPointer { arena + Int(view.step.pointee.scratchOffset) }
}
