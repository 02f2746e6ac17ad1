import Foundation
import Testing

@testable import QKernels

/// gemmlowp's functions once more, in 64-bit integers with truncating division.
private enum Wide {
  static func multiply(_ a: Int64, _ b: Int64) -> Int64 { Int64(Truncating.highMultiply(Int32(a), Int32(b))) }
  static func divide(_ x: Int64, _ exponent: Int64) -> Int64 { Truncating.divide(x, by: 1 << exponent) }
  static func shift(_ x: Int64, _ exponent: Int64) -> Int64 { Int64(Int32(clamping: x << exponent)) }

  static func exp(_ a: Int64, _ bits: Int64) -> Int64 {
    if a == 0 { return Int64(Int32.max) }
    if bits > 5, a < -(1 << (36 - bits)) { return 0 }
    let fraction = 31 - bits
    // a = -(quarters * 1/4) - rest, 0 <= rest < 1/4
    let quarter = Int64(1) << (fraction - 2)
    let inside = ((a % quarter) + quarter) % quarter - quarter
    let x = shift(inside, bits) + (1 << 28)
    let x2 = multiply(x, x), x3 = multiply(x2, x), x4 = multiply(x2, x2)
    let tail = divide(multiply(divide(x4, 2) + x3, 715_827_883) + x2, 1)
    var result = 1_895_147_668 + multiply(1_895_147_668, x + tail)
    let quarters = (inside - a) / quarter
    let factors: [Int64] = [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242]
    for (bit, factor) in factors.enumerated() where bits > bit - 2 && (quarters >> bit) % 2 == 1 {
      result = multiply(result, factor)
    }
    return result
  }

  static func twoOverOnePlus(_ a: Int64) -> Int64 {
    let half = (a + Int64(Int32.max) + 1) / 2
    var x = 1_515_870_810 + multiply(half, -1_010_580_540)
    for _ in 0..<3 { x += shift(multiply(x, (1 << 29) - multiply(half, x)), 2) }
    return x
  }
  static func oneOverOnePlus(_ a: Int64) -> Int64 { shift(twoOverOnePlus(a), 1) }
  static func oneMinusOverOnePlus(_ a: Int64) -> Int64 { shift(twoOverOnePlus(a) - (1 << 29), 2) }
}

@Suite struct FixedPointFunctionTests {
  @Test func equalsTheGoldenVectors() throws {
    for golden in try GoldenFile.load("fixed_point.json").cases {
      let parameter = Int32(golden.parameter)
      for index in golden.input.indices {
        let wide = golden.input[index]
        let x = Int32(truncatingIfNeeded: wide)
        let factor = FixedPointMultiplier(
          multiplier: Int32(golden.second?[index] ?? 0), shift: Int32(golden.third?[index] ?? 0))
        let result: Int32
        switch golden.name {
        case "exp": result = fixedPointExp(onNegative: x, integerBits: parameter)
        case "logistic": result = fixedPointLogistic(x, integerBits: parameter)
        case "tanh": result = fixedPointTanh(x, integerBits: parameter)
        case "oneOverOnePlus": result = fixedPointOneOverOnePlus(x)
        case "oneMinusOverOnePlus": result = fixedPointOneMinusOverOnePlus(x)
        case "log": result = fixedPointLog(x, inputIntegerBits: 12, outputIntegerBits: parameter)
        case "reciprocal":
          let reciprocal = fixedPointReciprocal(x, integerBits: parameter)
          #expect(Int64(reciprocal.bitsOverUnit) == golden.second?[index])
          result = reciprocal.value
        case "requantize": result = parameter == 32 ? factor.requantized(x) : factor.requantized(wide)
        case "logistic16":
          result = interpolatedLogistic(sigmoidTableInput(x, multiplier: factor.multiplier, shift: factor.shift))
        case "tanh16":
          result = interpolatedTanh(sigmoidTableInput(x, multiplier: factor.multiplier, shift: factor.shift))
        default:
          Issue.record("unknown case \(golden.name)")
          return
        }
        #expect(Int64(result) == golden.output[index], "\(golden.name) \(parameter) of \(wide)")
      }
    }
  }

  @Test(arguments: Int32(0)...7) func expEqualsTheWideForm(integerBits: Int32) {
    var generator = SeededGenerator(seed: UInt64(integerBits) + 30)
    var differing: [Int32] = []
    for step in 0..<40_000 {
      let a = step % 2 == 0 ? min(generator.magnitude32(), 0) : Int32(truncatingIfNeeded: generator.next()) | Int32.min
      let expected = Wide.exp(Int64(a), Int64(integerBits))
      if Int64(fixedPointExp(onNegative: a, integerBits: integerBits)) != expected { differing.append(a) }
    }
    #expect(differing.isEmpty, "seed \(integerBits + 30): \(differing.prefix(3))")
  }

  /// The Taylor polynomial's remainder and eight roundings stay below 2^-22.
  @Test(arguments: Int32(0)...6) func functionsAreAccurate(integerBits: Int32) {
    var generator = SeededGenerator(seed: UInt64(integerBits) + 60)
    let unit = 1.0 / Double(Int64(1) << Int64(31 - integerBits))
    let bound = 1.0 / 4_194_304
    for _ in 0..<5_000 {
      let a = generator.magnitude32()
      if a == Int32.min { continue }
      let x = Double(a) * unit
      let negative = -abs(a)
      let exp = Double(fixedPointExp(onNegative: negative, integerBits: integerBits)) / 2_147_483_648
      #expect(abs(exp - Foundation.exp(-abs(x))) < bound, "exp(\(-abs(x)))")
      let logistic = Double(fixedPointLogistic(a, integerBits: integerBits)) / 2_147_483_648
      #expect(abs(logistic - 1 / (1 + Foundation.exp(-x))) < bound, "logistic(\(x))")
      let tanh = Double(fixedPointTanh(a, integerBits: integerBits)) / 2_147_483_648
      #expect(abs(tanh - Foundation.tanh(x)) < bound, "tanh(\(x))")
    }
  }

  @Test func quotientsEqualTheWideForm() {
    var generator = SeededGenerator(seed: 90)
    for step in 0..<40_000 {
      let a = step == 0 ? 0 : (step == 1 ? Int32.max : Int32(truncatingIfNeeded: generator.next() >> 33))
      #expect(Int64(fixedPointOneOverOnePlus(a)) == Wide.oneOverOnePlus(Int64(a)), "\(a)")
      #expect(Int64(fixedPointOneMinusOverOnePlus(a)) == Wide.oneMinusOverOnePlus(Int64(a)), "\(a)")
    }
  }

  @Test func symmetries() {
    var generator = SeededGenerator(seed: 91)
    for _ in 0..<5_000 {
      let a = generator.magnitude32()
      if a == Int32.min || a == 0 { continue }
      #expect(fixedPointTanh(-a, integerBits: 4) == -fixedPointTanh(a, integerBits: 4))
      #expect(fixedPointLogistic(-a, integerBits: 4) == Int32.max - fixedPointLogistic(a, integerBits: 4))
    }
    #expect(fixedPointTanh(0, integerBits: 4) == 0)
    #expect(fixedPointLogistic(0, integerBits: 4) == 1 << 30)
  }

  @Test func logIsAccurateAndMonotonic() {
    var generator = SeededGenerator(seed: 92)
    for _ in 0..<20_000 {
      // 1 ... 4095 in Q12.19
      let x = Int32.random(in: 1 << 19...Int32.max, using: &generator) >> Int32.random(in: 0...11, using: &generator)
      if x < 1 << 19 { continue }
      let log = Double(fixedPointLog(x, inputIntegerBits: 12, outputIntegerBits: 5)) / 67_108_864
      #expect(abs(log - Foundation.log(Double(x) / 524_288)) < 1.0 / 65_536, "log(\(Double(x) / 524_288))")
    }
  }
}
