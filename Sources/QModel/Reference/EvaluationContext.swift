/// A value inside an op that no tensor of the graph holds, but whose range calibration needs.
public struct InternalValue: Sendable, Hashable {
  /// What the value is.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    /// Recurrent: what goes into the gates' activations after the clip, [T,N,G·H], rows in the order of the weights.
    case gates
    /// Recurrent: the input's share of the gates without bias, W·x, [T,N,G·H].
    case inputProduct
    /// Recurrent: the state's share of the gates without bias, R·h, [T,N,G·H]; the hidden gate of a GRU that resets before
    /// the product has R·(r ⊙ h) there.
    case recurrentProduct
    /// GRU that resets after the product: r ⊙ (R·h + bias) of the hidden gate, [T,N,H].
    case resetProduct
    /// LSTM: the cell state, the initial one first, [T+1,N,H].
    case cell
    /// Recurrent: the hidden state, the initial one first, [T+1,N,H], in the order in which time is walked.
    case hidden
    /// SVDF: the features remembered, [N,F,M].
    case state
    /// SVDF: the result before bias and activation, [N,F/rank].
    case timeProduct
  }
  /// What it is.
  public var kind: Kind
  /// 0, or 1 for the reverse half of a bidirectional op.
  public var direction: Int

  /// A value of one direction.
  public init(_ kind: Kind, direction: Int = 0) {
    self.kind = kind
    self.direction = direction
  }
}

/// What an op gets and gives besides operands and outputs: state for the next run, and a place to report internal values.
struct EvaluationContext {
  /// Called with values inside ops; nil when nobody listens, then nothing is collected.
  var observeInternal: ((InternalValue, FloatTensor) -> Void)?
  /// Recurrent ops: replaces what the recurrent weights multiply by its rounded form; nil to keep it.
  var roundHidden: ((inout [Float]) -> Void)?
  /// New values of operands that are variable tensors, by operand index; the evaluator stores them after the node.
  private(set) var stateUpdates: [Int: FloatTensor] = [:]

  /// A context for ops evaluated on their own.
  init(observeInternal: ((InternalValue, FloatTensor) -> Void)? = nil) { self.observeInternal = observeInternal }

  /// Sets what operand `index`, a variable tensor, holds from now on.
  mutating func setState(ofOperand index: Int, to value: FloatTensor) { stateUpdates[index] = value }
}
