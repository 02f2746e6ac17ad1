/// From an operation code to its kernel: the only switches over ``OpCode``.
enum PlanDispatch {
  /// Throws unless the step's params record has the op's size and the op accepts it.
  static func validate(_ code: OpCode, _ view: StepView) throws(Status) {
    switch code {
    case .fullyConnected: try validate(FullyConnected.self, view)
    case .lstm: try validate(LSTM.self, view)
    case .gru: try validate(GRU.self, view)
    case .rnn: try validate(RNN.self, view)
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .batchMatMul, .averagePool2D, .maxPool2D, .mean, .add, .mul,
      .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu, .requantize, .pad, .concatenation, .slice, .transpose,
      .copy, .resizeNearest, .resizeBilinear, .svdf, .conv2DInt16, .depthwiseConv2DInt16,
      .transposeConv2DInt16, .fullyConnectedInt16, .batchMatMulInt16, .addInt16, .mulInt16, .logisticTanhInt16,
      .leakyReluInt16, .softmaxInt16:
      throw .unknownOp
    }
  }

  /// Runs one verified step.
  static func run(_ code: OpCode, _ context: StepContext) {
    switch code {
    case .fullyConnected: FullyConnected.run(context)
    case .lstm: LSTM.run(context)
    case .gru: GRU.run(context)
    case .rnn: RNN.run(context)
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .batchMatMul, .averagePool2D, .maxPool2D, .mean, .add, .mul,
      .maximumMinimum, .lookup, .softmax, .logSoftmax, .prelu, .requantize, .pad, .concatenation, .slice, .transpose,
      .copy, .resizeNearest, .resizeBilinear, .svdf, .conv2DInt16, .depthwiseConv2DInt16,
      .transposeConv2DInt16, .fullyConnectedInt16, .batchMatMulInt16, .addInt16, .mulInt16, .logisticTanhInt16,
      .leakyReluInt16, .softmaxInt16:
      break
    }
  }

  @inline(__always)
  private static func validate<Op: Kernel>(_: Op.Type, _ view: StepView) throws(Status) {
    guard Int(view.step.pointee.paramsByteCount) == MemoryLayout<Op.Params>.size else { throw .badParams }
    try Op.validate(view)
  }
}
