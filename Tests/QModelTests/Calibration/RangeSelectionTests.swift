import Foundation
import Testing

@testable import QModel

/// Each method against a second, naive computation.
@Suite struct RangeSelectionTests {
  /// Shapes of distributions that occur.
  enum Shape: String, CaseIterable, Sendable {
    case normal, rectified, heavy, shifted, negative, discrete, few

    func values(_ seed: UInt64) -> [Float] {
      var random = TensorGenerator(seed: seed)
      switch self {
      case .normal: return (0..<20_000).map { _ in random.normal() }
      case .rectified: return (0..<20_000).map { _ in max(0, random.normal()) }
      case .heavy:
        return (0..<20_000).map { _ in
          let value = random.normal()
          return value * value * value
        }
      case .shifted: return (0..<20_000).map { _ in random.normal() * 0.25 + 1.5 }
      case .negative: return (0..<20_000).map { _ in -abs(random.normal()) - 0.5 }
      case .discrete: return (0..<20_000).map { _ in Float(random.int(0...16)) / 16 }
      case .few: return (0..<12).map { _ in random.normal() * 5 }
      }
    }
  }

  private func histogram(_ values: [Float]) -> ValueHistogram {
    var histogram = ValueHistogram(low: values.min() ?? 0, high: values.max() ?? 0)
    values.withUnsafeBufferPointer { histogram.add($0) }
    return histogram
  }

  @Test(arguments: Shape.allCases) func minmaxIsTheExtremesAndZero(shape: Shape) {
    let values = shape.values(11)
    let range = RangeSelection.range(of: histogram(values), by: .minmax)
    #expect(range == ValueRange(low: min(0, values.min() ?? 0), high: max(0, values.max() ?? 0)))
  }

  @Test(arguments: Shape.allCases) func percentileEqualsSorting(shape: Shape) {
    let values = shape.values(12)
    let sorted = values.sorted()
    let dropped = values.count / 10_000
    let low = min(0, sorted[dropped]), high = max(0, sorted[sorted.count - 1 - dropped])
    let range = RangeSelection.range(of: histogram(values), by: .percentile)
    let bin = (max(0, sorted[sorted.count - 1]) - min(0, sorted[0])) / 2048
    // Never narrower than the exact quantiles, wider by less than a bin.
    #expect(range.low <= low && range.low >= low - bin, "\(range.low), exact \(low)")
    #expect(range.high >= high && range.high <= high + bin, "\(range.high), exact \(high)")
  }

  /// The mean squared error of raw values in int8.
  private func error(_ values: [Float], _ low: Float, _ high: Float) -> Double {
    let quantization = TensorQuantization(int8: ValueRange(low: low, high: high))
    return values.reduce(0.0) { sum, value in
      let restored = Float(Int(quantization.int8(value)) - quantization.zeroPoint) * quantization.scale
      return sum + Double(value - restored) * Double(value - restored)
    } / Double(values.count)
  }

  @Test(arguments: Shape.allCases) func leastSquaresIsNearTheBestOfAGrid(shape: Shape) {
    let values = shape.values(13)
    let range = RangeSelection.range(of: histogram(values), by: .mse)
    let found = error(values, range.low, range.high)
    let low = min(0, values.min() ?? 0), high = max(0, values.max() ?? 0)
    #expect(found <= error(values, low, high) * 1.0001)
    var best = Double.infinity
    for a in stride(from: Float(0.4), through: 1, by: 0.1) {
      for b in stride(from: Float(0.4), through: 1, by: 0.1) { best = min(best, error(values, low * a, high * b)) }
    }
    #expect(found <= best * 1.1 + 1e-12, "found \(found), grid \(best)")
  }

  @Test func leastSquaresFindsTheGridOfDiscreteValues() {
    let values = Shape.discrete.values(14)
    let range = RangeSelection.range(of: histogram(values), by: .mse)
    #expect(error(values, range.low, range.high) < 1e-12)
    #expect(error(values, 0, 1) > 1e-7)
  }

  /// The divergence as the definition says, with distributions written out.
  private func divergence(_ counts: [Int], _ interval: Range<Int>) -> Double {
    let levels = RangeSelection.entropyLevels
    var p = counts[interval].map(Double.init)
    p[0] += Double(counts[..<interval.lowerBound].reduce(0, +))
    p[p.count - 1] += Double(counts[interval.upperBound...].reduce(0, +))
    var q = [Double](repeating: 0, count: p.count)
    for level in 0..<levels {
      let members = level * p.count / levels..<(level + 1) * p.count / levels
      let occupied = members.filter { counts[interval.lowerBound + $0] > 0 }
      let mass = members.reduce(0) { $0 + counts[interval.lowerBound + $1] }
      for member in occupied { q[member] = Double(mass) / Double(occupied.count) }
    }
    let totalP = p.reduce(0, +), totalQ = q.reduce(0, +)
    guard totalQ > 0 else { return .infinity }
    return zip(p, q).reduce(0) { sum, pair in
      let (a, b) = (pair.0 / totalP, pair.1 / totalQ)
      return a > 0 ? sum + a * log(a / (b > 0 ? b : 1e-9)) : sum
    }
  }

  @Test(arguments: [Shape.normal, .rectified, .heavy, .shifted, .negative]) func divergenceEqualsTheDefinition(
    shape: Shape
  ) {
    let histogram = histogram(shape.values(15))
    var random = TensorGenerator(seed: 16)
    for _ in 0..<20 {
      let start = random.int(0...900), end = random.int(start + RangeSelection.entropyLevels...2048)
      let found = RangeSelection.divergence(of: histogram, start..<end),
        expected = divergence(histogram.counts, start..<end)
      #expect(found == expected || abs(found - expected) < 1e-9, "\(start)..<\(end)")
    }
  }

  @Test(arguments: [Shape.normal, .rectified, .heavy, .shifted, .negative]) func entropyIsALocalMinimum(shape: Shape) {
    let histogram = histogram(shape.values(17))
    let range = RangeSelection.range(of: histogram, by: .entropy)
    #expect(range.low <= 0 && range.high >= 0)
    func bin(_ value: Float) -> Int {
      Int(((Double(value) - histogram.edge(0)) / (histogram.edge(2048) - histogram.edge(0)) * 2048).rounded())
    }
    let start = bin(range.low), end = bin(range.high)
    let found = divergence(histogram.counts, start..<end)
    for other in stride(from: end, to: max(bin(0), start + RangeSelection.entropyLevels), by: -160) {
      #expect(found <= divergence(histogram.counts, start..<other) + 1e-12)
    }
    for other in stride(from: 0, to: min(bin(0), end - RangeSelection.entropyLevels), by: 160) {
      #expect(found <= divergence(histogram.counts, other..<end) + 1e-12)
    }
    #expect(found <= divergence(histogram.counts, 0..<2048) + 1e-12)
  }

  @Test func entropyClipsRareOutliers() {
    var values = Shape.normal.values(16)
    values += [40, 41]
    let range = RangeSelection.range(of: histogram(values), by: .entropy)
    #expect(range.high < 20 && range.high > 1.5, "\(range)")
  }

  @Test(arguments: CalibrationMethod.allCases) func constantsAndZeros(method: CalibrationMethod) {
    #expect(RangeSelection.range(of: histogram([0, 0, 0]), by: method) == ValueRange(low: 0, high: 0))
    let constant = RangeSelection.range(of: histogram([Float](repeating: 3, count: 50)), by: method)
    let quantization = TensorQuantization(int8: constant)
    #expect(abs(Float(Int(quantization.int8(3)) - quantization.zeroPoint) * quantization.scale - 3) < 0.02)
    let negative = RangeSelection.range(of: histogram([Float](repeating: -3, count: 50)), by: method)
    #expect(negative.high == 0 && abs(negative.low + 3) < 0.6)
    let huge = RangeSelection.range(of: histogram([-.greatestFiniteMagnitude, .greatestFiniteMagnitude]), by: method)
    #expect(TensorQuantization(int8: huge).scale.isFinite)
  }
}
