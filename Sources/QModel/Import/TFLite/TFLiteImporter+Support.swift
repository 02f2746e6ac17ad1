extension TFLiteBuiltinOperator {
  /// The integer types of activations that can be imported, besides float32; shapes and indices do not count.
  var integerTypes: [ElementType] {
    switch self {
    case .conv2D, .depthwiseConv2D, .transposeConv, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .add, .sub, .mul, .maximum, .minimum, .relu, .relu6, .leakyRelu, .prelu, .logistic, .tanh, .softmax, .pad, .padV2,
      .mirrorPad, .concatenation,
      .split, .splitV, .slice, .stridedSlice, .reverseV2, .pack, .unpack, .transpose, .reshape, .squeeze, .expandDims,
      .cast, .resizeNearestNeighbor, .quantize, .dequantize, .unidirectionalSequenceLSTM:
      [.int8, .int16]
    case .reduceMax, .reluN1To1, .relu0To1, .elu, .gelu, .hardSwish, .logSoftmax,
      .resizeBilinear, .svdf:
      [.int8]
    case .div, .exp, .log, .sqrt, .rsqrt, .square, .abs, .neg, .sin, .cos, .shape, .gather, .reduceProd:
      []
    }
  }

  /// Whether it is read only where a file computes shapes with it.
  var isForShapesOnly: Bool { [.shape, .gather, .reduceProd].contains(self) }
}

extension TFLiteImporter {
  /// One operator that is read.
  public struct SupportedOperator: Sendable, Equatable {
    /// The name in the schema.
    public var name: String
    /// The types of activations in quantized models; none where it is read in float models only.
    public var integerTypes: [ElementType]
  }

  /// The operators that are read on activations, in float models and with the types given in quantized ones, by name.
  public static var supportedOperators: [SupportedOperator] {
    TFLiteBuiltinOperator.allCases.filter { !$0.isForShapesOnly }.map {
      SupportedOperator(name: TFLiteOperatorCode(builtinCode: $0.rawValue).name, integerTypes: $0.integerTypes)
    }.sorted { $0.name < $1.name }
  }
}
