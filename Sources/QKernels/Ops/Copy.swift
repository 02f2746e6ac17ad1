/// A copy with another shape, where the plan could not let both share memory.
///
/// Shapes:       input, output of one type and as many elements
/// Scratch:      none.  Aliasing: output may overlap input.
/// Source:       TFLite RESHAPE, SQUEEZE, EXPAND_DIMS; bit-exact with TensorFlow Lite Micro: yes.
public struct CopyParams: BitwiseCopyable, Sendable {
  /// Always 0: a record has at least one field.
  public var reserved: Int32 = 0

  /// A copy.
  public init() {}
}

enum Copy: Kernel {
  typealias Params = CopyParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    try view.require(view.output(0), type: view.type(of: view.input(0)))
    guard view.input(0).pointee.byteCount == view.output(0).pointee.byteCount else { throw .badTensor }
  }

  static func run(_ context: StepContext) {
    context.memory(of: context.view.output(0)).copyMemory(
      from: context.memory(of: context.view.input(0)), byteCount: Int(context.view.output(0).pointee.byteCount))
  }
}
