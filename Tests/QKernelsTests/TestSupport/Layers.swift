import Testing

@testable import QKernels
@testable import QModel

/// A convolution of either kind with unpacked weights: what both the kernels and the plain formulas start from.
struct TestConvolution {
  /// The kinds of layer.
  enum Kind: Equatable {
    case convolution
    /// Output channels per input channel.
    case depthwise(multiplier: Int)
    case transposed
  }

  var kind: Kind
  var input: Operand
  /// [O][KH][KW][C/groups]; depthwise: [C·M][KH][KW][1].
  var weights: [Int]
  var outputShape: [Int]
  var window: Window2D
  var groups = 1
  var quantization: LayerQuantization

  var isWide: Bool { input.type == .int16 }
  var channels: Int { input.shape[3] }
  var outputChannels: Int { outputShape[3] }
  var depth: Int { kind == .convolution || kind == .transposed ? channels / groups : 1 }
  var kernelHeight: Int { Int(window.kernelHeight) }
  var kernelWidth: Int { Int(window.kernelWidth) }

  func weight(_ o: Int, _ ky: Int, _ kx: Int, _ c: Int) -> Int {
    weights[((o * kernelHeight + ky) * kernelWidth + kx) * depth + c]
  }

  private func sample(_ n: Int, _ y: Int, _ x: Int, _ c: Int) -> Int {
    input.values[((n * input.shape[1] + y) * input.shape[2] + x) * channels + c] - input.zeroPoint
  }

  /// The output by the definition: one sum per output value.
  func expected() -> [Int] {
    var result: [Int] = []
    for n in 0..<outputShape[0] {
      for oy in 0..<outputShape[1] {
        for ox in 0..<outputShape[2] {
          for o in 0..<outputChannels {
            result.append(quantization.output(sum(n, oy, ox, o), channel: o, wide: isWide))
          }
        }
      }
    }
    return result
  }

  private func sum(_ n: Int, _ oy: Int, _ ox: Int, _ o: Int) -> Int {
    var sum = 0
    for ky in 0..<kernelHeight {
      for kx in 0..<kernelWidth {
        guard let y = position(oy, ky, window.strideHeight, window.dilationHeight, window.padTop), y < input.shape[1],
          let x = position(ox, kx, window.strideWidth, window.dilationWidth, window.padLeft), x < input.shape[2]
        else { continue }
        for c in 0..<depth {
          let channel: Int
          switch kind {
          case .depthwise(let multiplier): channel = o / multiplier
          case .convolution, .transposed: channel = o / (outputChannels / groups) * depth + c
          }
          sum += sample(n, y, x, channel) * weight(o, ky, kx, c)
        }
      }
    }
    return sum
  }

  /// The input position that tap `k` of output `o` meets, nil before the input or between its pixels.
  private func position(_ o: Int, _ k: Int, _ stride: Int32, _ dilation: Int32, _ pad: Int32) -> Int? {
    if kind == .transposed {
      let scaled = o + Int(pad) - k * Int(dilation)
      return scaled >= 0 && scaled % Int(stride) == 0 ? scaled / Int(stride) : nil
    }
    let position = o * Int(stride) - Int(pad) + k * Int(dilation)
    return position >= 0 ? position : nil
  }

  /// Runs the kernel and returns its output.
  func run() throws -> [Int] {
    let output = Operand(
      shape: outputShape, type: input.type, zeroPoint: quantization.outputZeroPoint)
    switch kind {
    case .convolution: return try runConvolution(output)
    case .depthwise(let multiplier): return try runDepthwise(output, multiplier)
    case .transposed: return try runTransposed(output)
    }
  }

  private func channelSums(_ include: (Int, Int) -> Bool = { _, _ in true }) -> [Int] {
    (0..<outputChannels).map { o in
      var sum = 0
      for ky in 0..<kernelHeight {
        for kx in 0..<kernelWidth where include(ky, kx) {
          for c in 0..<depth { sum += weight(o, ky, kx, c) }
        }
      }
      return sum
    }
  }

  private var geometry: Conv2DGeometry { Conv2DGeometry(window: window, groups: Int32(groups)) }

  private var packedConvolution: [Int8] {
    let perGroup = outputChannels / groups
    let rows = Int(geometry.rowCount), length = Int(geometry.rowLength(channels: Int32(channels)))
    let isContiguous = groups == 1 && window.dilationWidth == 1
    return (0..<groups).flatMap { group in
      Packing.matmul(channels: perGroup, rows: rows, length: length) { channel, row, k in
        let o = group * perGroup + channel
        return isContiguous
          ? weight(o, row, k / depth, k % depth) : weight(o, row / kernelWidth, row % kernelWidth, k)
      }
    }
  }

  private func runConvolution(_ output: Operand) throws -> [Int] {
    if isWide {
      return try runStep(
        .conv2DInt16, inputs: [input], outputs: [output],
        scratch: { (p: Conv2DInt16Params) in p.scratchByteCount(input: input.record, output: output.record) ?? -1 },
        makeParams: {
          Conv2DInt16Params(
            geometry: geometry,
            quantization: quantization.wideRecord(
              &$0, weights: packedConvolution, groups: groups, sums: [channelSums()], inputZeroPoint: input.zeroPoint))
        }
      ).outputs[0]
    }
    return try runStep(
      .conv2D, inputs: [input], outputs: [output], scratch: { scratch($0, output) }, makeParams: conv2DParams
    ).outputs[0]
  }

  private func scratch(_ params: Conv2DParams, _ output: Operand) -> Int {
    params.scratchByteCount(input: input.record, output: output.record) ?? -1
  }

  private func conv2DParams(_ builder: inout PlanBuilder) -> Conv2DParams {
    Conv2DParams(
      geometry: geometry,
      quantization: quantization.record(
        &builder, weights: packedConvolution, groups: groups, sums: [channelSums()], inputZeroPoint: input.zeroPoint))
  }

  /// The workspace that an int8 convolution asks for on an instruction set.
  func workspaceByteCount(_ set: InnerSet) throws -> Int {
    let output = Operand(shape: outputShape, type: .int8, zeroPoint: quantization.outputZeroPoint)
    return try VerifiedModel(
      bytes: buildStep(
        .conv2D, inputs: [input], outputs: [output], scratch: { scratch($0, output) }, makeParams: conv2DParams)
    ).workspaceByteCount(set)
  }

  private func runDepthwise(_ output: Operand, _ multiplier: Int) throws -> [Int] {
    let taps = kernelHeight * kernelWidth
    let packed = Packing.matmul(channels: outputChannels, rows: 1, length: taps) { channel, _, tap in
      weight(channel, tap / kernelWidth, tap % kernelWidth, 0)
    }
    let geometry = DepthwiseConv2DGeometry(window: window, depthMultiplier: Int32(multiplier))
    let sums = [channelSums()]
    if isWide {
      return try runStep(
        .depthwiseConv2DInt16, inputs: [input], outputs: [output],
        scratch: { (p: DepthwiseConv2DInt16Params) in
          p.scratchByteCount(input: input.record, output: output.record) ?? -1
        },
        makeParams: {
          DepthwiseConv2DInt16Params(
            geometry: geometry,
            quantization: quantization.wideRecord(&$0, weights: packed, sums: sums, inputZeroPoint: input.zeroPoint))
        }
      ).outputs[0]
    }
    return try runStep(
      .depthwiseConv2D, inputs: [input], outputs: [output],
      scratch: { (p: DepthwiseConv2DParams) in p.scratchByteCount(input: input.record, output: output.record) ?? -1 },
      makeParams: {
        DepthwiseConv2DParams(
          geometry: geometry,
          quantization: quantization.record(&$0, weights: packed, sums: sums, inputZeroPoint: input.zeroPoint))
      }
    ).outputs[0]
  }

  private func runTransposed(_ output: Operand) throws -> [Int] {
    let geometry = TransposeConv2DGeometry(window: window, groups: Int32(groups))
    let perGroup = outputChannels / groups
    var packed: [Int8] = []
    var sums: [[Int]] = []
    for phase in 0..<Int(geometry.phaseCount) {
      let py = phase / Int(window.strideWidth), px = phase % Int(window.strideWidth)
      var taps: [(Int, Int)] = []
      for ky in 0..<kernelHeight {
        for kx in 0..<kernelWidth
        where (py + Int(window.padTop) - ky * Int(window.dilationHeight)) % Int(window.strideHeight) == 0
          && (px + Int(window.padLeft) - kx * Int(window.dilationWidth)) % Int(window.strideWidth) == 0
        { taps.append((ky, kx)) }
      }
      for group in 0..<groups {
        packed += Packing.matmul(channels: perGroup, rows: taps.count, length: depth) { channel, row, k in
          weight(group * perGroup + channel, taps[row].0, taps[row].1, k)
        }
      }
      sums.append(channelSums { ky, kx in taps.contains { $0 == (ky, kx) } })
    }
    if isWide {
      return try runStep(
        .transposeConv2DInt16, inputs: [input], outputs: [output],
        scratch: { (p: TransposeConv2DInt16Params) in
          p.scratchByteCount(input: input.record, output: output.record) ?? -1
        },
        makeParams: {
          TransposeConv2DInt16Params(
            geometry: geometry,
            quantization: quantization.wideRecord(
              &$0, weights: packed, groups: groups, sums: sums, inputZeroPoint: input.zeroPoint))
        }
      ).outputs[0]
    }
    return try runStep(
      .transposeConv2D, inputs: [input], outputs: [output],
      scratch: { (p: TransposeConv2DParams) in p.scratchByteCount(input: input.record, output: output.record) ?? -1 },
      makeParams: {
        TransposeConv2DParams(
          geometry: geometry,
          quantization: quantization.record(
            &$0, weights: packed, groups: groups, sums: sums, inputZeroPoint: input.zeroPoint))
      }
    ).outputs[0]
  }
}

/// A dense layer with unpacked weights [O][I].
struct TestDense {
  var input: Operand
  var weights: [Int]
  var weightsZeroPoint = 0
  var outputDepth: Int
  var quantization: LayerQuantization

  var depth: Int { weights.count / outputDepth }
  var rows: Int { input.count / depth }

  func expected() -> [Int] {
    (0..<rows).flatMap { row in
      (0..<outputDepth).map { o in
        var sum = 0
        for k in 0..<depth {
          sum += (input.values[row * depth + k] - input.zeroPoint) * (weights[o * depth + k] - weightsZeroPoint)
        }
        return quantization.output(sum, channel: o, wide: input.type == .int16)
      }
    }
  }

  func run() throws -> [Int] {
    let output = Operand(shape: [rows, outputDepth], type: input.type, zeroPoint: quantization.outputZeroPoint)
    let packed = Packing.matmul(channels: outputDepth, rows: 1, length: depth) { o, _, k in weights[o * depth + k] }
    let sums = (0..<outputDepth).map { o in weights[o * depth..<(o + 1) * depth].reduce(0, +) }
    if input.type == .int16 {
      return try runStep(
        .fullyConnectedInt16, inputs: [input], outputs: [output],
        makeParams: {
          FullyConnectedInt16Params(
            inputDepth: Int32(depth), outputDepth: Int32(outputDepth),
            quantization: quantization.wideRecord(&$0, weights: packed, sums: [sums], inputZeroPoint: input.zeroPoint))
        }
      ).outputs[0]
    }
    return try runStep(
      .fullyConnected, inputs: [input], outputs: [output],
      scratch: { (p: FullyConnectedParams) in p.scratchByteCount },
      makeParams: { params(&$0, packed, sums) }
    ).outputs[0]
  }

  private func params(_ builder: inout PlanBuilder, _ packed: [Int8], _ sums: [Int]) -> FullyConnectedParams {
    var record = quantization.record(&builder, weights: packed, sums: [sums], inputZeroPoint: 0)
    let folded = zip(quantization.bias, sums).map { $0 - input.zeroPoint * ($1 - depth * weightsZeroPoint) }
    record.bias = builder.constant(Packing.padded(folded, as: Int32.self))
    return FullyConnectedParams(
      inputDepth: Int32(depth), outputDepth: Int32(outputDepth), weightsZeroPoint: Int32(weightsZeroPoint),
      quantization: record)
  }

  /// The workspace that an int8 layer asks for on an instruction set.
  func workspaceByteCount(_ set: InnerSet) throws -> Int {
    let output = Operand(shape: [rows, outputDepth], type: .int8, zeroPoint: quantization.outputZeroPoint)
    let packed = Packing.matmul(channels: outputDepth, rows: 1, length: depth) { o, _, k in weights[o * depth + k] }
    let sums = (0..<outputDepth).map { o in weights[o * depth..<(o + 1) * depth].reduce(0, +) }
    return try VerifiedModel(
      bytes: buildStep(
        .fullyConnected, inputs: [input], outputs: [output],
        scratch: { (p: FullyConnectedParams) in p.scratchByteCount }, makeParams: { params(&$0, packed, sums) })
    ).workspaceByteCount(set)
  }
}
