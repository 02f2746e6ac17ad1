// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// qkernels.h documents these symbols.

import QKernelsIntrinsics

// The functions of include/qkernels.h, which says what they do; the compiler checks that the declarations agree.

@implementation @c public func qk_model_verify(_ model: UnsafeRawPointer!, _ size: Int) -> qk_status {
  qk_model_verify_with(model, size, qk_all_kernels(), qk_all_kernel_count())
}

@implementation @c public func qk_model_verify_with(
  _ model: UnsafeRawPointer!, _ size: Int, _ kernels: UnsafePointer<qk_kernel>!, _ count: Int
) -> qk_status {
  guard let model else { return Status.badArgument.rawValue }
  do throws(Status) {
    _ = try Plan(validating: model, byteCount: size, kernels: KernelTable(entries: kernels, count: count))
    return Status.ok.rawValue
  } catch {
    return error.rawValue
  }
}

@implementation @c public func qk_arena_size(_ model: UnsafeRawPointer!) -> Int {
  Plan(verified: ModelView(base: model)).arenaByteCount
}

@implementation @c public func qk_state_size(_ model: UnsafeRawPointer!) -> Int {
  Plan(verified: ModelView(base: model)).stateByteCount
}

@implementation @c public func qk_init(
  _ context: UnsafeMutablePointer<qk_context>!, _ model: UnsafeRawPointer!, _ arena: UnsafeMutableRawPointer!,
  _ arenaSize: Int, _ state: UnsafeMutableRawPointer!, _ stateSize: Int
) -> qk_status {
  qk_init_with(context, model, arena, arenaSize, state, stateSize, qk_all_kernels(), qk_all_kernel_count())
}

@implementation @c public func qk_init_with(
  _ context: UnsafeMutablePointer<qk_context>!, _ model: UnsafeRawPointer!, _ arena: UnsafeMutableRawPointer!,
  _ arenaSize: Int, _ state: UnsafeMutableRawPointer!, _ stateSize: Int, _ kernels: UnsafePointer<qk_kernel>!,
  _ count: Int
) -> qk_status {
  guard let context, let model else { return Status.badArgument.rawValue }
  do throws(Status) {
    let bound = try CContext(
      model: model, arena: arena, arenaByteCount: arenaSize, state: state, stateByteCount: stateSize, kernels: kernels,
      kernelCount: count)
    bound.store(to: context)
    bound.runner.reset()
    return Status.ok.rawValue
  } catch {
    return error.rawValue
  }
}

@implementation @c public func qk_input_count(_ model: UnsafeRawPointer!) -> Int32 {
  Int32(truncatingIfNeeded: ModelView(base: model).header.pointee.inputCount)
}

@implementation @c public func qk_output_count(_ model: UnsafeRawPointer!) -> Int32 {
  Int32(truncatingIfNeeded: ModelView(base: model).header.pointee.outputCount)
}

@implementation @c public func qk_input(
  _ context: UnsafePointer<qk_context>!, _ index: Int32, _ tensor: UnsafeMutablePointer<qk_tensor>!
) -> qk_status {
  guard let context, let tensor else { return Status.badArgument.rawValue }
  let runner = CContext(context).runner
  guard index >= 0, index < qk_input_count(runner.plan.model.base) else { return Status.badArgument.rawValue }
  describe(runner, runner.plan.model.input(Int(index)), into: tensor)
  return Status.ok.rawValue
}

@implementation @c public func qk_output(
  _ context: UnsafePointer<qk_context>!, _ index: Int32, _ tensor: UnsafeMutablePointer<qk_tensor>!
) -> qk_status {
  guard let context, let tensor else { return Status.badArgument.rawValue }
  let runner = CContext(context).runner
  guard index >= 0, index < qk_output_count(runner.plan.model.base) else { return Status.badArgument.rawValue }
  describe(runner, runner.plan.model.output(Int(index)), into: tensor)
  return Status.ok.rawValue
}

/// Fills a view of tensor `index`.
private func describe(_ runner: PlanRunner, _ index: Int, into view: UnsafeMutablePointer<qk_tensor>) {
  let model = runner.plan.model
  let tensor = model.tensor(index).pointee
  view.pointee.data = runner.memory(ofTensor: index)
  view.pointee.name = model.name(tensor.name)
  view.pointee.type = Int32(truncatingIfNeeded: tensor.type)
  view.pointee.rank = Int32(truncatingIfNeeded: tensor.rank)
  view.pointee.shape = (
    tensor.dimension0, tensor.dimension1, tensor.dimension2, tensor.dimension3, tensor.dimension4, tensor.dimension5
  )
  view.pointee.source_axis = (
    sourceAxis(tensor, 0), sourceAxis(tensor, 1), sourceAxis(tensor, 2), sourceAxis(tensor, 3), sourceAxis(tensor, 4),
    sourceAxis(tensor, 5)
  )
  view.pointee.element_count = Int32(truncatingIfNeeded: tensor.elementCount)
  view.pointee.byte_count = Int32(truncatingIfNeeded: tensor.byteCount)
  view.pointee.zero_point = tensor.zeroPoint
  view.pointee.scale = Float(bitPattern: tensor.scaleBits)
}

@implementation @c public func qk_run(_ context: UnsafeMutablePointer<qk_context>!) {
  let context = CContext(context)
  context.runner.run(context.table)
}

@implementation @c public func qk_reset(_ context: UnsafeMutablePointer<qk_context>!) {
  CContext(context).runner.reset()
}

@implementation @c public func qk_selftest(
  _ context: UnsafeMutablePointer<qk_context>!, _ failingStep: UnsafeMutablePointer<Int32>!
) -> qk_status {
  guard let context else { return Status.badArgument.rawValue }
  failingStep?.pointee = -1
  let bound = CContext(context)
  do throws(Status) {
    guard let step = try bound.runner.firstFailingStep(bound.table) else { return Status.ok.rawValue }
    failingStep?.pointee = Int32(truncatingIfNeeded: step)
    return Status.selfTestFailed.rawValue
  } catch {
    return error.rawValue
  }
}

@implementation @c public func qk_version() -> Int32 { Int32(truncatingIfNeeded: QK_VERSION) }

@implementation @c public func qk_status_text(_ status: qk_status) -> UnsafePointer<CChar>! {
  guard let status = Status(rawValue: status) else { return ("unknown status" as StaticString).cString }
  return status.text.cString
}

@implementation @c public func qk_isa(_ context: UnsafePointer<qk_context>!) -> UnsafePointer<CChar>! {
  CContext(context).innerSet.cName
}

@implementation @c public func qk_set_isa(_ context: UnsafeMutablePointer<qk_context>!, _ name: UnsafePointer<CChar>!)
  -> qk_status
{
  guard let context, let name, let set = InnerSet(named: name), set.isAvailable else {
    return Status.badArgument.rawValue
  }
  var bound = CContext(context)
  bound.set = Int(set.rawValue)
  bound.workspace = Workspace()
  bound.store(to: context)
  return Status.ok.rawValue
}

@implementation @c public func qk_workspace_size(_ context: UnsafePointer<qk_context>!) -> Int {
  let bound = CContext(context)
  return bound.runner.plan.workspaceByteCount(bound.innerSet)
}

@implementation @c public func qk_use_workspace(
  _ context: UnsafeMutablePointer<qk_context>!, _ workspace: UnsafeMutableRawPointer!, _ size: Int
) -> qk_status {
  guard let context else { return Status.badArgument.rawValue }
  var bound = CContext(context)
  let plan = bound.runner.plan
  bound.workspace = Workspace()
  if let workspace {
    guard isAligned(workspace), size >= plan.workspaceByteCount(bound.innerSet) else {
      return Status.bufferTooSmall.rawValue
    }
    bound.workspace = Workspace(workspace, plan, bound.innerSet.kernels)
  }
  bound.store(to: context)
  return Status.ok.rawValue
}

/// The stored axis of the source model's axis `axis`: the identity unless the record holds a permutation, which
/// verification leaves unchecked because no kernel reads it.
private func sourceAxis(_ tensor: TensorRecord, _ axis: Int) -> Int32 {
  let identity = Int32(truncatingIfNeeded: axis)
  if tensor.sourceLayout == ModelFormat.none || axis >= Int(tensor.rank) { return identity }
  var seen: UInt32 = 0
  var index: UInt32 = 0
  while index < tensor.rank {
    seen |= 1 &<< (tensor.sourceLayout &>> (4 &* index) & 15)
    index &+= 1
  }
  if seen != (1 &<< tensor.rank) &- 1 { return identity }
  return Int32(truncatingIfNeeded: tensor.sourceLayout &>> (4 &* UInt32(truncatingIfNeeded: axis)) & 15)
}
