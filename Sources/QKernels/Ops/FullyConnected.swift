import QKernelsIntrinsics

/// Dense layer.
///
/// Shapes:       input [..., I] int8 (N rows of I) · weights [O,I] int8 · bias [O] int32 · output [..., O] int8 (N rows)
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × weights
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      packed [O/16][1][ceil(I/4)][16][4], zero in the padding
/// Rounding:     double rounding.  Overflow: the plan compiler bounds each channel's worst case; here it wraps.
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite int8 specification, FULLY_CONNECTED; bit-exact with TensorFlow Lite Micro: yes.
public struct FullyConnectedParams: BitwiseCopyable, Sendable {
  /// I.
  public var inputDepth: Int32
  /// O.
  public var outputDepth: Int32
  public var quantization: ChannelQuantization

  /// All fields at once.
  public init(inputDepth: Int32, outputDepth: Int32, quantization: ChannelQuantization) {
    self.inputDepth = inputDepth
    self.outputDepth = outputDepth
    self.quantization = quantization
  }
}

enum FullyConnected: Kernel {
  typealias Params = FullyConnectedParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    let input = view.input(0), output = view.output(0)
    try view.require(input, type: .int8)
    try view.require(output, type: .int8)
    let inputDepth = Int(params.inputDepth), outputDepth = Int(params.outputDepth)
    guard inputDepth > 0, outputDepth > 0, inputDepth <= 1 << 20, outputDepth <= 1 << 20,
      input.pointee.elementCount % inputDepth == 0, output.pointee.elementCount % outputDepth == 0,
      input.pointee.elementCount / inputDepth == output.pointee.elementCount / outputDepth
    else { throw .badParams }
    let groups = (inputDepth + 3) / 4, blocks = (outputDepth + 15) / 16
    guard let blockBytes = Int32(exactly: groups * 64), blockBytes.multipliedReportingOverflow(by: Int32(blocks)).overflow == false
    else { throw .badParams }
    try params.quantization.validate(view, channelCount: outputDepth, weightByteCount: Int(blockBytes) * blocks)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self)
    let inputDepth = params.pointee.inputDepth
    var row: UnsafePointer<Int8>? = context.input(0, as: Int8.self)
    withUnsafePointer(to: &row) { rows in
      var args = qk_matmul_args(
        rows: rows, pointerStride: 0, rowCount: 1, rowGroups: (inputDepth + 3) / 4, pixelStride: inputDepth,
        pixelCount: Int32(truncatingIfNeeded: context.view.input(0).pointee.elementCount) / inputDepth,
        weights: context.constant(params.pointee.quantization.weights, as: Int8.self),
        quantization: params.pointee.quantization.resolved(context),
        output: context.output(0, as: Int8.self), outputStride: params.pointee.outputDepth,
        channelCount: params.pointee.outputDepth)
      context.inner.matmul(&args)
    }
  }
}
