import QKernelsIntrinsics

/// Where a plan finds the kernels of its steps.
protocol KernelSet {
  /// Throws unless the set holds an operation of number `code` that accepts the step.
  func validate(_ code: UInt32, _ view: StepView) throws(Status)

  /// Runs one step that passed ``validate(_:_:)``.
  func run(_ code: UInt32, _ context: StepContext)
}

/// Every kernel of this library, called directly: the set of Swift programs.
struct AllKernels: KernelSet {
  @inline(__always) func validate(_ code: UInt32, _ view: StepView) throws(Status) {
    guard let code = OpCode(rawValue: code) else { throw .unknownOp }
    try PlanDispatch.validate(code, view)
  }

  @inline(__always) func run(_ code: UInt32, _ context: StepContext) {
    if let code = OpCode(rawValue: code) { PlanDispatch.run(code, context) }
  }
}

/// The kernels that a table names: the set of C programs, which link no others.
struct KernelTable: KernelSet {
  let entries: UnsafePointer<qk_kernel>?
  let count: Int

  /// The entry of operation `code`. O(count): some dozen entries at most.
  func entry(_ code: UInt32) -> UnsafePointer<qk_kernel>? {
    guard let entries else { return nil }
    var index = 0
    while index < count {
      if entries[index].code == code { return entries + index }
      index &+= 1
    }
    return nil
  }

  func validate(_ code: UInt32, _ view: StepView) throws(Status) {
    guard let validate = entry(code)?.pointee.validate else { throw .unknownOp }
    let status = withUnsafePointer(to: view) { validate($0) }
    if status != Status.ok.rawValue { throw Status(rawValue: status) ?? .badParams }
  }

  func run(_ code: UInt32, _ context: StepContext) {
    guard let run = entry(code)?.pointee.run else { return }
    withUnsafePointer(to: context) { run($0) }
  }
}
