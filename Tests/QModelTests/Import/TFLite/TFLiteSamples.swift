@testable import QModel

/// Small sound models for the importer's tests.
enum TFLiteSamples {
  typealias Quantization = TFLiteModelBuilder.Quantization

  /// int8 convolution 3x3 SAME with stride 2 and ReLU, then a reshape and a softmax.
  static func convolution() -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let input = model.tensor("image", .int8, [1, 5, 4, 2], .init(0.5, -128), signature: [-1, 5, 4, 2])
    let weights = model.tensor(
      "kernel", .int8, [3, 3, 3, 2], .init(scales: [0.25, 0.5, 0.125]),
      data: (0..<54).map { UInt8(truncatingIfNeeded: $0 * 7 - 90) })
    let bias = model.tensor(
      "bias", .int32, [3], .init(scales: [0.125, 0.25, 0.0625], axis: 2), data: littleEndian([Int32(5), -6, 7]))
    let convolved = model.tensor("convolved", .int8, [1, 3, 2, 3], .init(1.5, -128), signature: [-1, 3, 2, 3])
    let shape = model.tensor("shape", .int32, [2], data: littleEndian([Int32(-1), 18]))
    let flat = model.tensor("flat", .int8, [1, 18], .init(1.5, -128), signature: [-1, 18])
    let output = model.tensor("probabilities", .int8, [1, 18], .init(0.00390625, -128), signature: [-1, 18])
    model.add(
      .conv2D, [input, weights, bias], [convolved],
      [0: .int(Int8(0)), 1: .int(Int32(2)), 2: .int(Int32(2)), 3: .int(Int8(1))])
    model.add(.reshape, [convolved, shape], [flat], [:])
    model.add(.softmax, [flat], [output], [0: .float(1)])
    (model.inputs, model.outputs) = ([input], [output])
    return model
  }

  /// A float model that computes the shape of a reshape from its input, as Keras exports do.
  static func foldedShape() -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, [1, 2, 3], signature: [-1, 2, 3])
    let shape = model.tensor("shape", .int32, [3])
    let one = model.tensor("one", .int32, [1], data: littleEndian([Int32(1)]))
    let zero = model.tensor("zero", .int32, [1], data: littleEndian([Int32(0)]))
    let batch = model.tensor("batch", .int32, [])
    let six = model.tensor("six", .int32, [], data: littleEndian([Int32(6)]))
    let target = model.tensor("target", .int32, [2])
    let output = model.tensor("y", .float32, [1, 6], signature: [-1, 6])
    model.add(.shape, [input], [shape])
    model.add(.stridedSlice, [shape, zero, one, one], [batch], [4: .int(Int32(1))])
    model.add(.pack, [batch, six], [target], [0: .int(Int32(2)), 1: .int(Int32(0))])
    model.add(.reshape, [input, target], [output])
    (model.inputs, model.outputs) = ([input], [output])
    return model
  }

  /// Values that differ from each other, so that parts in the wrong place are noticed.
  static func values(_ count: Int, seed: Int) -> [Float] {
    (0..<count).map { Float(($0 * 37 + seed * 101) % 64 - 32) / 64 }
  }

  struct LSTMShape {
    var batch: Int32 = 1
    var steps: Int32 = 3
    var features: Int32 = 2
    var hidden: Int32 = 4
    var isTimeMajor = false
    /// Without the input gate's operands.
    var isCoupled = false
    var hasPeepholes = false
    var activation: Int8 = 4
    var cellClip: Float = 0
  }

  /// A float LSTM with one operand for each gate; operand p has the values of seed p.
  static func lstm(_ shape: LSTMShape = .init()) -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let (n, t, i, h) = (shape.batch, shape.steps, shape.features, shape.hidden)
    let input = model.tensor("x", .float32, shape.isTimeMajor ? [t, n, i] : [n, t, i])
    var operands = [Int32](repeating: -1, count: 24)
    operands[0] = input
    func constant(_ position: Int, _ dimensions: [Int32]) {
      let count = Int(dimensions.reduce(1, *))
      operands[position] = model.tensor(
        "operand\(position)", .float32, dimensions,
        data: littleEndian(values(count, seed: position).map(\.bitPattern)))
    }
    for gate in 0..<4 where !(shape.isCoupled && gate == 0) {
      constant(1 + gate, [h, i])
      constant(5 + gate, [h, h])
      constant(12 + gate, [h])
      if shape.hasPeepholes, gate != 2 { constant(gate == 3 ? 11 : 9 + gate, [h]) }
    }
    operands[18] = model.tensor("hidden", .float32, [n, h], isVariable: true)
    operands[19] = model.tensor("cell", .float32, [n, h], isVariable: true)
    let output = model.tensor("y", .float32, shape.isTimeMajor ? [t, n, h] : [n, t, h])
    model.add(
      .unidirectionalSequenceLSTM, operands, [output],
      [0: .int(shape.activation), 1: .float(shape.cellClip), 3: .bool(shape.isTimeMajor)])
    (model.inputs, model.outputs) = ([input], [output])
    return model
  }
}
