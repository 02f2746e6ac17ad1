import Foundation
import Testing

@testable import QModel

struct RecurrentOpTests {
  /// A layer with operands, as large as the seed says.
  struct Layer {
    var op: RecurrentOp
    var operands: [FloatTensor?]

    init(_ seed: UInt64, direction: RecurrentOp.Direction? = nil, withState: Bool? = nil) {
      var random = TensorGenerator(seed: seed)
      let cells: [RecurrentOp.Cell] = [
        .lstm(coupledGates: false), .lstm(coupledGates: true), .gru(linearBeforeReset: false),
        .gru(linearBeforeReset: true), .rnn,
      ]
      let directions: [RecurrentOp.Direction] = [.forward, .reverse, .bidirectional]
      let hidden = random.int(1...9)
      op = RecurrentOp(
        cell: cells[Int(seed) % cells.count], direction: direction ?? directions[random.int(0...2)], hiddenSize: hidden)
      if random.bool() { op.clip = 0.6 }
      if random.bool() { op.cellClip = 0.5 }
      if random.bool() {
        op.activations = op.activations.map { _ in [.hardSigmoid(alpha: 0.2, beta: 0.5), .relu, .softsign] }
      }
      let isLSTM = op.gateCount == 4
      let (directionsCount, rows) = (op.directionCount, op.gateCount * hidden)
      let (steps, batch, inputs) = (random.int(1...5), random.int(1...3), random.int(1...20))
      let hasState = withState ?? random.bool()
      operands = [
        random.tensor([steps, batch, inputs]), random.tensor([directionsCount, rows, inputs], in: -1...1),
        random.tensor([directionsCount, rows, hidden], in: -1...1),
        random.bool() ? random.tensor([directionsCount, rows]) : nil,
        random.bool() ? random.tensor([directionsCount, rows]) : nil,
        hasState ? random.tensor([directionsCount, batch, hidden]) : nil,
        hasState && isLSTM ? random.tensor([directionsCount, batch, hidden]) : nil,
        isLSTM && random.bool() ? random.tensor([directionsCount, 3 * hidden]) : nil,
      ]
    }
  }

  /// One step of one sample as the ONNX standard writes it, in Double, on vectors.
  private func step(
    _ op: RecurrentOp, _ d: Int, _ operands: [FloatTensor?], x: [Double], h: [Double], c: [Double]
  ) -> (h: [Double], c: [Double]) {
    let size = op.hiddenSize
    func activation(_ index: Int, _ values: [Double]) -> [Double] {
      values.map { value in
        let bound = op.clip.map(Double.init) ?? .infinity
        return op.activations[d][index].value(at: min(bound, max(-bound, value)))
      }
    }
    func linear(_ operand: Int, _ gate: Int, _ vector: [Double]) -> [Double] {
      (0..<size).map { unit in
        vector.indices.reduce(0.0) { $0 + (operands[operand]?[d, gate * size + unit, $1] ?? 0) * vector[$1] }
      }
    }
    func vector(_ operand: Int, _ block: Int) -> [Double] {
      (0..<size).map { operands[operand]?[d, block * size + $0] ?? 0 }
    }
    func plus(_ terms: [Double]...) -> [Double] { (0..<size).map { unit in terms.reduce(0) { $0 + $1[unit] } } }
    func times(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 * $1 } }
    func biases(_ gate: Int) -> [Double] { plus(vector(3, gate), vector(4, gate)) }
    switch op.cell {
    case .lstm(let coupled):
      let i = activation(0, plus(linear(1, 0, x), linear(2, 0, h), biases(0), times(vector(7, 0), c)))
      let f =
        coupled
        ? i.map { 1 - $0 } : activation(0, plus(linear(1, 2, x), linear(2, 2, h), biases(2), times(vector(7, 2), c)))
      let g = activation(1, plus(linear(1, 3, x), linear(2, 3, h), biases(3)))
      let bound = op.cellClip.map(Double.init) ?? .infinity
      let next = plus(times(f, c), times(i, g)).map { min(bound, max(-bound, $0)) }
      let o = activation(0, plus(linear(1, 1, x), linear(2, 1, h), biases(1), times(vector(7, 1), next)))
      return (times(o, next.map { op.activations[d][2].value(at: $0) }), next)
    case .gru(let linearBeforeReset):
      let z = activation(0, plus(linear(1, 0, x), linear(2, 0, h), biases(0)))
      let r = activation(0, plus(linear(1, 1, x), linear(2, 1, h), biases(1)))
      let recurrent =
        linearBeforeReset
        ? times(r, plus(linear(2, 2, h), vector(4, 2))) : plus(linear(2, 2, times(r, h)), vector(4, 2))
      let n = activation(1, plus(linear(1, 2, x), vector(3, 2), recurrent))
      return (plus(times(z.map { 1 - $0 }, n), times(z, h)), c)
    case .rnn: return (activation(0, plus(linear(1, 0, x), linear(2, 0, h), biases(0))), c)
    }
  }

  @Test(arguments: 0..<100) func equalsTheStandard(_ seed: Int) throws {
    let layer = Layer(UInt64(seed))
    let op = layer.op
    let outputs = try op.results(layer.operands)
    let input = try #require(layer.operands[0])
    let (steps, batch) = (input.shape[0], input.shape[1])
    for d in 0..<op.directionCount {
      for n in 0..<batch {
        var h = (0..<op.hiddenSize).map { layer.operands[5]?[d, n, $0] ?? 0 }
        var c = (0..<op.hiddenSize).map { layer.operands[6]?[d, n, $0] ?? 0 }
        let isReverse = d == 1 || op.direction == .reverse
        for t in isReverse ? Array((0..<steps).reversed()) : Array(0..<steps) {
          let x = (0..<input.shape[2]).map { input[t, n, $0] }
          (h, c) = step(op, d, layer.operands, x: x, h: h, c: c)
          for unit in h.indices { #expect((outputs[0][t, d, n, unit] - h[unit]).magnitude < 3e-6, "seed \(seed)") }
        }
        for unit in h.indices { #expect((outputs[1][d, n, unit] - h[unit]).magnitude < 3e-6, "seed \(seed)") }
        if outputs.count == 3 {
          for unit in c.indices { #expect((outputs[2][d, n, unit] - c[unit]).magnitude < 3e-6, "seed \(seed)") }
        }
      }
    }
  }

  /// (7·i + offset) mod 11, moved and scaled: the same numbers in any language.
  private func ramp(_ shape: [Int], _ offset: Int) -> FloatTensor {
    FloatTensor(shape: shape, values: (0..<shape.reduce(1, *)).map { Float(($0 * 7 + offset) % 11 - 5) / 8 })
  }

  /// Hidden and cell states that ONNX Runtime 1.31 computes for `ramp` operands.
  static let onnxRuntime: [(RecurrentOp.Cell, clip: Float?, hidden: [Float], lastCell: [Float])] = [
    (
      .lstm(coupledGates: false), 0.5,
      [-0.16468113660812378, 0.21699978411197662, -0.08657782524824142, 0.19399307668209076],
      [-0.1399974524974823, 0.4767950773239136]
    ),
    (
      .gru(linearBeforeReset: false), nil,
      [-0.09447643160820007, 0.4461447596549988, 0.028261646628379822, 0.4845154881477356], []
    ),
    (
      .gru(linearBeforeReset: true), 0.5,
      [-0.2366417944431305, 0.42363983392715454, -0.17401379346847534, 0.44542765617370605], []
    ),
    (.rnn, 0.75, [0.41157007217407227, -0.6351490020751953, -0.3306970000267029, -0.4918500781059265], []),
  ]

  @Test(arguments: onnxRuntime.indices) func equalsONNXRuntime(_ index: Int) throws {
    let (cell, clip, hidden, lastCell) = Self.onnxRuntime[index]
    var op = RecurrentOp(cell: cell, direction: .forward, hiddenSize: 2)
    op.clip = clip
    let rows = op.gateCount * 2
    let bias = ramp([2 * rows], 5)
    let isLSTM = op.gateCount == 4
    let outputs = try op.results([
      ramp([2, 1, 3], 6), ramp([1, rows, 3], 0), ramp([1, rows, 2], 3),
      FloatTensor(shape: [1, rows], values: Array(bias.values[..<rows])),
      FloatTensor(shape: [1, rows], values: Array(bias.values[rows...])), ramp([1, 1, 2], 1),
      isLSTM ? ramp([1, 1, 2], 2) : nil, isLSTM ? ramp([1, 6], 4) : nil,
    ])
    for (value, expected) in zip(outputs[0].values, hidden) { #expect((value - expected).magnitude < 2e-7) }
    #expect(outputs[0].values.count == hidden.count)
    if isLSTM {
      for (value, expected) in zip(outputs[2].values, lastCell) { #expect((value - expected).magnitude < 2e-7) }
    }
  }

  /// One run over all steps and one run per step with the state kept give the same.
  @Test(arguments: 0..<20) func stepsWithStateEqualOneRun(_ seed: Int) throws {
    let layer = Layer(500 + UInt64(seed), direction: .forward, withState: true)
    var op = layer.op
    let whole = try op.results(layer.operands)
    op.stateIsVariable = true
    let input = try #require(layer.operands[0])
    let size = input.values.count / input.shape[0]
    var operands = layer.operands
    for t in 0..<input.shape[0] {
      operands[0] = FloatTensor(
        shape: [1] + input.shape.dropFirst(), values: Array(input.values[t * size..<(t + 1) * size]))
      var context = EvaluationContext()
      let outputs = op.evaluate(operands, context: &context)
      let count = outputs[0].values.count
      #expect(outputs[0].values == Array(whole[0].values[t * count..<(t + 1) * count]), "seed \(seed)")
      operands[5] = context.stateUpdates[5]
      if op.gateCount == 4 { operands[6] = context.stateUpdates[6] }
    }
    #expect(operands[5] == whole[1])
  }

  /// The reported gates give the reported states.
  @Test(arguments: 0..<20) func reportsInternalValues(_ seed: Int) throws {
    let layer = Layer(600 + UInt64(seed))
    let op = layer.op
    var reported: [InternalValue: FloatTensor] = [:]
    var context = EvaluationContext { reported[$0] = $1 }
    let outputs = op.evaluate(layer.operands, context: &context)
    let input = try #require(layer.operands[0])
    let (steps, batch, size) = (input.shape[0], input.shape[1], op.hiddenSize)
    for d in 0..<op.directionCount {
      let gates = try #require(reported[InternalValue(.gates, direction: d)])
      let hidden = try #require(reported[InternalValue(.hidden, direction: d)])
      #expect(gates.shape == [steps, batch, op.gateCount * size])
      #expect(hidden.shape == [steps + 1, batch, size])
      let inputProduct = try #require(reported[InternalValue(.inputProduct, direction: d)])
      let recurrentProduct = try #require(reported[InternalValue(.recurrentProduct, direction: d)])
      #expect(inputProduct.shape == gates.shape && recurrentProduct.shape == gates.shape)
      for step in 0..<steps {
        let time = d == 1 || op.direction == .reverse ? steps - 1 - step : step
        for n in 0..<batch {
          for unit in 0..<size {
            func gate(_ index: Int) -> Double { gates[step, n, index * size + unit] }
            let before = hidden[step, n, unit]
            let functions = op.activations[d]
            let expected: Double
            switch op.cell {
            case .lstm:
              let cell = try #require(reported[InternalValue(.cell, direction: d)])
              expected = functions[0].value(at: gate(1)) * functions[2].value(at: cell[step + 1, n, unit])
            case .gru:
              let z = functions[0].value(at: gate(0))
              expected = (1 - z) * functions[1].value(at: gate(2)) + z * before
            case .rnn: expected = functions[0].value(at: gate(0))
            }
            #expect((hidden[step + 1, n, unit] - expected).magnitude < 1e-6, "seed \(seed)")
            #expect(hidden[step + 1, n, unit] == outputs[0][time, d, n, unit], "seed \(seed)")
          }
        }
      }
    }
    let keys = Set(reported.keys.map(\.kind))
    #expect(keys.contains(.cell) == (op.gateCount == 4))
    #expect(keys.contains(.resetProduct) == (op.cell == .gru(linearBeforeReset: true)))
  }

  @Test func operandsThatDoNotFitAreRefused() throws {
    for seed in UInt64(0)..<5 {
      let layer = Layer(seed, direction: .bidirectional, withState: true)
      let shapes = layer.operands.map { $0?.shape }
      _ = try layer.op.outputShapes(shapes)
      for index in shapes.indices where shapes[index] != nil {
        var wrong = shapes
        wrong[index]?[0] += 1
        // Time alone may have any length.
        if index > 0 { #expect(throws: ModelError.self) { try layer.op.outputShapes(wrong) } }
        wrong[index] = [1]
        #expect(throws: ModelError.self) { try layer.op.outputShapes(wrong) }
      }
      var op = layer.op
      op.activations.removeLast()
      #expect(throws: ModelError.self) { try op.outputShapes(shapes) }
      op = layer.op
      op.hiddenSize = Int.max
      #expect(throws: ModelError.self) { try op.outputShapes(shapes) }
      op = layer.op
      op.stateIsVariable = true
      #expect(throws: ModelError.self) { try op.outputShapes(Array(shapes.prefix(3))) }
    }
  }
}

struct SVDFOpTests {
  /// The state as a list of feature vectors, newest last, instead of shifted rows.
  @Test(arguments: 0..<20) func equalsTheDefinition(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    let (batch, inputs, units, rank, memory) = (
      random.int(1...2), random.int(1...9), random.int(1...4), random.int(1...3), random.int(1...6)
    )
    let filters = units * rank
    let op = SVDFOp(rank: rank, activation: seed % 2 == 0 ? .none : .relu)
    let (feature, time) = (random.tensor([filters, inputs]), random.tensor([filters, memory]))
    let bias = random.bool() ? random.tensor([units]) : nil
    var state = FloatTensor(shape: [batch, filters * memory], repeating: 0)
    var history: [[[Double]]] = []
    for _ in 0..<8 {
      let input = random.tensor([batch, inputs])
      var context = EvaluationContext()
      let output = op.evaluate([input, feature, time, bias, state], context: &context)[0]
      state = try #require(context.stateUpdates[4])
      history.append(
        (0..<batch).map { n in
          (0..<filters).map { f in (0..<inputs).reduce(0.0) { $0 + input[n, $1] * feature[f, $1] } }
        })
      let expected = indices(of: [batch, units]).map { index -> Double in
        var sum = bias?[index[1]] ?? 0
        for f in index[1] * rank..<(index[1] + 1) * rank {
          for age in 0..<min(memory, history.count) {
            sum += history[history.count - 1 - age][index[0]][f] * time[f, memory - 1 - age]
          }
        }
        return op.activation.clamped(sum)
      }
      #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
    }
  }

  @Test func operandsThatDoNotFitAreRefused() {
    let op = SVDFOp(rank: 2, activation: .none)
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 3], [4, 3], [4, 5], nil, nil]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 3], [5, 3], [5, 5], nil, [1, 25]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 3], [4, 3], [4, 5], [4], [1, 20]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 3], [4, 3], [4, 5], [2], [1, 21]]) }
    #expect(throws: ModelError.self) {
      try SVDFOp(rank: 0, activation: .none).outputShapes([[1, 3], [4, 3], [4, 5], [2], [1, 20]])
    }
  }
}
