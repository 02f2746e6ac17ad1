/// Wire type of a protobuf field: how its bytes are laid out.
///
/// The deprecated group types (3 and 4) are missing on purpose: ONNX never uses them, and refusing them keeps the
/// reader free of recursion.
enum ProtobufWireType: UInt8 {
  case varint = 0
  case fixed64 = 1
  case lengthDelimited = 2
  case fixed32 = 5
}

/// Tag of one field, as read by `ProtobufReader.nextField()`.
struct ProtobufField: Equatable {
  /// Field number of the message definition, 1 or more.
  let number: UInt32
  /// Layout of the value that follows the tag.
  let wireType: ProtobufWireType
  /// Position of the tag in the file.
  let offset: Int
}

/// Strict reader of the fields of one protobuf message.
///
/// It walks a slice of the file without copying it. Every read is bounds-checked against the message's own end, so no
/// sequence of bytes can trap; what it appends to arrays is at most a fixed multiple of the bytes read. After
/// `nextField()` the caller must consume the value with exactly one of the reading methods, or `skip(_:)`.
///
/// A field whose wire type is not the declared one is an error, not an unknown field: a model that has one was damaged.
///
/// Source: protobuf encoding specification, protobuf.dev/programming-guides/encoding.
struct ProtobufReader {
  private let bytes: ArraySlice<UInt8>
  private let messageName: StaticString
  private var position: Int

  /// Creates a reader over one message.
  ///
  /// - Parameters:
  ///   - bytes: The message without its length prefix; the slice's indices are positions in the file.
  ///   - messageName: Name of the message in the definition, for errors.
  init(_ bytes: ArraySlice<UInt8>, messageName: StaticString) {
    self.bytes = bytes
    self.messageName = messageName
    self.position = bytes.startIndex
  }

  /// Reads the next tag; `nil` at the end of the message.
  mutating func nextField() throws(ModelError) -> ProtobufField? {
    if position == bytes.endIndex { return nil }
    let offset = position
    let tag = try varint(at: offset)
    guard let narrow = UInt32(exactly: tag), narrow >> 3 != 0 else {
      throw malformed("a field tag is out of range", at: offset)
    }
    guard let wireType = ProtobufWireType(rawValue: UInt8(truncatingIfNeeded: narrow & 7)) else {
      throw malformed("field \(narrow >> 3) has the unknown wire type \(narrow & 7)", at: offset)
    }
    return ProtobufField(number: narrow >> 3, wireType: wireType, offset: offset)
  }

  /// Steps over a field that the importer does not use.
  mutating func skip(_ field: ProtobufField) throws(ModelError) {
    switch field.wireType {
    case .varint: _ = try varint(at: field.offset)
    case .fixed64: try advance(by: 8, field)
    case .lengthDelimited: _ = try payload(field)
    case .fixed32: try advance(by: 4, field)
    }
  }

  /// Reads an `int64` (also `uint64` and enum fields, as their bit pattern).
  mutating func int64(_ field: ProtobufField) throws(ModelError) -> Int64 {
    try expect(.varint, field)
    return Int64(bitPattern: try varint(at: field.offset))
  }

  /// Reads an `int32` or enum; protobuf says that the upper bits are dropped.
  mutating func int32(_ field: ProtobufField) throws(ModelError) -> Int32 {
    Int32(truncatingIfNeeded: try int64(field))
  }

  /// Reads a `float`.
  mutating func float(_ field: ProtobufField) throws(ModelError) -> Float {
    try expect(.fixed32, field)
    let start = position
    try advance(by: 4, field)
    return Float(bitPattern: littleEndian32(at: start))
  }

  /// Reads a `bytes` field as a slice of the file.
  mutating func data(_ field: ProtobufField) throws(ModelError) -> ArraySlice<UInt8> {
    try expect(.lengthDelimited, field)
    return try payload(field)
  }

  /// Reads a `string` field, which must be UTF-8.
  ///
  /// Repairing it instead could make two different tensor names equal.
  mutating func string(_ field: ProtobufField) throws(ModelError) -> String {
    guard let text = String(validating: try data(field), as: UTF8.self) else {
      throw malformed("field \(field.number) is not valid UTF-8", at: field.offset)
    }
    return text
  }

  /// Returns a reader of an embedded message.
  mutating func message(_ field: ProtobufField, named name: StaticString) throws(ModelError) -> ProtobufReader {
    ProtobufReader(try data(field), messageName: name)
  }

  /// Appends a repeated `int64` (or `uint64`, as its bit pattern), packed or not.
  mutating func appendInt64s(_ field: ProtobufField, to values: inout [Int64]) throws(ModelError) {
    guard field.wireType == .lengthDelimited else {
      values.append(try int64(field))
      return
    }
    var packed = ProtobufReader(try payload(field), messageName: messageName)
    while packed.position < packed.bytes.endIndex {
      values.append(Int64(bitPattern: try packed.varint(at: packed.position)))
    }
  }

  /// Appends a repeated `int32`, packed or not.
  mutating func appendInt32s(_ field: ProtobufField, to values: inout [Int32]) throws(ModelError) {
    guard field.wireType == .lengthDelimited else {
      values.append(try int32(field))
      return
    }
    var packed = ProtobufReader(try payload(field), messageName: messageName)
    while packed.position < packed.bytes.endIndex {
      values.append(Int32(truncatingIfNeeded: try packed.varint(at: packed.position)))
    }
  }

  /// Appends a repeated `float`, packed or not.
  mutating func appendFloats(_ field: ProtobufField, to values: inout [Float]) throws(ModelError) {
    guard field.wireType == .lengthDelimited else {
      values.append(try float(field))
      return
    }
    let packed = try payload(field)
    guard packed.count % 4 == 0 else {
      throw malformed("field \(field.number) packs floats into \(packed.count) bytes", at: field.offset)
    }
    packed.withUnsafeBytes { source in
      for offset in stride(from: 0, to: source.count, by: 4) {
        let bits = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        values.append(Float(bitPattern: bits))
      }
    }
  }

  /// Appends a repeated `double`, packed or not.
  mutating func appendDoubles(_ field: ProtobufField, to values: inout [Double]) throws(ModelError) {
    let packed: ArraySlice<UInt8>
    switch field.wireType {
    case .lengthDelimited: packed = try payload(field)
    case .fixed64:
      let start = position
      try advance(by: 8, field)
      packed = bytes[start..<position]
    case .varint, .fixed32: throw wrongWireType(field)
    }
    guard packed.count % 8 == 0 else {
      throw malformed("field \(field.number) packs doubles into \(packed.count) bytes", at: field.offset)
    }
    packed.withUnsafeBytes { source in
      for offset in stride(from: 0, to: source.count, by: 8) {
        let bits = UInt64(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        values.append(Double(bitPattern: bits))
      }
    }
  }

  /// An error about the message being read.
  func malformed(_ problem: String, at offset: Int) -> ModelError {
    ModelError(.malformed, "byte \(offset): \(messageName): \(problem)")
  }

  private func wrongWireType(_ field: ProtobufField) -> ModelError {
    malformed("field \(field.number) has the wrong wire type \(field.wireType)", at: field.offset)
  }

  private func expect(_ wireType: ProtobufWireType, _ field: ProtobufField) throws(ModelError) {
    if field.wireType != wireType { throw wrongWireType(field) }
  }

  private mutating func advance(by count: Int, _ field: ProtobufField) throws(ModelError) {
    guard count <= bytes.endIndex - position else {
      throw malformed(
        "field \(field.number) needs \(count) bytes, \(bytes.endIndex - position) are left", at: field.offset)
    }
    position += count
  }

  private mutating func payload(_ field: ProtobufField) throws(ModelError) -> ArraySlice<UInt8> {
    let length = try varint(at: field.offset)
    guard let count = Int(exactly: length), count <= bytes.endIndex - position else {
      throw malformed(
        "field \(field.number) claims \(length) bytes, \(bytes.endIndex - position) are left", at: field.offset)
    }
    let start = position
    position += count
    return bytes[start..<position]
  }

  private func littleEndian32(at offset: Int) -> UInt32 {
    var value: UInt32 = 0
    for index in 0..<4 { value |= UInt32(bytes[offset + index]) << UInt32(8 * index) }
    return value
  }

  /// Reads a varint of at most ten bytes that fits 64 bits.
  private mutating func varint(at offset: Int) throws(ModelError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.endIndex {
      let byte = bytes[position]
      position += 1
      // The tenth byte carries bit 63 alone.
      if shift == 63 && byte > 1 { throw malformed("a varint does not fit 64 bits", at: offset) }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    throw malformed("a varint is cut off", at: offset)
  }
}
