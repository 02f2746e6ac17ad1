/// Transposed convolution of int16 activations.
///
/// Shapes:       input [N,H,W,C] int16 · weights [O,KH,KW,C/groups] int8 · bias [O] int64 · output [N,OH,OW,O] int16
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel
/// Computes:     as ``TransposeConv2DParams``, with 64-bit sums
/// Weights:      as ``TransposeConv2DParams``; bias [phases][groups][ceil(O/groups/16)·16] Int64
/// Rounding:     by ``WideChannelQuantization/accumulatorBits``.  Overflow: 64-bit sums of 23-bit products cannot.
/// Scratch:      ``TransposeConv2DInt16Params/scratchByteCount(input:output:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int16x8 specification, TRANSPOSE_CONV; bit-exact with TensorFlow Lite Micro: yes.
public struct TransposeConv2DInt16Params: BitwiseCopyable, Sendable {
  /// Window, groups or depth multiplier.
  public var geometry: TransposeConv2DGeometry
  /// Packed weights, biases and requantization.
  public var quantization: WideChannelQuantization

  /// All fields at once.
  public init(geometry: TransposeConv2DGeometry, quantization: WideChannelQuantization) {
    self.geometry = geometry
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs, for tensors of these shapes; nil if a size leaves 31 bits.
  public func scratchByteCount(input: TensorRecord, output: TensorRecord) -> Int? {
    geometry.layout(input: input, output: output, elementSize: 2)?.scratchByteCount
  }
}

enum TransposeConv2DInt16: Kernel {
  typealias Params = TransposeConv2DInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int16)
    try view.require(view.output(0), type: .int16)
    let weightBytes = try params.geometry.validate(view, elementSize: 2)
    let groups = Int(params.geometry.groups)
    let groupLanes = roundedUp(view.output(0).pointee.dimension(3) / groups, toMultipleOf: 16)
    try params.quantization.validate(
      view, channelCount: groupLanes * groups, weightByteCount: weightBytes, biasRows: Int(params.geometry.phaseCount))
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let weights = context.constant(params.quantization.weights, as: Int8.self)
    let quantization = params.quantization.resolved(context)
    let output = context.output(0, as: Int16.self)
    let groups = Int(params.geometry.groups)
    let lanes = roundedUp(context.view.output(0).pointee.dimension(3) / groups, toMultipleOf: 16) &* groups
    params.geometry.forEachRun(context) { (run: Conv2DRun<Int16>, phase: Int) in
      var channels = quantization.advanced(by: run.channelOffset)
      channels.bias += phase &* lanes
      run.multiply(weights: weights, channels: channels, output: output)
    }
  }
}
