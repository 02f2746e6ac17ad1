/// An interval of real values.
public struct ValueRange: Sendable, Equatable {
  /// The ends, `low <= high`.
  public var low: Float, high: Float

  /// The interval `low...high`.
  public init(low: Float, high: Float) {
    self.low = low
    self.high = high
  }

  /// The interval of no value.
  static let empty = ValueRange(low: .infinity, high: -.infinity)

  /// Whether there is a value in it.
  var isEmpty: Bool { low > high }

  /// Extends the interval to values.
  ///
  /// - Returns: whether all values are finite; only then the interval is right.
  mutating func include(_ values: UnsafeBufferPointer<Float>) -> Bool {
    var least = SIMD8<Float>(repeating: low), greatest = SIMD8<Float>(repeating: high)
    // Not-a-number for any value that is not finite, 0 otherwise.
    var poison = SIMD8<Float>(repeating: 0)
    var index = 0
    while let base = values.baseAddress, index + 8 <= values.count {
      let vector = UnsafeRawPointer(base + index).loadUnaligned(as: SIMD8<Float>.self)
      least.replace(with: vector, where: vector .< least)
      greatest.replace(with: vector, where: vector .> greatest)
      poison += vector * 0
      index += 8
    }
    var isFinite = poison == SIMD8<Float>(repeating: 0)
    low = least.min()
    high = greatest.max()
    while index < values.count {
      low = min(low, values[index])
      high = max(high, values[index])
      isFinite = isFinite && values[index].isFinite
      index += 1
    }
    return isFinite
  }

  /// The interval that contains both.
  func union(_ other: ValueRange) -> ValueRange {
    ValueRange(low: min(low, other.low), high: max(high, other.high))
  }

  /// The width in Double, where it cannot overflow.
  var span: Double { Double(high) - Double(low) }
}
