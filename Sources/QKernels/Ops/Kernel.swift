/// One op of the plan. Its file holds, in this order: what it computes, its params record, `validate`, the kernel.
///
/// The params record is the memory of a struct of fixed-width integers: that struct is encoder and decoder at once.
protocol Kernel {
  associatedtype Params: BitwiseCopyable

  /// Throws unless params and tensors agree, so that ``run(_:)`` stays inside its operands, its constants and its
  /// scratch, and cannot trap, whatever the values of the activations. Bounded in time, allocation-free.
  static func validate(_ view: StepView) throws(Status)

  /// Computes the step's outputs. Only for steps that passed ``validate(_:)``.
  static func run(_ context: StepContext)
}
