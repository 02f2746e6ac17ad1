import QKernelsIntrinsics

/// Any function of one int8 value.
///
/// Shapes:       input int8 · output int8 of as many elements
/// Computes:     output = table[input + 128]
/// Scratch:      none.  Aliasing: output may be the input's memory.
/// Source:       the plan compiler fills the table by the function's specification.
public struct LookupParams: BitwiseCopyable, Sendable {
  /// Constants offset of 256 Int8, 64-byte aligned.
  public var table: UInt32

  /// A lookup in the table at `table`.
  public init(table: UInt32) { self.table = table }
}

enum Lookup: Kernel {
  typealias Params = LookupParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    guard view.input(0).pointee.elementCount == view.output(0).pointee.elementCount else { throw .badTensor }
    try view.requireConstant(view.params(Params.self).pointee.table, byteCount: 256, alignment: 64)
  }

  static func run(_ context: StepContext) {
    var args = qk_lookup_args(
      input: context.input(0, as: Int8.self),
      table: context.constant(context.view.params(Params.self).pointee.table, as: Int8.self),
      output: context.output(0, as: Int8.self),
      count: Int32(truncatingIfNeeded: context.view.input(0).pointee.elementCount))
    context.inner.lookup(&args)
  }
}
