import QKernels

/// A tensor of a plan under construction.
struct PlanTensor {
  /// Where its bytes are.
  enum Place: Equatable {
    /// In the arena; ``PlanBuilder`` finds the offset.
    case arena
    /// In the arena, in the memory of another tensor of the same byte count.
    case alias(of: Int)
    /// In the constants section, at this offset.
    case constant(UInt32)
    /// In the state buffer; `initialValue` is an offset in the constants section, nil for the zero point.
    case state(initialValue: UInt32?)
  }

  var name: String
  var shape: [Int]
  var type: StoredType
  var scale: Float
  var zeroPoint: Int
  var place: Place
  var sourceLayout: [Int]?
  var batchAxis: Int?
  /// The tensor's index in the source model, if it has one.
  var sourceIndex: Int?

  init(
    name: String = "", shape: [Int], type: StoredType, scale: Float = 0, zeroPoint: Int = 0, place: Place = .arena,
    sourceLayout: [Int]? = nil, batchAxis: Int? = nil, sourceIndex: Int? = nil
  ) {
    self.name = name
    self.shape = shape
    self.type = type
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.place = place
    self.sourceLayout = sourceLayout
    self.batchAxis = batchAxis
    self.sourceIndex = sourceIndex
  }

  var elementCount: Int { shape.reduce(1, *) }
  var byteCount: Int { elementCount * type.byteCount }
}

/// Collects tensors, constants and steps, then plans memory and writes the file.
///
/// Nothing depends on addresses, hashing or time: the same calls give the same bytes.
struct PlanBuilder {
  /// A step before its operands have addresses.
  struct Step {
    var code: OpCode
    /// The memory of the op's params struct.
    var params: [UInt8]
    var inputs: [Int]
    var outputs: [Int]
    var scratchByteCount: Int
    /// Positions of inputs whose memory output 0 may take over, best first.
    var inPlaceInputs: [Int]
  }

  private(set) var tensors: [PlanTensor] = []
  private(set) var steps: [Step] = []
  private(set) var constants: [UInt8] = []
  private var constantsByHash: [UInt64: [(offset: Int, count: Int)]] = [:]
  /// Tensor indices of the model's inputs and outputs.
  var inputs: [Int] = []
  var outputs: [Int] = []

  /// Adds a tensor and returns its index.
  mutating func add(_ tensor: PlanTensor) -> Int {
    tensors.append(tensor)
    return tensors.count - 1
  }

  /// Gives a tensor another shape of as many elements.
  mutating func setShape(_ shape: [Int], of tensor: Int) { tensors[tensor].shape = shape }

  /// Stores an array in the constants section, once, at a multiple of 64 bytes; returns its offset.
  mutating func constant<Element: FixedWidthInteger & BitwiseCopyable>(_ values: [Element]) -> UInt32 {
    let bytes = values.withUnsafeBytes { [UInt8]($0) }
    // FNV-1a; equal hashes are compared in full.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    for (offset, count) in constantsByHash[hash] ?? [] where count == bytes.count {
      if constants[offset..<offset + count].elementsEqual(bytes) { return UInt32(offset) }
    }
    constants.pad(toMultipleOf: ModelFormat.sectionAlignment)
    let offset = constants.count
    constants += bytes
    constantsByHash[hash, default: []].append((offset, bytes.count))
    return UInt32(truncatingIfNeeded: offset)
  }

  /// Adds a step.
  ///
  /// - Parameters:
  ///   - params: the op's params struct.
  ///   - scratch: bytes of working memory during the step.
  ///   - inPlaceInputs: positions of inputs that the op may overwrite with output 0, best first.
  mutating func step<Params: BitwiseCopyable>(
    _ code: OpCode, _ params: Params, inputs: [Int], outputs: [Int], scratch: Int = 0, inPlaceInputs: [Int] = []
  ) {
    steps.append(
      Step(
        code: code, params: withUnsafeBytes(of: params) { [UInt8]($0) }, inputs: inputs, outputs: outputs,
        scratchByteCount: scratch, inPlaceInputs: inPlaceInputs))
  }

  /// Whether a tensor's memory is (a view of) a model input, a constant or state, which a second tensor may not share
  /// when it must differ.
  func root(of tensor: Int) -> Int {
    var index = tensor
    while case .alias(let other) = tensors[index].place { index = other }
    return index
  }

  /// Plans memory and writes the file.
  ///
  /// - Throws: `ModelError.Kind.unsupported` for a model whose file, arena or state exceeds 2 GiB.
  func build(names keepNames: Bool, provenance: String, selfTest: [UInt8] = []) throws(ModelError) -> [UInt8] {
    let memory = ArenaAssignment(self)
    // Aliases follow their roots, so that a reader can tell what shares memory on purpose.
    let order = tensors.indices.sorted { (root(of: $0), $0) < (root(of: $1), $1) }
    var position = [Int](repeating: 0, count: tensors.count)
    for (new, old) in order.enumerated() { position[old] = new }

    var names: [UInt8] = []
    var nameOffsets: [String: UInt32] = [:]
    func nameOffset(_ name: String) -> UInt32 {
      if !keepNames || name.isEmpty { return ModelFormat.none }
      if let offset = nameOffsets[name] { return offset }
      let offset = UInt32(truncatingIfNeeded: names.count)
      names += name.utf8.filter { $0 != 0 }
      names.append(0)
      nameOffsets[name] = offset
      return offset
    }
    var records: [TensorRecord] = []
    for index in order {
      let tensor = tensors[index]
      var record = TensorRecord()
      record.type = tensor.type.rawValue
      record.setShape(tensor.shape)
      record.byteCount = UInt32(truncatingIfNeeded: tensor.byteCount)
      record.scaleBits = tensor.scale.bitPattern
      record.zeroPoint = Int32(truncatingIfNeeded: tensor.zeroPoint)
      record.name = nameOffset(tensor.name)
      record.sourceIndex = tensor.sourceIndex.map { UInt32($0) } ?? ModelFormat.none
      record.sourceLayout =
        SourceLayout(axes: tensor.sourceLayout, batchAxis: tensor.batchAxis, rank: tensor.shape.count).bits
      record.offset = UInt32(truncatingIfNeeded: memory.offsets[index])
      let root = tensors[self.root(of: index)]
      switch root.place {
      case .arena, .alias: record.storage = TensorStorage.arena.rawValue
      case .constant: record.storage = TensorStorage.constant.rawValue
      case .state(let initialValue):
        record.storage = TensorStorage.state.rawValue
        record.initialValue = initialValue ?? ModelFormat.none
      }
      records.append(record)
    }

    var operands = (inputs + outputs).map { UInt32(position[$0]) }
    var params: [UInt8] = []
    var stepRecords: [StepRecord] = []
    for (index, step) in steps.enumerated() {
      var record = StepRecord()
      record.code = step.code.rawValue
      params.pad(toMultipleOf: 4)
      record.params = UInt32(truncatingIfNeeded: params.count)
      record.paramsByteCount = UInt32(truncatingIfNeeded: step.params.count)
      params += step.params
      record.operands = UInt32(operands.count)
      record.inputCount = UInt32(step.inputs.count)
      record.outputCount = UInt32(step.outputs.count)
      operands += (step.inputs + step.outputs).map { UInt32(position[$0]) }
      record.scratchOffset = UInt32(truncatingIfNeeded: memory.scratchOffsets[index])
      record.scratchByteCount = UInt32(truncatingIfNeeded: step.scratchByteCount)
      stepRecords.append(record)
    }

    var header = ModelHeader()
    header.arenaByteCount = UInt32(truncatingIfNeeded: memory.arenaByteCount)
    header.stateByteCount = UInt32(truncatingIfNeeded: memory.stateByteCount)
    header.inputCount = UInt32(inputs.count)
    header.outputCount = UInt32(outputs.count)
    header.tensorCount = UInt32(records.count)
    header.stepCount = UInt32(stepRecords.count)
    header.operandCount = UInt32(operands.count)
    header.paramsByteCount = UInt32(truncatingIfNeeded: params.count)
    header.namesByteCount = UInt32(truncatingIfNeeded: names.count)
    header.provenanceByteCount = UInt32(provenance.utf8.count)
    header.selfTestByteCount = UInt32(truncatingIfNeeded: selfTest.count)
    header.constantsByteCount = UInt32(truncatingIfNeeded: constants.count + ModelFormat.readSlack)

    var file = [UInt8](repeating: 0, count: MemoryLayout<ModelHeader>.size)
    func section(_ bytes: [UInt8]) -> UInt32 {
      file.pad(toMultipleOf: ModelFormat.sectionAlignment)
      defer { file += bytes }
      return UInt32(truncatingIfNeeded: file.count)
    }
    header.tensorOffset = section(records.withUnsafeBytes { [UInt8]($0) })
    header.stepOffset = section(stepRecords.withUnsafeBytes { [UInt8]($0) })
    header.operandOffset = section(operands.withUnsafeBytes { [UInt8]($0) })
    header.paramsOffset = section(params)
    header.namesOffset = section(names)
    header.provenanceOffset = section([UInt8](provenance.utf8))
    header.selfTestOffset = section(selfTest)
    header.constantsOffset = section(constants + [UInt8](repeating: 0, count: ModelFormat.readSlack))
    file.pad(toMultipleOf: ModelFormat.sectionAlignment)

    let limit = Int(Int32.max)
    guard file.count <= limit, memory.arenaByteCount <= limit, memory.stateByteCount <= limit else {
      throw ModelError(
        .unsupported,
        "the model needs a file of \(file.count) bytes, an arena of \(memory.arenaByteCount) and a state of "
          + "\(memory.stateByteCount); the format holds 2 GiB each")
    }
    header.seal(&file)
    return file
  }
}

extension ModelHeader {
  /// Writes this header over the start of `file`, with the file's size and checksum.
  mutating func seal(_ file: inout [UInt8]) {
    fileByteCount = UInt32(file.count)
    let size = MemoryLayout<ModelHeader>.size
    withUnsafeBytes(of: self) { file.replaceSubrange(0..<size, with: $0) }
    checksum = file.withUnsafeBytes { bytes in
      bytes.baseAddress.map { CRC32.checksum($0 + 16, byteCount: bytes.count - 16) } ?? 0
    }
    withUnsafeBytes(of: self) { file.replaceSubrange(0..<size, with: $0) }
  }
}

extension TensorRecord {
  /// Sets rank and dimensions; at most ``ModelFormat/maximumRank`` axes.
  mutating func setShape(_ shape: [Int]) {
    func size(_ axis: Int) -> Int32 { axis < shape.count ? Int32(clamping: shape[axis]) : 1 }
    rank = UInt32(shape.count)
    dimension0 = size(0)
    dimension1 = size(1)
    dimension2 = size(2)
    dimension3 = size(3)
    dimension4 = size(4)
    dimension5 = size(5)
  }
}

extension [UInt8] {
  /// Appends zeros up to the next multiple of `alignment`.
  mutating func pad(toMultipleOf alignment: Int) {
    let rest = count % alignment
    if rest != 0 { append(contentsOf: repeatElement(0, count: alignment - rest)) }
  }
}
