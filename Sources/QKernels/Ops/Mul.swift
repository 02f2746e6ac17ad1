import QKernelsIntrinsics

/// Multiplication with broadcast.
///
/// Shapes:       a, b int8 of broadcastable shapes · output int8 of the broadcast shape
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     output = clamp(outputZeroPoint + requantize((a − aZeroPoint) × (b − bZeroPoint), multiplier, shift),
///               outputMin, outputMax)
/// Rounding:     double rounding.  Overflow: products have 17 bits (int16 with zero points 0: 31), shift ≤ 14 (int16: 0).
/// Scratch:      none.  Aliasing: output may be the memory of an operand of its own shape.
/// Source:       TFLite int8 specification, MUL; bit-exact with TensorFlow Lite Micro: yes.
public struct MulParams: BitwiseCopyable, Sendable {
  /// Q0.31, 0 or more.
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

  func validate(_ view: StepView, type: StoredType) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let output = view.output(0)
    try view.require(view.input(0), type: type)
    try view.require(view.input(1), type: type)
    try view.require(output, type: type)
    try Broadcast.requireShapes(view.input(0), view.input(1), output)
    try requireMultiplier(multiplier, shift: shift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: outputMin, max: outputMax, lowest: type.lowest, highest: type.highest)
  }
}

enum Mul: Kernel {
  typealias Params = MulParams

  static func validate(_ view: StepView) throws(Status) {
    try view.params(Params.self).pointee.validate(view, type: .int8)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let a = context.input(0, as: Int8.self), b = context.input(1, as: Int8.self)
    let output = context.output(0, as: Int8.self)
    var args = qk_mul_args(
      a: a, b: b, aStep: 0, bStep: 0, count: 0, aZeroPoint: aRecord.pointee.zeroPoint,
      bZeroPoint: bRecord.pointee.zeroPoint, multiplier: params.multiplier, shift: params.shift,
      outputZeroPoint: outputRecord.pointee.zeroPoint, outputMin: params.outputMin, outputMax: params.outputMax,
      output: output)
    Broadcast(aRecord, bRecord, outputRecord).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      args.a = a + aFirst
      args.b = b + bFirst
      args.output = output + outputFirst
      args.count = Int32(truncatingIfNeeded: count)
      args.aStep = Int32(truncatingIfNeeded: aStep)
      args.bStep = Int32(truncatingIfNeeded: bStep)
      context.inner.mul(&args)
    }
  }
}

/// Multiplication of int16 tensors; as ``Mul``.
///
/// Source: TFLite int16 specification, MUL; bit-exact with TensorFlow Lite Micro: yes.
enum MulInt16: Kernel {
  typealias Params = MulParams

  static func validate(_ view: StepView) throws(Status) {
    try view.params(Params.self).pointee.validate(view, type: .int16)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let a = context.input(0, as: Int16.self), b = context.input(1, as: Int16.self)
    let output = context.output(0, as: Int16.self)
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let aZeroPoint = aRecord.pointee.zeroPoint, bZeroPoint = bRecord.pointee.zeroPoint
    let zeroPoint = outputRecord.pointee.zeroPoint
    Broadcast(aRecord, bRecord, outputRecord).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      var index = 0
      while index < count {
        let x = Int32(a[aFirst &+ index &* aStep]) &- aZeroPoint
        let y = Int32(b[bFirst &+ index &* bStep]) &- bZeroPoint
        output[outputFirst &+ index] = Int16(
          truncatingIfNeeded: clamped(factor.requantized(x &* y) &+ zeroPoint, params.outputMin, params.outputMax))
        index &+= 1
      }
    }
  }
}
