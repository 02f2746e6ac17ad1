/// Returns `log(x)`, natural, with `outputIntegerBits` integer bits, for `x` >= 1 with `inputIntegerBits`.
///
/// TFLite's log_x_for_x_greater_than_or_equal_to_1, bit for bit (common.h, Apache-2.0). `x` is written as `r * 2^k` in
/// two ways, `k` rounded up by 1/4 and by 3/4 of a bit; the smaller `r` is the closer one to 2^(-1/4), around which a
/// rational approximation of degree 2 runs. LOG_SOFTMAX is the only user, with 12 and 5 integer bits.
///
/// - Parameters:
///   - x: positive.
///   - outputIntegerBits: enough for the logarithm of the largest input: 4 for 11...21 bits.
public func fixedPointLog(_ x: Int32, inputIntegerBits: Int32, outputIntegerBits: Int32) -> Int32 {
  assert(x > 0)
  // One more bit than the output, because the power of two's part alone may exceed the sum.
  let accumulatorBits = outputIntegerBits &+ 1
  let accumulatorFraction = 31 &- accumulatorBits
  let log2: Int32 = 1_488_522_236
  let fourthRootOfHalf: Int32 = 1_805_811_301
  let rootOfHalf: Int32 = 1_518_500_250
  let shiftedQuarter = roundingDivide(Int32(536_870_912), byPowerOfTwo: accumulatorBits)

  let headroomA = Int32(truncatingIfNeeded: x.leadingZeroBitCount) &- 1
  let normalizedA = saturatingShiftLeft(x, by: headroomA)
  let rA = saturatingShiftLeft(saturatingRoundingDoublingHighMultiply(normalizedA, rootOfHalf), by: 1)
  let powerA = saturatingAdd(
    saturatingShiftLeft(inputIntegerBits &- (headroomA &+ 1), by: accumulatorFraction), shiftedQuarter)

  let scaledDown = saturatingRoundingDoublingHighMultiply(x, rootOfHalf)
  let headroomB = Int32(truncatingIfNeeded: scaledDown.leadingZeroBitCount) &- 1
  let rB = saturatingShiftLeft(x, by: headroomB)
  let powerB = saturatingSubtract(
    saturatingShiftLeft(inputIntegerBits &- headroomB, by: accumulatorFraction), shiftedQuarter)

  let r = rA < rB ? rA : rB
  let power = powerA > powerB ? powerA : powerB

  let p = roundingHalfSum(r, fourthRootOfHalf)
  let q = (r &- fourthRootOfHalf) &* 2
  let q2 = saturatingRoundingDoublingHighMultiply(q, q)
  let numerator =
    saturatingRoundingDoublingHighMultiply(q, r)
    &+ saturatingRoundingDoublingHighMultiply(saturatingRoundingDoublingHighMultiply(q, q2), 117_049_297)
  let denominatorMinusOne =
    saturatingRoundingDoublingHighMultiply(
      p, (1_057_819_769 &+ q) &+ saturatingRoundingDoublingHighMultiply(127_690_142, q2))
    &+ saturatingRoundingDoublingHighMultiply(638_450_708, q)
  let reciprocal = fixedPointOneOverOnePlus(denominatorMinusOne)

  let scaledNumerator = roundingDivide(numerator, byPowerOfTwo: accumulatorBits)
  let sum =
    saturatingRoundingDoublingHighMultiply(power, log2)
    &+ saturatingRoundingDoublingHighMultiply(scaledNumerator, reciprocal)
  return saturatingShiftLeft(sum, by: accumulatorBits &- outputIntegerBits)
}
