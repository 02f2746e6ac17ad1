/// The builtin operators that can be imported, with their codes in the schema.
enum TFLiteBuiltinOperator: Int32, CaseIterable {
  case add = 0
  case averagePool2D = 1
  case concatenation = 2
  case conv2D = 3
  case depthwiseConv2D = 4
  case dequantize = 6
  case fullyConnected = 9
  case logistic = 14
  case maxPool2D = 17
  case mul = 18
  case relu = 19
  case reluN1To1 = 20
  case relu6 = 21
  case reshape = 22
  case resizeBilinear = 23
  case softmax = 25
  case svdf = 27
  case tanh = 28
  case pad = 34
  case gather = 36
  case transpose = 39
  case mean = 40
  case sub = 41
  case div = 42
  case squeeze = 43
  case unidirectionalSequenceLSTM = 44
  case stridedSlice = 45
  case exp = 47
  case split = 49
  case logSoftmax = 50
  case cast = 53
  case prelu = 54
  case maximum = 55
  case minimum = 57
  case neg = 59
  case padV2 = 60
  case slice = 65
  case sin = 66
  case transposeConv = 67
  case expandDims = 70
  case log = 73
  case sqrt = 75
  case rsqrt = 76
  case shape = 77
  case reduceProd = 81
  case reduceMax = 82
  case pack = 83
  case unpack = 88
  case square = 92
  case resizeNearestNeighbor = 97
  case leakyRelu = 98
  case mirrorPad = 100
  case abs = 101
  case splitV = 102
  case cos = 108
  case reverseV2 = 105
  case elu = 111
  case quantize = 114
  case hardSwish = 117
  case batchMatMul = 126
  case gelu = 150
  case relu0To1 = 152

  /// The tag in the union BuiltinOptions of the options that are read for this operator, or nil when none are.
  var optionsTag: UInt8? {
    switch self {
    case .conv2D: 1
    case .depthwiseConv2D: 2
    case .averagePool2D, .maxPool2D: 5
    case .svdf: 6
    case .fullyConnected: 8
    case .softmax: 9
    case .concatenation: 10
    case .add: 11
    case .resizeBilinear: 15
    case .reshape: 17
    case .mul: 21
    case .gather: 23
    case .mean, .reduceMax, .reduceProd: 27
    case .sub: 28
    case .div: 29
    case .squeeze: 30
    case .stridedSlice: 32
    case .split: 35
    case .transposeConv: 49
    case .pack: 59
    case .unpack: 64
    case .unidirectionalSequenceLSTM: 71
    case .resizeNearestNeighbor: 74
    case .leakyRelu: 75
    case .mirrorPad: 77
    case .splitV: 79
    case .batchMatMul: 101
    case .gelu: 116
    case .dequantize, .logistic, .relu, .reluN1To1, .relu6, .relu0To1, .tanh, .pad, .padV2, .transpose, .logSoftmax,
      .cast, .prelu, .maximum, .minimum, .slice, .expandDims, .elu, .quantize, .hardSwish, .exp, .log, .sqrt, .rsqrt,
      .square, .abs, .neg, .sin, .cos, .shape, .reverseV2:
      nil
    }
  }
}
