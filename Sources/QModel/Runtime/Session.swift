import QKernels

/// A model ready to run: a verified file with one arena and one state of its own.
///
/// Use one session per thread; the ``VerifiedModel`` may be shared.
public final class Session {
  /// The model.
  public let model: VerifiedModel
  /// The instruction set of the inner kernels.
  public let set: InnerSet
  private let arena: UnsafeMutableRawBufferPointer
  private let state: UnsafeMutableRawBufferPointer
  private let runner: PlanRunner
  /// Where elements in the source's order are stored, for the tensors that were asked for.
  private var positions: [Int: [Int32]] = [:]

  /// Allocates arena and state for `model` and resets the state.
  ///
  /// - Parameter set: the instruction set; every set gives the same bytes.
  /// - Throws: `ModelError.Kind.other` when this machine lacks the set.
  public init(_ model: VerifiedModel, set: InnerSet = .best) throws(ModelError) {
    self.model = model
    self.set = set
    // Exact sizes, so that a sanitizer sees any access beyond them. Zeroed: the slack behind tensors is read, not used.
    arena = Session.zeroed(model.arenaByteCount)
    state = Session.zeroed(model.stateByteCount)
    do throws(Status) {
      runner = try PlanRunner(plan: model.plan, arena: arena, state: state, set: set)
    } catch {
      arena.deallocate()
      state.deallocate()
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
  /// Quantizes real values into model input `index`.
  ///
  /// - Parameter values: as many as the input has elements, in the source model's order of axes.
  public func setInput(_ index: Int, quantizing values: UnsafeBufferPointer<Float>) {
    let info = inputs[index]
    precondition(values.count == info.elementCount, "the values do not fill the input")
    write(info) { info.quantized(values[$0]) }
  }

  /// Copies integers into model input `index`; values beyond the type are saturated.
  ///
  /// - Parameter values: as many as the input has elements, in the source model's order of axes.
  public func setInput(_ index: Int, integers values: [Int]) {
    let info = inputs[index], limits = info.type.range
    precondition(values.count == info.elementCount, "the values do not fill the input")
    write(info) { max(limits.lowerBound, min(values[$0], limits.upperBound)) }
  }

  /// The real values of tensor `index` of ``VerifiedModel/tensors``, in the source model's order of axes.
  public func dequantizedTensor(_ index: Int) -> [Float] {
    let info = model.tensors[index]
    return integers(ofTensor: index).map { info.dequantized($0) }
  }

  /// The real values of model output `index`, in the source model's order of axes.
  public func dequantizedOutput(_ index: Int) -> [Float] { dequantizedTensor(outputs[index].index) }

  /// The integers of model output `index`, in the source model's order of axes.
  public func integers(ofOutput index: Int) -> [Int] { integers(ofTensor: outputs[index].index) }

  /// The integers of tensor `index` of ``VerifiedModel/tensors``, in the source model's order of axes.
  public func integers(ofTensor index: Int) -> [Int] {
    let info = model.tensors[index]
    let positions = storedPositions(info)
    return withTensor(index) { bytes in
      func read<Element: FixedWidthInteger>(_: Element.Type) -> [Int] {
        let elements = bytes.assumingMemoryBound(to: Element.self)
        guard let positions else { return (0..<info.elementCount).map { Int(elements[$0]) } }
        return positions.map { Int(elements[Int($0)]) }
      }
      switch info.type {
      case .int8: return read(Int8.self)
      case .int16: return read(Int16.self)
      case .int32: return read(Int32.self)
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

  private func write(_ info: TensorInfo, _ value: (Int) -> Int) {
    let positions = storedPositions(info)
    withTensor(info.index) { bytes in
      func write<Element: FixedWidthInteger>(_: Element.Type) {
        let elements = bytes.assumingMemoryBound(to: Element.self)
        if let positions {
          for (i, position) in positions.enumerated() { elements[Int(position)] = Element(clamping: value(i)) }
        } else {
          for i in 0..<info.elementCount { elements[i] = Element(clamping: value(i)) }
        }
      }
      switch info.type {
      case .int8: write(Int8.self)
      case .int16: write(Int16.self)
      case .int32: write(Int32.self)
      }
    }
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
