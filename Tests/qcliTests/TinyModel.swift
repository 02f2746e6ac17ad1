import QKernels

/// A model file written record by record, without the importer, quantizer and plan compiler: two dense layers on a
/// 2x2 image with 2 channels, NCHW in the source model.
///
///     x [1,2,2,2] scale 0.5, zero point 3  ->  h = x * [[1, 0], [0, 1], [2, -1]]   scale 0.5, zero point -4
///     h [1,2,2,3]                          ->  y = h * [[1, 1, 1], [0, 3, 0]]      scale 1, zero point 0
///
/// All multipliers are powers of two, so the results are exact where they fit the type.
enum TinyModel {
  static let inputName = "serving/x:0"
  static let hiddenName = "h"
  static let outputName = "y"

  /// The bytes of the file.
  static func bytes(names: Bool = true) -> [UInt8] {
    var constants: [UInt8] = []
    func append(_ bytes: [UInt8]) -> UInt32 {
      let offset = UInt32(constants.count)
      constants += bytes
      constants += [UInt8](repeating: 0, count: (64 - bytes.count % 64) % 64)
      return offset
    }
    func integers(_ values: [Int32]) -> UInt32 {
      append(
        (values + [Int32](repeating: 0, count: 16 - values.count)).flatMap { value in
          withUnsafeBytes(of: value.littleEndian) { Array($0) }
        })
    }
    func dense(_ weights: [[Int32]], inputZeroPoint: Int32, shift: Int32, outputZeroPoint: Int32)
      -> FullyConnectedParams
    {
      // [16 channels][4 of the reduction], one block and one group.
      var packed = [UInt8](repeating: 0, count: 64)
      for (channel, row) in weights.enumerated() {
        for (index, weight) in row.enumerated() { packed[channel * 4 + index] = UInt8(bitPattern: Int8(weight)) }
      }
      let sums = weights.map { $0.reduce(0, +) }
      let quantization = ChannelQuantization(
        weights: append(packed), bias: integers(sums.map { -inputZeroPoint * $0 }), weightSums: integers(sums),
        multiplier: integers(weights.map { _ in 1 << 30 }), shift: integers(weights.map { _ in shift }),
        outputZeroPoint: outputZeroPoint, outputMin: -128, outputMax: 127)
      return FullyConnectedParams(
        inputDepth: Int32(weights[0].count), outputDepth: Int32(weights.count), quantization: quantization)
    }
    // 2^30 in Q0.31 is a half, so a shift of 1 is a factor of 1 and a shift of 0 a factor of a half.
    let layers = [
      dense([[1, 0], [0, 1], [2, -1]], inputZeroPoint: 3, shift: 1, outputZeroPoint: -4),
      dense([[1, 1, 1], [0, 3, 0]], inputZeroPoint: -4, shift: 0, outputZeroPoint: 0),
    ]

    var nameBytes: [UInt8] = []
    func name(_ text: String) -> UInt32 {
      guard names else { return ModelFormat.none }
      defer { nameBytes += Array(text.utf8) + [0] }
      return UInt32(nameBytes.count)
    }
    func tensor(_ text: String, channels: Int32, offset: UInt32, scale: Float, zeroPoint: Int32) -> TensorRecord {
      var record = TensorRecord()
      record.type = StoredType.int8.rawValue
      record.offset = offset
      record.byteCount = UInt32(4 * channels)
      record.rank = 4
      (record.dimension1, record.dimension2, record.dimension3) = (2, 2, channels)
      record.scaleBits = scale.bitPattern
      record.zeroPoint = zeroPoint
      record.name = name(text)
      // Source axes N C H W are stored axes 0 3 1 2; the batch axis (bits 24...27) is stored axis 0.
      record.sourceLayout = 0xF000_0000 | 2 << 12 | 1 << 8 | 3 << 4 | 0 | 5 << 20 | 4 << 16
      return record
    }
    let tensors = [
      tensor(inputName, channels: 2, offset: 0, scale: 0.5, zeroPoint: 3),
      tensor(hiddenName, channels: 3, offset: 128, scale: 0.5, zeroPoint: -4),
      // In the memory of the input, which nobody needs any more.
      tensor(outputName, channels: 2, offset: 0, scale: 1, zeroPoint: 0),
    ]
    let size = UInt32(MemoryLayout<FullyConnectedParams>.size)
    let steps = (0..<UInt32(2)).map { index in
      var record = StepRecord()
      record.code = OpCode.fullyConnected.rawValue
      record.params = index * size
      record.paramsByteCount = size
      record.operands = 2 + 2 * index
      (record.inputCount, record.outputCount) = (1, 1)
      return record
    }

    func raw<Record: BitwiseCopyable>(_ records: [Record]) -> [UInt8] { records.withUnsafeBytes { Array($0) } }
    var header = ModelHeader()
    var file = [UInt8](repeating: 0, count: MemoryLayout<ModelHeader>.size)
    func section(_ bytes: [UInt8]) -> UInt32 {
      file += [UInt8](repeating: 0, count: (64 - file.count % 64) % 64)
      defer { file += bytes }
      return UInt32(file.count)
    }
    header.tensorOffset = section(raw(tensors))
    header.tensorCount = UInt32(tensors.count)
    header.stepOffset = section(raw(steps))
    header.stepCount = UInt32(steps.count)
    header.operandOffset = section(raw([0, 2, 0, 1, 1, 2] as [UInt32]))
    header.operandCount = 6
    header.paramsOffset = section(raw(layers))
    header.paramsByteCount = 2 * size
    header.namesOffset = section(nameBytes)
    header.namesByteCount = UInt32(nameBytes.count)
    let provenance = Array("made by a test".utf8)
    header.provenanceOffset = section(provenance)
    header.provenanceByteCount = UInt32(provenance.count)
    header.selfTestOffset = section([])
    header.constantsOffset = section(constants)
    header.constantsByteCount = UInt32(constants.count)
    header.arenaByteCount = 256
    (header.inputCount, header.outputCount) = (1, 1)
    header.fileByteCount = UInt32(file.count)
    file.replaceSubrange(0..<MemoryLayout<ModelHeader>.size, with: raw([header]))
    let checksum = file.withUnsafeBytes { bytes in
      bytes.baseAddress.map { CRC32.checksum($0 + 16, byteCount: bytes.count - 16) } ?? 0
    }
    header.checksum = checksum
    file.replaceSubrange(0..<MemoryLayout<ModelHeader>.size, with: raw([header]))
    return file
  }

  /// The hidden and output values of one sample in NCHW, by the definition above; exact while nothing saturates.
  static func values(_ x: [Float]) -> (hidden: [Float], output: [Float]) {
    var hidden: [Float] = [], output: [Float] = []
    let (a, b) = (Array(x[0..<4]), Array(x[4..<8]))
    let third = zip(a, b).map { 2 * $0 - $1 }
    hidden = a + b + third
    output = (0..<4).map { a[$0] + b[$0] + third[$0] } + b.map { 3 * $0 }
    return (hidden, output)
  }
}
