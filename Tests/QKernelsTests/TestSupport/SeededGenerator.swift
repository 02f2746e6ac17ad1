/// SplitMix64: the same numbers on every machine from one seed.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// An Int32 whose magnitude is spread evenly over the powers of two, so that small and large ones are equally present.
  mutating func magnitude32() -> Int32 {
    let bits = next()
    return Int32(truncatingIfNeeded: bits) >> Int32(truncatingIfNeeded: (bits >> 32) % 32)
  }

  /// A multiplier in its domain, with the ends more often than chance gives them.
  mutating func multiplier() -> Int32 {
    switch next() % 16 {
    case 0: return 1 << 30
    case 1: return Int32.max
    default: return Int32(truncatingIfNeeded: (next() >> 34) | (1 << 30))
    }
  }
}
