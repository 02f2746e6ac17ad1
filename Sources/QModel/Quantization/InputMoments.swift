/// First and second moments of what one block of a layer sees on the calibration samples, in steps of the layer's input.
///
/// `u` is the quantized input without its zero point, `e` the float model's input minus it, rounded to quarter steps and
/// clipped to 255 steps. All sums are sums of integers below 2^53 (quarters counted), exact in Double and, over 64 rows, in
/// Float: they do not depend on the order of the rows.
struct InputMoments: Sendable {
  /// Values of a patch.
  let depth: Int
  /// Patches seen.
  private(set) var count = 0
  /// Sum of u, [depth].
  private(set) var inputSum: [Double]
  /// Sum of e, [depth].
  private(set) var errorSum: [Double]
  /// The parts of the depth whose products are kept; products across parts are taken to be independent.
  let segments: [Range<Int>]
  /// For each segment the sum of u·uᵀ, [size][size], the part on and above the diagonal.
  private(set) var squares: [[Double]]
  /// For each segment the sum of e·uᵀ, [size of e][size of u].
  private(set) var crosses: [[Double]]

  /// The depth up to which all products are kept, and the size of the segments beyond it.
  static let fullDepth = 1024, segmentDepth = 256
  /// Rows whose products sum up exactly in Float: 64 · 255² < 2^24, and 64 · 1020 · 255 quarters < 2^24.
  static let exactRows = 64

  /// No patches.
  init(depth: Int) {
    self.depth = depth
    let size = depth <= Self.fullDepth ? depth : Self.segmentDepth
    segments = stride(from: 0, to: depth, by: size).map { $0..<min($0 + size, depth) }
    inputSum = [Double](repeating: 0, count: depth)
    errorSum = inputSum
    squares = segments.map { [Double](repeating: 0, count: $0.count * $0.count) }
    crosses = squares
  }

  /// Multiplications for one patch.
  static func multiplications(depth: Int) -> Int {
    depth * min(depth, depth <= fullDepth ? depth : segmentDepth) * 3 / 2
  }

  /// Adds the patches of one block.
  mutating func add(_ batch: [PatchRows], block: Int, threads: Int) {
    for rows in batch {
      count += rows.count
      for row in 0..<rows.count {
        let base = rows.start(block: block, row: row)
        for k in 0..<depth {
          inputSum[k] += Double(rows.inputs[base + k])
          errorSum[k] += Double(rows.errors[base + k])
        }
      }
    }
    for (index, segment) in segments.enumerated() {
      squares[index].withUnsafeMutableBufferPointer { squares in
        crosses[index].withUnsafeMutableBufferPointer { crosses in
          let square = SharedPointer(squares), cross = SharedPointer(crosses)
          // Each call writes eight rows of the matrices, so no two write the same.
          parallelFor(count: (segment.count + 7) / 8, threads: threads) { (tile, _) in
            for rows in batch {
              Self.add(rows, rows.inputs, block, segment, from: tile * 8, isTriangle: true, into: square.pointer)
              Self.add(rows, rows.errors, block, segment, from: tile * 8, isTriangle: false, into: cross.pointer)
            }
          }
        }
      }
    }
  }

  /// Adds the products of eight columns of `left` with the columns of u.
  private static func add(
    _ rows: PatchRows, _ left: [Float], _ block: Int, _ segment: Range<Int>, from first: Int, isTriangle: Bool,
    into matrix: UnsafeMutablePointer<Double>
  ) {
    let size = segment.count, origin = rows.start(block: block, row: 0) + segment.lowerBound
    left.withUnsafeBufferPointer { left in
      rows.inputs.withUnsafeBufferPointer { right in
        guard let left = left.baseAddress, let right = right.baseAddress else { return }
        for half in stride(from: first, to: min(first + 8, size), by: 4) {
          for column in stride(from: isTriangle ? half / 8 * 8 : 0, to: size, by: 8) {
            var start = 0
            while start < rows.count {
              let end = min(start + exactRows, rows.count)
              var sum0 = SIMD8<Float>(repeating: 0), sum1 = sum0, sum2 = sum0, sum3 = sum0
              for row in start..<end {
                let base = row &* rows.stride &+ origin
                let vector = UnsafeRawPointer(right + (base &+ column)).loadUnaligned(as: SIMD8<Float>.self)
                // Both reach at most seven values beyond the segment: other columns of the row or its zeros.
                let source = left + (base &+ half)
                sum0 += vector * source[0]
                sum1 += vector * source[1]
                sum2 += vector * source[2]
                sum3 += vector * source[3]
              }
              let width = min(8, size - column)
              for (offset, sum) in [sum0, sum1, sum2, sum3].enumerated() where half + offset < size {
                let target = matrix + ((half + offset) * size + column)
                for lane in 0..<width { target[lane] += Double(sum[lane]) }
              }
              start = end
            }
          }
        }
      }
    }
  }
}

/// Patches of one sample for all blocks of a layer, as integers in steps of its input.
struct PatchRows: Sendable {
  /// Patches per block.
  let count: Int
  /// Values from one patch to the next: the depth filled up with zeros to a multiple of 8.
  let stride: Int
  /// u, [block][patch][stride].
  var inputs: [Float]
  /// e, likewise.
  var errors: [Float]

  /// Room for so many patches.
  init(blockCount: Int, depth: Int, count: Int) {
    self.count = count
    stride = (depth + 7) / 8 * 8
    inputs = [Float](repeating: 0, count: blockCount * count * stride)
    errors = inputs
  }

  /// The place of a patch.
  func start(block: Int, row: Int) -> Int { (block &* count &+ row) &* stride }
}

/// A pointer that several threads use at different places.
struct SharedPointer: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Double>

  /// - Precondition: the buffer is not empty.
  init(_ buffer: UnsafeMutableBufferPointer<Double>) { pointer = buffer.baseAddress! }
}
