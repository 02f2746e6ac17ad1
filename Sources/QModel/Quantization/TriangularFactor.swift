/// A symmetric positive definite matrix A as R·Rᵀ with R upper triangular, after a permutation of its rows and columns.
///
/// With it the nearest point of a lattice is found greedily, one coordinate after the other ("nearest plane", Babai 1986;
/// the same as GPTQ's compensation, Frantar et al. 2022): rounding an earlier coordinate moves the targets of later ones, so
/// that they make up for its error as seen through A.
struct TriangularFactor: Sendable {
  let size: Int
  /// Position p of the factor is coordinate order[p] of the matrix: the largest diagonal elements first.
  let order: [Int]
  /// Column j of R as row j, [size][size]: entries 0...j.
  private let columns: [Double]

  /// Factors a matrix, given by its elements on and above the diagonal, [size][size].
  ///
  /// - Precondition: it is positive definite; pivots that rounding made too small are raised.
  init(upper matrix: [Double], size: Int) {
    self.size = size
    let order = (0..<size).sorted { a, b in
      let first = matrix[a * size + a], second = matrix[b * size + b]
      return first == second ? a < b : first > second
    }
    self.order = order
    let floor = 1e-12 * max(order.first.map { matrix[$0 * size + $0] } ?? 1, 1e-300)
    // A[i][j] = Σ_{m >= max(i, j)} R[i][m]·R[j][m]: solved from the last column to the first.
    var columns = [Double](repeating: 0, count: size * size)
    for j in 0..<size {
      for i in 0...j {
        let a = min(order[i], order[j]), b = max(order[i], order[j])
        columns[j * size + i] = matrix[a * size + b]
      }
    }
    columns.withUnsafeMutableBufferPointer { columns in
      guard let base = columns.baseAddress else { return }
      for m in stride(from: size - 1, through: 0, by: -1) {
        let column = base + m * size
        let pivot = max(column[m], floor).squareRoot()
        let inverse = 1 / pivot
        for i in 0..<m { column[i] *= inverse }
        column[m] = pivot
        for j in 0..<m {
          let factor = column[j]
          if factor == 0 { continue }
          let target = base + j * size
          for i in 0...j { target[i] -= factor * column[i] }
        }
      }
    }
    self.columns = columns
  }

  /// The unit matrix.
  init(identity size: Int) {
    self.size = size
    order = Array(0..<size)
    var columns = [Double](repeating: 0, count: size * size)
    for j in 0..<size { columns[j * size + j] = 1 }
    self.columns = columns
  }

  /// x with A·x = b.
  func solving(_ b: [Double]) -> [Double] {
    var x = order.map { b[$0] }
    columns.withUnsafeBufferPointer { columns in
      // R·y = b from the last to the first, then Rᵀ·x = y.
      for m in stride(from: size - 1, through: 0, by: -1) {
        x[m] /= columns[m * size + m]
        for i in 0..<m { x[i] -= columns[m * size + i] * x[m] }
      }
      for m in 0..<size {
        var sum = x[m]
        for i in 0..<m { sum -= columns[m * size + i] * x[i] }
        x[m] = sum / columns[m * size + m]
      }
    }
    var result = [Double](repeating: 0, count: size)
    for (position, coordinate) in order.enumerated() { result[coordinate] = x[position] }
    return result
  }

  /// Integers q in -127...127 for which `scale · q` is near `target` as seen through A.
  ///
  /// - Returns: the integers and (target − scale·q)ᵀ·A·(target − scale·q).
  func nearestIntegers(to target: UnsafeBufferPointer<Double>, scale: Double) -> (values: [Int8], error: Double) {
    var values = [Int8](repeating: 0, count: size)
    var differences = [Double](repeating: 0, count: size)
    var error = 0.0
    let inverse = 1 / scale
    columns.withUnsafeBufferPointer { columns in
      differences.withUnsafeMutableBufferPointer { differences in
        for j in 0..<size {
          let column = UnsafeBufferPointer(rebasing: columns[j * size..<j * size + j + 1])
          var carried = 0.0, other = 0.0
          var i = 0
          while i + 1 < j {
            carried += differences[i] * column[i]
            other += differences[i + 1] * column[i + 1]
            i += 2
          }
          if i < j { carried += differences[i] * column[i] }
          let coordinate = order[j]
          let original = target[coordinate]
          let wanted = original + (carried + other) / column[j]
          let rounded = max(-127, min((wanted * inverse).rounded(.toNearestOrAwayFromZero), 127))
          values[coordinate] = Int8(rounded)
          differences[j] = original - scale * rounded
          let residue = (wanted - scale * rounded) * column[j]
          error += residue * residue
        }
      }
    }
    return (values, error)
  }
}
