import QKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Functions of one int8 value as tables of 256 entries, index `q + 128`.
enum LookupTables {
  /// What a table goes from and to.
  struct Scaling {
    var inputScale: Float
    var inputZeroPoint: Int
    var outputScale: Float
    var outputZeroPoint: Int
  }

  /// The true function, computed in double and rounded to nearest, ties away from zero. Not-a-number gives the zero point.
  static func table(_ scaling: Scaling, _ function: (Double) -> Double) -> [Int8] {
    (-128...127).map { q in
      let value = function(Double(q - scaling.inputZeroPoint) * Double(scaling.inputScale))
      let steps = (value / Double(scaling.outputScale)).rounded(.toNearestOrAwayFromZero)
      if steps.isNaN { return Int8(clamping: scaling.outputZeroPoint) }
      return Int8(clamping: Int(max(-0x1p32, min(steps, 0x1p32))) + scaling.outputZeroPoint)
    }
  }

  /// What TensorFlow Lite Micro's int8 kernel computes, nil for functions that it has none for.
  static func referenceTable(_ function: UnaryOp, _ scaling: Scaling) -> [Int8]? {
    switch function {
    case .relu: relu(scaling)
    case .relu6: relu6(scaling)
    case .leakyRelu(let alpha): leakyRelu(scaling, alpha)
    case .logistic: scaling.outputZeroPoint == -128 ? logistic(scaling) : nil
    case .tanh: scaling.outputZeroPoint == 0 ? tanh(scaling) : nil
    case .elu(let alpha): alpha == 1 ? elu(scaling) : nil
    case .hardSwish: hardSwish(scaling)
    case .reluN1To1, .clip, .hardSigmoid, .selu, .celu, .gelu, .silu, .mish, .softplus, .softsign, .thresholdedRelu,
      .exp, .log, .sqrt, .rsqrt, .square, .abs, .neg, .reciprocal, .erf, .sin, .cos:
      nil
    }
  }

  /// RELU: rescaled, then clamped below at real 0.
  private static func relu(_ scaling: Scaling) -> [Int8] {
    let factor = FixedPointMultiplier(nearest: Double(scaling.inputScale) / Double(scaling.outputScale))
    return (-128...127).map { q in
      let scaled = scaling.outputZeroPoint + Int(factor.requantized(Int32(q - scaling.inputZeroPoint)))
      return Int8(clamping: max(scaled, scaling.outputZeroPoint))
    }
  }

  /// RELU6: a clamp in the input's scale; that of the output is taken to be the same.
  private static func relu6(_ scaling: Scaling) -> [Int8] {
    let steps = min((6 / scaling.inputScale).rounded(.toNearestOrAwayFromZero), 0x1p20)
    let six = Int(steps) + scaling.inputZeroPoint
    return (-128...127).map { Int8(clamping: min(max($0, scaling.inputZeroPoint), six)) }
  }

  /// LEAKY_RELU: a negative slope negates the result of its magnitude.
  private static func leakyRelu(_ scaling: Scaling, _ alpha: Float) -> [Int8] {
    let identity = FixedPointMultiplier(nearest: Double(scaling.inputScale) / Double(scaling.outputScale))
    let slope = FixedPointMultiplier(
      nearest: Double(scaling.inputScale) * Double(abs(alpha)) / Double(scaling.outputScale))
    return (-128...127).map { q in
      let value = Int32(q - scaling.inputZeroPoint)
      let scaled = Int(value >= 0 ? identity.requantized(value) : slope.requantized(value))
      return Int8(clamping: scaling.outputZeroPoint + (value < 0 && alpha < 0 ? -scaled : scaled))
    }
  }

  /// LOGISTIC: the fixed-point function of a Q4.27 argument, output scale 1/256.
  private static func logistic(_ scaling: Scaling) -> [Int8] {
    saturating(scaling) { argument in
      Int(roundingDivide(fixedPointLogistic(argument, integerBits: 4), byPowerOfTwo: 23)) - 128
    }
  }

  /// TANH: the fixed-point function of a Q4.27 argument, output scale 1/128.
  private static func tanh(_ scaling: Scaling) -> [Int8] {
    saturating(scaling) { argument in Int(roundingDivide(fixedPointTanh(argument, integerBits: 4), byPowerOfTwo: 24)) }
  }

  /// Rescales to Q4.27; what exceeds its range gets the ends of the output.
  private static func saturating(_ scaling: Scaling, _ function: (Int32) -> Int) -> [Int8] {
    let integerBits = 4
    let factor = FixedPointMultiplier(nearest: Double(scaling.inputScale) * 0x1p27)
    let radius = inputRadius(integerBits: integerBits, shift: Int(factor.shift))
    return (-128...127).map { q in
      let value = q - scaling.inputZeroPoint
      if value <= -radius { return -128 }
      if value >= radius { return 127 }
      return Int8(clamping: function(factor.requantized(Int32(value))))
    }
  }

  /// The largest input whose fixed-point form with `integerBits` does not saturate (TFLite's CalculateInputRadius).
  static func inputRadius(integerBits: Int, shift: Int) -> Int {
    let largest = Double((1 << integerBits) - 1) * Double(1 << (31 - integerBits))
    return Int((largest / Double(sign: .plus, exponent: shift, significand: 1)).rounded(.down))
  }

  /// ELU: float32 throughout.
  private static func elu(_ scaling: Scaling) -> [Int8] {
    let inverse = 1 / scaling.outputScale
    return (-128...127).map { q in
      let value = scaling.inputScale * Float(q - scaling.inputZeroPoint)
      let transformed = value < 0 ? Float(exp(Double(value))) - 1 : value
      let steps = (transformed * inverse).rounded(.toNearestOrAwayFromZero) + Float(scaling.outputZeroPoint)
      return Int8(clamping: Int(max(-0x1p30, min(steps, 0x1p30))))
    }
  }

  /// 513 samples of a function for linear interpolation of int16, each moved by half of the error in the middle of its
  /// interval; float32 throughout, output zero point 0 (TFLite's LUTPopulate).
  static func interpolated(
    inputScale: Float, inputZeroPoint: Int, outputScale: Float, _ function: (Float) -> Float
  ) -> [Int16] {
    let inputMin = inputScale * Float(-32768 - inputZeroPoint), inputMax = inputScale * Float(32767 - inputZeroPoint)
    let outputMin = outputScale * -32768, outputMax = outputScale * 32767
    let step = (inputMax - inputMin) / 512
    let inverse = Float(65536) / (outputMax - outputMin)
    func nearest(_ value: Float) -> Float { value.rounded(.toNearestOrAwayFromZero) }
    func stored(_ value: Float) -> Int16 { Int16(max(-32768, min(value, 32767))) }
    return (0..<512).map { index in
      let start = inputMin + Float(index) * step
      let value = function(start), middle = function(start + step / 2)
      let next = function(inputMin + Float(index + 1) * step)
      let interpolated = nearest((next * inverse + nearest(value * inverse)) / 2)
      let error = interpolated - nearest(middle * inverse)
      return stored(nearest(value * inverse) - nearest(error / 2))
    } + [stored(nearest(function(inputMax) * inverse))]
  }

  /// HARD_SWISH: 16-bit fixed point (TFLite reference, hard_swish.h).
  private static func hardSwish(_ scaling: Scaling) -> [Int8]? {
    let fineScale = Float(1.0 / 128) * scaling.inputScale
    let output = FixedPointMultiplier(nearest: Double(fineScale / scaling.outputScale))
    let gate = FixedPointMultiplier(nearest: Double(fineScale / (3.0 / 32768 as Float)))
    let outputFactor = Int16(reducedMultiplier(output.multiplier)),
      gateFactor = Int16(reducedMultiplier(gate.multiplier))
    guard output.shift <= 0, gate.shift <= 16 else { return nil }
    return (-128...127).map { q in
      // |q - zeroPoint| <= 255: fits 16 bits after the shift.
      let fine = Int16((q - scaling.inputZeroPoint) << 7)
      let unshifted = saturatingRoundingDoublingHighMultiply(fine, outputFactor)
      var share = fine
      if gate.shift > 0 { share = Int16(clamping: Int(share) << Int(gate.shift - 1)) }
      share = saturatingRoundingDoublingHighMultiply(share, gateFactor)
      if gate.shift > 0 { share = Int16(clamping: Int(share) << 1) }
      if gate.shift < 0 { share = Int16(truncatingIfNeeded: roundingDivide(Int32(share), byPowerOfTwo: -gate.shift)) }
      let portion = (Int(share) + 1 << 15) >> 1
      // Truncated, not rounded: it cancels the bias of the roundings above.
      let product = Int32(portion * Int(unshifted) / (1 << 15))
      return Int8(clamping: Int(roundingDivide(product, byPowerOfTwo: -output.shift)) + scaling.outputZeroPoint)
    }
  }
}
