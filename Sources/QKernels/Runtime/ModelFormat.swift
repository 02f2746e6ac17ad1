// The `.qkm` file: little-endian, flat, used in place from flash or a mapped file.
//
//   header · tensors · steps · operands · params · names · provenance · self-test · constants
//
// Every section starts at a multiple of 64 bytes, and offsets are 32-bit, from the start of the file unless said otherwise.
// Records are the memory of the Swift structs below: fixed-width integers only, no padding, so that one declaration is
// both the encoder and the decoder. All supported targets are little-endian.

/// The constants of the file format.
public enum ModelFormat {
  /// "QKM1" in file order.
  public static let magic: UInt32 = 0x314D_4B51
  /// The version of layout and arithmetic; a reader accepts exactly this one.
  public static let version: UInt32 = 1
  /// Alignment of every section and of every arena and state allocation, in bytes.
  public static let sectionAlignment = 64
  /// The alignment that the caller's model, arena and state pointers must have, in bytes.
  public static let pointerAlignment = 16
  /// The highest number of axes of a tensor.
  public static let maximumRank = 6
  /// Output channels per block of the packed weight layouts.
  public static let channelBlock = 16
  /// Bytes of a reduction group of the packed weight layouts.
  public static let reductionGroup = 4
  /// Readable bytes that must follow every tensor in the arena: the slack of reads in whole groups and vectors.
  public static let readSlack = 64
  /// Marks an absent offset or index.
  public static let none: UInt32 = 0xFFFF_FFFF
}

/// The first 128 bytes of a model file.
public struct ModelHeader: BitwiseCopyable, Sendable {
  /// ``ModelFormat/magic``.
  public var magic: UInt32 = ModelFormat.magic
  /// ``ModelFormat/version``.
  public var version: UInt32 = ModelFormat.version
  /// Size of the whole file in bytes.
  public var fileByteCount: UInt32 = 0
  /// CRC-32 (IEEE 802.3) of all bytes from offset 16 to the end.
  public var checksum: UInt32 = 0
  /// Exact bytes of working memory that a run needs.
  public var arenaByteCount: UInt32 = 0
  /// Bytes of state kept between runs (recurrent networks), 0 for most models.
  public var stateByteCount: UInt32 = 0
  /// Number of model inputs: the first entries of the operand table are their tensor indices.
  public var inputCount: UInt32 = 0
  /// Number of model outputs: their tensor indices follow those of the inputs in the operand table.
  public var outputCount: UInt32 = 0
  /// Offset of the tensor table.
  public var tensorOffset: UInt32 = 0
  /// Number of tensor records.
  public var tensorCount: UInt32 = 0
  /// Offset of the step table.
  public var stepOffset: UInt32 = 0
  /// Number of step records.
  public var stepCount: UInt32 = 0
  /// UInt32 tensor indices: model inputs, model outputs, then the operands of the steps.
  public var operandOffset: UInt32 = 0
  /// Number of entries of the operand table.
  public var operandCount: UInt32 = 0
  /// Offset of the params records of the steps.
  public var paramsOffset: UInt32 = 0
  /// Size of the params section in bytes.
  public var paramsByteCount: UInt32 = 0
  /// NUL-terminated UTF-8 strings; records hold offsets from here.
  public var namesOffset: UInt32 = 0
  /// Size of the section in bytes.
  public var namesByteCount: UInt32 = 0
  /// UTF-8 text: tool version, digests of the source model and of the calibration data.
  public var provenanceOffset: UInt32 = 0
  /// Size of the section in bytes.
  public var provenanceByteCount: UInt32 = 0
  /// One input and the CRC-32 of every step's outputs; absent when the byte count is 0.
  public var selfTestOffset: UInt32 = 0
  /// Size of the section in bytes.
  public var selfTestByteCount: UInt32 = 0
  /// Packed weights, biases, multipliers, tables, constant tensors; records hold offsets from here.
  public var constantsOffset: UInt32 = 0
  /// Size of the section in bytes.
  public var constantsByteCount: UInt32 = 0
  var reserved0: UInt32 = 0
  var reserved1: UInt32 = 0
  var reserved2: UInt32 = 0
  var reserved3: UInt32 = 0
  var reserved4: UInt32 = 0
  var reserved5: UInt32 = 0
  var reserved6: UInt32 = 0
  var reserved7: UInt32 = 0
  /// An empty header.
  public init() {}
}

/// The element types of tensors in a model file; raw values are frozen.
public enum StoredType: UInt32, Sendable {
  case int8 = 1
  case int16 = 2
  case int32 = 3

  /// Bytes per element.
  @inline(__always) public var byteCount: Int {
    switch self {
    case .int8: 1
    case .int16: 2
    case .int32: 4
    }
  }
}

/// Where a tensor lives; raw values are frozen.
public enum TensorStorage: UInt32, Sendable {
  /// The caller's arena.
  case arena = 0
  /// The constants section of the file.
  case constant = 1
  /// The caller's state buffer.
  case state = 2
}

/// One tensor: 68 bytes.
public struct TensorRecord: BitwiseCopyable, Sendable {
  /// Raw value of ``StoredType``.
  public var type: UInt32 = 0
  /// Raw value of ``TensorStorage``.
  public var storage: UInt32 = 0
  /// Byte offset from the start of the arena, the constants section or the state buffer.
  public var offset: UInt32 = 0
  /// Size in bytes: the product of the dimensions times the element size.
  public var byteCount: UInt32 = 0
  /// Number of axes, 0...6.
  public var rank: UInt32 = 0
  /// The size of axis 0; 1 beyond the rank.
  public var dimension0: Int32 = 1
  /// The size of axis 1; 1 beyond the rank.
  public var dimension1: Int32 = 1
  /// The size of axis 2; 1 beyond the rank.
  public var dimension2: Int32 = 1
  /// The size of axis 3; 1 beyond the rank.
  public var dimension3: Int32 = 1
  /// The size of axis 4; 1 beyond the rank.
  public var dimension4: Int32 = 1
  /// The size of axis 5; 1 beyond the rank.
  public var dimension5: Int32 = 1
  /// IEEE 754 binary32 bits of the scale; QKernels never interprets them.
  public var scaleBits: UInt32 = 0
  /// The integer that stands for 0.
  public var zeroPoint: Int32 = 0
  /// Offset into the names section, or ``ModelFormat/none``.
  public var name: UInt32 = ModelFormat.none
  /// The axes of the source model's layout: 4 bits per axis, source axis `i` is stored axis `(sourceLayout >> 4 * i) & 15`;
  /// bits 24...27 are the stored axis that counts samples, 15 for none; ``ModelFormat/none`` when there is none and the
  /// layouts are the same.
  public var sourceLayout: UInt32 = ModelFormat.none
  /// State tensors: constants-section offset of the bytes that a reset copies in, or ``ModelFormat/none`` to fill with the
  /// zero point.
  public var initialValue: UInt32 = ModelFormat.none
  /// The tensor's index in the source model, or ``ModelFormat/none``.
  public var sourceIndex: UInt32 = ModelFormat.none
  /// A scalar int8 tensor without storage.
  public init() {}

  /// The size of axis `axis`, 1 beyond the rank.
  @inline(__always) public func dimension(_ axis: Int) -> Int {
    switch axis {
    case 0: Int(dimension0)
    case 1: Int(dimension1)
    case 2: Int(dimension2)
    case 3: Int(dimension3)
    case 4: Int(dimension4)
    case 5: Int(dimension5)
    default: 1
    }
  }

  /// The product of the dimensions from axis `start` up to, but not including, axis `end`.
  @inline(__always) public func elementCount(from start: Int, to end: Int) -> Int {
    var count = 1
    var axis = start
    while axis < end {
      count = count &* dimension(axis)
      axis += 1
    }
    return count
  }

  /// The number of elements; sizes beyond the rank are 1.
  @inline(__always) public var elementCount: Int {
    Int(dimension0) &* Int(dimension1) &* (Int(dimension2) &* Int(dimension3)) &* (Int(dimension4) &* Int(dimension5))
  }
}

/// One step of the plan: 32 bytes.
public struct StepRecord: BitwiseCopyable, Sendable {
  /// Raw value of ``OpCode``.
  public var code: UInt32 = 0
  /// Offset of the params record from the start of the params section.
  public var params: UInt32 = 0
  /// Size of the params record; must be that of the op's params struct.
  public var paramsByteCount: UInt32 = 0
  /// First entry of the step in the operand table: inputs, then outputs.
  public var operands: UInt32 = 0
  /// Number of inputs.
  public var inputCount: UInt32 = 0
  /// Number of outputs.
  public var outputCount: UInt32 = 0
  /// Scratch memory of the step: offset in the arena.
  public var scratchOffset: UInt32 = 0
  /// Size of the scratch memory in bytes.
  public var scratchByteCount: UInt32 = 0
  /// An empty step.
  public init() {}
}
