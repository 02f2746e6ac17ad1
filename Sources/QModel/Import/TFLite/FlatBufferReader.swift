/// A refusal of the flatbuffer reader: where it stood, and what it expected there.
struct FlatBufferError: Error, Equatable, CustomStringConvertible {
  /// The position in the file of the value that could not be read.
  var byteOffset: Int
  /// What was expected, in words.
  var problem: String
  /// The fields that lead to the value, outermost first ("subgraphs[0]", "tensors[3]", ...).
  var path: [String] = []

  var description: String {
    let place = path.isEmpty ? "" : path.joined(separator: ".") + ": "
    return "\(place)\(problem) (at byte \(byteOffset))"
  }
}

/// A read-only flatbuffer in which every offset is checked before it is followed.
///
/// Layout (https://flatbuffers.dev/internals): all numbers are little-endian. A table starts with a signed offset back
/// to its vtable; the vtable holds its own size, the table's size, and one 16-bit offset per field (0 = absent).
/// Vectors and strings are reached by an unsigned forward offset and start with a 32-bit count.
///
/// Nothing here traps on any bytes: alignment is not assumed, every sum is checked against the file's size, and no
/// function follows more than the one offset that its caller asked for, so recursion is as deep as the schema.
///
/// Offsets may be shared, so a small file can describe a huge structure; everything that is decoded into memory is
/// charged to a budget proportional to the file's size, and exceeding it is an error.
struct FlatBufferReader {
  /// The whole file.
  let bytes: [UInt8]
  private let budget: DecodingBudget

  /// Opens a flatbuffer; nothing is read yet.
  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    // Unshared content is charged at most about 2.5 times its own size (see `table(at:)`); the rest is room for writers
    // that share strings, vectors and empty tables.
    let (product, overflow) = bytes.count.multipliedReportingOverflow(by: 8)
    budget = DecodingBudget(remaining: overflow ? Int.max : product)
  }

  /// The root table of a file whose bytes 4..<8 are `identifier`.
  func root(identifier: StaticString) throws(FlatBufferError) -> FlatBufferTable {
    guard bytes.count >= 8 else {
      throw FlatBufferError(byteOffset: bytes.count, problem: "expected a flatbuffer of at least 8 bytes")
    }
    let matches = identifier.withUTF8Buffer { expected in
      expected.count == 4 && expected.elementsEqual(bytes[4..<8])
    }
    guard matches else {
      throw FlatBufferError(byteOffset: 4, problem: "expected the file identifier '\(identifier)'")
    }
    return try table(at: indirect(at: 0))
  }

  /// The little-endian integer at `offset`.
  func load<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) throws(FlatBufferError) -> T {
    let size = T.bitWidth / 8
    guard offset >= 0, size <= bytes.count, offset <= bytes.count - size else {
      throw FlatBufferError(byteOffset: offset, problem: "expected \(size) more bytes, the file has \(bytes.count)")
    }
    return T(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: T.self) })
  }

  /// The target of the forward offset stored at `offset`.
  func indirect(at offset: Int) throws(FlatBufferError) -> Int {
    let distance = try load(UInt32.self, at: offset)
    // A forward offset is never 0 (it would point at itself), and must stay within the file.
    guard distance >= 4, let step = Int(exactly: distance), step <= bytes.count - offset else {
      throw FlatBufferError(byteOffset: offset, problem: "expected an offset within the file, found \(distance)")
    }
    return offset + step
  }

  /// The table that starts at `position`.
  func table(at position: Int) throws(FlatBufferError) -> FlatBufferTable {
    let back = Int(try load(Int32.self, at: position))
    let vtable = position - back
    guard vtable >= 0, vtable <= bytes.count - 4 else {
      throw FlatBufferError(byteOffset: position, problem: "expected a vtable within the file")
    }
    let vtableSize = Int(try load(UInt16.self, at: vtable))
    guard vtableSize >= 4, vtableSize % 2 == 0, vtableSize <= bytes.count - vtable else {
      throw FlatBufferError(byteOffset: vtable, problem: "expected a vtable size, found \(vtableSize)")
    }
    let tableSize = Int(try load(UInt16.self, at: vtable + 2))
    guard tableSize >= 4, tableSize <= bytes.count - position else {
      throw FlatBufferError(byteOffset: vtable + 2, problem: "expected a table size, found \(tableSize)")
    }
    // The constant stands for what our own record of a table costs beside its contents.
    try charge(tableSize + 16, at: position)
    return FlatBufferTable(
      buffer: self, position: position, size: tableSize, vtable: vtable, fieldCount: (vtableSize - 4) / 2)
  }

  /// The bytes of the vector that starts at `position`, without its count; `elementSize` >= 1.
  func vector(at position: Int, elementSize: Int) throws(FlatBufferError) -> Range<Int> {
    let count = Int(try load(UInt32.self, at: position))
    let start = position + 4
    guard count <= (bytes.count - start) / elementSize else {
      throw FlatBufferError(
        byteOffset: position, problem: "expected a vector within the file, it has \(count) elements")
    }
    return start..<(start + count * elementSize)
  }

  /// Takes `byteCount` from the budget, before that much is decoded.
  fileprivate func charge(_ byteCount: Int, at offset: Int) throws(FlatBufferError) {
    guard byteCount <= budget.remaining else {
      throw FlatBufferError(byteOffset: offset, problem: "the same bytes are shared too often for the file's size")
    }
    budget.remaining -= byteCount
  }
}

/// What may still be decoded from one file; shared by all its tables.
private final class DecodingBudget {
  var remaining: Int

  init(remaining: Int) { self.remaining = remaining }
}

/// One table of a flatbuffer; fields are named by their id, the declaration order in the schema (a union takes two).
struct FlatBufferTable {
  fileprivate let buffer: FlatBufferReader
  /// Where the table starts in the file.
  let position: Int
  fileprivate let size: Int
  fileprivate let vtable: Int
  fileprivate let fieldCount: Int

  /// Where the field's inline value of `byteCount` bytes stands, or nil when the field is absent.
  private func location(of field: Int, byteCount: Int) throws(FlatBufferError) -> Int? {
    guard field < fieldCount else { return nil }
    let entry = vtable + 4 + 2 * field
    let offset = Int(try buffer.load(UInt16.self, at: entry))
    guard offset != 0 else { return nil }
    guard offset >= 4, offset <= size - byteCount else {
      throw FlatBufferError(byteOffset: entry, problem: "expected field \(field) within its table")
    }
    return position + offset
  }

  /// The target of the offset in `field`, or nil when the field is absent.
  private func target(of field: Int) throws(FlatBufferError) -> Int? {
    guard let location = try location(of: field, byteCount: 4) else { return nil }
    return try buffer.indirect(at: location)
  }

  /// An integer field.
  func integer<T: FixedWidthInteger>(_ field: Int, default value: T) throws(FlatBufferError) -> T {
    guard let location = try location(of: field, byteCount: T.bitWidth / 8) else { return value }
    return try buffer.load(T.self, at: location)
  }

  /// A boolean field: any byte but 0 is true.
  func bool(_ field: Int, default value: Bool) throws(FlatBufferError) -> Bool {
    try integer(field, default: UInt8(value ? 1 : 0)) != 0
  }

  /// A 32-bit floating-point field.
  func float(_ field: Int, default value: Float) throws(FlatBufferError) -> Float {
    Float(bitPattern: try integer(field, default: value.bitPattern))
  }

  /// A table field, or nil when it is absent.
  func table(_ field: Int) throws(FlatBufferError) -> FlatBufferTable? {
    guard let target = try target(of: field) else { return nil }
    return try buffer.table(at: target)
  }

  /// A union: the tag in `field` and, unless the tag is 0 (none), the table in `field + 1`.
  func union(_ field: Int) throws(FlatBufferError) -> (tag: UInt8, table: FlatBufferTable)? {
    let tag = try integer(field, default: UInt8(0))
    guard tag != 0 else { return nil }
    guard let table = try table(field + 1) else {
      throw FlatBufferError(byteOffset: position, problem: "expected the table of union field \(field), tag \(tag)")
    }
    return (tag, table)
  }

  /// A string field, invalid UTF-8 replaced; nil when it is absent.
  func string(_ field: Int) throws(FlatBufferError) -> String? {
    guard let range = try byteVector(field) else { return nil }
    guard try buffer.load(UInt8.self, at: range.upperBound) == 0 else {
      throw FlatBufferError(byteOffset: range.upperBound, problem: "expected a zero after a string")
    }
    try buffer.charge(range.count + 16, at: range.lowerBound)
    return String(decoding: buffer.bytes[range], as: UTF8.self)
  }

  /// The place in the file of a vector of bytes; nothing is copied, nothing is charged.
  func byteVector(_ field: Int) throws(FlatBufferError) -> Range<Int>? {
    guard let target = try target(of: field) else { return nil }
    return try buffer.vector(at: target, elementSize: 1)
  }

  /// Checks that a vector whose contents are not needed lies within the file, so that damage is noticed.
  func checkVector(_ field: Int, elementSize: Int) throws(FlatBufferError) {
    guard let target = try target(of: field) else { return }
    _ = try buffer.vector(at: target, elementSize: elementSize)
  }

  /// A vector of integers, or nil when it is absent.
  func integers<T: FixedWidthInteger>(_ field: Int, of type: T.Type) throws(FlatBufferError) -> [T]? {
    let elementSize = T.bitWidth / 8
    guard let target = try target(of: field) else { return nil }
    let range = try buffer.vector(at: target, elementSize: elementSize)
    try buffer.charge(range.count + 16, at: target)
    var values: [T] = []
    values.reserveCapacity(range.count / elementSize)
    for offset in stride(from: range.lowerBound, to: range.upperBound, by: elementSize) {
      values.append(try buffer.load(T.self, at: offset))
    }
    return values
  }

  /// A vector of 32-bit floating-point numbers, or nil when it is absent.
  func floats(_ field: Int) throws(FlatBufferError) -> [Float]? {
    try integers(field, of: UInt32.self)?.map(Float.init(bitPattern:))
  }

  /// A vector of tables, each given to `transform`; empty when it is absent. `name` is the field's name for errors.
  func tables<T>(
    _ field: Int, _ name: StaticString, _ transform: (FlatBufferTable, Int) throws(FlatBufferError) -> T
  ) throws(FlatBufferError) -> [T] {
    guard let target = try target(of: field) else { return [] }
    let range = try buffer.vector(at: target, elementSize: 4)
    var values: [T] = []
    // Not reserved in advance: the budget stops a vector whose tables are all the same.
    for (index, offset) in stride(from: range.lowerBound, to: range.upperBound, by: 4).enumerated() {
      do throws(FlatBufferError) {
        values.append(try transform(buffer.table(at: buffer.indirect(at: offset)), index))
      } catch {
        throw FlatBufferError(
          byteOffset: error.byteOffset, problem: error.problem, path: ["\(name)[\(index)]"] + error.path)
      }
    }
    return values
  }
}
