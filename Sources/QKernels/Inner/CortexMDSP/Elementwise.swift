import QKernelsIntrinsics

/// Models' additions scale the input with the larger scale, or both, by a half: ``qk_dsp_add`` makes use of that.
@inline(__always)
func add(_ args: UnsafePointer<qk_add_args>) {
  let half: Int32 = 1 << 30
  let isExactA = args.pointee.aMultiplier == half && args.pointee.aShift == 0
  let isExactB = args.pointee.bMultiplier == half && args.pointee.bShift == 0
  let multiplier = isExactA ? args.pointee.bMultiplier : args.pointee.aMultiplier
  let shift = isExactA ? args.pointee.bShift : args.pointee.aShift
  guard isExactA || isExactB, multiplier >= 0, shift < 0 || (isExactA && isExactB), args.pointee.outputShift < 0,
    args.pointee.leftShift == 20, args.pointee.aStep == 1, args.pointee.bStep == 1, args.pointee.count > 0
  else {
    addCarefully(args)
    return
  }
  // An exact half of the double is the double, halved.
  let leftShift: Int32 = shift < 0 ? 21 : 22
  let aZeroPoint = isExactA ? args.pointee.aZeroPoint : args.pointee.bZeroPoint
  let bZeroPoint = isExactA ? args.pointee.bZeroPoint : args.pointee.aZeroPoint
  let output: UnsafeMutablePointer<Int8> = args.pointee.output
  let end = output + Int(args.pointee.count)
  var sum = qk_dsp_sum(
    a: isExactA ? args.pointee.a : args.pointee.b, b: isExactA ? args.pointee.b : args.pointee.a, output: output,
    end: end, unused: (0, 0), bLeftShift: leftShift, bZeroPoint: bZeroPoint &<< leftShift, bMultiplier: multiplier,
    bRightShift: shift < 0 ? ~shift : 0, start: 1 &- aZeroPoint &<< 20,
    outputMultiplier: args.pointee.outputMultiplier, outputRightShift: ~args.pointee.outputShift,
    twice: args.pointee.outputZeroPoint &+ args.pointee.outputZeroPoint &+ 1)
  qk_dsp_add(&sum)
  if args.pointee.outputMin == -128 && args.pointee.outputMax == 127 { return }
  var result = output
  while result < end {
    result[0] = Int8(
      truncatingIfNeeded: min(max(Int32(result[0]), args.pointee.outputMin), args.pointee.outputMax))
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
func multiplyElements(_ args: UnsafePointer<qk_mul_args>) {
  let factor = Requantizer(multiplier: args.pointee.multiplier, shift: args.pointee.shift)
  let aZeroPoint = args.pointee.aZeroPoint, bZeroPoint = args.pointee.bZeroPoint
  let zeroPoint = args.pointee.outputZeroPoint, minimum = args.pointee.outputMin, maximum = args.pointee.outputMax
  let aStep = Int(args.pointee.aStep), bStep = Int(args.pointee.bStep)
  var a: UnsafePointer<Int8> = args.pointee.a, b: UnsafePointer<Int8> = args.pointee.b
  var result: UnsafeMutablePointer<Int8> = args.pointee.output
  let end = result + Int(args.pointee.count)
  while result < end {
    let x = Int32(a[0]) &- aZeroPoint
    let y = Int32(b[0]) &- bZeroPoint
    let value = factor.scaled(x &* y) &+ zeroPoint
    result[0] = Int8(truncatingIfNeeded: min(max(value, minimum), maximum))
    a += aStep
    b += bStep
    result += 1
  }
}
