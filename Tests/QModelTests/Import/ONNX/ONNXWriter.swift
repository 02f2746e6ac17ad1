// Small models, written without any tool.

/// A model to write; its `bytes` are a whole `.onnx` file.
struct ONNXModelWriter {
  var opset: Int64 = 17
  var nodes: [ONNXNodeWriter] = []
  var inputs: [ONNXValueWriter] = []
  var outputs: [ONNXValueWriter] = []
  var initializers: [ONNXTensorWriter] = []

  var bytes: [UInt8] {
    ProtobufWriter.message { model in
      model.int(1, 8)
      model.message(7) { graph in
        nodes.forEach { graph.data(1, $0.bytes) }
        graph.string(2, "test")
        initializers.forEach { graph.data(5, $0.bytes) }
        inputs.forEach { graph.data(11, $0.bytes) }
        outputs.forEach { graph.data(12, $0.bytes) }
      }
      model.message(8) {
        $0.string(1, "")
        $0.int(2, opset)
      }
    }
  }
}

/// A node to write.
struct ONNXNodeWriter {
  enum Attribute {
    case int(Int64)
    case float(Float)
    case string(String)
    case ints([Int64])
    case floats([Float])
    case strings([String])
    case tensor(ONNXTensorWriter)
    case graph
  }

  var opType: String
  var inputs: [String]
  var outputs: [String]
  var attributes: [(String, Attribute)]
  var name: String
  var domain: String
  /// Whether repeated numbers are packed.
  var isPacked = true

  init(
    _ opType: String, _ inputs: [String], _ outputs: [String], _ attributes: [(String, Attribute)] = [],
    name: String? = nil, domain: String = ""
  ) {
    self.opType = opType
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.name = name ?? "node_" + (outputs.first ?? "")
    self.domain = domain
  }

  var bytes: [UInt8] {
    ProtobufWriter.message { node in
      inputs.forEach { node.string(1, $0) }
      outputs.forEach { node.string(2, $0) }
      node.string(3, name)
      node.string(4, opType)
      for (name, attribute) in attributes {
        node.message(5) { message in
          message.string(1, name)
          write(attribute, into: &message)
        }
      }
      if !domain.isEmpty { node.string(7, domain) }
    }
  }

  private func write(_ attribute: Attribute, into message: inout ProtobufWriter) {
    switch attribute {
    case .float(let value):
      message.float(2, value)
      message.int(20, 1)
    case .int(let value):
      message.int(3, value)
      message.int(20, 2)
    case .string(let value):
      message.string(4, value)
      message.int(20, 3)
    case .tensor(let tensor):
      message.data(5, tensor.bytes)
      message.int(20, 4)
    case .graph:
      message.message(6) { $0.string(2, "inner") }
      message.int(20, 5)
    case .floats(let values):
      if isPacked { message.packedFloats(7, values) } else { values.forEach { message.float(7, $0) } }
      message.int(20, 6)
    case .ints(let values):
      if isPacked { message.packedInts(8, values) } else { values.forEach { message.int(8, $0) } }
      message.int(20, 7)
    case .strings(let values):
      values.forEach { message.string(9, $0) }
      message.int(20, 8)
    }
  }
}

/// A graph input or output to write.
struct ONNXValueWriter {
  enum Dimension: ExpressibleByIntegerLiteral, ExpressibleByStringLiteral {
    case size(Int64)
    case symbol(String)
    case unknown

    init(integerLiteral value: Int64) { self = .size(value) }
    init(stringLiteral value: String) { self = .symbol(value) }
  }

  var name: String
  var shape: [Dimension]?
  var elementType: Int64 = 1

  init(_ name: String, _ shape: [Dimension]?, elementType: Int64 = 1) {
    self.name = name
    self.shape = shape
    self.elementType = elementType
  }

  var bytes: [UInt8] {
    ProtobufWriter.message { value in
      value.string(1, name)
      value.message(2) { type in
        type.message(1) { tensor in
          tensor.int(1, elementType)
          guard let shape else { return }
          tensor.message(2) { message in
            for dimension in shape {
              message.message(1) { axis in
                switch dimension {
                case .size(let size): axis.int(1, size)
                case .symbol(let symbol): axis.string(2, symbol)
                case .unknown: break
                }
              }
            }
          }
        }
      }
    }
  }
}

/// A constant tensor to write.
struct ONNXTensorWriter {
  enum Storage {
    case raw([UInt8])
    case floats([Float])
    case unpackedFloats([Float])
    case doubles([Double])
    case int32s([Int64])
    case unpackedInt32s([Int64])
    case int64s([Int64])
    case unpackedInt64s([Int64])
    case uint64s([Int64])
    case external([(String, String)])
    case none
  }

  var name: String
  var shape: [Int64]
  var elementType: Int64
  var storage: Storage

  init(_ name: String, _ shape: [Int64], type elementType: Int64, _ storage: Storage) {
    self.name = name
    self.shape = shape
    self.elementType = elementType
    self.storage = storage
  }

  /// A float32 tensor in the raw form.
  init(_ name: String, _ shape: [Int64], _ values: [Float]) {
    self.init(name, shape, type: 1, .raw(Self.rawBytes(values.map(\.bitPattern))))
  }

  /// An int64 tensor in the raw form, one-dimensional unless a shape is given.
  init(_ name: String, shape: [Int64]? = nil, ints values: [Int64]) {
    self.init(name, shape ?? [Int64(values.count)], type: 7, .raw(Self.rawBytes(values)))
  }

  static func rawBytes<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
    var writer = ProtobufWriter()
    values.forEach { writer.raw($0) }
    return writer.bytes
  }

  var bytes: [UInt8] {
    ProtobufWriter.message { tensor in
      tensor.packedInts(1, shape)
      tensor.int(2, elementType)
      switch storage {
      case .floats(let values): tensor.packedFloats(4, values)
      case .unpackedFloats(let values): values.forEach { tensor.float(4, $0) }
      case .int32s(let values): tensor.packedInts(5, values)
      case .unpackedInt32s(let values): values.forEach { tensor.int(5, $0) }
      case .int64s(let values): tensor.packedInts(7, values)
      case .unpackedInt64s(let values): values.forEach { tensor.int(7, $0) }
      case .doubles(let values): tensor.packedDoubles(10, values)
      case .uint64s(let values): tensor.packedInts(11, values)
      case .raw, .external, .none: break
      }
      tensor.string(8, name)
      if case .raw(let data) = storage { tensor.data(9, data) }
      if case .external(let entries) = storage {
        for (key, value) in entries {
          tensor.message(13) {
            $0.string(1, key)
            $0.string(2, value)
          }
        }
        tensor.int(14, 1)
      }
    }
  }
}
