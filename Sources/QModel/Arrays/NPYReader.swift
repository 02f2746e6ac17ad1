extension NPYArray {
  /// Parses a `.npy` file, versions 1.0 to 3.0. Memory: the bytes themselves; nothing is allocated from sizes that the
  /// file claims.
  ///
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - path: its name, for messages.
  /// - Throws: `NPYError` unless the file is exactly one little-endian array in C order of a known element type.
  public init(parsing bytes: [UInt8], path: String) throws(NPYError) {
    var reader = NPYReader(bytes: bytes, path: path)
    self = try reader.read()
  }
}

/// Reads the header of a `.npy` file: magic, version, length, and a Python dictionary literal.
///
/// Only what the format's own definition allows is accepted: the keys `descr`, `fortran_order` and `shape`, each once,
/// with a string, a truth value and a tuple of integers.
struct NPYReader {
  /// numpy's own limit before version 2 of the library, more than any model needs.
  static let maximumRank = 32

  let bytes: [UInt8]
  let path: String
  /// The next byte to read.
  private var position = 0
  /// The end of the header.
  private var end = 0

  init(bytes: [UInt8], path: String) {
    self.bytes = bytes
    self.path = path
  }

  private func refusal(_ problem: NPYError.Problem) -> NPYError { NPYError(path: path, problem: problem) }

  private func malformed(_ expected: String) -> NPYError { refusal(.header(offset: position, expected: expected)) }

  mutating func read() throws(NPYError) -> NPYArray {
    let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    guard bytes.starts(with: magic) else { throw refusal(.notNPY) }
    guard bytes.count >= 8 else { throw refusal(.truncatedHeader(expectedBytes: 10, foundBytes: bytes.count)) }
    let (major, minor) = (Int(bytes[6]), Int(bytes[7]))
    guard (1...3).contains(major) && minor == 0 else { throw refusal(.version(major: major, minor: minor)) }
    position = major == 1 ? 10 : 12
    guard bytes.count >= position else {
      throw refusal(.truncatedHeader(expectedBytes: position, foundBytes: bytes.count))
    }
    // Four bytes at most, so the sum below stays far inside 64 bits; on 32 bits an overflow is a cut-off file as well.
    var length: UInt64 = 0
    for index in (8..<position).reversed() { length = length << 8 | UInt64(bytes[index]) }
    let wanted = UInt64(position) + length
    guard wanted <= UInt64(bytes.count) else {
      throw refusal(.truncatedHeader(expectedBytes: Int(clamping: wanted), foundBytes: bytes.count))
    }
    end = Int(wanted)
    return try dictionary()
  }

  // MARK: the literal

  private mutating func dictionary() throws(NPYError) -> NPYArray {
    var descriptor: String?
    var fortranOrder: Bool?
    var shape: [Int]?
    try expect("{", "'{'")
    while !accept("}") {
      skipSpace()
      let start = position
      let key = try string("a key")
      try expect(":", "':'")
      let isRepeated: Bool
      switch key {
      case "descr":
        isRepeated = descriptor != nil
        descriptor = try elementDescriptor()
      case "fortran_order":
        isRepeated = fortranOrder != nil
        fortranOrder = try truthValue()
      case "shape":
        isRepeated = shape != nil
        shape = try tuple()
      default:
        position = start
        throw malformed("one of the keys 'descr', 'fortran_order', 'shape'")
      }
      guard !isRepeated else {
        position = start
        throw malformed("each key once")
      }
      if !accept(",") {
        try expect("}", "',' or '}'")
        break
      }
    }
    skipSpace()
    guard position == end else { throw malformed("nothing but spaces after the dictionary") }
    guard let descriptor else { throw malformed("a key 'descr'") }
    guard let fortranOrder else { throw malformed("a key 'fortran_order'") }
    guard let shape else { throw malformed("a key 'shape'") }
    return try array(descriptor: descriptor, fortranOrder: fortranOrder, shape: shape)
  }

  private func array(descriptor: String, fortranOrder: Bool, shape: [Int]) throws(NPYError) -> NPYArray {
    guard let order = descriptor.first, !descriptor.dropFirst().isEmpty else {
      throw refusal(.elementType(descriptor: descriptor))
    }
    let code = String(descriptor.dropFirst())
    guard !code.hasPrefix("O") && !code.hasPrefix("V") else { throw refusal(.objects(descriptor: descriptor)) }
    guard order != ">" else { throw refusal(.bigEndian(descriptor: descriptor)) }
    guard let elementType = NPYElementType.allCases.first(where: { $0.code == code }),
      order == "<" || (order == "|" && elementType.byteCount == 1)
    else { throw refusal(.elementType(descriptor: descriptor)) }
    // An array of one axis or none has the same bytes in both orders, and numpy then never claims Fortran's.
    guard !fortranOrder else { throw refusal(.fortranOrder) }

    guard shape.count <= Self.maximumRank else { throw refusal(.shape(text: npyShapeText(shape))) }
    var count = 1
    var size = elementType.byteCount
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      let (bytes, overflowInBytes) = size.multipliedReportingOverflow(by: extent)
      guard extent >= 0 && !overflow && !overflowInBytes else { throw refusal(.shape(text: npyShapeText(shape))) }
      (count, size) = (product, bytes)
    }
    guard bytes.count - end == size else {
      throw refusal(
        .dataSize(shape: shape, elementType: elementType, expectedBytes: size, foundBytes: bytes.count - end))
    }
    return NPYArray(
      elementType: elementType, shape: shape, count: count, path: path, storage: bytes, dataOffset: end)
  }

  private mutating func elementDescriptor() throws(NPYError) -> String {
    skipSpace()
    // A list of fields describes a record; its parts are of no interest.
    if position < end && (bytes[position] == UInt8(ascii: "[") || bytes[position] == UInt8(ascii: "(")) {
      throw refusal(.objects(descriptor: "a list of fields"))
    }
    return try string("a string")
  }

  private mutating func truthValue() throws(NPYError) -> Bool {
    skipSpace()
    if acceptWord("True") { return true }
    if acceptWord("False") { return false }
    throw malformed("True or False")
  }

  private mutating func tuple() throws(NPYError) -> [Int] {
    try expect("(", "'(' of a shape")
    var extents: [Int] = []
    while !accept(")") {
      extents.append(try integer())
      if !accept(",") {
        // (3) is a number in parentheses to Python, not a tuple.
        guard extents.count > 1 else { throw malformed("',' after the only extent") }
        try expect(")", "',' or ')'")
        break
      }
    }
    return extents
  }

  private mutating func integer() throws(NPYError) -> Int {
    skipSpace()
    let start = position
    if position < end && bytes[position] == UInt8(ascii: "-") { position += 1 }
    let digits = position
    while position < end && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) { position += 1 }
    guard position > digits else { throw malformed("an integer") }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Int(text) else { throw refusal(.shape(text: text)) }
    // Python 2 marked long integers.
    if position < end && bytes[position] == UInt8(ascii: "L") { position += 1 }
    return value
  }

  /// A string literal without escapes, which no valid header needs.
  private mutating func string(_ expected: String) throws(NPYError) -> String {
    skipSpace()
    guard position < end, bytes[position] == UInt8(ascii: "'") || bytes[position] == UInt8(ascii: "\"") else {
      throw malformed(expected)
    }
    let quote = bytes[position]
    let start = position + 1
    guard let close = bytes[start..<end].firstIndex(of: quote) else { throw malformed("a closed string") }
    let body = bytes[start..<close]
    guard !body.contains(UInt8(ascii: "\\")), body.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
      throw malformed("a plain string")
    }
    position = close + 1
    return String(decoding: body, as: UTF8.self)
  }

  private mutating func skipSpace() {
    while position < end && [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  private mutating func accept(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < end && bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func acceptWord(_ word: StaticString) -> Bool {
    let count = word.utf8CodeUnitCount
    guard end - position >= count else { return false }
    for index in 0..<count where bytes[position + index] != word.utf8Start[index] { return false }
    position += count
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar, _ expected: String) throws(NPYError) {
    guard accept(character) else { throw malformed(expected) }
  }
}
