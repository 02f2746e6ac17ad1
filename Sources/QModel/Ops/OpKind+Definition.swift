extension OpKind {
  /// The attributes with what the op can say and do: the one place that leads from a kind to its implementation.
  var definition: any GraphOp {
    switch self {
    case .conv2D(let op): op
    case .depthwiseConv2D(let op): op
    case .transposeConv2D(let op): op
    case .fullyConnected(let op): op
    case .batchMatMul(let op): op
    case .averagePool2D(let pool): AveragePool2DOp(pool)
    case .maxPool2D(let pool): MaxPool2DOp(pool)
    case .mean(let op): op
    case .binary(let op): op
    case .unary(let op): op
    case .prelu: PReluOp()
    case .softmax(let op): op
    case .logSoftmax(let op): LogSoftmaxOp(op)
    case .batchNormalization(let op): op
    case .concatenation(let op): op
    case .split(let op): op
    case .slice(let op): op
    case .pad(let op): op
    case .reshape(let op): op
    case .transpose(let op): op
    case .resize(let op): op
    case .requantize: RequantizeOp()
    case .recurrent(let op): op
    case .svdf(let op): op
    }
  }
}
