/// An instruction set of the inner kernels; raw values cross the C border and are frozen.
public enum InnerSet: Int32, Sendable {
  case scalar = 0

  /// The name that `QK_ISA` and reports use.
  public var name: StaticString {
    switch self {
    case .scalar: "scalar"
    }
  }

  /// Whether this machine can run the set.
  public var isAvailable: Bool {
    switch self {
    case .scalar: true
    }
  }

  /// The set's primitives; call only when ``isAvailable``.
  public var kernels: InnerKernels {
    switch self {
    case .scalar: .scalar
    }
  }

  /// The fastest set of this machine. The one place that chooses.
  public static var best: InnerSet { .scalar }
}
