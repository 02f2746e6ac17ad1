/// The main subgraph of a TFLite file, parsed: numbers and names as the file has them, nothing interpreted.
///
/// Field ids and codes: schema version 3 of tensorflow/tensorflow, `tensorflow/compiler/mlir/lite/schema/schema.fbs`.
struct TFLiteModel {
  /// The whole file; buffers are ranges of it.
  var bytes: [UInt8]
  /// The operators' codes, which operators name by index.
  var operatorCodes: [TFLiteOperatorCode]
  /// How many subgraphs the file has; only the first, the main one, is parsed.
  var subgraphCount: Int
  /// All tensors of the main subgraph.
  var tensors: [TFLiteTensor]
  /// The indices of the input tensors.
  var inputs: [Int32]
  /// The indices of the output tensors.
  var outputs: [Int32]
  /// All operators of the main subgraph, in execution order.
  var operators: [TFLiteOperator]
  /// Where each buffer's bytes stand in the file; buffer 0 is empty by convention.
  var buffers: [Range<Int>]

  /// Parses a whole file.
  init(parsing bytes: [UInt8]) throws(FlatBufferError) {
    let root = try FlatBufferReader(bytes).root(identifier: "TFL3")
    let version = try root.integer(0, default: UInt32(0))
    guard version == 3 else {
      throw FlatBufferError(byteOffset: root.position, problem: "expected schema version 3, found \(version)")
    }
    self.bytes = bytes
    buffers = try root.tables(4, "buffers") { (table, _) throws(FlatBufferError) in
      try Self.bufferRange(table, fileSize: bytes.count)
    }
    let codes = try root.tables(1, "operator_codes") { (table, _) throws(FlatBufferError) in
      try TFLiteOperatorCode(table)
    }
    operatorCodes = codes
    let subgraphs = try root.tables(2, "subgraphs") { (table, index) throws(FlatBufferError) in
      index == 0 ? try Subgraph(table, operatorCodes: codes) : nil
    }
    subgraphCount = subgraphs.count
    guard let main = subgraphs.first ?? nil else {
      throw FlatBufferError(byteOffset: root.position, problem: "expected at least one subgraph")
    }
    try Self.checkDescriptions(root)
    tensors = main.tensors
    inputs = main.inputs
    outputs = main.outputs
    operators = main.operators
  }

  /// Checks the parts of the root that nothing here uses, so that a damaged or shortened file is noticed.
  private static func checkDescriptions(_ root: FlatBufferTable) throws(FlatBufferError) {
    _ = try root.string(3)
    try root.checkVector(5, elementSize: 4)
    _ = try root.tables(6, "metadata") { (table, _) throws(FlatBufferError) in _ = try table.string(0) }
    _ = try root.tables(7, "signature_defs") { (table, _) throws(FlatBufferError) in
      for field in 0...1 {
        _ = try table.tables(field, "tensors") { (table, _) throws(FlatBufferError) in _ = try table.string(0) }
      }
      _ = try table.string(2)
    }
  }

  /// The bytes of one buffer: inside its table, or, in files beyond 2 GB, at an absolute offset behind it.
  private static func bufferRange(_ table: FlatBufferTable, fileSize: Int) throws(FlatBufferError) -> Range<Int> {
    if let range = try table.byteVector(0) { return range }
    let offset = try table.integer(1, default: UInt64(0))
    let size = try table.integer(2, default: UInt64(0))
    // "Only valid if > 1" (schema).
    guard offset > 1 else { return 0..<0 }
    let (end, overflow) = offset.addingReportingOverflow(size)
    guard !overflow, end <= UInt64(fileSize) else {
      throw FlatBufferError(
        byteOffset: table.position, problem: "expected a buffer within the file, found \(size) bytes at \(offset)")
    }
    return Int(offset)..<Int(end)
  }

  private struct Subgraph {
    var tensors: [TFLiteTensor]
    var inputs: [Int32]
    var outputs: [Int32]
    var operators: [TFLiteOperator]

    init(_ table: FlatBufferTable, operatorCodes: [TFLiteOperatorCode]) throws(FlatBufferError) {
      tensors = try table.tables(0, "tensors") { (table, _) throws(FlatBufferError) in try TFLiteTensor(table) }
      inputs = try table.integers(1, of: Int32.self) ?? []
      outputs = try table.integers(2, of: Int32.self) ?? []
      operators = try table.tables(3, "operators") { (table, _) throws(FlatBufferError) in
        try TFLiteOperator(table, operatorCodes: operatorCodes)
      }
      _ = try table.string(4)
    }
  }
}

/// Which operation, in which version.
struct TFLiteOperatorCode: Equatable {
  /// The builtin code, as a number: files may carry codes that are newer than this table.
  var builtinCode: Int32
  /// The name of a custom operation.
  var customCode: String?
  /// The version of the operation.
  var version: Int32

  init(_ table: FlatBufferTable) throws(FlatBufferError) {
    // Codes from 127 on do not fit the original byte: the byte then holds 127 and the true code stands in field 3.
    // Older writers leave field 3 absent (0), so the greater of the two is right in every case.
    let byte = Int32(try table.integer(0, default: Int8(0)))
    builtinCode = max(byte, try table.integer(3, default: Int32(0)))
    customCode = try table.string(1)
    version = try table.integer(2, default: Int32(1))
  }

  init(builtinCode: Int32, customCode: String? = nil, version: Int32 = 1) {
    self.builtinCode = builtinCode
    self.customCode = customCode
    self.version = version
  }

  /// The name in the schema, for messages.
  var name: String {
    if builtinCode == 32 { return "CUSTOM '\(customCode ?? "")'" }
    guard builtinCode >= 0, builtinCode < Self.names.count else { return "operator code \(builtinCode)" }
    return Self.names[Int(builtinCode)]
  }

  private static let names = [
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE",
    "EMBEDDING_LOOKUP", "FLOOR", "FULLY_CONNECTED", "HASHTABLE_LOOKUP", "L2_NORMALIZATION", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOGISTIC", "LSH_PROJECTION", "LSTM", "MAX_POOL_2D", "MUL", "RELU",
    "RELU_N1_TO_1", "RELU6", "RESHAPE", "RESIZE_BILINEAR", "RNN", "SOFTMAX", "SPACE_TO_DEPTH", "SVDF", "TANH",
    "CONCAT_EMBEDDINGS", "SKIP_GRAM", "CALL", "CUSTOM", "EMBEDDING_LOOKUP_SPARSE", "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "GATHER", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "TRANSPOSE", "MEAN", "SUB",
    "DIV", "SQUEEZE", "UNIDIRECTIONAL_SEQUENCE_LSTM", "STRIDED_SLICE", "BIDIRECTIONAL_SEQUENCE_RNN", "EXP", "TOPK_V2",
    "SPLIT", "LOG_SOFTMAX", "DELEGATE", "BIDIRECTIONAL_SEQUENCE_LSTM", "CAST", "PRELU", "MAXIMUM", "ARG_MAX",
    "MINIMUM", "LESS", "NEG", "PADV2", "GREATER", "GREATER_EQUAL", "LESS_EQUAL", "SELECT", "SLICE", "SIN",
    "TRANSPOSE_CONV", "SPARSE_TO_DENSE", "TILE", "EXPAND_DIMS", "EQUAL", "NOT_EQUAL", "LOG", "SUM", "SQRT", "RSQRT",
    "SHAPE", "POW", "ARG_MIN", "FAKE_QUANT", "REDUCE_PROD", "REDUCE_MAX", "PACK", "LOGICAL_OR", "ONE_HOT",
    "LOGICAL_AND", "LOGICAL_NOT", "UNPACK", "REDUCE_MIN", "FLOOR_DIV", "REDUCE_ANY", "SQUARE", "ZEROS_LIKE", "FILL",
    "FLOOR_MOD", "RANGE", "RESIZE_NEAREST_NEIGHBOR", "LEAKY_RELU", "SQUARED_DIFFERENCE", "MIRROR_PAD", "ABS",
    "SPLIT_V", "UNIQUE", "CEIL", "REVERSE_V2", "ADD_N", "GATHER_ND", "COS", "WHERE", "RANK", "ELU",
    "REVERSE_SEQUENCE", "MATRIX_DIAG", "QUANTIZE", "MATRIX_SET_DIAG", "ROUND", "HARD_SWISH", "IF", "WHILE",
    "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "SCATTER_ND", "SELECT_V2", "DENSIFY", "SEGMENT_SUM",
    "BATCH_MATMUL", "PLACEHOLDER_FOR_GREATER_OP_CODES", "CUMSUM", "CALL_ONCE", "BROADCAST_TO", "RFFT2D", "CONV_3D",
    "IMAG", "REAL", "COMPLEX_ABS", "HASHTABLE", "HASHTABLE_FIND", "HASHTABLE_IMPORT", "HASHTABLE_SIZE", "REDUCE_ALL",
    "CONV_3D_TRANSPOSE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "BROADCAST_ARGS", "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE", "RANDOM_UNIFORM", "MULTINOMIAL", "GELU", "DYNAMIC_UPDATE_SLICE", "RELU_0_TO_1",
    "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_SUM", "ATAN2", "UNSORTED_SEGMENT_MIN", "SIGN",
    "BITCAST", "BITWISE_XOR", "RIGHT_SHIFT", "STABLEHLO_LOGISTIC", "STABLEHLO_ADD", "STABLEHLO_DIVIDE",
    "STABLEHLO_MULTIPLY", "STABLEHLO_MAXIMUM", "STABLEHLO_RESHAPE", "STABLEHLO_CLAMP", "STABLEHLO_CONCATENATE",
    "STABLEHLO_BROADCAST_IN_DIM", "STABLEHLO_CONVOLUTION", "STABLEHLO_SLICE", "STABLEHLO_CUSTOM_CALL",
    "STABLEHLO_REDUCE", "STABLEHLO_ABS", "STABLEHLO_AND", "STABLEHLO_COSINE", "STABLEHLO_EXPONENTIAL",
    "STABLEHLO_FLOOR", "STABLEHLO_LOG", "STABLEHLO_MINIMUM", "STABLEHLO_NEGATE", "STABLEHLO_OR", "STABLEHLO_POWER",
    "STABLEHLO_REMAINDER", "STABLEHLO_RSQRT", "STABLEHLO_SELECT", "STABLEHLO_SUBTRACT", "STABLEHLO_TANH",
    "STABLEHLO_SCATTER", "STABLEHLO_COMPARE", "STABLEHLO_CONVERT", "STABLEHLO_DYNAMIC_SLICE",
    "STABLEHLO_DYNAMIC_UPDATE_SLICE", "STABLEHLO_PAD", "STABLEHLO_IOTA", "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_REDUCE_WINDOW", "STABLEHLO_SORT", "STABLEHLO_WHILE", "STABLEHLO_GATHER", "STABLEHLO_TRANSPOSE",
    "DILATE", "STABLEHLO_RNG_BIT_GENERATOR", "REDUCE_WINDOW", "STABLEHLO_COMPOSITE", "STABLEHLO_SHIFT_LEFT",
    "STABLEHLO_CBRT",
  ]
}

/// The element types of the schema.
enum TFLiteElementType: Int8 {
  case float32 = 0
  case float16 = 1
  case int32 = 2
  case uint8 = 3
  case int64 = 4
  case string = 5
  case bool = 6
  case int16 = 7
  case complex64 = 8
  case int8 = 9
  case float64 = 10
  case complex128 = 11
  case uint64 = 12
  case resource = 13
  case variant = 14
  case uint32 = 15
  case uint16 = 16
  case int4 = 17
  case bfloat16 = 18
}

/// The linear quantization of a tensor, as stored: real = scale * (q - zeroPoint).
struct TFLiteQuantization: Equatable {
  /// One scale, one per slice of `quantizedDimension`, or none (the tensor is not quantized).
  var scales: [Float]
  /// As many zero points as scales.
  var zeroPoints: [Int64]
  /// The axis that several scales belong to.
  var quantizedDimension: Int32
  /// Whether a custom scheme replaces the linear one.
  var hasCustomDetails: Bool
}

/// A tensor of the main subgraph.
struct TFLiteTensor {
  /// The name, possibly empty.
  var name: String
  /// The element type; nil for a code that the schema does not have.
  var elementType: TFLiteElementType?
  /// The element type's code.
  var elementTypeCode: Int8
  /// The shape; empty for a scalar.
  var shape: [Int32]
  /// The shape with -1 for each free axis, when the file gives one.
  var shapeSignature: [Int32]?
  /// The index of the buffer with the constant contents; an empty buffer means "not constant".
  var buffer: UInt32
  /// The quantization; nil when the file has none.
  var quantization: TFLiteQuantization?
  /// Whether the tensor keeps its contents between runs.
  var isVariable: Bool
  /// Whether the contents are stored sparsely.
  var isSparse: Bool

  init(_ table: FlatBufferTable) throws(FlatBufferError) {
    shape = try table.integers(0, of: Int32.self) ?? []
    elementTypeCode = try table.integer(1, default: 0)
    elementType = TFLiteElementType(rawValue: elementTypeCode)
    buffer = try table.integer(2, default: 0)
    name = try table.string(3) ?? ""
    quantization = try table.table(4).map { (table) throws(FlatBufferError) in
      try table.checkVector(0, elementSize: 4)
      try table.checkVector(1, elementSize: 4)
      return TFLiteQuantization(
        scales: try table.floats(2) ?? [],
        zeroPoints: try table.integers(3, of: Int64.self) ?? [],
        quantizedDimension: try table.integer(6, default: 0),
        hasCustomDetails: try table.integer(4, default: UInt8(0)) != 0)
    }
    isVariable = try table.bool(5, default: false)
    isSparse = try table.table(6) != nil
    shapeSignature = try table.integers(7, of: Int32.self)
  }
}

/// An operator of the main subgraph.
struct TFLiteOperator {
  /// Its code.
  var code: TFLiteOperatorCode
  /// The indices of the input tensors; -1 for an optional input that is absent.
  var inputs: [Int32]
  /// The indices of the output tensors.
  var outputs: [Int32]
  /// The indices of internal tensors, which carry quantization parameters only.
  var intermediates: [Int32]
  /// The builtin options.
  var options: TFLiteOptions

  init(_ table: FlatBufferTable, operatorCodes: [TFLiteOperatorCode]) throws(FlatBufferError) {
    let index = try table.integer(0, default: UInt32(0))
    guard index < UInt32(clamping: operatorCodes.count) else {
      throw FlatBufferError(
        byteOffset: table.position, problem: "expected an operator code below \(operatorCodes.count), found \(index)")
    }
    code = operatorCodes[Int(index)]
    inputs = try table.integers(1, of: Int32.self) ?? []
    outputs = try table.integers(2, of: Int32.self) ?? []
    intermediates = try table.integers(8, of: Int32.self) ?? []
    options = try TFLiteOptions(for: code, operatorTable: table)
    try table.checkVector(5, elementSize: 1)
    try table.checkVector(7, elementSize: 1)
  }
}
