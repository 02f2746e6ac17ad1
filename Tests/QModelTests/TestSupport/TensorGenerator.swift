@testable import QModel

/// The same shapes and values on every machine from one seed (SplitMix64).
struct TensorGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }

  mutating func bool() -> Bool { Bool.random(using: &self) }

  /// Values spread evenly over an interval.
  mutating func tensor(_ shape: [Int], in range: ClosedRange<Float> = -2...2) -> FloatTensor {
    FloatTensor(
      shape: shape, values: (0..<shape.reduce(1, *)).map { _ in Float.random(in: range, using: &self) })
  }
}

extension GraphOp {
  /// The results for operands, whose shapes must be accepted, and whose results must have the shapes foretold.
  func results(_ inputs: [FloatTensor?]) throws -> [FloatTensor] {
    let shapes = try outputShapes(inputs.map { $0?.shape })
    var context = EvaluationContext()
    let results = evaluate(inputs, context: &context)
    guard results.map(\.shape) == shapes else {
      throw ModelError(.other, "results \(results.map(\.shape)), foretold \(shapes)")
    }
    return results
  }

  func result(_ inputs: FloatTensor?...) throws -> FloatTensor { try results(inputs)[0] }
}

/// The largest difference relative to the largest expected value.
func worstDifference(_ values: [Float], _ expected: [Double]) -> Double {
  guard values.count == expected.count else { return .infinity }
  let scale = max(1e-6, expected.reduce(0) { max($0, $1.magnitude) })
  var worst = 0.0
  for (value, reference) in zip(values, expected) {
    let difference = (Double(value) - reference).magnitude
    worst = difference.isNaN ? .infinity : max(worst, difference)
  }
  return worst / scale
}

extension FloatTensor {
  /// The value at an index per axis.
  subscript(_ index: Int...) -> Double { self[index] }

  subscript(_ index: [Int]) -> Double {
    Double(values[zip(index, contiguousStrides(shape)).reduce(0) { $0 + $1.0 * $1.1 }])
  }
}

/// Every index of a shape, in C order.
func indices(of shape: [Int]) -> [[Int]] {
  shape.reduce([[]]) { prefixes, size in prefixes.flatMap { prefix in (0..<size).map { prefix + [$0] } } }
}
