/// Softmax of int16 activations along one axis.
///
/// Shapes:       input int16 · output int16 of the same shape
/// Quantization: zero points 0; output scale 1/32768
/// Computes:     d = requantize(input − max along the axis, multiplier, shift), -65535...0 for -10...0;
///               e = expTable at clamp(d + 32767), Q0.15;  sum = Σ e;  1/sum by reciprocalTable, which holds 1/(1 + x);
///               output = clamp(round(e / sum), 0, 32767)
/// Rounding:     double rounding for d, half up elsewhere.  Overflow: at most 65536 values per sum.
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       TFLite reference, softmax.h, SoftmaxInt16; bit-exact with TensorFlow Lite Micro: yes.
public struct SoftmaxInt16Params: BitwiseCopyable, Sendable {
  /// Along which axis.
  public var axis: Int32
  /// Of `scale × beta × 65535 / 10`, Q0.31.
  public var multiplier: Int32
  /// -31...30, positive = left.
  public var shift: Int32
  /// Constants offset of ``interpolatedTableCount`` Int16, 64-byte aligned: exp(x) for -10 <= x <= 0, Q0.15.
  public var expTable: UInt32
  /// Constants offset of ``interpolatedTableCount`` Int16, 64-byte aligned: 1/(1 + x) for 0 <= x <= 1, Q0.15.
  public var reciprocalTable: UInt32

  /// All fields at once.
  public init(axis: Int32, multiplier: Int32, shift: Int32, expTable: UInt32, reciprocalTable: UInt32) {
    self.axis = axis
    self.multiplier = multiplier
    self.shift = shift
    self.expTable = expTable
    self.reciprocalTable = reciprocalTable
  }
}

enum SoftmaxInt16: Kernel {
  typealias Params = SoftmaxInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    try view.require(input, type: .int16)
    try view.require(output, type: .int16)
    try view.requireSameShape(input, output)
    try AxisShape.validate(input, axis: params.axis)
    guard input.pointee.dimension(Int(params.axis)) <= 1 << 16 else { throw .badParams }
    try requireMultiplier(params.multiplier, shift: params.shift)
    try view.requireConstant(params.expTable, byteCount: Int(interpolatedTableCount) * 2, alignment: 64)
    try view.requireConstant(params.reciprocalTable, byteCount: Int(interpolatedTableCount) * 2, alignment: 64)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let shape = AxisShape(context.view.input(0).pointee, axis: params.axis)
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let exps = context.constant(params.expTable, as: Int16.self)
    let reciprocals = context.constant(params.reciprocalTable, as: Int16.self)
    let input = context.input(0, as: Int16.self), output = context.output(0, as: Int16.self)
    shape.forEachVector { (first: Int) in
      let end = first &+ shape.depth &* shape.inner
      var largest: Int32 = -32768
      var index = first
      while index < end {
        largest = max(largest, Int32(input[index]))
        index &+= shape.inner
      }
      // The exponentials wait in the output.
      var sum: Int32 = 0
      index = first
      while index < end {
        let scaled = factor.requantized(Int32(input[index]) &- largest)
        let exp = interpolatedLookup(clamped(scaled &+ 32767, -32768, 32767), in: exps)
        output[index] = Int16(truncatingIfNeeded: exp)
        sum = sum &+ exp
        index &+= shape.inner
      }
      // A true table gives 32767 for the maximum; the bound keeps a false one from shifting by nothing.
      let headroomPlusOne = Int32(truncatingIfNeeded: max(sum, 2).leadingZeroBitCount)
      // The sum as 2^16 ... 2^17, rounded; its 1/(1 + x) with x from the middle of the table.
      let shifted = (widened(sum &<< (headroomPlusOne &- 1)) &+ 8192) &>> 14
      let position = clamped(Int32(truncatingIfNeeded: shifted) &- 98304, -32768, 32767)
      let reciprocal = interpolatedLookup(position, in: reciprocals)
      let rightShift = 31 &- headroomPlusOne
      let half = Int32(1) &<< (rightShift &- 1)
      index = first
      while index < end {
        // 15 + 15 bits and half of at most 2^30.
        let value = (Int32(output[index]) &* reciprocal &+ half) &>> rightShift
        output[index] = Int16(truncatingIfNeeded: clamped(value, 0, 32767))
        index &+= shape.inner
      }
    }
  }
}
