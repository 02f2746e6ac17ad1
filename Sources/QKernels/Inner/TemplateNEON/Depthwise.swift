import QKernelsIntrinsics

// The depthwise primitive of the NEON sets, compiled once per set over that set's Vec: one channel block at a time, pixel
// after pixel.

/// One channel block.
struct DepthwiseBlock {
  let args: qk_depthwise_args
  let channel: Int
  let weights: UnsafePointer<Int8>
  let count: Int

  /// Requantizes a pixel and stores the channels that exist.
  @inline(__always)
  private func store<Path: RequantizationPath>(
    _ requantizer: Vec.Requantizer, _ sum: LanesNEON, _: Path.Type, _ output: UnsafeMutablePointer<Int8>
  ) {
    let bytes = requantizer.bytes(sum, Path.self)
    if count >= 16 { qkn_store8(output, bytes) } else { qkn_store8_first(output, bytes, count) }
  }

  /// Nine taps that all pixels share, plainly requantized: pointers and weights stay in registers.
  @inline(__always)
  func nineTaps<Path: RequantizationPath>(_: Path.Type, isWhole: Bool) {
    let t = args.taps.unsafelyUnwrapped
    let p0 = t[0].unsafelyUnwrapped, p1 = t[1].unsafelyUnwrapped, p2 = t[2].unsafelyUnwrapped
    let p3 = t[3].unsafelyUnwrapped, p4 = t[4].unsafelyUnwrapped, p5 = t[5].unsafelyUnwrapped
    let p6 = t[6].unsafelyUnwrapped, p7 = t[7].unsafelyUnwrapped, p8 = t[8].unsafelyUnwrapped
    let first = Vec.fourTaps(weights), second = Vec.fourTaps(weights + 64)
    let last = qkn_load_every4th(weights + 128)
    var bias = UnsafeRawPointer(args.quantization.bias + channel)
    let requantizer = Vec.Requantizer(args.quantization, channel)
    var offset = channel
    var output = args.output + channel
    for _ in 0..<Int(args.pixelCount) {
      // The registers do not suffice for the biases as well.
      bias = qkn_opaque(bias)
      var sum = Vec.plus(LanesNEON(loading: bias), qkn_load8(p8 + offset), last)
      sum = Vec.plus(
        sum, qkn_load8(p0 + offset), qkn_load8(p1 + offset), qkn_load8(p2 + offset), qkn_load8(p3 + offset), first)
      sum = Vec.plus(
        sum, qkn_load8(p4 + offset), qkn_load8(p5 + offset), qkn_load8(p6 + offset), qkn_load8(p7 + offset), second)
      let bytes = requantizer.bytes(sum, Path.self)
      if isWhole { qkn_store8(output, bytes) } else { qkn_store8_first(output, bytes, count) }
      offset = qkn_single(offset &+ Int(args.pixelStride))
      output += Int(args.outputStride)
    }
  }

  /// Any number of taps.
  @inline(__always)
  func anyTaps<Path: RequantizationPath>(_: Path.Type) {
    let requantizer = Vec.Requantizer(args.quantization, channel)
    let tapCount = Int(args.tapCount)
    var taps = args.taps.unsafelyUnwrapped
    var offset = channel
    var output = args.output + channel
    for _ in 0..<Int(args.pixelCount) {
      var sum = LanesNEON(loading: args.quantization.bias + channel)
      var w = weights
      var t = 0
      while tapCount &- t >= 4 {
        sum = Vec.plus(
          sum, tap(taps, t, offset), tap(taps, t &+ 1, offset), tap(taps, t &+ 2, offset), tap(taps, t &+ 3, offset),
          Vec.fourTaps(w))
        w += 64
        t &+= 4
      }
      if tapCount &- t == 1 {
        sum = Vec.plus(sum, tap(taps, t, offset), qkn_load_every4th(w))
      } else if tapCount &- t > 1 {
        // A tap past the end has weight 0, so any one serves.
        let last = tap(taps, tapCount &- 1, offset)
        sum = Vec.plus(sum, tap(taps, t, offset), tap(taps, t &+ 1, offset), last, last, Vec.fourTaps(w))
      }
      store(requantizer, sum, Path.self, output)
      taps += Int(args.pointerStride)
      offset &+= Int(args.pixelStride)
      output += Int(args.outputStride)
    }
  }

  /// All pixels, plain or rectified.
  @inline(__always)
  func run<Path: RequantizationPath>(_: Path.Type) {
    if args.pointerStride != 0 || args.tapCount != 9 {
      anyTaps(Path.self)
    } else if count >= 16 {
      nineTaps(Path.self, isWhole: true)
    } else {
      nineTaps(Path.self, isWhole: false)
    }
  }

  @inline(__always)
  private func tap(_ taps: UnsafePointer<UnsafePointer<Int8>?>, _ index: Int, _ offset: Int) -> int8x16_t {
    qkn_load8(taps[index].unsafelyUnwrapped + offset)
  }
}

extension Vec {
  /// Adds one tap of 16 channels.
  @inline(__always)
  static func plus(_ s: LanesNEON, _ x: int8x16_t, _ weights: int8x16_t) -> LanesNEON {
    let low = qkn_mul_low8(x, weights), high = qkn_mul_high8(x, weights)
    return LanesNEON(
      qkn_add_low16(s.a, low), qkn_add_high16(s.b, low), qkn_add_low16(s.c, high), qkn_add_high16(s.d, high))
  }
}

/// The whole primitive.
@inline(__always)
func depthwiseNEON(_ args: UnsafePointer<qk_depthwise_args>) {
  let a = args.pointee
  let blockBytes = (Int(a.tapCount) &+ 3) / 4 &* 64
  let channels = Int(a.channelCount)
  var weights = a.weights.unsafelyUnwrapped
  var channel = 0
  while channel < channels {
    let block = DepthwiseBlock(args: a, channel: channel, weights: weights, count: channels &- channel)
    switch Vec.Requantizer.path8(a.quantization, channel) {
    case .rectified: block.run(Rectified.self)
    case .plain: block.run(Plain.self)
    case .general: block.anyTaps(General.self)
    }
    weights += blockBytes
    channel &+= 16
  }
}
