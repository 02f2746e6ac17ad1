import QKernels

extension Lowering {
  mutating func lowerConv2D(_ node: Node, _ op: Conv2DOp) throws(ModelError) {
    let weights = try weights(node, 1, channelAxis: 0)
    let channels = weights.shape[0], taps = weights.shape[1] * weights.shape[2], depth = weights.shape[3]
    let window = try window(
      kernel: (weights.shape[1], weights.shape[2]), stride: (op.strideHeight, op.strideWidth),
      dilation: (op.dilationHeight, op.dilationWidth), padding: op.padding)
    // A group for every input channel is a depthwise convolution: its layout has no padding of single channels.
    if op.groups > 1, depth == 1 {
      try lowerDepthwise(node, window, weights, multiplier: channels / op.groups, op.activation) { $0 * taps + $1 }
    } else {
      try lowerConvolution(node, window, weights, groups: op.groups, op.activation) { ($0 * taps + $1) * depth + $2 }
    }
  }

  mutating func lowerDepthwiseConv2D(_ node: Node, _ op: DepthwiseConv2DOp) throws(ModelError) {
    let weights = try weights(node, 1, channelAxis: 3)
    let channels = weights.shape[3]
    let window = try window(
      kernel: (weights.shape[1], weights.shape[2]), stride: (op.strideHeight, op.strideWidth),
      dilation: (op.dilationHeight, op.dilationWidth), padding: op.padding)
    let inputType = try input(node, 0).type
    if inputType == .int8, channels == op.depthMultiplier, channels > 1 {
      // One input channel: an ordinary convolution, which needs no copies of it.
      try lowerConvolution(node, window, weights, groups: 1, op.activation) { o, tap, _ in tap * channels + o }
    } else {
      try lowerDepthwise(node, window, weights, multiplier: op.depthMultiplier, op.activation) { $1 * channels + $0 }
    }
  }

  /// A convolution; `place(o, tap, c)` is where the weight stands in the graph's tensor.
  private mutating func lowerConvolution(
    _ node: Node, _ window: QKernels.Window2D, _ weights: LayerWeights, groups: Int, _ activation: FusedActivation,
    _ place: (_ o: Int, _ tap: Int, _ c: Int) -> Int
  ) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let channels = weights.scales.count, depth = input.shape[3] / groups, groupChannels = channels / groups
    let geometry = Conv2DGeometry(window: window, groups: Int32(groups))
    let rows = Int(geometry.rowCount), length = Int(geometry.rowLength(channels: Int32(input.shape[3])))
    let tapsPerRow = length / depth
    var packed: [Int8] = []
    var sums = [ChannelSums](repeating: ChannelSums(), count: channels)
    for group in 0..<groups {
      packed += WeightPacking.rows(channels: groupChannels, rows: rows, length: length) { o, r, k in
        let channel = group * groupChannels + o
        let weight = weights.values[place(channel, r * tapsPerRow + k / depth, k % depth)]
        sums[channel].add(Int(weight))
        return weight
      }
    }
    let bias = try bias(node, 2, channels: channels)
    let multipliers = channelMultipliers(input: input, weights: weights, output: output)
    switch (input.type, output.type) {
    case (.int8, .int8):
      let params = Conv2DParams(
        geometry: geometry,
        quantization: try channelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: activation, groups: groups))
      try layerStep(.conv2D, params, input, output, params.scratchByteCount(input: record(input), output: record(output)))
    case (.int16, .int16):
      let params = Conv2DInt16Params(
        geometry: geometry,
        quantization: try wideChannelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: activation, groups: groups, accumulatorBits: accumulatorBits(node, bias: 2)))
      try layerStep(
        .conv2DInt16, params, input, output, params.scratchByteCount(input: record(input), output: record(output)))
    default: throw unsupportedTypes(input, output)
    }
  }

  /// A depthwise convolution; `place(c, tap)` is where the weight of an output channel stands in the graph's tensor.
  private mutating func lowerDepthwise(
    _ node: Node, _ window: QKernels.Window2D, _ weights: LayerWeights, multiplier: Int, _ activation: FusedActivation,
    _ place: (_ c: Int, _ tap: Int) -> Int
  ) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let channels = weights.scales.count
    let geometry = DepthwiseConv2DGeometry(window: window, depthMultiplier: Int32(multiplier))
    var sums = [ChannelSums](repeating: ChannelSums(), count: channels)
    let packed = WeightPacking.taps(channels: channels, taps: Int(window.kernelHeight * window.kernelWidth)) { c, tap in
      let weight = weights.values[place(c, tap)]
      sums[c].add(Int(weight))
      return weight
    }
    let bias = try bias(node, 2, channels: channels)
    let multipliers = channelMultipliers(input: input, weights: weights, output: output)
    switch (input.type, output.type) {
    case (.int8, .int8):
      let params = DepthwiseConv2DParams(
        geometry: geometry,
        quantization: try channelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: activation))
      try layerStep(
        .depthwiseConv2D, params, input, output, params.scratchByteCount(input: record(input), output: record(output)))
    case (.int16, .int16):
      // TensorFlow Lite Micro's depthwise kernel of this type has 64-bit sums whatever the bias.
      let params = DepthwiseConv2DInt16Params(
        geometry: geometry,
        quantization: try wideChannelQuantization(
          packed: packed, sums: [sums], bias: bias, multipliers: multipliers, input: input, output: output,
          activation: activation, accumulatorBits: 64))
      try layerStep(
        .depthwiseConv2DInt16, params, input, output,
        params.scratchByteCount(input: record(input), output: record(output)))
    default: throw unsupportedTypes(input, output)
    }
  }

  mutating func lowerTransposeConv2D(_ node: Node, _ op: TransposeConv2DOp) throws(ModelError) {
    let weights = try weights(node, 1, channelAxis: 0)
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let channels = weights.shape[0], height = weights.shape[1], width = weights.shape[2], depth = weights.shape[3]
    let groupChannels = channels / op.groups
    let geometry = TransposeConv2DGeometry(
      window: try window(
        kernel: (height, width), stride: (op.strideHeight, op.strideWidth),
        dilation: (op.dilationHeight, op.dilationWidth), padding: op.padding), groups: Int32(op.groups))
    var packed: [Int8] = []
    var sums: [[ChannelSums]] = []
    for phase in 0..<geometry.phaseCount {
      let py = phase / geometry.window.strideWidth, px = phase % geometry.window.strideWidth
      let taps = (0..<height * width).filter {
        geometry.contains(ky: Int32($0 / width), kx: Int32($0 % width), py: py, px: px)
      }
      var phaseSums = [ChannelSums](repeating: ChannelSums(), count: channels)
      for group in 0..<op.groups {
        packed += WeightPacking.rows(channels: groupChannels, rows: taps.count, length: depth) { o, r, k in
          let channel = group * groupChannels + o
          let weight = weights.values[(channel * height * width + taps[r]) * depth + k]
          phaseSums[channel].add(Int(weight))
          return weight
        }
      }
      sums.append(phaseSums)
    }
    let bias = try bias(node, 2, channels: channels)
    let multipliers = channelMultipliers(input: input, weights: weights, output: output)
    switch (input.type, output.type) {
    case (.int8, .int8):
      let params = TransposeConv2DParams(
        geometry: geometry,
        quantization: try channelQuantization(
          packed: packed, sums: sums, bias: bias, multipliers: multipliers, input: input, output: output,
          activation: op.activation, groups: op.groups))
      try layerStep(
        .transposeConv2D, params, input, output, params.scratchByteCount(input: record(input), output: record(output)))
    case (.int16, .int16):
      let params = TransposeConv2DInt16Params(
        geometry: geometry,
        quantization: try wideChannelQuantization(
          packed: packed, sums: sums, bias: bias, multipliers: multipliers, input: input, output: output,
          activation: op.activation, groups: op.groups, accumulatorBits: 64))
      try layerStep(
        .transposeConv2DInt16, params, input, output,
        params.scratchByteCount(input: record(input), output: record(output)))
    default: throw unsupportedTypes(input, output)
    }
  }

  /// Adds the step of a layer with one input and one output.
  mutating func layerStep<Params: BitwiseCopyable>(
    _ code: OpCode, _ params: Params, _ input: Operand, _ output: Operand, _ scratch: Int?
  ) throws(ModelError) {
    guard let scratch else { throw ModelError(.unsupported, "the layer needs more than 2 GiB") }
    builder.step(
      code, params, inputs: [try existing(input.id)], outputs: [try activation(output.id)], scratch: scratch)
  }

  /// A window whose numbers fit the record.
  func window(
    kernel: (height: Int, width: Int), stride: (height: Int, width: Int), dilation: (height: Int, width: Int),
    padding: Padding2D
  ) throws(ModelError) -> QKernels.Window2D {
    let limit = 32767
    let numbers = [
      kernel.height, kernel.width, stride.height, stride.width, dilation.height, dilation.width, padding.top, padding.left,
    ]
    guard numbers.allSatisfy({ $0 >= 0 && $0 <= limit }) else {
      throw ModelError(.unsupported, "a window's size, stride, dilation or padding exceeds \(limit)")
    }
    return QKernels.Window2D(
      kernelHeight: Int32(kernel.height), kernelWidth: Int32(kernel.width), strideHeight: Int32(stride.height),
      strideWidth: Int32(stride.width), dilationHeight: Int32(dilation.height), dilationWidth: Int32(dilation.width),
      padTop: Int32(padding.top), padLeft: Int32(padding.left))
  }

  /// Bits of the sums of a layer with int16 activations: TensorFlow Lite Micro goes by the type of the bias.
  func accumulatorBits(_ node: Node, bias index: Int) -> Int {
    guard index < node.inputs.count, let id = node.inputs[index] else { return 64 }
    return graph.tensors[id].type == .int32 ? 32 : 64
  }

  /// A tensor record of the shape alone, for the ops' own size formulas.
  func record(_ operand: Operand) -> TensorRecord {
    var record = TensorRecord()
    record.type = operand.type.rawValue
    record.setShape(operand.shape)
    record.zeroPoint = Int32(operand.zeroPoint)
    record.byteCount = UInt32(truncatingIfNeeded: operand.elementCount * operand.type.byteCount)
    return record
  }

  func unsupportedTypes(_ input: Operand, _ output: Operand) -> ModelError {
    ModelError(.unsupported, "no kernel goes from \(input.type) to \(output.type)")
  }
}
