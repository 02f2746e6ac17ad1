import Foundation
import Testing

@testable import QKernels

@Suite struct TableTests {
  private let samples: [UInt16] = (0..<256).map { SigmoidTable.values[$0] }

  /// The table is within one unit of its formula, and rises.
  @Test func sigmoidSamplesFollowTheirFormula() {
    var differing = 0
    for (index, sample) in samples.enumerated() {
      let exact = (65536 / (1 + Foundation.exp(-Double(index) / 24))).rounded()
      #expect(abs(Double(sample) - min(exact, 65535)) <= 1, "entry \(index)")
      if Double(sample) != exact { differing += 1 }
      if index > 0 { #expect(sample >= samples[index - 1]) }
    }
    #expect(differing == 44)
  }

  /// All int16 inputs at multiplier 3 (scale 1/4096): linear interpolation in signed 64-bit arithmetic.
  @Test func logisticOfEveryInput() {
    var differing: [Int] = []
    for x in -32768...32767 {
      let v = 3 * x
      let magnitude = abs(v)
      let index = magnitude / 512
      var sum = 0x7FFF << 10
      if index < 255 {
        sum = Int(samples[index]) * 512 + (magnitude % 512) * (Int(samples[index + 1]) - Int(samples[index]))
      }
      // The mirror image of a negative input rounds a half downwards.
      let expected = v >= 0 ? (sum + 512) / 1024 : ((1 << 25) - sum + 511) / 1024
      let input = sigmoidTableInput(Int32(x), multiplier: 3, shift: 0)
      if Int(interpolatedLogistic(input)) != expected { differing.append(x) }
    }
    #expect(differing.isEmpty, "\(differing.prefix(3))")
  }

  @Test func tanhOfEveryInput() {
    func floorDivide(_ a: Int, _ b: Int) -> Int { a >= 0 ? a / b : -((-a + b - 1) / b) }
    var differing: [Int] = []
    for x in -32768...32767 {
      let v = 3 * x
      let magnitude = abs(v)
      let index = magnitude / 256
      var sum = 0xFFFF << 8
      if index < 255 {
        sum = Int(samples[index]) * 256 + (magnitude % 256) * (Int(samples[index + 1]) - Int(samples[index]))
      }
      let expected = floorDivide(v >= 0 ? sum - (1 << 23) + 128 : (1 << 23) - sum + 127, 256)
      let input = sigmoidTableInput(Int32(x), multiplier: 3, shift: 0)
      if Int(interpolatedTanh(input)) != expected { differing.append(x) }
    }
    #expect(differing.isEmpty, "\(differing.prefix(3))")
  }

  /// Real-valued check, so that both could not share one mistake: scale 1/4096, output Q0.15.
  @Test func interpolationIsAccurate() {
    for x in stride(from: Int32(-32768), through: 32767, by: 7) {
      let real = Double(x) / 4096
      let input = sigmoidTableInput(x, multiplier: 3, shift: 0)
      #expect(abs(Double(interpolatedLogistic(input)) / 32768 - 1 / (1 + Foundation.exp(-real))) < 4e-4, "\(x)")
      #expect(abs(Double(interpolatedTanh(input)) / 32768 - Foundation.tanh(real)) < 4e-4, "\(x)")
    }
  }

  @Test func tableInputRoundsHalfUp() {
    #expect(sigmoidTableInput(3, multiplier: 1, shift: -1) == 2)
    #expect(sigmoidTableInput(-3, multiplier: 1, shift: -1) == -1)
    #expect(sigmoidTableInput(-32768, multiplier: 32767, shift: -31) == 0)
    #expect(sigmoidTableInput(-32768, multiplier: 32767, shift: -30) == -1)
    #expect(sigmoidTableInput(32767, multiplier: 32767, shift: -31) == 0)
    #expect(sigmoidTableInput(32767, multiplier: 32767, shift: -30) == 1)
  }

  @Test func lookupInterpolatesEveryInput() {
    // A parabola with both signs of slope.
    let table = (0...512).map { Int16(clamping: ($0 - 256) * ($0 - 256) / 2 - 16000) }
    for x in -32768...32767 {
      let index = (x + 32768) / 128, place = (x + 32768) % 128
      let base = Int(table[index]), slope = Int(table[index + 1]) - base
      let rounded = Int((Double(slope * place) / 128 + 0.5).rounded(.down))
      let result = table.withUnsafeBufferPointer { interpolatedLookup(Int32(x), in: $0.baseAddress!) }
      #expect(Int(result) == base + rounded)
    }
  }
}
