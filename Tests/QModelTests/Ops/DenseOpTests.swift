import Testing

@testable import QModel

struct DenseOpTests {
  /// Rows below and above the number at which weights are rearranged; sizes around the lane widths.
  @Test(arguments: 0..<40) func fullyConnected(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    let sizes = [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 300]
    let depth = sizes[random.int(0...10)]
    let outputs = sizes[random.int(0...9)]
    let rows = [1, 2, 7, 8, 9, 13][random.int(0...5)]
    var op = FullyConnectedOp()
    op.keepDimensions = random.bool()
    op.activation = [.none, .relu, .clip(min: -1, max: 1)][random.int(0...2)]
    let input = random.tensor(op.keepDimensions ? [1, rows, depth] : [rows, 1, depth, 1])
    let weights = random.tensor([outputs, depth])
    let bias = random.bool() ? random.tensor([outputs]) : nil
    let output = try op.result(input, weights, bias)
    #expect(output.shape == (op.keepDimensions ? [1, rows, outputs] : [rows, outputs]))
    let expected = indices(of: [rows, outputs]).map { index in
      let sum = (0..<depth).reduce(bias?[index[1]] ?? 0) { sum, k in
        sum + Double(input.values[index[0] * depth + k]) * weights[index[1], k]
      }
      return op.activation.clamped(sum)
    }
    #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
  }

  @Test(arguments: 0..<40) func batchMatMul(_ seed: Int) throws {
    var random = TensorGenerator(seed: 50 + UInt64(seed))
    var op = BatchMatMulOp()
    (op.transposeA, op.transposeB) = (random.bool(), random.bool())
    let (rows, depth, columns) = (random.int(1...9), random.int(1...20), random.int(1...18))
    let batches: [([Int], [Int], [Int])] = [
      ([], [], []), ([3], [3], [3]), ([2, 3], [3], [2, 3]), ([1], [4], [4]), ([2, 1], [1, 3], [2, 3]),
    ]
    let (batchA, batchB, batch) = batches[random.int(0...4)]
    let a = random.tensor(batchA + (op.transposeA ? [depth, rows] : [rows, depth]))
    let b = random.tensor(batchB + (op.transposeB ? [columns, depth] : [depth, columns]))
    let output = try op.result(a, b)
    #expect(output.shape == batch + [rows, columns])
    let expected = indices(of: output.shape).map { index -> Double in
      func lead(_ own: [Int]) -> [Int] {
        own.enumerated().map { axis, size in size == 1 ? 0 : index[batch.count - own.count + axis] }
      }
      let (m, n) = (index[batch.count], index[batch.count + 1])
      return (0..<depth).reduce(0.0) { sum, k in
        sum + a[lead(batchA) + (op.transposeA ? [k, m] : [m, k])]
          * b[lead(batchB) + (op.transposeB ? [n, k] : [k, n])]
      }
    }
    #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
  }

  @Test(arguments: 0..<30) func mean(_ seed: Int) throws {
    var random = TensorGenerator(seed: 150 + UInt64(seed))
    let shape = (0..<random.int(1...5)).map { _ in random.int(1...5) }
    let axes = shape.indices.filter { _ in random.bool() }
    let op = ReduceOp(axes: axes, keepDimensions: random.bool())
    let input = random.tensor(shape)
    let output = try op.result(input)
    let kept = shape.enumerated().map { axes.contains($0.offset) ? 1 : $0.element }
    var sums = [Double](repeating: 0, count: kept.reduce(1, *))
    for index in indices(of: shape) {
      let target = index.enumerated().map { axes.contains($0.offset) ? 0 : $0.element }
      sums[zip(target, contiguousStrides(kept)).reduce(0) { $0 + $1.0 * $1.1 }] += input[index]
    }
    let count = Double(axes.reduce(1) { $0 * shape[$1] })
    #expect(worstDifference(output.values, sums.map { $0 / count }) < 1e-6, "seed \(seed)")
    let dropped = shape.indices.filter { !axes.contains($0) }.map { shape[$0] }
    #expect(output.shape == (op.keepDimensions ? kept : dropped))
  }

  @Test func shapesThatDoNotFitAreRefused() {
    var op = FullyConnectedOp()
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 5], [3, 4]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4], [3, 4], [4]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4], [3, 4, 1]]) }
    op.keepDimensions = false
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 5], [3, 4]]) }
    #expect(throws: ModelError.self) { try BatchMatMulOp().outputShapes([[4], [4, 2]]) }
    #expect(throws: ModelError.self) { try BatchMatMulOp().outputShapes([[2, 3, 4], [3, 4, 2]]) }
    #expect(throws: ModelError.self) { try ReduceOp(axes: [2], keepDimensions: true).outputShapes([[2, 3]]) }
    #expect(throws: ModelError.self) { try ReduceOp(axes: [1, 0], keepDimensions: true).outputShapes([[2, 3]]) }
  }
}
