/// An activation that a layer applies to its own result.
public enum FusedActivation: Sendable, Equatable {
  case none
  case relu
  case relu6
  case reluN1To1
  /// Any other clamp, in real units.
  case clip(min: Float, max: Float)

  /// The real interval of the result.
  public var range: ClosedRange<Float> {
    switch self {
    case .none: -Float.infinity...Float.infinity
    case .relu: 0...Float.infinity
    case .relu6: 0...6
    case .reluN1To1: -1...1
    case .clip(let min, let max): min...max
    }
  }

  /// The clamp to a range under its best known name.
  public init(range: ClosedRange<Float>) {
    switch (range.lowerBound, range.upperBound) {
    case (-Float.infinity, Float.infinity): self = .none
    case (0, Float.infinity): self = .relu
    case (0, 6): self = .relu6
    case (-1, 1): self = .reluN1To1
    case (let lower, let upper): self = .clip(min: lower, max: upper)
    }
  }

  /// The activation that does this one first and `next` after it: two clamps in a row are one.
  public func followed(by next: FusedActivation) -> FusedActivation {
    let first = range
    let second = next.range
    let lower = min(max(first.lowerBound, second.lowerBound), second.upperBound)
    let upper = min(max(first.upperBound, second.lowerBound), second.upperBound)
    return FusedActivation(range: lower...upper)
  }

  /// Throws if the bounds of a clip are no interval.
  func validate(_ operands: OperandShapes) throws(ModelError) {
    if case .clip(let min, let max) = self {
      try operands.require(min <= max, "the activation clips to [\(min), \(max)], which is no interval")
    }
  }

  /// Clamps in place; not-a-number stays.
  func apply(to values: UnsafeMutableBufferPointer<Float>) {
    if self == .none { return }
    let bounds = range
    let lower = bounds.lowerBound
    let upper = bounds.upperBound
    for index in values.indices {
      let value = values[index]
      let raised = value < lower ? lower : value
      values[index] = raised > upper ? upper : raised
    }
  }
}
