import QKernelsIntrinsics

/// What both pooling ops share.
///
/// Shapes:       input [N,H,W,C] int8 or int16 · output [N,OH,OW,C] of the same type
/// Quantization: input and output have the same scale and zero point
/// Computes:     average: output = clamp(roundedMean(Σ input, count), outputMin, outputMax) over the window's positions
///               inside the input; with `countsPadding`, positions in the padding count as the zero point
///               maximum: output = clamp(max input, outputMin, outputMax) over the window's positions inside the input
/// Rounding:     average: ``roundedMean(sum:count:)``.  Overflow: at most 2^22 positions (int16: 2^14), so that no sum leaves
///               2^30; every window meets the input (both verified).
/// Scratch:      ``Pool2DParams/scratchByteCount(input:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, AVERAGE_POOL_2D, MAX_POOL_2D; bit-exact with TensorFlow Lite Micro: yes.
public struct Pool2DParams: BitwiseCopyable, Sendable {
  /// Size, steps and padding of the window.
  public var window: Window2D
  /// Average only. 1: the divisor counts positions in the padding too, but none beyond `padBottom` and `padRight`.
  public var countsPadding: Int32
  /// Padding below the input that may count, in rows.
  public var padBottom: Int32
  /// Padding to the right of the input that may count, in columns.
  public var padRight: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(
    window: Window2D, countsPadding: Bool = false, padBottom: Int32 = 0, padRight: Int32 = 0, outputMin: Int32,
    outputMax: Int32
  ) {
    self.window = window
    self.countsPadding = countsPadding ? 1 : 0
    self.padBottom = padBottom
    self.padRight = padRight
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  /// Bytes of scratch that the step needs: row pointers, and channel sums where the padding counts.
  public func scratchByteCount(input: TensorRecord) -> Int {
    sumsOffset &+ (countsPadding == 1 ? input.dimension(3) &* 4 : 0)
  }

  @inline(__always) private var sumsOffset: Int { roundedUp(Int(window.kernelHeight) &* 8, toMultipleOf: 16) }

  func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let input = view.input(0), output = view.output(0)
    let type = view.type(of: input)
    try view.require(output, type: type)
    try view.requireRank4(input)
    try view.requireRank4(output)
    try window.validate()
    let positions: Int
    switch type {
    case .int8: positions = 1 << 22
    case .int16: positions = 1 << 14
    case .int32: throw .badTensor
    }
    guard input.pointee.dimension(0) == output.pointee.dimension(0),
      input.pointee.dimension(3) == output.pointee.dimension(3), input.pointee.dimension(3) <= 1 << 24,
      window.tapCount <= positions, countsPadding == 0 || countsPadding == 1, padBottom >= 0, padRight >= 0,
      padBottom <= 32767, padRight <= 32767
    else { throw .badParams }
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: outputMin, max: outputMax, lowest: type.lowest, highest: type.highest)
    let rows = WindowSpan(
      kernel: window.kernelHeight, stride: window.strideHeight, dilation: window.dilationHeight, before: window.padTop,
      after: padBottom, size: input.pointee.dimension(1))
    let columns = WindowSpan(
      kernel: window.kernelWidth, stride: window.strideWidth, dilation: window.dilationWidth, before: window.padLeft,
      after: padRight, size: input.pointee.dimension(2))
    try rows.validate(count: output.pointee.dimension(1))
    try columns.validate(count: output.pointee.dimension(2))
    try view.requireScratch(scratchByteCount(input: input.pointee))
  }

  /// Calls `body` for each output pixel with the part of its window inside the input.
  @inline(__always)
  func forEachPixel(_ context: StepContext, _ body: (PoolWindow) -> Void) {
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    let channels = input.dimension(3), width = input.dimension(2)
    let isWide = context.view.type(of: context.view.input(0)) == .int16
    let pixelBytes = isWide ? 2 &* channels : channels
    let vertical = WindowSpan(
      kernel: window.kernelHeight, stride: window.strideHeight, dilation: window.dilationHeight, before: window.padTop,
      after: padBottom, size: input.dimension(1))
    let horizontal = WindowSpan(
      kernel: window.kernelWidth, stride: window.strideWidth, dilation: window.dilationWidth, before: window.padLeft,
      after: padRight, size: width)
    var pool = PoolWindow(
      isWide: isWide, rows: context.scratch.assumingMemoryBound(to: UnsafePointer<Int8>?.self), rowCount: 0,
      columnCount: 0, columnStride: Int(window.dilationWidth) &* pixelBytes, channelCount: channels, divisor: 0,
      paddingCount: 0, sums: (context.scratch + sumsOffset).assumingMemoryBound(to: Int32.self),
      output: context.output(0, as: Int8.self))
    var image = context.input(0, as: Int8.self)
    var remainingImages = input.dimension(0)
    while remainingImages > 0 {
      var y = 0
      while y < output.dimension(1) {
        let rows = vertical.inside(y)
        pool.rowCount = rows.count
        var x = 0
        while x < output.dimension(2) {
          let columns = horizontal.inside(x)
          pool.columnCount = columns.count
          var row = 0
          while row < rows.count {
            pool.rows[row] =
              image + ((rows.first &+ row &* Int(window.dilationHeight)) &* width &+ columns.first) &* pixelBytes
            row &+= 1
          }
          let count = rows.count &* columns.count
          let divisor = countsPadding == 1 ? vertical.paddedCount(y) &* horizontal.paddedCount(x) : count
          pool.divisor = Int32(truncatingIfNeeded: divisor)
          pool.paddingCount = Int32(truncatingIfNeeded: divisor &- count)
          body(pool)
          pool.output += pixelBytes
          x &+= 1
        }
        y &+= 1
      }
      image += input.dimension(1) &* width &* pixelBytes
      remainingImages &-= 1
    }
  }
}

/// One output pixel of a pooling op: the positions of its window that lie inside the input.
struct PoolWindow {
  /// Whether elements are int16; pointers are to bytes, as one walk over windows serves both types.
  var isWide: Bool
  var rows: UnsafeMutablePointer<UnsafePointer<Int8>?>
  var rowCount: Int
  var columnCount: Int
  /// In bytes.
  var columnStride: Int
  var channelCount: Int
  /// Positions to divide by.
  var divisor: Int32
  /// Of those, positions in the padding.
  var paddingCount: Int32
  /// Room for a sum per channel; only where the padding counts.
  var sums: UnsafeMutablePointer<Int32>
  var output: UnsafeMutablePointer<Int8>
}

/// A window's positions along one axis.
private struct WindowSpan {
  var kernel: Int32
  var stride: Int32
  var dilation: Int32
  var before: Int32
  var after: Int32
  var size: Int

  /// Throws unless each of `count` windows has a position inside the input. Linear in the padding, not in `count`.
  func validate(count: Int) throws(Status) {
    // A window that starts inside the input has a position there; starts ascend.
    guard try checkedProduct(count - 1, Int(stride)) < size + Int(before) else { throw .badParams }
    var index = 0
    while index < count, index * Int(stride) < Int(before) {
      guard inside(index).count > 0 else { throw .badParams }
      index += 1
    }
  }

  /// The first position of window `index` inside the input, and how many there are.
  @inline(__always)
  func inside(_ index: Int) -> (first: Int, count: Int) {
    let start = index &* Int(stride) &- Int(before)
    let skipped = start < 0 ? (Int(dilation) &- 1 &- start) / Int(dilation) : 0
    let first = start &+ skipped &* Int(dilation)
    let end = first < size ? (size &- 1 &- first) / Int(dilation) &+ 1 : 0
    return (first, min(Int(kernel) &- skipped, end))
  }

  /// How many positions of window `index` lie inside the input or its padding.
  @inline(__always)
  func paddedCount(_ index: Int) -> Int {
    let start = index &* Int(stride) &- Int(before)
    return min(Int(kernel), (size &+ Int(after) &- 1 &- start) / Int(dilation) &+ 1)
  }
}

/// Average pooling; see ``Pool2DParams``.
enum AveragePool2D: Kernel {
  typealias Params = Pool2DParams

  static func validate(_ view: StepView) throws(Status) { try view.params(Params.self).pointee.validate(view) }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let zeroPoint = context.view.input(0).pointee.zeroPoint
    params.forEachPixel(context) { pool in
      if pool.isWide {
        average(pool, params, zeroPoint: zeroPoint)
        return
      }
      var args = pool.arguments(params)
      if pool.paddingCount == 0 {
        context.inner.averagePool(&args)
        return
      }
      context.inner.windowSum(&args)
      var channel = 0
      while channel < pool.channelCount {
        let mean = roundedMean(sum: pool.sums[channel] &+ pool.paddingCount &* zeroPoint, count: pool.divisor)
        pool.output[channel] = Int8(truncatingIfNeeded: clamped(mean, params.outputMin, params.outputMax))
        channel &+= 1
      }
    }
  }

  private static func average(_ pool: PoolWindow, _ params: Params, zeroPoint: Int32) {
    var channel = 0
    while channel < pool.channelCount {
      var sum = pool.paddingCount &* zeroPoint
      pool.forEachWidePosition(channel) { sum = sum &+ Int32($0) }
      let mean = roundedMean(sum: sum, count: pool.divisor)
      pool.storeWide(clamped(mean, params.outputMin, params.outputMax), channel)
      channel &+= 1
    }
  }
}

/// Maximum pooling; see ``Pool2DParams``.
enum MaxPool2D: Kernel {
  typealias Params = Pool2DParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    guard params.countsPadding == 0 else { throw .badParams }
    try params.validate(view)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    params.forEachPixel(context) { pool in
      if !pool.isWide {
        var args = pool.arguments(params)
        context.inner.maxPool(&args)
        return
      }
      var channel = 0
      while channel < pool.channelCount {
        var best: Int32 = -32768
        pool.forEachWidePosition(channel) { best = max(best, Int32($0)) }
        pool.storeWide(clamped(best, params.outputMin, params.outputMax), channel)
        channel &+= 1
      }
    }
  }
}

extension PoolWindow {
  /// Calls `body` with the int16 of `channel` at each position.
  @inline(__always)
  func forEachWidePosition(_ channel: Int, _ body: (Int16) -> Void) {
    var row = 0
    while row < rowCount {
      if let start = rows[row] {
        var column = 0
        while column < columnCount {
          body(UnsafeRawPointer(start + column &* columnStride).load(fromByteOffset: 2 &* channel, as: Int16.self))
          column &+= 1
        }
      }
      row &+= 1
    }
  }

  /// Stores the int16 output of `channel`.
  @inline(__always)
  func storeWide(_ value: Int32, _ channel: Int) {
    UnsafeMutableRawPointer(output).storeBytes(
      of: Int16(truncatingIfNeeded: value), toByteOffset: 2 &* channel, as: Int16.self)
  }

  /// The primitives' arguments, for int8 elements.
  @inline(__always)
  func arguments(_ params: Pool2DParams) -> qk_pool_args {
    qk_pool_args(
      rows: UnsafePointer(rows), rowCount: Int32(truncatingIfNeeded: rowCount),
      columnCount: Int32(truncatingIfNeeded: columnCount), columnStride: Int32(truncatingIfNeeded: columnStride),
      channelCount: Int32(truncatingIfNeeded: channelCount), divisor: divisor, outputMin: params.outputMin,
      outputMax: params.outputMax, output: output, sums: sums)
  }
}
