/// A node with weights as matrix products: each block of output channels is a matrix of `depth` columns applied to patches
/// of the input.
///
/// A convolution has one block per group, a depthwise convolution one per input channel, a dense layer one in all.
struct LinearLayer {
  let nodeIndex: Int
  let input: TensorID
  let weights: TensorID
  let bias: TensorID?
  let output: TensorID
  let kind: Kind
  /// The shape of the weights in the graph.
  let weightShape: [Int]
  let inputShape: [Int]
  let outputShape: [Int]
  /// The part of a recurrent node that this is; nil for other nodes.
  let recurrent: RecurrentPart?

  enum Kind {
    case dense
    case conv2D(Conv2DOp)
    case depthwise(DepthwiseConv2DOp)
    case transposed(TransposeConv2DOp)
  }

  /// - Returns: nil if the node is no layer with weights.
  /// - Throws: ``ModelError`` without the node's name when its weights or bias are not constant.
  init?(_ node: Node, index: Int, in graph: Graph) throws(ModelError) {
    switch node.op {
    case .fullyConnected: kind = .dense
    case .conv2D(let op): kind = .conv2D(op)
    case .depthwiseConv2D(let op): kind = .depthwise(op)
    case .transposeConv2D(let op): kind = .transposed(op)
    case .batchMatMul, .averagePool2D, .maxPool2D, .mean, .binary, .unary, .prelu, .softmax, .logSoftmax,
      .batchNormalization, .concatenation, .split, .slice, .pad, .reshape, .transpose, .resize, .requantize, .recurrent,
      .svdf:
      return nil
    }
    guard let input = node.inputs[0], let weights = node.inputs[1] else { return nil }
    let bias = node.inputs.count > 2 ? node.inputs[2] : nil
    guard graph.tensors[weights].isConstant, !graph.tensors[input].isConstant,
      bias.map({ graph.tensors[$0].isConstant }) ?? true
    else {
      throw ModelError(
        .unsupported, "its weights and bias must be constant, and its input must not be",
        hint: "a product of two activations is a MatMul")
    }
    recurrent = nil
    nodeIndex = index
    self.input = input
    self.weights = weights
    self.bias = bias
    output = node.outputs[0]
    weightShape = graph.tensors[weights].shape
    inputShape = graph.tensors[input].shape
    outputShape = graph.tensors[output].shape
  }

  /// The axis of the weights that counts output channels.
  var channelAxis: Int {
    switch kind {
    case .dense, .conv2D, .transposed: 0
    case .depthwise: 3
    }
  }

  var channelCount: Int { weightShape[channelAxis] }

  /// Blocks of output channels that share their patches.
  var blockCount: Int {
    switch kind {
    case .dense: 1
    case .conv2D(let op): op.groups
    case .transposed(let op): op.groups
    case .depthwise(let op): weightShape[3] / op.depthMultiplier
    }
  }

  /// Output channels per block.
  var blockChannels: Int { channelCount / blockCount }

  /// Weights of one output channel.
  var depth: Int { weightShape.reduce(1, *) / channelCount }

  /// The index of a weight in the graph's tensor; `k` counts taps, then input channels of the block.
  func weightIndex(channel: Int, k: Int) -> Int {
    switch kind {
    case .dense, .conv2D, .transposed: channel * depth + k
    case .depthwise: k * channelCount + channel
    }
  }

  /// Output positions of one sample: places at which the weights are applied.
  var positionCount: Int { outputShape.dropLast().reduce(1, *) }

  /// Multiplications of one sample.
  var multiplications: Int { positionCount * channelCount * depth }
}

// MARK: Patches

extension LinearLayer {
  /// Copies what the weights see at one output position: `[taps][input channels]`, all blocks; zeros in the padding.
  ///
  /// - Parameters:
  ///   - position: 0..<positionCount.
  ///   - source: the input's values.
  ///   - target: room for `patchCount` values.
  func gatherPatch(
    _ position: Int, from source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>
  ) {
    switch kind {
    case .dense: target.update(from: source + position * depth, count: depth)
    case .conv2D(let op):
      gatherWindow(
        position, source, target,
        row: { $0 * op.strideHeight - op.padding.top + $1 * op.dilationHeight },
        column: { $0 * op.strideWidth - op.padding.left + $1 * op.dilationWidth })
    case .depthwise(let op):
      gatherWindow(
        position, source, target,
        row: { $0 * op.strideHeight - op.padding.top + $1 * op.dilationHeight },
        column: { $0 * op.strideWidth - op.padding.left + $1 * op.dilationWidth })
    case .transposed(let op):
      // The input pixels that add to an output pixel: those at whole multiples of the stride.
      func place(_ output: Int, _ tap: Int, _ stride: Int, _ dilation: Int, _ padding: Int) -> Int {
        let distance = output + padding - tap * dilation
        return distance >= 0 && distance % stride == 0 ? distance / stride : -1
      }
      gatherWindow(
        position, source, target,
        row: { place($0, $1, op.strideHeight, op.dilationHeight, op.padding.top) },
        column: { place($0, $1, op.strideWidth, op.dilationWidth, op.padding.left) })
    }
  }

  /// Values of one patch.
  var patchCount: Int {
    switch kind {
    case .dense: depth
    case .conv2D, .depthwise, .transposed: windowSize.height * windowSize.width * inputShape[3]
    }
  }

  private var windowSize: (height: Int, width: Int) { (weightShape[1], weightShape[2]) }

  private func gatherWindow(
    _ position: Int, _ source: UnsafePointer<Float>, _ target: UnsafeMutablePointer<Float>,
    row: (_ output: Int, _ tap: Int) -> Int, column: (_ output: Int, _ tap: Int) -> Int
  ) {
    let (height, width, channels) = (inputShape[1], inputShape[2], inputShape[3])
    let x = position % outputShape[2], y = position / outputShape[2] % outputShape[1]
    let image = source + position / (outputShape[1] * outputShape[2]) * height * width * channels
    var target = target
    for ky in 0..<windowSize.height {
      let sourceRow = row(y, ky)
      for kx in 0..<windowSize.width {
        let sourceColumn = column(x, kx)
        if sourceRow >= 0, sourceRow < height, sourceColumn >= 0, sourceColumn < width {
          target.update(from: image + (sourceRow * width + sourceColumn) * channels, count: channels)
        } else {
          target.update(repeating: 0, count: channels)
        }
        target += channels
      }
    }
  }
}
