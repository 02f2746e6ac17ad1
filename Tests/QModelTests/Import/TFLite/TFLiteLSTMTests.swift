import Foundation
import Testing

@testable import QModel

/// UNIDIRECTIONAL_SEQUENCE_LSTM: the order of gates and axes, checked by running the graph against the equations.
@Suite struct TFLiteLSTMTests {
  /// The equations as TFLite's documentation has them, gate by gate on its own operands, in Double.
  private static func reference(_ shape: TFLiteSamples.LSTMShape, _ x: [Float]) -> [Double] {
    let (n, t, i, h) = (Int(shape.batch), Int(shape.steps), Int(shape.features), Int(shape.hidden))
    func operand(_ position: Int, _ count: Int) -> [Double] {
      TFLiteSamples.values(count, seed: position).map { Double($0) }
    }
    func sigmoid(_ value: Double) -> Double { 1 / (1 + exp(-value)) }
    func cellActivation(_ value: Double) -> Double { shape.activation == 1 ? max(value, 0) : tanh(value) }
    var result = [Double](repeating: 0, count: n * t * h)
    for sample in 0..<n {
      var hidden = [Double](repeating: 0, count: h)
      var cell = [Double](repeating: 0, count: h)
      for step in 0..<t {
        let first = (shape.isTimeMajor ? step * n + sample : sample * t + step) * i
        func sum(_ gate: Int, _ unit: Int) -> Double {
          var value = operand(12 + gate, h)[unit]
          for k in 0..<i { value += operand(1 + gate, h * i)[unit * i + k] * Double(x[first + k]) }
          for k in 0..<h { value += operand(5 + gate, h * h)[unit * h + k] * hidden[k] }
          return value
        }
        func peephole(_ position: Int, _ unit: Int) -> Double { shape.hasPeepholes ? operand(position, h)[unit] : 0 }
        var nextHidden = hidden
        var nextCell = cell
        for unit in 0..<h {
          let forget = sigmoid(sum(1, unit) + peephole(10, unit) * cell[unit])
          let input = shape.isCoupled ? 1 - forget : sigmoid(sum(0, unit) + peephole(9, unit) * cell[unit])
          var value = forget * cell[unit] + input * cellActivation(sum(2, unit))
          let clip = Double(shape.cellClip)
          if clip > 0 { value = min(max(value, -clip), clip) }
          nextCell[unit] = value
          nextHidden[unit] = sigmoid(sum(3, unit) + peephole(11, unit) * value) * cellActivation(value)
        }
        (hidden, cell) = (nextHidden, nextCell)
        let place = (shape.isTimeMajor ? step * n + sample : sample * t + step) * h
        for unit in 0..<h { result[place + unit] = hidden[unit] }
      }
    }
    return result
  }

  static let shapes: [TFLiteSamples.LSTMShape] = [
    .init(), .init(isTimeMajor: true), .init(batch: 2, steps: 4), .init(batch: 3, steps: 2, isTimeMajor: true),
    .init(batch: 2, steps: 1), .init(hasPeepholes: true), .init(isCoupled: true),
    .init(batch: 2, steps: 5, isCoupled: true, hasPeepholes: true), .init(activation: 1), .init(cellClip: 0.125),
  ]

  @Test(arguments: shapes.indices)
  func theGraphComputesTheEquations(index: Int) throws {
    let shape = Self.shapes[index]
    let graph = try TFLiteImporter.graph(from: TFLiteSamples.lstm(shape).bytes())
    try graph.validate()
    let input = graph.tensors[graph.inputs[0]].shape
    let x = TFLiteSamples.values(input.reduce(1, *), seed: 99)
    var evaluator = try ReferenceEvaluator(graph)
    let result = try evaluator.run([FloatTensor(shape: input, values: x)])[0]
    let expected = Self.reference(shape, x)
    #expect(result.values.count == expected.count)
    for (position, (value, truth)) in zip(result.values, expected).enumerated() {
      #expect(abs(Double(value) - truth) < 1e-5, "\(shape), value \(position)")
    }
  }

  @Test func theStateIsKeptBetweenRuns() throws {
    let once = try TFLiteImporter.graph(from: TFLiteSamples.lstm(.init(steps: 4)).bytes())
    let step = try TFLiteImporter.graph(from: TFLiteSamples.lstm(.init(steps: 1)).bytes())
    let x = TFLiteSamples.values(8, seed: 5)
    var whole = try ReferenceEvaluator(once)
    let expected = try whole.run([FloatTensor(shape: [1, 4, 2], values: x)])[0].values
    var single = try ReferenceEvaluator(step)
    var values: [Float] = []
    for position in 0..<4 {
      values += try single.run([FloatTensor(shape: [1, 1, 2], values: Array(x[(2 * position)...].prefix(2)))])[0].values
    }
    #expect(values == expected)
  }

  private static func problem(_ model: TFLiteModelBuilder) -> String? {
    do throws(ModelError) {
      _ = try TFLiteImporter.graph(from: model.bytes())
      return nil
    } catch {
      return error.problems.first
    }
  }

  @Test func whatIsNotSupportedIsSaid() {
    let name = "UNIDIRECTIONAL_SEQUENCE_LSTM #0: "
    var model = TFLiteSamples.lstm()
    let extra = model.tensor("extra", .float32, [4, 4], data: [UInt8](repeating: 0, count: 64))
    for (position, words) in [
      (16, "a projection"), (17, "a projection"), (20, "layer normalization"), (23, "layer normalization"),
    ] {
      var changed = model
      changed.operators[0].inputs[position] = extra
      #expect(Self.problem(changed) == "\(name)an LSTM with \(words) is not supported")
    }
    var diagonal = model
    diagonal.operators[0].options?.fields[5] = .bool(true)
    #expect(Self.problem(diagonal) == "\(name)an LSTM with diagonal recurrent weights is not supported")
    var linear = model
    linear.operators[0].options?.fields[0] = .int(Int8(0))
    #expect(Self.problem(linear) == "\(name)an LSTM with the activation none is not supported")
    var constantState = model
    constantState.tensors[Int(model.operators[0].inputs[18])].isVariable = false
    #expect(Self.problem(constantState)?.contains("'hidden'") == true)
    var missing = model
    missing.operators[0].inputs[14] = -1
    #expect(Self.problem(missing) == "\(name)input 14, a bias, is missing")
  }

  /// An int8 LSTM with one scale per gate: 1, 2, 4 and 8 times 2^-6 for the weights of input, forget, cell and output.
  private static func quantized() -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .int8, [1, 3, 2], .init(0.5, -3))
    var operands = [Int32](repeating: -1, count: 24)
    operands[0] = x
    for gate in 0..<4 {
      let scale = Float(1 << gate) / 64
      let mark = UInt8(gate + 1)
      operands[1 + gate] = model.tensor("W\(gate)", .int8, [2, 2], .init(scale), data: [mark, mark, mark, mark])
      operands[5 + gate] = model.tensor(
        "R\(gate)", .int8, [2, 2], .init(2 * scale), data: [UInt8](repeating: 16 * mark, count: 4))
      operands[12 + gate] = model.tensor(
        "b\(gate)", .int32, [2], .init(0.5 * scale), data: littleEndian([Int32(100 * (gate + 1)), 7]))
    }
    operands[18] = model.tensor("hidden", .int8, [1, 2], .init(0.0078125, 5), isVariable: true)
    operands[19] = model.tensor("cell", .int16, [1, 2], .init(0.00048828125), isVariable: true)
    let y = model.tensor("y", .int8, [1, 3, 2], .init(0.0078125, 5))
    model.add(.unidirectionalSequenceLSTM, operands, [y], [0: .int(Int8(4)), 1: .float(10)])
    (model.inputs, model.outputs) = ([x], [y])
    return model
  }

  @Test func integersKeepOneScalePerGateRow() throws {
    let graph = try TFLiteImporter.graph(from: Self.quantized().bytes())
    try graph.validate()
    guard let node = graph.nodes.first(where: { if case .recurrent = $0.op { true } else { false } }),
      case .recurrent(let op) = node.op, let weights = node.inputs[1], let recurrent = node.inputs[2],
      let bias = node.inputs[3], let hidden = node.inputs[5], let cell = node.inputs[6]
    else {
      Issue.record("no recurrent node")
      return
    }
    #expect(op.cell == .lstm(coupledGates: false))
    #expect(op.hiddenSize == 2 && op.stateIsVariable && op.cellClip == 10)
    // The graph's order is input, output, forget, cell: gates 0, 3, 1, 2 of the file.
    #expect(graph.tensors[weights].data == .int8([1, 1, 1, 1, 4, 4, 4, 4, 2, 2, 2, 2, 3, 3, 3, 3]))
    #expect(
      graph.tensors[recurrent].data == .int8([16, 16, 16, 16, 64, 64, 64, 64, 32, 32, 32, 32, 48, 48, 48, 48]))
    #expect(graph.tensors[bias].data == .int32([100, 7, 400, 7, 200, 7, 300, 7]))
    let rows: [Float] = [1, 1, 8, 8, 2, 2, 4, 4]
    #expect(graph.tensors[weights].quantization == TensorQuantization(scales: rows.map { $0 / 64 }, axis: 1))
    #expect(graph.tensors[recurrent].quantization == TensorQuantization(scales: rows.map { $0 / 32 }, axis: 1))
    #expect(graph.tensors[bias].quantization == TensorQuantization(scales: rows.map { $0 / 128 }, axis: 1))
    #expect(graph.tensors[hidden].quantization == TensorQuantization(scale: 0.0078125, zeroPoint: 5))
    #expect(graph.tensors[hidden].shape == [1, 1, 2])
    #expect(graph.tensors[hidden].isVariable && graph.tensors[cell].isVariable)
    #expect(graph.tensors[cell].type == .int16)
    #expect(graph.tensors[cell].quantization == TensorQuantization(scale: 0.00048828125, zeroPoint: 0))
  }

  @Test func aCellScaleThatIsNoPowerOfTwoIsRefused() {
    var model = Self.quantized()
    model.tensors[Int(model.operators[0].inputs[19])].quantization = .init(0.0005)
    #expect(Self.problem(model)?.contains("the cell state, tensor 14 'cell', has the scale 0.0005") == true)
  }

  @Test func integerGatesCannotHavePeepholesOrBeCoupled() {
    var peepholes = Self.quantized()
    peepholes.operators[0].inputs[9] = peepholes.tensor("p", .int8, [2], .init(1), data: [1, 2])
    #expect(Self.problem(peepholes)?.hasSuffix("an LSTM with peepholes is supported in float models only") == true)
    var coupled = Self.quantized()
    for position in [1, 5, 12] { coupled.operators[0].inputs[position] = -1 }
    #expect(Self.problem(coupled)?.contains("coupled") == true)
  }
}
