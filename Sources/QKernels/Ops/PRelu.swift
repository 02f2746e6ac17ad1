/// Parametric rectifier.
///
/// Shapes:       input int8 or int16 · slope int8, broadcastable to the input · output of the input's type and shape
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     x = input − inputZeroPoint;  x ≥ 0: y = requantize(x, multiplier, shift), else
///               y = requantize(x × (slope − slopeZeroPoint), slopeMultiplier, slopeShift);
///               output = clamp(outputZeroPoint + y)
/// Rounding:     double rounding.  Overflow: products have 25 bits; the factors are those of ratios of scales.
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       TFLite int8 specification, PRELU; bit-exact with TensorFlow Lite Micro: yes.
public struct PReluParams: BitwiseCopyable, Sendable {
  /// inputScale / outputScale, Q0.31.
  public var multiplier: Int32
  /// -31...30, positive = left.
  public var shift: Int32
  /// inputScale × slopeScale / outputScale, Q0.31.
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

enum PRelu: Kernel {
  typealias Params = PReluParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    guard view.type(of: input) != .int32 else { throw .badTensor }
    try view.require(view.input(1), type: .int8)
    try view.require(output, type: view.type(of: input))
    try view.requireSameShape(input, output)
    try Broadcast.requireShapes(input, view.input(1), output)
    try requireMultiplier(params.multiplier, shift: params.shift)
    try requireMultiplier(params.slopeMultiplier, shift: params.slopeShift)
  }

  static func run(_ context: StepContext) {
    let type = context.view.type(of: context.view.input(0))
    if type == .int16 {
      rectify(context, type, Int16.self)
    } else {
      rectify(context, type, Int8.self)
    }
  }

  @inline(__always)
  private static func rectify<Element: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, _ type: StoredType, _: Element.Type
  ) {
    let params = context.view.params(Params.self).pointee
    let positive = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let negative = FixedPointMultiplier(multiplier: params.slopeMultiplier, shift: params.slopeShift)
    let inputZeroPoint = context.view.input(0).pointee.zeroPoint
    let slopeZeroPoint = context.view.input(1).pointee.zeroPoint
    let zeroPoint = context.view.output(0).pointee.zeroPoint
    let input = context.input(0, as: Element.self), slope = context.input(1, as: Int8.self)
    let output = context.output(0, as: Element.self)
    Broadcast(context.view.input(0), context.view.input(1), context.view.output(0)).forEachRun {
      (first: Int, slopeFirst: Int, _: Int, count: Int, _: Int, slopeStep: Int) in
      var index = 0
      while index < count {
        let x = Int32(truncatingIfNeeded: input[first &+ index]) &- inputZeroPoint
        let y: Int32
        if x >= 0 {
          y = positive.requantized(x)
        } else {
          y = negative.requantized(x &* (Int32(slope[slopeFirst &+ index &* slopeStep]) &- slopeZeroPoint))
        }
        output[first &+ index] = Element(truncatingIfNeeded: clamped(y &+ zeroPoint, type.lowest, type.highest))
        index &+= 1
      }
    }
  }
}
