import QKernelsIntrinsics

#if !QK_STATIC_INNER
  /// The primitives that differ by instruction set; inner_kernels.h says what each computes.
  ///
  /// Bare-metal builds fix the set at build time (`QK_STATIC_INNER`), so that calls are direct and unused primitives are
  /// dropped by the linker.
  public struct InnerKernels {
    let table: qk_inner_table

    @inline(__always) init(table: qk_inner_table) { self.table = table }

    /// The readable specification.
    public static var scalar: InnerKernels { InnerKernels(table: qk_scalar_table()) }

    #if arch(x86_64) && !QK_SCALAR_ONLY
      static var avx512VNNI: InnerKernels {
        var table = qk_avx512vnni_table()
        table.depthwise3x3 = qk_avx512vnni_depthwise3x3
        table.lstm_cell = qk_avx512vnni_lstm_cell
        table.winograd3x3 = qk_avx512vnni_winograd3x3
        table.dense = qk_avx512vnni_dense
        table.convolution = qk_avx512vnni_convolution
        table.asks_for_flipped_rows = 1
        return InnerKernels(table: table)
      }
      static var avxVNNI: InnerKernels {
        var table = qk_avxvnni_table()
        table.winograd3x3 = qk_avxvnni_winograd3x3
        return InnerKernels(table: table)
      }
      static var avx2: InnerKernels {
        var table = qk_avx2_table()
        table.winograd3x3 = qk_avx2_winograd3x3
        return InnerKernels(table: table)
      }
      static var sse: InnerKernels {
        var table = qk_sse_table()
        table.winograd3x3 = qk_sse_winograd3x3
        return InnerKernels(table: table)
      }
    #elseif arch(arm64) && !QK_SCALAR_ONLY
      static var neonDot: InnerKernels {
        var table = qk_neondot_table()
        table.depthwise3x3 = qk_neondot_depthwise3x3
        return InnerKernels(table: table)
      }
      static var neon: InnerKernels {
        var table = qk_neon_table()
        table.winograd3x3 = qk_neon_winograd3x3
        return InnerKernels(table: table)
      }
    #endif

    @inline(__always) var asksForFlippedRows: Bool { table.asks_for_flipped_rows != 0 }
    @inline(__always) func matmul(_ args: inout qk_matmul_args) { table.matmul(&args) }
    @inline(__always) func matmul16(_ args: inout qk_matmul_args) { table.matmul16(&args) }
    @inline(__always) func depthwise(_ args: inout qk_depthwise_args) { table.depthwise(&args) }
    /// Returns false where the set does not have this primitive.
    @inline(__always) func depthwise3x3(_ args: inout qk_depthwise3x3_args) -> Bool {
      guard let function = table.depthwise3x3 else { return false }
      function(&args)
      return true
    }
    @inline(__always) var hasLSTMCell: Bool { table.lstm_cell != nil }
    /// Does nothing without ``hasLSTMCell``.
    @inline(__always) func lstmCell(_ args: inout qk_lstm_cell_args) { table.lstm_cell?(&args) }
    /// Whether any set can use a workspace.
    @inline(__always) static var useWorkspace: Bool { true }
    @inline(__always) var hasWinograd3x3: Bool { table.winograd3x3 != nil }
    /// Does nothing without ``hasWinograd3x3``.
    @inline(__always) func winograd3x3(_ args: inout qk_winograd3x3_args) { table.winograd3x3?(&args) }
    @inline(__always) var hasDense: Bool { table.dense != nil }
    /// Does nothing without ``hasDense``.
    @inline(__always) func dense(_ args: inout qk_matmul_args) { table.dense?(&args) }
    @inline(__always) var hasConvolution: Bool { table.convolution != nil }
    /// Does nothing without ``hasConvolution``.
    @inline(__always) func convolution(_ args: inout qk_convolution_args) { table.convolution?(&args) }
    @inline(__always) func add(_ args: inout qk_add_args) { table.add(&args) }
    @inline(__always) func mul(_ args: inout qk_mul_args) { table.mul(&args) }
    @inline(__always) func lookup(_ args: inout qk_lookup_args) { table.lookup(&args) }
    @inline(__always) func maxPool(_ args: inout qk_pool_args) { table.max_pool(&args) }
    @inline(__always) func averagePool(_ args: inout qk_pool_args) { table.average_pool(&args) }
    @inline(__always) func windowSum(_ args: inout qk_pool_args) { table.window_sum(&args) }
  }
#endif
