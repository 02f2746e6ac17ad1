import QKernelsIntrinsics

#if !QK_STATIC_INNER
  /// An instruction set of the inner kernels; raw values cross the C border and are frozen.
  public enum InnerSet: Int32, Sendable {
    case scalar = 0
    case sse = 1
    case avx2 = 2
    case avxVNNI = 3
    case avx512VNNI = 4
    case neon = 5
    case neonDot = 6

    /// The name that `QK_ISA` and reports use.
    public var name: StaticString {
      switch self {
      case .scalar: "scalar"
      case .sse: "sse"
      case .avx2: "avx2"
      case .avxVNNI: "avxvnni"
      case .avx512VNNI: "avx512vnni"
      case .neon: "neon"
      case .neonDot: "neondot"
      }
    }

    /// Whether this machine can run the set.
    public var isAvailable: Bool {
      switch self {
      case .scalar: return true
      #if arch(x86_64) && !QK_SCALAR_ONLY
        case .sse: return X86Features.current.sse
        case .avx2: return X86Features.current.avx2
        case .avxVNNI: return X86Features.current.avxVNNI
        case .avx512VNNI: return X86Features.current.avx512VNNI
        case .neon, .neonDot: return false
      #elseif arch(arm64) && !QK_SCALAR_ONLY
        case .neon: return true
        case .neonDot: return hasDotProduct
        case .sse, .avx2, .avxVNNI, .avx512VNNI: return false
      #else
        case .sse, .avx2, .avxVNNI, .avx512VNNI, .neon, .neonDot: return false
      #endif
      }
    }

    /// The set's primitives; call only when ``isAvailable``.
    public var kernels: InnerKernels {
      switch self {
      case .scalar: return .scalar
      #if arch(x86_64) && !QK_SCALAR_ONLY
        case .sse: return .sse
        case .avx2: return .avx2
        case .avxVNNI: return .avxVNNI
        case .avx512VNNI: return .avx512VNNI
        case .neon, .neonDot: return .scalar
      #elseif arch(arm64) && !QK_SCALAR_ONLY
        case .neon: return .neon
        case .neonDot: return .neonDot
        case .sse, .avx2, .avxVNNI, .avx512VNNI: return .scalar
      #else
        case .sse, .avx2, .avxVNNI, .avx512VNNI, .neon, .neonDot: return .scalar
      #endif
      }
    }

    /// The fastest set of this machine. The one place that chooses.
    public static var best: InnerSet {
      #if arch(x86_64) && !QK_SCALAR_ONLY
        let features = X86Features.current
        if features.avx512VNNI { return .avx512VNNI }
        if features.avxVNNI { return .avxVNNI }
        if features.avx2 { return .avx2 }
        return features.sse ? .sse : .scalar
      #elseif arch(arm64) && !QK_SCALAR_ONLY
        return hasDotProduct ? .neonDot : .neon
      #else
        return .scalar
      #endif
    }
  }

  #if arch(x86_64) && !QK_SCALAR_ONLY
    /// What the processor and the operating system offer.
    struct X86Features {
      /// What the set `sse` uses, up to SSE4.2: the x86-64-v2 level.
      var sse = false
      var avx2 = false
      var avxVNNI = false
      var avx512VNNI = false

      /// Read anew at each use: CPUID is slow in virtual machines, so callers keep the result.
      static var current: X86Features {
        var features = X86Features()
        let leaf1 = qk_cpuid(1, 0)
        // SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT.
        let level2: UInt32 = 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23
        features.sse = leaf1.ecx & level2 == level2
        guard qk_cpuid(0, 0).eax >= 7 else { return features }
        let hasSavedState = leaf1.ecx & (1 << 27) != 0
        guard hasSavedState else { return features }
        let saved = qk_xgetbv0()
        let leaf7 = qk_cpuid(7, 0)
        guard saved & 0x6 == 0x6 else { return features }
        features.avx2 = leaf7.ebx & (1 << 5) != 0
        features.avxVNNI = features.avx2 && leaf7.eax >= 1 && qk_cpuid(7, 1).eax & (1 << 4) != 0
        // Foundation, DQ, BW, VL; VBMI and VNNI.
        let base: UInt32 = 1 << 16 | 1 << 17 | 1 << 30 | 1 << 31
        let more: UInt32 = 1 << 1 | 1 << 11
        features.avx512VNNI =
          features.avx2 && saved & 0xE0 == 0xE0 && leaf7.ebx & base == base && leaf7.ecx & more == more
        return features
      }
    }
  #endif

  #if arch(arm64) && !QK_SCALAR_ONLY
    /// Whether the processor has `sdot`: known at build time, or asked of Linux.
    private var hasDotProduct: Bool {
      #if os(Linux) || QK_LINUX
        // AT_HWCAP, HWCAP_ASIMDDP
        return getauxval(16) & (1 << 20) != 0
      #else
        return qk_has_dot_product != 0
      #endif
    }
  #endif
#endif
