import QKernelsIntrinsics

/// An addition by one fixed-point sum per element, where that is sure to give the byte of the three double roundings.
///
/// With real factors ca and cb the real result is t = ca·(a − aZeroPoint) + cb·(b − bZeroPoint) + zeroPoint. The law rounds
/// each operand by at most 1 and the sum's high product by 1/2, in units of which the output shift e makes 2^-e or less of
/// an output step: its result is t rounded to the nearest integer unless t lies within 2.5 · 2^-e of a half. Here t has F
/// fractional bits, and factors whose errors are known. A sum that comes closer to a half than both errors together, one in
/// some thousands, is left to the law.
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
      let aError = SingleSum.error(a, aDown &- bits, aUnits) &* SingleSum.farthest(args.aZeroPoint)
      let bError = SingleSum.error(b, bDown &- bits, bUnits) &* SingleSum.farthest(args.bZeroPoint)
      let doubt = 4 &+ ((3 &<< bits) &>> (0 &- Int(args.outputShift))) &+ (aError &+ bError) &>> 10
      // The power of two at or above twice the error.
      let range = 1 &<< (Int.bitWidth &- (2 &* doubt &- 1).leadingZeroBitCount)
      // The upper 16 bits of a factor below 2^23 are a signed word.
      if max(aUnits, bUnits) < 1 &<< 23, 255 &* (aUnits &+ bUnits) &+ 130 &<< bits &+ range < 1 &<< 31,
        range < 1 &<< (bits &- 6)
      {
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

  /// `value` / 2^distance, rounded; huge where that leaves 40 bits.
  private static func shifted(_ value: Int, _ distance: Int) -> Int {
    if distance > 62 { return 0 }
    if distance < 1 { return 1 &<< 40 }
    return min((value &+ 1 &<< (distance &- 1)) &>> distance, 1 &<< 40)
  }

  /// What `units` differ from `value` / 2^distance by, in 2^-10 and at most 1 of them too large.
  private static func error(_ value: Int, _ distance: Int, _ units: Int) -> Int {
    if distance > 62 || distance < 10 { return 512 }
    return abs(value &- units &<< distance) &>> (distance &- 10) &+ 1
  }

  /// The largest difference of a value from the zero point.
  private static func farthest(_ zeroPoint: Int32) -> Int { 128 &+ Int(abs(zeroPoint)) }
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

/// The products of a block: 64 elements of a and b are spread to pairs of words, each an element times 256, and multiplied
/// by the upper 16 bits of the 24-bit factors; the same words as bytes by the lower 8 bits, which have no sign.
private struct FactorPair {
  let start: __m512i, upper: __m512i, lower: __m512i

  @inline(__always) init(_ sum: SingleSum) {
    start = qk512_set1(sum.constant)
    upper = qk512_set1((sum.bFactor &>> 8) &<< 16 | (sum.aFactor &>> 8) & 0xFFFF)
    lower = qk512_set1((sum.bFactor & 0xFF) &<< 24 | (sum.aFactor & 0xFF) &<< 8)
  }

  /// The sums of the elements that `index` picks.
  @inline(__always) func sums(_ a: __m512i, _ b: __m512i, _ index: __m512i) -> __m512i {
    let pairs = qk512_pick_odd8(a, index, b)
    return qk512_dpbusd(qk512_dpwssd(start, pairs, upper), lower, pairs)
  }
}

/// A block of 64 elements with sums in doubt.
private struct Doubt {
  /// The operands, which the output may have replaced.
  var a: __m512i, b: __m512i
  /// The first element.
  var block = 0
  /// The lanes of the four registers of sums.
  var sums: UInt64 = 0

  /// The element of the block that lane `bit` belongs to.
  static func element(_ bit: Int) -> Int { bit / 4 % 4 &* 16 &+ bit / 32 &* 8 &+ bit % 4 &* 2 &+ bit / 16 % 2 }

  @inline(__always) static func byte(_ operand: inout __m512i, _ index: Int) -> Int {
    withUnsafePointer(to: &operand) { Int(UnsafeRawPointer($0).load(fromByteOffset: index, as: Int8.self)) }
  }
}

private func addBySingleSums(_ args: UnsafePointer<qk_add_args>, _ sum: SingleSum) {
  let count = Int(args.pointee.count)
  // Scales whose sums often lie on a half gain nothing: 1 element in 64 may be in doubt.
  var doubts = 4 &+ count / 64
  var doubt = Doubt(a: qk512_any(), b: qk512_any())
  var i = 0
  while count &- i >= 64, doubts > 0 {
    addCertain(args, sum, i, count & ~63, &doubt)
    i = doubt.block
    if doubt.sums == 0 { break }
    while doubt.sums != 0 {
      addByLaw(args, &doubt, Doubt.element(doubt.sums.trailingZeroBitCount))
      doubt.sums &= doubt.sums &- 1
      doubts &-= 1
    }
    i &+= 64
  }
  if i < count { addExactly(args, i, count &- i) }
}

/// Blocks of 64 elements from `first` on, up to and including one with sums in doubt, or to `end`. No call in the loop
/// takes the registers from it.
@inline(never)
private func addCertain(
  _ args: UnsafePointer<qk_add_args>, _ sum: SingleSum, _ first: Int, _ end: Int, _ doubt: inout Doubt
) {
  let a = args.pointee.a.unsafelyUnwrapped, b = args.pointee.b.unsafelyUnwrapped
  let output = args.pointee.output.unsafelyUnwrapped
  let factors = FactorPair(sum)
  let certain = qk512_set1(sum.certainBits)
  let shift = sum.fractionBits &- 16
  let low = qk512_set1_8(Int8(truncatingIfNeeded: args.pointee.outputMin))
  let high = qk512_set1_8(Int8(truncatingIfNeeded: args.pointee.outputMax))
  // A compiler that knew the indices would take other instructions, and more of them.
  let index0 = qk512_here(qk512_pair_index(0)), index1 = qk512_here(qk512_pair_index(1))
  let index2 = qk512_here(qk512_pair_index(8)), index3 = qk512_here(qk512_pair_index(9))
  var i = first
  while i < end {
    let x = qk512_load(a + i), y = qk512_load(b + i)
    let s0 = factors.sums(x, y, index0), s1 = factors.sums(x, y, index1)
    let s2 = factors.sums(x, y, index2), s3 = factors.sums(x, y, index3)
    // The upper halves of the sums keep enough of the fraction, which is cut off.
    let words0 = qk512_shift_right16(qk512_join_upper16(s0, s1), shift)
    let words1 = qk512_shift_right16(qk512_join_upper16(s2, s3), shift)
    qk512_store(output + i, qk512_clamp8(qk512_packs16(words0, words1), low, high))
    if qk512_any_clear(s0, s1, s2, s3, certain) != 0 {
      doubt = Doubt(a: x, b: y, block: i, sums: qk512_clear_lanes(s0, s1, s2, s3, qk512_here(certain)))
      return
    }
    i &+= 64
  }
  doubt.block = end
  doubt.sums = 0
}

/// Element `index` of the block by the law. Operands of at most 9 bits, shifted by at most 20, and factors below 1 stay in
/// 64 bits.
private func addByLaw(_ args: UnsafePointer<qk_add_args>, _ doubt: inout Doubt, _ index: Int) {
  let args = args.pointee
  let a = (Doubt.byte(&doubt.a, index) &- Int(args.aZeroPoint)) &<< Int(args.leftShift)
  let b = (Doubt.byte(&doubt.b, index) &- Int(args.bZeroPoint)) &<< Int(args.leftShift)
  let x = requantized(a, args.aMultiplier, args.aShift), y = requantized(b, abs(args.bMultiplier), args.bShift)
  let sum = requantized(args.bMultiplier < 0 ? x &- y : x &+ y, args.outputMultiplier, args.outputShift)
  let result = min(max(sum &+ Int(args.outputZeroPoint), Int(args.outputMin)), Int(args.outputMax))
  args.output[doubt.block &+ index] = Int8(truncatingIfNeeded: result)
}

/// Double rounding for shifts to the right.
private func requantized(_ value: Int, _ multiplier: Int32, _ shift: Int32) -> Int {
  let r = (value &* Int(multiplier) &+ 1 &<< 30) &>> 31
  if shift == 0 { return r }
  let e = 0 &- Int(shift)
  return (r &+ 1 &<< (e &- 1) &+ r &>> 63) &>> e
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
