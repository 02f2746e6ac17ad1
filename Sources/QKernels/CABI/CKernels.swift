// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// kernel_table.h documents these symbols.

import QKernelsIntrinsics

// One pair of functions per operation, so that a program links the kernels that its table names and no others.

@implementation @c public func qk_conv2d_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Conv2D.self, step)
}
@implementation @c public func qk_conv2d_run(_ step: UnsafeRawPointer!) { run(Conv2D.self, step) }

@implementation @c public func qk_depthwise_conv2d_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(DepthwiseConv2D.self, step)
}
@implementation @c public func qk_depthwise_conv2d_run(_ step: UnsafeRawPointer!) { run(DepthwiseConv2D.self, step) }

@implementation @c public func qk_transpose_conv2d_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(TransposeConv2D.self, step)
}
@implementation @c public func qk_transpose_conv2d_run(_ step: UnsafeRawPointer!) { run(TransposeConv2D.self, step) }

@implementation @c public func qk_fully_connected_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(FullyConnected.self, step)
}
@implementation @c public func qk_fully_connected_run(_ step: UnsafeRawPointer!) { run(FullyConnected.self, step) }

@implementation @c public func qk_batch_mat_mul_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(BatchMatMul.self, step)
}
@implementation @c public func qk_batch_mat_mul_run(_ step: UnsafeRawPointer!) { run(BatchMatMul.self, step) }

@implementation @c public func qk_average_pool2d_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(AveragePool2D.self, step)
}
@implementation @c public func qk_average_pool2d_run(_ step: UnsafeRawPointer!) { run(AveragePool2D.self, step) }

@implementation @c public func qk_max_pool2d_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(MaxPool2D.self, step)
}
@implementation @c public func qk_max_pool2d_run(_ step: UnsafeRawPointer!) { run(MaxPool2D.self, step) }

@implementation @c public func qk_mean_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Mean.self, step) }
@implementation @c public func qk_mean_run(_ step: UnsafeRawPointer!) { run(Mean.self, step) }

@implementation @c public func qk_add_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Add.self, step) }
@implementation @c public func qk_add_run(_ step: UnsafeRawPointer!) { run(Add.self, step) }

@implementation @c public func qk_mul_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Mul.self, step) }
@implementation @c public func qk_mul_run(_ step: UnsafeRawPointer!) { run(Mul.self, step) }

@implementation @c public func qk_maximum_minimum_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(MaximumMinimum.self, step)
}
@implementation @c public func qk_maximum_minimum_run(_ step: UnsafeRawPointer!) { run(MaximumMinimum.self, step) }

@implementation @c public func qk_lookup_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Lookup.self, step)
}
@implementation @c public func qk_lookup_run(_ step: UnsafeRawPointer!) { run(Lookup.self, step) }

@implementation @c public func qk_softmax_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Softmax.self, step)
}
@implementation @c public func qk_softmax_run(_ step: UnsafeRawPointer!) { run(Softmax.self, step) }

@implementation @c public func qk_log_softmax_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(LogSoftmax.self, step)
}
@implementation @c public func qk_log_softmax_run(_ step: UnsafeRawPointer!) { run(LogSoftmax.self, step) }

@implementation @c public func qk_prelu_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(PRelu.self, step) }
@implementation @c public func qk_prelu_run(_ step: UnsafeRawPointer!) { run(PRelu.self, step) }

@implementation @c public func qk_requantize_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Requantize.self, step)
}
@implementation @c public func qk_requantize_run(_ step: UnsafeRawPointer!) { run(Requantize.self, step) }

@implementation @c public func qk_pad_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Pad.self, step) }
@implementation @c public func qk_pad_run(_ step: UnsafeRawPointer!) { run(Pad.self, step) }

@implementation @c public func qk_concatenation_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Concatenation.self, step)
}
@implementation @c public func qk_concatenation_run(_ step: UnsafeRawPointer!) { run(Concatenation.self, step) }

@implementation @c public func qk_slice_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Slice.self, step) }
@implementation @c public func qk_slice_run(_ step: UnsafeRawPointer!) { run(Slice.self, step) }

@implementation @c public func qk_transpose_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Transpose.self, step)
}
@implementation @c public func qk_transpose_run(_ step: UnsafeRawPointer!) { run(Transpose.self, step) }

@implementation @c public func qk_copy_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(Copy.self, step) }
@implementation @c public func qk_copy_run(_ step: UnsafeRawPointer!) { run(Copy.self, step) }

@implementation @c public func qk_resize_nearest_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(ResizeNearest.self, step)
}
@implementation @c public func qk_resize_nearest_run(_ step: UnsafeRawPointer!) { run(ResizeNearest.self, step) }

@implementation @c public func qk_resize_bilinear_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(ResizeBilinear.self, step)
}
@implementation @c public func qk_resize_bilinear_run(_ step: UnsafeRawPointer!) { run(ResizeBilinear.self, step) }

@implementation @c public func qk_svdf_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(SVDF.self, step) }
@implementation @c public func qk_svdf_run(_ step: UnsafeRawPointer!) { run(SVDF.self, step) }

@implementation @c public func qk_lstm_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(LSTM.self, step) }
@implementation @c public func qk_lstm_run(_ step: UnsafeRawPointer!) { run(LSTM.self, step) }

@implementation @c public func qk_gru_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(GRU.self, step) }
@implementation @c public func qk_gru_run(_ step: UnsafeRawPointer!) { run(GRU.self, step) }

@implementation @c public func qk_rnn_validate(_ step: UnsafeRawPointer!) -> qk_status { validate(RNN.self, step) }
@implementation @c public func qk_rnn_run(_ step: UnsafeRawPointer!) { run(RNN.self, step) }

@implementation @c public func qk_conv2d_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(Conv2DInt16.self, step)
}
@implementation @c public func qk_conv2d_int16_run(_ step: UnsafeRawPointer!) { run(Conv2DInt16.self, step) }

@implementation @c public func qk_depthwise_conv2d_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(DepthwiseConv2DInt16.self, step)
}
@implementation @c public func qk_depthwise_conv2d_int16_run(_ step: UnsafeRawPointer!) {
  run(DepthwiseConv2DInt16.self, step)
}

@implementation @c public func qk_transpose_conv2d_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(TransposeConv2DInt16.self, step)
}
@implementation @c public func qk_transpose_conv2d_int16_run(_ step: UnsafeRawPointer!) {
  run(TransposeConv2DInt16.self, step)
}

@implementation @c public func qk_fully_connected_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(FullyConnectedInt16.self, step)
}
@implementation @c public func qk_fully_connected_int16_run(_ step: UnsafeRawPointer!) {
  run(FullyConnectedInt16.self, step)
}

@implementation @c public func qk_batch_mat_mul_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(BatchMatMulInt16.self, step)
}
@implementation @c public func qk_batch_mat_mul_int16_run(_ step: UnsafeRawPointer!) {
  run(BatchMatMulInt16.self, step)
}

@implementation @c public func qk_add_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(AddInt16.self, step)
}
@implementation @c public func qk_add_int16_run(_ step: UnsafeRawPointer!) { run(AddInt16.self, step) }

@implementation @c public func qk_mul_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(MulInt16.self, step)
}
@implementation @c public func qk_mul_int16_run(_ step: UnsafeRawPointer!) { run(MulInt16.self, step) }

@implementation @c public func qk_logistic_tanh_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(LogisticTanhInt16.self, step)
}
@implementation @c public func qk_logistic_tanh_int16_run(_ step: UnsafeRawPointer!) {
  run(LogisticTanhInt16.self, step)
}

@implementation @c public func qk_leaky_relu_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(LeakyReluInt16.self, step)
}
@implementation @c public func qk_leaky_relu_int16_run(_ step: UnsafeRawPointer!) { run(LeakyReluInt16.self, step) }

@implementation @c public func qk_softmax_int16_validate(_ step: UnsafeRawPointer!) -> qk_status {
  validate(SoftmaxInt16.self, step)
}
@implementation @c public func qk_softmax_int16_run(_ step: UnsafeRawPointer!) { run(SoftmaxInt16.self, step) }

@inline(__always)
private func validate<Op: Kernel>(_ op: Op.Type, _ step: UnsafeRawPointer) -> qk_status {
  do throws(Status) {
    try PlanDispatch.validate(op, step.assumingMemoryBound(to: StepView.self).pointee)
    return Status.ok.rawValue
  } catch {
    return error.rawValue
  }
}

@inline(__always)
private func run<Op: Kernel>(_ op: Op.Type, _ step: UnsafeRawPointer) {
  Op.run(step.assumingMemoryBound(to: StepContext.self).pointee)
}
