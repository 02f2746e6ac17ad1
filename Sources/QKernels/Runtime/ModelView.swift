/// A zero-copy view of a model file in memory.
///
/// The accessors do not check: they are for files that passed ``Plan/init(validating:byteCount:)``.
public struct ModelView: @unchecked Sendable {
  /// The first byte of the file.
  public let base: UnsafeRawPointer

  /// A view of the file that starts at `base`.
  @inline(__always) public init(base: UnsafeRawPointer) { self.base = base }

  /// The file's header.
  @inline(__always) public var header: UnsafePointer<ModelHeader> { base.assumingMemoryBound(to: ModelHeader.self) }

  /// The record of tensor `index`.
  @inline(__always) public func tensor(_ index: Int) -> UnsafePointer<TensorRecord> {
    (base + Int(header.pointee.tensorOffset)).assumingMemoryBound(to: TensorRecord.self) + index
  }

  /// The record of step `index`.
  @inline(__always) public func step(_ index: Int) -> UnsafePointer<StepRecord> {
    (base + Int(header.pointee.stepOffset)).assumingMemoryBound(to: StepRecord.self) + index
  }

  /// Entry `index` of the operand table: a tensor index.
  @inline(__always) public func operand(_ index: Int) -> Int {
    Int((base + Int(header.pointee.operandOffset)).assumingMemoryBound(to: UInt32.self)[index])
  }

  /// The tensor index of model input `index`.
  @inline(__always) public func input(_ index: Int) -> Int { operand(index) }

  /// The tensor index of model output `index`.
  @inline(__always) public func output(_ index: Int) -> Int { operand(Int(header.pointee.inputCount) + index) }

  /// The byte at `offset` of the constants section.
  @inline(__always) public func constant(_ offset: UInt32) -> UnsafeRawPointer {
    base + Int(header.pointee.constantsOffset) + Int(offset)
  }

  /// The NUL-terminated string at `offset` of the names section, or nil for ``ModelFormat/none``.
  @inline(__always) public func name(_ offset: UInt32) -> UnsafePointer<CChar>? {
    offset == ModelFormat.none
      ? nil : (base + Int(header.pointee.namesOffset) + Int(offset)).assumingMemoryBound(to: CChar.self)
  }
}
