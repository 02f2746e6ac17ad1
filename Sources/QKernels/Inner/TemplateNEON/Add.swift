import QKernelsIntrinsics

// The addition that a model has almost always: a left shift of 20, and one operand, that of the larger scale, or both with
// a factor of exactly one half. The rescaled difference is then the difference times 2^19, without any rounding; what
// remains are the other operand's product and that of the sum.

/// An addition of this form, in registers.
private struct HalvedAdd {
  /// The operand with a factor of one half, and the other.
  let half: UnsafePointer<Int8>, other: UnsafePointer<Int8>
  let bothAreHalf: Bool
  let halfZeroPoint: int8x16_t, otherZeroPoint: int8x16_t
  let otherMultiplier: int32x4_t, otherShift: int32x4_t
  let multiplier: int32x4_t, shift: int32x4_t
  let zeroPoint: int16x8_t
  let clamp: Vec.Clamp

  /// Nil for an addition of another form.
  @inline(__always) init?(_ args: qk_add_args) {
    guard args.leftShift == 20, args.aStep == 1, args.bStep == 1, args.outputShift < 0, args.bMultiplier > 0 else {
      return nil
    }
    let bIsHalf = args.bMultiplier == 1 << 30 && args.bShift == 0
    let aIsHalf = args.aMultiplier == 1 << 30 && args.aShift == 0
    bothAreHalf = aIsHalf && bIsHalf
    guard bothAreHalf || (aIsHalf && args.bShift < 0) || (bIsHalf && args.aShift < 0) else { return nil }
    half = bIsHalf ? args.b : args.a
    other = bIsHalf ? args.a : args.b
    halfZeroPoint = qkn_constant8(Int8(truncatingIfNeeded: bIsHalf ? args.bZeroPoint : args.aZeroPoint))
    otherZeroPoint = qkn_constant8(Int8(truncatingIfNeeded: bIsHalf ? args.aZeroPoint : args.bZeroPoint))
    otherMultiplier = qkn_set1(bIsHalf ? args.aMultiplier : args.bMultiplier)
    otherShift = qkn_set1(bIsHalf ? args.aShift : args.bShift)
    multiplier = qkn_set1(args.outputMultiplier)
    shift = qkn_set1(args.outputShift)
    zeroPoint = qkn_set1_16(Int16(truncatingIfNeeded: args.outputZeroPoint))
    clamp = Vec.Clamp(args.outputMin, args.outputMax)
  }

  /// 8 results before the clamp, of differences times 2^5.
  @inline(__always) private func words(_ d: int16x8_t, _ h: int16x8_t, bothAreHalf: Bool) -> int16x8_t {
    // 2^5 · 2^14 = 2^19.
    let factor = qkn_set1_16(1 << 14)
    let low = bothAreHalf ? qkn_mul_low16(d, factor) : rescaled(qkn_widen_low16_shift15(d))
    let high = bothAreHalf ? qkn_mul_high16(d, factor) : rescaled(qkn_widen_high16_shift15(d))
    let lowSum = requantized(qkn_mla_low16(low, h, factor)), highSum = requantized(qkn_mla_high16(high, h, factor))
    return qkn_saturating_add16(qkn_saturate16(lowSum, highSum), zeroPoint)
  }
  @inline(__always) private func rescaled(_ d: int32x4_t) -> int32x4_t {
    qkn_divide_negative(qkn_high_multiply(d, otherMultiplier), otherShift)
  }
  @inline(__always) private func requantized(_ sum: int32x4_t) -> int32x4_t {
    qkn_divide_negative(qkn_high_multiply(sum, multiplier), shift)
  }

  /// 16 results from element `i` on; reads 16 elements of each operand, which the plan's slack allows.
  @inline(__always) private func block(_ i: Int, bothAreHalf: Bool) -> int8x16_t {
    let d = qkn_load8(other + i), h = qkn_load8(half + i)
    let low = words(
      qkn_shift5_16(qkn_sub_low8(d, otherZeroPoint)), qkn_shift5_16(qkn_sub_low8(h, halfZeroPoint)),
      bothAreHalf: bothAreHalf)
    let high = words(
      qkn_shift5_16(qkn_sub_high8(d, otherZeroPoint)), qkn_shift5_16(qkn_sub_high8(h, halfZeroPoint)),
      bothAreHalf: bothAreHalf)
    return qkn_min8(qkn_max8(qkn_saturate8(low, high), clamp.low), clamp.high)
  }

  /// All of it.
  @inline(__always) func run(_ output: UnsafeMutablePointer<Int8>, _ count: Int, bothAreHalf: Bool) {
    var i = 0
    while count &- i >= 32 {
      let first = block(i, bothAreHalf: bothAreHalf), second = block(i &+ 16, bothAreHalf: bothAreHalf)
      qkn_store8(output + i, first)
      qkn_store8(output + (i &+ 16), second)
      i &+= 32
    }
    while count > i {
      let bytes = block(i, bothAreHalf: bothAreHalf)
      if count &- i >= 16 { qkn_store8(output + i, bytes) } else { qkn_store8_first(output + i, bytes, count &- i) }
      i &+= 16
    }
  }
}

/// The whole primitive.
@inline(__always)
func addNEON(_ args: UnsafePointer<qk_add_args>) {
  guard let add = HalvedAdd(args.pointee) else {
    addTemplate(args)
    return
  }
  if add.bothAreHalf {
    add.run(args.pointee.output, Int(args.pointee.count), bothAreHalf: true)
  } else {
    add.run(args.pointee.output, Int(args.pointee.count), bothAreHalf: false)
  }
}
