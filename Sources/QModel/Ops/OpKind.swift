/// Every operation a graph can hold, with its attributes.
///
/// Operands are listed at each case; `?` marks an optional one. Activations N… are batch first, spatial ones NHWC.
public enum OpKind: Sendable, Equatable {
  /// input [N,H,W,C], weights [O,KH,KW,C/groups], bias? [O] -> [N,OH,OW,O]. 1-D convolutions have H = 1.
  case conv2D(Conv2DOp)
  /// input [N,H,W,C], weights [1,KH,KW,C·M], bias? [C·M] -> [N,OH,OW,C·M]; output channel c·M + m filters input channel c.
  case depthwiseConv2D(DepthwiseConv2DOp)
  /// input [N,H,W,C], weights [O,KH,KW,C/groups], bias? [O] -> [N,OH,OW,O].
  case transposeConv2D(TransposeConv2DOp)
  /// input [...,I], weights [O,I], bias? [O] -> [...,O]. With both weights constant.
  case fullyConnected(FullyConnectedOp)
  /// a [...,M,K], b [...,K,N], both activations -> [...,M,N], leading axes broadcast.
  case batchMatMul(BatchMatMulOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case averagePool2D(Pool2DOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case maxPool2D(Pool2DOp)
  /// input -> input without (or with 1 in place of) the reduced axes.
  case mean(ReduceOp)
  /// a, b of broadcastable shapes; either may be constant.
  case binary(BinaryOp)
  /// input -> same shape.
  case unary(UnaryOp)
  /// input, slope (constant, broadcastable to the input from the right) -> same shape.
  case prelu
  /// input -> same shape.
  case softmax(SoftmaxOp)
  /// input -> same shape.
  case logSoftmax(SoftmaxOp)
  /// input, scale [C], bias [C], mean [C], variance [C] -> same shape; normalizes along `axis`.
  case batchNormalization(BatchNormalizationOp)
  /// inputs... -> one.
  case concatenation(ConcatenationOp)
  /// input -> one output per size.
  case split(SplitOp)
  /// input -> output.
  case slice(SliceOp)
  /// input -> output.
  case pad(PadOp)
  /// input -> output with `shape` (all sizes resolved).
  case reshape(ReshapeOp)
  /// input -> output: output axis i is input axis permutation[i].
  case transpose(TransposeOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case resize(ResizeOp)
  /// Integer graphs only: change of scale, zero point or type.
  case requantize
  /// input x [T,N,I]; see ``RecurrentOp`` for all operands.
  case recurrent(RecurrentOp)
  /// input [N,I], weightsFeature [F,I], weightsTime [F,M], bias? [F/rank], state [N,F·M] -> [N,F/rank].
  case svdf(SVDFOp)
}
