@testable import QModel

/// A TFLite file under construction; the defaults make a sound file, every part can be spoilt.
struct TFLiteModelBuilder {
  struct Quantization {
    var scales: [Float]
    var zeroPoints: [Int64]
    var axis: Int32 = 0

    init(_ scale: Float, _ zeroPoint: Int64 = 0) { (scales, zeroPoints) = ([scale], [zeroPoint]) }
    init(scales: [Float], zeroPoints: [Int64]? = nil, axis: Int32 = 0) {
      self.scales = scales
      self.zeroPoints = zeroPoints ?? scales.map { _ in 0 }
      self.axis = axis
    }
  }

  struct Tensor {
    var name: String
    var type: TFLiteElementType
    var shape: [Int32]?
    var signature: [Int32]?
    var quantization: Quantization?
    var data: [UInt8]?
    var isVariable = false
    /// Overrides the buffer that `data` would get.
    var buffer: UInt32?
  }

  struct Operator {
    var code: Int32
    var inputs: [Int32]
    var outputs: [Int32]
    var optionsTag: UInt8 = 0
    var options: FlatTable?
    var intermediates: [Int32]?
    var customCode: String?
  }

  var version: UInt32 = 3
  var tensors: [Tensor] = []
  var operators: [Operator] = []
  var inputs: [Int32] = []
  var outputs: [Int32] = []
  var identifier = "TFL3"
  /// Whether constants stand behind the flatbuffer, as in files beyond 2 GB.
  var externalBuffers = false

  /// Adds a tensor and returns its index.
  mutating func tensor(
    _ name: String, _ type: TFLiteElementType, _ shape: [Int32]?, _ quantization: Quantization? = nil,
    data: [UInt8]? = nil, signature: [Int32]? = nil, isVariable: Bool = false
  ) -> Int32 {
    tensors.append(
      Tensor(
        name: name, type: type, shape: shape, signature: signature, quantization: quantization, data: data,
        isVariable: isVariable))
    return Int32(tensors.count - 1)
  }

  /// Adds an operator.
  mutating func add(
    _ code: TFLiteBuiltinOperator, _ inputs: [Int32], _ outputs: [Int32], _ options: [Int: FlatValue?] = [:]
  ) {
    operators.append(
      Operator(
        code: code.rawValue, inputs: inputs, outputs: outputs, optionsTag: code.optionsTag ?? 0,
        options: code.optionsTag == nil ? nil : FlatTable(options)))
  }

  /// The file.
  func bytes() -> [UInt8] {
    var buffers: [FlatTable] = [FlatTable()]
    var trailing: [UInt8] = []
    let tables = tensors.map { tensor in
      var buffer = tensor.buffer
      if let data = tensor.data, buffer == nil {
        buffer = UInt32(buffers.count)
        if externalBuffers {
          // The offset is patched below, once the flatbuffer's size is known.
          buffers.append(FlatTable([1: .int(UInt64(trailing.count)), 2: .int(UInt64(data.count))]))
          trailing += data
        } else {
          buffers.append(FlatTable([0: .vector(data, elementSize: 1)]))
        }
      }
      return FlatTable([
        0: tensor.shape.map { .ints($0) }, 1: .int(tensor.type.rawValue), 2: .int(buffer ?? 0),
        3: .string(tensor.name), 4: tensor.quantization.map { .table(Self.table($0)) },
        5: tensor.isVariable ? .bool(true) : nil, 7: tensor.signature.map { .ints($0) },
      ])
    }
    func model(_ buffers: [FlatTable]) -> FlatTable {
      FlatTable([
        0: .int(version),
        1: .tables(
          operators.map { op in
            FlatTable([
              0: .int(Int8(clamping: min(op.code, 127))), 1: op.customCode.map { .string($0) }, 2: .int(Int32(1)),
              3: .int(op.code),
            ])
          }),
        2: .tables([
          FlatTable([
            0: .tables(tables), 1: .ints(inputs), 2: .ints(outputs),
            3: .tables(
              operators.enumerated().map { index, op in
                FlatTable([
                  0: .int(UInt32(index)), 1: .ints(op.inputs), 2: .ints(op.outputs),
                  3: op.optionsTag == 0 ? nil : .int(op.optionsTag), 4: op.options.map { .table($0) },
                  8: op.intermediates.map { .ints($0) },
                ])
              }),
          ])
        ]),
        4: .tables(buffers),
      ])
    }
    let draft = FlatBufferWriter(root: model(buffers), identifier: identifier).bytes
    guard externalBuffers else { return draft }
    var start = UInt64(draft.count)
    for index in buffers.indices.dropFirst() {
      guard case .scalar(let size) = buffers[index].fields[2] else { continue }
      buffers[index].fields[1] = .int(start)
      start += size.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
    }
    return FlatBufferWriter(root: model(buffers), identifier: identifier).bytes + trailing
  }

  private static func table(_ quantization: Quantization) -> FlatTable {
    FlatTable([
      2: .floats(quantization.scales), 3: .ints(quantization.zeroPoints),
      6: quantization.axis == 0 ? nil : .int(quantization.axis),
    ])
  }
}
