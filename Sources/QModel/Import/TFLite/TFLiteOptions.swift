/// The activation that an operator applies to its result.
enum TFLiteActivation: Int8 {
  case none = 0
  case relu = 1
  case reluN1To1 = 2
  case relu6 = 3
  case tanh = 4
  case signBit = 5
}

/// How a window operator pads its input.
enum TFLitePadding: Int8 {
  case same = 0
  case valid = 1
}

/// The options of one builtin operator, as stored; absent fields have the schema's defaults.
///
/// Options that no operation here reads are `none`.
enum TFLiteOptions: Equatable {
  case none
  case conv2D(Window, dilationHeight: Int32, dilationWidth: Int32)
  case pool2D(Window, filterHeight: Int32, filterWidth: Int32)
  case transposeConv(Window)
  case fullyConnected(activation: TFLiteActivation, shuffledWeights: Bool, keepsDimensions: Bool)
  case softmax(beta: Float)
  case concatenation(axis: Int32, activation: TFLiteActivation)
  case arithmetic(activation: TFLiteActivation)
  case resize(alignCorners: Bool, halfPixelCenters: Bool)
  case reshape(shape: [Int32]?)
  case reducer(keepsDimensions: Bool)
  case squeeze(axes: [Int32])
  case stridedSlice(StridedSlice)
  case split(count: Int32)
  case pack(count: Int32, axis: Int32)
  case unpack(count: Int32, axis: Int32)
  case gather(axis: Int32, batchDimensions: Int32)
  case mirrorPad(isSymmetric: Bool)
  case leakyRelu(alpha: Float)
  case gelu(approximate: Bool)
  case batchMatMul(transposesLeft: Bool, transposesRight: Bool)
  case svdf(rank: Int32, activation: TFLiteActivation)
  case lstm(LSTM)

  /// What convolutions and poolings share.
  struct Window: Equatable {
    var padding: TFLitePadding
    var strideHeight: Int32
    var strideWidth: Int32
    var activation: TFLiteActivation
  }

  /// Bit masks, one bit per entry of `begin`.
  struct StridedSlice: Equatable {
    var beginMask: Int32
    var endMask: Int32
    var ellipsisMask: Int32
    var newAxisMask: Int32
    var shrinkAxisMask: Int32
    /// Whether `end` counts from `begin`.
    var endIsOffset: Bool
  }

  /// The options of UNIDIRECTIONAL_SEQUENCE_LSTM.
  struct LSTM: Equatable {
    var activation: TFLiteActivation
    /// 0 means no clipping.
    var cellClip: Float
    /// 0 means no clipping.
    var projectionClip: Float
    var isTimeMajor: Bool
    var hasDiagonalRecurrentWeights: Bool
  }

  /// Parses the options of an operator with the code `code`.
  init(for code: TFLiteOperatorCode, operatorTable: FlatBufferTable) throws(FlatBufferError) {
    guard let builtin = TFLiteBuiltinOperator(rawValue: code.builtinCode), let tag = builtin.optionsTag else {
      self = .none
      return
    }
    let union = try operatorTable.union(3)
    if let union, union.tag != tag {
      throw FlatBufferError(
        byteOffset: operatorTable.position,
        problem: "expected options with tag \(tag) for \(code.name), found tag \(union.tag)")
    }
    // A table that is absent has the defaults of all its fields.
    let fields = OptionFields(table: union?.table)
    switch builtin {
    case .conv2D:
      self = .conv2D(
        try fields.window(activation: 3), dilationHeight: try fields.int32(5, default: 1),
        dilationWidth: try fields.int32(4, default: 1))
    case .depthwiseConv2D:
      self = .conv2D(
        try fields.window(activation: 4), dilationHeight: try fields.int32(6, default: 1),
        dilationWidth: try fields.int32(5, default: 1))
    case .transposeConv:
      self = .transposeConv(try fields.window(activation: 3))
    case .averagePool2D, .maxPool2D:
      self = .pool2D(
        try fields.window(activation: 5), filterHeight: try fields.int32(4), filterWidth: try fields.int32(3))
    case .fullyConnected:
      self = .fullyConnected(
        activation: try fields.activation(0), shuffledWeights: try fields.int8(1) != 0,
        keepsDimensions: try fields.bool(2))
    case .softmax:
      self = .softmax(beta: try fields.float(0))
    case .concatenation:
      self = .concatenation(axis: try fields.int32(0), activation: try fields.activation(1))
    case .add, .sub, .mul, .div:
      self = .arithmetic(activation: try fields.activation(0))
    case .resizeBilinear:
      // Fields 0 and 1 are the deprecated sizes.
      self = .resize(alignCorners: try fields.bool(2), halfPixelCenters: try fields.bool(3))
    case .resizeNearestNeighbor:
      self = .resize(alignCorners: try fields.bool(0), halfPixelCenters: try fields.bool(1))
    case .reshape:
      self = .reshape(shape: try fields.int32s(0))
    case .mean, .reduceMax, .reduceProd:
      self = .reducer(keepsDimensions: try fields.bool(0))
    case .squeeze:
      self = .squeeze(axes: try fields.int32s(0) ?? [])
    case .stridedSlice:
      self = .stridedSlice(
        StridedSlice(
          beginMask: try fields.int32(0), endMask: try fields.int32(1), ellipsisMask: try fields.int32(2),
          newAxisMask: try fields.int32(3), shrinkAxisMask: try fields.int32(4), endIsOffset: try fields.bool(5)))
    case .split, .splitV:
      self = .split(count: try fields.int32(0))
    case .pack:
      self = .pack(count: try fields.int32(0), axis: try fields.int32(1))
    case .unpack:
      self = .unpack(count: try fields.int32(0), axis: try fields.int32(1))
    case .gather:
      self = .gather(axis: try fields.int32(0), batchDimensions: try fields.int32(1))
    case .mirrorPad:
      let code = try fields.int8(0)
      guard code == 0 || code == 1 else {
        throw FlatBufferError(
          byteOffset: operatorTable.position, problem: "expected a mirror padding mode, found code \(code)")
      }
      self = .mirrorPad(isSymmetric: code == 1)
    case .leakyRelu:
      self = .leakyRelu(alpha: try fields.float(0))
    case .gelu:
      self = .gelu(approximate: try fields.bool(0))
    case .batchMatMul:
      self = .batchMatMul(transposesLeft: try fields.bool(0), transposesRight: try fields.bool(1))
    case .svdf:
      self = .svdf(rank: try fields.int32(0), activation: try fields.activation(1))
    case .unidirectionalSequenceLSTM:
      self = .lstm(
        LSTM(
          activation: try fields.activation(0), cellClip: try fields.float(1), projectionClip: try fields.float(2),
          isTimeMajor: try fields.bool(3), hasDiagonalRecurrentWeights: try fields.bool(5)))
    case .dequantize, .logistic, .relu, .reluN1To1, .relu6, .relu0To1, .tanh, .pad, .padV2, .transpose, .logSoftmax,
      .cast, .prelu, .maximum, .minimum, .slice, .expandDims, .elu, .quantize, .hardSwish, .exp, .log, .sqrt, .rsqrt,
      .square, .abs, .neg, .sin, .cos, .shape, .reverseV2:
      self = .none
    }
  }
}

/// The fields of an options table, which may be absent as a whole.
private struct OptionFields {
  var table: FlatBufferTable?

  func int8(_ field: Int) throws(FlatBufferError) -> Int8 { try table?.integer(field, default: Int8(0)) ?? 0 }

  func int32(_ field: Int, default value: Int32 = 0) throws(FlatBufferError) -> Int32 {
    try table?.integer(field, default: value) ?? value
  }

  func bool(_ field: Int) throws(FlatBufferError) -> Bool { try table?.bool(field, default: false) ?? false }

  func float(_ field: Int) throws(FlatBufferError) -> Float { try table?.float(field, default: 0) ?? 0 }

  func int32s(_ field: Int) throws(FlatBufferError) -> [Int32]? { try table?.integers(field, of: Int32.self) ?? nil }

  func activation(_ field: Int) throws(FlatBufferError) -> TFLiteActivation {
    let code = try int8(field)
    guard let activation = TFLiteActivation(rawValue: code) else {
      throw FlatBufferError(byteOffset: table?.position ?? 0, problem: "expected an activation, found code \(code)")
    }
    return activation
  }

  /// Padding, stride width and stride height are fields 0, 1 and 2 of every window operator.
  func window(activation field: Int) throws(FlatBufferError) -> TFLiteOptions.Window {
    let code = try int8(0)
    guard let padding = TFLitePadding(rawValue: code) else {
      throw FlatBufferError(byteOffset: table?.position ?? 0, problem: "expected a padding, found code \(code)")
    }
    return TFLiteOptions.Window(
      padding: padding, strideHeight: try int32(2), strideWidth: try int32(1), activation: try activation(field))
  }
}
