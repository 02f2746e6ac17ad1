// The self-test section of a model file: each model input's bytes, padded to a multiple of 4, in order; then one UInt32 per
// step, the CRC-32 of all its outputs in order.

extension Plan {
  /// Bytes of a self-test section for this model, or nil if they leave 31 bits.
  public var selfTestByteCount: Int? {
    var count = 4 &* Int(model.header.pointee.stepCount)
    var index = 0
    while index < Int(model.header.pointee.inputCount) {
      count = count &+ (Int(model.tensor(model.input(index)).pointee.byteCount) &+ 3) / 4 &* 4
      if count < 0 || count > Int(Int32.max) { return nil }
      index += 1
    }
    return count
  }

  /// Whether the file carries a self-test.
  public var hasSelfTest: Bool {
    let count = Int(model.header.pointee.selfTestByteCount)
    return count > 0 && count == selfTestByteCount
  }
}

extension PlanRunner {
  /// Runs the stored input and compares every step's outputs with the stored checksums. Resets the state before and after.
  ///
  /// - Returns: the index of the first step whose outputs differ, or nil when all agree.
  /// - Throws: ``Status/badArgument`` when the file carries no self-test.
  public func firstFailingStep() throws(Status) -> Int? { try firstFailingStep(AllKernels()) }

  func firstFailingStep<Kernels: KernelSet>(_ kernels: Kernels) throws(Status) -> Int? {
    guard plan.hasSelfTest else { throw .badArgument }
    let header = plan.model.header.pointee
    var source = plan.model.base + Int(header.selfTestOffset)
    reset()
    defer { reset() }
    var index = 0
    while index < Int(header.inputCount) {
      let byteCount = Int(plan.model.tensor(plan.model.input(index)).pointee.byteCount)
      input(index).copyMemory(from: source, byteCount: byteCount)
      source += (byteCount &+ 3) / 4 &* 4
      index += 1
    }
    let checksums = source.assumingMemoryBound(to: UInt32.self)
    index = 0
    while index < Int(header.stepCount) {
      runStep(index, kernels)
      if outputChecksum(ofStep: index) != checksums[index] { return index }
      index += 1
    }
    return nil
  }

  /// The CRC-32 of all outputs of step `index`, right after it ran.
  public func outputChecksum(ofStep index: Int) -> UInt32 {
    let step = plan.model.step(index).pointee
    var checksum = CRC32()
    var output = 0
    while output < Int(step.outputCount) {
      let tensor = plan.model.operand(Int(step.operands) &+ Int(step.inputCount) &+ output)
      checksum.update(memory(ofTensor: tensor), byteCount: Int(plan.model.tensor(tensor).pointee.byteCount))
      output += 1
    }
    return checksum.value
  }
}
