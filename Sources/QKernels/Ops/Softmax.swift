/// The exponentials of a softmax step: what `exp(scale × beta × difference)` is for each difference of two int8 values.
public enum SoftmaxTable {
  /// Entries of the table: differences 0, -1, ... -255.
  public static let count = 256

  /// Entry `-difference` of the table, Q0.31: 0 for differences that the reference leaves out (below its diff_min).
  ///
  /// - Parameters:
  ///   - difference: -255...0.
  ///   - multiplier, shift: of `scale × beta × 2^26`; the shift is not negative (PreprocessSoftmaxScaling).
  ///   - lowestDifference: the reference's diff_min.
  public static func entry(difference: Int32, multiplier: Int32, shift: Int32, lowestDifference: Int32) -> Int32 {
    if difference < lowestDifference { return 0 }
    let scaled = saturatingRoundingDoublingHighMultiply(difference &<< shift, multiplier)
    return fixedPointExp(onNegative: scaled, integerBits: 5)
  }
}

/// Softmax along one axis.
///
/// Shapes:       input int8 · output int8 or int16 of the same shape
/// Quantization: output real = (q + 128) / 256 (int16: (q + 32768) / 65536)
/// Computes:     e = table[max along the axis − input], Q0.31;  sum = Σ round(e / 2^12), Q12.19;
///               output = clamp(round(e × 1/sum) − 128), the reciprocal by ``fixedPointReciprocal(_:integerBits:)``
/// Rounding:     double rounding.  Overflow: the sum saturates, which takes 4096 values near the maximum.
/// Scratch:      none.  Aliasing: output may be the input's memory when it is int8.
/// Source:       TFLite int8 specification, SOFTMAX; bit-exact with TensorFlow Lite Micro: yes, where that is defined: it
///               stops when the sum reaches 512.
public struct SoftmaxParams: BitwiseCopyable, Sendable {
  /// Along which axis.
  public var axis: Int32
  /// Constants offset of ``SoftmaxTable/count`` Int32, 64-byte aligned: ``SoftmaxTable/entry(difference:multiplier:shift:lowestDifference:)``.
  public var table: UInt32

  /// All fields at once.
  public init(axis: Int32, table: UInt32) {
    self.axis = axis
    self.table = table
  }
}

/// A tensor as [outer, depth, inner] around one axis.
struct AxisShape {
  var outer: Int
  var depth: Int
  var inner: Int

  /// The axis must exist (``validate(_:axis:)``).
  @inline(__always)
  init(_ tensor: TensorRecord, axis: Int32) {
    outer = tensor.elementCount(from: 0, to: Int(axis))
    depth = tensor.dimension(Int(axis))
    inner = tensor.elementCount(from: Int(axis) &+ 1, to: Int(tensor.rank))
  }

  /// Throws unless the tensor has the axis.
  static func validate(_ tensor: UnsafePointer<TensorRecord>, axis: Int32) throws(Status) {
    guard axis >= 0, axis < tensor.pointee.rank else { throw .badParams }
  }

  /// Calls `body` with the offset of the first element of each vector along the axis.
  @inline(__always)
  func forEachVector(_ body: (Int) -> Void) {
    var first = 0
    var outerIndex = 0
    while outerIndex < outer {
      var innerIndex = 0
      while innerIndex < inner {
        body(first &+ innerIndex)
        innerIndex &+= 1
      }
      first = first &+ depth &* inner
      outerIndex &+= 1
    }
  }
}

enum Softmax: Kernel {
  typealias Params = SoftmaxParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    try view.require(input, type: .int8)
    try view.requireSameShape(input, output)
    guard view.type(of: output) != .int32 else { throw .badTensor }
    try AxisShape.validate(input, axis: params.axis)
    try view.requireConstant(params.table, byteCount: SoftmaxTable.count * 4, alignment: 64)
    let table = view.model.constant(params.table).assumingMemoryBound(to: Int32.self)
    var index = 0
    while index < SoftmaxTable.count {
      guard table[index] >= 0 else { throw .badParams }
      index += 1
    }
    // The maximum itself: every sum is at least 1 and has a reciprocal.
    guard table[0] == Int32.max else { throw .badParams }
  }

  static func run(_ context: StepContext) {
    let isWide = context.view.type(of: context.view.output(0)) == .int16
    let outputBits: Int32 = isWide ? 16 : 8
    let lowest: Int32 = isWide ? -32768 : -128, highest: Int32 = isWide ? 32767 : 127
    let params = context.view.params(Params.self).pointee
    let shape = AxisShape(context.view.input(0).pointee, axis: params.axis)
    let table = context.constant(params.table, as: Int32.self)
    let input = context.input(0, as: Int8.self), output = context.output(0, as: Int8.self)
    let wideOutput = context.output(0, as: Int16.self)
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
        let exp = table[Int(largest &- Int32(input[index]))]  // 0...255
        sum = saturatingAdd(sum, roundingDivide(exp, byPowerOfTwo: 12))
        index &+= shape.inner
      }
      let reciprocal = fixedPointReciprocal(sum, integerBits: 12)
      // 12 - (headroom + 1) + 31 - bits: at least 15, as a sum of 1 or more has no more than 12 leading zeros.
      let shift = reciprocal.bitsOverUnit &+ 31 &- outputBits
      index = first
      while index < end {
        let exp = table[Int(largest &- Int32(input[index]))]
        var value = lowest
        // Beyond 31 bits a product below 2^31 is less than half a unit.
        if exp > 0, shift <= 31 {
          let product = roundingDoublingHighMultiply(reciprocal.value, exp)
          value = min(roundingDivide(product, byPowerOfTwo: shift) &+ lowest, highest)
        }
        if isWide {
          wideOutput[index] = Int16(truncatingIfNeeded: value)
        } else {
          output[index] = Int8(truncatingIfNeeded: value)
        }
        index &+= shape.inner
      }
    }
  }
}
