import QKernelsIntrinsics

/// One step of a rank-limited convolution over time (singular value decomposition filter).
///
/// Shapes:       input 0 [N,I] int8 · input 1 the state [N,F,M] int8 or int16, kept between runs · weightsFeature [F,I] int8 ·
///               weightsTime [F,M] of the state's type · bias [F/rank] int32 · output [N,F/rank] int8
/// Quantization: real = scale × (q − zeroPoint), zero points those of the tensors; weights zeroPoint 0
/// Computes:     for every filter f the state moves one place towards its start, then
///               state[f][M−1] = stateZeroPoint + clamp(requantize(Σ (input − inputZeroPoint) × weightsFeature[f])),
///               wrapped to its type;
///               acc[o] = bias[o] + Σ over the rank filters of o, Σ over m: (state − stateZeroPoint) × weightsTime
///               output = clamp(outputZeroPoint + requantize(acc[o], outputMultiplier, outputShift), outputMin, outputMax)
/// Weights:      weightsFeature packed [ceil(F/16)][ceil(I/4)][16][4]; weightsTime [F][M]
/// Rounding:     double rounding.  Overflow: sums wrap to 32 bits, as in the reference.
/// Scratch:      ``SVDFParams/scratchByteCount``.  Aliasing: output must overlap neither input nor state.
/// Source:       TFLite reference, svdf_common.cc (which moves the state as one flat vector: the same, as each filter's
///               last element is replaced); bit-exact with TensorFlow Lite Micro: yes.
public struct SVDFParams: BitwiseCopyable, Sendable {
  /// Filters per output.
  public var rank: Int32
  /// F.
  public var filterCount: Int32
  /// M.
  public var memorySize: Int32
  /// Constants offset of [F][M] Int8 or Int16, 64-byte aligned.
  public var weightsTime: UInt32
  /// Constants offset of F/rank Int32, 64-byte aligned.
  public var bias: UInt32
  /// stateScale × weightsTimeScale / outputScale, Q0.31.
  public var outputMultiplier: Int32
  /// -31...30, positive = left.
  public var outputShift: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32
  /// The feature product: bias `-inputZeroPoint × Σ w`, output zero point 0, clamp to the range of the state's type.
  public var feature: ChannelQuantization

  /// All fields at once.
  public init(
    rank: Int32, filterCount: Int32, memorySize: Int32, weightsTime: UInt32, bias: UInt32, outputMultiplier: Int32,
    outputShift: Int32, outputMin: Int32, outputMax: Int32, feature: ChannelQuantization
  ) {
    self.rank = rank
    self.filterCount = filterCount
    self.memorySize = memorySize
    self.weightsTime = weightsTime
    self.bias = bias
    self.outputMultiplier = outputMultiplier
    self.outputShift = outputShift
    self.outputMin = outputMin
    self.outputMax = outputMax
    self.feature = feature
  }

  /// Bytes of scratch that the step needs: one feature product.
  public var scratchByteCount: Int { Int(filterCount) &* 2 }
}

enum SVDF: Kernel {
  typealias Params = SVDFParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), state = view.input(1), output = view.output(0)
    try view.require(input, type: .int8)
    try view.require(output, type: .int8)
    let type = view.type(of: state)
    let limit: Int32 = 1 << 20
    guard params.rank > 0, params.filterCount > 0, params.memorySize > 0, params.filterCount <= limit,
      params.memorySize <= limit, params.filterCount % params.rank == 0
    else { throw .badParams }
    let filters = Int(params.filterCount), memory = Int(params.memorySize), units = filters / Int(params.rank)
    guard type != .int32, state.pointee.storage != TensorStorage.constant.rawValue, input.pointee.rank == 2,
      output.pointee.rank == 2, output.pointee.dimension(0) == input.pointee.dimension(0),
      output.pointee.dimension(1) == units, input.pointee.dimension(1) <= Int(limit),
      state.pointee.elementCount
        == (try checkedProduct(input.pointee.dimension(0), try checkedProduct(filters, memory)))
    else { throw .badTensor }
    let weightBytes = try checkedProduct((filters + 15) / 16 * 64, (input.pointee.dimension(1) + 3) / 4)
    try params.feature.validate(
      view, channelCount: filters, weightByteCount: weightBytes, lowest: type.lowest, highest: type.highest)
    guard params.feature.outputZeroPoint == 0 else { throw .badQuantization }
    try view.requireConstant(
      params.weightsTime, byteCount: try checkedProduct(filters * type.byteCount, memory), alignment: 64)
    try view.requireConstant(params.bias, byteCount: units * 4, alignment: 64)
    try requireMultiplier(params.outputMultiplier, shift: params.outputShift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: params.outputMin, max: params.outputMax, lowest: -128, highest: 127)
    try view.requireScratch(params.scratchByteCount)
  }

  static func run(_ context: StepContext) {
    if context.view.type(of: context.view.input(1)) == .int16 {
      filter(context, Int16.self)
    } else {
      filter(context, Int8.self)
    }
  }

  @inline(__always)
  private static func filter<State: FixedWidthInteger & BitwiseCopyable>(_ context: StepContext, _: State.Type) {
    let params = context.view.params(Params.self).pointee
    let depth = context.view.input(0).pointee.dimension(1), batches = context.view.input(0).pointee.dimension(0)
    let filters = Int(params.filterCount), memory = Int(params.memorySize), rank = Int(params.rank)
    let stateRecord = context.view.input(1)
    let zeroPoint = stateRecord.pointee.zeroPoint
    let products = context.scratch.assumingMemoryBound(to: Int16.self)
    let weightsTime = context.constant(params.weightsTime, as: State.self)
    let bias = context.constant(params.bias, as: Int32.self)
    let factor = FixedPointMultiplier(multiplier: params.outputMultiplier, shift: params.outputShift)
    let outputZeroPoint = context.view.output(0).pointee.zeroPoint
    var input = context.input(0, as: Int8.self)
    var output = context.output(0, as: Int8.self)
    var state = context.memory(of: stateRecord).assumingMemoryBound(to: State.self)
    var batch = 0
    while batch < batches {
      multiply(context, params, input, depth: depth, products: products)
      var sum: Int32 = 0
      var filter = 0
      while filter < filters {
        if filter % rank == 0 { sum = bias[filter / rank] }
        let weights = weightsTime + filter &* memory
        var element = 0
        while element < memory {
          let newest = zeroPoint &+ Int32(products[filter])
          state[element] = element &+ 1 < memory ? state[element &+ 1] : State(truncatingIfNeeded: newest)
          let value = Int32(truncatingIfNeeded: state[element]) &- zeroPoint
          sum = sum &+ value &* Int32(truncatingIfNeeded: weights[element])
          element &+= 1
        }
        state += memory
        filter &+= 1
        if filter % rank == 0 {
          let value = factor.requantized(sum) &+ outputZeroPoint
          output[filter / rank &- 1] = Int8(truncatingIfNeeded: clamped(value, params.outputMin, params.outputMax))
        }
      }
      input += depth
      output += filters / rank
      batch &+= 1
    }
  }

  /// The feature product of one input vector.
  private static func multiply(
    _ context: StepContext, _ params: Params, _ input: UnsafePointer<Int8>, depth: Int,
    products: UnsafeMutablePointer<Int16>
  ) {
    var row: UnsafePointer<Int8>? = input
    withUnsafePointer(to: &row) { rows in
      var args = qk_matmul_args(
        rows: rows, pointerStride: 0, rowCount: 1, rowGroups: Int32(truncatingIfNeeded: (depth &+ 3) / 4),
        pixelStride: Int32(truncatingIfNeeded: depth), pixelCount: 1,
        flipped: 0, weights: context.constant(params.feature.weights, as: Int8.self),
        quantization: params.feature.resolved(context), output: products, outputStride: params.filterCount,
        channelCount: params.filterCount)
      context.inner.matmul16(&args)
    }
  }
}
