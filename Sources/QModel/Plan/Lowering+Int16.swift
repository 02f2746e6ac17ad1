import QKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

// Functions of int16 activations.
extension Lowering {
  mutating func lowerUnaryInt16(_ op: UnaryOp, _ input: Operand, _ output: Operand) throws(ModelError) {
    let source = try existing(input.id)
    let ratio = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale))
    switch op {
    case .relu6 where graph.origin == .quantizedTFLite:
      // TensorFlow Lite Micro clamps in the input's scale and takes that of the output to be the same.
      let six = activationRange(.relu6, input).upperBound
      try clamp(source, output, FixedPointMultiplier(multiplier: 1 << 30, shift: 1), input.zeroPoint...six)
    case .relu, .relu6, .reluN1To1, .clip:
      try clamp(source, output, ratio, activationRange(op.fusedActivation ?? .none, output))
    case .leakyRelu(let alpha):
      let slope = FixedPointMultiplier(nearest: Double(input.scale) * Double(alpha) / Double(output.scale))
      let params = LeakyReluInt16Params(
        multiplier: ratio.multiplier, shift: ratio.shift, slopeMultiplier: slope.multiplier, slopeShift: slope.shift)
      builder.step(
        .leakyReluInt16, params, inputs: [source], outputs: [try activation(output.id)], inPlaceInputs: [0])
    case .logistic: try sigmoidal(isTanh: false, source, input, output)
    case .tanh: try sigmoidal(isTanh: true, source, input, output)
    case .hardSigmoid, .hardSwish, .elu, .selu, .celu, .gelu, .silu, .mish, .softplus, .softsign, .thresholdedRelu,
      .exp,
      .log, .sqrt, .rsqrt, .square, .abs, .neg, .reciprocal, .erf, .sin, .cos:
      throw ModelError(.unsupported, "no kernel computes \(op.functionName) of int16")
    }
  }

  private mutating func clamp(
    _ source: Int, _ output: Operand, _ factor: FixedPointMultiplier, _ range: ClosedRange<Int>
  ) throws(ModelError) {
    let params = RequantizeParams(
      multiplier: factor.multiplier, shift: factor.shift, outputMin: Int32(range.lowerBound),
      outputMax: Int32(range.upperBound))
    builder.step(.requantize, params, inputs: [source], outputs: [try activation(output.id)], inPlaceInputs: [0])
  }

  /// Logistic and tanh by the table of 256 samples, in which 1/24 is one step (TFLite's LogisticPrepare, TanhPrepare).
  private mutating func sigmoidal(isTanh: Bool, _ source: Int, _ input: Operand, _ output: Operand) throws(ModelError) {
    guard input.zeroPoint == 0 else {
      throw ModelError(.unsupported, "\(input.label) has the zero point \(input.zeroPoint), expected 0")
    }
    var multiplier: Int, shift = 0
    let exponent = Double(input.scale).binaryLogarithm
    if exponent == -12 || (isTanh && exponent == -11) {
      multiplier = 3 << (exponent.map { $0 + 12 } ?? 0)
    } else {
      var factor = Double(input.scale) * 4096 * 3
      while factor <= 32767 / 2, shift <= 30 {
        shift += 1
        factor *= 2
      }
      guard factor < 32768 else { throw ModelError(.unsupported, "\(input.label) has the scale \(input.scale)") }
      multiplier = Int(factor)
    }
    let params = LogisticTanhInt16Params(isTanh: isTanh, multiplier: Int32(multiplier), shift: Int32(-shift))
    try compute(output, in: TensorQuantization(scale: 1 / 32768, zeroPoint: 0)) { lowering, target in
      lowering.builder.step(.logisticTanhInt16, params, inputs: [source], outputs: [target], inPlaceInputs: [0])
    }
  }

  mutating func lowerSoftmaxInt16(_ op: SoftmaxOp, _ input: Operand, _ output: Operand) throws(ModelError) {
    guard input.zeroPoint == 0 else {
      throw ModelError(.unsupported, "\(input.label) has the zero point \(input.zeroPoint), expected 0")
    }
    let factor = FixedPointMultiplier(nearest: Double(input.scale) * Double(op.beta) / (10 / 65535))
    let range = Float(65535)
    let params = SoftmaxInt16Params(
      axis: Int32(op.axis), multiplier: factor.multiplier, shift: factor.shift,
      expTable: builder.constant(
        LookupTables.interpolated(inputScale: 10 / range, inputZeroPoint: 32767, outputScale: 2 / range) {
          Float(exp(Double($0)))
        }),
      reciprocalTable: builder.constant(
        LookupTables.interpolated(inputScale: 1 / range, inputZeroPoint: -32768, outputScale: 2 / range) {
          1 / (1 + $0)
        }))
    let source = try existing(input.id)
    try compute(output, in: TensorQuantization(scale: 1 / 32768, zeroPoint: 0)) { lowering, target in
      lowering.builder.step(.softmaxInt16, params, inputs: [source], outputs: [target], inPlaceInputs: [0])
    }
  }
}

extension Double {
  /// n for 2^n, up to a thousandth of a bit (TFLite's CheckedLog2); nil for other numbers.
  fileprivate var binaryLogarithm: Int? {
    let logarithm = log2(self), rounded = logarithm.rounded()
    return abs(logarithm - rounded) < 1e-3 ? Int(rounded) : nil
  }
}
