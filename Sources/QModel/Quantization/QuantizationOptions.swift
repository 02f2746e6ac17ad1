/// Choices of quantization beyond the value ranges.
public struct QuantizationOptions: Sendable, Equatable {
  /// How float weights become integers.
  public enum WeightRounding: Sendable, Equatable {
    /// Each weight to the nearest integer, biases unchanged.
    case nearest
    /// Fitted to the calibration samples, layer after layer: see ``WeightFitting``. Without samples it is `nearest` with
    /// scales of the least squared error.
    case fitted
  }
  /// How float weights become integers.
  public var weightRounding = WeightRounding.fitted
  /// The type of the hidden state of recurrent ops, int8 or int16.
  public var recurrentState = ElementType.int8
  /// Threads to use; the result does not depend on it.
  public var threads = 1
  /// Fitted weights, int8 state, one thread.
  public init() {}
}
