import QKernelsIntrinsics

/// An addition by one fixed-point sum per element, where that is sure to give the byte of the three double roundings.
///
/// With real factors ca and cb the real result is t = ca·(a − aZeroPoint) + cb·(b − bZeroPoint) + zeroPoint. The law rounds
/// each operand by at most 1 and the sum's high product by 1/2, in units of which the output shift e makes 2^-e or less of
/// an output step: its result is t rounded to the nearest integer unless t lies within 2.5 · 2^-e of a half. Here t has F
/// fractional bits and factors with an error of 1/2, hence at most 255 units too much or too little. A sum that comes
/// closer to a half than both errors together, one in some thousands, has its block computed by the law.
private struct SingleSum {
  let aFactor: Int32, bFactor: Int32
  /// What zero points, rounding and half of the doubtful range add.
  let constant: Int32
  let fractionBits: Int32
  /// The fractional bits that are not all 0 in a sum beyond doubt.
  let certainBits: Int32

  /// nil where the fraction would be so short that too many sums were in doubt.
  init?(_ args: qk_add_args) {
    guard args.aStep == 1, args.bStep == 1, args.outputShift < 0, args.aShift <= 0, args.bShift <= 0 else { return nil }
    let down = 62 &- Int(args.leftShift) &- Int(args.outputShift)
    let a = Int(args.aMultiplier) &* Int(args.outputMultiplier), aDown = down &- Int(args.aShift)
    let b = Int(abs(args.bMultiplier)) &* Int(args.outputMultiplier), bDown = down &- Int(args.bShift)
    var bits = 24
    while bits >= 18 {
      let aUnits = SingleSum.shifted(a, aDown &- bits), bUnits = SingleSum.shifted(b, bDown &- bits)
      let doubt = 260 &+ ((3 &<< bits) &>> (0 &- Int(args.outputShift)))
      // The power of two at or above twice the error.
      let range = 1 &<< (Int.bitWidth &- (2 &* doubt &- 1).leadingZeroBitCount)
      if 255 &* (aUnits &+ bUnits) &+ 130 &<< bits &+ range < 1 &<< 31, range < 1 &<< (bits &- 6) {
        let bSigned = args.bMultiplier < 0 ? 0 &- bUnits : bUnits
        let zeroPoints = Int(args.aZeroPoint) &* aUnits &+ Int(args.bZeroPoint) &* bSigned
        let half = 1 &<< (bits &- 1)
        aFactor = Int32(truncatingIfNeeded: aUnits)
        bFactor = Int32(truncatingIfNeeded: bSigned)
        constant = Int32(
          truncatingIfNeeded: (Int(args.outputZeroPoint) &<< bits) &+ half &+ range / 2 &- zeroPoints)
        fractionBits = Int32(truncatingIfNeeded: bits)
        certainBits = Int32(truncatingIfNeeded: (1 &<< bits) &- range)
        return
      }
      bits &-= 1
    }
    return nil
  }

  /// The sums of 16 elements.
  @inline(__always) func of(_ a: UnsafePointer<Int8>, _ b: UnsafePointer<Int8>) -> __m512i {
    let x = qk512_mul(qk512_widen8(qk128_load(a)), qk512_set1(aFactor))
    let y = qk512_mul(qk512_widen8(qk128_load(b)), qk512_set1(bFactor))
    return qk512_add(qk512_add(x, qk512_set1(constant)), y)
  }

  /// `value` / 2^distance, rounded; huge where that leaves 40 bits.
  private static func shifted(_ value: Int, _ distance: Int) -> Int {
    if distance > 62 { return 0 }
    if distance < 1 { return 1 &<< 40 }
    return min((value &+ 1 &<< (distance &- 1)) &>> distance, 1 &<< 40)
  }
}

/// The whole primitive.
@inline(__always)
func add(_ args: UnsafePointer<qk_add_args>) {
  let count = Int(args.pointee.count)
  guard count >= 64, let sum = SingleSum(args.pointee) else {
    addTemplate(args)
    return
  }
  addBySingleSums(args, sum)
}

private func addBySingleSums(_ args: UnsafePointer<qk_add_args>, _ sum: SingleSum) {
  let a = args.pointee.a.unsafelyUnwrapped, b = args.pointee.b.unsafelyUnwrapped
  let output = args.pointee.output.unsafelyUnwrapped
  let certain = qk512_set1(sum.certainBits)
  let low = qk512_set1_8(Int8(truncatingIfNeeded: args.pointee.outputMin))
  let high = qk512_set1_8(Int8(truncatingIfNeeded: args.pointee.outputMax))
  let count = Int(args.pointee.count)
  // Scales whose sums often lie on a half gain nothing: 1 block in 8 may be in doubt.
  var doubts = 4 &+ count / 512
  var i = 0
  while count &- i >= 64 {
    let s0 = sum.of(a + i, b + i), s1 = sum.of(a + (i &+ 16), b + (i &+ 16))
    let s2 = sum.of(a + (i &+ 32), b + (i &+ 32)), s3 = sum.of(a + (i &+ 48), b + (i &+ 48))
    if qk512_any_clear(s0, s1, s2, s3, certain) != 0 {
      doubts &-= 1
      if doubts < 0 { break }
      addExactly(args, i, 64)
    } else {
      let n = sum.fractionBits
      let words = qk512_packs16(
        qk512_packs32(qk512_shift_right(s0, n), qk512_shift_right(s1, n)),
        qk512_packs32(qk512_shift_right(s2, n), qk512_shift_right(s3, n)))
      qk512_store(output + i, qk512_clamp8(qk512_transpose4x4(words), low, high))
    }
    i &+= 64
  }
  if i < count { addExactly(args, i, count &- i) }
}

/// Elements `first ..< first + count` by the law.
@inline(never)
private func addExactly(_ args: UnsafePointer<qk_add_args>, _ first: Int, _ count: Int) {
  var part = args.pointee
  part.a += first
  part.b += first
  part.output += first
  part.count = Int32(truncatingIfNeeded: count)
  addTemplate(&part)
}
