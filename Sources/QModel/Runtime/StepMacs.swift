import QKernels

/// Multiply-accumulate operations of one step: products with weights or of two activations, padding included; 0 for
/// everything else. Saturates instead of overflowing.
func stepMacs(
  _ view: ModelView, _ record: StepRecord, _ code: OpCode, _ inputs: [TensorInfo], _ outputs: [TensorInfo]
) -> Int {
  let bytes = view.base + Int(view.header.pointee.paramsOffset) + Int(record.params)
  func params<Params: BitwiseCopyable>(_: Params.Type) -> Params { bytes.loadUnaligned(as: Params.self) }
  guard let input = inputs.first else { return 0 }
  // Only recurrent steps can lack an output; their count does not need one.
  let output = outputs.first ?? input

  func convolution(_ geometry: Conv2DGeometry) -> Int {
    product(
      output.elementCount, Int(geometry.window.kernelHeight), Int(geometry.window.kernelWidth),
      (input.shape.last ?? 1) / max(1, Int(geometry.groups)))
  }
  func depthwise(_ geometry: DepthwiseConv2DGeometry) -> Int {
    product(output.elementCount, Int(geometry.window.kernelHeight), Int(geometry.window.kernelWidth))
  }
  func transposed(_ geometry: TransposeConv2DGeometry) -> Int {
    product(
      input.elementCount, Int(geometry.window.kernelHeight), Int(geometry.window.kernelWidth),
      (output.shape.last ?? 1) / max(1, Int(geometry.groups)))
  }
  /// Time steps x batch, directions, gates x H rows, each over input and state.
  func recurrent(_ layer: RecurrentLayer, gates: Int) -> Int {
    let (inputSize, hiddenSize) = (Int(layer.inputSize), Int(layer.hiddenSize))
    return product(
      input.elementCount / max(1, inputSize), Int(layer.directionCount), gates, hiddenSize, inputSize + hiddenSize)
  }

  switch code {
  case .fullyConnected: return product(input.elementCount, Int(params(FullyConnectedParams.self).outputDepth))
  case .fullyConnectedInt16:
    return product(input.elementCount, Int(params(FullyConnectedInt16Params.self).outputDepth))
  case .conv2D: return convolution(params(Conv2DParams.self).geometry)
  case .conv2DInt16: return convolution(params(Conv2DInt16Params.self).geometry)
  case .depthwiseConv2D: return depthwise(params(DepthwiseConv2DParams.self).geometry)
  case .depthwiseConv2DInt16: return depthwise(params(DepthwiseConv2DInt16Params.self).geometry)
  case .transposeConv2D: return transposed(params(TransposeConv2DParams.self).geometry)
  case .transposeConv2DInt16: return transposed(params(TransposeConv2DInt16Params.self).geometry)
  case .batchMatMul, .batchMatMulInt16:
    // The params of both start with whether a is transposed.
    let isTransposed = bytes.loadUnaligned(as: Int32.self) != 0
    guard input.shape.count >= 2 else { return 0 }
    return product(output.elementCount, input.shape[input.shape.count - (isTransposed ? 2 : 1)])
  case .svdf:
    let svdf = params(SVDFParams.self)
    let batch = input.shape.first ?? 1
    return product(batch, Int(svdf.filterCount), input.elementCount / max(1, batch) + Int(svdf.memorySize))
  case .lstm: return recurrent(params(LSTMParams.self).layer, gates: 4)
  case .gru: return recurrent(params(GRUParams.self).layer, gates: 3)
  case .rnn: return recurrent(params(RNNParams.self).layer, gates: 1)
  case .averagePool2D, .maxPool2D, .mean, .add, .mul, .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu,
    .requantize, .pad, .concatenation, .slice, .transpose, .copy, .resizeNearest, .resizeBilinear, .addInt16, .mulInt16,
    .logisticTanhInt16, .leakyReluInt16, .softmaxInt16:
    return 0
  }
}

/// The product of factors that are not negative, `Int.max` where it does not fit.
private func product(_ factors: Int...) -> Int {
  var result = 1
  for factor in factors {
    let (next, overflow) = result.multipliedReportingOverflow(by: factor)
    if overflow { return Int.max }
    result = next
  }
  return result
}
