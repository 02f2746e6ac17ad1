/// The operations of the plan; raw values are frozen. "8" or "16" in a comment is the activation type: int8 or int16.
public enum OpCode: UInt32, Sendable {
  /// 8: convolution with packed int8 weights (also grouped, dilated).
  case conv2D = 1
  /// 8: one filter per channel, depth multiplier folded into the channel count.
  case depthwiseConv2D = 2
  /// 8: transposed convolution.
  case transposeConv2D = 3
  /// 8: dense layer.
  case fullyConnected = 4
  /// 8: product of two activations.
  case batchMatMul = 5
  /// 8, 16.
  case averagePool2D = 6
  /// 8, 16.
  case maxPool2D = 7
  /// 8, 16: mean over axes.
  case mean = 8
  /// 8: addition and subtraction with broadcast.
  case add = 9
  /// 8.
  case mul = 10
  /// 8: maximum and minimum of two tensors of one quantization.
  case maximumMinimum = 11
  /// 8 -> 8: any function of one value, as a table of 256 entries.
  case lookup = 12
  /// 8 -> 8, 8 -> 16.
  case softmax = 13
  /// 8.
  case logSoftmax = 14
  /// 8, 16: per-channel negative slope.
  case prelu = 15
  /// 8, 16: change of scale, zero point or type.
  case requantize = 16
  /// 8, 16: constant, reflect or edge padding.
  case pad = 17
  /// any: concatenation of inputs of one quantization.
  case concatenation = 18
  /// any: strided slice; also each output of a split.
  case slice = 19
  /// any.
  case transpose = 20
  /// any: copy with another shape, when the plan could not alias the two.
  case copy = 21
  /// 8, 16.
  case resizeNearest = 22
  /// 8.
  case resizeBilinear = 23
  /// 8 with 8- or 16-bit state.
  case svdf = 24
  /// 8 or 16 (hidden state) with int16 cell state.
  case lstm = 25
  /// 8 or 16.
  case gru = 26
  /// 8 or 16.
  case rnn = 27
  // int16 activations with int8 weights.
  case conv2DInt16 = 28
  case depthwiseConv2DInt16 = 29
  case transposeConv2DInt16 = 30
  case fullyConnectedInt16 = 31
  case batchMatMulInt16 = 32
  case addInt16 = 33
  case mulInt16 = 34
  /// Logistic and tanh through the interpolated 256-entry table.
  case logisticTanhInt16 = 35
  case leakyReluInt16 = 36
  case softmaxInt16 = 37
}
