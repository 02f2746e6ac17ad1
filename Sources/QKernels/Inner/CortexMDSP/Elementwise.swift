import QKernelsIntrinsics

@inline(__always)
func add(_ args: qk_add_args) {
  let first = Requantizer(multiplier: args.aMultiplier, shift: args.aShift)
  let second = Requantizer(multiplier: abs(args.bMultiplier), shift: args.bShift)
  let output = Requantizer(multiplier: args.outputMultiplier, shift: args.outputShift)
  let isSubtraction = args.bMultiplier < 0
  let aStep = Int(args.aStep), bStep = Int(args.bStep)
  var a: UnsafePointer<Int8> = args.a, b: UnsafePointer<Int8> = args.b
  var result: UnsafeMutablePointer<Int8> = args.output
  let end = result + Int(args.count)
  while result < end {
    let x = (Int32(a[0]) &- args.aZeroPoint) &<< args.leftShift
    let y = (Int32(b[0]) &- args.bZeroPoint) &<< args.leftShift
    let scaled = second.scaled(y)
    let sum = first.scaled(x) &+ (isSubtraction ? 0 &- scaled : scaled)
    let value = output.scaled(sum) &+ args.outputZeroPoint
    result[0] = Int8(truncatingIfNeeded: min(max(value, args.outputMin), args.outputMax))
    a += aStep
    b += bStep
    result += 1
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
