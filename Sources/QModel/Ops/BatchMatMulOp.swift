/// Attributes of ``OpKind/batchMatMul(_:)``.
public struct BatchMatMulOp: Sendable, Equatable {
  /// The last two axes of a (of b) are swapped before the product.
  public var transposeA = false, transposeB = false
  /// No transposition.
  public init() {}
}

extension BatchMatMulOp: GraphOp {
  static var name: String { "BatchMatMul" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 2)
    let a = operands[0]
    let b = operands[1]
    try operands.require(a.count >= 2 && b.count >= 2, "operands \(a) and \(b) need two axes or more")
    let (rows, depth) = Self.matrix(a, transposed: transposeA)
    let (depthB, columns) = Self.matrix(b, transposed: transposeB)
    guard depth == depthB, let batch = broadcastShape(Array(a.dropLast(2)), Array(b.dropLast(2))) else {
      throw ModelError(.mismatch, "\(Self.name): the shapes \(a) and \(b) do not fit")
    }
    return [try operands.result(batch + [rows, columns])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let a = inputs.operand(0)
    let b = inputs.operand(1)
    let (rows, depth) = Self.matrix(a.shape, transposed: transposeA)
    let columns = Self.matrix(b.shape, transposed: transposeB).columns
    let batch = broadcastShape(Array(a.shape.dropLast(2)), Array(b.shape.dropLast(2))) ?? []
    // Where each batch's matrices start.
    let startsA = Self.starts(Array(a.shape.dropLast(2)), in: batch, size: rows * depth)
    let startsB = Self.starts(Array(b.shape.dropLast(2)), in: batch, size: depth * columns)
    let output = FloatTensor(shape: batch + [rows, columns]) { output in
      var swapped = [Float](repeating: 0, count: transposeA ? rows * depth : 0)
      a.values.withUnsafeBufferPointer { left in
        b.values.withUnsafeBufferPointer { right in
          guard let left = left.baseAddress, let right = right.baseAddress, let target = output.baseAddress
          else { return }
          for index in startsA.indices {
            let matrix = right + startsB[index]
            let packed =
              transposeB
              ? PackedWeights(rows: matrix, columns: columns, depth: depth)
              : PackedWeights(columnMajor: matrix, columns: columns, depth: depth)
            let result = target + index * rows * columns
            if transposeA {
              swapped.withUnsafeMutableBufferPointer { swapped in
                guard let swapped = swapped.baseAddress else { return }
                gather([rows, depth], strides: [1, rows], from: left + startsA[index], to: swapped)
                multiply(
                  rows: swapped, count: rows, rowStride: depth, weights: packed, bias: nil, output: result,
                  outputStride: columns)
              }
            } else {
              multiply(
                rows: left + startsA[index], count: rows, rowStride: depth, weights: packed, bias: nil, output: result,
                outputStride: columns)
            }
          }
        }
      }
    }
    return [output]
  }

  private static func matrix(_ shape: [Int], transposed: Bool) -> (rows: Int, columns: Int) {
    let rows = shape[shape.count - 2]
    let columns = shape[shape.count - 1]
    return transposed ? (columns, rows) : (rows, columns)
  }

  /// The first element of each matrix of a broadcast batch, batches in C order.
  private static func starts(_ shape: [Int], in batch: [Int], size: Int) -> [Int] {
    let strides = broadcastStrides(shape, to: batch)
    var starts = [0]
    for (length, stride) in zip(batch, strides) {
      starts = starts.flatMap { start in (0..<length).map { start + $0 * stride } }
    }
    return starts.map { $0 * size }
  }
}
