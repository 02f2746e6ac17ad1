/// The one intermediate representation: a model as tensors and nodes.
///
/// Importers make it, passes rewrite it, the reference evaluates it, quantization turns a float graph into an integer one
/// (a ``QuantizedGraph``), the plan compiler writes it out. Activations of spatial ops are channels-last (NHWC); where the
/// source model was NCHW the importer has put explicit transposes, which passes cancel.
public struct Graph: Sendable {
  /// The source model's name, or the file's.
  public var name: String
  /// All tensors; a ``TensorID`` is an index into this array. Unused tensors may remain.
  public var tensors: [GraphTensor] = []
  /// The nodes in an order in which every input is computed before it is used.
  public var nodes: [Node] = []
  /// The model's inputs, without constants.
  public var inputs: [TensorID] = []
  /// The model's outputs.
  public var outputs: [TensorID] = []
  /// Where the model came from; decides which of two equally valid integer formulas an op uses.
  public var origin: Origin

  /// The kinds of source.
  public enum Origin: Sendable, Equatable {
    /// Float weights and activations: quantized here.
    case float
    /// An already quantized `.tflite`: kept as it is, bit for bit what TensorFlow Lite Micro computes.
    case quantizedTFLite
  }

  /// An empty graph.
  public init(name: String, origin: Origin = .float) {
    self.name = name
    self.origin = origin
  }

  /// Adds a tensor and returns its identifier.
  public mutating func add(_ tensor: GraphTensor) -> TensorID {
    tensors.append(tensor)
    return tensors.count - 1
  }
}

/// An index into ``Graph/tensors``.
public typealias TensorID = Int

/// The element types of the source formats.
public enum ElementType: String, Sendable, Equatable {
  case float32, int8, int16, int32, int64, uint8, bool
}

/// One tensor of a graph.
public struct GraphTensor: Sendable {
  /// The name in the source model; "" for tensors that the importer or a pass made.
  public var name: String
  /// Dimensions, static; a free batch axis is 1.
  public var shape: [Int]
  /// The element type as it stands in the graph.
  public var type: ElementType
  /// The values, for constants; nil for activations.
  public var data: TensorData?
  /// Scale and zero point; nil in a float graph.
  public var quantization: TensorQuantization?
  /// State that is kept from one run to the next (TFLite variable tensors, recurrent states).
  public var isVariable: Bool
  /// How the source model orders the axes: source axis `i` is axis `sourceLayout[i]` here; nil when it is the same.
  public var sourceLayout: [Int]?
  /// The axis that the source model leaves free and that counts samples, in this tensor; nil if there is none.
  public var batchAxis: Int?
  /// The tensor's number in the source model, where its format numbers tensors.
  public var sourceIndex: Int?

  /// A tensor of the given description.
  public init(
    name: String = "", shape: [Int], type: ElementType = .float32, data: TensorData? = nil,
    quantization: TensorQuantization? = nil, isVariable: Bool = false, sourceLayout: [Int]? = nil,
    batchAxis: Int? = nil,
    sourceIndex: Int? = nil
  ) {
    self.name = name
    self.shape = shape
    self.type = type
    self.data = data
    self.quantization = quantization
    self.isVariable = isVariable
    self.sourceLayout = sourceLayout
    self.batchAxis = batchAxis
    self.sourceIndex = sourceIndex
  }

  /// The product of the dimensions.
  public var elementCount: Int { shape.reduce(1, *) }
  /// Whether the values are known.
  public var isConstant: Bool { data != nil }
}

/// The values of a constant, in C order.
public enum TensorData: Sendable, Equatable {
  case float([Float])
  case int8([Int8])
  case int16([Int16])
  case int32([Int32])
  case int64([Int64])

  /// The number of values.
  public var count: Int {
    switch self {
    case .float(let values): values.count
    case .int8(let values): values.count
    case .int16(let values): values.count
    case .int32(let values): values.count
    case .int64(let values): values.count
    }
  }

  /// The values if they are floats.
  public var floats: [Float]? { if case .float(let values) = self { values } else { nil } }

  /// The values if they are integers of any width.
  public var integers: [Int]? {
    switch self {
    case .float: nil
    case .int8(let values): values.map { Int($0) }
    case .int16(let values): values.map { Int($0) }
    case .int32(let values): values.map { Int($0) }
    case .int64(let values): values.map { Int($0) }
    }
  }
}

/// `real = scale × (q − zeroPoint)`, for the whole tensor, for each index of one axis, or for each row: each index of all
/// axes up to one (recurrent weights [D,G·H,K] have D·G·H scales along axis 1).
public struct TensorQuantization: Sendable, Equatable {
  /// One scale, one per index of `axis`, or one per index of all axes up to `axis`; finite and positive.
  public var scales: [Float]
  /// As many as scales.
  public var zeroPoints: [Int]
  /// The axis of per-channel scales; nil for one scale.
  public var axis: Int?

  /// One scale for the tensor.
  public init(scale: Float, zeroPoint: Int) {
    self.scales = [scale]
    self.zeroPoints = [zeroPoint]
    self.axis = nil
  }

  /// One scale for each index of `axis`, zero points 0 unless given.
  public init(scales: [Float], zeroPoints: [Int]? = nil, axis: Int) {
    self.scales = scales
    self.zeroPoints = zeroPoints ?? [Int](repeating: 0, count: scales.count)
    self.axis = axis
  }

  /// The scale of a tensor that has one.
  public var scale: Float { scales[0] }
  /// The zero point of a tensor that has one.
  public var zeroPoint: Int { zeroPoints[0] }
}

/// One operation.
public struct Node: Sendable {
  /// The name in the source model, or a made-up one that says where it came from ("CONV_2D #3").
  public var name: String
  /// What it computes.
  public var op: OpKind
  /// The operands in the op's order; nil where an optional one is absent.
  public var inputs: [TensorID?]
  /// The results in the op's order.
  public var outputs: [TensorID]

  /// A node of the given description.
  public init(name: String, op: OpKind, inputs: [TensorID?], outputs: [TensorID]) {
    self.name = name
    self.op = op
    self.inputs = inputs
    self.outputs = outputs
  }
}

/// An integer graph: every activation has a type of int8, int16 or int32 and a quantization, every weight is an integer
/// constant. `Quantization` makes one from a float graph; a quantized `.tflite` imports as one.
public struct QuantizedGraph: Sendable {
  /// The graph.
  public var graph: Graph

  /// Wraps a graph whose tensors are all quantized.
  public init(_ graph: Graph) { self.graph = graph }
}
