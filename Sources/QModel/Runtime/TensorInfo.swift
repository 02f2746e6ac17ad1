import QKernels

/// One tensor of a compiled model, as a caller sees it.
public struct TensorInfo: Sendable, Equatable {
  /// Index into the file's tensor table: what ``Session/withTensor(_:_:)`` takes.
  public let index: Int
  /// The name in the source model; nil when the file carries no names, or the tensor had none.
  public let name: String?
  /// Dimensions as stored: channels last where the op is spatial.
  public let shape: [Int]
  /// The element type.
  public let type: StoredType
  /// `real = scale × (q − zeroPoint)`; 0 where the tensor has no real meaning.
  public let scale: Float
  public let zeroPoint: Int
  /// Source axis `i` is stored axis `sourceLayout[i]`; nil when the layouts are the same.
  public let sourceLayout: [Int]?
  /// The stored axis, of size 1, that counts samples in the source model; nil if it has none.
  public let batchAxis: Int?
  /// The tensor's number in the source model, where its format numbers tensors.
  public let sourceIndex: Int?

  /// A description of a tensor record.
  public init(
    index: Int, name: String?, shape: [Int], type: StoredType, scale: Float, zeroPoint: Int, sourceLayout: [Int]?,
    batchAxis: Int?, sourceIndex: Int? = nil
  ) {
    self.index = index
    self.name = name
    self.shape = shape
    self.type = type
    self.scale = scale
    self.zeroPoint = zeroPoint
    self.sourceLayout = sourceLayout
    self.batchAxis = batchAxis
    self.sourceIndex = sourceIndex
  }

  /// The number of elements.
  public var elementCount: Int { shape.reduce(1, *) }
  /// The size in bytes.
  public var byteCount: Int { elementCount * type.byteCount }

  /// Dimensions in the source model's order of axes: the shape that callers' arrays have.
  public var sourceShape: [Int] { sourceLayout.map { layout in layout.map { shape[$0] } } ?? shape }

  /// The axis of ``sourceShape`` that counts samples.
  public var sourceBatchAxis: Int? {
    guard let batchAxis else { return nil }
    return sourceLayout.map { layout in layout.firstIndex(of: batchAxis) } ?? batchAxis
  }

  /// The stored integer nearest to a real value: ties away from zero, saturated; NaN becomes the zero point.
  public func quantized(_ value: Float) -> Int {
    let limits = type.range
    let steps = (value / scale).rounded(.toNearestOrAwayFromZero)
    if steps.isNaN { return zeroPoint }
    // Beyond 2^31 every type saturates; inside it the sum is exact.
    let bounded = max(-0x1p31, min(Double(steps), 0x1p31))
    return max(limits.lowerBound, min(Int(bounded) + zeroPoint, limits.upperBound))
  }

  /// The real value of a stored integer.
  public func dequantized(_ value: Int) -> Float { Float(Double(value - zeroPoint) * Double(scale)) }
}

extension StoredType {
  /// The values of the type.
  public var range: ClosedRange<Int> {
    switch self {
    case .int8: -128...127
    case .int16: -32768...32767
    case .int32: Int(Int32.min)...Int(Int32.max)
    }
  }
}

/// One step of a compiled model, as a caller sees it.
public struct StepInfo: Sendable, Equatable {
  /// The name of the step's first output in the source model; nil when it has none.
  public let name: String?
  /// What it computes.
  public let code: OpCode
  /// Multiply-accumulate operations of one run.
  public let macs: Int
  /// Tensor indices of the operands and results.
  public let inputs: [Int]
  public let outputs: [Int]
  /// The results, states that the step changed, and every other view of their memory: all tensors whose values are known
  /// once it ran.
  public let values: [Int]

  /// A description of a step record.
  public init(name: String?, code: OpCode, macs: Int, inputs: [Int], outputs: [Int], values: [Int]? = nil) {
    self.name = name
    self.code = code
    self.macs = macs
    self.inputs = inputs
    self.outputs = outputs
    self.values = values ?? outputs
  }
}
