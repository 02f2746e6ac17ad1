/// A value of a flatbuffer field, for tests that build files by hand.
indirect enum FlatValue {
  /// A number, as its little-endian bytes; their count is its size and alignment.
  case scalar([UInt8])
  case string(String)
  case table(FlatTable)
  /// A vector of numbers: its elements' bytes, and the size of one.
  case vector([UInt8], elementSize: Int)
  case tables([FlatTable])

  static func int<T: FixedWidthInteger>(_ value: T) -> FlatValue { .scalar(littleEndian([value])) }
  static func float(_ value: Float) -> FlatValue { .int(value.bitPattern) }
  static func bool(_ value: Bool) -> FlatValue { .int(UInt8(value ? 1 : 0)) }
  static func ints<T: FixedWidthInteger>(_ values: [T]) -> FlatValue {
    .vector(littleEndian(values), elementSize: T.bitWidth / 8)
  }
  static func floats(_ values: [Float]) -> FlatValue { .ints(values.map(\.bitPattern)) }
}

/// A table as its fields by id.
struct FlatTable {
  var fields: [Int: FlatValue]

  init(_ fields: [Int: FlatValue?] = [:]) { self.fields = fields.compactMapValues { $0 } }
}

/// The bytes of `values`, least significant first.
func littleEndian<T: FixedWidthInteger>(_ values: [T]) -> [UInt8] {
  values.flatMap { value in (0..<(T.bitWidth / 8)).map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) } }
}

/// Writes a flatbuffer front to back: each table before what it refers to, everything aligned as readers expect.
struct FlatBufferWriter {
  private(set) var bytes: [UInt8] = []

  init(root: FlatTable, identifier: String) {
    bytes = [0, 0, 0, 0] + Array(identifier.utf8)
    let position = write(root)
    patch(at: 0, target: position)
  }

  private mutating func align(to alignment: Int, ahead: Int = 0) {
    while (bytes.count + ahead) % alignment != 0 { bytes.append(0) }
  }

  private mutating func patch(at position: Int, target: Int) {
    bytes.replaceSubrange(position..<(position + 4), with: littleEndian([UInt32(target - position)]))
  }

  private mutating func write(_ table: FlatTable) -> Int {
    let ids = table.fields.keys.sorted()
    var vtable = [UInt16](repeating: 0, count: 2 + (ids.last ?? -1) + 1)
    var inline: [UInt8] = [0, 0, 0, 0]
    var references: [(offset: Int, value: FlatValue)] = []
    for id in ids {
      guard let value = table.fields[id] else { continue }
      var data: [UInt8] = [0, 0, 0, 0]
      if case .scalar(let bytes) = value { data = bytes }
      while inline.count % data.count != 0 { inline.append(0) }
      vtable[2 + id] = UInt16(inline.count)
      if case .scalar = value {} else { references.append((inline.count, value)) }
      inline += data
    }
    vtable[0] = UInt16(vtable.count * 2)
    vtable[1] = UInt16(inline.count)
    align(to: 2)
    let vtablePosition = bytes.count
    bytes += littleEndian(vtable)
    align(to: 8)
    let position = bytes.count
    inline.replaceSubrange(0..<4, with: littleEndian([Int32(position - vtablePosition)]))
    bytes += inline
    for (offset, value) in references {
      let target = write(value)
      patch(at: position + offset, target: target)
    }
    return position
  }

  private mutating func write(_ value: FlatValue) -> Int {
    switch value {
    case .scalar:
      return bytes.count
    case .table(let table):
      return write(table)
    case .string(let text):
      align(to: 4)
      let position = bytes.count
      bytes += littleEndian([UInt32(text.utf8.count)]) + Array(text.utf8) + [0]
      return position
    case .vector(let data, let elementSize):
      align(to: 4)
      align(to: max(elementSize, 4), ahead: 4)
      let position = bytes.count
      bytes += littleEndian([UInt32(data.count / elementSize)]) + data
      return position
    case .tables(let tables):
      align(to: 4)
      let position = bytes.count
      bytes += littleEndian([UInt32(tables.count)]) + [UInt8](repeating: 0, count: 4 * tables.count)
      for (index, table) in tables.enumerated() {
        let target = write(table)
        patch(at: position + 4 + 4 * index, target: target)
      }
      return position
    }
  }
}
