// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// inner_kernels.h documents these symbols.

import QKernelsIntrinsics

// The readable specification of every primitive; never optimised. inner_kernels.h says what each computes.

@implementation @c public func qk_scalar_matmul(_ args: UnsafePointer<qk_matmul_args>!) {
  scalarMatmul(args.pointee, Int8.self)
}

@implementation @c public func qk_scalar_matmul16(_ args: UnsafePointer<qk_matmul_args>!) {
  scalarMatmul(args.pointee, Int16.self)
}

@inline(__always)
private func scalarMatmul<Output: FixedWidthInteger>(_ a: qk_matmul_args, _: Output.Type) {
  let groups = Int(a.rowGroups)
  let flip: Int8 = a.flipped == 0 ? 0 : -128
  let output = a.output.assumingMemoryBound(to: Output.self)
  for pixel in 0..<Int(a.pixelCount) {
    for channel in 0..<Int(a.channelCount) {
      let block = channel / 16, lane = channel % 16
      var accumulator = a.quantization.bias[channel]
      for row in 0..<Int(a.rowCount) {
        let x = a.rows[pixel * Int(a.pointerStride) + row]! + pixel * Int(a.pixelStride)
        let w = a.weights + (block * Int(a.rowCount) + row) * groups * 64 + lane * 4
        for k in 0..<(groups * 4) {
          accumulator = accumulator &+ Int32(x[k] ^ flip) &* Int32(w[k / 4 * 64 + k % 4])
        }
      }
      let value = scalarRequantized(accumulator, channel, a.quantization)
      output[pixel * Int(a.outputStride) + channel] = Output(truncatingIfNeeded: value)
    }
  }
}

/// Requantizes one accumulator of output channel `channel` and clamps it.
@inline(__always)
private func scalarRequantized(_ accumulator: Int32, _ channel: Int, _ q: qk_channel_quantization) -> Int32 {
  let scaled = FixedPointMultiplier(multiplier: q.multiplier[channel], shift: q.shift[channel])
    .requantized(accumulator)
  return min(max(q.outputZeroPoint &+ scaled, q.outputMin), q.outputMax)
}

@implementation @c public func qk_scalar_depthwise(_ args: UnsafePointer<qk_depthwise_args>!) {
  let a = args.pointee
  let groups = (Int(a.tapCount) + 3) / 4
  for pixel in 0..<Int(a.pixelCount) {
    for channel in 0..<Int(a.channelCount) {
      let w = a.weights + channel / 16 * groups * 64 + channel % 16 * 4
      var accumulator = a.quantization.bias[channel]
      for tap in 0..<Int(a.tapCount) {
        let x = a.taps[pixel * Int(a.pointerStride) + tap]![pixel * Int(a.pixelStride) + channel]
        accumulator = accumulator &+ Int32(x) &* Int32(w[tap / 4 * 64 + tap % 4])
      }
      a.output[pixel * Int(a.outputStride) + channel] = Int8(
        truncatingIfNeeded: scalarRequantized(accumulator, channel, a.quantization))
    }
  }
}

@implementation @c public func qk_scalar_add(_ args: UnsafePointer<qk_add_args>!) {
  let a = args.pointee
  let aFactor = FixedPointMultiplier(multiplier: a.aMultiplier, shift: a.aShift)
  let bFactor = FixedPointMultiplier(multiplier: abs(a.bMultiplier), shift: a.bShift)
  let outputFactor = FixedPointMultiplier(multiplier: a.outputMultiplier, shift: a.outputShift)
  for i in 0..<Int(a.count) {
    let x = (Int32(a.a[i * Int(a.aStep)]) &- a.aZeroPoint) &<< a.leftShift
    let y = (Int32(a.b[i * Int(a.bStep)]) &- a.bZeroPoint) &<< a.leftShift
    let second = bFactor.requantized(y)
    let sum = aFactor.requantized(x) &+ (a.bMultiplier < 0 ? 0 &- second : second)
    let output = outputFactor.requantized(sum) &+ a.outputZeroPoint
    a.output[i] = Int8(truncatingIfNeeded: min(max(output, a.outputMin), a.outputMax))
  }
}

@implementation @c public func qk_scalar_mul(_ args: UnsafePointer<qk_mul_args>!) {
  let a = args.pointee
  let factor = FixedPointMultiplier(multiplier: a.multiplier, shift: a.shift)
  for i in 0..<Int(a.count) {
    let x = Int32(a.a[i * Int(a.aStep)]) &- a.aZeroPoint
    let y = Int32(a.b[i * Int(a.bStep)]) &- a.bZeroPoint
    let output = factor.requantized(x &* y) &+ a.outputZeroPoint
    a.output[i] = Int8(truncatingIfNeeded: min(max(output, a.outputMin), a.outputMax))
  }
}

@implementation @c public func qk_scalar_lookup(_ args: UnsafePointer<qk_lookup_args>!) {
  let a = args.pointee
  for i in 0..<Int(a.count) { a.output[i] = a.table[Int(a.input[i]) + 128] }
}

@implementation @c public func qk_scalar_max_pool(_ args: UnsafePointer<qk_pool_args>!) {
  let a = args.pointee
  for channel in 0..<Int(a.channelCount) {
    var best: Int8 = -128
    for row in 0..<Int(a.rowCount) {
      for column in 0..<Int(a.columnCount) { best = max(best, a.rows[row]![column * Int(a.columnStride) + channel]) }
    }
    a.output[channel] = Int8(truncatingIfNeeded: min(max(Int32(best), a.outputMin), a.outputMax))
  }
}

@implementation @c public func qk_scalar_average_pool(_ args: UnsafePointer<qk_pool_args>!) {
  let a = args.pointee
  for channel in 0..<Int(a.channelCount) {
    let sum = scalarWindowSum(a, channel)
    let half = a.divisor / 2
    let average = (sum > 0 ? sum &+ half : sum &- half) / a.divisor
    a.output[channel] = Int8(truncatingIfNeeded: min(max(average, a.outputMin), a.outputMax))
  }
}

@implementation @c public func qk_scalar_window_sum(_ args: UnsafePointer<qk_pool_args>!) {
  let a = args.pointee
  for channel in 0..<Int(a.channelCount) { a.sums[channel] = scalarWindowSum(a, channel) }
}

@inline(__always)
private func scalarWindowSum(_ a: qk_pool_args, _ channel: Int) -> Int32 {
  var sum: Int32 = 0
  for row in 0..<Int(a.rowCount) {
    for column in 0..<Int(a.columnCount) {
      sum = sum &+ Int32(a.rows[row]![column * Int(a.columnStride) + channel])
    }
  }
  return sum
}
