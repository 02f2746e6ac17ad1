// The messages of onnx.proto that the importer uses, field for field, parsed from the bytes and not yet judged.
// Each `merge` follows protobuf: a scalar seen again replaces, a repeated field appends, a message merges.
// Subgraphs and functions are kept as bytes or names, so that parsing never recurses.

/// A parsed `.onnx` file.
struct ModelProto {
  var irVersion: Int64 = 0
  var producerName = ""
  var opsetImports: [OperatorSetIdProto] = []
  var graph: GraphProto?
  /// Name and domain of each function the model defines for itself.
  var functionNames: [String] = []

  /// Parses a file; throws where the wire format is broken, whatever the bytes.
  init(bytes: [UInt8]) throws(ModelError) {
    try merge(ProtobufReader(bytes[...], messageName: "ModelProto"))
  }

  private mutating func merge(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: irVersion = try reader.int64(field)
      case 2: producerName = try reader.string(field)
      case 7:
        var merged = graph ?? GraphProto()
        try merged.merge(try reader.message(field, named: "GraphProto"))
        graph = merged
      case 8:
        var opset = OperatorSetIdProto()
        try opset.merge(try reader.message(field, named: "OperatorSetIdProto"))
        opsetImports.append(opset)
      case 25: functionNames.append(try Self.functionName(try reader.message(field, named: "FunctionProto")))
      default: try reader.skip(field)
      }
    }
  }

  private static func functionName(_ source: ProtobufReader) throws(ModelError) -> String {
    var reader = source
    var name = ""
    while let field = try reader.nextField() {
      if field.number == 1 { name = try reader.string(field) } else { try reader.skip(field) }
    }
    return name
  }
}

/// One operator set that a model needs.
struct OperatorSetIdProto {
  /// Empty (or "ai.onnx") for the standard operators.
  var domain = ""
  var version: Int64 = 0

  fileprivate mutating func merge(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: domain = try reader.string(field)
      case 2: version = try reader.int64(field)
      default: try reader.skip(field)
      }
    }
  }
}

/// The computation: nodes over named tensors.
struct GraphProto {
  var name = ""
  var nodes: [NodeProto] = []
  var initializers: [TensorProto] = []
  var inputs: [ValueInfoProto] = []
  var outputs: [ValueInfoProto] = []
  var valueInfos: [ValueInfoProto] = []
  /// Number of sparse initializers, which are not supported.
  var sparseInitializerCount = 0

  fileprivate mutating func merge(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: nodes.append(try NodeProto(try reader.message(field, named: "NodeProto")))
      case 2: name = try reader.string(field)
      case 5: initializers.append(try TensorProto(try reader.message(field, named: "TensorProto")))
      case 11: inputs.append(try ValueInfoProto(try reader.message(field, named: "ValueInfoProto")))
      case 12: outputs.append(try ValueInfoProto(try reader.message(field, named: "ValueInfoProto")))
      case 13: valueInfos.append(try ValueInfoProto(try reader.message(field, named: "ValueInfoProto")))
      case 15:
        sparseInitializerCount += 1
        try reader.skip(field)
      default: try reader.skip(field)
      }
    }
  }
}

/// One operator application.
struct NodeProto {
  /// Names of the input tensors; empty where an optional input is left out.
  var inputs: [String] = []
  /// Names of the output tensors; empty where an optional output is left out.
  var outputs: [String] = []
  var name = ""
  var opType = ""
  var attributes: [AttributeProto] = []
  var domain = ""

  fileprivate init(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: inputs.append(try reader.string(field))
      case 2: outputs.append(try reader.string(field))
      case 3: name = try reader.string(field)
      case 4: opType = try reader.string(field)
      case 5: attributes.append(try AttributeProto(try reader.message(field, named: "AttributeProto")))
      case 7: domain = try reader.string(field)
      default: try reader.skip(field)
      }
    }
  }
}

/// A named constant of a node.
struct AttributeProto {
  /// Values of `AttributeProto.AttributeType` in onnx.proto.
  enum Kind: Int32 {
    case undefined = 0
    case float = 1
    case int = 2
    case string = 3
    case tensor = 4
    case graph = 5
    case floats = 6
    case ints = 7
    case strings = 8
    case tensors = 9
    case graphs = 10
    case sparseTensor = 11
    case sparseTensors = 12
    case typeProto = 13
    case typeProtos = 14
  }

  var name = ""
  var kind = Kind.undefined
  var float: Float = 0
  var int: Int64 = 0
  var string: ArraySlice<UInt8> = []
  var tensor: TensorProto?
  var floats: [Float] = []
  var ints: [Int64] = []
  var strings: [ArraySlice<UInt8>] = []

  fileprivate init(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    // Files of the first format versions give no type; then the field that is present tells.
    var present = Kind.undefined
    while let field = try reader.nextField() {
      switch field.number {
      case 1: name = try reader.string(field)
      case 2:
        float = try reader.float(field)
        present = .float
      case 3:
        int = try reader.int64(field)
        present = .int
      case 4:
        string = try reader.data(field)
        present = .string
      case 5:
        var merged = tensor ?? TensorProto()
        try merged.merge(try reader.message(field, named: "TensorProto"))
        tensor = merged
        present = .tensor
      case 6:
        try reader.skip(field)
        present = .graph
      case 7:
        try reader.appendFloats(field, to: &floats)
        present = .floats
      case 8:
        try reader.appendInt64s(field, to: &ints)
        present = .ints
      case 9:
        strings.append(try reader.data(field))
        present = .strings
      case 10:
        try reader.skip(field)
        present = .tensors
      case 11:
        try reader.skip(field)
        present = .graphs
      case 14:
        try reader.skip(field)
        present = .typeProto
      case 15:
        try reader.skip(field)
        present = .typeProtos
      case 20:
        let code = try reader.int32(field)
        guard let declared = Kind(rawValue: code) else {
          throw reader.malformed("attribute \"\(name)\" has the unknown type \(code)", at: field.offset)
        }
        kind = declared
      case 22:
        try reader.skip(field)
        present = .sparseTensor
      case 23:
        try reader.skip(field)
        present = .sparseTensors
      default: try reader.skip(field)
      }
    }
    if kind == .undefined { kind = present }
  }
}

/// A constant tensor as stored: shape, element type, and the elements in one of several places.
struct TensorProto {
  var name = ""
  var dims: [Int64] = []
  /// A value of `ONNXElementType`, not yet checked.
  var dataType: Int32 = 0
  /// Little-endian elements, when the writer chose this form.
  var rawData: ArraySlice<UInt8>?
  var floatData: [Float] = []
  var int32Data: [Int32] = []
  var int64Data: [Int64] = []
  var doubleData: [Double] = []
  /// Bit patterns of `uint64` values.
  var uint64Data: [Int64] = []
  var stringDataCount = 0
  /// Key and value pairs that say where the elements are outside the file.
  var externalData: [(key: String, value: String)] = []
  /// 0: in this message; 1: outside.
  var dataLocation: Int32 = 0
  /// True when the tensor is one piece of a larger one, which no known writer makes.
  var isSegment = false

  init() {}

  /// Parses a tensor that stands in a file of its own, as in the ONNX test data sets.
  init(bytes: [UInt8]) throws(ModelError) {
    try self.init(ProtobufReader(bytes[...], messageName: "TensorProto"))
  }

  fileprivate init(_ source: ProtobufReader) throws(ModelError) {
    try merge(source)
  }

  fileprivate mutating func merge(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: try reader.appendInt64s(field, to: &dims)
      case 2: dataType = try reader.int32(field)
      case 3:
        isSegment = true
        try reader.skip(field)
      case 4: try reader.appendFloats(field, to: &floatData)
      case 5: try reader.appendInt32s(field, to: &int32Data)
      case 6:
        stringDataCount += 1
        try reader.skip(field)
      case 7: try reader.appendInt64s(field, to: &int64Data)
      case 8: name = try reader.string(field)
      case 9: rawData = try reader.data(field)
      case 10: try reader.appendDoubles(field, to: &doubleData)
      case 11: try reader.appendInt64s(field, to: &uint64Data)
      case 13: externalData.append(try Self.keyAndValue(try reader.message(field, named: "StringStringEntryProto")))
      case 14: dataLocation = try reader.int32(field)
      default: try reader.skip(field)
      }
    }
  }

  private static func keyAndValue(_ source: ProtobufReader) throws(ModelError) -> (key: String, value: String) {
    var reader = source
    var key = ""
    var value = ""
    while let field = try reader.nextField() {
      switch field.number {
      case 1: key = try reader.string(field)
      case 2: value = try reader.string(field)
      default: try reader.skip(field)
      }
    }
    return (key, value)
  }
}

/// Name, element type and shape of a graph input, output or inner tensor.
struct ValueInfoProto {
  /// What kind of value a name stands for.
  enum ValueType {
    /// A tensor; `shape` is `nil` when the rank is unknown.
    case tensor(elementType: Int32, shape: [DimensionProto]?)
    /// A sequence, map, optional or sparse tensor, by name.
    case other(String)
  }

  var name = ""
  var type: ValueType?

  fileprivate init(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: name = try reader.string(field)
      case 2: try mergeType(try reader.message(field, named: "TypeProto"))
      default: try reader.skip(field)
      }
    }
  }

  private mutating func mergeType(_ source: ProtobufReader) throws(ModelError) {
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: try mergeTensorType(try reader.message(field, named: "TypeProto.Tensor"))
      case 4:
        type = .other("sequence")
        try reader.skip(field)
      case 5:
        type = .other("map")
        try reader.skip(field)
      case 8:
        type = .other("sparse tensor")
        try reader.skip(field)
      case 9:
        type = .other("optional")
        try reader.skip(field)
      default: try reader.skip(field)
      }
    }
  }

  private mutating func mergeTensorType(_ source: ProtobufReader) throws(ModelError) {
    var elementType: Int32 = 0
    var shape: [DimensionProto]?
    if case .tensor(let known, let dimensions) = type {
      elementType = known
      shape = dimensions
    }
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: elementType = try reader.int32(field)
      case 2:
        var dimensions = shape ?? []
        var shapeReader = try reader.message(field, named: "TensorShapeProto")
        while let dimensionField = try shapeReader.nextField() {
          guard dimensionField.number == 1 else {
            try shapeReader.skip(dimensionField)
            continue
          }
          let message = try shapeReader.message(dimensionField, named: "TensorShapeProto.Dimension")
          dimensions.append(try DimensionProto(message))
        }
        shape = dimensions
      default: try reader.skip(field)
      }
    }
    type = .tensor(elementType: elementType, shape: shape)
  }
}

/// One axis of a declared shape.
enum DimensionProto: Equatable {
  /// A number, not yet checked.
  case size(Int64)
  /// A name that stands for a size given at run time.
  case symbol(String)
  /// Neither.
  case unknown

  fileprivate init(_ source: ProtobufReader) throws(ModelError) {
    self = .unknown
    var reader = source
    while let field = try reader.nextField() {
      switch field.number {
      case 1: self = .size(try reader.int64(field))
      case 2: self = .symbol(try reader.string(field))
      default: try reader.skip(field)
      }
    }
  }
}
