import QKernelsIntrinsics

// Matmul of one pixel: a dense layer, as fast as its weights arrive. Every weight serves one product, so what counts is
// that loads never wait: the loads of the next blocks and of the next layer start while the sums of these are requantized,
// as far as the instructions in between fit in the processor's window. Therefore there are few of them, and no constants
// are computed ahead, for they would serve once.

/// The sums of four channel blocks.
private struct FourBlocks {
  var a: __m512i, b: __m512i, c: __m512i, d: __m512i
}

/// The arguments of a call.
private struct DenseLoop {
  let args: UnsafePointer<qk_matmul_args>
  let rows: UnsafePointer<UnsafePointer<Int8>?>
  let rowCount: Int
  let rowGroups: Int
  /// Bytes of packed weights per channel block.
  let blockBytes: Int
  /// What makes the input unsigned: 0 if it is already.
  let flip: __m512i

  @inline(__always) init(_ args: UnsafePointer<qk_matmul_args>) {
    self.args = args
    rows = args.pointee.rows
    rowCount = Int(args.pointee.rowCount)
    rowGroups = Int(args.pointee.rowGroups)
    blockBytes = rowCount &* rowGroups &* 64
    flip = qk512_set1(args.pointee.flipped != 0 ? 0 : Int32(bitPattern: 0x8080_8080))
  }

  /// The start value of the 16 sums `offset` channels behind `channel`.
  @inline(__always) private func start(_ channel: Int, _ offset: Int = 0) -> __m512i {
    let bias = args.pointee.quantization.bias + channel, sums = args.pointee.quantization.weightSums + channel
    return qk512_sub(qk512_load(bias + offset), qk512_shift_left(qk512_load(sums + offset), 7))
  }

  /// The sums of blocks `block ..< block + 4`: four registers, which keep the dot products busy.
  @inline(__always)
  func four(_ block: Int) -> FourBlocks {
    let channel = 16 &* block
    var sums = FourBlocks(a: start(channel), b: start(channel, 16), c: start(channel, 32), d: start(channel, 48))
    var w = args.pointee.weights + block &* blockBytes
    let second = blockBytes, third = 2 &* blockBytes, fourth = 3 &* blockBytes
    var row = 0
    repeat {
      var x = rows[row].unsafelyUnwrapped
      var left = rowGroups
      repeat {
        let input = qk512_flipped4(x, flip)
        sums.a = qk512_dpbusd(sums.a, input, qk512_load(w))
        sums.b = qk512_dpbusd(sums.b, input, qk512_load(w + second))
        sums.c = qk512_dpbusd(sums.c, input, qk512_load(w + third))
        sums.d = qk512_dpbusd(sums.d, input, qk512_load(w + fourth))
        w += 64
        x += 4
        left &-= 1
      } while left > 0
      row &+= 1
    } while row < rowCount
    return sums
  }

  /// The sums of one block. The reduction is spread over four registers, because each waits for its last product.
  @inline(__always)
  func one(_ block: Int) -> __m512i {
    var sums = FourBlocks(a: start(16 &* block), b: qk512_zero(), c: qk512_zero(), d: qk512_zero())
    var w = args.pointee.weights + block &* blockBytes
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

/// 16 outputs times 2, rounded down, before zero point and clamp, of lanes that shift right: the divide by 2^e is
/// ((x >> (e − 1)) + 1) >> 1, where x is less by 1 if it is negative.
@inline(__always)
private func doubled(_ sums: __m512i, _ multiplier: __m512i, _ shift: __m512i) -> __m512i {
  let r = qk512_high_multiply(sums, multiplier, qk512_odd(multiplier))
  return qk512_shift_right_each(qk512_add(r, qk512_sign(r)), qk512_complement(shift))
}

/// Requantizes and stores the int8 outputs of four blocks. Returns false, with nothing stored, if not all scales shift
/// right.
@inline(__always)
private func storePlain(_ args: UnsafePointer<qk_matmul_args>, _ sums: FourBlocks, _ channel: Int) -> Bool {
  let q = args.pointee.quantization
  let multiplier = q.multiplier.unsafelyUnwrapped + channel, shift = q.shift.unsafelyUnwrapped + channel
  let m0 = qk512_load(multiplier), m1 = qk512_load(multiplier + 16)
  let m2 = qk512_load(multiplier + 32), m3 = qk512_load(multiplier + 48)
  let s0 = qk512_load(shift), s1 = qk512_load(shift + 16), s2 = qk512_load(shift + 32), s3 = qk512_load(shift + 48)
  let others = qk512_or(
    qk512_or(qk512_not_right(s0, m0), qk512_not_right(s1, m1)),
    qk512_or(qk512_not_right(s2, m2), qk512_not_right(s3, m3)))
  if qk512_all_zero(others) == 0 { return false }
  // Saturation at 16 bits cuts off what is beyond every int8 clamp.
  let z = qk512_set1_16(Int16(truncatingIfNeeded: 2 &* q.outputZeroPoint &+ 1))
  let ab = qk512_adds16(qk512_packs32(doubled(sums.a, m0, s0), doubled(sums.b, m1, s1)), z)
  let cd = qk512_adds16(qk512_packs32(doubled(sums.c, m2, s2), doubled(sums.d, m3, s3)), z)
  let bytes = qk512_clamp8(
    qk512_transpose4x4(qk512_packs16(qk512_shift_right16_by1(ab), qk512_shift_right16_by1(cd))),
    qk512_set1_8(Int8(truncatingIfNeeded: q.outputMin)), qk512_set1_8(Int8(truncatingIfNeeded: q.outputMax)))
  let left = Int(args.pointee.channelCount) &- channel
  if left >= 64 {
    qk512_store(args.pointee.output + channel, bytes)
  } else {
    qk512_store_first8(args.pointee.output + channel, bytes, Int32(truncatingIfNeeded: left))
  }
  return true
}

/// Requantizes and stores the outputs of one block.
@inline(__always)
private func store(_ args: UnsafePointer<qk_matmul_args>, _ sums: __m512i, _ channel: Int, _ outputBytes: Int) {
  let requantizer = Vec.Requantizer(args.pointee.quantization, channel)
  let result = args.pointee.output + channel &* outputBytes
  let count = min(Int(args.pointee.channelCount) &- channel, 16)
  if outputBytes == 1 {
    requantizer.store8(sums, result, count)
  } else {
    requantizer.store16(sums, result, count)
  }
}

/// Requantizes and stores the int8 outputs of four blocks of any scales. The sums come one by one, for a struct of them
/// would be stored before every call, even if it is not made.
@inline(never)
private func storeAny(
  _ args: UnsafePointer<qk_matmul_args>, _ a: __m512i, _ b: __m512i, _ c: __m512i, _ d: __m512i, _ channel: Int
) {
  store(args, a, channel, 1)
  store(args, b, channel &+ 16, 1)
  store(args, c, channel &+ 32, 1)
  store(args, d, channel &+ 48, 1)
}

/// Matmul (one output byte) or matmul16 (two) of one pixel.
@inline(__always)
func dense(_ args: UnsafePointer<qk_matmul_args>, outputBytes: Int) {
  let loop = DenseLoop(args)
  let end = (Int(args.pointee.channelCount) &+ 15) >> 4
  var block = 0
  while end &- block >= 4 {
    let sums = loop.four(block)
    let channel = 16 &* block
    if outputBytes == 1 {
      if !storePlain(args, sums, channel) { storeAny(args, sums.a, sums.b, sums.c, sums.d, channel) }
    } else {
      store(args, sums.a, channel, outputBytes)
      store(args, sums.b, channel &+ 16, outputBytes)
      store(args, sums.c, channel &+ 32, outputBytes)
      store(args, sums.d, channel &+ 48, outputBytes)
    }
    block &+= 4
  }
  while end > block {
    store(args, loop.one(block), 16 &* block, outputBytes)
    block &+= 1
  }
}
