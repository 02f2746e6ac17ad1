/// How the values of one tensor are distributed: 2,048 bins of equal width and the number of exact zeros.
///
/// Counts are integers and each bin remembers only its least and greatest value, so the histogram of many values is the
/// same in whatever order and in however many parts they came. Constant memory: 32 KiB.
struct ValueHistogram: Sendable, Equatable {
  static let binCount = 2048

  /// The interval that the bins divide; it contains 0.
  let low: Float, high: Float
  private(set) var counts = [Int](repeating: 0, count: binCount)
  /// The least and the greatest value of each bin; meaningless in empty ones.
  private(set) var least = [Float](repeating: .infinity, count: binCount)
  private(set) var greatest = [Float](repeating: -.infinity, count: binCount)
  /// Values that are exactly 0. They are in no bin: every scheme represents them exactly.
  private(set) var zeroCount = 0
  private let binsPerUnit: Float

  /// An empty histogram over an interval, extended to contain 0.
  init(low: Float, high: Float) {
    self.low = min(low, 0)
    self.high = max(high, 0)
    // Halved before the difference, which could overflow.
    let span = self.high / 2 - self.low / 2
    let factor = Float(Self.binCount) / 2 / span
    binsPerUnit = factor.isFinite ? factor : 0
  }

  /// Counts values; those outside the interval fall into the end bins.
  mutating func add(_ values: UnsafeBufferPointer<Float>) {
    counts.withUnsafeMutableBufferPointer { counts in
      least.withUnsafeMutableBufferPointer { least in
        greatest.withUnsafeMutableBufferPointer { greatest in
          for value in values {
            if value == 0 {
              zeroCount &+= 1
              continue
            }
            let position = (value - low) * binsPerUnit
            // NaN and values below the interval go to the first bin.
            let bin = position > 0 ? Int(min(position, Float(Self.binCount - 1))) : 0
            counts[bin] &+= 1
            if value < least[bin] { least[bin] = value }
            if value > greatest[bin] { greatest[bin] = value }
          }
        }
      }
    }
  }

  /// Adds the values of a histogram over the same interval.
  mutating func merge(_ other: ValueHistogram) {
    precondition(low == other.low && high == other.high, "the histograms divide different intervals")
    zeroCount += other.zeroCount
    for bin in counts.indices {
      counts[bin] += other.counts[bin]
      least[bin] = min(least[bin], other.least[bin])
      greatest[bin] = max(greatest[bin], other.greatest[bin])
    }
  }

  /// All values counted.
  var valueCount: Int { counts.reduce(zeroCount, +) }

  /// The value that stands for a bin that is not empty: exact where all its values are the same.
  func representative(_ bin: Int) -> Double { (Double(least[bin]) + Double(greatest[bin])) / 2 }

  /// The lower edge of a bin; `edge(binCount)` is the end of the interval.
  func edge(_ bin: Int) -> Double {
    Double(low) + (Double(high) - Double(low)) * Double(bin) / Double(Self.binCount)
  }
}
