/// Logarithm of softmax along one axis.
///
/// Shapes:       input int8 · output int8 of the same shape
/// Quantization: output real = (q − 127) / 16
/// Computes:     d = requantize(input − max along the axis, multiplier, shift), Q5.26;
///               logSum = log(Σ round(exp(d) / 2^12)), Q5.26;
///               output = clamp(127 + round((d − logSum) / 2^22)), -128 where d is too low to matter
/// Rounding:     double rounding.  Overflow: the sum saturates, which takes 4096 values near the maximum.
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       TFLite reference, log_softmax.h; bit-exact with TensorFlow Lite Micro: yes.
public struct LogSoftmaxParams: BitwiseCopyable, Sendable {
  /// Along which axis.
  public var axis: Int32
  /// Of `scale × beta × 2^26`, Q0.31.
  public var multiplier: Int32
  /// 0...30, positive = left.
  public var shift: Int32
  /// The reciprocal of that factor (PreprocessLogSoftmaxScalingExp), Q0.31.
  public var reverseMultiplier: Int32
  /// -31...0.
  public var reverseShift: Int32
  /// The lowest difference that enters the sum, <= 0 (diff_min).
  public var lowestDifference: Int32

  /// All fields at once.
  public init(
    axis: Int32, multiplier: Int32, shift: Int32, reverseMultiplier: Int32, reverseShift: Int32, lowestDifference: Int32
  ) {
    self.axis = axis
    self.multiplier = multiplier
    self.shift = shift
    self.reverseMultiplier = reverseMultiplier
    self.reverseShift = reverseShift
    self.lowestDifference = lowestDifference
  }
}

enum LogSoftmax: Kernel {
  typealias Params = LogSoftmaxParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    try view.require(input, type: .int8)
    try view.require(output, type: .int8)
    try view.requireSameShape(input, output)
    try AxisShape.validate(input, axis: params.axis)
    try requireMultiplier(params.multiplier, shift: params.shift)
    try requireMultiplier(params.reverseMultiplier, shift: params.reverseShift)
    guard params.shift >= 0, params.reverseShift <= 0, params.lowestDifference <= 0,
      params.lowestDifference > Int32.min
    else { throw .badQuantization }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let shape = AxisShape(context.view.input(0).pointee, axis: params.axis)
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let reverse = FixedPointMultiplier(multiplier: params.reverseMultiplier, shift: params.reverseShift)
    let input = context.input(0, as: Int8.self), output = context.output(0, as: Int8.self)
    shape.forEachVector { (first: Int) in
      let end = first &+ shape.depth &* shape.inner
      var largest: Int32 = -128
      var index = first
      while index < end {
        largest = max(largest, Int32(input[index]))
        index &+= shape.inner
      }
      var sum: Int32 = 0
      index = first
      while index < end {
        let difference = Int32(input[index]) &- largest
        if difference >= params.lowestDifference {
          // Negative or 0 as long as the shift wraps nothing; a file that lies gets a wrong sum, nothing else.
          let exp = fixedPointExp(onNegative: min(factor.requantized(difference), 0), integerBits: 5)
          sum = saturatingAdd(sum, roundingDivide(exp, byPowerOfTwo: 12))
        }
        index &+= shape.inner
      }
      let logSum = fixedPointLog(max(sum, 1), inputIntegerBits: 12, outputIntegerBits: 5)
      // Below this, the subtraction of logSum would leave Q5.26.
      let lowest = max(params.lowestDifference &- 1, reverse.requantized(logSum &+ Int32.min))
      index = first
      while index < end {
        let difference = Int32(input[index]) &- largest
        var value: Int32 = -128
        if difference > lowest {
          let scaled = factor.requantized(difference) &- logSum
          value = clamped(roundingDivide(scaled, byPowerOfTwo: 22) &+ 127, -128, 127)
        }
        output[index] = Int8(truncatingIfNeeded: value)
        index &+= shape.inner
      }
    }
  }
}
