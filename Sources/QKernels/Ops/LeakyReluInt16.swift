/// Leaky rectifier of int16 activations (that of int8 ones is a ``Lookup``).
///
/// Shapes:       input int16 · output int16 of the same shape
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     x = input − inputZeroPoint;  output = clamp(outputZeroPoint + y), where y = requantize(x, multiplier,
///               shift) for x ≥ 0, else requantize(x, slopeMultiplier, slopeShift), negated if the slope is negative
/// Rounding:     double rounding.  Overflow: 17 bits and factors that are ratios of scales.
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       TFLite reference, leaky_relu.h; bit-exact with TensorFlow Lite Micro: yes.
public struct LeakyReluInt16Params: BitwiseCopyable, Sendable {
  /// inputScale / outputScale, Q0.31.
  public var multiplier: Int32
  /// -31...30, positive = left.
  public var shift: Int32
  /// inputScale × alpha / outputScale, Q0.31; the sign is alpha's.
  public var slopeMultiplier: Int32
  /// -31...30, positive = left.
  public var slopeShift: Int32

  /// All fields at once.
  public init(multiplier: Int32, shift: Int32, slopeMultiplier: Int32, slopeShift: Int32) {
    self.multiplier = multiplier
    self.shift = shift
    self.slopeMultiplier = slopeMultiplier
    self.slopeShift = slopeShift
  }
}

enum LeakyReluInt16: Kernel {
  typealias Params = LeakyReluInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int16)
    try view.require(view.output(0), type: .int16)
    try view.requireSameShape(view.input(0), view.output(0))
    guard params.slopeMultiplier > Int32.min else { throw .badQuantization }
    try requireMultiplier(params.multiplier, shift: params.shift)
    try requireMultiplier(abs(params.slopeMultiplier), shift: params.slopeShift)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let positive = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let negative = FixedPointMultiplier(multiplier: abs(params.slopeMultiplier), shift: params.slopeShift)
    let inputZeroPoint = context.view.input(0).pointee.zeroPoint
    let zeroPoint = context.view.output(0).pointee.zeroPoint
    let input = context.input(0, as: Int16.self), output = context.output(0, as: Int16.self)
    let count = context.view.input(0).pointee.elementCount
    var index = 0
    while index < count {
      let x = Int32(input[index]) &- inputZeroPoint
      var y = (x >= 0 ? positive : negative).requantized(x)
      if x < 0, params.slopeMultiplier < 0 { y = 0 &- y }
      output[index] = Int16(truncatingIfNeeded: clamped(y &+ zeroPoint, -32768, 32767))
      index &+= 1
    }
  }
}
