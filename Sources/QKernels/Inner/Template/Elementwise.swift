import QKernelsIntrinsics

// Elementwise primitives and pooling, compiled once per instruction set over that set's Vec.

/// One multiplier for all lanes, by the double-rounding law.
struct UniformFactor {
  let multiplier: Vec.Lanes
  let left: Int32
  let right: Int32

  @inline(__always) init(multiplier: Int32, shift: Int32) {
    self.multiplier = Vec.broadcast(multiplier)
    left = max(shift, 0)
    right = max(0 &- shift, 0)
  }

  @inline(__always) func requantized(_ x: Vec.Lanes) -> Vec.Lanes {
    Vec.dividedByPowerOfTwo(Vec.highMultiply(left == 0 ? x : Vec.shiftedLeft(x, left), multiplier), right)
  }
}

/// The rescaling of an addition's input: `((q − zeroPoint) << leftShift)` times a multiplier.
///
/// The difference has 9 bits, so with a left shift of 20 the high multiply is `(d·m + 2^10) >> 11`, which splits into
/// 32-bit products: with m = high · 2^11 + low it is `d·high + ((d·low + 2^10) >> 11)`, exactly.
struct AddendFactor {
  let zeroPoint: Vec.Lanes
  let general: UniformFactor
  let leftShift: Int32
  let isSplit: Bool
  /// A factor of one half, which the operand of the larger scale has: `d << 19`.
  let isHalf: Bool
  let high: Vec.Lanes
  let low: Vec.Lanes
  let rounding: Vec.Lanes

  @inline(__always) init(zeroPoint: Int32, multiplier: Int32, shift: Int32, leftShift: Int32) {
    self.zeroPoint = Vec.broadcast(zeroPoint)
    general = UniformFactor(multiplier: multiplier, shift: shift)
    self.leftShift = leftShift
    isSplit = leftShift == 20 && shift <= 0
    isHalf = leftShift == 20 && shift == 0 && multiplier == 1 << 30
    high = Vec.broadcast(multiplier &>> 11)
    low = Vec.broadcast(multiplier & 0x7FF)
    rounding = Vec.broadcast(1 << 10)
  }

  @inline(__always) func rescaled(_ q: Vec.Lanes) -> Vec.Lanes {
    let d = Vec.difference(q, zeroPoint)
    if isHalf { return Vec.shiftedLeft(d, 19) }
    if isSplit {
      let rest = Vec.shiftedRight(Vec.sum(Vec.product(d, low), rounding), 11)
      return Vec.dividedByPowerOfTwo(Vec.sum(Vec.product(d, high), rest), general.right)
    }
    return general.requantized(Vec.shiftedLeft(d, leftShift))
  }
}

/// The arguments of an addition, in registers.
private struct AddLoop {
  let args: qk_add_args
  let a: AddendFactor, b: AddendFactor
  let factor: UniformFactor
  /// b is subtracted: its rescaled value, rounded as if added, changes its sign.
  let isSubtraction: Bool
  // A repeated operand is rescaled once.
  let repeatedA: Vec.Lanes, repeatedB: Vec.Lanes

  @inline(__always) init(_ args: qk_add_args) {
    self.args = args
    a = AddendFactor(
      zeroPoint: args.aZeroPoint, multiplier: args.aMultiplier, shift: args.aShift, leftShift: args.leftShift)
    b = AddendFactor(
      zeroPoint: args.bZeroPoint, multiplier: abs(args.bMultiplier), shift: args.bShift, leftShift: args.leftShift)
    isSubtraction = args.bMultiplier < 0
    factor = UniformFactor(multiplier: args.outputMultiplier, shift: args.outputShift)
    repeatedA = a.rescaled(Vec.broadcast(Int32(args.a[0])))
    repeatedB = b.rescaled(Vec.broadcast(Int32(args.b[0])))
  }

  /// 16 results from element `i` on, `left` of which count, before the zero point.
  @inline(__always) func block(_ i: Int, _ left: Int) -> Vec.Lanes {
    let x = args.aStep == 0 ? repeatedA : a.rescaled(Vec.widened(args.a + i, left))
    let y = args.bStep == 0 ? repeatedB : b.rescaled(Vec.widened(args.b + i, left))
    return factor.requantized(isSubtraction ? Vec.difference(x, y) : Vec.sum(x, y))
  }
}

@inline(__always)
func addTemplate(_ args: UnsafePointer<qk_add_args>) {
  let loop = AddLoop(args.pointee)
  let output = loop.args.output.unsafelyUnwrapped
  let zeroPoint = Vec.broadcast(loop.args.outputZeroPoint)
  let clamp = Vec.Clamp(loop.args.outputMin, loop.args.outputMax)
  let count = Int(loop.args.count)
  var i = 0
  // Blocks of 64: four independent chains, and one store.
  while count &- i >= 64 {
    Vec.store64(
      loop.block(i, 16), loop.block(i &+ 16, 16), loop.block(i &+ 32, 16), loop.block(i &+ 48, 16),
      loop.args.outputZeroPoint, clamp, output + i)
    i &+= 64
  }
  while i < count {
    let left = count &- i
    Vec.store(Vec.sum(loop.block(i, left), zeroPoint), clamp, output + i, left)
    i &+= 16
  }
}

@inline(__always)
func mulTemplate(_ args: UnsafePointer<qk_mul_args>) {
  let args = args.pointee
  let factor = UniformFactor(multiplier: args.multiplier, shift: args.shift)
  let aZeroPoint = Vec.broadcast(args.aZeroPoint), bZeroPoint = Vec.broadcast(args.bZeroPoint)
  let zeroPoint = Vec.broadcast(args.outputZeroPoint)
  let clamp = Vec.Clamp(args.outputMin, args.outputMax)
  let count = Int(args.count)
  let repeatedA = Vec.broadcast(Int32(args.a[0])), repeatedB = Vec.broadcast(Int32(args.b[0]))
  var i = 0
  while i < count {
    let left = count &- i
    let x = Vec.difference(args.aStep == 0 ? repeatedA : Vec.widened(args.a + i, left), aZeroPoint)
    let y = Vec.difference(args.bStep == 0 ? repeatedB : Vec.widened(args.b + i, left), bZeroPoint)
    let result = Vec.sum(factor.requantized(Vec.product(x, y)), zeroPoint)
    Vec.store(result, clamp, args.output + i, left)
    i &+= 16
  }
}

/// The exact sums of 16 channels over a window.
@inline(__always)
private func windowSum(_ args: qk_pool_args, _ channel: Int, _ left: Int) -> Vec.Lanes {
  var sum = Vec.broadcast(0)
  for row in 0..<Int(args.rowCount) {
    var x = args.rows[row].unsafelyUnwrapped + channel
    for _ in 0..<Int(args.columnCount) {
      sum = Vec.sum(sum, Vec.widened(x, left))
      x += Int(args.columnStride)
    }
  }
  return sum
}

@inline(__always)
func windowSumTemplate(_ args: UnsafePointer<qk_pool_args>) {
  let args = args.pointee
  let channels = Int(args.channelCount)
  var channel = 0
  while channel < channels {
    Vec.store32(windowSum(args, channel, channels &- channel), args.sums + channel, channels &- channel)
    channel &+= 16
  }
}

/// The quotient by any divisor, half away from zero, through a reciprocal: for |sum| <= 2^23 and a divisor d the nearest
/// quotient of magnitude at most 255 is exact when computed lane by lane; there are 16 of them per channel block only.
@inline(__always)
func averagePoolTemplate(_ args: UnsafePointer<qk_pool_args>) {
  let args = args.pointee
  let channels = Int(args.channelCount)
  let divisor = args.divisor, half = args.divisor / 2
  var channel = 0
  var sums = InlineArray<16, Int32>(repeating: 0)
  while channel < channels {
    let left = channels &- channel
    let lanes = windowSum(args, channel, left)
    withUnsafeMutablePointer(to: &sums) {
      Vec.store32(lanes, UnsafeMutableRawPointer($0).assumingMemoryBound(to: Int32.self), 16)
    }
    for i in 0..<min(left, 16) {
      let sum = sums[i]
      let average = (sum > 0 ? sum &+ half : sum &- half) / divisor
      args.output[channel &+ i] = Int8(truncatingIfNeeded: min(max(average, args.outputMin), args.outputMax))
    }
    channel &+= 16
  }
}

@inline(__always)
func maxPoolTemplate(_ args: UnsafePointer<qk_pool_args>) {
  let args = args.pointee
  let channels = Int(args.channelCount)
  let clamp = Vec.Clamp(args.outputMin, args.outputMax)
  var channel = 0
  while channel < channels {
    let left = channels &- channel
    var best = Vec.bytes(args.rows[0].unsafelyUnwrapped + channel, left)
    for row in 0..<Int(args.rowCount) {
      var x = args.rows[row].unsafelyUnwrapped + channel
      for _ in 0..<Int(args.columnCount) {
        best = Vec.larger(best, Vec.bytes(x, left))
        x += Int(args.columnStride)
      }
    }
    Vec.store(best, clamp, args.output + channel, left)
    channel &+= 16
  }
}
