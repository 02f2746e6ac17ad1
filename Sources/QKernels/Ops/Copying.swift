// What the ops that only move elements share: element sizes, merged axes, positions.

/// Copies one element of `size` bytes: 1, 2, 4 or any number of them.
@inline(__always)
func copyBlock(_ source: UnsafeRawPointer, to destination: UnsafeMutableRawPointer, byteCount: Int) {
  switch byteCount {
  case 1: destination.storeBytes(of: source.load(as: UInt8.self), as: UInt8.self)
  case 2: destination.storeBytes(of: source.load(as: UInt16.self), as: UInt16.self)
  case 4: destination.storeBytes(of: source.load(as: UInt32.self), as: UInt32.self)
  default: destination.copyMemory(from: source, byteCount: byteCount)
  }
}

extension TensorRecord {
  /// Bytes per element; ``byteCount`` was verified to be a whole number of elements.
  @inline(__always) var elementByteCount: Int { Int(byteCount) / elementCount }

  /// Bytes of the elements at one index of axis `axis`: those of all axes behind it.
  @inline(__always) func blockByteCount(behind axis: Int) -> Int {
    elementByteCount &* elementCount(from: axis &+ 1, to: Int(rank))
  }
}

/// A position in the first `count` axes of a tensor, walked in C order.
struct AxisCounter {
  private(set) var index: InlineArray<6, Int> = InlineArray(repeating: 0)
  private let count: Int

  init(axes count: Int) { self.count = count }

  /// Advances; false after the last position.
  @inline(__always)
  mutating func advance(in tensor: TensorRecord) -> Bool {
    var axis = count &- 1
    while axis >= 0 {
      index[axis] = index[axis] &+ 1
      if index[axis] < tensor.dimension(axis) { return true }
      index[axis] = 0
      axis &-= 1
    }
    return false
  }
}
