#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// From the distribution of a tensor's values to the interval that its int8 form covers.
///
/// All methods are functions of a histogram alone, so they do not depend on the order of the samples. What a method clips
/// saturates.
enum RangeSelection {
  /// The interval that a method chooses; it contains 0.
  static func range(of histogram: ValueHistogram, by method: CalibrationMethod) -> ValueRange {
    guard histogram.counts.contains(where: { $0 > 0 }) else { return ValueRange(low: 0, high: 0) }
    switch method {
    case .minmax: return ValueRange(low: histogram.low, high: histogram.high)
    case .percentile: return percentileRange(of: histogram)
    case .mse: return leastSquaresRange(of: histogram)
    case .entropy: return entropyRange(of: histogram)
    }
  }
}

// MARK: Percentile

extension RangeSelection {
  /// Of this many values the extreme one is left out, at each end.
  static let percentileShare = 10_000

  /// The interval from the 0.01 % to the 99.99 % quantile, to the resolution of the bins.
  static func percentileRange(of histogram: ValueHistogram) -> ValueRange {
    let allowance = histogram.valueCount / percentileShare
    func end(_ bins: some Sequence<Int>, _ value: (Int) -> Float, isOutside: (Float) -> Bool) -> Float {
      var passed = 0
      for bin in bins where histogram.counts[bin] > 0 {
        // Zeros lie between the negative and the positive values; behind them the interval ends at 0 anyway.
        if !isOutside(value(bin)) { return 0 }
        passed += histogram.counts[bin]
        if passed > allowance { return value(bin) }
      }
      return 0
    }
    return ValueRange(
      low: end(histogram.counts.indices, { histogram.least[$0] }, isOutside: { $0 < 0 }),
      high: end(histogram.counts.indices.reversed(), { histogram.greatest[$0] }, isOutside: { $0 > 0 }))
  }
}

// MARK: Mean squared error

extension RangeSelection {
  /// The interval whose int8 form has the least mean squared error on the histogram.
  ///
  /// Searched first over common factors of both ends: `255 / k` for k = 216...510 steps, so that the range may also be
  /// widened until discrete values (pixels, sixteenths) fall on steps; then each end alone, twice.
  static func leastSquaresRange(of histogram: ValueHistogram) -> ValueRange {
    let points = histogram.counts.indices.filter { histogram.counts[$0] > 0 }.map {
      (value: histogram.representative($0), weight: Double(histogram.counts[$0]))
    }
    func error(_ range: ValueRange) -> Double {
      let quantization = TensorQuantization(int8: range)
      let scale = Double(quantization.scale), zeroPoint = Double(quantization.zeroPoint)
      let low = -128 - zeroPoint, high = 127 - zeroPoint, inverse = 1 / scale
      var sum = 0.0
      for point in points {
        let steps = max(low, min((point.value * inverse).rounded(.toNearestOrEven), high))
        let difference = point.value - steps * scale
        sum += point.weight * difference * difference
      }
      return sum
    }
    let full = ValueRange(low: histogram.low, high: histogram.high)
    var best = full
    var bestError = error(full)
    func consider(_ range: ValueRange) {
      guard range.low.isFinite, range.high.isFinite else { return }
      let candidateError = error(range)
      if candidateError < bestError {
        best = range
        bestError = candidateError
      }
    }
    for steps in 216...510 {
      let factor = 255 / Float(steps)
      consider(ValueRange(low: full.low * factor, high: full.high * factor))
    }
    guard full.low < 0, full.high > 0 else { return best }
    for _ in 0..<2 {
      let highest = best.high
      for step in -32...16 { consider(ValueRange(low: best.low, high: highest * (1 + Float(step) / 64))) }
      let lowest = best.low
      for step in -32...16 { consider(ValueRange(low: lowest * (1 + Float(step) / 64), high: best.high)) }
    }
    return best
  }
}

// MARK: Entropy

extension RangeSelection {
  /// Levels into which the clipped bins are merged: half of what int8 has, as in NVIDIA's TensorRT, which first used the
  /// measure. More levels find less to gain in wide ranges and clip too much.
  static let entropyLevels = 128

  /// The interval whose merged distribution diverges least from the true one.
  ///
  /// P is the distribution inside the interval with everything outside added to the end bins; Q is the one inside alone,
  /// merged into 128 levels and spread again over each level's bins that are not empty. The measure is the Kullback-Leibler
  /// divergence of P from Q. Exact zeros do not count: a ReLU's would hide everything else. The ends are moved in turns, in
  /// steps of 16 bins, until neither gains.
  static func entropyRange(of histogram: ValueHistogram) -> ValueRange {
    let bins = ValueHistogram.binCount
    let zeroBin = Int(Double(histogram.low) / (Double(histogram.low) - Double(histogram.high)) * Double(bins))
    var interval = 0..<bins
    var least = divergence(of: histogram, interval)
    while true {
      let before = interval
      // From wide to narrow, so that a tie keeps more values. Zero stays inside.
      for end in stride(from: bins, to: max(zeroBin, interval.lowerBound + entropyLevels - 1), by: -entropyStep) {
        let divergence = divergence(of: histogram, before.lowerBound..<end)
        if divergence < least { (least, interval) = (divergence, before.lowerBound..<end) }
      }
      let end = interval.upperBound
      for start in stride(from: 0, through: min(zeroBin, end - entropyLevels), by: entropyStep) {
        let divergence = divergence(of: histogram, start..<end)
        if divergence < least { (least, interval) = (divergence, start..<end) }
      }
      if interval == before { break }
    }
    return ValueRange(
      low: interval.lowerBound == 0 ? histogram.low : Float(histogram.edge(interval.lowerBound)),
      high: interval.upperBound == bins ? histogram.high : Float(histogram.edge(interval.upperBound)))
  }

  /// Bins by which an end moves.
  static let entropyStep = 16

  /// The divergence for one interval of bins.
  static func divergence(of histogram: ValueHistogram, _ interval: Range<Int>) -> Double {
    let inside = interval.reduce(0) { $0 + histogram.counts[$1] }
    let below = histogram.counts[..<interval.lowerBound].reduce(0, +)
    let above = histogram.counts[interval.upperBound...].reduce(0, +)
    guard inside > 0 else { return .infinity }
    let total = Double(inside + below + above)
    var sum = 0.0
    for level in 0..<entropyLevels {
      let first = interval.lowerBound + level * interval.count / entropyLevels
      let end = interval.lowerBound + (level + 1) * interval.count / entropyLevels
      var merged = 0, occupied = 0
      for bin in first..<end where histogram.counts[bin] > 0 {
        merged += histogram.counts[bin]
        occupied += 1
      }
      let spread = occupied == 0 ? 0 : Double(merged) / Double(occupied) / Double(inside)
      for bin in first..<end {
        var count = histogram.counts[bin]
        let isOccupied = count > 0
        if bin == interval.lowerBound { count += below }
        if bin == interval.upperBound - 1 { count += above }
        if count == 0 { continue }
        let p = Double(count) / total
        // Where Q has nothing P may only have what was clipped: a finite, high price.
        sum += p * log(p / (isOccupied ? spread : 1e-9))
      }
    }
    return sum
  }
}
