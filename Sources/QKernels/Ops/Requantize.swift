/// Change of scale, zero point or type.
///
/// Shapes:       input int8 or int16 · output int8, int16 or int32 of as many elements
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     output = clamp(outputZeroPoint + requantize(input − inputZeroPoint, multiplier, shift), outputMin,
///               outputMax); the factor is inputScale / outputScale
/// Rounding:     double rounding.  Overflow: 17 bits times a ratio of scales below 2^14.
/// Scratch:      none.  Aliasing: output may be the input's memory when it is no wider.
/// Source:       TFLite reference, requantize.h; bit-exact with TensorFlow Lite Micro: yes.
public struct RequantizeParams: BitwiseCopyable, Sendable {
  /// Q0.31.
  public var multiplier: Int32
  /// -31...30, positive = left.
  public var shift: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(multiplier: Int32, shift: Int32, outputMin: Int32, outputMax: Int32) {
    self.multiplier = multiplier
    self.shift = shift
    self.outputMin = outputMin
    self.outputMax = outputMax
  }
}

enum Requantize: Kernel {
  typealias Params = RequantizeParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    let type = view.type(of: output)
    guard view.type(of: input) != .int32, input.pointee.elementCount == output.pointee.elementCount else {
      throw .badTensor
    }
    try requireMultiplier(params.multiplier, shift: params.shift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: params.outputMin, max: params.outputMax, lowest: type.lowest,
      highest: type.highest)
  }

  static func run(_ context: StepContext) {
    if context.view.type(of: context.view.input(0)) == .int16 {
      convert(context, from: Int16.self)
    } else {
      convert(context, from: Int8.self)
    }
  }

  @inline(__always)
  private static func convert<Input: FixedWidthInteger & BitwiseCopyable>(_ context: StepContext, from _: Input.Type) {
    switch context.view.type(of: context.view.output(0)) {
    case .int8: convert(context, Input.self, Int8.self)
    case .int16: convert(context, Input.self, Int16.self)
    case .int32: convert(context, Input.self, Int32.self)
    }
  }

  @inline(__always)
  private static func convert<Input: FixedWidthInteger & BitwiseCopyable, Output: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, _: Input.Type, _: Output.Type
  ) {
    let params = context.view.params(Params.self).pointee
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let inputZeroPoint = context.view.input(0).pointee.zeroPoint
    let zeroPoint = context.view.output(0).pointee.zeroPoint
    let input = context.input(0, as: Input.self), output = context.output(0, as: Output.self)
    let count = context.view.input(0).pointee.elementCount
    var index = 0
    while index < count {
      let value = factor.requantized(Int32(truncatingIfNeeded: input[index]) &- inputZeroPoint) &+ zeroPoint
      output[index] = Output(truncatingIfNeeded: clamped(value, params.outputMin, params.outputMax))
      index &+= 1
    }
  }
}
