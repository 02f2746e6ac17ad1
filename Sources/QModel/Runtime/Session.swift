import QKernels

/// A model ready to run: a verified file with arena, state and workspace of its own.
///
/// Use one session per thread; the ``VerifiedModel`` may be shared.
public final class Session {
  /// The model.
  public let model: VerifiedModel
  /// The instruction set of the inner kernels.
  public let set: InnerSet
  private let arena: UnsafeMutableRawBufferPointer
  private let state: UnsafeMutableRawBufferPointer
  private let workspace: UnsafeMutableRawBufferPointer
  private let runner: PlanRunner
  /// Where elements in the source's order are stored, for the tensors that were asked for.
  private var positions: [Int: [Int32]] = [:]

  /// Allocates arena, state and workspace for `model` and resets the state.
  ///
  /// - Parameters:
  ///   - set: the instruction set; every set gives the same bytes.
  ///   - usesWorkspace: whether runs may be faster at the price of ``VerifiedModel/workspaceByteCount(_:)`` more bytes.
  /// - Throws: `ModelError.Kind.other` when this machine lacks the set.
  public init(_ model: VerifiedModel, set: InnerSet = .best, usesWorkspace: Bool = true) throws(ModelError) {
    self.model = model
    self.set = set
    // Exact sizes, so that a sanitizer sees any access beyond them. Zeroed: the slack behind tensors is read, not used.
    arena = Session.zeroed(model.arenaByteCount)
    state = Session.zeroed(model.stateByteCount)
    workspace = Session.zeroed(usesWorkspace ? model.workspaceByteCount(set) : 0)
    do throws(Status) {
      runner = try PlanRunner(plan: model.plan, arena: arena, state: state, workspace: workspace, set: set)
    } catch {
      arena.deallocate()
      state.deallocate()
      workspace.deallocate()
      throw ModelError(.other, "cannot run the model on instruction set \(set.name): \(error.explanation)")
    }
  }

  /// Verifies the bytes of a `.qkm` and prepares to run it.
  public convenience init(bytes: [UInt8], set: InnerSet = .best) throws(ModelError) {
    try self.init(try VerifiedModel(bytes: bytes), set: set)
  }

  deinit {
    arena.deallocate()
    state.deallocate()
    workspace.deallocate()
  }

  private static func zeroed(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: ModelFormat.sectionAlignment)
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    return memory
  }

  /// The model's inputs.
  public var inputs: [TensorInfo] { model.inputs }
  /// The model's outputs.
  public var outputs: [TensorInfo] { model.outputs }
  /// The steps of a run.
  public var steps: [StepInfo] { model.steps }

  /// Sets recurrent state to its initial values.
  public func reset() { runner.reset() }

  /// The recurrent state as plain bytes; empty for a model without.
  public var savedState: [UInt8] { [UInt8](state.prefix(model.stateByteCount)) }

  /// Continues from a state that ``savedState`` gave.
  ///
  /// - Throws: `ModelError.Kind.mismatch` for bytes that are not as many as the model's state.
  public func restore(state bytes: [UInt8]) throws(ModelError) {
    guard bytes.count == model.stateByteCount else {
      throw ModelError(.mismatch, "the state has \(bytes.count) bytes, expected \(model.stateByteCount)")
    }
    state.copyBytes(from: bytes)
  }

  /// Runs every step. Write all inputs before: a run reuses their memory.
  public func run() { runner.run() }

  /// Runs step `index` alone, for traces and timing; a run is every step in order.
  public func runStep(_ index: Int) { runner.runStep(index) }

  /// The CRC-32 of all outputs of step `index`, right after it ran.
  public func outputChecksum(ofStep index: Int) -> UInt32 { runner.outputChecksum(ofStep: index) }

  /// The first step whose outputs differ from those in the file's self-test, nil when all agree.
  ///
  /// - Throws: `ModelError.Kind.mismatch` when the file carries no self-test.
  public func firstFailingStep() throws(ModelError) -> Int? {
    do throws(Status) {
      return try runner.firstFailingStep()
    } catch {
      throw ModelError(.mismatch, "the model carries no self-test", hint: "quantize it again with --self-test")
    }
  }

  /// The memory of tensor `index` of ``VerifiedModel/tensors``, in stored layout. An activation's bytes are valid from
  /// the step that computes it until a later step reuses its memory; read it right after ``runStep(_:)``.
  public func withTensor<Result>(_ index: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows
    -> Result
  {
    try body(
      UnsafeMutableRawBufferPointer(start: runner.memory(ofTensor: index), count: model.tensors[index].byteCount))
  }

  /// The memory of model input `index`, in stored layout.
  public func withInput<Result>(_ index: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows
    -> Result
  { try withTensor(inputs[index].index, body) }

  /// The memory of model output `index`, in stored layout; valid until the next run.
  public func withOutput<Result>(_ index: Int, _ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows
    -> Result
  { try withTensor(outputs[index].index, body) }
}

// Values in and out, in the source model's order of axes.
extension Session {
  /// Quantizes real values into model input `index`, each as ``TensorInfo/quantized(_:)`` says.
  ///
  /// - Parameter values: as many as the input has elements, in the source model's order of axes.
  public func setInput(_ index: Int, quantizing values: UnsafeBufferPointer<Float>) {
    let info = inputs[index]
    precondition(values.count == info.elementCount, "the values do not fill the input")
    switch info.type {
    case .int8:
      let form = SmallQuantization<Int8>(info)
      write(info) { form.quantized(values[$0]) }
    case .int16:
      let form = SmallQuantization<Int16>(info)
      write(info) { form.quantized(values[$0]) }
    case .int32: write(info) { Int32(truncatingIfNeeded: info.quantized(values[$0])) }
    }
  }

  /// Copies integers into model input `index`; values beyond the type are saturated.
  ///
  /// - Parameter values: as many as the input has elements, in the source model's order of axes.
  public func setInput(_ index: Int, integers values: [Int]) {
    let info = inputs[index]
    precondition(values.count == info.elementCount, "the values do not fill the input")
    switch info.type {
    case .int8: write(info) { Int8(clamping: values[$0]) }
    case .int16: write(info) { Int16(clamping: values[$0]) }
    case .int32: write(info) { Int32(clamping: values[$0]) }
    }
  }

  /// Copies integers of the input's own type into model input `index`.
  ///
  /// - Parameter bytes: the elements, little-endian, of any alignment, in the source model's order of axes.
  public func setInput(_ index: Int, bytes: UnsafeRawBufferPointer) {
    let info = inputs[index]
    precondition(bytes.count == info.byteCount, "the bytes do not fill the input")
    func write<Element: FixedWidthInteger & BitwiseCopyable>(_: Element.Type) {
      self.write(info) {
        Element(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 &* MemoryLayout<Element>.size, as: Element.self))
      }
    }
    switch info.type {
    case .int8: write(Int8.self)
    case .int16: write(Int16.self)
    case .int32: write(Int32.self)
    }
  }

  /// The real values of tensor `index` of ``VerifiedModel/tensors``, in the source model's order of axes.
  public func dequantizedTensor(_ index: Int) -> [Float] {
    let count = model.tensors[index].elementCount
    return [Float](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      copyDequantized(index, to: UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initializedCount = count
    }
  }

  /// The real values of model output `index`, in the source model's order of axes.
  public func dequantizedOutput(_ index: Int) -> [Float] { dequantizedTensor(outputs[index].index) }

  /// Writes the real values of tensor `index` of ``VerifiedModel/tensors`` to `target`, each as
  /// ``TensorInfo/dequantized(_:)`` says, in the source model's order of axes.
  public func copyDequantized(_ index: Int, to target: UnsafeMutableBufferPointer<Float>) {
    let info = model.tensors[index]
    precondition(target.count == info.elementCount, "the values do not fill the target")
    let scale = info.scale
    switch info.type {
    // Differences of up to 17 bits are exact in single precision: their products are rounded once.
    case .int8:
      let zeroPoint = Int32(truncatingIfNeeded: info.zeroPoint)
      read(info, Int8.self) { target[$0] = Float(Int32($1) &- zeroPoint) * scale }
    case .int16:
      let zeroPoint = Int32(truncatingIfNeeded: info.zeroPoint)
      read(info, Int16.self) { target[$0] = Float(Int32($1) &- zeroPoint) * scale }
    case .int32: read(info, Int32.self) { target[$0] = info.dequantized(Int($1)) }
    }
  }

  /// Writes the integers of tensor `index` of ``VerifiedModel/tensors`` to `target`, little-endian, of the tensor's own
  /// type, in the source model's order of axes.
  public func copyIntegers(_ index: Int, to target: UnsafeMutableRawBufferPointer) {
    let info = model.tensors[index]
    precondition(target.count == info.byteCount, "the integers do not fill the target")
    func copy<Element: FixedWidthInteger & BitwiseCopyable>(_: Element.Type) {
      read(info, Element.self) {
        target.storeBytes(of: $1.littleEndian, toByteOffset: $0 &* MemoryLayout<Element>.size, as: Element.self)
      }
    }
    switch info.type {
    case .int8: copy(Int8.self)
    case .int16: copy(Int16.self)
    case .int32: copy(Int32.self)
    }
  }

  /// The integers of model output `index`, in the source model's order of axes.
  public func integers(ofOutput index: Int) -> [Int] { integers(ofTensor: outputs[index].index) }

  /// The integers of tensor `index` of ``VerifiedModel/tensors``, in the source model's order of axes.
  public func integers(ofTensor index: Int) -> [Int] {
    let info = model.tensors[index]
    return [Int](unsafeUninitializedCapacity: info.elementCount) { buffer, count in
      count = info.elementCount
      switch info.type {
      case .int8: read(info, Int8.self) { buffer[$0] = Int($1) }
      case .int16: read(info, Int16.self) { buffer[$0] = Int($1) }
      case .int32: read(info, Int32.self) { buffer[$0] = Int($1) }
      }
    }
  }

  /// ``TensorInfo/storedPositions``, computed once.
  private func storedPositions(_ info: TensorInfo) -> [Int32]? {
    if info.sourceLayout == nil { return nil }
    if let known = positions[info.index] { return known }
    positions[info.index] = info.storedPositions
    return positions[info.index]
  }

  /// Sets every element of a tensor; `value` gets its place in source order.
  @inline(__always)
  private func write<Element: BitwiseCopyable>(_ info: TensorInfo, _ value: (Int) -> Element) {
    let positions = storedPositions(info), count = info.elementCount
    withTensor(info.index) { bytes in
      let elements = bytes.assumingMemoryBound(to: Element.self)
      if let positions {
        for i in 0..<count { elements[Int(positions[i])] = value(i) }
      } else {
        for i in 0..<count { elements[i] = value(i) }
      }
    }
  }

  /// Calls `body` with the place in source order and the value of every element of a tensor.
  @inline(__always)
  private func read<Element: BitwiseCopyable>(_ info: TensorInfo, _: Element.Type, _ body: (Int, Element) -> Void) {
    let positions = storedPositions(info), count = info.elementCount
    withTensor(info.index) { bytes in
      let elements = bytes.assumingMemoryBound(to: Element.self)
      if let positions {
        for i in 0..<count { body(i, elements[Int(positions[i])]) }
      } else {
        for i in 0..<count { body(i, elements[i]) }
      }
    }
  }
}

/// ``TensorInfo/quantized(_:)`` for types of at most 16 bits, without branches, so that loops over it become vector code.
private struct SmallQuantization<Element: FixedWidthInteger> {
  let scale: Float
  let zeroPoint: Int32

  init(_ info: TensorInfo) {
    scale = info.scale
    zeroPoint = Int32(truncatingIfNeeded: info.zeroPoint)
  }

  /// Adding 1.5 · 2^23 to less than 2^22 rounds to an integer, ties to even, and leaves it in the low bits. What is left
  /// of the value then is exact, and tells where the tie should have gone the other way.
  @inline(__always)
  func quantized(_ value: Float) -> Element {
    // Beyond this every type saturates, whatever its zero point.
    let limit: Float = 0x1p17, magic: Float = 0x1.8p23
    var steps = value / scale
    steps = steps != steps ? 0 : steps
    steps = steps < -limit ? -limit : steps
    steps = steps > limit ? limit : steps
    let shifted = steps + magic
    let rest = steps - (shifted - magic)
    var integer = Int32(bitPattern: shifted.bitPattern &- magic.bitPattern)
    integer = integer &+ (rest == 0.5 && steps > 0 ? 1 : 0)
    integer = integer &- (rest == -0.5 && steps < 0 ? 1 : 0)
    integer = integer &+ zeroPoint
    integer = max(Int32(Element.min), min(integer, Int32(Element.max)))
    return Element(truncatingIfNeeded: integer)
  }
}

extension TensorInfo {
  /// For each element in source order, its place in stored order; nil when the layouts are the same.
  fileprivate var storedPositions: [Int32]? {
    guard let sourceLayout else { return nil }
    var storedStrides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      storedStrides[axis] = storedStrides[axis + 1] * shape[axis + 1]
    }
    var positions: [Int32] = [0]
    for stored in sourceLayout {
      // A tensor has fewer than 2^31 elements.
      let step = Int32(storedStrides[stored])
      positions = positions.flatMap { base in (0..<Int32(shape[stored])).map { base + $0 * step } }
    }
    return positions
  }
}
