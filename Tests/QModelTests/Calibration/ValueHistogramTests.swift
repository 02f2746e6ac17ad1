import Testing

@testable import QModel

@Suite struct ValueHistogramTests {
  private static func histogram(_ values: [Float], low: Float, high: Float) -> ValueHistogram {
    var histogram = ValueHistogram(low: low, high: high)
    values.withUnsafeBufferPointer { histogram.add($0) }
    return histogram
  }

  @Test(arguments: [1, 2, 3] as [UInt64]) func countsAgreeWithEdges(seed: UInt64) {
    var random = TensorGenerator(seed: seed)
    let values = (0..<5000).map { _ in random.normal() }
    let low = values.min() ?? 0, high = values.max() ?? 0
    let histogram = Self.histogram(values, low: low, high: high)
    #expect(histogram.valueCount == values.count)
    #expect(histogram.zeroCount == 0)
    for bin in 0..<ValueHistogram.binCount where histogram.counts[bin] > 0 {
      let width = Double(high) / 2048 - Double(low) / 2048
      #expect(Double(histogram.least[bin]) >= histogram.edge(bin) - width * 1e-3)
      #expect(Double(histogram.greatest[bin]) <= histogram.edge(bin + 1) + width * 1e-3)
      #expect(values.contains(histogram.least[bin]) && values.contains(histogram.greatest[bin]))
    }
  }

  @Test(arguments: [4, 5] as [UInt64]) func orderAndPartsDoNotMatter(seed: UInt64) {
    var random = TensorGenerator(seed: seed)
    let values = (0..<3000).map { _ in max(0, random.normal()) }
    let whole = Self.histogram(values, low: 0, high: 6)
    #expect(whole.zeroCount > 1000)
    #expect(Self.histogram(values.shuffled(using: &random), low: 0, high: 6) == whole)
    for cut in [0, 1, 1500, 2999, 3000] {
      var parts = Self.histogram(Array(values[cut...]), low: 0, high: 6)
      parts.merge(Self.histogram(Array(values[..<cut]), low: 0, high: 6))
      #expect(parts == whole, "cut at \(cut)")
    }
  }

  @Test func discreteValuesAreKeptExactly() {
    let histogram = Self.histogram([0, 0.25, 0.25, 1, 0.5], low: 0, high: 1)
    let kept = histogram.counts.indices.filter { histogram.counts[$0] > 0 }.map(histogram.representative)
    #expect(kept == [0.25, 0.5, 1])
    #expect(histogram.zeroCount == 1)
  }

  @Test func valuesOutsideFallIntoTheEnds() {
    let histogram = Self.histogram([-5, 7, .nan], low: -1, high: 1)
    #expect(histogram.counts[0] == 2)
    #expect(histogram.counts[2047] == 1)
    let widest = Self.histogram(
      [-.greatestFiniteMagnitude, 1], low: -.greatestFiniteMagnitude, high: .greatestFiniteMagnitude)
    #expect(widest.counts[0] == 1 && widest.valueCount == 2)
  }
}
