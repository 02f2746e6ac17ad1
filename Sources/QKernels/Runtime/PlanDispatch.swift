/// From an operation code to its kernel: the one place that tells ``OpCode``s apart.
enum PlanDispatch {
  /// Throws unless the step's params record has the op's size and the op accepts it.
  static func validate(_ code: OpCode, _ view: StepView) throws(Status) {
    switch code {
    case .conv2D: try validate(Conv2D.self, view)
    case .depthwiseConv2D: try validate(DepthwiseConv2D.self, view)
    case .transposeConv2D: try validate(TransposeConv2D.self, view)
    case .fullyConnected: try validate(FullyConnected.self, view)
    case .batchMatMul: try validate(BatchMatMul.self, view)
    case .averagePool2D: try validate(AveragePool2D.self, view)
    case .maxPool2D: try validate(MaxPool2D.self, view)
    case .mean: try validate(Mean.self, view)
    case .add: try validate(Add.self, view)
    case .mul: try validate(Mul.self, view)
    case .maximumMinimum: try validate(MaximumMinimum.self, view)
    case .lookup: try validate(Lookup.self, view)
    case .softmax: try validate(Softmax.self, view)
    case .logSoftmax: try validate(LogSoftmax.self, view)
    case .prelu: try validate(PRelu.self, view)
    case .requantize: try validate(Requantize.self, view)
    case .pad: try validate(Pad.self, view)
    case .concatenation: try validate(Concatenation.self, view)
    case .slice: try validate(Slice.self, view)
    case .transpose: try validate(Transpose.self, view)
    case .copy: try validate(Copy.self, view)
    case .resizeNearest: try validate(ResizeNearest.self, view)
    case .resizeBilinear: try validate(ResizeBilinear.self, view)
    case .svdf: try validate(SVDF.self, view)
    case .lstm: try validate(LSTM.self, view)
    case .gru: try validate(GRU.self, view)
    case .rnn: try validate(RNN.self, view)
    case .conv2DInt16: try validate(Conv2DInt16.self, view)
    case .depthwiseConv2DInt16: try validate(DepthwiseConv2DInt16.self, view)
    case .transposeConv2DInt16: try validate(TransposeConv2DInt16.self, view)
    case .fullyConnectedInt16: try validate(FullyConnectedInt16.self, view)
    case .batchMatMulInt16: try validate(BatchMatMulInt16.self, view)
    case .addInt16: try validate(AddInt16.self, view)
    case .mulInt16: try validate(MulInt16.self, view)
    case .logisticTanhInt16: try validate(LogisticTanhInt16.self, view)
    case .leakyReluInt16: try validate(LeakyReluInt16.self, view)
    case .softmaxInt16: try validate(SoftmaxInt16.self, view)
    }
  }

  /// Bytes of workspace that make a verified step faster on these primitives; 0 where nothing is to be gained.
  static func workspaceByteCount(_ code: OpCode, _ view: StepView, _ inner: InnerKernels) -> Int {
    switch code {
    case .conv2D: Winograd3x3.workspaceByteCount(view, inner)
    case .fullyConnected: FullyConnected.workspaceByteCount(view, inner)
    default: 0
    }
  }

  /// Prepares a step's part of the workspace, if ``workspaceByteCount(_:_:_:)`` is not 0.
  static func fillWorkspace(_ code: OpCode, _ view: StepView, _ part: UnsafeMutableRawPointer) {
    switch code {
    case .conv2D: Winograd3x3.fillWorkspace(view, part)
    case .fullyConnected: FullyConnected.fillWorkspace(view, part)
    default: break
    }
  }

  /// Runs one verified step.
  static func run(_ code: OpCode, _ context: StepContext) {
    switch code {
    case .conv2D: Conv2D.run(context)
    case .depthwiseConv2D: DepthwiseConv2D.run(context)
    case .transposeConv2D: TransposeConv2D.run(context)
    case .fullyConnected: FullyConnected.run(context)
    case .batchMatMul: BatchMatMul.run(context)
    case .averagePool2D: AveragePool2D.run(context)
    case .maxPool2D: MaxPool2D.run(context)
    case .mean: Mean.run(context)
    case .add: Add.run(context)
    case .mul: Mul.run(context)
    case .maximumMinimum: MaximumMinimum.run(context)
    case .lookup: Lookup.run(context)
    case .softmax: Softmax.run(context)
    case .logSoftmax: LogSoftmax.run(context)
    case .prelu: PRelu.run(context)
    case .requantize: Requantize.run(context)
    case .pad: Pad.run(context)
    case .concatenation: Concatenation.run(context)
    case .slice: Slice.run(context)
    case .transpose: Transpose.run(context)
    case .copy: Copy.run(context)
    case .resizeNearest: ResizeNearest.run(context)
    case .resizeBilinear: ResizeBilinear.run(context)
    case .svdf: SVDF.run(context)
    case .lstm: LSTM.run(context)
    case .gru: GRU.run(context)
    case .rnn: RNN.run(context)
    case .conv2DInt16: Conv2DInt16.run(context)
    case .depthwiseConv2DInt16: DepthwiseConv2DInt16.run(context)
    case .transposeConv2DInt16: TransposeConv2DInt16.run(context)
    case .fullyConnectedInt16: FullyConnectedInt16.run(context)
    case .batchMatMulInt16: BatchMatMulInt16.run(context)
    case .addInt16: AddInt16.run(context)
    case .mulInt16: MulInt16.run(context)
    case .logisticTanhInt16: LogisticTanhInt16.run(context)
    case .leakyReluInt16: LeakyReluInt16.run(context)
    case .softmaxInt16: SoftmaxInt16.run(context)
    }
  }

  @inline(__always)
  static func validate<Op: Kernel>(_: Op.Type, _ view: StepView) throws(Status) {
    guard Int(view.step.pointee.paramsByteCount) == MemoryLayout<Op.Params>.size else { throw .badParams }
    try Op.validate(view)
  }
}
