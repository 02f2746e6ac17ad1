/// Attributes of ``OpKind/transposeConv2D(_:)``. Input pixel (y, x) adds to output pixels
/// (y·strideHeight − padding.top + ky·dilationHeight, x·strideWidth − padding.left + kx·dilationWidth).
public struct TransposeConv2DOp: Sendable, Equatable {
  /// Output elements between the windows of neighbouring input pixels.
  public var strideHeight = 1, strideWidth = 1
  /// Output elements between neighbouring taps of a window.
  public var dilationHeight = 1, dilationWidth = 1
  /// What is cropped from the full result; only top and left matter, the output size says the rest.
  public var padding = Padding2D()
  /// Blocks of channels that do not see each other.
  public var groups = 1
  /// The size of the result.
  public var outputHeight = 1, outputWidth = 1
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// Stride and dilation 1, no cropping, one group, a 1x1 output.
  public init() {}
}

extension TransposeConv2DOp: GraphOp {
  static var name: String { "TransposeConv2D" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 2, optional: 1)
    let input = try operands.shape(0, rank: 4, "input")
    let weights = try operands.shape(1, rank: 4, "weights tensor")
    try operands.requireAttribute(groups, atLeast: 1, "the number of groups")
    try operands.require(
      input[3] % groups == 0 && weights[0] % groups == 0 && weights[3] == input[3] / groups,
      "weights \(weights) in \(groups) groups do not fit input \(input)")
    if let bias = operands.optional(2) {
      try operands.require(bias == [weights[0]], "the bias has shape \(bias), expected [\(weights[0])]")
    }
    try activation.validate(operands)
    for (value, name) in [
      (strideHeight, "the height stride"), (strideWidth, "the width stride"),
      (dilationHeight, "the height dilation"), (dilationWidth, "the width dilation"),
      (outputHeight, "the output's height"), (outputWidth, "the output's width"),
    ] {
      try operands.requireAttribute(value, atLeast: 1, name)
    }
    for (value, name) in [(padding.top, "top"), (padding.left, "left")] {
      try operands.requireAttribute(value, atLeast: 0, "the padding at the \(name)")
    }
    return [try operands.result([input[0], outputHeight, outputWidth, weights[0]])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let weights = inputs.operand(1)
    let bias = inputs.optionalOperand(2)?.values
    let height = input.shape[1]
    let width = input.shape[2]
    let channels = input.shape[3]
    let outputs = weights.shape[0]
    let kernelHeight = weights.shape[1]
    let kernelWidth = weights.shape[2]
    let groupChannels = weights.shape[3]
    let groupOutputs = outputs / groups
    let taps = kernelHeight * kernelWidth
    // One product gives what each pixel of a row adds to each tap and output channel; the sum then scatters it.
    let packed = (0..<groups).map { group in
      weights.values.withUnsafeBufferPointer { buffer in
        PackedWeights(columns: taps * groupOutputs, depth: groupChannels) { column, k in
          let (tap, output) = column.quotientAndRemainder(dividingBy: groupOutputs)
          return buffer[((group &* groupOutputs &+ output) &* taps &+ tap) &* groupChannels &+ k]
        }
      }
    }
    var shares = [Float](repeating: 0, count: width * taps * groupOutputs)
    let result = FloatTensor(shape: [input.shape[0], outputHeight, outputWidth, outputs]) { output in
      for index in output.indices { output[index] = bias.map { $0[index % outputs] } ?? 0 }
      input.values.withUnsafeBufferPointer { source in
        shares.withUnsafeMutableBufferPointer { shares in
          guard let source = source.baseAddress, let target = output.baseAddress, let shares = shares.baseAddress
          else { return }
          for image in 0..<input.shape[0] {
            let plane = target + image * outputHeight * outputWidth * outputs
            for y in 0..<height {
              let line = source + (image * height + y) * width * channels
              for group in 0..<groups {
                multiply(
                  rows: line + group * groupChannels, count: width, rowStride: channels, weights: packed[group],
                  bias: nil, output: shares, outputStride: taps * groupOutputs)
                for x in 0..<width {
                  for ky in 0..<kernelHeight {
                    let outputY = y &* strideHeight &- padding.top &+ ky &* dilationHeight
                    if outputY < 0 || outputY >= outputHeight { continue }
                    for kx in 0..<kernelWidth {
                      let outputX = x &* strideWidth &- padding.left &+ kx &* dilationWidth
                      if outputX < 0 || outputX >= outputWidth { continue }
                      let share = shares + ((x &* taps &+ ky &* kernelWidth &+ kx) &* groupOutputs)
                      let pixel = plane + ((outputY &* outputWidth &+ outputX) &* outputs &+ group &* groupOutputs)
                      for channel in 0..<groupOutputs { pixel[channel] += share[channel] }
                    }
                  }
                }
              }
            }
          }
        }
      }
      activation.apply(to: output)
    }
    return [result]
  }
}
