/// A verified model file: the only way to a ``PlanRunner``.
///
/// Verification is total: after it no kernel reads or writes outside the file, the arena and the state, and none traps,
/// whatever the input. It allocates nothing; its time is linear in the size of the file.
public struct Plan: Sendable {
  /// The file.
  public let model: ModelView

  /// Verifies the `byteCount` bytes at `bytes`, which must stay in place and unchanged while the plan is in use.
  ///
  /// - Throws: the ``Status`` that names the first defect.
  public init(validating bytes: UnsafeRawPointer, byteCount: Int) throws(Status) {
    try self.init(validating: bytes, byteCount: byteCount, kernels: AllKernels())
  }

  /// A plan of a file that was verified before.
  @inline(__always) init(verified model: ModelView) { self.model = model }

  /// Verifies a file that only `kernels` will run.
  init<Kernels: KernelSet>(validating bytes: UnsafeRawPointer, byteCount: Int, kernels: Kernels) throws(Status) {
    guard UInt(bitPattern: bytes) % UInt(ModelFormat.pointerAlignment) == 0 else { throw .badArgument }
    guard byteCount >= MemoryLayout<ModelHeader>.size else { throw .wrongSize }
    let model = ModelView(base: bytes)
    let header = model.header.pointee
    guard header.magic == ModelFormat.magic, header.version == ModelFormat.version else { throw .notAModel }
    guard header.fileByteCount <= UInt32(Int32.max), Int(header.fileByteCount) == byteCount else { throw .wrongSize }
    guard CRC32.checksum(bytes + 16, byteCount: byteCount - 16) == header.checksum else { throw .corrupted }
    guard header.arenaByteCount <= UInt32(Int32.max), header.stateByteCount <= UInt32(Int32.max) else {
      throw .badTensor
    }
    try Plan.requireSection(header, header.tensorOffset, header.tensorCount, MemoryLayout<TensorRecord>.stride)
    try Plan.requireSection(header, header.stepOffset, header.stepCount, MemoryLayout<StepRecord>.stride)
    try Plan.requireSection(header, header.operandOffset, header.operandCount, 4)
    try Plan.requireSection(header, header.paramsOffset, header.paramsByteCount, 1)
    try Plan.requireSection(header, header.namesOffset, header.namesByteCount, 1)
    try Plan.requireSection(header, header.provenanceOffset, header.provenanceByteCount, 1)
    try Plan.requireSection(header, header.selfTestOffset, header.selfTestByteCount, 1)
    try Plan.requireSection(header, header.constantsOffset, header.constantsByteCount, 1)
    self.model = model
    try verifyNames()
    try verifyTensors()
    try verifyOperands()
    try verifySteps(kernels)
  }

  private static func requireSection(_ header: ModelHeader, _ offset: UInt32, _ count: UInt32, _ stride: Int)
    throws(Status)
  {
    let (bytes, overflow) = count.multipliedReportingOverflow(by: UInt32(stride))
    guard !overflow, offset % UInt32(ModelFormat.sectionAlignment) == 0, offset <= header.fileByteCount,
      offset >= UInt32(MemoryLayout<ModelHeader>.size), bytes <= header.fileByteCount - offset
    else { throw .badReference }
  }

  /// The names section ends with NUL, so that every offset inside it starts a terminated string.
  private func verifyNames() throws(Status) {
    let header = model.header.pointee
    let count = header.namesByteCount
    if count > 0, model.base.load(fromByteOffset: Int(header.namesOffset) + Int(count) - 1, as: UInt8.self) != 0 {
      throw .badReference
    }
  }

  private func verifyTensors() throws(Status) {
    let header = model.header.pointee
    var index = 0
    while index < Int(header.tensorCount) {
      let tensor = model.tensor(index).pointee
      guard let type = StoredType(rawValue: tensor.type), let storage = TensorStorage(rawValue: tensor.storage),
        tensor.rank <= UInt32(ModelFormat.maximumRank), tensor.offset % 16 == 0,
        tensor.name == ModelFormat.none || tensor.name < header.namesByteCount
      else { throw .badTensor }
      var byteCount = UInt32(type.byteCount)
      var axis = 0
      while axis < ModelFormat.maximumRank {
        let dimension = tensor.dimension(axis)
        guard dimension > 0, axis < Int(tensor.rank) || dimension == 1 else { throw .badTensor }
        let (product, overflow) = byteCount.multipliedReportingOverflow(by: UInt32(dimension))
        guard !overflow, product <= UInt32(Int32.max) else { throw .badTensor }
        byteCount = product
        axis += 1
      }
      guard tensor.byteCount == byteCount else { throw .badTensor }
      switch type {
      case .int8: guard tensor.zeroPoint >= -128, tensor.zeroPoint <= 127 else { throw .badQuantization }
      case .int16: guard tensor.zeroPoint >= -32768, tensor.zeroPoint <= 32767 else { throw .badQuantization }
      case .int32: guard tensor.zeroPoint == 0 else { throw .badQuantization }
      }
      let available =
        switch storage {
        case .arena: header.arenaByteCount
        case .state: header.stateByteCount
        case .constant: header.constantsByteCount
        }
      let needed = byteCount + UInt32(ModelFormat.readSlack)
      guard tensor.offset <= available, needed <= available - tensor.offset else { throw .badTensor }
      if storage == .state, tensor.initialValue != ModelFormat.none {
        guard tensor.initialValue <= header.constantsByteCount,
          byteCount <= header.constantsByteCount - tensor.initialValue
        else { throw .badReference }
      }
      index += 1
    }
  }

  private func verifyOperands() throws(Status) {
    let header = model.header.pointee
    guard header.inputCount <= header.operandCount, header.outputCount <= header.operandCount - header.inputCount,
      header.inputCount > 0, header.outputCount > 0
    else { throw .badReference }
    var index = 0
    while index < Int(header.operandCount) {
      guard model.operand(index) < Int(header.tensorCount) else { throw .badReference }
      index += 1
    }
    index = 0
    while index < Int(header.inputCount) {
      guard model.tensor(model.input(index)).pointee.storage != TensorStorage.constant.rawValue else {
        throw .badTensor
      }
      index += 1
    }
  }

  private func verifySteps<Kernels: KernelSet>(_ kernels: Kernels) throws(Status) {
    let header = model.header.pointee
    var index = 0
    while index < Int(header.stepCount) {
      let step = model.step(index)
      let record = step.pointee
      guard record.params % 4 == 0, record.params <= header.paramsByteCount,
        record.paramsByteCount <= header.paramsByteCount - record.params,
        record.operands <= header.operandCount, record.inputCount <= header.operandCount - record.operands,
        record.outputCount <= header.operandCount - record.operands - record.inputCount,
        record.scratchOffset % UInt32(ModelFormat.pointerAlignment) == 0,
        record.scratchOffset <= header.arenaByteCount,
        record.scratchByteCount <= header.arenaByteCount - record.scratchOffset
      else { throw .badReference }
      let view = StepView(model: model, step: step)
      var output = 0
      while output < view.outputCount {
        guard view.output(output).pointee.storage != TensorStorage.constant.rawValue else { throw .badTensor }
        output += 1
      }
      try kernels.validate(record.code, view)
      index += 1
    }
  }

  /// Exact bytes of arena that a run needs.
  public var arenaByteCount: Int { Int(model.header.pointee.arenaByteCount) }
  /// Exact bytes of state that a run needs.
  public var stateByteCount: Int { Int(model.header.pointee.stateByteCount) }
}
