import Testing

@testable import QModel

/// Pools against the window as the definition has it: every tap is looked at, and so is everything it may lie in.
struct PoolOpTests {
  @Test(arguments: 0..<80) func pool(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    var op = Pool2DOp()
    (op.kernelHeight, op.kernelWidth) = (random.int(1...4), random.int(1...4))
    (op.strideHeight, op.strideWidth) = (random.int(1...4), random.int(1...4))
    (op.dilationHeight, op.dilationWidth) = (random.int(1...2), random.int(1...2))
    op.padding = Padding2D(
      top: random.int(0...op.kernelHeight - 1), left: random.int(0...op.kernelWidth - 1),
      bottom: random.int(0...op.kernelHeight - 1), right: random.int(0...op.kernelWidth - 1))
    (op.countIncludePad, op.ceilMode) = (random.bool(), random.bool())
    op.activation = [.none, .relu][random.int(0...1)]
    let input = random.tensor([random.int(1...2), random.int(7...10), random.int(7...10), random.int(1...9)])
    let average = try AveragePool2DOp(op).result(input)
    let maximum = try MaxPool2DOp(op).result(input)
    #expect(average.shape == maximum.shape)
    #expect(
      average.shape[1]
        == windows(
          input.shape[1], op.kernelHeight, op.strideHeight, op.dilationHeight, op.padding.top, op.padding.bottom,
          op.ceilMode))
    #expect(
      average.shape[2]
        == windows(
          input.shape[2], op.kernelWidth, op.strideWidth, op.dilationWidth, op.padding.left, op.padding.right,
          op.ceilMode))
    var means: [Double] = []
    var maxima: [Double] = []
    for index in indices(of: average.shape) {
      var sum = 0.0
      var count = 0
      var largest = -Double(Float.greatestFiniteMagnitude)
      for ky in 0..<op.kernelHeight {
        for kx in 0..<op.kernelWidth {
          let row = index[1] * op.strideHeight + ky * op.dilationHeight - op.padding.top
          let column = index[2] * op.strideWidth + kx * op.dilationWidth - op.padding.left
          let isInside = (0..<input.shape[1]).contains(row) && (0..<input.shape[2]).contains(column)
          let isPadded =
            row < input.shape[1] + op.padding.bottom && column < input.shape[2] + op.padding.right
          if isInside || (op.countIncludePad && isPadded) { count += 1 }
          if isInside {
            sum += input[index[0], row, column, index[3]]
            largest = max(largest, input[index[0], row, column, index[3]])
          }
        }
      }
      means.append(op.activation.clamped(count == 0 ? 0 : sum / Double(count)))
      maxima.append(op.activation.clamped(largest))
    }
    #expect(worstDifference(average.values, means) < 1e-6, "seed \(seed)")
    #expect(maximum.values.map(Double.init) == maxima, "seed \(seed)")
  }

  /// Counts windows by walking.
  private func windows(
    _ size: Int, _ kernel: Int, _ stride: Int, _ dilation: Int, _ before: Int, _ after: Int, _ ceilMode: Bool
  ) -> Int {
    let extent = (kernel - 1) * dilation + 1
    var count = 0
    var start = -before
    while start + extent <= size + after || (ceilMode && start < size && start + extent < size + after + stride) {
      count += 1
      start += stride
    }
    return count
  }

  @Test func windowsThatDoNotFitAreRefused() {
    var op = Pool2DOp()
    op.kernelHeight = 6
    #expect(throws: ModelError.self) { try MaxPool2DOp(op).outputShapes([[1, 5, 5, 2]]) }
    #expect(throws: ModelError.self) { try AveragePool2DOp(Pool2DOp()).outputShapes([[5, 5, 2]]) }
    op.kernelHeight = -1
    #expect(throws: ModelError.self) { try MaxPool2DOp(op).outputShapes([[1, 5, 5, 2]]) }
  }
}
