import QKernels
import Testing

@testable import QModel

struct FixedPointMultiplierNearestTests {
  @Test(arguments: [
    (0.0, 0, 0), (1.0, 1 << 30, 1), (0.5, 1 << 30, 0), (0.75, 3 << 29, 0), (-0.75, -(3 << 29), 0),
    (0x1p-32, 1 << 30, -31), (0x1p-33, 0, 0), (0x1p40, (1 << 31) - 1, 30), (.infinity, 0, 0), (.nan, 0, 0),
    // A significand that rounds up to the next power of two.
    (0x1.FFFFFFFFFFFFFp-1, 1 << 30, 1),
    // Ties away from zero: 1/2 + 2^-32 is halfway between 2^30 and 2^30 + 1.
    (0.5 + 0x1p-32, (1 << 30) + 1, 0),
    // The largest significand, exactly.
    (0x1p29 - 0x1p-2, (1 << 31) - 1, 29),
  ]) func isTheNearestFactor(value: Double, multiplier: Int, shift: Int) {
    let factor = FixedPointMultiplier(nearest: value)
    #expect(factor == FixedPointMultiplier(multiplier: Int32(multiplier), shift: Int32(shift)), "of \(value)")
  }

  @Test func losesAtMostHalfOfTheLastBit() {
    var random = SplitMix64(seed: 7)
    for _ in 0..<10_000 {
      let bits = random.next()
      let value = Double(sign: .plus, exponent: Int(bits % 55) - 30, significand: 1 + Double(bits >> 12) * 0x1p-52)
      let factor = FixedPointMultiplier(nearest: value)
      #expect(abs(factor.value - value) <= value * 0x1p-31, "of \(value)")
      #expect(factor.multiplier >= 1 << 30)
    }
  }
}
