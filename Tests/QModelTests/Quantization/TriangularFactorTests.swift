import Testing

@testable import QModel

@Suite struct TriangularFactorTests {
  /// A random symmetric positive definite matrix: Σ x·xᵀ of correlated vectors, and a ridge.
  private func matrix(_ size: Int, _ random: inout TensorGenerator) -> [Double] {
    var matrix = [Double](repeating: 0, count: size * size)
    for _ in 0..<(2 * size + 3) {
      let common = Double(random.normal())
      let x = (0..<size).map { _ in Double(random.normal()) + 2 * common }
      for i in 0..<size { for j in 0..<size { matrix[i * size + j] += x[i] * x[j] } }
    }
    for i in 0..<size { matrix[i * size + i] += 0.1 }
    return matrix
  }

  private func form(_ matrix: [Double], _ x: [Double]) -> Double {
    var sum = 0.0
    for i in x.indices { for j in x.indices { sum += x[i] * matrix[i * x.count + j] * x[j] } }
    return sum
  }

  private static let sizes = [1, 2, 3, 7, 8, 9, 17, 33]

  @Test(arguments: sizes) func solves(size: Int) {
    var random = TensorGenerator(seed: UInt64(size))
    let matrix = matrix(size, &random)
    let x = (0..<size).map { _ in Double(random.normal()) }
    let b = (0..<size).map { i in (0..<size).reduce(0) { $0 + matrix[i * size + $1] * x[$1] } }
    let solution = TriangularFactor(upper: matrix, size: size).solving(b)
    for (found, expected) in zip(solution, x) { #expect(abs(found - expected) < 1e-7, "seed \(size)") }
  }

  @Test(arguments: sizes) func onlyTheUpperHalfIsRead(size: Int) {
    var random = TensorGenerator(seed: UInt64(size))
    let whole = matrix(size, &random)
    var upper = whole
    for i in 0..<size { for j in 0..<i { upper[i * size + j] = .nan } }
    let b = (0..<size).map { Double($0) - 2 }
    #expect(
      TriangularFactor(upper: upper, size: size).solving(b) == TriangularFactor(upper: whole, size: size).solving(b))
  }

  @Test(arguments: sizes) func errorIsTheQuadraticForm(size: Int) {
    var random = TensorGenerator(seed: UInt64(100 + size))
    let matrix = matrix(size, &random)
    let factor = TriangularFactor(upper: matrix, size: size)
    let target = (0..<size).map { _ in Double(random.normal()) * 3 }
    let (values, error) = target.withUnsafeBufferPointer { factor.nearestIntegers(to: $0, scale: 0.2) }
    let expected = form(matrix, zip(target, values).map { $0 - 0.2 * Double($1) })
    #expect(abs(error - expected) <= 1e-9 * max(expected, 1), "\(error), \(expected)")
  }

  @Test func compensationBeatsRounding() {
    var better = 0, ratios = 0.0
    for seed in 0..<40 as Range<UInt64> {
      var random = TensorGenerator(seed: seed)
      let size = 20, matrix = matrix(size, &random)
      let target = (0..<size).map { _ in Double(random.normal()) }
      let factor = TriangularFactor(upper: matrix, size: size)
      let error = target.withUnsafeBufferPointer { factor.nearestIntegers(to: $0, scale: 0.1).error }
      let rounded = form(matrix, target.map { $0 - 0.1 * ($0 / 0.1).rounded() })
      if error < rounded { better += 1 }
      ratios += error / rounded
    }
    #expect(better > 30 && ratios / 40 < 0.6, "\(better) of 40, mean ratio \(ratios / 40)")
  }

  @Test func smallProblemsAreNearTheOptimum() {
    for seed in 0..<50 as Range<UInt64> {
      var random = TensorGenerator(seed: seed)
      let matrix = matrix(2, &random)
      let target = [Double(random.normal()), Double(random.normal())]
      let factor = TriangularFactor(upper: matrix, size: 2)
      let found = target.withUnsafeBufferPointer { factor.nearestIntegers(to: $0, scale: 0.5).error }
      var best = Double.infinity
      for a in -20...20 {
        for b in -20...20 {
          best = min(best, form(matrix, [target[0] - 0.5 * Double(a), target[1] - 0.5 * Double(b)]))
        }
      }
      // Each coordinate of the triangular system is rounded to the nearest, so the error is at most its trace over 4 steps.
      #expect(found >= best - 1e-9)
      #expect(found <= 0.25 * 0.25 * (matrix[0] + matrix[3]) + 1e-9, "seed \(seed)")
    }
  }

  @Test func withoutMatrixItIsRounding() {
    let target = [0.24, -0.26, 1.49, 90, -90, 0]
    let (values, error) = target.withUnsafeBufferPointer {
      TriangularFactor(identity: 6).nearestIntegers(to: $0, scale: 0.5)
    }
    #expect(values == [0, -1, 3, 127, -127, 0])
    let expected = zip(target, values).reduce(0) { $0 + ($1.0 - 0.5 * Double($1.1)) * ($1.0 - 0.5 * Double($1.1)) }
    #expect(abs(error - expected) < 1e-12)
  }

  @Test func singularMatricesDoNotBreakIt() {
    // Two coordinates that are always equal: only their sum matters.
    let factor = TriangularFactor(upper: [1, 1, 1, 1], size: 2)
    let (values, _) = [0.4, 0.4].withUnsafeBufferPointer { factor.nearestIntegers(to: $0, scale: 1) }
    #expect(Int(values[0]) + Int(values[1]) == 1)
    let zero = TriangularFactor(upper: [0, 0, 0, 0], size: 2)
    #expect([3, -4].withUnsafeBufferPointer { zero.nearestIntegers(to: $0, scale: 1).values } == [3, -4])
  }
}
