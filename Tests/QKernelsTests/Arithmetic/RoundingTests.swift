import Testing

@testable import QKernels

/// The second formulas: division with truncation towards zero, as gemmlowp's C++ writes them, in wide integers.
enum Truncating {
  static func highMultiply(_ a: Int32, _ b: Int32) -> Int32 {
    if a == Int32.min && b == Int32.min { return Int32.max }
    let product = Int64(a) * Int64(b)
    let nudge: Int64 = product >= 0 ? 1 << 30 : 1 - (1 << 30)
    return Int32((product + nudge) / (1 << 31))
  }

  /// Half away from zero by magnitudes.
  static func divide(_ x: Int64, by divisor: Int64) -> Int64 {
    let magnitude = (abs(x) * 2 + divisor) / (divisor * 2)
    return x < 0 ? -magnitude : magnitude
  }

  static func requantize(_ x: Int32, _ multiplier: Int32, _ shift: Int32) -> Int32 {
    let left = Int32(truncatingIfNeeded: Int64(x) << Int64(max(shift, 0)))
    return Int32(divide(Int64(highMultiply(left, multiplier)), by: 1 << Int64(max(-shift, 0))))
  }

  static func requantizeWide(_ x: Int64, _ multiplier: Int32, _ shift: Int32) -> Int32 {
    let reduced = multiplier < 0x7FFF_0000 ? (Int64(multiplier) + 32768) / 65536 : 32767
    let divisor = Int64(1) << Int64(15 - shift)
    let shifted = x * reduced + divisor / 2
    let quotient = shifted / divisor
    let floor = shifted % divisor < 0 ? quotient - 1 : quotient
    return Int32(truncatingIfNeeded: floor)
  }
}

private let extremes: [Int32] = [
  Int32.min, Int32.min + 1, -(1 << 30) - 1, -(1 << 30), -(1 << 30) + 1, -65537, -65536, -32768, -3, -2, -1, 0, 1, 2, 3,
  32767, 65535, 65536, (1 << 30) - 1, 1 << 30, (1 << 30) + 1, Int32.max - 1, Int32.max,
]

@Suite struct RoundingTests {
  @Test func wideValuesKeepEveryBit() {
    for a in extremes {
      #expect(widened(a) == Int64(a))
      for b in extremes { #expect(wideProduct(a, b) == Int64(a) * Int64(b)) }
    }
  }

  @Test func highMultiplyOfExtremes() {
    for a in extremes {
      for b in extremes {
        #expect(saturatingRoundingDoublingHighMultiply(a, b) == Truncating.highMultiply(a, b), "\(a) * \(b)")
      }
    }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func highMultiplyOfRandomValues(seed: UInt64) {
    var generator = SeededGenerator(seed: seed)
    var differing: [(Int32, Int32)] = []
    for _ in 0..<500_000 {
      let a = generator.magnitude32(), b = generator.magnitude32()
      if saturatingRoundingDoublingHighMultiply(a, b) != Truncating.highMultiply(a, b) { differing.append((a, b)) }
    }
    #expect(differing.isEmpty, "seed \(seed): \(differing.prefix(3))")
  }

  /// Products that end exactly on half a unit: `a * 2^30` for odd `a`.
  @Test func highMultiplyRoundsTiesUp() {
    for a in stride(from: Int32(-999), through: 999, by: 2) {
      #expect(saturatingRoundingDoublingHighMultiply(a, 1 << 30) == (a + 1) >> 1)
      #expect(saturatingRoundingDoublingHighMultiply(1 << 30, a) == (a + 1) >> 1)
    }
  }

  @Test func highMultiplyOfInt16IsExhaustiveOnBytesAndExtremes() {
    func reference(_ a: Int16, _ b: Int16) -> Int16 {
      if a == Int16.min && b == Int16.min { return Int16.max }
      let product = Int(a) * Int(b)
      return Int16((product + (product >= 0 ? 1 << 14 : 1 - (1 << 14))) / (1 << 15))
    }
    var generator = SeededGenerator(seed: 16)
    var values: [Int16] = [Int16.min, Int16.min + 1, -16384, -1, 0, 1, 16384, Int16.max]
    for _ in 0..<500 { values.append(Int16(truncatingIfNeeded: generator.next())) }
    for a in values {
      for b in values {
        #expect(saturatingRoundingDoublingHighMultiply(a, b) == reference(a, b), "\(a) * \(b)")
      }
    }
  }

  @Test(arguments: Int32(0)...31) func divideRoundsHalfAwayFromZero(exponent: Int32) {
    var generator = SeededGenerator(seed: UInt64(exponent) + 100)
    let half = exponent == 0 ? 0 : Int32(1) << (exponent - 1)
    var values = extremes
    for multiple in Int32(-40)...40 {  // the ties and their neighbours
      for offset in Int32(-1)...1 { values.append((multiple &<< exponent) &+ half &+ offset) }
    }
    for _ in 0..<20_000 { values.append(generator.magnitude32()) }
    var differing: [Int32] = []
    for x in values {
      let expected = Truncating.divide(Int64(x), by: 1 << Int64(exponent))
      if Int64(roundingDivide(x, byPowerOfTwo: exponent)) != expected { differing.append(x) }
      if exponent > 0, x != Int32.min, x != Int32.max,
        Int64(roundingDivide(x, byPositivePowerOfTwo: exponent)) != expected
      {
        differing.append(x)
      }
    }
    #expect(differing.isEmpty, "exponent \(exponent), seed \(exponent + 100): \(differing.prefix(3))")
  }

  @Test func divideByTheWholeRangeGivesZeroOrAUnit() {
    for x in extremes where x != Int32.min && x != Int32.max {
      // |x| < 2^31 is less than half of 2^32.
      #expect(roundingDivide(x, byPositivePowerOfTwo: 32) == 0, "\(x)")
    }
  }

  @Test func meanOfEverySmallSum() {
    for count in Int32(1)...70 {
      for sum in Int32(-300)...300 {
        #expect(Int64(roundedMean(sum: sum, count: count)) == Truncating.divide(Int64(sum), by: Int64(count)))
      }
    }
  }

  /// AVERAGE_POOL_2D adds half of an odd count rounded down, which for odd counts is not a tie at all.
  @Test func meanOfLargeSums() {
    var generator = SeededGenerator(seed: 7)
    for _ in 0..<20_000 {
      let count = Int32.random(in: 1...1 << 22, using: &generator)
      let sum = Int32.random(in: -(1 << 30)...1 << 30, using: &generator)
      let half = count / 2
      #expect(roundedMean(sum: sum, count: count) == (sum > 0 ? sum + half : sum - half) / count)
      #expect(Int64(roundedMean(sum: sum, count: count)) == Truncating.divide(Int64(sum), by: Int64(count)))
    }
  }

  @Test func halfSumOfExtremes() {
    for a in extremes {
      for b in extremes {
        let sum = Int64(a) + Int64(b)
        #expect(Int64(roundingHalfSum(a, b)) == (sum + (sum >= 0 ? 1 : -1)) / 2, "\(a) \(b)")
      }
    }
  }

  @Test func saturatingOperationsOfExtremes() {
    func saturated(_ x: Int64) -> Int32 { Int32(clamping: x) }
    for a in extremes {
      for b in extremes {
        #expect(saturatingAdd(a, b) == saturated(Int64(a) + Int64(b)))
        #expect(saturatingSubtract(a, b) == saturated(Int64(a) - Int64(b)))
      }
      for exponent in Int32(0)...31 {
        #expect(saturatingShiftLeft(a, by: exponent) == saturated(Int64(a) << Int64(exponent)), "\(a) << \(exponent)")
      }
      #expect(clamped(a, -128, 127) == min(max(a, -128), 127))
    }
  }
}
