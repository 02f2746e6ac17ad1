import Foundation

/// An integer array of a numpy file.
struct NumpyArray {
  var shape: [Int]
  var values: [Int]
}

/// The arrays of an `.npz` file.
struct NumpyArchive {
  struct Malformed: Error { var reason: String }

  private(set) var arrays: [String: NumpyArray] = [:]

  /// The array `name`.
  subscript(name: String) -> NumpyArray {
    get throws {
      guard let array = arrays[name] else { throw Malformed(reason: "no array \(name)") }
      return array
    }
  }

  init(_ url: URL) throws {
    let bytes = [UInt8](try Data(contentsOf: url))
    func number(_ position: Int, _ count: Int) -> Int {
      (0..<count).reduce(0) { $0 | Int(bytes[position + $1]) << ($1 * 8) }
    }
    // End of central directory: found from the back; the comment is empty.
    let end = bytes.count - 22
    guard end >= 0, number(end, 4) == 0x0605_4B50 else { throw Malformed(reason: "no zip directory") }
    var entry = number(end + 16, 4)
    for _ in 0..<number(end + 10, 2) {
      let method = number(entry + 10, 2), size = number(entry + 20, 4)
      let nameLength = number(entry + 28, 2), local = number(entry + 42, 4)
      let name = String(decoding: bytes[entry + 46..<entry + 46 + nameLength], as: UTF8.self)
      let start = local + 30 + number(local + 26, 2) + number(local + 28, 2)
      let data = Array(bytes[start..<start + size])
      arrays[String(name.dropLast(4))] = try Self.array(method == 0 ? data : try Inflate.decompress(data))
      entry += 46 + nameLength + number(entry + 30, 2) + number(entry + 32, 2)
    }
  }

  /// The array of an `.npy` file of little-endian integers in C order.
  private static func array(_ bytes: [UInt8]) throws -> NumpyArray {
    let isLong = bytes[6] > 1
    let length = isLong ? Int(bytes[8]) | Int(bytes[9]) << 8 | Int(bytes[10]) << 16 : Int(bytes[8]) | Int(bytes[9]) << 8
    let start = (isLong ? 12 : 10) + length
    let header = String(decoding: bytes[(start - length)..<start], as: UTF8.self)
    guard header.contains("'fortran_order': False"), let open = header.range(of: "'shape': ("),
      let close = header.range(of: ")", range: open.upperBound..<header.endIndex)
    else { throw Malformed(reason: header) }
    let shape = header[open.upperBound..<close.lowerBound].split(separator: ",")
      .compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }
    guard let kind = ["|i1": 1, "<i2": 2, "<i4": 4, "<i8": 8].first(where: { header.contains("'\($0.key)'") }) else {
      throw Malformed(reason: header)
    }
    let size = kind.value
    let values = (0..<(bytes.count - start) / size).map { index -> Int in
      var value: Int64 = 0
      for byte in 0..<size { value |= Int64(bytes[start + index * size + byte]) << Int64(byte * 8) }
      let unused = Int64(64 - size * 8)
      return Int((value << unused) >> unused)
    }
    guard values.count == shape.reduce(1, *) else { throw Malformed(reason: "size of \(header)") }
    return NumpyArray(shape: shape, values: values)
  }
}
