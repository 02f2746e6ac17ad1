import QKernels

/// Multiply-accumulate operations of one step: products with weights or of two activations; 0 for everything else.
func stepMacs(
  _ view: ModelView, _ record: StepRecord, _ code: OpCode, _ inputs: [TensorInfo], _ outputs: [TensorInfo]
) -> Int {
  let params = view.base + Int(view.header.pointee.paramsOffset) + Int(record.params)
  guard let input = inputs.first, outputs.first != nil else { return 0 }
  switch code {
  case .fullyConnected, .fullyConnectedInt16:
    let outputDepth = Int(params.loadUnaligned(as: FullyConnectedParams.self).outputDepth)
    return input.elementCount * outputDepth
  case .conv2D, .conv2DInt16, .depthwiseConv2D, .depthwiseConv2DInt16, .transposeConv2D, .transposeConv2DInt16,
    .batchMatMul, .batchMatMulInt16, .svdf, .lstm, .gru, .rnn, .averagePool2D, .maxPool2D, .mean, .add, .mul,
    .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu, .requantize, .pad, .concatenation, .slice, .transpose,
    .copy, .resizeNearest, .resizeBilinear, .addInt16, .mulInt16, .logisticTanhInt16, .leakyReluInt16, .softmaxInt16:
    return 0
  }
}
