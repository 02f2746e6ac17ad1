#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// A function of one value.
public enum UnaryOp: Sendable, Equatable {
  case relu, relu6, reluN1To1
  case clip(min: Float, max: Float)
  case leakyRelu(alpha: Float)
  case logistic
  case tanh
  /// max(0, min(1, alpha·x + beta)).
  case hardSigmoid(alpha: Float, beta: Float)
  /// x · max(0, min(1, x/6 + 1/2)).
  case hardSwish
  case elu(alpha: Float)
  case selu(alpha: Float, gamma: Float)
  case celu(alpha: Float)
  /// approximate: the tanh formula, else the exact one with erf.
  case gelu(approximate: Bool)
  /// x · sigmoid(x).
  case silu
  case mish
  case softplus, softsign
  case thresholdedRelu(alpha: Float)
  case exp, log, sqrt, rsqrt, square, abs, neg, reciprocal, erf, sin, cos
}

extension UnaryOp: GraphOp {
  static var name: String { "Unary" }

  /// The function's own name, as in the support table and error messages.
  public var functionName: String {
    switch self {
    case .relu: "Relu"
    case .relu6: "Relu6"
    case .reluN1To1: "ReluN1To1"
    case .clip: "Clip"
    case .leakyRelu: "LeakyRelu"
    case .logistic: "Logistic"
    case .tanh: "Tanh"
    case .hardSigmoid: "HardSigmoid"
    case .hardSwish: "HardSwish"
    case .elu: "Elu"
    case .selu: "Selu"
    case .celu: "Celu"
    case .gelu: "Gelu"
    case .silu: "Silu"
    case .mish: "Mish"
    case .softplus: "Softplus"
    case .softsign: "Softsign"
    case .thresholdedRelu: "ThresholdedRelu"
    case .exp: "Exp"
    case .log: "Log"
    case .sqrt: "Sqrt"
    case .rsqrt: "Rsqrt"
    case .square: "Square"
    case .abs: "Abs"
    case .neg: "Neg"
    case .reciprocal: "Reciprocal"
    case .erf: "Erf"
    case .sin: "Sin"
    case .cos: "Cos"
    }
  }

  /// The same function as a fused activation, if it is a clamp.
  public var fusedActivation: FusedActivation? {
    switch self {
    case .relu: .relu
    case .relu6: .relu6
    case .reluN1To1: .reluN1To1
    case .clip(let min, let max): min <= max ? FusedActivation(range: min...max) : nil
    case .leakyRelu, .logistic, .tanh, .hardSigmoid, .hardSwish, .elu, .selu, .celu, .gelu, .silu, .mish, .softplus,
      .softsign, .thresholdedRelu, .exp, .log, .sqrt, .rsqrt, .square, .abs, .neg, .reciprocal, .erf, .sin, .cos:
      nil
    }
  }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: functionName, required: 1)
    if case .clip(let min, let max) = self {
      try operands.require(min <= max, "[\(min), \(max)] is no interval")
    }
    return [operands[0]]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    if let clamp = fusedActivation {
      var output = input
      output.values.withUnsafeMutableBufferPointer { clamp.apply(to: $0) }
      return [output]
    }
    return [FloatTensor(shape: input.shape, values: input.values.map { value(at: $0) })]
  }

  /// The function of one value, computed in Double and rounded once.
  public func value(at x: Float) -> Float { Float(value(at: Double(x))) }

  /// The function of one value in Double.
  public func value(at x: Double) -> Double {
    switch self {
    case .relu: return x < 0 ? 0 : x
    case .relu6: return x < 0 ? 0 : (x > 6 ? 6 : x)
    case .reluN1To1: return x < -1 ? -1 : (x > 1 ? 1 : x)
    case .clip(let min, let max):
      let raised = x < Double(min) ? Double(min) : x
      return raised > Double(max) ? Double(max) : raised
    case .leakyRelu(let alpha): return x < 0 ? Double(alpha) * x : x
    case .logistic: return Self.logistic(x)
    case .tanh: return libraryTanh(x)
    case .hardSigmoid(let alpha, let beta): return Self.unit(Double(alpha) * x + Double(beta))
    case .hardSwish: return x * Self.unit(x / 6 + 0.5)
    case .elu(let alpha): return x < 0 ? Double(alpha) * expm1(x) : x
    case .selu(let alpha, let gamma): return Double(gamma) * (x < 0 ? Double(alpha) * expm1(x) : x)
    case .celu(let alpha): return x < 0 ? Double(alpha) * expm1(x / Double(alpha)) : x
    case .gelu(let approximate):
      let inner =
        approximate
        ? libraryTanh(0.7978845608028654 * (x + 0.044715 * x * x * x)) : libraryErf(x * 0.7071067811865476)
      return 0.5 * x * (1 + inner)
    case .silu: return x * Self.logistic(x)
    case .mish: return x * libraryTanh(Self.softplus(x))
    case .softplus: return Self.softplus(x)
    case .softsign: return x / (1 + x.magnitude)
    case .thresholdedRelu(let alpha): return x > Double(alpha) ? x : 0
    case .exp: return libraryExp(x)
    case .log: return libraryLog(x)
    case .sqrt: return x.squareRoot()
    case .rsqrt: return 1 / x.squareRoot()
    case .square: return x * x
    case .abs: return x.magnitude
    case .neg: return -x
    case .reciprocal: return 1 / x
    case .erf: return libraryErf(x)
    case .sin: return librarySin(x)
    case .cos: return libraryCos(x)
    }
  }

  private static func logistic(_ x: Double) -> Double { 1 / (1 + libraryExp(-x)) }

  private static func softplus(_ x: Double) -> Double { Swift.max(x, 0) + log1p(libraryExp(-x.magnitude)) }

  private static func unit(_ x: Double) -> Double { x < 0 ? 0 : (x > 1 ? 1 : x) }
}

// The enum's cases hide the C library's functions of the same names.
private func libraryTanh(_ x: Double) -> Double { tanh(x) }
private func libraryErf(_ x: Double) -> Double { erf(x) }
private func libraryExp(_ x: Double) -> Double { exp(x) }
private func libraryLog(_ x: Double) -> Double { log(x) }
private func librarySin(_ x: Double) -> Double { sin(x) }
private func libraryCos(_ x: Double) -> Double { cos(x) }
