/// Members of a `.zip` (numpy's `.npz`), stored or deflated, for reading golden data. Trusts its input.
struct ZipArchive {
  private(set) var members: [(name: String, bytes: [UInt8])] = []

  init(_ bytes: [UInt8]) {
    func number(_ offset: Int, _ size: Int) -> Int {
      (0..<size).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    guard var end = bytes.indices.dropLast(21).last(where: { number($0, 4) == 0x0605_4B50 }) else { return }
    var remaining = number(end + 10, 2)
    end = number(end + 16, 4)
    while remaining > 0 {
      let method = number(end + 10, 2), compressed = number(end + 20, 4), size = number(end + 24, 4)
      let nameLength = number(end + 28, 2), local = number(end + 42, 4)
      let name = String(decoding: bytes[end + 46..<end + 46 + nameLength], as: UTF8.self)
      let start = local + 30 + number(local + 26, 2) + number(local + 28, 2)
      let data = bytes[start..<start + compressed]
      members.append((name, method == 0 ? Array(data) : Inflate.inflate(Array(data), size: size)))
      end += 46 + nameLength + number(end + 30, 2) + number(end + 32, 2)
      remaining -= 1
    }
  }
}

/// DEFLATE decompression (RFC 1951).
enum Inflate {
  /// Canonical Huffman codes by length.
  private struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [Int]) {
      for length in lengths where length > 0 { counts[length] += 1 }
      symbols = (1...15).flatMap { length in lengths.indices.filter { lengths[$0] == length } }
    }
  }

  static func inflate(_ input: [UInt8], size: Int) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(size)
    var bit = 0
    func bits(_ count: Int) -> Int {
      var value = 0
      for i in 0..<count {
        value |= Int(input[bit >> 3] >> UInt8(bit & 7) & 1) << i
        bit += 1
      }
      return value
    }
    func symbol(_ code: Code) -> Int {
      var value = 0, first = 0, index = 0
      for length in 1...15 {
        value |= bits(1)
        let count = code.counts[length]
        if value - first < count { return code.symbols[index + value - first] }
        index += count
        first = (first + count) << 1
        value <<= 1
      }
      return 256
    }
    func copy(_ literals: Code, _ distances: Code) {
      while true {
        let code = symbol(literals)
        if code == 256 { return }
        if code < 256 {
          output.append(UInt8(code))
          continue
        }
        let group = code - 257
        let length =
          group < 8 ? group + 3 : group == 28 ? 258 : ((4 + group % 4) << (group / 4 - 1)) + 3 + bits(group / 4 - 1)
        let far = symbol(distances)
        let distance = far < 4 ? far + 1 : ((2 + far % 2) << (far / 2 - 1)) + 1 + bits(far / 2 - 1)
        for _ in 0..<length { output.append(output[output.count - distance]) }
      }
    }
    var isLast = false
    while !isLast {
      isLast = bits(1) == 1
      switch bits(2) {
      case 0:
        bit = (bit + 7) & ~7
        let count = bits(16)
        bit += 16
        output += input[bit >> 3..<bit >> 3 + count]
        bit += count * 8
      case 1:
        let lengths = [(144, 8), (112, 9), (24, 7), (8, 8)].flatMap { [Int](repeating: $0.1, count: $0.0) }
        copy(Code(lengths), Code([Int](repeating: 5, count: 30)))
      default:
        let literalCount = bits(5) + 257, distanceCount = bits(5) + 1, codeCount = bits(4) + 4
        var codeLengths = [Int](repeating: 0, count: 19)
        for place in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].prefix(codeCount) {
          codeLengths[place] = bits(3)
        }
        let code = Code(codeLengths)
        var lengths: [Int] = []
        while lengths.count < literalCount + distanceCount {
          switch symbol(code) {
          case 16: lengths += [Int](repeating: lengths[lengths.count - 1], count: 3 + bits(2))
          case 17: lengths += [Int](repeating: 0, count: 3 + bits(3))
          case 18: lengths += [Int](repeating: 0, count: 11 + bits(7))
          case let length: lengths.append(length)
          }
        }
        copy(Code(Array(lengths[..<literalCount])), Code(Array(lengths[literalCount...])))
      }
    }
    return output
  }
}
