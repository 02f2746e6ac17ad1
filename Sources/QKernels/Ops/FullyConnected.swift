import QKernelsIntrinsics

/// Dense layer.
///
/// Shapes:       input [..., I] int8 (N rows of I) · weights [O,I] int8 · bias [O] int32 · output [..., O] int8 (N rows)
/// Quantization: real = scale × (q − zeroPoint); weights per channel with zeroPoint 0, or per tensor with any
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × (weights − weightsZeroPoint)
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      packed [ceil(O/16)][ceil(I/4)][16][4], zero in the padding; `weightSums` of the stored weights, the bias
///               folds `-inputZeroPoint × Σ (weights − weightsZeroPoint)`
/// Rounding:     double rounding.  Overflow: the plan compiler bounds each channel's worst case; here it wraps.
/// Scratch:      ``FullyConnectedParams/scratchByteCount``.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, FULLY_CONNECTED; bit-exact with TensorFlow Lite Micro: yes.
public struct FullyConnectedParams: BitwiseCopyable, Sendable {
  /// I.
  public var inputDepth: Int32
  /// O.
  public var outputDepth: Int32
  /// The zero point of the weights: 0 unless an old model has asymmetric ones; -128...127.
  public var weightsZeroPoint: Int32
  /// Packed weights, biases and requantization.
  public var quantization: ChannelQuantization

  /// All fields at once.
  public init(inputDepth: Int32, outputDepth: Int32, weightsZeroPoint: Int32 = 0, quantization: ChannelQuantization) {
    self.inputDepth = inputDepth
    self.outputDepth = outputDepth
    self.weightsZeroPoint = weightsZeroPoint
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs: one row's biases when the weights have a zero point, else none.
  public var scratchByteCount: Int {
    weightsZeroPoint == 0 ? 0 : roundedUp(Int(outputDepth), toMultipleOf: 16) &* 4
  }

  /// Throws unless depths and tensors agree; returns the bytes of packed weights.
  static func validate(_ view: StepView, inputDepth: Int32, outputDepth: Int32) throws(Status) -> Int {
    let input = view.input(0), output = view.output(0)
    let inputDepth = Int(inputDepth), outputDepth = Int(outputDepth)
    guard inputDepth > 0, outputDepth > 0, inputDepth <= 1 << 20, outputDepth <= 1 << 20,
      input.pointee.elementCount % inputDepth == 0, output.pointee.elementCount % outputDepth == 0,
      input.pointee.elementCount / inputDepth == output.pointee.elementCount / outputDepth
    else { throw .badParams }
    return try checkedProduct((inputDepth + 3) / 4 * 64, (outputDepth + 15) / 16)
  }
}

enum FullyConnected: Kernel {
  typealias Params = FullyConnectedParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    let weightBytes = try Params.validate(view, inputDepth: params.inputDepth, outputDepth: params.outputDepth)
    guard params.weightsZeroPoint >= -128, params.weightsZeroPoint <= 127 else { throw .badQuantization }
    try params.quantization.validate(view, channelCount: Int(params.outputDepth), weightByteCount: weightBytes)
    try view.requireScratch(params.scratchByteCount)
  }

  static func run(_ context: StepContext) {
    // In place: what a copy of the record costs is felt, because the next weights wait for it.
    let params = context.view.params(Params.self)
    // The weights set out while the call is prepared: a small layer takes little longer than its weights.
    qk_prefetch(context.constant(params.pointee.quantization.weights, as: Int8.self))
    if let workspace = context.workspace {
      var quantization = params.pointee.quantization.resolved(context)
      quantization.bias = UnsafePointer(workspace.assumingMemoryBound(to: Int32.self))
      withArguments(context, params, quantization, firstRow: 0, rowCount: 1) { context.inner.dense(&$0) }
    } else if params.pointee.weightsZeroPoint == 0 {
      let quantization = params.pointee.quantization.resolved(context)
      multiply(context, params, quantization, firstRow: 0, rowCount: rowCount(context, params))
    } else {
      runWithWeightsZeroPoint(context, params)
    }
  }

  @inline(__always)
  private static func rowCount(_ context: StepContext, _ params: UnsafePointer<Params>) -> Int32 {
    // One row is the usual case and needs no division. The tensor is of bytes.
    let count = Int32(truncatingIfNeeded: context.view.input(0).pointee.byteCount)
    return count == params.pointee.inputDepth ? 1 : count / params.pointee.inputDepth
  }

  /// One row at a time: its share -weightsZeroPoint × Σ input is the same for every channel and goes into the bias.
  @inline(never)
  private static func runWithWeightsZeroPoint(_ context: StepContext, _ params: UnsafePointer<Params>) {
    let rowCount = rowCount(context, params)
    let input = context.input(0, as: Int8.self)
    let depth = Int(params.pointee.inputDepth)
    let lanes = roundedUp(Int(params.pointee.outputDepth), toMultipleOf: 16)
    let rowBias = context.scratch.assumingMemoryBound(to: Int32.self)
    let bias = context.constant(params.pointee.quantization.bias, as: Int32.self)
    var rowQuantization = params.pointee.quantization.resolved(context)
    rowQuantization.bias = UnsafePointer(rowBias)
    var row: Int32 = 0
    while row < rowCount {
      let share = params.pointee.weightsZeroPoint &* sum(input + Int(row) &* depth, count: depth)
      var channel = 0
      while channel < lanes {
        rowBias[channel] = bias[channel] &- share
        channel &+= 1
      }
      multiply(context, params, rowQuantization, firstRow: row, rowCount: 1)
      row &+= 1
    }
  }

  @inline(__always)
  private static func multiply(
    _ context: StepContext, _ params: UnsafePointer<Params>, _ quantization: qk_channel_quantization, firstRow: Int32,
    rowCount: Int32
  ) {
    withArguments(context, params, quantization, firstRow: firstRow, rowCount: rowCount) { context.inner.matmul(&$0) }
  }

  @inline(__always)
  private static func withArguments(
    _ context: StepContext, _ params: UnsafePointer<Params>, _ quantization: qk_channel_quantization, firstRow: Int32,
    rowCount: Int32, _ body: (inout qk_matmul_args) -> Void
  ) {
    let input = context.input(0, as: Int8.self), output = context.output(0, as: Int8.self)
    let depth = params.pointee.inputDepth, channelCount = params.pointee.outputDepth
    var row: UnsafePointer<Int8>? = input + Int(firstRow) &* Int(depth)
    withUnsafePointer(to: &row) { rows in
      var args = qk_matmul_args(
        rows: rows, pointerStride: 0, rowCount: 1, rowGroups: (depth &+ 3) >> 2, pixelStride: depth,
        pixelCount: rowCount, flipped: 0,
        weights: context.constant(params.pointee.quantization.weights, as: Int8.self),
        quantization: quantization, output: output + Int(firstRow) &* Int(channelCount),
        outputStride: channelCount, channelCount: channelCount)
      body(&args)
    }
  }

  /// Bytes of workspace for a verified layer of one row whose channels share a scale that shifts right: the start values of
  /// the sums, in the place of biases, sums of weights, multipliers and shifts. 0 for others, or if the set has no use.
  static func workspaceByteCount(_ view: StepView, _ inner: InnerKernels) -> Int {
    let params = view.params(Params.self).pointee
    let multiplier = view.model.constant(params.quantization.multiplier).assumingMemoryBound(to: Int32.self)
    let shift = view.model.constant(params.quantization.shift).assumingMemoryBound(to: Int32.self)
    guard inner.hasDense, params.weightsZeroPoint == 0, view.input(0).pointee.byteCount == UInt32(params.inputDepth),
      multiplier[0] >= 1 << 30, shift[0] < 0
    else { return 0 }
    for channel in 0..<Int(params.outputDepth) {
      if multiplier[channel] != multiplier[0] || shift[channel] != shift[0] { return 0 }
    }
    return roundedUp(Int(params.outputDepth), toMultipleOf: 16) &* 4
  }

  /// Prepares the workspace of a step for which ``workspaceByteCount(_:_:)`` is not 0.
  static func fillWorkspace(_ view: StepView, _ workspace: UnsafeMutableRawPointer) {
    let params = view.params(Params.self).pointee
    let bias = view.model.constant(params.quantization.bias).assumingMemoryBound(to: Int32.self)
    let sums = view.model.constant(params.quantization.weightSums).assumingMemoryBound(to: Int32.self)
    let starts = workspace.assumingMemoryBound(to: Int32.self)
    for channel in 0..<roundedUp(Int(params.outputDepth), toMultipleOf: 16) {
      starts[channel] = bias[channel] &- 128 &* sums[channel]
    }
  }
}

/// The sum of `count` values; exact for up to 2^24 of them.
@inline(__always)
func sum(_ values: UnsafePointer<Int8>, count: Int) -> Int32 {
  var sum: Int32 = 0
  var index = 0
  while index < count {
    sum = sum &+ Int32(values[index])
    index &+= 1
  }
  return sum
}
