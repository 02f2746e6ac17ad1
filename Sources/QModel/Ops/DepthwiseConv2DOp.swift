/// Attributes of ``OpKind/depthwiseConv2D(_:)``.
public struct DepthwiseConv2DOp: Sendable, Equatable {
  /// Input elements between neighbouring windows.
  public var strideHeight = 1, strideWidth = 1
  /// Input elements between neighbouring taps of a window.
  public var dilationHeight = 1, dilationWidth = 1
  /// Zeros around the input.
  public var padding = Padding2D()
  /// Output channels per input channel.
  public var depthMultiplier = 1
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// Stride, dilation and multiplier 1, no padding.
  public init() {}
}

extension DepthwiseConv2DOp: GraphOp {
  static var name: String { "DepthwiseConv2D" }

  private func rows(_ input: [Int], _ weights: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[1], kernel: weights[1], stride: strideHeight, dilation: dilationHeight, before: padding.top,
      after: padding.bottom)
  }

  private func columns(_ input: [Int], _ weights: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[2], kernel: weights[2], stride: strideWidth, dilation: dilationWidth, before: padding.left,
      after: padding.right)
  }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 2, optional: 1)
    let input = try operands.shape(0, rank: 4, "input")
    let weights = try operands.shape(1, rank: 4, "weights tensor")
    try operands.requireAttribute(depthMultiplier, atLeast: 1, "the depth multiplier")
    let outputs = input[3] * depthMultiplier
    try operands.require(
      weights[0] == 1 && weights[3] == outputs,
      "weights \(weights) with multiplier \(depthMultiplier) do not fit input \(input)")
    if let bias = operands.optional(2) {
      try operands.require(bias == [outputs], "the bias has shape \(bias), expected [\(outputs)]")
    }
    try activation.validate(operands)
    let height = try rows(input, weights).outputSize(operands, "height")
    let width = try columns(input, weights).outputSize(operands, "width")
    return [try operands.result([input[0], height, width, outputs])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    var input = inputs.operand(0)
    let weights = inputs.operand(1)
    let outputs = weights.shape[3]
    if depthMultiplier > 1 { input = Self.repeatChannels(input, depthMultiplier) }
    let bias = inputs.optionalOperand(2)?.values ?? [Float](repeating: 0, count: outputs)
    let rows = rows(input.shape, weights.shape)
    let columns = columns(input.shape, weights.shape)
    let height = (rows.input + rows.before + rows.after - rows.extent) / rows.stride + 1
    let width = (columns.input + columns.before + columns.after - columns.extent) / columns.stride + 1
    let output = FloatTensor(shape: [input.shape[0], height, width, outputs]) { output in
      input.values.withUnsafeBufferPointer { source in
        weights.values.withUnsafeBufferPointer { weights in
          bias.withUnsafeBufferPointer { bias in
            guard let source = source.baseAddress, let weights = weights.baseAddress, let bias = bias.baseAddress,
              var target = output.baseAddress
            else { return }
            for image in 0..<input.shape[0] {
              let pixels = source + image * rows.input * columns.input * outputs
              for y in 0..<height {
                let tapRows = rows.taps(y)
                let top = y &* rows.stride &- rows.before
                for x in 0..<width {
                  let tapColumns = columns.taps(x)
                  let left = x &* columns.stride &- columns.before
                  target.update(from: bias, count: outputs)
                  for ky in tapRows {
                    let line = pixels + (top &+ ky &* rows.dilation) &* columns.input &* outputs
                    for kx in tapColumns {
                      multiplyAdd(
                        line + (left &+ kx &* columns.dilation) &* outputs,
                        weights + (ky &* columns.kernel &+ kx) &* outputs, count: outputs, into: target)
                    }
                  }
                  target += outputs
                }
              }
            }
          }
        }
      }
      activation.apply(to: output)
    }
    return [output]
  }

  /// Each channel `factor` times in a row.
  private static func repeatChannels(_ input: FloatTensor, _ factor: Int) -> FloatTensor {
    var shape = input.shape
    shape[3] *= factor
    return FloatTensor(shape: shape) { buffer in
      for (index, value) in input.values.enumerated() {
        for copy in 0..<factor { buffer[index &* factor &+ copy] = value }
      }
    }
  }
}
