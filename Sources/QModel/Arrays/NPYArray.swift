/// The element types that `.npy` files may have here; the raw value is numpy's name.
public enum NPYElementType: String, CaseIterable, Sendable {
  case float16, float32, float64
  case int8, uint8, int16, int32, int64

  /// Bytes per element.
  public var byteCount: Int {
    switch self {
    case .int8, .uint8: 1
    case .float16, .int16: 2
    case .float32, .int32: 4
    case .float64, .int64: 8
    }
  }

  /// The type code after the byte order in a header's `descr`.
  var code: String {
    switch self {
    case .float16: "f2"
    case .float32: "f4"
    case .float64: "f8"
    case .int8: "i1"
    case .uint8: "u1"
    case .int16: "i2"
    case .int32: "i4"
    case .int64: "i8"
    }
  }

  /// The `descr` that numpy writes for this type: `|` where byte order has no meaning, `<` (little-endian) elsewhere.
  var descriptor: String { (byteCount == 1 ? "|" : "<") + code }

  /// Whether elements are binary floating point.
  public var isFloat: Bool {
    switch self {
    case .float16, .float32, .float64: true
    case .int8, .uint8, .int16, .int32, .int64: false
    }
  }
}

/// A numpy array in C order, kept as the bytes of its file: elements are converted when they are read, so a large
/// calibration set is never in memory twice.
public struct NPYArray: Sendable {
  /// The type of the elements.
  public let elementType: NPYElementType
  /// The extents, first axis slowest; empty for a scalar.
  public let shape: [Int]
  /// The number of elements: the product of `shape`.
  public let count: Int
  /// Where the array came from, for messages; empty when it was made in memory.
  public let path: String

  let storage: [UInt8]
  let dataOffset: Int

  init(elementType: NPYElementType, shape: [Int], count: Int, path: String, storage: [UInt8], dataOffset: Int) {
    self.elementType = elementType
    self.shape = shape
    self.count = count
    self.path = path
    self.storage = storage
    self.dataOffset = dataOffset
  }

  /// Calls `body` with the elements' bytes: little-endian, C order, without the header, of no particular alignment.
  public func withElementBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    try storage.withUnsafeBytes { try body(UnsafeRawBufferPointer(rebasing: $0[dataOffset...])) }
  }

  /// The elements of a range of flat indices as float32, rounded to nearest where the type is wider.
  ///
  /// - Precondition: `range` lies in `0 ..< count`.
  public func floats(in range: Range<Int>) -> [Float] {
    [Float](unsafeUninitializedCapacity: range.count) { buffer, count in
      copyFloats(in: range, to: buffer)
      count = range.count
    }
  }

  /// All elements as float32.
  public func floats() -> [Float] { floats(in: 0..<count) }

  /// Writes the elements of a range of flat indices as float32 to the start of `target`.
  ///
  /// - Precondition: `range` lies in `0 ..< count`, and `target` has room for it.
  public func copyFloats(in range: Range<Int>, to target: UnsafeMutableBufferPointer<Float>) {
    precondition(range.lowerBound >= 0 && range.upperBound <= count && target.count >= range.count)
    withElementBytes { bytes in
      #if _endian(little)
        if elementType == .float32 {
          UnsafeMutableRawBufferPointer(target).copyMemory(
            from: UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * 4..<range.upperBound * 4]))
          return
        }
      #endif
      func convert<Element>(_: Element.Type, _ value: (Element) -> Float) where Element: BitwiseCopyable {
        for (position, index) in range.enumerated() {
          target[position] = value(
            bytes.loadUnaligned(fromByteOffset: index * MemoryLayout<Element>.size, as: Element.self))
        }
      }
      switch elementType {
      case .float16: convert(UInt16.self) { Float(halfBits: UInt16(littleEndian: $0)) }
      case .float32: convert(UInt32.self) { Float(bitPattern: UInt32(littleEndian: $0)) }
      case .float64: convert(UInt64.self) { Float(Double(bitPattern: UInt64(littleEndian: $0))) }
      case .int8: convert(Int8.self) { Float($0) }
      case .uint8: convert(UInt8.self) { Float($0) }
      case .int16: convert(Int16.self) { Float(Int16(littleEndian: $0)) }
      case .int32: convert(Int32.self) { Float(Int32(littleEndian: $0)) }
      case .int64: convert(Int64.self) { Float(Int64(littleEndian: $0)) }
      }
    }
  }

  /// The elements of a range of flat indices as integers, or nil when the type is a floating-point one.
  ///
  /// - Precondition: `range` lies in `0 ..< count`.
  public func integers(in range: Range<Int>) -> [Int64]? {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return withElementBytes { bytes in
      func convert<Element>(_: Element.Type, _ value: (Element) -> Int64) -> [Int64] where Element: BitwiseCopyable {
        range.map {
          value(bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Element>.size, as: Element.self))
        }
      }
      switch elementType {
      case .float16, .float32, .float64: return nil
      case .int8: return convert(Int8.self) { Int64($0) }
      case .uint8: return convert(UInt8.self) { Int64($0) }
      case .int16: return convert(Int16.self) { Int64(Int16(littleEndian: $0)) }
      case .int32: return convert(Int32.self) { Int64(Int32(littleEndian: $0)) }
      case .int64: return convert(Int64.self) { Int64(littleEndian: $0) }
      }
    }
  }

  /// The flat index of the first element that is not a finite number, or nil. Integers are always finite.
  public func firstNonFiniteIndex() -> Int? {
    guard elementType.isFloat else { return nil }
    let block = 4096
    for start in stride(from: 0, to: count, by: block) {
      let range = start..<min(start + block, count)
      if let position = floats(in: range).firstIndex(where: { !$0.isFinite }) { return start + position }
    }
    return nil
  }
}

extension Float {
  /// The value of an IEEE 754 binary16 number, exactly; a NaN stays a NaN.
  public init(halfBits bits: UInt16) {
    let sign = UInt32(bits & 0x8000) << 16
    let exponent = UInt32(bits >> 10) & 0x1F
    let fraction = UInt32(bits & 0x3FF)
    switch exponent {
    case 0:
      // Subnormal: fraction * 2^-24 is exact in binary32.
      let magnitude = Float(fraction) * 0x1p-24
      self = Float(bitPattern: sign | magnitude.bitPattern)
    case 31:
      self = Float(bitPattern: sign | 0x7F80_0000 | fraction << 13)
    default:
      self = Float(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
    }
  }
}

extension NPYArray {
  /// Makes a float32 array in memory.
  ///
  /// - Precondition: the product of `shape` is `values.count`.
  public init(shape: [Int], floats values: [Float]) {
    self.init(shape: shape, values: values, elementType: .float32)
  }

  /// Makes an int8 array in memory.
  ///
  /// - Precondition: the product of `shape` is `values.count`.
  public init(shape: [Int], int8 values: [Int8]) {
    self.init(shape: shape, values: values, elementType: .int8)
  }

  /// Makes an int16 array in memory.
  ///
  /// - Precondition: the product of `shape` is `values.count`.
  public init(shape: [Int], int16 values: [Int16]) {
    self.init(shape: shape, values: values, elementType: .int16)
  }

  /// Makes an int32 array in memory.
  ///
  /// - Precondition: the product of `shape` is `values.count`.
  public init(shape: [Int], int32 values: [Int32]) {
    self.init(shape: shape, values: values, elementType: .int32)
  }

  /// Makes an array from its elements' bytes (little-endian, C order).
  ///
  /// - Precondition: `bytes` holds the product of `shape` elements.
  public init(shape: [Int], elementType: NPYElementType, bytes: [UInt8]) {
    let count = shape.reduce(1, *)
    precondition(bytes.count == count * elementType.byteCount, "the bytes do not fill the shape")
    self.init(elementType: elementType, shape: shape, count: count, path: "", storage: bytes, dataOffset: 0)
  }

  private init<Element: BitwiseCopyable>(shape: [Int], values: [Element], elementType: NPYElementType) {
    self.init(shape: shape, elementType: elementType, bytes: values.withUnsafeBytes { [UInt8]($0) })
  }
}
