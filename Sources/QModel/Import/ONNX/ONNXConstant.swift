/// A constant tensor with decoded elements, as the importer folds and uses it.
///
/// Elements stand in row-major order of `shape`. All floating-point types are held as `Float`, all integer types and
/// `bool` as `Int64` within `elementType.integerRange`.
struct ONNXConstant: Equatable {
  /// Decoded elements.
  enum Elements: Equatable {
    case floats([Float])
    case integers([Int64])

    var count: Int {
      switch self {
      case .floats(let values): values.count
      case .integers(let values): values.count
      }
    }
  }

  var elementType: ONNXElementType
  /// Axes, outermost first; empty for a scalar.
  var shape: [Int]
  /// As many elements as the product of `shape`.
  var elements: Elements

  /// The elements of an integer constant; `nil` for floating point.
  var integers: [Int64]? {
    if case .integers(let values) = elements { values } else { nil }
  }

  /// The elements of a floating-point constant; `nil` for integers.
  var floats: [Float]? {
    if case .floats(let values) = elements { values } else { nil }
  }

  /// Creates a one-dimensional `int64` constant.
  init(integers values: [Int64]) {
    self.init(elementType: .int64, shape: [values.count], elements: .integers(values))
  }

  init(elementType: ONNXElementType, shape: [Int], elements: Elements) {
    self.elementType = elementType
    self.shape = shape
    self.elements = elements
  }

  /// Largest number of elements that any tensor of a model may have.
  static let maximumElementCount = Int(Int32.max)

  /// Returns the product of the axes if each is 0 or more and the product is at most `maximumElementCount`.
  ///
  /// A zero does not excuse the other axes: their product without the zeros is bounded as well.
  static func elementCount(of shape: [Int]) -> Int? {
    var product = 1
    var isEmpty = false
    for size in shape {
      if size < 0 { return nil }
      if size == 0 {
        isEmpty = true
        continue
      }
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      if overflow || next > maximumElementCount { return nil }
      product = next
    }
    return isEmpty ? 0 : product
  }
}

extension ONNXConstant {
  /// Decodes a stored tensor.
  ///
  /// The elements must be present, in one place only, and be exactly as many as the shape says, so the memory used is
  /// at most a fixed multiple of the bytes read (sixteen for 4-bit integers).
  ///
  /// - Parameters:
  ///   - tensor: The tensor message.
  ///   - files: Where external data is looked up; `nil` if the model has no folder.
  init(_ tensor: TensorProto, externalData files: ONNXExternalData?) throws(ModelError) {
    let layout = try ONNXTensorLayout(tensor)
    if tensor.dataLocation == 1 {
      guard let files else {
        throw tensor.problem("its data is in another file, and the model was given without its folder")
      }
      let bytes = try files.bytes(of: tensor, count: layout.byteCount)
      try self.init(rawData: bytes[...], layout, tensor)
    } else if let rawData = tensor.rawData {
      try self.init(rawData: rawData, layout, tensor)
    } else {
      try self.init(typedData: tensor, layout)
    }
  }

  private init(rawData: ArraySlice<UInt8>, _ layout: ONNXTensorLayout, _ tensor: TensorProto) throws(ModelError) {
    guard rawData.count == layout.byteCount else {
      throw tensor.problem("it has \(rawData.count) bytes where shape \(layout.shape) needs \(layout.byteCount)")
    }
    let elements = rawData.withUnsafeBytes { Self.decoded($0, as: layout.elementType, count: layout.elementCount) }
    guard let elements else { throw tensor.problem("it has a value that cannot be represented") }
    self.init(elementType: layout.elementType, shape: layout.shape, elements: elements)
  }

  /// Decodes little-endian elements; `nil` if one does not fit. `source` holds exactly `count` elements.
  private static func decoded(_ source: UnsafeRawBufferPointer, as type: ONNXElementType, count: Int) -> Elements? {
    func element<T: FixedWidthInteger>(_ index: Int, _: T.Type) -> T {
      T(littleEndian: source.loadUnaligned(fromByteOffset: index * MemoryLayout<T>.size, as: T.self))
    }
    func integers<T: FixedWidthInteger>(_: T.Type) -> Elements {
      .integers((0..<count).map { Int64(truncatingIfNeeded: element($0, T.self)) })
    }
    switch type {
    case .float32: return .floats((0..<count).map { Float(bitPattern: element($0, UInt32.self)) })
    case .float16: return .floats((0..<count).map { Float(halfBits: element($0, UInt16.self)) })
    case .bfloat16: return .floats((0..<count).map { Float(bitPattern: UInt32(element($0, UInt16.self)) << 16) })
    case .float64: return .floats((0..<count).map { Float(Double(bitPattern: element($0, UInt64.self))) })
    case .bool: return .integers((0..<count).map { source[$0] == 0 ? 0 : 1 })
    case .uint8: return integers(UInt8.self)
    case .int8: return integers(Int8.self)
    case .uint16: return integers(UInt16.self)
    case .int16: return integers(Int16.self)
    case .uint32: return integers(UInt32.self)
    case .int32: return integers(Int32.self)
    case .int64: return integers(Int64.self)
    case .uint64:
      let values = (0..<count).map { element($0, UInt64.self) }
      return values.allSatisfy { $0 <= UInt64(Int64.max) } ? .integers(values.map { Int64($0) }) : nil
    case .uint4: return .integers((0..<count).map { Int64(nibble($0, of: source[$0 / 2])) })
    case .int4: return .integers((0..<count).map { Int64(signedNibble(nibble($0, of: source[$0 / 2]))) })
    case .string, .complex64, .complex128, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
      .float4E2M1, .float8E8M0:
      return nil
    }
  }

  /// The even elements are in the low half of each byte.
  private static func nibble(_ index: Int, of byte: UInt8) -> UInt8 {
    index % 2 == 0 ? byte & 15 : byte >> 4
  }

  private static func signedNibble(_ bits: UInt8) -> Int8 {
    Int8(truncatingIfNeeded: bits << 4) >> 4
  }

  private init(typedData tensor: TensorProto, _ layout: ONNXTensorLayout) throws(ModelError) {
    let elements: Elements
    switch layout.elementType {
    case .float32: elements = .floats(tensor.floatData)
    case .float64: elements = .floats(tensor.doubleData.map { Float($0) })
    case .float16:
      elements = .floats(tensor.int32Data.map { Float(halfBits: UInt16(truncatingIfNeeded: $0)) })
    case .bfloat16:
      elements = .floats(tensor.int32Data.map { Float(bitPattern: UInt32(truncatingIfNeeded: $0) << 16) })
    case .bool: elements = .integers(tensor.int32Data.map { $0 == 0 ? 0 : 1 })
    case .uint8: elements = .integers(tensor.int32Data.map { Int64(UInt8(truncatingIfNeeded: $0)) })
    case .int8: elements = .integers(tensor.int32Data.map { Int64(Int8(truncatingIfNeeded: $0)) })
    case .uint16: elements = .integers(tensor.int32Data.map { Int64(UInt16(truncatingIfNeeded: $0)) })
    case .int16: elements = .integers(tensor.int32Data.map { Int64(Int16(truncatingIfNeeded: $0)) })
    case .int32: elements = .integers(tensor.int32Data.map { Int64($0) })
    case .int64: elements = .integers(tensor.int64Data)
    case .uint32: elements = .integers(tensor.uint64Data.map { Int64(UInt32(truncatingIfNeeded: $0)) })
    case .uint64:
      guard tensor.uint64Data.allSatisfy({ $0 >= 0 }) else {
        throw tensor.problem("it has a value that cannot be represented")
      }
      elements = .integers(tensor.uint64Data)
    case .uint4, .int4:
      // One 32-bit entry holds two elements, as a byte of the raw form does.
      guard tensor.int32Data.count == layout.byteCount else {
        throw tensor.problem("it has \(tensor.int32Data.count) pairs where shape \(layout.shape) needs otherwise")
      }
      let pairs = tensor.int32Data.map { UInt8(truncatingIfNeeded: $0) }
      let isSigned = layout.elementType == .int4
      elements = .integers(
        (0..<layout.elementCount).map {
          let bits = Self.nibble($0, of: pairs[$0 / 2])
          return isSigned ? Int64(Self.signedNibble(bits)) : Int64(bits)
        })
    case .string, .complex64, .complex128, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ,
      .float4E2M1, .float8E8M0:
      throw tensor.unsupportedType()
    }
    guard elements.count == layout.elementCount else {
      throw tensor.problem(
        "it has \(elements.count) elements where shape \(layout.shape) needs \(layout.elementCount)")
    }
    self.init(elementType: layout.elementType, shape: layout.shape, elements: elements)
  }
}

/// Checked shape, type and size of a stored tensor.
struct ONNXTensorLayout {
  let elementType: ONNXElementType
  let shape: [Int]
  let elementCount: Int
  /// Bytes of the raw form.
  let byteCount: Int

  init(_ tensor: TensorProto) throws(ModelError) {
    if tensor.isSegment { throw tensor.problem("it is one segment of a larger tensor, which is not supported") }
    guard let type = ONNXElementType(rawValue: tensor.dataType), let bitWidth = type.bitWidth else {
      throw tensor.unsupportedType()
    }
    var shape: [Int] = []
    for size in tensor.dims {
      guard size >= 0, let narrow = Int(exactly: size) else { throw tensor.problem("its shape has the size \(size)") }
      shape.append(narrow)
    }
    guard let count = ONNXConstant.elementCount(of: shape) else {
      throw tensor.problem("its shape \(shape) has too many elements")
    }
    guard tensor.dataLocation == 0 || tensor.dataLocation == 1 else {
      throw tensor.problem("its data location \(tensor.dataLocation) is unknown")
    }
    // count <= 2^31 and bitWidth <= 64.
    self.byteCount = (count * bitWidth + 7) / 8
    self.elementType = type
    self.shape = shape
    self.elementCount = count
  }
}

extension TensorProto {
  /// An error about this tensor.
  func problem(_ text: String) -> ModelError {
    ModelError(.malformed, "tensor \"\(name)\": \(text)")
  }

  /// An error that says that the elements cannot be read.
  fileprivate func unsupportedType() -> ModelError {
    ModelError(.unsupported, "tensor \"\(name)\": the type \(ONNXElementType.name(ofCode: dataType)) is not supported")
  }
}
