/// A value of a model whose range calibration has seen.
public enum CalibratedValue: Sendable, Hashable {
  /// An activation tensor.
  case tensor(TensorID)
  /// A value inside the op that computes `output`, its first result.
  case inside(output: TensorID, InternalValue)
}

/// What calibration found: for each activation, and each value inside recurrent ops, the interval that the samples filled
/// and the one that the method chose.
public struct CalibratedRanges: Sendable, Equatable {
  /// The method that chose.
  public let method: CalibrationMethod
  /// The intervals that the values filled.
  public private(set) var observed: [CalibratedValue: ValueRange]
  /// The intervals that integers should cover; part of the observed ones, or slightly wider.
  public private(set) var chosen: [CalibratedValue: ValueRange]

  /// Ranges given from outside.
  ///
  /// - Parameter chosen: absent entries are those of `observed`.
  public init(
    method: CalibrationMethod, observed: [CalibratedValue: ValueRange], chosen: [CalibratedValue: ValueRange] = [:]
  ) {
    self.method = method
    self.observed = observed
    self.chosen = observed.merging(chosen) { $1 }
  }
}
