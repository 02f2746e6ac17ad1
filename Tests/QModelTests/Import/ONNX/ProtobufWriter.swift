/// Writer of protobuf messages, the counterpart of `ProtobufReader` for tests.
struct ProtobufWriter {
  private(set) var bytes: [UInt8] = []

  mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  mutating func tag(_ field: Int, _ wireType: UInt64) {
    varint(UInt64(field) << 3 | wireType)
  }

  mutating func int(_ field: Int, _ value: Int64) {
    tag(field, 0)
    varint(UInt64(bitPattern: value))
  }

  mutating func float(_ field: Int, _ value: Float) {
    tag(field, 5)
    raw(value.bitPattern)
  }

  mutating func double(_ field: Int, _ value: Double) {
    tag(field, 1)
    raw(value.bitPattern)
  }

  mutating func data(_ field: Int, _ value: [UInt8]) {
    tag(field, 2)
    varint(UInt64(value.count))
    bytes += value
  }

  mutating func string(_ field: Int, _ value: String) {
    data(field, [UInt8](value.utf8))
  }

  mutating func message(_ field: Int, _ body: (inout ProtobufWriter) -> Void) {
    data(field, ProtobufWriter.message(body))
  }

  mutating func packedInts(_ field: Int, _ values: [Int64]) {
    message(field) { writer in values.forEach { writer.varint(UInt64(bitPattern: $0)) } }
  }

  mutating func packedFloats(_ field: Int, _ values: [Float]) {
    message(field) { writer in values.forEach { writer.raw($0.bitPattern) } }
  }

  mutating func packedDoubles(_ field: Int, _ values: [Double]) {
    message(field) { writer in values.forEach { writer.raw($0.bitPattern) } }
  }

  mutating func raw<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += [UInt8]($0) }
  }

  static func message(_ body: (inout ProtobufWriter) -> Void) -> [UInt8] {
    var writer = ProtobufWriter()
    body(&writer)
    return writer.bytes
  }
}
