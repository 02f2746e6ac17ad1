#if QK_STATIC_INNER
  import QKernelsIntrinsics

  /// The instruction set of a bare-metal build, chosen when it was compiled.
  public enum InnerSet: Int32, Sendable {
    case only = 0

    /// Whether this machine can run the set: it was compiled for it.
    @inline(__always) public var isAvailable: Bool { true }

    /// The set's primitives.
    @inline(__always) public var kernels: InnerKernels { InnerKernels() }

    /// The only set.
    @inline(__always) public static var best: InnerSet { .only }

    /// The set's name as a C string.
    @inline(__always) var cName: UnsafePointer<CChar> { qk_static_set_name() }
  }

  /// The primitives of a bare-metal build, called directly; inner_kernels.h says what each computes.
  public struct InnerKernels {
    @inline(__always) var asksForFlippedRows: Bool { false }
    @inline(__always) func matmul(_ args: inout qk_matmul_args) { qk_static_matmul(&args) }
    @inline(__always) func matmul16(_ args: inout qk_matmul_args) { qk_static_matmul16(&args) }
    @inline(__always) func depthwise(_ args: inout qk_depthwise_args) { qk_static_depthwise(&args) }
    @inline(__always) func depthwise3x3(_: inout qk_depthwise3x3_args) -> Bool { false }
    @inline(__always) var hasLSTMCell: Bool { false }
    @inline(__always) func lstmCell(_: inout qk_lstm_cell_args) {}
    /// Whether any set can use a workspace: no code for it otherwise.
    @inline(__always) static var useWorkspace: Bool { false }
    @inline(__always) var hasWinograd3x3: Bool { false }
    @inline(__always) func winograd3x3(_: inout qk_winograd3x3_args) {}
    @inline(__always) var hasDense: Bool { false }
    @inline(__always) func dense(_: inout qk_matmul_args) {}
    @inline(__always) var hasConvolution: Bool { false }
    @inline(__always) func convolution(_: inout qk_convolution_args) {}
    @inline(__always) func add(_ args: inout qk_add_args) { qk_static_add(&args) }
    @inline(__always) func mul(_ args: inout qk_mul_args) { qk_static_mul(&args) }
    @inline(__always) func lookup(_ args: inout qk_lookup_args) { qk_static_lookup(&args) }
    @inline(__always) func maxPool(_ args: inout qk_pool_args) { qk_static_max_pool(&args) }
    @inline(__always) func averagePool(_ args: inout qk_pool_args) { qk_static_average_pool(&args) }
    @inline(__always) func windowSum(_ args: inout qk_pool_args) { qk_static_window_sum(&args) }
  }
#endif
