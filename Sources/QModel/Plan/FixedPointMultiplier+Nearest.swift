import QKernels

// Rounding of floating point needs the C library's functions on some targets.
#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

extension FixedPointMultiplier {
  /// The factor nearest to `value`: 31 significant bits, ties away from zero.
  ///
  /// A magnitude below 2^-32 becomes 0, one of 2^30 or more the largest factor. Source: TFLite's QuantizeMultiplier,
  /// bit for bit; a negative value is the negated factor of its magnitude (SUB).
  public init(nearest value: Double) {
    guard value != 0, value.isFinite else {
      self.init(multiplier: 0, shift: 0)
      return
    }
    // frexp: magnitude = fraction * 2^shift with 1/2 <= fraction < 1.
    let magnitude = value.magnitude
    var shift = Int(magnitude.exponent) + 1
    var fixed = Int64((magnitude.significand * 0x1p30).rounded(.toNearestOrAwayFromZero))
    if fixed == 1 << 31 {
      fixed /= 2
      shift += 1
    }
    if shift < -31 {
      self.init(multiplier: 0, shift: 0)
      return
    }
    if shift > 30 {
      shift = 30
      fixed = (1 << 31) - 1
    }
    self.init(multiplier: Int32(value < 0 ? -fixed : fixed), shift: Int32(shift))
  }

  /// The real factor.
  public var value: Double { Double(multiplier) * 0x1p-31 * Double(sign: .plus, exponent: Int(shift), significand: 1) }
}
