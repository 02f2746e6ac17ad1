import QKernelsIntrinsics

/// The geometry of a transposed convolution.
///
/// The output falls into `strideHeight * strideWidth` phases by the remainders of its row and column; inside one phase the
/// layer is an ordinary convolution of stride 1 with some of the taps, and every tap belongs to exactly one phase.
public struct TransposeConv2DGeometry: BitwiseCopyable, Sendable, Equatable {
  /// Kernel, stride, dilation; `padTop` and `padLeft` are what is cropped from the full result.
  public var window: Window2D
  /// Input and output channels fall into this many independent groups.
  public var groups: Int32

  /// All fields at once.
  public init(window: Window2D, groups: Int32 = 1) {
    self.window = window
    self.groups = groups
  }

  /// Phases, row-major by (output row mod strideHeight, output column mod strideWidth).
  public var phaseCount: Int32 { window.strideHeight &* window.strideWidth }

  /// Whether tap (ky, kx) belongs to phase (py, px): whether there it meets whole input pixels.
  @inline(__always)
  public func contains(ky: Int32, kx: Int32, py: Int32, px: Int32) -> Bool {
    (py &+ window.padTop &- ky &* window.dilationHeight) % window.strideHeight == 0
      && (px &+ window.padLeft &- kx &* window.dilationWidth) % window.strideWidth == 0
  }

  /// The window over the input that holds the taps of all phases, steps of one input pixel.
  private var inputWindow: Window2D {
    let (above, height) = Self.reach(window.kernelHeight, window.strideHeight, window.dilationHeight, window.padTop)
    let (before, width) = Self.reach(window.kernelWidth, window.strideWidth, window.dilationWidth, window.padLeft)
    return Window2D(kernelHeight: height, kernelWidth: width, padTop: above, padLeft: before)
  }

  /// Input pixels before an output block's own one that its taps reach, and the extent from there to the last one.
  private static func reach(_ kernel: Int32, _ stride: Int32, _ dilation: Int32, _ cropped: Int32) -> (Int32, Int32) {
    let span = (kernel &- 1) &* dilation &- cropped
    let before = span > 0 ? span / stride : 0
    return (before, before &+ (stride &- 1 &+ cropped) / stride &+ 1)
  }

  func layout(input: TensorRecord, output: TensorRecord, elementSize: Int) -> WindowLayout? {
    let strideHeight = Int(window.strideHeight), strideWidth = Int(window.strideWidth)
    return WindowLayout(
      window: inputWindow, input: input, outputHeight: (output.dimension(1) &+ strideHeight &- 1) / strideHeight,
      outputWidth: (output.dimension(2) &+ strideWidth &- 1) / strideWidth, pointerCount: window.tapCount,
      channelRepeat: 1, elementSize: elementSize)
  }

  /// Throws unless geometry and tensors agree and the step's scratch suffices; returns the bytes of packed weights.
  func validate(_ view: StepView, elementSize: Int) throws(Status) -> Int {
    let input = view.input(0), output = view.output(0)
    try view.requireRank4(input)
    try view.requireRank4(output)
    try window.validate()
    let channels = input.pointee.dimension(3), outputChannels = output.pointee.dimension(3)
    // 4096 * 4096 phases at most, each with whole blocks of channels.
    guard input.pointee.dimension(0) == output.pointee.dimension(0), groups > 0, channels % Int(groups) == 0,
      outputChannels % Int(groups) == 0, window.strideHeight <= 4096, window.strideWidth <= 4096,
      channels <= 1 << 20, outputChannels <= 1 << 20,
      let layout = layout(input: input.pointee, output: output.pointee, elementSize: elementSize)
    else { throw .badParams }
    try view.requireScratch(layout.scratchByteCount)
    let tapBytes = try checkedProduct((channels / Int(groups) + 3) / 4 * 64, Int(groups) * blocks(outputChannels))
    return try checkedProduct(tapBytes, window.tapCount)
  }

  /// Channel blocks per group.
  @inline(__always)
  private func blocks(_ outputChannels: Int) -> Int { (outputChannels / Int(groups) + 15) / 16 }

  /// Calls `body` for every product that makes up the layer, in order.
  @inline(__always)
  func forEachRun<Element: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, _ body: (_ run: Conv2DRun<Element>, _ phase: Int) -> Void
  ) {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    guard let layout = layout(input: input, output: output, elementSize: MemoryLayout<Element>.size) else { return }
    let channels = input.dimension(3), outputChannels = output.dimension(3)
    let outputHeight = output.dimension(1), outputWidth = output.dimension(2)
    let strideHeight = Int(window.strideHeight), strideWidth = Int(window.strideWidth)
    let imageElements = input.dimension(1) &* input.dimension(2) &* channels
    let groupCount = Int(groups)
    let groupInputs = channels / groupCount, groupOutputs = outputChannels / groupCount
    let groupLanes = roundedUp(groupOutputs, toMultipleOf: 16)
    let rows = context.scratch.assumingMemoryBound(to: UnsafePointer<Element>?.self)
    var run = Conv2DRun<Element>(
      rows: rows, rowCount: 0, rowGroups: (groupInputs &+ 3) / 4, pixelStride: channels, pixelCount: 0,
      weightOffset: 0, channelOffset: 0, outputOffset: 0, outputStride: strideWidth &* outputChannels,
      channelCount: groupOutputs)
    let tapBytes = groupLanes &* 4 &* run.rowGroups
    let image = context.input(0, as: Element.self)
    var source = WindowRows<Element>(
      window: inputWindow, layout: layout, input: input, scratch: context.scratch,
      zeroPoint: Element(truncatingIfNeeded: input.zeroPoint))
    var imageIndex = 0
    while imageIndex < input.dimension(0) {
      source.begin(image: image + imageIndex &* imageElements)
      var block = 0
      while block &* strideHeight < outputHeight {
        source.load(outputRow: block)
        var phaseWeights = 0
        var phase = 0
        while phase < strideHeight &* strideWidth {
          let py = phase / strideWidth, px = phase % strideWidth
          let y = block &* strideHeight &+ py
          run.rowCount = setRows(rows, source, block: block, py: py, px: px, channels: channels)
          run.pixelCount = (outputWidth &- px &+ strideWidth &- 1) / strideWidth
          var group = 0
          while y < outputHeight, run.pixelCount > 0, group < groupCount {
            run.weightOffset = phaseWeights &+ group &* tapBytes &* run.rowCount
            run.channelOffset = group &* groupLanes
            run.outputOffset =
              ((imageIndex &* outputHeight &+ y) &* outputWidth &+ px) &* outputChannels &+ group &* groupOutputs
            body(run, phase)
            group &+= 1
            // The next group's channels of the same pixels.
            var row = 0
            while row < run.rowCount {
              rows[row] = rows[row].map { $0 + groupInputs }
              row &+= 1
            }
          }
          phaseWeights &+= tapBytes &* groupCount &* run.rowCount
          phase &+= 1
        }
        block &+= 1
      }
      imageIndex &+= 1
    }
  }

  /// Sets the rows of one phase for group 0 and returns their number.
  @inline(__always)
  private func setRows<Element: FixedWidthInteger & BitwiseCopyable>(
    _ rows: UnsafeMutablePointer<UnsafePointer<Element>?>, _ source: WindowRows<Element>, block: Int, py: Int, px: Int,
    channels: Int
  ) -> Int {
    let inside = inputWindow
    var count = 0
    var ky: Int32 = 0
    while ky < window.kernelHeight {
      let dy = Int32(truncatingIfNeeded: py) &+ window.padTop &- ky &* window.dilationHeight
      if dy % window.strideHeight == 0 {
        let row = source.row(Int(inside.padTop &+ dy / window.strideHeight), outputRow: block)
        var kx: Int32 = 0
        while kx < window.kernelWidth {
          let dx = Int32(truncatingIfNeeded: px) &+ window.padLeft &- kx &* window.dilationWidth
          if dx % window.strideWidth == 0 {
            rows[count] = row + Int(inside.padLeft &+ dx / window.strideWidth) &* channels
            count &+= 1
          }
          kx &+= 1
        }
      }
      ky &+= 1
    }
    return count
  }
}

/// Transposed convolution.
///
/// Shapes:       input [N,H,W,C] int8 · weights [O,KH,KW,C/groups] int8 · bias [O] int32 · output [N,OH,OW,O] int8
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel
/// Computes:     input pixel (y, x) adds input × weights to output pixels
///               (y·strideHeight − padTop + ky·dilationHeight, x·strideWidth − padLeft + kx·dilationWidth);
///               output = clamp(outputZeroPoint + requantize(bias[o] + sum, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      for each phase (row-major, all of them): [groups][ceil(O/groups/16)][taps][ceil(C/groups/4)][16][4], the
///               phase's taps in row-major order (``TransposeConv2DGeometry/contains(ky:kx:py:px:)``), zero in the padding.
///               Bias and sums: [phases][groups][ceil(O/groups/16)·16], each phase folds the zero point of its own taps;
///               multipliers and shifts: [groups][ceil(O/groups/16)·16].
/// Rounding:     double rounding.  Overflow: the plan compiler bounds each channel's worst case; here it wraps.
/// Scratch:      ``TransposeConv2DParams/scratchByteCount(input:output:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, TRANSPOSE_CONV; bit-exact with TensorFlow Lite Micro: yes.
public struct TransposeConv2DParams: BitwiseCopyable, Sendable {
  /// Window, groups or depth multiplier.
  public var geometry: TransposeConv2DGeometry
  /// Packed weights, biases and requantization.
  public var quantization: ChannelQuantization

  /// All fields at once.
  public init(geometry: TransposeConv2DGeometry, quantization: ChannelQuantization) {
    self.geometry = geometry
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs, for tensors of these shapes; nil if a size leaves 31 bits.
  public func scratchByteCount(input: TensorRecord, output: TensorRecord) -> Int? {
    geometry.layout(input: input, output: output, elementSize: 1)?.scratchByteCount
  }
}

enum TransposeConv2D: Kernel {
  typealias Params = TransposeConv2DParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    let weightBytes = try params.geometry.validate(view, elementSize: 1)
    let groups = Int(params.geometry.groups)
    let groupLanes = roundedUp(view.output(0).pointee.dimension(3) / groups, toMultipleOf: 16)
    try params.quantization.validate(
      view, channelCount: groupLanes * groups, weightByteCount: weightBytes, biasRows: Int(params.geometry.phaseCount))
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let weights = context.constant(params.quantization.weights, as: Int8.self)
    let quantization = params.quantization.resolved(context)
    let output = context.output(0, as: Int8.self)
    let groups = Int(params.geometry.groups)
    let lanes = roundedUp(context.view.output(0).pointee.dimension(3) / groups, toMultipleOf: 16) &* groups
    params.geometry.forEachRun(context) { (run: Conv2DRun<Int8>, phase: Int) in
      var channels = quantization.advanced(by: run.channelOffset)
      channels.bias += phase &* lanes
      channels.weightSums += phase &* lanes
      var args = run.matmulArguments(weights: weights, quantization: channels, output: output)
      context.inner.matmul(&args)
    }
  }
}
