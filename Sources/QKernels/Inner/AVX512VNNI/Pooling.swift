import QKernelsIntrinsics

// Pooling over 64 channels at once. Four pixels are interleaved until the bytes of a channel stand side by side, and a dot
// product with ones adds them up.

/// The sums of 64 channels: quarter i of register `a` has channels 16i ..< 16i + 4, of `b` 16i + 4 ..< 16i + 8, and so on.
private struct ChannelSums {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i

  /// No pixel yet.
  @inline(__always) init() {
    a = qk512_zero()
    b = qk512_zero()
    c = qk512_zero()
    d = qk512_zero()
  }

  /// Adds four pixels.
  @inline(__always) mutating func add(_ x: __m512i, _ y: __m512i, _ z: __m512i, _ w: __m512i) {
    let ones = qk512_set1(0x0101_0101)
    let xyLow = qk512_unpack_low8(x, y), xyHigh = qk512_unpack_high8(x, y)
    let zwLow = qk512_unpack_low8(z, w), zwHigh = qk512_unpack_high8(z, w)
    a = qk512_dpbusd(a, ones, qk512_unpack_low16(xyLow, zwLow))
    b = qk512_dpbusd(b, ones, qk512_unpack_high16(xyLow, zwLow))
    c = qk512_dpbusd(c, ones, qk512_unpack_low16(xyHigh, zwHigh))
    d = qk512_dpbusd(d, ones, qk512_unpack_high16(xyHigh, zwHigh))
  }

  /// Adds `count` pixels, `stride` bytes apart.
  @inline(__always) mutating func add(_ first: UnsafePointer<Int8>, _ count: Int, _ stride: Int, _ mask: UInt64) {
    var p = first
    var left = count
    while left >= 4 {
      add(
        channels(p, mask), channels(p + stride, mask), channels(p + 2 &* stride, mask), channels(p + 3 &* stride, mask))
      p += 4 &* stride
      left &-= 4
    }
    if left == 0 { return }
    let zero = qk512_zero()
    add(
      channels(p, mask), left > 1 ? channels(p + stride, mask) : zero,
      left > 2 ? channels(p + 2 &* stride, mask) : zero, zero)
  }

  /// The sums over a whole window.
  @inline(__always) init(_ args: qk_pool_args, _ channel: Int, _ mask: UInt64) {
    self.init()
    let rows = Int(args.rowCount), columns = Int(args.columnCount), stride = Int(args.columnStride)
    // Rows that follow one another are one long row.
    var row = 0
    while row < rows {
      let first = args.rows[row].unsafelyUnwrapped
      var next = row &+ 1
      while next < rows, args.rows[next].unsafelyUnwrapped == first + (next &- row) &* columns &* stride { next &+= 1 }
      add(first + channel, (next &- row) &* columns, stride, mask)
      row = next
    }
  }
}

/// 64 channels of a pixel, 0 where the mask has a 0.
@inline(__always)
private func channels(_ p: UnsafePointer<Int8>, _ mask: UInt64) -> __m512i {
  qk512_load_masked(qk512_zero(), mask, p, 0)
}

/// The lanes that hold channels, `left` at most.
@inline(__always)
private func laneMask(_ left: Int) -> UInt64 {
  UInt64.max &>> UInt64(truncatingIfNeeded: 64 &- min(left, 64))
}

func windowSum(_ args: UnsafePointer<qk_pool_args>) {
  let args = args.pointee
  let count = Int(args.channelCount)
  var channel = 0
  while channel < count {
    let sums = ChannelSums(args, channel, laneMask(count &- channel))
    var quarters = InlineArray<16, __m128i>(repeating: qk128_set1_8(0))
    withUnsafeMutablePointer(to: &quarters) { memory in
      let p = UnsafeMutableRawPointer(memory)
      store(sums.a, p)
      store(sums.b, p + 16)
      store(sums.c, p + 32)
      store(sums.d, p + 48)
      UnsafeMutableRawPointer(args.sums + channel).copyMemory(from: p, byteCount: min(count &- channel, 64) &* 4)
    }
    channel &+= 64
  }
}

/// The quarters of a register, 64 bytes apart.
@inline(__always)
private func store(_ x: __m512i, _ p: UnsafeMutableRawPointer) {
  qk512_store_quarter0(p, x)
  qk512_store_quarter1(p + 64, x)
  qk512_store_quarter2(p + 128, x)
  qk512_store_quarter3(p + 192, x)
}

/// Division of magnitudes below 2^30 by one divisor, through the reciprocal M = ceil(2^k / d), k = 31 + floor(log2 d):
/// M < 2^32 and n · (M·d − 2^k) < 2^30 · d < 2^k, so that n·M >> k is exact.
private struct Divider {
  let reciprocal: __m512i
  let shift: Int32
  let half: __m512i

  @inline(__always) init(_ divisor: Int32) {
    shift = 62 &- Int32(truncatingIfNeeded: divisor.leadingZeroBitCount)
    let ceiling = ((1 &<< Int64(shift)) &+ Int64(divisor) &- 1) / Int64(divisor)
    reciprocal = qk512_set1_64(ceiling)
    half = qk512_set1(divisor / 2)
  }

  /// The quotients, rounded to nearest, ties away from zero.
  @inline(__always) func quotients(_ sums: __m512i) -> __m512i {
    let sign = qk512_sign(sums)
    let magnitude = qk512_add(qk512_sub(qk512_xor(sums, sign), sign), half)
    let quotient = qk512_high_quotient(magnitude, reciprocal, shift)
    return qk512_sub(qk512_xor(quotient, sign), sign)
  }
}

func averagePool(_ args: UnsafePointer<qk_pool_args>) {
  // Sums up to 2^27 and half of a divisor up to 2^29.
  guard Int(args.pointee.rowCount) &* Int(args.pointee.columnCount) <= 1 << 20, args.pointee.divisor < 1 << 29 else {
    averagePoolTemplate(args)
    return
  }
  let args = args.pointee
  let count = Int(args.channelCount)
  let divider = Divider(args.divisor)
  let low = qk512_set1_8(Int8(truncatingIfNeeded: args.outputMin))
  let high = qk512_set1_8(Int8(truncatingIfNeeded: args.outputMax))
  var channel = 0
  while channel < count {
    let mask = laneMask(count &- channel)
    let sums = ChannelSums(args, channel, mask)
    let ab = qk512_packs32(divider.quotients(sums.a), divider.quotients(sums.b))
    let cd = qk512_packs32(divider.quotients(sums.c), divider.quotients(sums.d))
    qk512_store_masked(args.output + channel, mask, qk512_clamp8(qk512_packs16(ab, cd), low, high))
    channel &+= 64
  }
}

func maxPool(_ args: UnsafePointer<qk_pool_args>) {
  let args = args.pointee
  let count = Int(args.channelCount)
  let low = qk512_set1_8(Int8(truncatingIfNeeded: args.outputMin))
  let high = qk512_set1_8(Int8(truncatingIfNeeded: args.outputMax))
  var channel = 0
  while channel < count {
    let mask = laneMask(count &- channel)
    var best = low
    for row in 0..<Int(args.rowCount) {
      var p = args.rows[row].unsafelyUnwrapped + channel
      for _ in 0..<Int(args.columnCount) {
        best = qk512_max8(best, channels(p, mask))
        p += Int(args.columnStride)
      }
    }
    qk512_store_masked(args.output + channel, mask, qk512_clamp8(best, low, high))
    channel &+= 64
  }
}
