/// A real factor `multiplier / 2^31 * 2^shift`, the form in which every scale ratio reaches a kernel.
///
/// - `multiplier` is Q0.31: 0, or 2^30 ... 2^31 - 1 in magnitude; it is negative only where an op subtracts.
/// - `shift` is -31...30; positive means left.
public struct FixedPointMultiplier: BitwiseCopyable, Sendable, Equatable {
  /// The significand, Q0.31: 0, or 2^30 ... 2^31 - 1 in magnitude.
  public var multiplier: Int32
  /// The power of two; positive means left.
  public var shift: Int32

  /// The factor `multiplier / 2^31 * 2^shift`, unchecked.
  @inline(__always)
  public init(multiplier: Int32, shift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
  }

  /// `value` times the factor under the double-rounding law.
  @inline(__always)
  public func requantized(_ value: Int32) -> Int32 {
    multiplyByQuantizedMultiplier(value, multiplier: multiplier, shift: shift)
  }

  /// `value` times the factor under the law for 64-bit accumulators.
  @inline(__always)
  public func requantized(_ value: Int64) -> Int32 {
    multiplyByQuantizedMultiplier(value, multiplier: multiplier, shift: shift)
  }
}

/// Returns `x * multiplier / 2^31 * 2^shift` by the rounding law of this library ("double rounding").
///
/// The value is shifted left (wrapping), multiplied with
/// ``saturatingRoundingDoublingHighMultiply(_:_:)``, then divided with ``roundingDivide(_:byPowerOfTwo:)``.
/// Source: TFLite reference, MultiplyByQuantizedMultiplier (int32, double rounding).
///
/// - Parameters:
///   - x: any value for a multiplier of 0 or more, whose high product lies between the ends of `Int32`; for a negative
///     one (a subtraction, whose `x` has less than 30 bits) not `Int32.min`.
///   - multiplier: Q0.31, not `Int32.min`.
///   - shift: -31...30; positive means left.
@inline(__always)
public func multiplyByQuantizedMultiplier(_ x: Int32, multiplier: Int32, shift: Int32) -> Int32 {
  assert(multiplier > Int32.min && shift >= -31 && shift <= 30)
  if shift >= 0 { return roundingDoublingHighMultiply(x &<< shift, multiplier) }
  return roundingDivide(roundingDoublingHighMultiply(x, multiplier), byPositivePowerOfTwo: 0 &- shift)
}

/// Returns `multiplier` reduced to 16 bits, Q0.15, rounded half up and saturated: the form for 64-bit accumulators.
@inline(__always)
public func reducedMultiplier(_ multiplier: Int32) -> Int32 {
  multiplier < 0x7FFF_0000 ? (multiplier &+ (1 << 15)) &>> 16 : 0x7FFF
}

/// Returns `x * multiplier / 2^31 * 2^shift` for a 64-bit accumulator (int16 activations with int8 weights).
///
/// The multiplier is first reduced to 16 bits; the product is rounded once, ties towards plus infinity; what exceeds
/// 32 bits is cut off, as in the source: TFLite reference, MultiplyByQuantizedMultiplier (int64).
///
/// - Parameters:
///   - x: -2^47 ..< 2^47.
///   - multiplier: Q0.31, not negative.
///   - shift: -31...14; positive means left.
@inline(__always)
public func multiplyByQuantizedMultiplier(_ x: Int64, multiplier: Int32, shift: Int32) -> Int32 {
  assert(multiplier >= 0 && shift >= -31 && shift <= 14)
  // At most 2^47 * 2^15 + 2^45: fits Int64.
  let totalShift = widened(15 &- shift)
  let one: Int64 = 1
  let product = x &* widened(reducedMultiplier(multiplier))
  return Int32(truncatingIfNeeded: (product &+ (one &<< (totalShift &- 1))) &>> totalShift)
}
