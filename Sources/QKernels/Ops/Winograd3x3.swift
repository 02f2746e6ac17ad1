import QKernelsIntrinsics

/// The convolutions that a set computes by Winograd's minimal filtering if it is given workspace: the transformed weights,
/// then the primitive's scratch.
enum Winograd3x3 {
  /// Bytes of transformed weights of a layer. They are read once for every group of tiles: up to here a third-level cache
  /// gives them as fast as they are used.
  private static var weightLimit: Int { 5 << 20 }

  /// Bytes of workspace for a verified convolution; 0 if the set, the geometry or the values of the weights exclude it.
  static func workspaceByteCount(_ view: StepView, _ inner: InnerKernels) -> Int {
    let params = view.params(Conv2DParams.self).pointee
    let window = params.geometry.window
    let channels = view.input(0).pointee.dimension(3), output = view.output(0).pointee
    guard inner.hasWinograd3x3, params.geometry.groups == 1, window.kernelHeight == 3, window.kernelWidth == 3,
      window.strideHeight == 1, window.strideWidth == 1, window.dilationHeight == 1, window.dilationWidth == 1,
      channels % 16 == 0, channels <= 512, output.dimension(3) <= 512
    else { return 0 }
    let weightBytes = WeightTransform.byteCount(channels: channels, outputs: output.dimension(3))
    guard weightBytes <= weightLimit, gains(output), isExact(view, params, channels, output.dimension(3)) else {
      return 0
    }
    return weightBytes &+ qk_winograd3x3_scratch_size(channels, output.dimension(3))
  }

  /// Whether the groups of four tiles of 4 x 4 outputs are filled well enough. The bound is that of AVX-512, where full
  /// groups take half the instructions of the direct form's products; a quarter elsewhere.
  private static func gains(_ output: TensorRecord) -> Bool {
    let height = output.dimension(1), width = output.dimension(2)
    guard height <= 1 << 14, width <= 1 << 14 else { return false }
    let groups = ((height &+ 3) / 4 &* ((width &+ 3) / 4) &+ 3) / 4
    return height &* width >= 48 &* groups
  }

  /// Whether all sums lie within 2^25, so that 64 times a sum comes back from arithmetic modulo 2^32, and all scales shift
  /// right.
  private static func isExact(_ view: StepView, _ params: Conv2DParams, _ channels: Int, _ outputs: Int) -> Bool {
    let q = params.quantization
    let bias = view.model.constant(q.bias).assumingMemoryBound(to: Int32.self)
    let multiplier = view.model.constant(q.multiplier).assumingMemoryBound(to: Int32.self)
    let shift = view.model.constant(q.shift).assumingMemoryBound(to: Int32.self)
    let weights = WeightTransform(view, params, channels)
    for o in 0..<outputs {
      let (sum, overflow) = bias[o].magnitude.addingReportingOverflow(weights.magnitude(o) &* 128)
      if overflow || sum >= 1 << 25 || (multiplier[o] != 0 && shift[o] >= 0) { return false }
    }
    return true
  }

  /// Prepares the workspace of a step for which ``workspaceByteCount(_:_:)`` is not 0.
  static func fillWorkspace(_ view: StepView, _ workspace: UnsafeMutableRawPointer) {
    let params = view.params(Conv2DParams.self).pointee
    WeightTransform(view, params, view.input(0).pointee.dimension(3)).write(
      to: workspace, outputs: view.output(0).pointee.dimension(3))
  }

  /// Runs a step with the workspace that was prepared for it.
  static func run(_ context: StepContext, _ params: Conv2DParams, _ workspace: UnsafeMutableRawPointer) {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    let channels = input.dimension(3), outputs = output.dimension(3)
    let window = params.geometry.window
    var args = qk_winograd3x3_args(
      input: context.input(0, as: Int8.self), height: Int32(truncatingIfNeeded: input.dimension(1)),
      width: Int32(truncatingIfNeeded: input.dimension(2)), channelCount: Int32(truncatingIfNeeded: channels),
      padTop: window.padTop, padLeft: window.padLeft, outputHeight: Int32(truncatingIfNeeded: output.dimension(1)),
      outputWidth: Int32(truncatingIfNeeded: output.dimension(2)), inputZeroPoint: input.zeroPoint,
      weights: workspace.assumingMemoryBound(to: Int16.self), quantization: params.quantization.resolved(context),
      output: context.output(0, as: Int8.self), outputChannelCount: Int32(truncatingIfNeeded: outputs),
      scratch: workspace + WeightTransform.byteCount(channels: channels, outputs: outputs))
    var image = 0
    while image < input.dimension(0) {
      context.inner.winograd3x3(&args)
      args.input += input.dimension(1) &* input.dimension(2) &* channels
      args.output += output.dimension(1) &* output.dimension(2) &* outputs
      image &+= 1
    }
  }
}

/// The packed weights of a 3 x 3 convolution of one group, see ``Conv2DParams``, and their transformed form, see
/// inner_kernels.h.
private struct WeightTransform {
  private let packed: UnsafePointer<Int8>
  private let channels: Int

  init(_ view: StepView, _ params: Conv2DParams, _ channels: Int) {
    packed = view.model.constant(params.quantization.weights).assumingMemoryBound(to: Int8.self)
    self.channels = channels
  }

  /// Bytes of transformed weights.
  static func byteCount(channels: Int, outputs: Int) -> Int {
    roundedUp(outputs, toMultipleOf: 16) &* channels &* 36 &* 2
  }

  /// Bytes of packed weights of a block of 16 output channels.
  private var blockByteCount: Int { 9 &* channels &* 16 }

  /// The sum of the magnitudes of the weights of output channel `o`: at most 9 · 512 of them, see `workspaceByteCount`.
  func magnitude(_ o: Int) -> UInt32 {
    let block = packed + (o / 16 &* blockByteCount &+ o % 16 &* 4)
    var sum: UInt32 = 0
    for group in stride(from: 0, to: blockByteCount, by: 64) {
      for k in 0..<4 { sum = sum &+ UInt32(block[group &+ k].magnitude) }
    }
    return sum
  }

  /// Writes G w G' for every pair of channels.
  func write(to target: UnsafeMutableRawPointer, outputs: Int) {
    var place = target
    for block in 0..<((outputs &+ 15) / 16) {
      // Column j of all pairs follows column j - 1 of all pairs.
      for pair in 0..<(channels / 2) {
        let (a0, a1, a2) = row(block, 0, pair), (b0, b1, b2) = row(block, 1, pair), (c0, c1, c2) = row(block, 2, pair)
        for j in 0..<6 {
          let a = Self.transformed(a0, a1, a2, j), b = Self.transformed(b0, b1, b2, j)
          let c = Self.transformed(c0, c1, c2, j)
          for i in 0..<6 {
            (place + ((j &* (channels / 2) &+ pair) &* 6 &+ i) &* 64).storeBytes(
              of: Self.transformed(a, b, c, i), as: Lanes.self)
          }
        }
      }
      place += 36 &* channels &* 32
    }
  }

  /// A value for each of 16 output channels and 2 input channels.
  private typealias Lanes = SIMD32<Int16>

  /// The weights of window row `y` for a pair of input channels.
  private func row(_ block: Int, _ y: Int, _ pair: Int) -> (Lanes, Lanes, Lanes) {
    (tap(block, 3 &* y, pair), tap(block, 3 &* y &+ 1, pair), tap(block, 3 &* y &+ 2, pair))
  }

  private func tap(_ block: Int, _ tap: Int, _ pair: Int) -> Lanes {
    let index = tap &* channels &+ 2 &* pair
    let weights = packed + (block &* blockByteCount &+ index / 4 &* 64 &+ index % 4)
    var lanes = Lanes()
    for o in 0..<16 {
      lanes[2 &* o] = Int16(weights[4 &* o])
      lanes[2 &* o &+ 1] = Int16(weights[4 &* o &+ 1])
    }
    return lanes
  }

  /// Row `i` of G = [6 0 0; 1 1 1; 1 -1 1; 1 2 4; 1 -2 4; 0 0 6] times three values.
  @inline(__always)
  private static func transformed(_ x: Lanes, _ y: Lanes, _ z: Lanes, _ i: Int) -> Lanes {
    switch i {
    case 0: x &* 6
    case 1: x &+ z &+ y
    case 2: x &+ z &- y
    case 3: x &+ z &* 4 &+ y &* 2
    case 4: x &+ z &* 4 &- y &* 2
    default: z &* 6
    }
  }
}
