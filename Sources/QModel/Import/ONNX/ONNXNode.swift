/// A node with its attributes by name, as the operators' importers see it.
struct ONNXNode {
  let proto: NodeProto
  /// What to call the node in the graph: its own name, or one made of its operator and position.
  let name: String
  /// The version of the standard operator set that the model uses.
  let opset: Int
  private let attributes: [String: AttributeProto]

  /// Indexes the attributes; throws if one is given twice.
  init(_ proto: NodeProto, index: Int, opset: Int) throws(ModelError) {
    self.proto = proto
    self.name = Self.name(of: proto, index: index)
    self.opset = opset
    var attributes: [String: AttributeProto] = [:]
    for attribute in proto.attributes where attributes.updateValue(attribute, forKey: attribute.name) != nil {
      throw ModelError(.malformed, "node \"\(name)\" (\(proto.opType)): attribute \"\(attribute.name)\" is given twice")
    }
    self.attributes = attributes
  }

  /// The node's own name, or one made of its operator and its position in the file.
  static func name(of proto: NodeProto, index: Int) -> String {
    proto.name.isEmpty ? "\(proto.opType) #\(index)" : proto.name
  }

  /// The name of an input; `nil` where it is left out.
  func input(_ index: Int) -> String? {
    index < proto.inputs.count && !proto.inputs[index].isEmpty ? proto.inputs[index] : nil
  }

  /// The name of an output; `nil` where it is left out.
  func output(_ index: Int) -> String? {
    index < proto.outputs.count && !proto.outputs[index].isEmpty ? proto.outputs[index] : nil
  }

  /// An error that says that the node breaks the rules of its operator.
  func malformed(_ problem: String) -> ModelError {
    ModelError(.malformed, "node \"\(name)\" (\(proto.opType)): \(problem)")
  }

  /// An error that says that the node is legal and not supported.
  func unsupported(_ problem: String) -> ModelError {
    ModelError(.unsupported, "node \"\(name)\" (\(proto.opType)): \(problem)")
  }
}

extension ONNXNode {
  /// The value cut off at 2^40 either way.
  ///
  /// No size or position beyond that is meant as a number (slices write the extremes of `Int64` for "to the end"), and
  /// sums of a few of these cannot overflow.
  static func bounded(_ value: Int64) -> Int {
    Int(truncatingIfNeeded: min(max(value, -(1 << 40)), 1 << 40))
  }

  /// Whether an attribute is given.
  func has(_ name: String) -> Bool { attributes[name] != nil }

  /// The value of an integer attribute, cut off at 2^40 either way; `nil` if it is absent.
  func int(_ name: String) throws(ModelError) -> Int? {
    guard let attribute = try attribute(name, .int) else { return nil }
    return Self.bounded(attribute.int)
  }

  /// The value of an integer attribute, however large; `nil` if it is absent.
  func int64(_ name: String) throws(ModelError) -> Int64? {
    try attribute(name, .int)?.int
  }

  /// The value of a list of integers, however large; `nil` if it is absent.
  func int64s(_ name: String) throws(ModelError) -> [Int64]? {
    try attribute(name, .ints)?.ints
  }

  /// The value of an integer attribute that is 0 or 1.
  func flag(_ name: String, default absent: Bool = false) throws(ModelError) -> Bool {
    switch try int(name) {
    case nil: absent
    case 0: false
    case 1: true
    case .some(let value): throw malformed("attribute \"\(name)\" is \(value), expected 0 or 1")
    }
  }

  /// The value of a list of integers, cut off at 2^40 either way; `nil` if it is absent.
  func ints(_ name: String) throws(ModelError) -> [Int]? {
    guard let attribute = try attribute(name, .ints) else { return nil }
    return attribute.ints.map { Self.bounded($0) }
  }

  /// The value of a floating-point attribute, which must be finite.
  func float(_ name: String, default absent: Float) throws(ModelError) -> Float {
    guard let value = try attribute(name, .float)?.float else { return absent }
    guard value.isFinite else { throw malformed("attribute \"\(name)\" is \(value)") }
    return value
  }

  /// The value of a floating-point attribute, which may be infinite; `nil` if it is absent.
  func optionalFloat(_ name: String) throws(ModelError) -> Float? {
    guard let value = try attribute(name, .float)?.float else { return nil }
    guard !value.isNaN else { throw malformed("attribute \"\(name)\" is not a number") }
    return value
  }

  /// The value of a list of floating-point numbers; `nil` if it is absent.
  func floats(_ name: String) throws(ModelError) -> [Float]? {
    try attribute(name, .floats)?.floats
  }

  /// The value of a text attribute.
  func string(_ name: String, default absent: String) throws(ModelError) -> String {
    guard let attribute = try attribute(name, .string) else { return absent }
    return try text(attribute.string, name)
  }

  /// The value of a list of texts; `nil` if it is absent.
  func strings(_ name: String) throws(ModelError) -> [String]? {
    guard let attribute = try attribute(name, .strings) else { return nil }
    var values: [String] = []
    for value in attribute.strings { values.append(try text(value, name)) }
    return values
  }

  /// The value of a tensor attribute; `nil` if it is absent.
  func tensor(_ name: String) throws(ModelError) -> TensorProto? {
    guard let attribute = try attribute(name, .tensor) else { return nil }
    guard let tensor = attribute.tensor else { throw malformed("attribute \"\(name)\" has no tensor") }
    return tensor
  }

  private func attribute(_ name: String, _ kind: AttributeProto.Kind) throws(ModelError) -> AttributeProto? {
    guard let attribute = attributes[name] else { return nil }
    guard attribute.kind == kind else {
      throw malformed("attribute \"\(name)\" is of type \(attribute.kind), expected \(kind)")
    }
    return attribute
  }

  private func text(_ bytes: ArraySlice<UInt8>, _ name: String) throws(ModelError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw malformed("attribute \"\(name)\" is not valid UTF-8")
    }
    return text
  }
}
