import QKernelsIntrinsics

/// The geometry of a depthwise convolution: window and depth multiplier.
public struct DepthwiseConv2DGeometry: BitwiseCopyable, Sendable, Equatable {
  /// Size, steps and padding of the window.
  public var window: Window2D
  /// Output channels per input channel, M.
  public var depthMultiplier: Int32

  /// All fields at once.
  public init(window: Window2D, depthMultiplier: Int32 = 1) {
    self.window = window
    self.depthMultiplier = depthMultiplier
  }

  func layout(input: TensorRecord, output: TensorRecord, elementSize: Int) -> WindowLayout? {
    WindowLayout(
      window: window, input: input, outputHeight: output.dimension(1), outputWidth: output.dimension(2),
      pointerCount: window.tapCount, channelRepeat: Int(depthMultiplier),
      elementSize: elementSize)
  }

  /// Throws unless geometry and tensors agree and the step's scratch suffices; returns the bytes of packed weights.
  func validate(_ view: StepView, elementSize: Int) throws(Status) -> Int {
    let input = view.input(0), output = view.output(0)
    try view.requireRank4(input)
    try view.requireRank4(output)
    try window.validate()
    let channels = output.pointee.dimension(3)
    guard depthMultiplier > 0, depthMultiplier <= 1 << 15, input.pointee.dimension(0) == output.pointee.dimension(0),
      channels <= 1 << 20, channels % Int(depthMultiplier) == 0,
      input.pointee.dimension(3) == channels / Int(depthMultiplier),
      let layout = layout(input: input.pointee, output: output.pointee, elementSize: elementSize)
    else { throw .badParams }
    try view.requireScratch(layout.scratchByteCount)
    return try checkedProduct((channels + 15) / 16 * 64, (window.tapCount + 3) / 4)
  }

  /// Calls `body` with the output row's number, counted over all images, once the taps of that row are in `taps`.
  @inline(__always)
  func forEachRow<Element: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, _ body: (_ taps: UnsafeMutablePointer<UnsafePointer<Element>?>, _ outputRow: Int) -> Void
  ) {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    guard let layout = layout(input: input, output: output, elementSize: MemoryLayout<Element>.size) else { return }
    let taps = context.scratch.assumingMemoryBound(to: UnsafePointer<Element>?.self)
    let image = context.input(0, as: Element.self)
    let imageElements = input.dimension(1) &* input.dimension(2) &* input.dimension(3)
    let columnStep = Int(window.dilationWidth) &* layout.pixelElements
    var source = WindowRows<Element>(
      window: window, layout: layout, input: input, scratch: context.scratch,
      zeroPoint: Element(truncatingIfNeeded: input.zeroPoint))
    var imageIndex = 0
    while imageIndex < input.dimension(0) {
      source.begin(image: image + imageIndex &* imageElements)
      var y = 0
      while y < output.dimension(1) {
        source.load(outputRow: y)
        var index = 0
        var ky = 0
        while ky < Int(window.kernelHeight) {
          let start = source.row(ky, outputRow: y)
          var kx = 0
          while kx < Int(window.kernelWidth) {
            taps[index] = start + kx &* columnStep
            index &+= 1
            kx &+= 1
          }
          ky &+= 1
        }
        body(taps, imageIndex &* output.dimension(1) &+ y)
        y &+= 1
      }
      imageIndex &+= 1
    }
  }
}

/// Depthwise convolution: every output channel filters one input channel.
///
/// Shapes:       input [N,H,W,C] int8 · weights [1,KH,KW,C·M] int8 · bias [C·M] int32 · output [N,OH,OW,C·M] int8;
///               output channel c·M + m filters input channel c
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel; padding is the input's zero point
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × weights
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      packed [ceil(C·M/16)][ceil(KH·KW/4)][16][4], taps in row-major order, zero in the padding
/// Rounding:     double rounding.  Overflow: the plan compiler bounds each channel's worst case; here it wraps.
/// Scratch:      ``DepthwiseConv2DParams/scratchByteCount(input:output:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, DEPTHWISE_CONV_2D; bit-exact with TensorFlow Lite Micro: yes.
public struct DepthwiseConv2DParams: BitwiseCopyable, Sendable {
  /// Window, groups or depth multiplier.
  public var geometry: DepthwiseConv2DGeometry
  /// Packed weights, biases and requantization.
  public var quantization: ChannelQuantization

  /// All fields at once.
  public init(geometry: DepthwiseConv2DGeometry, quantization: ChannelQuantization) {
    self.geometry = geometry
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs, for tensors of these shapes; nil if a size leaves 31 bits.
  public func scratchByteCount(input: TensorRecord, output: TensorRecord) -> Int? {
    geometry.layout(input: input, output: output, elementSize: 1)?.scratchByteCount
  }
}

enum DepthwiseConv2D: Kernel {
  typealias Params = DepthwiseConv2DParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    let weightBytes = try params.geometry.validate(view, elementSize: 1)
    try params.quantization.validate(
      view, channelCount: view.output(0).pointee.dimension(3), weightByteCount: weightBytes)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let outputRecord = context.view.output(0).pointee
    let channels = outputRecord.dimension(3), width = outputRecord.dimension(2)
    let output = context.output(0, as: Int8.self)
    if run3x3(context, params, output) { return }
    var args = qk_depthwise_args(
      taps: nil, pointerStride: 0, tapCount: params.geometry.window.kernelHeight &* params.geometry.window.kernelWidth,
      pixelStride: params.geometry.window.strideWidth &* Int32(truncatingIfNeeded: channels),
      pixelCount: Int32(truncatingIfNeeded: width), channelCount: Int32(truncatingIfNeeded: channels),
      weights: context.constant(params.quantization.weights, as: Int8.self),
      quantization: params.quantization.resolved(context), output: output,
      outputStride: Int32(truncatingIfNeeded: channels))
    params.geometry.forEachRow(context) { (taps: UnsafeMutablePointer<UnsafePointer<Int8>?>, row: Int) in
      args.taps = UnsafePointer(taps)
      args.output = output + row &* width &* channels
      context.inner.depthwise(&args)
    }
  }

  /// Whole images by a primitive of their own; returns false where it does not apply or the set has none.
  @inline(__always)
  private static func run3x3(_ context: StepContext, _ params: Params, _ output: UnsafeMutablePointer<Int8>) -> Bool {
    let window = params.geometry.window
    let inputRecord = context.view.input(0).pointee, outputRecord = context.view.output(0).pointee
    let channels = outputRecord.dimension(3)
    guard window.kernelHeight == 3, window.kernelWidth == 3, window.dilationHeight == 1, window.dilationWidth == 1,
      params.geometry.depthMultiplier == 1
    else { return false }
    var args = qk_depthwise3x3_args(
      input: context.input(0, as: Int8.self), height: Int32(truncatingIfNeeded: inputRecord.dimension(1)),
      width: Int32(truncatingIfNeeded: inputRecord.dimension(2)), channelCount: Int32(truncatingIfNeeded: channels),
      strideHeight: window.strideHeight, strideWidth: window.strideWidth, padTop: window.padTop,
      padLeft: window.padLeft, outputHeight: Int32(truncatingIfNeeded: outputRecord.dimension(1)),
      outputWidth: Int32(truncatingIfNeeded: outputRecord.dimension(2)), inputZeroPoint: inputRecord.zeroPoint,
      weights: context.constant(params.quantization.weights, as: Int8.self),
      quantization: params.quantization.resolved(context), output: output)
    let inputBytes = inputRecord.dimension(1) &* inputRecord.dimension(2) &* channels
    let outputBytes = outputRecord.dimension(1) &* outputRecord.dimension(2) &* channels
    var image = 0
    while image < inputRecord.dimension(0) {
      if !context.inner.depthwise3x3(&args) { return false }
      args.input += inputBytes
      args.output += outputBytes
      image &+= 1
    }
    return true
  }
}
