import QKernelsIntrinsics

/// The geometry of a convolution: window and groups.
public struct Conv2DGeometry: BitwiseCopyable, Sendable, Equatable {
  /// Size, steps and padding of the window.
  public var window: Window2D
  /// Input and output channels fall into this many independent groups.
  public var groups: Int32

  /// All fields at once.
  public init(window: Window2D, groups: Int32 = 1) {
    self.window = window
    self.groups = groups
  }

  /// Whether a kernel row is one run of bytes in the input.
  @inline(__always) var hasContiguousRows: Bool { groups == 1 && window.dilationWidth == 1 }

  /// Weight rows R of the packed layout.
  public var rowCount: Int32 {
    hasContiguousRows ? window.kernelHeight : window.kernelHeight &* window.kernelWidth
  }

  /// Length L of a weight row, for an input of `channels` channels.
  public func rowLength(channels: Int32) -> Int32 {
    hasContiguousRows ? window.kernelWidth &* channels : channels / groups
  }

  /// Bytes of packed weights, all groups, or nil if they leave 31 bits.
  func weightByteCount(channels: Int, outputChannels: Int) -> Int? {
    guard channels <= (1 << 24) / Int(window.kernelWidth), outputChannels <= 1 << 24 else { return nil }
    let blocks = (outputChannels / Int(groups) + 15) / 16 * Int(groups)
    let row = (Int(rowLength(channels: Int32(truncatingIfNeeded: channels))) + 3) / 4 * 64
    let (rows, overflow) = row.multipliedReportingOverflow(by: Int(rowCount))
    guard !overflow else { return nil }
    let (bytes, overflow2) = rows.multipliedReportingOverflow(by: blocks)
    return overflow2 || bytes > 1 << 30 ? nil : bytes
  }

  func layout(input: TensorRecord, output: TensorRecord, elementSize: Int) -> WindowLayout? {
    WindowLayout(
      window: window, input: input, outputHeight: output.dimension(1), outputWidth: output.dimension(2),
      pointerCount: Int(rowCount), channelRepeat: 1,
      elementSize: elementSize)
  }

  /// Throws unless geometry and tensors agree and the step's scratch suffices; returns the bytes of packed weights.
  func validate(_ view: StepView, elementSize: Int) throws(Status) -> Int {
    let input = view.input(0), output = view.output(0)
    try view.requireRank4(input)
    try view.requireRank4(output)
    try window.validate()
    let channels = input.pointee.dimension(3), outputChannels = output.pointee.dimension(3)
    guard input.pointee.dimension(0) == output.pointee.dimension(0), groups > 0, channels % Int(groups) == 0,
      outputChannels % Int(groups) == 0,
      let bytes = weightByteCount(channels: channels, outputChannels: outputChannels),
      let layout = layout(input: input.pointee, output: output.pointee, elementSize: elementSize)
    else { throw .badParams }
    try view.requireScratch(layout.scratchByteCount)
    return bytes
  }
}

/// Convolution.
///
/// Shapes:       input [N,H,W,C] int8 · weights [O,KH,KW,C/groups] int8 · bias [O] int32 · output [N,OH,OW,O] int8
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel; padding is the input's zero point
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × weights
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      packed [groups][ceil(O/groups/16)][R][ceil(L/4)][16][4], zero in the padding. With one group and a
///               dilationWidth of 1 a row is a kernel row: R = KH, L = KW·C; else a tap: R = KH·KW, L = C/groups.
///               Bias, sums, multipliers and shifts: ceil(O/groups/16)·16 entries per group.
/// Rounding:     double rounding.  Overflow: the plan compiler bounds each channel's worst case; here it wraps.
/// Scratch:      ``Conv2DParams/scratchByteCount(input:output:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, CONV_2D; bit-exact with TensorFlow Lite Micro: yes.
public struct Conv2DParams: BitwiseCopyable, Sendable {
  /// Window, groups or depth multiplier.
  public var geometry: Conv2DGeometry
  /// Packed weights, biases and requantization.
  public var quantization: ChannelQuantization

  /// All fields at once.
  public init(geometry: Conv2DGeometry, quantization: ChannelQuantization) {
    self.geometry = geometry
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs, for tensors of these shapes; nil if a size leaves 31 bits.
  public func scratchByteCount(input: TensorRecord, output: TensorRecord) -> Int? {
    geometry.layout(input: input, output: output, elementSize: 1)?.scratchByteCount
  }
}

enum Conv2D: Kernel {
  typealias Params = Conv2DParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    let weightBytes = try params.geometry.validate(view, elementSize: 1)
    let groups = Int(params.geometry.groups)
    let groupChannels = view.output(0).pointee.dimension(3) / groups
    try params.quantization.validate(
      view, channelCount: roundedUp(groupChannels, toMultipleOf: 16) * groups, weightByteCount: weightBytes)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    if let workspace = context.workspace {
      Winograd3x3.run(context, params, workspace)
      return
    }
    let weights = context.constant(params.quantization.weights, as: Int8.self)
    let quantization = params.quantization.resolved(context)
    let output = context.output(0, as: Int8.self)
    if context.inner.hasConvolution, let layout = params.geometry.lineLayout(context) {
      params.geometry.convolve(context, layout, weights, quantization, output)
      return
    }
    let flip: Int8 = context.inner.asksForFlippedRows ? -128 : 0
    params.geometry.forEachRun(context, flip: flip) { (run: Conv2DRun<Int8>) in
      var args = run.matmulArguments(
        weights: weights, quantization: quantization.advanced(by: run.channelOffset), output: output)
      context.inner.matmul(&args)
    }
  }
}

/// One product of a convolution: a run of output pixels of one group.
struct Conv2DRun<Element> {
  var rows: UnsafeMutablePointer<UnsafePointer<Element>?>
  var rowCount: Int
  var rowGroups: Int
  /// Elements between the receptive fields of adjacent pixels.
  var pixelStride: Int
  var pixelCount: Int
  /// Bytes from the packed weights' start.
  var weightOffset: Int
  /// Entries from the quantization arrays' start.
  var channelOffset: Int
  /// Elements from the output's start.
  var outputOffset: Int
  var outputStride: Int
  var channelCount: Int
  /// Whether the rows are xored with the sign bit.
  var isFlipped = false
}

extension Conv2DRun<Int8> {
  /// The primitive's arguments, for arrays of which the run's offsets count.
  @inline(__always)
  func matmulArguments(
    weights: UnsafePointer<Int8>, quantization: qk_channel_quantization, output: UnsafeMutablePointer<Int8>
  ) -> qk_matmul_args {
    qk_matmul_args(
      rows: UnsafePointer(rows), pointerStride: 0, rowCount: Int32(truncatingIfNeeded: rowCount),
      rowGroups: Int32(truncatingIfNeeded: rowGroups), pixelStride: Int32(truncatingIfNeeded: pixelStride),
      pixelCount: Int32(truncatingIfNeeded: pixelCount), flipped: isFlipped ? 1 : 0, weights: weights + weightOffset,
      quantization: quantization,
      output: output + outputOffset, outputStride: Int32(truncatingIfNeeded: outputStride),
      channelCount: Int32(truncatingIfNeeded: channelCount))
  }
}

extension Conv2DGeometry {
  /// The layout of a layer that takes a product per output row, in rows of the input that lie as the weights do; nil for
  /// others.
  fileprivate func lineLayout(_ context: StepContext) -> WindowLayout? {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    guard hasContiguousRows, let layout = layout(input: input, output: output, elementSize: 1),
      !isOneRun(layout, outputHeight: output.dimension(1), outputWidth: output.dimension(2), width: input.dimension(2))
    else { return nil }
    return layout
  }

  /// Without padding, output rows whose windows follow at equal distances are one run.
  @inline(__always)
  private func isOneRun(_ layout: WindowLayout, outputHeight: Int, outputWidth: Int, width: Int) -> Bool {
    !layout.usesRing && !layout.usesPaddingRow
      && (outputHeight == 1 || (window.strideHeight == 1 && outputWidth &* Int(window.strideWidth) == width))
  }

  /// The layer by the primitive for whole images.
  fileprivate func convolve(
    _ context: StepContext, _ layout: WindowLayout, _ weights: UnsafePointer<Int8>,
    _ quantization: qk_channel_quantization,
    _ output: UnsafeMutablePointer<Int8>
  ) {
    let input = context.view.input(0).pointee, result = context.view.output(0).pointee
    let ring = (context.scratch + layout.pointerByteCount).assumingMemoryBound(to: Int8.self)
    let imageBytes = input.dimension(1) &* input.dimension(2) &* input.dimension(3)
    let outputBytes = result.dimension(1) &* result.dimension(2) &* result.dimension(3)
    for image in 0..<input.dimension(0) {
      var args = qk_convolution_args(
        input: context.input(0, as: Int8.self) + image &* imageBytes,
        height: Int32(truncatingIfNeeded: input.dimension(1)), width: Int32(truncatingIfNeeded: input.dimension(2)),
        channelCount: Int32(truncatingIfNeeded: input.dimension(3)), kernelHeight: window.kernelHeight,
        kernelWidth: window.kernelWidth, strideHeight: window.strideHeight, strideWidth: window.strideWidth,
        dilationHeight: window.dilationHeight, padTop: window.padTop, padLeft: window.padLeft,
        outputHeight: Int32(truncatingIfNeeded: result.dimension(1)),
        outputWidth: Int32(truncatingIfNeeded: result.dimension(2)), inputZeroPoint: input.zeroPoint, weights: weights,
        quantization: quantization, output: output + image &* outputBytes,
        outputChannelCount: Int32(truncatingIfNeeded: result.dimension(3)),
        rows: context.scratch.assumingMemoryBound(to: UnsafePointer<Int8>?.self), ring: layout.usesRing ? ring : nil,
        padding: layout.usesPaddingRow ? ring + layout.slotCount &* layout.slotElements : nil,
        slotCount: Int32(truncatingIfNeeded: layout.slotCount),
        slotBytes: Int32(truncatingIfNeeded: layout.slotElements))
      context.inner.convolution(&args)
    }
  }

  /// Calls `body` for every product that makes up the layer, in order. Rows that are copied are xored with `flip`.
  @inline(__always)
  func forEachRun<Element: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, flip: Element = 0, _ body: (Conv2DRun<Element>) -> Void
  ) {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    guard let layout = layout(input: input, output: output, elementSize: MemoryLayout<Element>.size) else { return }
    let channels = input.dimension(3), outputChannels = output.dimension(3)
    let outputHeight = output.dimension(1), outputWidth = output.dimension(2)
    let imageElements = input.dimension(1) &* input.dimension(2) &* channels
    let groupCount = Int(groups)
    let groupInputs = channels / groupCount, groupOutputs = outputChannels / groupCount
    let groupLanes = roundedUp(groupOutputs, toMultipleOf: 16)
    let rowLength = hasContiguousRows ? Int(window.kernelWidth) &* channels : groupInputs
    let rows = context.scratch.assumingMemoryBound(to: UnsafePointer<Element>?.self)
    var run = Conv2DRun<Element>(
      rows: rows, rowCount: Int(rowCount), rowGroups: (rowLength &+ 3) / 4,
      pixelStride: Int(window.strideWidth) &* channels, pixelCount: outputWidth, weightOffset: 0, channelOffset: 0,
      outputOffset: 0, outputStride: outputChannels, channelCount: groupOutputs,
      isFlipped: layout.usesRing && flip != 0)
    let groupWeightBytes = groupLanes &* 4 &* run.rowGroups &* run.rowCount
    let image = context.input(0, as: Element.self)

    // Images that follow each other as the rows of a run do belong to it.
    var rowsPerRun = 1
    var imageCount = input.dimension(0)
    if isOneRun(layout, outputHeight: outputHeight, outputWidth: outputWidth, width: input.dimension(2)) {
      rowsPerRun = outputHeight
      run.pixelCount = outputHeight &* outputWidth
      if run.pixelCount &* run.pixelStride == imageElements {
        run.pixelCount = run.pixelCount &* imageCount
        imageCount = 1
      }
    }

    var source = WindowRows<Element>(
      window: window, layout: layout, input: input, scratch: context.scratch,
      zeroPoint: Element(truncatingIfNeeded: input.zeroPoint), flip: layout.usesRing ? flip : 0)
    var imageIndex = 0
    while imageIndex < imageCount {
      source.begin(image: image + imageIndex &* imageElements)
      var y = 0
      while y < outputHeight {
        source.load(outputRow: y)
        var group = 0
        while group < groupCount {
          setRows(rows, source, outputRow: y, channels: channels, firstChannel: group &* groupInputs)
          run.weightOffset = group &* groupWeightBytes
          run.channelOffset = group &* groupLanes
          run.outputOffset = (imageIndex &* outputHeight &+ y) &* outputWidth &* outputChannels &+ group &* groupOutputs
          body(run)
          group &+= 1
        }
        y &+= rowsPerRun
      }
      imageIndex &+= 1
    }
  }

  @inline(__always)
  private func setRows<Element: FixedWidthInteger & BitwiseCopyable>(
    _ rows: UnsafeMutablePointer<UnsafePointer<Element>?>, _ source: WindowRows<Element>, outputRow: Int, channels: Int,
    firstChannel: Int
  ) {
    let columns = hasContiguousRows ? 1 : Int(window.kernelWidth)
    let columnStep = Int(window.dilationWidth) &* channels
    var index = 0
    var ky = 0
    while ky < Int(window.kernelHeight) {
      let start = source.row(ky, outputRow: outputRow) + firstChannel
      var kx = 0
      while kx < columns {
        rows[index] = start + kx &* columnStep
        index &+= 1
        kx &+= 1
      }
      ky &+= 1
    }
  }
}
