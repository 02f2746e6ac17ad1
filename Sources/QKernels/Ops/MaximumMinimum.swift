/// The larger or the smaller of two tensors, with broadcast.
///
/// Shapes:       a, b, output of one type, int8 or int16; output has the broadcast shape
/// Quantization: all three have the same scale and zero point
/// Computes:     output = max(a, b) or min(a, b)
/// Rounding:     none.  Scratch: none.  Aliasing: output may be the memory of an operand of its own shape.
/// Source:       TFLite int8 specification, MAXIMUM and MINIMUM; bit-exact with TensorFlow Lite Micro: yes.
public struct MaximumMinimumParams: BitwiseCopyable, Sendable {
  /// 1: the maximum; 0: the minimum.
  public var takesMaximum: Int32

  /// The maximum or the minimum.
  public init(takesMaximum: Bool) { self.takesMaximum = takesMaximum ? 1 : 0 }
}

enum MaximumMinimum: Kernel {
  typealias Params = MaximumMinimumParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let flag = view.params(Params.self).pointee.takesMaximum
    let type = view.type(of: view.input(0))
    guard flag == 0 || flag == 1 else { throw .badParams }
    guard type != .int32 else { throw .badTensor }
    try view.require(view.input(1), type: type)
    try view.require(view.output(0), type: type)
    try Broadcast.requireShapes(view.input(0), view.input(1), view.output(0))
  }

  static func run(_ context: StepContext) {
    if context.view.type(of: context.view.input(0)) == .int16 {
      select(context, Int16.self)
    } else {
      select(context, Int8.self)
    }
  }

  @inline(__always)
  private static func select<Element: FixedWidthInteger & BitwiseCopyable>(_ context: StepContext, _: Element.Type) {
    let takesMaximum = context.view.params(Params.self).pointee.takesMaximum == 1
    let a = context.input(0, as: Element.self), b = context.input(1, as: Element.self)
    let output = context.output(0, as: Element.self)
    Broadcast(context.view.input(0), context.view.input(1), context.view.output(0)).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      var index = 0
      while index < count {
        let x = a[aFirst &+ index &* aStep], y = b[bFirst &+ index &* bStep]
        output[outputFirst &+ index] = (x > y) == takesMaximum ? x : y
        index &+= 1
      }
    }
  }
}
