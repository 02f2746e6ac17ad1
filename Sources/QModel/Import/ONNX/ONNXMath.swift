#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Functions of constants.
enum ONNXMath {
  /// `base` to the power of `exponent`.
  static func power(_ base: Double, _ exponent: Double) -> Double { pow(base, exponent) }

  /// A function as it is computed on floats and on integers.
  struct Function {
    let float: (Float) -> Float
    /// Returns `nil` for an overflow and for functions that integers do not have.
    let integer: (Int64) -> Int64?
  }

  /// Returns how to compute a function of constants; `nil` for the activations, which nobody applies to constants.
  static func folded(_ op: UnaryOp) -> Function? {
    switch op {
    case .abs: Function(float: { $0.magnitude }, integer: { $0 == .min ? nil : Swift.abs($0) })
    case .neg: Function(float: { -$0 }, integer: { $0 == .min ? nil : -$0 })
    case .sqrt: Function(float: { $0.squareRoot() }, integer: { _ in nil })
    case .rsqrt: Function(float: { 1 / $0.squareRoot() }, integer: { _ in nil })
    case .reciprocal: Function(float: { 1 / $0 }, integer: { _ in nil })
    case .square:
      Function(
        float: { $0 * $0 },
        integer: {
          let (product, overflow) = $0.multipliedReportingOverflow(by: $0)
          return overflow ? nil : product
        })
    case .exp: Function(float: { Float(exp(Double($0))) }, integer: { _ in nil })
    case .log: Function(float: { Float(log(Double($0))) }, integer: { _ in nil })
    case .relu: Function(float: { max($0, 0) }, integer: { max($0, 0) })
    case .relu6, .reluN1To1, .clip, .leakyRelu, .logistic, .tanh, .hardSigmoid, .hardSwish, .elu, .selu, .celu, .gelu,
      .silu, .mish, .softplus, .softsign, .thresholdedRelu, .erf, .sin, .cos:
      nil
    }
  }

}
