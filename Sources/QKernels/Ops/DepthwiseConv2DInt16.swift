/// Depthwise convolution of int16 activations.
///
/// Shapes:       input [N,H,W,C] int16 · weights [1,KH,KW,C·M] int8 · bias [C·M] int64 · output [N,OH,OW,C·M] int16
/// Quantization: real = scale × (q − zeroPoint); weights zeroPoint 0, per channel; padding is the input's zero point
/// Computes:     acc = bias[o] + Σ (input − inputZeroPoint) × weights
///               output = clamp(outputZeroPoint + requantize(acc, multiplier[o], shift[o]), outputMin, outputMax)
/// Weights:      as ``DepthwiseConv2DParams``
/// Rounding:     by ``WideChannelQuantization/accumulatorBits``.  Overflow: 64-bit sums of 23-bit products cannot.
/// Scratch:      ``DepthwiseConv2DInt16Params/scratchByteCount(input:output:)``.  Aliasing: output must not overlap input.
/// Source:       TFLite int16x8 specification, DEPTHWISE_CONV_2D; bit-exact with TensorFlow Lite Micro: yes.
public struct DepthwiseConv2DInt16Params: BitwiseCopyable, Sendable {
  /// Window, groups or depth multiplier.
  public var geometry: DepthwiseConv2DGeometry
  /// Packed weights, biases and requantization.
  public var quantization: WideChannelQuantization

  /// All fields at once.
  public init(geometry: DepthwiseConv2DGeometry, quantization: WideChannelQuantization) {
    self.geometry = geometry
    self.quantization = quantization
  }

  /// Bytes of scratch that the step needs, for tensors of these shapes; nil if a size leaves 31 bits.
  public func scratchByteCount(input: TensorRecord, output: TensorRecord) -> Int? {
    geometry.layout(input: input, output: output, elementSize: 2)?.scratchByteCount
  }
}

enum DepthwiseConv2DInt16: Kernel {
  typealias Params = DepthwiseConv2DInt16Params

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self).pointee
    try view.require(view.input(0), type: .int16)
    try view.require(view.output(0), type: .int16)
    let weightBytes = try params.geometry.validate(view, elementSize: 2)
    try params.quantization.validate(
      view, channelCount: view.output(0).pointee.dimension(3), weightByteCount: weightBytes)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let outputRecord = context.view.output(0).pointee
    let channelCount = outputRecord.dimension(3), width = outputRecord.dimension(2)
    let tapCount = params.geometry.window.tapCount
    let pixelStride = Int(params.geometry.window.strideWidth) &* channelCount
    let weights = context.constant(params.quantization.weights, as: Int8.self)
    let channels = params.quantization.resolved(context)
    let output = context.output(0, as: Int16.self)
    params.geometry.forEachRow(context) { (taps: UnsafeMutablePointer<UnsafePointer<Int16>?>, row: Int) in
      let destination = output + row &* width &* channelCount
      var pixel = 0
      while pixel < width {
        var channel = 0
        while channel < channelCount {
          let channelWeights = weights + (channel / 16 &* ((tapCount &+ 3) / 4) &* 64 &+ channel % 16 &* 4)
          var accumulator = channels.bias[channel]
          var tap = 0
          while tap < tapCount {
            if let start = taps[tap] {
              let weight = Int32(channelWeights[tap / 4 &* 64 &+ tap % 4])
              accumulator = accumulator &+ wideProduct(Int32(start[pixel &* pixelStride &+ channel]), weight)
            }
            tap &+= 1
          }
          destination[pixel &* channelCount &+ channel] = channels.output(accumulator, channel: channel)
          channel &+= 1
        }
        pixel &+= 1
      }
    }
  }
}
