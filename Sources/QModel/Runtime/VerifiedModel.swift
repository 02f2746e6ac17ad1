import QKernels

/// A `.qkm` in memory that passed verification: immutable, shared by any number of sessions on any threads.
public final class VerifiedModel: @unchecked Sendable {
  private let memory: UnsafeMutableRawBufferPointer
  let plan: Plan
  /// All tensors, in the order of the file's tensor table.
  public let tensors: [TensorInfo]
  /// The model's inputs, in the source model's order.
  public let inputs: [TensorInfo]
  /// The inputs and every other view of their memory: all tensors whose values are known before the first step.
  public let inputValues: [Int]
  /// The model's outputs, in the source model's order.
  public let outputs: [TensorInfo]
  /// The steps, in the order in which they run.
  public let steps: [StepInfo]
  /// Tool version and digests, as text; empty when the file has none.
  public let provenance: String

  /// Copies the bytes of a `.qkm` into aligned memory and verifies them.
  ///
  /// - Throws: `ModelError.Kind.malformed` with the verification's status in words.
  public init(bytes: [UInt8]) throws(ModelError) {
    let memory = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(bytes.count, 1), alignment: ModelFormat.sectionAlignment)
    memory.copyBytes(from: bytes)
    guard let base = UnsafeRawPointer(memory.baseAddress) else { throw ModelError(.other, "out of memory") }
    let plan: Plan
    do throws(Status) {
      plan = try Plan(validating: base, byteCount: bytes.count)
    } catch {
      memory.deallocate()
      throw ModelError(.malformed, "not a usable model file: \(error.explanation)")
    }
    self.memory = memory
    self.plan = plan
    let view = plan.model, header = view.header.pointee
    let tensors = (0..<Int(header.tensorCount)).map { VerifiedModel.tensorInfo(view, $0) }
    self.tensors = tensors
    self.inputs = (0..<Int(header.inputCount)).map { tensors[view.input($0)] }
    self.outputs = (0..<Int(header.outputCount)).map { tensors[view.output($0)] }
    let views = VerifiedModel.views(view)
    let results = VerifiedModel.results(view, views)
    self.inputValues = (0..<Int(header.inputCount)).flatMap { [view.input($0)] + (views[view.input($0)] ?? []) }
    self.steps = (0..<Int(header.stepCount)).compactMap { VerifiedModel.stepInfo(view, $0, tensors, results[$0]) }
    self.provenance = String(
      decoding: UnsafeRawBufferPointer(
        start: base + Int(header.provenanceOffset), count: Int(header.provenanceByteCount)), as: UTF8.self)
  }

  deinit { memory.deallocate() }

  /// Exact bytes of working memory of one session.
  public var arenaByteCount: Int { plan.arenaByteCount }
  /// Bytes that one session keeps from run to run; 0 without recurrence.
  public var stateByteCount: Int { plan.stateByteCount }
  /// Bytes of workspace with which a session on `set` is faster; 0 where nothing is to be gained.
  public func workspaceByteCount(_ set: InnerSet) -> Int { plan.workspaceByteCount(set) }
  /// The size of the file.
  public var fileByteCount: Int { Int(plan.model.header.pointee.fileByteCount) }
  /// Multiply-accumulate operations of one run.
  public var macs: Int {
    steps.reduce(0) { sum, step in
      let (next, overflow) = sum.addingReportingOverflow(step.macs)
      return overflow ? Int.max : next
    }
  }

  private static func tensorInfo(_ view: ModelView, _ index: Int) -> TensorInfo {
    let record = view.tensor(index).pointee
    let rank = Int(record.rank)
    return TensorInfo(
      index: index,
      name: view.name(record.name).map { String(cString: $0) },
      shape: (0..<rank).map { record.dimension($0) },
      type: StoredType(rawValue: record.type) ?? .int8,
      scale: Float(bitPattern: record.scaleBits),
      zeroPoint: Int(record.zeroPoint),
      sourceLayout: SourceLayout(bits: record.sourceLayout).axes(rank: rank),
      batchAxis: SourceLayout(bits: record.sourceLayout).batchAxis(rank: rank),
      sourceIndex: record.sourceIndex == ModelFormat.none ? nil : Int(record.sourceIndex))
  }

  /// For each tensor that a step computes or a caller writes, the further views of its memory: the tensors after it in
  /// the table that nothing computes and that have its address and size.
  private static func views(_ view: ModelView) -> [Int: [Int]] {
    let header = view.header.pointee
    var isComputed = [Bool](repeating: false, count: Int(header.tensorCount))
    for index in 0..<Int(header.inputCount) { isComputed[view.input(index)] = true }
    for index in 0..<Int(header.stepCount) {
      let step = view.step(index).pointee
      for output in 0..<Int(step.outputCount) {
        isComputed[view.operand(Int(step.operands) + Int(step.inputCount) + output)] = true
      }
    }
    var views: [Int: [Int]] = [:]
    var root = -1
    for index in 0..<Int(header.tensorCount) {
      let record = view.tensor(index).pointee
      if isComputed[index] || root < 0 {
        root = index
        continue
      }
      let source = view.tensor(root).pointee
      if record.storage == source.storage, record.offset == source.offset, record.byteCount == source.byteCount {
        views[root, default: []].append(index)
      } else {
        root = index
      }
    }
    return views
  }

  /// For each step, the tensors whose final values it computes: its outputs, states that it changes in place, and the views
  /// of both. A state in the arena is first set by another step; its views belong to the one that changes it last.
  private static func results(_ view: ModelView, _ views: [Int: [Int]]) -> [[Int]] {
    let count = Int(view.header.pointee.stepCount)
    let written = (0..<count).map { index in
      let step = view.step(index).pointee
      let operands = (0..<Int(step.inputCount + step.outputCount)).map { view.operand(Int(step.operands) + $0) }
      let states = OpCode(rawValue: step.code)?.stateOperands(inputCount: Int(step.inputCount)) ?? 0..<0
      return operands[Int(step.inputCount)...] + operands[states]
    }
    var lastWriter: [Int: Int] = [:]
    for (index, tensors) in written.enumerated() {
      for tensor in tensors { lastWriter[tensor] = index }
    }
    return written.enumerated().map { index, tensors in
      tensors.filter { lastWriter[$0] == index }.flatMap { [$0] + (views[$0] ?? []) }
    }
  }

  private static func stepInfo(
    _ view: ModelView, _ index: Int, _ tensors: [TensorInfo], _ values: [Int]
  ) -> StepInfo? {
    let record = view.step(index).pointee
    guard let code = OpCode(rawValue: record.code) else { return nil }
    let first = Int(record.operands), inputCount = Int(record.inputCount), outputCount = Int(record.outputCount)
    let inputs = (0..<inputCount).map { view.operand(first + $0) }
    let outputs = (0..<outputCount).map { view.operand(first + inputCount + $0) }
    let name = values.lazy.compactMap { tensors[$0].name }.first
    return StepInfo(
      name: name, code: code,
      macs: stepMacs(view, record, code, inputs.map { tensors[$0] }, outputs.map { tensors[$0] }),
      inputs: inputs, outputs: outputs, values: values)
  }
}

extension OpCode {
  /// The positions of inputs that the op changes in place.
  func stateOperands(inputCount: Int) -> Range<Int> {
    switch self {
    case .svdf, .lstm, .gru, .rnn: 1..<max(1, inputCount)
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .add, .mul, .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu, .requantize, .pad, .concatenation, .slice,
      .transpose, .copy, .resizeNearest, .resizeBilinear, .conv2DInt16, .depthwiseConv2DInt16, .transposeConv2DInt16,
      .fullyConnectedInt16, .batchMatMulInt16, .addInt16, .mulInt16, .logisticTanhInt16, .leakyReluInt16, .softmaxInt16:
      0..<0
    }
  }
}

/// The `sourceLayout` word of a tensor record: 4 bits per axis, and the batch axis in bits 24...27.
struct SourceLayout {
  var bits: UInt32

  init(bits: UInt32) { self.bits = bits }

  /// Encodes a permutation (nil: none) and the stored axis that counts samples (nil: none).
  init(axes: [Int]?, batchAxis: Int?, rank: Int) {
    if axes == nil && batchAxis == nil {
      bits = ModelFormat.none
      return
    }
    var word: UInt32 = 0xF000_0000 | UInt32(batchAxis ?? 15) << 24
    for axis in 0..<ModelFormat.maximumRank {
      let stored = axis < rank ? axes?[axis] ?? axis : axis
      word |= UInt32(stored) << UInt32(4 * axis)
    }
    bits = word
  }

  /// The permutation, or nil when it is the identity or not a permutation.
  func axes(rank: Int) -> [Int]? {
    if bits == ModelFormat.none { return nil }
    let axes = (0..<rank).map { Int(bits >> UInt32(4 * $0) & 15) }
    let identity = Array(0..<rank)
    return axes != identity && axes.sorted() == identity ? axes : nil
  }

  /// The stored axis that counts samples.
  func batchAxis(rank: Int) -> Int? {
    let axis = Int(bits >> 24 & 15)
    return axis < rank ? axis : nil
  }
}

extension Status {
  /// What the status means, in words for the person at the command line.
  public var explanation: String {
    switch self {
    case .ok: "no error"
    case .notAModel: "it is no .qkm file of this format version"
    case .wrongSize: "its size is not the one that its header gives"
    case .corrupted: "its checksum does not match its contents"
    case .badReference: "a table or constant lies outside the file"
    case .badTensor: "a tensor record is inconsistent"
    case .unknownOp: "it uses an operation that this version does not know"
    case .badParams: "an operation's parameters contradict its tensors"
    case .badQuantization: "a multiplier, shift, zero point or clamp is outside its domain"
    case .bufferTooSmall: "the arena or state buffer is too small or misaligned"
    case .badArgument: "an argument is invalid"
    case .selfTestFailed: "the self-test found a layer whose output differs"
    }
  }
}
