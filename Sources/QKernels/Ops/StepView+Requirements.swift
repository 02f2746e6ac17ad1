// What several ops demand of their operands; each check is named after what it guarantees to the kernel.

extension StepView {
  /// Throws unless the step owns at least `byteCount` bytes of scratch that overlap no operand.
  ///
  /// Kernels keep row pointers in their scratch, and copies of their input: an output written over pointers would send
  /// later reads anywhere, and an input must not be copied onto itself.
  func requireScratch(_ byteCount: Int) throws(Status) {
    let size = Int(step.pointee.scratchByteCount), start = Int(step.pointee.scratchOffset)
    guard byteCount <= size else { throw .bufferTooSmall }
    if byteCount == 0 { return }
    var index = 0
    while index < inputCount + outputCount {
      // Inputs, then outputs.
      let record = input(index).pointee
      let first = Int(record.offset)
      if record.storage == TensorStorage.arena.rawValue, first < start + size, start < first + Int(record.byteCount) {
        throw .badReference
      }
      index += 1
    }
  }

  /// Throws unless both tensors have the same rank and dimensions.
  func requireSameShape(_ a: UnsafePointer<TensorRecord>, _ b: UnsafePointer<TensorRecord>) throws(Status) {
    guard a.pointee.rank == b.pointee.rank else { throw .badTensor }
    var axis = 0
    while axis < ModelFormat.maximumRank {
      guard a.pointee.dimension(axis) == b.pointee.dimension(axis) else { throw .badTensor }
      axis += 1
    }
  }

  /// Throws unless the tensor has rank 4.
  func requireRank4(_ tensor: UnsafePointer<TensorRecord>) throws(Status) {
    guard tensor.pointee.rank == 4 else { throw .badTensor }
  }

  /// The element type of a tensor (verified before any op sees it).
  @inline(__always) func type(of tensor: UnsafePointer<TensorRecord>) -> StoredType {
    StoredType(rawValue: tensor.pointee.type) ?? .int8
  }
}

extension StoredType {
  /// The smallest value.
  @inline(__always) var lowest: Int32 {
    switch self {
    case .int8: -128
    case .int16: -32768
    case .int32: Int32.min
    }
  }

  /// The largest value.
  @inline(__always) var highest: Int32 {
    switch self {
    case .int8: 127
    case .int16: 32767
    case .int32: Int32.max
    }
  }
}

/// Returns `a * b`; throws ``Status/badParams`` if it leaves `Int`.
@inline(__always)
func checkedProduct(_ a: Int, _ b: Int) throws(Status) -> Int {
  let (product, overflow) = a.multipliedReportingOverflow(by: b)
  if overflow { throw .badParams }
  return product
}

/// Returns `a + b`; throws ``Status/badParams`` if it leaves `Int`.
@inline(__always)
func checkedSum(_ a: Int, _ b: Int) throws(Status) -> Int {
  let (sum, overflow) = a.addingReportingOverflow(b)
  if overflow { throw .badParams }
  return sum
}

/// Returns `value` rounded up to a multiple of `unit`, a power of two.
@inline(__always)
func roundedUp(_ value: Int, toMultipleOf unit: Int) -> Int { (value &+ unit &- 1) & ~(unit &- 1) }

/// Throws unless `multiplier` is 0 ... 2^31 - 1 and the shift -31...30: the domain of a factor that need not be normalized.
func requireMultiplier(_ multiplier: Int32, shift: Int32) throws(Status) {
  guard multiplier >= 0, shift >= -31, shift <= 30 else { throw .badQuantization }
}
