import QKernelsIntrinsics

/// One input of an addition, brought to the common scale in seven instructions.
private struct Term {
  let zeroPoint: Int32
  /// One more than the left shift, because SMMULR wants the double.
  let leftShift: Int32
  let multiplier: Int32
  /// How far the high product is shifted right, less one.
  let rightShift: Int32

  /// Nil for factors that need more care.
  @inline(__always) init?(zeroPoint: Int32, leftShift: Int32, multiplier: Int32, shift: Int32) {
    // Differences are below 2^8 in magnitude: with 22 zeros they still fit.
    guard leftShift >= 0, leftShift <= 20, multiplier >= 0 else { return nil }
    self.zeroPoint = zeroPoint
    self.multiplier = multiplier
    if shift < 0 {
      self.leftShift = leftShift &+ 1
      rightShift = ~shift
    } else if shift == 0, multiplier == 1 << 30 {
      // A half, of the input with the larger scale: the double, halved once more, is the same and exact.
      self.leftShift = leftShift &+ 2
      rightShift = 0
    } else {
      return nil
    }
  }

  @inline(__always) func scaled(_ value: Int8) -> Int32 {
    let difference = qk_dsp_shift_left(Int32(value) &- zeroPoint, leftShift)
    let high = qk_dsp_high_multiply(difference, multiplier)
    return (qk_dsp_shift_right(high &+ (high &>> 31), rightShift) &+ 1) &>> 1
  }
}

@inline(__always)
func add(_ args: UnsafePointer<qk_add_args>) {
  let a = Term(
    zeroPoint: args.pointee.aZeroPoint, leftShift: args.pointee.leftShift, multiplier: args.pointee.aMultiplier,
    shift: args.pointee.aShift)
  let b = Term(
    zeroPoint: args.pointee.bZeroPoint, leftShift: args.pointee.leftShift, multiplier: args.pointee.bMultiplier,
    shift: args.pointee.bShift)
  if let a, let b, args.pointee.outputShift < 0 {
    addPlainly(args, a, b)
  } else {
    addCarefully(args)
  }
}

@inline(__always)
private func addPlainly(_ args: UnsafePointer<qk_add_args>, _ aTerm: Term, _ bTerm: Term) {
  let factor = Requantizer(multiplier: args.pointee.outputMultiplier, shift: args.pointee.outputShift)
  let twice = args.pointee.outputZeroPoint &+ args.pointee.outputZeroPoint &+ 1
  let aStep = Int(args.pointee.aStep), bStep = Int(args.pointee.bStep)
  let isFullRange = args.pointee.outputMin == -128 && args.pointee.outputMax == 127
  var a: UnsafePointer<Int8> = args.pointee.a, b: UnsafePointer<Int8> = args.pointee.b
  var result: UnsafeMutablePointer<Int8> = args.pointee.output
  let end = result + Int(args.pointee.count)
  while result < end {
    let sum = aTerm.scaled(a[0]) &+ bTerm.scaled(b[0])
    var value = qk_dsp_saturate8(factor.doubled(sum, twice: twice) &>> 1)
    if !isFullRange { value = min(max(value, args.pointee.outputMin), args.pointee.outputMax) }
    result[0] = Int8(truncatingIfNeeded: value)
    a += aStep
    b += bStep
    result += 1
  }
}

@inline(never)
private func addCarefully(_ args: UnsafePointer<qk_add_args>) {
  let first = Requantizer(multiplier: args.pointee.aMultiplier, shift: args.pointee.aShift)
  let second = Requantizer(multiplier: abs(args.pointee.bMultiplier), shift: args.pointee.bShift)
  let output = Requantizer(multiplier: args.pointee.outputMultiplier, shift: args.pointee.outputShift)
  let a: UnsafePointer<Int8> = args.pointee.a, b: UnsafePointer<Int8> = args.pointee.b
  let result: UnsafeMutablePointer<Int8> = args.pointee.output
  var index = 0
  while index < Int(args.pointee.count) {
    let x = (Int32(a[index &* Int(args.pointee.aStep)]) &- args.pointee.aZeroPoint) &<< args.pointee.leftShift
    let y = (Int32(b[index &* Int(args.pointee.bStep)]) &- args.pointee.bZeroPoint) &<< args.pointee.leftShift
    let scaled = second.scaled(y)
    let sum = first.scaled(x) &+ (args.pointee.bMultiplier < 0 ? 0 &- scaled : scaled)
    let value = output.scaled(sum) &+ args.pointee.outputZeroPoint
    result[index] = Int8(truncatingIfNeeded: min(max(value, args.pointee.outputMin), args.pointee.outputMax))
    index &+= 1
  }
}

@inline(__always)
func multiplyElements(_ args: qk_mul_args) {
  let factor = Requantizer(multiplier: args.multiplier, shift: args.shift)
  let aStep = Int(args.aStep), bStep = Int(args.bStep)
  var a: UnsafePointer<Int8> = args.a, b: UnsafePointer<Int8> = args.b
  var result: UnsafeMutablePointer<Int8> = args.output
  let end = result + Int(args.count)
  while result < end {
    let x = Int32(a[0]) &- args.aZeroPoint
    let y = Int32(b[0]) &- args.bZeroPoint
    let value = factor.scaled(x &* y) &+ args.outputZeroPoint
    result[0] = Int8(truncatingIfNeeded: min(max(value, args.outputMin), args.outputMax))
    a += aStep
    b += bStep
    result += 1
  }
}
