import QKernelsIntrinsics

@inline(__always)
func poolMaximum(_ args: UnsafePointer<qk_pool_args>) {
  let rowCount = Int(args.pointee.rowCount), channelCount = Int(args.pointee.channelCount)
  let columnStride = Int(args.pointee.columnStride), rowBytes = Int(args.pointee.columnCount) &* columnStride
  var channel = 0
  while channel < channelCount {
    // Up to three bytes after the last channel are read, within the slack of every tensor, and not stored.
    var best: UInt32 = 0x8080_8080
    var row = 0
    while row < rowCount {
      var x = UnsafeRawPointer(args.pointee.rows[row].unsafelyUnwrapped + channel)
      let end = x + rowBytes
      while x < end {
        best = qk_dsp_maximum4(best, qk_dsp_load(x))
        x += columnStride
      }
      row &+= 1
    }
    var index = channel
    while index < channelCount && index < channel &+ 4 {
      let value = Int32(Int8(truncatingIfNeeded: Int32(bitPattern: best)))
      args.pointee.output[index] = Int8(
        truncatingIfNeeded: min(max(value, args.pointee.outputMin), args.pointee.outputMax))
      best = best &>> 8
      index &+= 1
    }
    channel &+= 4
  }
}

@inline(__always)
func poolAverage(_ args: UnsafePointer<qk_pool_args>) {
  let channelCount = Int(args.pointee.channelCount)
  let half = args.pointee.divisor / 2
  var channel = 0
  while channel < channelCount {
    let sums = windowSums(args, channel)
    average(sums.sum0, args, half, channel)
    if channel &+ 1 < channelCount { average(sums.sum1, args, half, channel &+ 1) }
    if channel &+ 2 < channelCount { average(sums.sum2, args, half, channel &+ 2) }
    if channel &+ 3 < channelCount { average(sums.sum3, args, half, channel &+ 3) }
    channel &+= 4
  }
}

@inline(__always)
private func average(_ sum: Int32, _ args: UnsafePointer<qk_pool_args>, _ half: Int32, _ channel: Int) {
  let value = (sum > 0 ? sum &+ half : sum &- half) / args.pointee.divisor
  args.pointee.output[channel] = Int8(
    truncatingIfNeeded: min(max(value, args.pointee.outputMin), args.pointee.outputMax))
}

@inline(__always)
func sumWindow(_ args: UnsafePointer<qk_pool_args>) {
  let channelCount = Int(args.pointee.channelCount)
  var channel = 0
  while channel < channelCount {
    let sums = windowSums(args, channel)
    args.pointee.sums[channel] = sums.sum0
    if channel &+ 1 < channelCount { args.pointee.sums[channel &+ 1] = sums.sum1 }
    if channel &+ 2 < channelCount { args.pointee.sums[channel &+ 2] = sums.sum2 }
    if channel &+ 3 < channelCount { args.pointee.sums[channel &+ 3] = sums.sum3 }
    channel &+= 4
  }
}

/// The sums of four channels. Those beyond the last are of the slack after the tensor, and not used.
@inline(never)
private func windowSums(_ args: UnsafePointer<qk_pool_args>, _ channel: Int) -> qk_dsp_sums {
  let columnStride = Int(args.pointee.columnStride), rowBytes = Int(args.pointee.columnCount) &* columnStride
  let one: Int32 = 1
  var sums = qk_dsp_sums()
  var row = 0
  while row < Int(args.pointee.rowCount) {
    var x = UnsafeRawPointer(args.pointee.rows[row].unsafelyUnwrapped + channel)
    let end = x + rowBytes
    while x < end {
      let word = qk_dsp_load(x)
      let even = qk_dsp_even(word), odd = qk_dsp_odd(word)
      sums.sum0 = qk_dsp_low_low(sums.sum0, even, one)
      sums.sum1 = qk_dsp_low_low(sums.sum1, odd, one)
      sums.sum2 = qk_dsp_high_low(sums.sum2, even, one)
      sums.sum3 = qk_dsp_high_low(sums.sum3, odd, one)
      x += columnStride
    }
    row &+= 1
  }
  return sums
}
