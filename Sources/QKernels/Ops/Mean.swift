import QKernelsIntrinsics

/// Mean over axes.
///
/// Shapes:       input int8 or int16 · output of the same type: the input's shape without the reduced axes (with or without
///               ones in their place)
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors
/// Computes:     output = clamp(outputZeroPoint + requantize(Σ (input − inputZeroPoint), multiplier, shift), outputMin,
///               outputMax); the factor is inputScale / outputScale / count
/// Rounding:     double rounding.  Overflow: at most 2^23 values per sum (int16: 2^15) keep 31 bits.
/// Scratch:      ``MeanParams/scratchByteCount(input:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, MEAN; its multiplier is m·2^s / count for the ratio m of the scales, which may
///               be below 2^30; bit-exact with TensorFlow Lite Micro: yes.
public struct MeanParams: BitwiseCopyable, Sendable {
  /// Bit `i` is set when axis `i` is reduced.
  public var axes: UInt32
  /// Q0.31: 0 or more.
  public var multiplier: Int32
  /// -31...30, positive = left.
  public var shift: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(axes: UInt32, multiplier: Int32, shift: Int32, outputMin: Int32, outputMax: Int32) {
    self.axes = axes
    self.multiplier = multiplier
    self.shift = shift
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  /// Bytes of scratch that the step needs: one sum per element of the axes kept after the last reduced one.
  public func scratchByteCount(input: TensorRecord) -> Int { ReducedShape(input, axes: axes).inner &* 4 }
}

/// A tensor's axes, merged into runs that are kept or reduced alike.
private struct ReducedShape {
  /// Elements after the last reduced axis.
  var inner = 1
  /// Values per sum.
  var count = 1
  /// The runs before `inner`, innermost first, starting with a reduced one.
  var sizes: InlineArray<6, Int> = InlineArray(repeating: 1)
  var strides: InlineArray<6, Int> = InlineArray(repeating: 0)
  var runCount = 0

  init(_ tensor: TensorRecord, axes: UInt32) {
    var stride = 1
    var axis = Int(tensor.rank) &- 1
    while axis >= 0 {
      let size = tensor.dimension(axis)
      let isReduced = (axes >> UInt32(truncatingIfNeeded: axis)) & 1 == 1
      if isReduced { count = count &* size }
      if size > 1 {
        // Runs alternate, the first is reduced.
        if runCount == 0, !isReduced {
          inner = inner &* size
        } else if runCount > 0, (runCount & 1 == 1) == isReduced {
          sizes[runCount &- 1] = sizes[runCount &- 1] &* size
        } else {
          sizes[runCount] = size
          strides[runCount] = stride
          runCount &+= 1
        }
      }
      stride = stride &* size
      axis &-= 1
    }
  }

  /// The elements to skip to come to position `index` of the kept (`kept` true) or reduced runs.
  @inline(__always)
  func offset(_ index: Int, kept: Bool) -> Int {
    var rest = index, offset = 0
    var run = kept ? 1 : 0
    while run < runCount {
      offset = offset &+ rest % sizes[run] &* strides[run]
      rest = rest / sizes[run]
      run &+= 2
    }
    return offset
  }
}

enum Mean: Kernel {
  typealias Params = MeanParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    let type = view.type(of: input)
    try view.require(output, type: type)
    guard params.axes < 1 << input.pointee.rank else { throw .badParams }
    let shape = ReducedShape(input.pointee, axes: params.axes)
    let limit: Int
    switch type {
    case .int8: limit = 1 << 23
    case .int16: limit = 1 << 15
    case .int32: throw .badTensor
    }
    guard shape.count <= limit, shape.inner <= 1 << 28,
      input.pointee.elementCount / shape.count == output.pointee.elementCount
    else {
      throw .badParams
    }
    try requireMultiplier(params.multiplier, shift: params.shift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: params.outputMin, max: params.outputMax, lowest: type.lowest,
      highest: type.highest)
    try view.requireScratch(params.scratchByteCount(input: input.pointee))
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let input = context.view.input(0).pointee
    let shape = ReducedShape(input, axes: params.axes)
    let sums = context.scratch.assumingMemoryBound(to: Int32.self)
    if context.view.type(of: context.view.input(0)) == .int16 {
      reduce(context, params, shape, sums) { (source: UnsafePointer<Int16>) in add(source, shape, to: sums) }
    } else {
      reduce(context, params, shape, sums) { (source: UnsafePointer<Int8>) in
        // A primitive sums pixels of many channels; it has nothing to gain where the last axis itself is reduced.
        if shape.inner == 1 || shape.runCount > 2 {
          add(source, shape, to: sums)
          return
        }
        var row: UnsafePointer<Int8>? = source
        withUnsafePointer(to: &row) { rows in
          var args = qk_pool_args(
            rows: rows, rowCount: 1, columnCount: Int32(truncatingIfNeeded: shape.count),
            columnStride: Int32(truncatingIfNeeded: shape.inner), channelCount: Int32(truncatingIfNeeded: shape.inner),
            divisor: 1, outputMin: params.outputMin, outputMax: params.outputMax, output: nil, sums: sums)
          context.inner.windowSum(&args)
        }
      }
    }
  }

  /// For each kept position: `sum` fills `sums` with the sums of the inner elements, which then are requantized.
  @inline(__always)
  private static func reduce<Element: FixedWidthInteger & BitwiseCopyable>(
    _ context: StepContext, _ params: Params, _ shape: ReducedShape, _ sums: UnsafeMutablePointer<Int32>,
    _ sum: (UnsafePointer<Element>) -> Void
  ) {
    let source = context.input(0, as: Element.self), output = context.output(0, as: Element.self)
    let outputCount = context.view.output(0).pointee.elementCount
    let inputShare = context.view.input(0).pointee.zeroPoint &* Int32(truncatingIfNeeded: shape.count)
    let zeroPoint = context.view.output(0).pointee.zeroPoint
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    var first = 0
    var position = 0
    while first < outputCount {
      sum(source + shape.offset(position, kept: true))
      var index = 0
      while index < shape.inner {
        let value = factor.requantized(sums[index] &- inputShare) &+ zeroPoint
        output[first &+ index] = Element(truncatingIfNeeded: clamped(value, params.outputMin, params.outputMax))
        index &+= 1
      }
      first &+= shape.inner
      position &+= 1
    }
  }

  @inline(__always)
  private static func add<Element: FixedWidthInteger & BitwiseCopyable>(
    _ source: UnsafePointer<Element>, _ shape: ReducedShape, to sums: UnsafeMutablePointer<Int32>
  ) {
    var index = 0
    while index < shape.inner {
      sums[index] = 0
      index &+= 1
    }
    var position = 0
    while position < shape.count {
      let values = source + shape.offset(position, kept: false)
      index = 0
      while index < shape.inner {
        sums[index] = sums[index] &+ Int32(truncatingIfNeeded: values[index])
        index &+= 1
      }
      position &+= 1
    }
  }
}
