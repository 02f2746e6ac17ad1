import QKernelsIntrinsics

// Matmul of one pixel: a dense layer, as fast as its weights arrive. Every weight serves one product, so what counts is
// that loads never wait. Those of the next layer start while the last ones of this layer are on their way, if the
// instructions in between fit in the processor's window: the plain case is a small function that leaves the rest to
// another one, and no constants are computed ahead, for they would serve once.

/// The sums of four channel blocks.
private struct FourBlocks {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i
}

/// The arguments of a call.
private struct DenseLoop {
  /// Whether the biases are the start values of the sums already.
  let isPrepared: Bool
  let args: UnsafePointer<qk_matmul_args>
  let rows: UnsafePointer<UnsafePointer<Int8>?>
  let rowCount: Int
  let rowGroups: Int
  /// Bytes of packed weights per channel block.
  let blockBytes: Int
  /// What makes the input unsigned: 0 if it is already.
  let flip: __m512i

  @inline(__always) init(_ args: UnsafePointer<qk_matmul_args>, isPrepared: Bool = false) {
    self.isPrepared = isPrepared
    self.args = args
    rows = args.pointee.rows
    rowCount = Int(args.pointee.rowCount)
    rowGroups = Int(args.pointee.rowGroups)
    blockBytes = rowCount &* rowGroups &* 64
    flip = qk512_set1(args.pointee.flipped != 0 ? 0 : Int32(bitPattern: 0x8080_8080))
  }

  /// The start value of the 16 sums `offset` channels behind `channel`.
  @inline(__always) private func start(_ channel: Int, _ offset: Int = 0) -> __m512i {
    let bias = args.pointee.quantization.bias + channel
    if isPrepared { return qk512_load(bias + offset) }
    let sums = args.pointee.quantization.weightSums + channel
    return qk512_sub(qk512_load(bias + offset), qk512_shift_left(qk512_load(sums + offset), 7))
  }

  /// The sums of the four blocks whose weights start at `weights`: four registers, which keep the dot products busy.
  @inline(__always)
  func four(_ channel: Int, _ weights: UnsafePointer<Int8>) -> FourBlocks {
    var sums = FourBlocks(a: start(channel), b: start(channel, 16), c: start(channel, 32), d: start(channel, 48))
    var w = weights
    let second = blockBytes, third = 2 &* blockBytes, fourth = 3 &* blockBytes
    var row = 0
    repeat {
      var x = rows[row].unsafelyUnwrapped
      let end = x + 4 &* rowGroups
      repeat {
        let input = qk512_flipped4(x, flip)
        sums.a = qk512_dpbusd(sums.a, input, qk512_load(w))
        sums.b = qk512_dpbusd(sums.b, input, qk512_load(w + second))
        sums.c = qk512_dpbusd(sums.c, input, qk512_load(w + third))
        sums.d = qk512_dpbusd(sums.d, input, qk512_load(w + fourth))
        w += 64
        x += 4
      } while x != end
      row &+= 1
    } while row < rowCount
    return sums
  }

  /// The sums of one block. The reduction is spread over four registers, because each waits for its last product.
  @inline(__always)
  func one(_ channel: Int, _ weights: UnsafePointer<Int8>) -> __m512i {
    var sums = FourBlocks(a: start(channel), b: qk512_zero(), c: qk512_zero(), d: qk512_zero())
    var w = weights
    var row = 0
    repeat {
      var x = rows[row].unsafelyUnwrapped
      var left = rowGroups
      while left >= 4 {
        sums.a = qk512_dpbusd(sums.a, qk512_flipped4(x, flip), qk512_load(w))
        sums.b = qk512_dpbusd(sums.b, qk512_flipped4(x + 4, flip), qk512_load(w + 64))
        sums.c = qk512_dpbusd(sums.c, qk512_flipped4(x + 8, flip), qk512_load(w + 128))
        sums.d = qk512_dpbusd(sums.d, qk512_flipped4(x + 12, flip), qk512_load(w + 192))
        w += 256
        x += 16
        left &-= 4
      }
      while left > 0 {
        sums.a = qk512_dpbusd(sums.a, qk512_flipped4(x, flip), qk512_load(w))
        w += 64
        x += 4
        left &-= 1
      }
      row &+= 1
    } while row < rowCount
    return qk512_add(qk512_add(sums.a, sums.b), qk512_add(sums.c, sums.d))
  }
}

/// How the sums of a channel block are requantized if all its scales shift right and none is 0.
private struct PlainScales {
  /// Twice the multiplier, of which 2^32 are missing.
  let doubled: __m512i
  /// The right shift less one.
  let right: __m512i

  @inline(__always) init(_ multiplier: UnsafePointer<Int32>, _ shift: UnsafePointer<Int32>) {
    doubled = qk512_shift_left(qk512_load(multiplier), 1)
    right = qk512_complement(qk512_load(shift))
  }

  /// The same scale for all channels.
  @inline(__always) init(one q: qk_channel_quantization) {
    doubled = qk512_set1(q.multiplier[0] &<< 1)
    right = qk512_set1(~q.shift[0])
  }

  /// Negative in lanes of other scales.
  @inline(__always) var others: __m512i { qk512_or(right, qk512_complement(doubled)) }

  /// 16 outputs times 2, rounded down, before zero point and clamp. The high multiply is the upper half of
  /// sum × doubled + 2^31, and the sum for the missing 2^32; the divide by 2^e is ((x >> (e − 1)) + 1) >> 1, where x is
  /// less by 1 if it is negative.
  @inline(__always) func outputs(_ sums: __m512i) -> __m512i {
    let half = qk512_set1_64(1 << 31)
    let even = qk512_add64(qk512_mul_even(sums, doubled), half)
    let odd = qk512_add64(qk512_mul_even(qk512_odd(sums), qk512_odd(doubled)), half)
    let biased = qk512_add(sums, qk512_sign(sums))
    return qk512_shift_right_each(qk512_add(qk512_join_upper(even, odd), biased), right)
  }
}

/// The scales of four blocks.
private struct FourScales {
  let a: PlainScales, b: PlainScales, c: PlainScales, d: PlainScales

  @inline(__always) init(_ q: qk_channel_quantization, _ channel: Int) {
    let multiplier = q.multiplier.unsafelyUnwrapped + channel, shift = q.shift.unsafelyUnwrapped + channel
    a = PlainScales(multiplier, shift)
    b = PlainScales(multiplier + 16, shift + 16)
    c = PlainScales(multiplier + 32, shift + 32)
    d = PlainScales(multiplier + 48, shift + 48)
  }

  @inline(__always) init(one q: qk_channel_quantization) {
    a = PlainScales(one: q)
    b = a
    c = a
    d = a
  }

  @inline(__always) var arePlain: Bool {
    qk512_any_negative(qk512_or(qk512_or(a.others, b.others), qk512_or(c.others, d.others))) == 0
  }

  /// 64 int8 outputs.
  @inline(__always) func bytes(_ sums: FourBlocks, _ q: qk_channel_quantization) -> __m512i {
    // Saturation at 16 bits cuts off what is beyond every int8 clamp.
    let z = qk512_set1_16(Int16(truncatingIfNeeded: 2 &* q.outputZeroPoint &+ 1))
    let ab = qk512_adds16(qk512_packs32(a.outputs(sums.a), b.outputs(sums.b)), z)
    let cd = qk512_adds16(qk512_packs32(c.outputs(sums.c), d.outputs(sums.d)), z)
    return qk512_clamp8(
      qk512_transpose4x4(qk512_packs16(qk512_shift_right16_by1(ab), qk512_shift_right16_by1(cd))),
      qk512_set1_8(Int8(truncatingIfNeeded: q.outputMin)), qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
  }
}

/// Requantizes and stores the outputs of one block.
@inline(__always)
private func store(_ args: UnsafePointer<qk_matmul_args>, _ sums: __m512i, _ channel: Int, outputBytes: Int) {
  let requantizer = Vec.Requantizer(args.pointee.quantization, channel)
  let result = args.pointee.output + channel &* outputBytes
  let count = min(Int(args.pointee.channelCount) &- channel, 16)
  if outputBytes == 1 {
    requantizer.store8(sums, result, count)
  } else {
    requantizer.store16(sums, result, count)
  }
}

/// Requantizes and stores the outputs of four blocks.
@inline(__always)
private func store(_ args: UnsafePointer<qk_matmul_args>, _ sums: FourBlocks, _ channel: Int, outputBytes: Int) {
  store(args, sums.a, channel, outputBytes: outputBytes)
  store(args, sums.b, channel &+ 16, outputBytes: outputBytes)
  store(args, sums.c, channel &+ 32, outputBytes: outputBytes)
  store(args, sums.d, channel &+ 48, outputBytes: outputBytes)
}

/// The channels from `first` on, which starts a block, whatever their scales.
@inline(__always)
private func denseOfAnyScales(_ args: UnsafePointer<qk_matmul_args>, _ first: Int, outputBytes: Int) {
  let loop = DenseLoop(args)
  let end = Int(args.pointee.channelCount)
  var channel = first
  var weights = args.pointee.weights + first / 16 &* loop.blockBytes
  while end &- channel > 48 {
    let sums = loop.four(channel, weights)
    store(args, sums, channel, outputBytes: outputBytes)
    channel &+= 64
    weights += 4 &* loop.blockBytes
  }
  while channel < end {
    store(args, loop.one(channel, weights), channel, outputBytes: outputBytes)
    channel &+= 16
    weights += loop.blockBytes
  }
}

@inline(never)
private func denseRest(_ args: UnsafePointer<qk_matmul_args>, _ first: Int) {
  denseOfAnyScales(args, first, outputBytes: 1)
}

/// Matmul of one pixel.
@inline(__always)
func dense(_ args: UnsafePointer<qk_matmul_args>) {
  let end = Int(args.pointee.channelCount)
  var channel = 0
  if end >= 64 {
    let loop = DenseLoop(args)
    var weights = args.pointee.weights.unsafelyUnwrapped
    repeat {
      let sums = loop.four(channel, weights)
      let scales = FourScales(args.pointee.quantization, channel)
      if scales.arePlain {
        qk512_store(args.pointee.output + channel, scales.bytes(sums, args.pointee.quantization))
      } else {
        store(args, sums, channel, outputBytes: 1)
      }
      channel &+= 64
      weights += 4 &* loop.blockBytes
    } while end &- channel >= 64
    if channel == end { return }
  }
  denseRest(args, channel)
}

/// Matmul16 of one pixel.
@inline(__always)
func dense16(_ args: UnsafePointer<qk_matmul_args>) { denseOfAnyScales(args, 0, outputBytes: 2) }

/// Matmul of one pixel whose channels share a scale that shifts right, with prepared start values.
@inline(__always)
func denseOfOneScale(_ args: UnsafePointer<qk_matmul_args>) {
  let q = args.pointee.quantization
  let loop = DenseLoop(args, isPrepared: true)
  let end = Int(args.pointee.channelCount)
  var channel = 0
  var weights = args.pointee.weights.unsafelyUnwrapped
  while end &- channel >= 64 {
    let sums = loop.four(channel, weights)
    qk512_store(args.pointee.output + channel, FourScales(one: q).bytes(sums, q))
    channel &+= 64
    weights += 4 &* loop.blockBytes
  }
  while channel < end {
    let doubled = PlainScales(one: q).outputs(loop.one(channel, weights))
    let z = qk512_set1(2 &* q.outputZeroPoint &+ 1)
    let bytes = qk128_clamp8(
      qk512_saturate8(qk512_shift_right_by1(qk512_add(doubled, z))),
      qk128_set1_8(Int8(truncatingIfNeeded: q.outputMin)), qk128_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
    qk128_store_first(args.pointee.output + channel, bytes, Int32(truncatingIfNeeded: min(end &- channel, 16)))
    channel &+= 16
    weights += loop.blockBytes
  }
}
