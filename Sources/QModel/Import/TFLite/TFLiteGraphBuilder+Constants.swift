extension TFLiteGraphBuilder {
  /// Takes `byteCount` from the budget of what may be decoded.
  mutating func chargeDecoding(_ byteCount: Int, _ index: Int) throws(TFLiteProblem) {
    guard byteCount <= decodingBudget else {
      throw .malformed("\(label(index)): the constants share the same bytes too often for the file's size")
    }
    decodingBudget -= byteCount
  }

  /// Decodes a constant of the file into the graph, once: float16 becomes float, int4 one byte per element, uint8 and
  /// bool are widened to int16.
  mutating func decodeConstant(_ index: Int) throws(TFLiteProblem) {
    guard availability[index] == .stored else { return }
    let tensor = model.tensors[index]
    guard !tensor.isSparse else { throw .unsupported("\(label(index)) is sparse") }
    if tensor.shape == [0] {
      graph.tensors[index].data = .int32([])
    } else {
      let shape = try checkedShape(index)
      let count = shape.reduce(1, *)
      let key = BufferKey(buffer: tensor.buffer, typeCode: tensor.elementTypeCode, count: count)
      if let data = decodedBuffers[key] {
        graph.tensors[index].data = data
      } else {
        let data = try decodedBuffer(of: index, count: count)
        decodedBuffers[key] = data
        graph.tensors[index].data = data
      }
    }
    availability[index] = .ready
  }

  private mutating func decodedBuffer(of index: Int, count: Int) throws(TFLiteProblem) -> TensorData {
    let tensor = model.tensors[index]
    let range = model.buffers[Int(tensor.buffer)]
    let bitsPerElement: Int
    switch tensor.elementType {
    case .int4: bitsPerElement = 4
    case .int8, .uint8, .bool: bitsPerElement = 8
    case .float16, .int16: bitsPerElement = 16
    case .float32, .int32: bitsPerElement = 32
    case .int64: bitsPerElement = 64
    default: throw .unsupported("\(label(index)) is a constant of type \(typeName(index))")
    }
    let byteCount = (count * bitsPerElement + 7) / 8
    guard range.count == byteCount else {
      throw .malformed(
        "\(label(index)) of shape \(tensor.shape) needs \(byteCount) bytes of \(typeName(index)), its buffer has "
          + "\(range.count)")
    }
    try chargeDecoding(2 * byteCount, index)
    return model.bytes.withUnsafeBytes { file in
      let bytes = UnsafeRawBufferPointer(rebasing: file[range])
      func elements<T: FixedWidthInteger>(_ type: T.Type) -> [T] {
        (0..<count).map { T(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * (T.bitWidth / 8), as: T.self)) }
      }
      switch tensor.elementType {
      case .float32: return .float(elements(UInt32.self).map(Float.init(bitPattern:)))
      case .float16: return .float(elements(UInt16.self).map(Float.init(halfBits:)))
      case .int16: return .int16(elements(Int16.self))
      case .int32: return .int32(elements(Int32.self))
      case .int64: return .int64(elements(Int64.self))
      case .uint8: return .int16(elements(UInt8.self).map { Int16($0) })
      case .bool: return .int16(elements(UInt8.self).map { $0 == 0 ? 0 : 1 })
      case .int4:
        // Two elements per byte, the first in the low half; the shifts extend the sign.
        return .int8(
          (0..<count).map { element in
            let pair = Int8(bitPattern: bytes[element / 2])
            return element % 2 == 0 ? (pair << 4) >> 4 : pair >> 4
          })
      default: return .int8(elements(Int8.self))
      }
    }
  }

  /// Makes a decoded constant of a float model float: quantized weights (hybrid models) are dequantized.
  mutating func requireFloatConstant(_ index: Int) throws(TFLiteProblem) {
    guard let data = graph.tensors[index].data, data.floats == nil else { return }
    graph.tensors[index].data = .float(try dequantized(index, data))
    graph.tensors[index].type = .float32
  }

  /// scale * (q - zeroPoint) for every element of a constant.
  mutating func dequantized(_ index: Int, _ data: TensorData) throws(TFLiteProblem) -> [Float] {
    switch model.tensors[index].elementType {
    case .int4, .int8, .uint8, .int16: break
    default: throw .unsupported("\(label(index)) is \(typeName(index)), where a float constant is expected")
    }
    let axis = Int(model.tensors[index].quantization?.quantizedDimension ?? 0)
    let quantization = try quantization(of: index, axis: axis)
    let shape = graph.tensors[index].shape
    try chargeDecoding(4 * data.count, index)
    // Elements of one channel that stand side by side.
    let run = quantization.axis.map { shape[($0 + 1)...].reduce(1, *) } ?? max(data.count, 1)
    func values<T: FixedWidthInteger>(_ elements: [T]) -> [Float] {
      var floats: [Float] = []
      floats.reserveCapacity(elements.count)
      for (position, element) in elements.enumerated() {
        let channel = position / run % quantization.scales.count
        floats.append(quantization.scales[channel] * Float(Int(element) - quantization.zeroPoints[channel]))
      }
      return floats
    }
    switch data {
    case .int8(let elements): return values(elements)
    case .int16(let elements): return values(elements)
    case .int32(let elements): return values(elements)
    case .int64(let elements): return values(elements)
    case .float(let elements): return elements
    }
  }
}
