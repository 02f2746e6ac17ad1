import Testing

@testable import QModel

@Suite struct TensorQuantizationRangeTests {
  @Test(arguments: [1, 2, 3] as [UInt64]) func zeroIsExactAndEndsAreReached(seed: UInt64) {
    var random = TensorGenerator(seed: seed)
    for _ in 0..<2000 {
      let magnitude = Float(sign: .plus, exponent: random.int(-60...60), significand: 1)
      let a = Float.random(in: -2...2, using: &random) * magnitude,
        b = Float.random(in: -2...2, using: &random) * magnitude
      let range = ValueRange(low: min(a, b), high: max(a, b))
      let form = TensorQuantization(int8: range)
      #expect((-128...127).contains(form.zeroPoint))
      #expect(form.scale > 0 && form.scale.isFinite)
      #expect(form.int8(0) == Int8(form.zeroPoint), "zero is the zero point")
      for value in [range.low, range.high] {
        let restored = Float(Int(form.int8(value)) - form.zeroPoint) * form.scale
        #expect(abs(restored - value) <= form.scale * 0.5001, "\(value) of \(range)")
      }
      // No narrower range would do: all 256 integers are needed.
      let low = min(range.low, 0), high = max(range.high, 0)
      if high - low > 0x1p-50 { #expect(abs(form.scale * 255 - (high - low)) <= (high - low) * 1e-5) }
    }
  }

  @Test func extremeRanges() {
    #expect(TensorQuantization(int8: ValueRange(low: 0, high: 0)) == TensorQuantization(scale: 1, zeroPoint: 0))
    let tiny = TensorQuantization(int8: ValueRange(low: 0, high: .leastNonzeroMagnitude))
    #expect(tiny.scale == TensorQuantization.leastScale && tiny.zeroPoint == -128)
    let huge = TensorQuantization(int8: ValueRange(low: -.greatestFiniteMagnitude, high: .greatestFiniteMagnitude))
    #expect(huge.scale.isFinite && huge.scale > 1e36)
    #expect(TensorQuantization(int8: ValueRange(low: 2, high: 4)).zeroPoint == -128)
    #expect(TensorQuantization(int8: ValueRange(low: -4, high: -2)).zeroPoint == 127)
  }

  @Test func everyIntegerSurvivesTheRoundTrip() {
    for (scale, zeroPoint) in [(0.1, -128), (0.1, 127), (3, 0), (1e-6, 5), (0.37, -77)] as [(Float, Int)] {
      let form = TensorQuantization(scale: scale, zeroPoint: zeroPoint)
      var values = (-128...127).map { Float($0 - zeroPoint) * scale }
      #expect(values.map(form.int8) == (-128...127).map { Int8($0) })
      let exact = values
      values.withUnsafeMutableBufferPointer { form.roundTrip($0) }
      #expect(values == exact)
    }
  }

  @Test(arguments: [7, 8] as [UInt64]) func roundTripEqualsQuantizing(seed: UInt64) {
    var random = TensorGenerator(seed: seed)
    let form = TensorQuantization(scale: 0.25, zeroPoint: 10)
    var values = (0..<4000).map { _ in Float.random(in: -60...60, using: &random) }
    let expected = values.map { Float(Int(form.int8($0)) - 10) * 0.25 }
    let original = values
    values.withUnsafeMutableBufferPointer { form.roundTrip($0) }
    for (index, value) in values.enumerated() {
      let position = original[index] / 0.25
      let isTie = abs(abs(position - position.rounded(.down)) - 0.5) < 1e-5
      #expect(value == expected[index] || isTie, "\(original[index])")
    }
  }

  @Test func tiesGoAwayFromZero() {
    let form = TensorQuantization(scale: 2, zeroPoint: 3)
    #expect(form.int8(1) == 4)
    #expect(form.int8(-1) == 2)
    #expect(form.int8(5) == 6)
    #expect(form.int8(-5) == 0)
    #expect(form.int8(1000) == 127 && form.int8(-1000) == -128)
  }

  @Test func constantsMustBeFinite() {
    #expect(throws: ModelError.self) { try TensorQuantization(constant: [1, .nan]) }
    #expect(throws: ModelError.self) { try TensorQuantization(constant: [1, -.infinity]) }
    #expect(throws: Never.self) { try TensorQuantization(constant: [1, -3]) }
  }
}
