// Transcendental functions on Q-format integers, after gemmlowp's fixedpoint.h (Apache-2.0), bit for bit: "Qm.n" has m
// integer bits beside the sign and n = 31 - m fractional ones. Sums of Q values cannot leave 32 bits where they are
// documented; they are written with wrapping operators, so no input whatever can trap.

/// Returns `exp(a)` in Q0.31 for `a` in Q0.31, -1/4 <= a < 0: the Taylor polynomial of degree 4 around -1/8.
@inline(__always)
private func expOnQuarterInterval(_ a: Int32) -> Int32 {
  let expOfMinusEighth: Int32 = 1_895_147_668
  let third: Int32 = 715_827_883
  let x = a &+ (1 << 28)
  let x2 = roundingDoublingHighMultiply(x, x)
  let x3 = roundingDoublingHighMultiply(x2, x)
  let x4 = roundingDoublingHighMultiply(x2, x2)
  let tail = roundingDivide(
    roundingDoublingHighMultiply(roundingDivide(x4, byPowerOfTwo: 2) &+ x3, third) &+ x2, byPowerOfTwo: 1)
  return expOfMinusEighth &+ roundingDoublingHighMultiply(expOfMinusEighth, x &+ tail)
}

/// Returns `exp(a)` in Q0.31 for `a` <= 0 with `integerBits` integer bits.
///
/// - Parameter integerBits: 0...7.
public func fixedPointExp(onNegative a: Int32, integerBits: Int32) -> Int32 {
  assert(a <= 0 && integerBits >= 0 && integerBits <= 7)
  if a == 0 { return Int32.max }
  if integerBits > 5 && a < Int32(-1) &<< (36 &- integerBits) { return 0 }  // below -32
  let fractionalBits = 31 &- integerBits
  let quarter = Int32(1) &<< (fractionalBits &- 2)
  let remainderBelowQuarter = (a & (quarter &- 1)) &- quarter
  var result = expOnQuarterInterval(saturatingShiftLeft(remainderBelowQuarter, by: integerBits))
  // What is left is a multiple of 1/4; each of its bits multiplies by exp(-2^exponent), exponent = -2...4.
  let rest = remainderBelowQuarter &- a
  result = scaled(result, by: 1_672_461_947, ifBit: fractionalBits &- 2, of: rest)
  result = scaled(result, by: 1_302_514_674, ifBit: fractionalBits &- 1, of: rest)
  if integerBits > 0 { result = scaled(result, by: 790_015_084, ifBit: fractionalBits, of: rest) }
  if integerBits > 1 { result = scaled(result, by: 290_630_308, ifBit: fractionalBits &+ 1, of: rest) }
  if integerBits > 2 { result = scaled(result, by: 39_332_535, ifBit: fractionalBits &+ 2, of: rest) }
  if integerBits > 3 { result = scaled(result, by: 720_401, ifBit: fractionalBits &+ 3, of: rest) }
  if integerBits > 4 { result = scaled(result, by: 242, ifBit: fractionalBits &+ 4, of: rest) }
  return result
}

@inline(__always)
private func scaled(_ value: Int32, by factor: Int32, ifBit bit: Int32, of selector: Int32) -> Int32 {
  (selector &>> bit) & 1 != 0 ? roundingDoublingHighMultiply(value, factor) : value
}

/// Returns `2 / (1 + a)` in Q2.29 for `a` in Q0.31, 0 <= a <= 1, by three Newton-Raphson steps.
@inline(__always)
private func twoOverOnePlus(_ a: Int32) -> Int32 {
  let halfDenominator = roundingHalfSum(a, Int32.max)
  // 48/17 - 32/17 * d, the linear start of least error on 1/2 <= d <= 1.
  var x = Int32(1_515_870_810) &+ saturatingRoundingDoublingHighMultiply(halfDenominator, -1_010_580_540)
  var step: Int32 = 0
  while step < 3 {
    let product = saturatingRoundingDoublingHighMultiply(halfDenominator, x)
    let correction = saturatingRoundingDoublingHighMultiply(x, (Int32(1) << 29) &- product)
    x = x &+ saturatingShiftLeft(correction, by: 2)
    step &+= 1
  }
  return x
}

/// Returns `1 / (1 + a)` in Q0.31 for `a` in Q0.31, 0 <= a <= 1.
public func fixedPointOneOverOnePlus(_ a: Int32) -> Int32 {
  // 2 / (1 + a) in Q2.29 is 1 / (1 + a) in Q1.30.
  saturatingShiftLeft(twoOverOnePlus(a), by: 1)
}

/// Returns `(1 - a) / (1 + a)` in Q0.31 for `a` in Q0.31, 0 <= a <= 1.
public func fixedPointOneMinusOverOnePlus(_ a: Int32) -> Int32 {
  saturatingShiftLeft(twoOverOnePlus(a) &- (1 << 29), by: 2)
}

/// Returns `1 / (1 + exp(-a))` in Q0.31 for `a` with `integerBits` integer bits.
///
/// - Parameter integerBits: 0...6.
public func fixedPointLogistic(_ a: Int32, integerBits: Int32) -> Int32 {
  if a == 0 { return 1 << 30 }
  let minusMagnitude = a > 0 ? 0 &- a : a
  let ofMagnitude = fixedPointOneOverOnePlus(fixedPointExp(onNegative: minusMagnitude, integerBits: integerBits))
  return a > 0 ? ofMagnitude : Int32.max &- ofMagnitude
}

/// Returns `tanh(a)` in Q0.31 for `a` with `integerBits` integer bits.
///
/// - Parameter integerBits: 0...6.
public func fixedPointTanh(_ a: Int32, integerBits: Int32) -> Int32 {
  if a == 0 { return 0 }
  let minusMagnitude = a > 0 ? 0 &- a : a
  // The same raw value with one more integer bit is 2a: tanh(|a|) = (1 - exp(-2|a|)) / (1 + exp(-2|a|)).
  let ofMagnitude = fixedPointOneMinusOverOnePlus(
    fixedPointExp(onNegative: minusMagnitude, integerBits: integerBits &+ 1))
  return a > 0 ? ofMagnitude : 0 &- ofMagnitude
}

/// A positive number's reciprocal as `value / 2^31 / 2^bitsOverUnit`.
public struct FixedPointReciprocal: Equatable, Sendable {
  /// The significand, Q0.31, in 1/2 ... 1.
  public var value: Int32
  /// The number of bits of the original number above its binary point, minus one.
  public var bitsOverUnit: Int32
}

/// Returns `1 / x` for a positive `x` with `integerBits` integer bits (TFLite's GetReciprocal).
public func fixedPointReciprocal(_ x: Int32, integerBits: Int32) -> FixedPointReciprocal {
  assert(x > 0)
  let headroomPlusOne = Int32(truncatingIfNeeded: x.leadingZeroBitCount)
  // The leading one becomes the implicit 1 of 1 + fraction.
  let fraction = (x &<< headroomPlusOne) & Int32.max
  return FixedPointReciprocal(
    value: fixedPointOneOverOnePlus(fraction), bitsOverUnit: integerBits &- headroomPlusOne)
}
