import Testing

@testable import QKernels

@Suite struct FixedPointMultiplierTests {
  @Test(arguments: Int32(-31)...30) func equalsTheTruncatingFormAtEveryShift(shift: Int32) {
    let seed = UInt64(shift + 1000)
    var generator = SeededGenerator(seed: seed)
    var differing: [(Int32, Int32)] = []
    for step in 0..<30_000 {
      let x = step % 3 == 0 ? Int32(truncatingIfNeeded: generator.next()) : generator.magnitude32()
      // A subtraction negates the multiplier.
      let multiplier = step % 5 == 0 ? -generator.multiplier() : generator.multiplier()
      let factor = FixedPointMultiplier(multiplier: multiplier, shift: shift)
      if factor.requantized(x) != Truncating.requantize(x, multiplier, shift) { differing.append((x, multiplier)) }
    }
    for x in [Int32.min, Int32.min + 1, -1, 0, 1, Int32.max] {
      for multiplier in [0, 1 << 30, (1 << 30) + 1, Int32.max, -(1 << 30), -Int32.max] as [Int32]
      where multiplier >= 0 || x != Int32.min {
        let factor = FixedPointMultiplier(multiplier: multiplier, shift: shift)
        if factor.requantized(x) != Truncating.requantize(x, multiplier, shift) { differing.append((x, multiplier)) }
      }
    }
    #expect(differing.isEmpty, "shift \(shift), seed \(seed): \(differing.prefix(3))")
  }

  /// Single rounding differs here: 3 * 0.5 / 2 is 0.75 -> 1, but double rounding gives 3 * 0.5 -> 2, 2 / 2 -> 1; and
  /// 5 * 0.5 / 4 is 0.625 -> 1, by two steps 5 * 0.5 -> 3, 3 / 4 -> 1; 1 * 0.5 / 2 = 0.25 -> 0, by two steps 1, 1/2 -> 1.
  @Test func roundsTwice() {
    let quarter = FixedPointMultiplier(multiplier: 1 << 30, shift: -1)
    #expect(quarter.requantized(Int32(1)) == 1)
    #expect(quarter.requantized(Int32(-1)) == 0)
    #expect(quarter.requantized(Int32(-3)) == -1)
    #expect(quarter.requantized(Int32(5)) == 2)
  }

  @Test(arguments: Int32(-31)...14) func wideFormEqualsTheTruncatingForm(shift: Int32) {
    let seed = UInt64(shift + 2000)
    var generator = SeededGenerator(seed: seed)
    var differing: [(Int64, Int32)] = []
    for step in 0..<10_000 {
      let x = Int64(bitPattern: generator.next()) >> Int64(16 + step % 48)
      let multiplier = step % 7 == 0 ? Int32.max - Int32(step) * 4 : generator.multiplier()
      let factor = FixedPointMultiplier(multiplier: multiplier, shift: shift)
      if factor.requantized(x) != Truncating.requantizeWide(x, multiplier, shift) { differing.append((x, multiplier)) }
    }
    #expect(differing.isEmpty, "shift \(shift), seed \(seed): \(differing.prefix(3))")
  }

  @Test func reducedMultiplierSaturates() {
    #expect(reducedMultiplier(0) == 0)
    #expect(reducedMultiplier(1 << 30) == 1 << 14)
    #expect(reducedMultiplier(0x7FFE_7FFF) == 0x7FFE)
    #expect(reducedMultiplier(0x7FFE_8000) == 0x7FFF)
    #expect(reducedMultiplier(0x7FFE_FFFF) == 0x7FFF)
    #expect(reducedMultiplier(Int32.max) == 0x7FFF)
  }
}
