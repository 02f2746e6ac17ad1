// The roundings of this library, each under one name. Requantization uses the first two, in this order ("double
// rounding"); the others belong to single operations and say so.

/// Returns `a * b / 2^31`, rounded to nearest, ties towards plus infinity, `2^31` saturated to `Int32.max`.
///
/// This is ARM's SQRDMULH and gemmlowp's SaturatingRoundingDoublingHighMul. Gemmlowp adds a nudge by sign and divides
/// with truncation; the arithmetic shift below gives the same value for every product, because
/// `trunc((p + 1 - 2^30) / 2^31) == floor((p + 2^30) / 2^31)` for `p < 0`.
@inline(__always)
public func saturatingRoundingDoublingHighMultiply(_ a: Int32, _ b: Int32) -> Int32 {
  // Only (-2^31)^2 leaves the range: both factors have then the same sign pattern and equal Int32.min.
  if a == b && a == Int32.min { return Int32.max }
  return roundingDoublingHighMultiply(a, b)
}

/// Returns `a * b / 2^31`, rounded to nearest, ties towards plus infinity.
///
/// Equals ``saturatingRoundingDoublingHighMultiply(_:_:)`` unless both factors are `Int32.min`, which no quantized
/// multiplier is.
@inline(__always)
public func roundingDoublingHighMultiply(_ a: Int32, _ b: Int32) -> Int32 {
  let half: Int64 = 1_073_741_824
  return Int32(truncatingIfNeeded: (wideProduct(a, b) &+ half) &>> 31)
}

/// Returns `a * b / 2^15`, rounded to nearest, ties towards plus infinity, `2^15` saturated to `Int16.max`.
///
/// The 16-bit form of ``saturatingRoundingDoublingHighMultiply(_:_:)``, used by HARD_SWISH.
@inline(__always)
public func saturatingRoundingDoublingHighMultiply(_ a: Int16, _ b: Int16) -> Int16 {
  // At most 2^30 + 2^14: fits Int32. Only (-2^15)^2 exceeds Int16 after the shift.
  let product = (Int32(a) &* Int32(b) &+ 16384) &>> 15
  return product > 32767 ? Int16.max : Int16(truncatingIfNeeded: product)
}

/// Returns `x / 2^exponent`, rounded to nearest, ties away from zero (gemmlowp's RoundingDivideByPOT).
///
/// - Parameter exponent: 0...31.
@inline(__always)
public func roundingDivide(_ x: Int32, byPowerOfTwo exponent: Int32) -> Int32 {
  assert(exponent >= 0 && exponent <= 31)
  let mask = ~(Int32(-1) &<< exponent)
  // The threshold is half a unit for x >= 0 and one more for x < 0, where the shift has rounded downwards already.
  let threshold = (mask &>> 1) &- (x &>> 31)
  return (x &>> exponent) &+ ((x & mask) > threshold ? 1 : 0)
}

/// Returns `x / 2^exponent`, rounded to nearest, ties away from zero, for `exponent` 1...32 and all `x`
/// but the two ends of `Int32`.
///
/// Three additions and shifts instead of ``roundingDivide(_:byPowerOfTwo:)``'s comparison. The high product with a
/// multiplier 0 ... 2^31 - 1 lies between the two ends, so requantization may always use it.
@inline(__always)
public func roundingDivide(_ x: Int32, byPositivePowerOfTwo exponent: Int32) -> Int32 {
  assert(x > Int32.min && x < Int32.max && exponent >= 1 && exponent <= 32)
  // Neither sum wraps; floor((floor(t / 2^(e-1)) + 1) / 2) == floor((t + 2^(e-1)) / 2^e).
  let lowered = x &+ (x &>> 31)
  return ((lowered &>> (exponent &- 1)) &+ 1) &>> 1
}

/// Returns `sum / count`, rounded to nearest, ties away from zero: the rounding of AVERAGE_POOL_2D.
///
/// - Parameters:
///   - sum: at most 2^30 in magnitude, so that adding half of `count` cannot overflow.
///   - count: 1 ... 2^30.
@inline(__always)
public func roundedMean(sum: Int32, count: Int32) -> Int32 {
  assert(count > 0)
  let half = count &>> 1
  // The divisor is positive, so the division traps neither by zero nor by overflow.
  return (sum > 0 ? sum &+ half : sum &- half) / count
}

/// Returns `(a + b) / 2`, rounded to nearest, ties away from zero (gemmlowp's RoundingHalfSum).
@inline(__always)
public func roundingHalfSum(_ a: Int32, _ b: Int32) -> Int32 {
  let sum = widened(a) &+ widened(b)
  let up: Int64 = sum >= 0 ? 1 : 0
  return Int32(truncatingIfNeeded: (sum &+ up) &>> 1)
}

/// Returns `x * 2^exponent`, saturated at the ends of `Int32` (gemmlowp's SaturatingRoundingMultiplyByPOT, exponent >= 0).
///
/// As there, `-(2^(31 - exponent))`, whose exact product `Int32.min` would be representable, gives `Int32.min` by
/// saturation: no difference in value.
///
/// - Parameter exponent: 0...31.
@inline(__always)
public func saturatingShiftLeft(_ x: Int32, by exponent: Int32) -> Int32 {
  assert(exponent >= 0 && exponent <= 31)
  let largest = Int32.max &>> exponent
  if x > largest { return Int32.max }
  if x < 0 &- largest { return Int32.min }
  return x &<< exponent
}

/// Returns `a + b`, saturated at the ends of `Int32`.
@inline(__always)
public func saturatingAdd(_ a: Int32, _ b: Int32) -> Int32 {
  let (sum, overflow) = a.addingReportingOverflow(b)
  return overflow ? (a < 0 ? Int32.min : Int32.max) : sum
}

/// Returns `a - b`, saturated at the ends of `Int32`.
@inline(__always)
public func saturatingSubtract(_ a: Int32, _ b: Int32) -> Int32 {
  let (difference, overflow) = a.subtractingReportingOverflow(b)
  return overflow ? (a < 0 ? Int32.min : Int32.max) : difference
}

/// Returns `value` limited to `lower...upper`.
@inline(__always)
public func clamped(_ value: Int32, _ lower: Int32, _ upper: Int32) -> Int32 {
  value < lower ? lower : (value > upper ? upper : value)
}
