#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Attributes of the softmax ops.
public struct SoftmaxOp: Sendable, Equatable {
  /// Non-negative.
  public var axis: Int
  /// Factor of the exponents.
  public var beta: Float
  /// Along `axis`.
  public init(axis: Int, beta: Float = 1) {
    self.axis = axis
    self.beta = beta
  }
}

extension SoftmaxOp: GraphOp {
  static var name: String { "Softmax" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try outputShape(inputs, op: Self.name)]
  }

  fileprivate func outputShape(_ inputs: [[Int]?], op: String) throws(ModelError) -> [Int] {
    let operands = try OperandShapes(inputs, op: op, required: 1)
    try operands.requireAxis(axis, rank: operands[0].count)
    try operands.require(beta.isFinite, "beta is \(beta)")
    return operands[0]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let output = alongAxis(inputs.operand(0)) { exponents in
      var sum = 0.0
      for index in exponents.indices {
        exponents[index] = exp(exponents[index])
        sum += exponents[index]
      }
      for index in exponents.indices { exponents[index] /= sum }
    }
    return [output]
  }

  /// Rewrites beta · (x − maximum) of each line along the axis.
  fileprivate func alongAxis(_ input: FloatTensor, _ rewrite: (inout [Double]) -> Void) -> FloatTensor {
    let size = input.shape[axis]
    let inner = input.shape[(axis + 1)...].reduce(1, *)
    let outer = input.values.count / (size * inner)
    let beta = Double(beta)
    var output = input
    var line = [Double](repeating: 0, count: size)
    for block in 0..<outer {
      for lane in 0..<inner {
        let first = block * size * inner + lane
        for index in 0..<size { line[index] = beta * Double(input.values[first + index * inner]) }
        let maximum = line.max() ?? 0
        for index in 0..<size { line[index] -= maximum }
        rewrite(&line)
        for index in 0..<size { output.values[first + index * inner] = Float(line[index]) }
      }
    }
    return output
  }
}

/// ``OpKind/logSoftmax(_:)``: the logarithm of softmax.
struct LogSoftmaxOp: Sendable, Equatable, GraphOp {
  let softmax: SoftmaxOp
  /// Along the axis of `softmax`, with its beta.
  init(_ softmax: SoftmaxOp) { self.softmax = softmax }

  static var name: String { "LogSoftmax" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try softmax.outputShape(inputs, op: Self.name)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let output = softmax.alongAxis(inputs.operand(0)) { exponents in
      var sum = 0.0
      for exponent in exponents { sum += exp(exponent) }
      let logarithm = log(sum)
      for index in exponents.indices { exponents[index] -= logarithm }
    }
    return [output]
  }
}
