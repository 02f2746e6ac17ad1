/// A positive real factor as `multiplier × 2^(shift − 31)`.
public struct FixedPointMultiplier: BitwiseCopyable, Sendable, Equatable {
  /// Q0.31: 0, or in 2^30..<2^31.
  public var multiplier: Int32
  /// Positive = left.
  public var shift: Int32

  /// The factor `multiplier × 2^(shift − 31)`.
  @inline(__always) public init(multiplier: Int32, shift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
  }

  /// `value` times the factor under the double-rounding law.
  @inline(__always) public func requantized(_ value: Int32) -> Int32 {
    let left = max(shift, 0), right = max(-shift, 0)
    let product = (value &<< left).multipliedFullWidth(by: multiplier)
    let wide = unsafeBitCast(SIMD2<UInt32>(product.low, UInt32(bitPattern: product.high)), to: Int64.self)
    let high = Int32(truncatingIfNeeded: (wide &+ 1_073_741_824) &>> 31)
    if right == 0 { return high }
    let mask: Int32 = right == 31 ? Int32.max : (1 &<< right) &- 1
    let threshold = (mask &>> 1) &+ (high < 0 ? 1 : 0)
    return (high &>> right) &+ ((high & mask) > threshold ? 1 : 0)
  }
}
