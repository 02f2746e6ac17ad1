/// Logistic function or hyperbolic tangent of int16 activations.
///
/// Shapes:       input int16 · output int16 of the same shape
/// Quantization: input zeroPoint 0; output scale 1/32768, zeroPoint 0
/// Computes:     v = round(input × multiplier / 2^-shift); output = interpolation at v in the table of 256 samples
///               (``interpolatedLogistic(_:)``, ``interpolatedTanh(_:)``)
/// Rounding:     half up.  Overflow: the multiplier has 15 bits.
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       TFLite reference, integer_ops/logistic.h and tanh.h; bit-exact with TensorFlow Lite Micro: yes.
public struct LogisticTanhInt16Params: BitwiseCopyable, Sendable {
  /// 1: the hyperbolic tangent; 0: the logistic function.
  public var isTanh: Int32
  /// 0...32767; 3·2^n for an input scale of 2^(n − 12), else as LogisticPrepare computes it.
  public var multiplier: Int32
  /// -31...0; the product is divided by 2^-shift.
  public var shift: Int32

  /// All fields at once.
  public init(isTanh: Bool, multiplier: Int32, shift: Int32) {
    self.isTanh = isTanh ? 1 : 0
    self.multiplier = multiplier
    self.shift = shift
  }
}

enum LogisticTanhInt16: Kernel {
  typealias Params = LogisticTanhInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int16)
    try view.require(view.output(0), type: .int16)
    try view.requireSameShape(view.input(0), view.output(0))
    guard params.isTanh == 0 || params.isTanh == 1, params.multiplier >= 0, params.multiplier <= 32767,
      params.shift >= -31, params.shift <= 0, view.input(0).pointee.zeroPoint == 0
    else { throw .badQuantization }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let input = context.input(0, as: Int16.self), output = context.output(0, as: Int16.self)
    let count = context.view.input(0).pointee.elementCount
    var index = 0
    while index < count {
      let v = sigmoidTableInput(Int32(input[index]), multiplier: params.multiplier, shift: params.shift)
      let value = params.isTanh == 1 ? interpolatedTanh(v) : interpolatedLogistic(v)
      output[index] = Int16(truncatingIfNeeded: value)
      index &+= 1
    }
  }
}
