import Foundation
import Testing

@testable import QModel

struct ElementwiseOpTests {
  static let kinds: [(BinaryOp.Kind, @Sendable (Double, Double) -> Double)] = [
    (.add, { $0 + $1 }), (.sub, { $0 - $1 }), (.mul, { $0 * $1 }), (.div, { $0 / $1 }),
    (.maximum, { Swift.max($0, $1) }), (.minimum, { Swift.min($0, $1) }),
  ]

  @Test(arguments: 0..<60) func binary(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    let (kind, function) = Self.kinds[seed % Self.kinds.count]
    let pairs: [([Int], [Int])] = [
      ([2, 3, 4], [2, 3, 4]), ([2, 3, 4], [4]), ([2, 3, 4], []), ([], [3]), ([1], [1]), ([], []), ([2, 1, 4], [3, 1]),
      ([3, 1], [1, 5]), ([1, 1, 4], [2, 3, 1]), ([2, 3, 4], [2, 1, 1]),
    ]
    let (shapeA, shapeB) = pairs[random.int(0...pairs.count - 1)]
    var op = BinaryOp(kind)
    op.activation = [.none, .relu, .clip(min: -0.5, max: 0.5)][random.int(0...2)]
    let a = random.tensor(shapeA)
    let b = random.tensor(shapeB, in: 0.5...2)
    let output = try op.result(a, b)
    let expected = indices(of: output.shape).map { index -> Double in
      func value(_ tensor: FloatTensor) -> Double {
        let own = index.suffix(tensor.shape.count)
        return tensor[zip(own, tensor.shape).map { $1 == 1 ? 0 : $0 }]
      }
      return op.activation.clamped(Double(Float(function(value(a), value(b)))))
    }
    #expect(output.values.map(Double.init) == expected, "seed \(seed): \(kind) \(shapeA) \(shapeB)")
  }

  @Test func shapesThatDoNotBroadcastAreRefused() {
    #expect(throws: ModelError.self) { try BinaryOp(.add).outputShapes([[2, 3], [2]]) }
    #expect(throws: ModelError.self) { try BinaryOp(.add).outputShapes([[1 << 20, 1], [1, 1 << 20]]) }
    #expect(throws: ModelError.self) { try PReluOp().outputShapes([[2, 3], [2, 2, 3]]) }
    #expect(throws: ModelError.self) { try UnaryOp.clip(min: 1, max: 0).outputShapes([[2, 3]]) }
    #expect(throws: ModelError.self) { try UnaryOp.clip(min: .nan, max: 0).outputShapes([[2, 3]]) }
  }

  /// The functions as their papers and the ONNX standard write them.
  static let functions: [(UnaryOp, @Sendable (Double) -> Double)] = [
    (.relu, { max(0, $0) }), (.relu6, { min(6, max(0, $0)) }), (.reluN1To1, { min(1, max(-1, $0)) }),
    (.clip(min: -0.25, max: 3.5), { min(3.5, max(-0.25, $0)) }),
    (.leakyRelu(alpha: 0.125), { $0 < 0 ? 0.125 * $0 : $0 }),
    (.logistic, { 0.5 + 0.5 * Foundation.tanh($0 / 2) }),
    (.tanh, { (Foundation.exp(2 * $0) - 1) / (Foundation.exp(2 * $0) + 1) }),
    (.hardSigmoid(alpha: 0.25, beta: 0.5), { max(0, min(1, 0.25 * $0 + 0.5)) }),
    (.hardSwish, { $0 * min(6, max(0, $0 + 3)) / 6 }),
    (.elu(alpha: 0.5), { $0 < 0 ? 0.5 * (Foundation.exp($0) - 1) : $0 }),
    (.selu(alpha: 1.5, gamma: 2), { $0 > 0 ? 2 * $0 : 2 * (1.5 * Foundation.exp($0) - 1.5) }),
    (.celu(alpha: 2), { max(0, $0) + min(0, 2 * (Foundation.exp($0 / 2) - 1)) }),
    (.gelu(approximate: false), { 0.5 * $0 * Foundation.erfc(-$0 / 2.0.squareRoot()) }),
    (
      .gelu(approximate: true),
      { 0.5 * $0 * (1 + Foundation.tanh((2 / Double.pi).squareRoot() * ($0 + 0.044715 * Foundation.pow($0, 3)))) }
    ),
    (.silu, { $0 / (1 + Foundation.exp(-$0)) }),
    (.mish, { $0 * Foundation.tanh(Foundation.log(1 + Foundation.exp($0))) }),
    (.softplus, { Foundation.log(1 + Foundation.exp($0)) }), (.softsign, { $0 / (1 + abs($0)) }),
    (.thresholdedRelu(alpha: 1.5), { $0 > 1.5 ? $0 : 0 }), (.exp, { Foundation.exp($0) }),
    (.log, { Foundation.log2($0) * Foundation.log(2) }), (.sqrt, { Foundation.pow($0, 0.5) }),
    (.rsqrt, { Foundation.pow($0, -0.5) }), (.square, { $0 * $0 }), (.abs, { max($0, -$0) }), (.neg, { 0 - $0 }),
    (.reciprocal, { Foundation.pow($0, -1) }), (.erf, { 1 - Foundation.erfc($0) }),
    (.sin, { Foundation.cos($0 - Double.pi / 2) }), (.cos, { Foundation.sin($0 + Double.pi / 2) }),
  ]

  @Test func unary() throws {
    for (op, function) in Self.functions {
      let needsPositive = [.log, .sqrt, .rsqrt].contains(op)
      let points = (needsPositive ? (1...800) : (-400...400)).map { Float($0) / 50 }.filter {
        $0 != 0 || op != .reciprocal
      }
      let output = try op.result(FloatTensor(shape: [points.count], values: points))
      for (point, value) in zip(points, output.values) {
        let expected = function(Double(point))
        let tolerance = 2e-7 * max(1e-3, expected.magnitude) + (op == .gelu(approximate: false) ? 1e-8 : 0)
        #expect(
          (Double(value) - expected).magnitude <= tolerance, "\(op.functionName)(\(point)) = \(value), not \(expected)")
      }
    }
    // Every case of the enum is in the list.
    #expect(Set(Self.functions.map(\.0.functionName)).count == 29)
  }

  @Test func largeArgumentsStayFinite() {
    for op in [UnaryOp.logistic, .tanh, .softplus, .mish, .silu, .gelu(approximate: true), .elu(alpha: 1)] {
      for point: Float in [-1e4, 1e4] { #expect(op.value(at: point).isFinite, "\(op.functionName)(\(point))") }
    }
  }

  @Test(arguments: 0..<20) func prelu(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    let slopes: [[Int]] = [[5], [], [4, 5], [4, 1], [1, 1, 1], [3, 4, 5]]
    let input = random.tensor([3, 4, 5])
    let slope = random.tensor(slopes[seed % slopes.count])
    let output = try PReluOp().result(input, slope)
    for index in indices(of: input.shape) {
      let own = zip(index.suffix(slope.shape.count), slope.shape).map { $1 == 1 ? 0 : $0 }
      let expected = input[index] < 0 ? input[index] * slope[own] : input[index]
      #expect(output[index] == Double(Float(expected)), "seed \(seed)")
    }
  }

  @Test(arguments: 0..<20) func softmax(_ seed: Int) throws {
    var random = TensorGenerator(seed: 70 + UInt64(seed))
    let shape = (0..<random.int(1...4)).map { _ in random.int(1...6) }
    let op = SoftmaxOp(axis: random.int(0...shape.count - 1), beta: [1, 0.5][seed % 2])
    let input = random.tensor(shape, in: -30...30)
    let probabilities = try op.result(input)
    let logarithms = try LogSoftmaxOp(op).result(input)
    for index in indices(of: shape) {
      let sum = (0..<shape[op.axis]).reduce(0.0) { sum, position in
        var other = index
        other[op.axis] = position
        return sum + Foundation.exp(Double(op.beta) * (input[other] - input[index]))
      }
      #expect((probabilities[index] - 1 / sum).magnitude <= 1e-7 / sum, "seed \(seed)")
      #expect((logarithms[index] + Foundation.log(sum)).magnitude <= 1e-6 * max(1, Foundation.log(sum)), "seed \(seed)")
    }
  }

  @Test(arguments: 0..<10) func batchNormalization(_ seed: Int) throws {
    var random = TensorGenerator(seed: 90 + UInt64(seed))
    let shape = [2, 3, 4, 5]
    let op = BatchNormalizationOp(axis: seed % 4, epsilon: 1e-3)
    let channels = shape[op.axis]
    let input = random.tensor(shape)
    let (scale, bias, mean) = (random.tensor([channels]), random.tensor([channels]), random.tensor([channels]))
    let variance = random.tensor([channels], in: 0.1...3)
    let output = try op.result(input, scale, bias, mean, variance)
    let expected = indices(of: shape).map { index in
      let c = index[op.axis]
      let deviation = (variance[c] + Double(op.epsilon)).squareRoot()
      return (input[index] - mean[c]) / deviation * scale[c] + bias[c]
    }
    #expect(worstDifference(output.values, expected) < 1e-6, "seed \(seed)")
  }
}
