import QKernels

/// Multiply-accumulate operations of one step: products with weights or of two activations; 0 for everything else.
func stepMacs(
  _ view: ModelView, _ record: StepRecord, _ code: OpCode, _ inputs: [TensorInfo], _ outputs: [TensorInfo]
) -> Int {
  let params = view.base + Int(view.header.pointee.paramsOffset) + Int(record.params)
  func read<Params: BitwiseCopyable>(_: Params.Type) -> Params { params.loadUnaligned(as: Params.self) }
  func taps(_ window: QKernels.Window2D) -> Int { Int(window.kernelHeight) * Int(window.kernelWidth) }
  guard let input = inputs.first else { return 0 }
  let outputCount = outputs.first?.elementCount ?? 0
  switch code {
  case .fullyConnected: return input.elementCount * Int(read(FullyConnectedParams.self).outputDepth)
  case .fullyConnectedInt16: return input.elementCount * Int(read(FullyConnectedInt16Params.self).outputDepth)
  case .conv2D, .conv2DInt16:
    let geometry = code == .conv2D ? read(Conv2DParams.self).geometry : read(Conv2DInt16Params.self).geometry
    return outputCount * taps(geometry.window) * (input.shape.last ?? 0) / Int(geometry.groups)
  case .depthwiseConv2D: return outputCount * taps(read(DepthwiseConv2DParams.self).geometry.window)
  case .depthwiseConv2DInt16: return outputCount * taps(read(DepthwiseConv2DInt16Params.self).geometry.window)
  case .transposeConv2D, .transposeConv2DInt16:
    let geometry =
      code == .transposeConv2D ? read(TransposeConv2DParams.self).geometry : read(TransposeConv2DInt16Params.self).geometry
    return input.elementCount * taps(geometry.window) * (outputs.first?.shape.last ?? 0) / Int(geometry.groups)
  case .batchMatMul, .batchMatMulInt16:
    let isTransposed = read(BatchMatMulParams.self).transposeA == 1
    return outputCount * (input.shape.suffix(2).dropFirst(isTransposed ? 0 : 1).first ?? 0)
  case .svdf:
    let svdf = read(SVDFParams.self)
    return Int(svdf.filterCount) * (input.elementCount + (input.shape.first ?? 1) * Int(svdf.memorySize))
  case .lstm: return recurrentMacs(read(LSTMParams.self).layer, gates: 4, input)
  case .gru: return recurrentMacs(read(GRUParams.self).layer, gates: 3, input)
  case .rnn: return recurrentMacs(read(RNNParams.self).layer, gates: 1, input)
  case .averagePool2D, .maxPool2D, .mean, .add, .mul, .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu, .requantize,
    .pad, .concatenation, .slice, .transpose, .copy, .resizeNearest, .resizeBilinear, .addInt16, .mulInt16,
    .logisticTanhInt16, .leakyReluInt16, .softmaxInt16:
    return 0
  }
}

/// The two products of every step of every direction.
private func recurrentMacs(_ layer: RecurrentLayer, gates: Int, _ input: TensorInfo) -> Int {
  let vectors = input.elementCount / Int(layer.inputSize)
  let rows = gates * Int(layer.hiddenSize) * Int(layer.directionCount)
  return vectors * rows * (Int(layer.inputSize) + Int(layer.hiddenSize))
}
