import QKernelsIntrinsics

/// Addition or subtraction with broadcast.
///
/// Shapes:       a, b int8 of broadcastable shapes · output int8 of the broadcast shape
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     sum = requantize((a − aZeroPoint) << leftShift, aMultiplier, aShift)
///                   + requantize((b − bZeroPoint) << leftShift, bMultiplier, bShift)
///               output = clamp(outputZeroPoint + requantize(sum, outputMultiplier, outputShift), outputMin, outputMax)
///               Subtraction: a negative bMultiplier stands for its magnitude, and the second term is subtracted. (It is
///               not the same to multiply by a negative factor: exact halves round towards plus infinity.)
/// Rounding:     double rounding.  Overflow: leftShift ≤ 20 (int16: 15) and factors below 1 keep 30 bits.
/// Scratch:      none.  Aliasing: output may be the memory of an operand of its own shape.
/// Source:       TFLite int8 specification, ADD and SUB; bit-exact with TensorFlow Lite Micro: yes.
public struct AddParams: BitwiseCopyable, Sendable {
  /// 0...20 (int16: 0...15).
  public var leftShift: Int32
  /// Q0.31, 0 or more.
  public var aMultiplier: Int32
  /// -31...0.
  public var aShift: Int32
  /// Q0.31; negative for a subtraction.
  public var bMultiplier: Int32
  /// -31...0.
  public var bShift: Int32
  /// Q0.31, 0 or more.
  public var outputMultiplier: Int32
  /// -31...30, positive = left.
  public var outputShift: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(
    leftShift: Int32, aMultiplier: Int32, aShift: Int32, bMultiplier: Int32, bShift: Int32, outputMultiplier: Int32,
    outputShift: Int32, outputMin: Int32, outputMax: Int32
  ) {
    self.leftShift = leftShift
    self.aMultiplier = aMultiplier
    self.aShift = aShift
    self.bMultiplier = bMultiplier
    self.bShift = bShift
    self.outputMultiplier = outputMultiplier
    self.outputShift = outputShift
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  func validate(_ view: StepView, type: StoredType, maximumLeftShift: Int32) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let output = view.output(0)
    try view.require(view.input(0), type: type)
    try view.require(view.input(1), type: type)
    try view.require(output, type: type)
    try Broadcast.requireShapes(view.input(0), view.input(1), output)
    guard leftShift >= 0, leftShift <= maximumLeftShift, aShift <= 0, bShift <= 0, bMultiplier > Int32.min else {
      throw .badQuantization
    }
    try requireMultiplier(aMultiplier, shift: aShift)
    try requireMultiplier(abs(bMultiplier), shift: bShift)
    try requireMultiplier(outputMultiplier, shift: outputShift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: outputMin, max: outputMax, lowest: type.lowest, highest: type.highest)
  }
}

enum Add: Kernel {
  typealias Params = AddParams

  static func validate(_ view: StepView) throws(Status) {
    try view.params(Params.self).pointee.validate(view, type: .int8, maximumLeftShift: 20)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let a = context.input(0, as: Int8.self), b = context.input(1, as: Int8.self)
    let output = context.output(0, as: Int8.self)
    var args = qk_add_args(
      a: a, b: b, aStep: 0, bStep: 0, count: 0, leftShift: params.leftShift, aZeroPoint: aRecord.pointee.zeroPoint,
      aMultiplier: params.aMultiplier, aShift: params.aShift, bZeroPoint: bRecord.pointee.zeroPoint,
      bMultiplier: params.bMultiplier, bShift: params.bShift, outputMultiplier: params.outputMultiplier,
      outputShift: params.outputShift, outputZeroPoint: outputRecord.pointee.zeroPoint, outputMin: params.outputMin,
      outputMax: params.outputMax, output: output)
    Broadcast(aRecord, bRecord, outputRecord).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      args.a = a + aFirst
      args.b = b + bFirst
      args.output = output + outputFirst
      args.count = Int32(truncatingIfNeeded: count)
      args.aStep = Int32(truncatingIfNeeded: aStep)
      args.bStep = Int32(truncatingIfNeeded: bStep)
      context.inner.add(&args)
    }
  }
}

/// Addition or subtraction of int16 tensors; as ``Add``.
///
/// Source: TFLite int16 specification, ADD and SUB with leftShift 15; bit-exact with TensorFlow Lite Micro: yes.
enum AddInt16: Kernel {
  typealias Params = AddParams

  static func validate(_ view: StepView) throws(Status) {
    try view.params(Params.self).pointee.validate(view, type: .int16, maximumLeftShift: 15)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let a = context.input(0, as: Int16.self), b = context.input(1, as: Int16.self)
    let output = context.output(0, as: Int16.self)
    let aFactor = FixedPointMultiplier(multiplier: params.aMultiplier, shift: params.aShift)
    let bFactor = FixedPointMultiplier(multiplier: abs(params.bMultiplier), shift: params.bShift)
    let outputFactor = FixedPointMultiplier(multiplier: params.outputMultiplier, shift: params.outputShift)
    let aZeroPoint = aRecord.pointee.zeroPoint, bZeroPoint = bRecord.pointee.zeroPoint
    let zeroPoint = outputRecord.pointee.zeroPoint
    Broadcast(aRecord, bRecord, outputRecord).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      var index = 0
      while index < count {
        let x = (Int32(a[aFirst &+ index &* aStep]) &- aZeroPoint) &<< params.leftShift
        let y = (Int32(b[bFirst &+ index &* bStep]) &- bZeroPoint) &<< params.leftShift
        let second = bFactor.requantized(y)
        let sum = aFactor.requantized(x) &+ (params.bMultiplier < 0 ? 0 &- second : second)
        output[outputFirst &+ index] = Int16(
          truncatingIfNeeded: clamped(outputFactor.requantized(sum) &+ zeroPoint, params.outputMin, params.outputMax))
        index &+= 1
      }
    }
  }
}
