import QKernelsIntrinsics

#if !QK_STATIC_INNER
  /// The primitives that differ by instruction set; inner_kernels.h says what each computes.
  ///
  /// Bare-metal builds fix the set at build time (`QK_STATIC_INNER`), so that calls are direct and unused primitives are
  /// dropped by the linker.
  public struct InnerKernels {
    let table: qk_inner_table
    /// The optional primitives.
    private let depthwise3x3Function: (@convention(c) (UnsafePointer<qk_depthwise3x3_args>?) -> Void)?
    private let lstmCellFunction: (@convention(c) (UnsafePointer<qk_lstm_cell_args>?) -> Void)?

    /// Whether matmul gains from rows that are flipped where they are copied (`qk_matmul_args.flipped`).
    let asksForFlippedRows: Bool

    @inline(__always)
    init(
      table: qk_inner_table, depthwise3x3: (@convention(c) (UnsafePointer<qk_depthwise3x3_args>?) -> Void)? = nil,
      lstmCell: (@convention(c) (UnsafePointer<qk_lstm_cell_args>?) -> Void)? = nil, asksForFlippedRows: Bool = false
    ) {
      self.table = table
      depthwise3x3Function = depthwise3x3
      lstmCellFunction = lstmCell
      self.asksForFlippedRows = asksForFlippedRows
    }

    /// The readable specification.
    public static var scalar: InnerKernels {
      InnerKernels(
        table: qk_inner_table(
          matmul: qk_scalar_matmul, matmul16: qk_scalar_matmul16, depthwise: qk_scalar_depthwise, add: qk_scalar_add,
          mul: qk_scalar_mul,
          lookup: qk_scalar_lookup, max_pool: qk_scalar_max_pool, average_pool: qk_scalar_average_pool,
          window_sum: qk_scalar_window_sum))
    }

    #if arch(x86_64) && !QK_SCALAR_ONLY
      static var avx512VNNI: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_avx512vnni_matmul, matmul16: qk_avx512vnni_matmul16, depthwise: qk_avx512vnni_depthwise,
            add: qk_avx512vnni_add, mul: qk_avx512vnni_mul,
            lookup: qk_avx512vnni_lookup, max_pool: qk_avx512vnni_max_pool, average_pool: qk_avx512vnni_average_pool,
            window_sum: qk_avx512vnni_window_sum), depthwise3x3: qk_avx512vnni_depthwise3x3,
          lstmCell: qk_avx512vnni_lstm_cell, asksForFlippedRows: true)
      }
      static var avxVNNI: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_avxvnni_matmul, matmul16: qk_avxvnni_matmul16, depthwise: qk_avxvnni_depthwise,
            add: qk_avxvnni_add, mul: qk_avxvnni_mul,
            lookup: qk_avxvnni_lookup, max_pool: qk_avxvnni_max_pool, average_pool: qk_avxvnni_average_pool,
            window_sum: qk_avxvnni_window_sum))
      }
      static var avx2: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_avx2_matmul, matmul16: qk_avx2_matmul16, depthwise: qk_avx2_depthwise, add: qk_avx2_add,
            mul: qk_avx2_mul,
            lookup: qk_avx2_lookup, max_pool: qk_avx2_max_pool, average_pool: qk_avx2_average_pool,
            window_sum: qk_avx2_window_sum))
      }
      static var sse: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_sse_matmul, matmul16: qk_sse_matmul16, depthwise: qk_sse_depthwise, add: qk_sse_add,
            mul: qk_sse_mul,
            lookup: qk_sse_lookup, max_pool: qk_sse_max_pool, average_pool: qk_sse_average_pool,
            window_sum: qk_sse_window_sum))
      }
    #elseif arch(arm64) && !QK_SCALAR_ONLY
      static var neonDot: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_neondot_matmul, matmul16: qk_neondot_matmul16, depthwise: qk_neondot_depthwise,
            add: qk_neondot_add, mul: qk_neondot_mul,
            lookup: qk_neondot_lookup, max_pool: qk_neondot_max_pool, average_pool: qk_neondot_average_pool,
            window_sum: qk_neondot_window_sum), depthwise3x3: qk_neondot_depthwise3x3)
      }
      static var neon: InnerKernels {
        InnerKernels(
          table: qk_inner_table(
            matmul: qk_neon_matmul, matmul16: qk_neon_matmul16, depthwise: qk_neon_depthwise, add: qk_neon_add,
            mul: qk_neon_mul,
            lookup: qk_neon_lookup, max_pool: qk_neon_max_pool, average_pool: qk_neon_average_pool,
            window_sum: qk_neon_window_sum))
      }
    #endif

    @inline(__always) func matmul(_ args: inout qk_matmul_args) { table.matmul(&args) }
    @inline(__always) func matmul16(_ args: inout qk_matmul_args) { table.matmul16(&args) }
    @inline(__always) func depthwise(_ args: inout qk_depthwise_args) { table.depthwise(&args) }
    /// Returns false where the set does not have this primitive.
    @inline(__always) func depthwise3x3(_ args: inout qk_depthwise3x3_args) -> Bool {
      guard let depthwise3x3Function else { return false }
      depthwise3x3Function(&args)
      return true
    }
    @inline(__always) var hasLSTMCell: Bool { lstmCellFunction != nil }
    /// Does nothing without ``hasLSTMCell``.
    @inline(__always) func lstmCell(_ args: inout qk_lstm_cell_args) { lstmCellFunction?(&args) }
    @inline(__always) func add(_ args: inout qk_add_args) { table.add(&args) }
    @inline(__always) func mul(_ args: inout qk_mul_args) { table.mul(&args) }
    @inline(__always) func lookup(_ args: inout qk_lookup_args) { table.lookup(&args) }
    @inline(__always) func maxPool(_ args: inout qk_pool_args) { table.max_pool(&args) }
    @inline(__always) func averagePool(_ args: inout qk_pool_args) { table.average_pool(&args) }
    @inline(__always) func windowSum(_ args: inout qk_pool_args) { table.window_sum(&args) }
  }
#endif
