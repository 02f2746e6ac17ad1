/// Attributes of ``OpKind/conv2D(_:)``.
public struct Conv2DOp: Sendable, Equatable {
  /// Input elements between neighbouring windows.
  public var strideHeight = 1, strideWidth = 1
  /// Input elements between neighbouring taps of a window.
  public var dilationHeight = 1, dilationWidth = 1
  /// Zeros around the input.
  public var padding = Padding2D()
  /// Blocks of channels that do not see each other.
  public var groups = 1
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// Stride and dilation 1, no padding, one group.
  public init() {}
}

extension Conv2DOp: GraphOp {
  static var name: String { "Conv2D" }

  func rows(_ input: [Int], _ weights: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[1], kernel: weights[1], stride: strideHeight, dilation: dilationHeight, before: padding.top,
      after: padding.bottom)
  }

  func columns(_ input: [Int], _ weights: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[2], kernel: weights[2], stride: strideWidth, dilation: dilationWidth, before: padding.left,
      after: padding.right)
  }

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
    let height = try rows(input, weights).outputSize(operands, "height")
    let width = try columns(input, weights).outputSize(operands, "width")
    return [try operands.result([input[0], height, width, weights[0]])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let weights = inputs.operand(1)
    let bias = inputs.optionalOperand(2)?.values
    let rows = rows(input.shape, weights.shape)
    let columns = columns(input.shape, weights.shape)
    let height = (rows.input + rows.before + rows.after - rows.extent) / rows.stride + 1
    let width = (columns.input + columns.before + columns.after - columns.extent) / columns.stride + 1
    let channels = input.shape[3]
    let groupChannels = weights.shape[3]
    let outputs = weights.shape[0]
    let groupOutputs = outputs / groups
    let depth = rows.kernel * columns.kernel * groupChannels
    let packed = (0..<groups).map { group in
      weights.values.withUnsafeBufferPointer { buffer in
        let first = group * groupOutputs * depth
        return PackedWeights(columns: groupOutputs, depth: depth) { buffer[first &+ $0 &* depth &+ $1] }
      }
    }
    // A 1x1 window with stride 1 reads the input as it lies; any other is gathered a few positions at a time.
    let isPointwise =
      rows.kernel == 1 && columns.kernel == 1 && rows.stride == 1 && columns.stride == 1 && padding == .zero
    let positions = height * width
    let chunk = isPointwise ? positions : min(positions, max(8, 16384 / depth))
    var patches = [Float](repeating: 0, count: isPointwise ? 0 : chunk * depth)
    let output = FloatTensor(shape: [input.shape[0], height, width, outputs]) { output in
      input.values.withUnsafeBufferPointer { source in
        patches.withUnsafeMutableBufferPointer { patches in
          guard let source = source.baseAddress, let target = output.baseAddress else { return }
          for image in 0..<input.shape[0] {
            let pixels = source + image * rows.input * columns.input * channels
            let result = target + image * positions * outputs
            for group in 0..<groups {
              var first = 0
              while first < positions {
                let count = min(chunk, positions - first)
                var left = pixels + (first * channels + group * groupChannels)
                var leftStride = channels
                if !isPointwise, let patch = patches.baseAddress {
                  for position in 0..<count {
                    Self.gatherPatch(
                      pixels + group * groupChannels, rows, columns, y: (first + position) / width,
                      x: (first + position) % width, channels: channels, groupChannels: groupChannels,
                      to: patch + position * depth)
                  }
                  left = UnsafePointer(patch)
                  leftStride = depth
                }
                withBias(bias, from: group * groupOutputs) { bias in
                  multiply(
                    rows: left, count: count, rowStride: leftStride, weights: packed[group], bias: bias,
                    output: result + (first * outputs + group * groupOutputs), outputStride: outputs)
                }
                first += count
              }
            }
          }
        }
      }
      activation.apply(to: output)
    }
    return [output]
  }

  /// Copies what one window sees, zeros in the padding: [KH, KW, groupChannels].
  private static func gatherPatch(
    _ pixels: UnsafePointer<Float>, _ rows: WindowAxis, _ columns: WindowAxis, y: Int, x: Int, channels: Int,
    groupChannels: Int, to patch: UnsafeMutablePointer<Float>
  ) {
    let top = y &* rows.stride &- rows.before
    let left = x &* columns.stride &- columns.before
    var target = patch
    for ky in 0..<rows.kernel {
      let row = top &+ ky &* rows.dilation
      if row < 0 || row >= rows.input {
        target.update(repeating: 0, count: columns.kernel &* groupChannels)
        target += columns.kernel &* groupChannels
        continue
      }
      let line = pixels + row &* columns.input &* channels
      for kx in 0..<columns.kernel {
        let column = left &+ kx &* columns.dilation
        if column < 0 || column >= columns.input {
          target.update(repeating: 0, count: groupChannels)
        } else {
          target.update(from: line + column &* channels, count: groupChannels)
        }
        target += groupChannels
      }
    }
  }
}

/// Calls `body` with the bias from an index on, nil if there is none.
func withBias<Result>(
  _ bias: [Float]?, from start: Int, _ body: (UnsafePointer<Float>?) -> Result
) -> Result {
  guard let bias else { return body(nil) }
  return bias.withUnsafeBufferPointer { body($0.baseAddress.map { $0 + start }) }
}
