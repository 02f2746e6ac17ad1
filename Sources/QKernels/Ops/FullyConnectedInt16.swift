/// Dense layer of int16 activations.
///
/// Shapes:       input [..., I] int16 (N rows of I) · weights [O,I] int8 · bias [O] int64 · output [..., O] int16 (N rows)
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × weights
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      packed [ceil(O/16)][ceil(I/4)][16][4], zero in the padding
/// Rounding:     by ``WideChannelQuantization/accumulatorBits``.  Overflow: 64-bit sums of 23-bit products cannot.
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite int16x8 specification, FULLY_CONNECTED; bit-exact with TensorFlow Lite Micro: yes.
public struct FullyConnectedInt16Params: BitwiseCopyable, Sendable {
  /// I.
  public var inputDepth: Int32
  /// O.
  public var outputDepth: Int32
  /// Packed weights, biases and requantization.
  public var quantization: WideChannelQuantization

  /// All fields at once.
  public init(inputDepth: Int32, outputDepth: Int32, quantization: WideChannelQuantization) {
    self.inputDepth = inputDepth
    self.outputDepth = outputDepth
    self.quantization = quantization
  }
}

enum FullyConnectedInt16: Kernel {
  typealias Params = FullyConnectedInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int16)
    try view.require(view.output(0), type: .int16)
    let weightBytes = try FullyConnectedParams.validate(
      view, inputDepth: params.inputDepth, outputDepth: params.outputDepth)
    try params.quantization.validate(view, channelCount: Int(params.outputDepth), weightByteCount: weightBytes)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let inputDepth = Int(params.inputDepth), outputDepth = Int(params.outputDepth)
    var row: UnsafePointer<Int16>? = context.input(0, as: Int16.self)
    withUnsafeMutablePointer(to: &row) { rows in
      let run = Conv2DRun<Int16>(
        rows: rows, rowCount: 1, rowGroups: (inputDepth &+ 3) / 4, pixelStride: inputDepth,
        pixelCount: context.view.input(0).pointee.elementCount / inputDepth, weightOffset: 0, channelOffset: 0,
        outputOffset: 0, outputStride: outputDepth, channelCount: outputDepth)
      run.multiply(
        weights: context.constant(params.quantization.weights, as: Int8.self),
        channels: params.quantization.resolved(context), output: context.output(0, as: Int16.self))
    }
  }
}
