/// DEFLATE decompression (RFC 1951), for reading test vectors.
struct Inflate {
  struct Malformed: Error {}

  private let source: [UInt8]
  private var position = 0
  private var bits: UInt32 = 0
  private var bitCount = 0
  private var output: [UInt8] = []

  /// Returns the decompressed bytes of one raw DEFLATE stream.
  static func decompress(_ source: [UInt8]) throws -> [UInt8] {
    var inflate = Inflate(source)
    return try inflate.run()
  }

  private init(_ source: [UInt8]) { self.source = source }

  private mutating func read(_ count: Int) throws -> Int {
    while bitCount < count {
      guard position < source.count else { throw Malformed() }
      bits |= UInt32(source[position]) << UInt32(bitCount)
      position += 1
      bitCount += 8
    }
    let value = bits & ((1 << UInt32(count)) - 1)
    bits >>= UInt32(count)
    bitCount -= count
    return Int(value)
  }

  /// A canonical Huffman code: how many symbols each length has, and the symbols in code order.
  private struct Code {
    var counts = [Int](repeating: 0, count: 16)
    var symbols: [Int] = []

    init(_ lengths: [Int]) {
      for length in 1...15 {
        for (symbol, candidate) in lengths.enumerated() where candidate == length {
          counts[length] += 1
          symbols.append(symbol)
        }
      }
    }
  }

  private mutating func symbol(_ code: Code) throws -> Int {
    var value = 0, first = 0, index = 0
    for length in 1...15 {
      value |= try read(1)
      let count = code.counts[length]
      if value - first < count { return code.symbols[index + value - first] }
      index += count
      first = (first + count) << 1
      value <<= 1
    }
    throw Malformed()
  }

  private mutating func run() throws -> [UInt8] {
    let fixed = (
      Code((0..<288).map { $0 < 144 ? 8 : ($0 < 256 ? 9 : ($0 < 280 ? 7 : 8)) }),
      Code([Int](repeating: 5, count: 30))
    )
    var isLast = false
    while !isLast {
      isLast = try read(1) == 1
      switch try read(2) {
      case 0: try copyStored()
      case 1: try copyCompressed(fixed.0, fixed.1)
      case 2:
        let (literals, distances) = try readCodes()
        try copyCompressed(literals, distances)
      default: throw Malformed()
      }
    }
    return output
  }

  private mutating func copyStored() throws {
    bits = 0
    bitCount = 0
    guard position + 4 <= source.count else { throw Malformed() }
    let count = Int(source[position]) | Int(source[position + 1]) << 8
    position += 4
    guard position + count <= source.count else { throw Malformed() }
    output += source[position..<position + count]
    position += count
  }

  private mutating func readCodes() throws -> (Code, Code) {
    let literalCount = try read(5) + 257, distanceCount = try read(5) + 1, lengthCount = try read(4) + 4
    var lengths = [Int](repeating: 0, count: 19)
    for index in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].prefix(lengthCount) {
      lengths[index] = try read(3)
    }
    let code = Code(lengths)
    var all: [Int] = []
    while all.count < literalCount + distanceCount {
      switch try symbol(code) {
      case 16: all += [Int](repeating: all.last ?? 0, count: try read(2) + 3)
      case 17: all += [Int](repeating: 0, count: try read(3) + 3)
      case 18: all += [Int](repeating: 0, count: try read(7) + 11)
      case let length: all.append(length)
      }
    }
    return (Code(Array(all[..<literalCount])), Code(Array(all[literalCount..<literalCount + distanceCount])))
  }

  private mutating func copyCompressed(_ literals: Code, _ distances: Code) throws {
    let lengthBase = [
      3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
    ]
    let lengthBits = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
    while true {
      let value = try symbol(literals)
      if value < 256 {
        output.append(UInt8(value))
      } else if value == 256 {
        return
      } else {
        guard value - 257 < lengthBase.count else { throw Malformed() }
        let length = lengthBase[value - 257] + (try read(lengthBits[value - 257]))
        let code = try symbol(distances)
        let distance = code < 4 ? code + 1 : (2 + code % 2) << (code / 2 - 1) + 1 + (try read(code / 2 - 1))
        guard distance <= output.count else { throw Malformed() }
        for _ in 0..<length { output.append(output[output.count - distance]) }
      }
    }
  }
}
