/// Optional memory of a runner, which makes some steps faster on its instruction set: their constants in another form, and
/// room for intermediate values.
///
/// Layout: one UInt32 per step, the distance of the step's part from the start, 0 for a step without; then the parts, whose
/// addresses are multiples of 64.
struct Workspace {
  private let base: UnsafeMutableRawPointer?

  /// No workspace.
  @inline(__always) init() { base = nil }

  /// Prepares the ``Plan/workspaceByteCount(_:)`` bytes at `base`.
  init(_ base: UnsafeMutableRawPointer, _ plan: Plan, _ inner: InnerKernels) {
    self.base = base
    let table = base.assumingMemoryBound(to: UInt32.self)
    let misalignment = Int(bitPattern: base) & 63
    // Counts from the multiple of 64 at or before the start.
    var end = misalignment &+ 4 &* Int(plan.model.header.pointee.stepCount)
    plan.forEachWorkspacePart(inner) { index, code, view, byteCount in
      table[index] = 0
      if byteCount == 0 { return }
      let start = roundedUp(end, toMultipleOf: 64) &- misalignment
      table[index] = UInt32(truncatingIfNeeded: start)
      PlanDispatch.fillWorkspace(code, view, base + start)
      end = start &+ misalignment &+ byteCount
    }
  }

  /// The part of step `index`, or nil.
  @inline(__always) func part(ofStep index: Int) -> UnsafeMutableRawPointer? {
    guard InnerKernels.useWorkspace, let base else { return nil }
    let distance = base.assumingMemoryBound(to: UInt32.self)[index]
    return distance == 0 ? nil : base + Int(distance)
  }
}

extension Plan {
  /// Bytes of workspace with which a runner on `set` is faster; 0 where nothing is to be gained.
  public func workspaceByteCount(_ set: InnerSet) -> Int {
    var total = 0
    forEachWorkspacePart(set.kernels) { _, _, _, byteCount in
      if byteCount > 0 { total = total &+ roundedUp(byteCount, toMultipleOf: 64) }
    }
    return total == 0 ? 0 : total &+ 64 &+ 4 &* Int(model.header.pointee.stepCount)
  }

  /// Calls `body` with the index, code, view and bytes of workspace of every step. Steps for which little is left of 64
  /// megabytes go without: a small file may name the same weights in any number of steps.
  fileprivate func forEachWorkspacePart(
    _ inner: InnerKernels, _ body: (_ index: Int, _ code: OpCode, _ view: StepView, _ byteCount: Int) -> Void
  ) {
    var left = 64 << 20
    var index = 0
    while index < Int(model.header.pointee.stepCount) {
      let step = model.step(index)
      let view = StepView(model: model, step: step)
      if let code = OpCode(rawValue: step.pointee.code) {
        var byteCount = PlanDispatch.workspaceByteCount(code, view, inner)
        if byteCount > left { byteCount = 0 }
        left = left &- byteCount
        body(index, code, view, byteCount)
      }
      index &+= 1
    }
  }
}
