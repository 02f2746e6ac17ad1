/// Attributes of ``OpKind/recurrent(_:)``, one layer in one or both directions.
///
/// Operands, in this order, D = directions (2 when bidirectional: forward, then reverse), H = hidden size, G = gates:
///   0 input [T,N,I]
///   1 weights [D,G·H,I], 2 recurrentWeights [D,G·H,H], 3 bias? [D,G·H], 4 recurrentBias? [D,G·H]
///   5 initialHidden? [D,N,H], 6 initialCell? [D,N,H] (constants, activations or variable tensors)
///   7 peepholes? [D,3·H] in the order input, output, forget
/// Gate order of the rows: LSTM input, output, forget, cell (ONNX's i o f c); GRU update, reset, hidden (z r h); RNN one.
/// Outputs: 0 all hidden states [T,D,N,H], 1 last hidden? [D,N,H], 2 last cell? [D,N,H] (LSTM); always all of the cell's.
/// Layouts, batch-major forms and TFLite's gate order are changed to this by the importers.
public struct RecurrentOp: Sendable, Equatable {
  /// The cell.
  public enum Cell: Sendable, Equatable {
    /// `coupledGates`: forget = 1 − input (ONNX input_forget).
    case lstm(coupledGates: Bool)
    /// `linearBeforeReset`: the reset gate multiplies the recurrent product with its bias (PyTorch), not the state.
    case gru(linearBeforeReset: Bool)
    /// One gate: h = f(W·x + R·h + b).
    case rnn
  }
  /// The order in which time is walked.
  public enum Direction: Sendable, Equatable { case forward, reverse, bidirectional }
  /// LSTM, GRU or plain.
  public var cell: Cell
  /// How time is walked.
  public var direction: Direction
  /// Units per direction.
  public var hiddenSize: Int
  /// Bound of the sums that go into the gates and the candidate (ONNX clip), nil for none; the cell state is not bounded.
  public var clip: Float?
  /// Bound of the cell state (TFLite cell_clip), nil for none.
  public var cellClip: Float?
  /// Per direction: the activations f (gates), g (cell candidate), h (hidden) in ONNX's order; RNN uses the first only.
  public var activations: [[UnaryOp]]
  /// Variable tensors hold the state (TFLite): it is kept between runs until reset.
  public var stateIsVariable: Bool
  /// One layer with the default activations.
  public init(cell: Cell, direction: Direction, hiddenSize: Int) {
    self.cell = cell
    self.direction = direction
    self.hiddenSize = hiddenSize
    self.clip = nil
    self.cellClip = nil
    self.stateIsVariable = false
    let perDirection: [UnaryOp] =
      switch cell {
      case .lstm: [.logistic, .tanh, .tanh]
      case .gru: [.logistic, .tanh]
      case .rnn: [.tanh]
      }
    self.activations = [[UnaryOp]](repeating: perDirection, count: direction == .bidirectional ? 2 : 1)
  }

  /// 1 or 2.
  public var directionCount: Int { direction == .bidirectional ? 2 : 1 }
  /// Gate blocks of H rows in the weights.
  public var gateCount: Int {
    switch cell {
    case .lstm: 4
    case .gru: 3
    case .rnn: 1
    }
  }
}

extension RecurrentOp: GraphOp {
  static var name: String { "Recurrent" }

  /// The activations that each direction needs.
  private var activationCount: Int {
    switch cell {
    case .lstm: 3
    case .gru: 2
    case .rnn: 1
    }
  }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 3, optional: 5)
    let input = try operands.shape(0, rank: 3, "input")
    try operands.requireAttribute(hiddenSize, atLeast: 1, "the hidden size")
    let directions = directionCount
    let rows = gateCount * hiddenSize
    let isLSTM = if case .lstm = cell { true } else { false }
    let state = [directions, input[1], hiddenSize]
    let expected: [(role: String, shape: [Int])] = [
      ("input", input),
      ("weights tensor", [directions, rows, input[2]]),
      ("recurrent weights tensor", [directions, rows, hiddenSize]),
      ("bias", [directions, rows]),
      ("recurrent bias", [directions, rows]),
      ("initial hidden state", state),
      ("initial cell state", state),
      ("peephole tensor", [directions, 3 * hiddenSize]),
    ]
    for (index, (role, shape)) in expected.enumerated() {
      guard let given = operands.optional(index) else { continue }
      try operands.require(given == shape, "the \(role) has shape \(given), expected \(shape)")
      try operands.require(index < 6 || isLSTM, "only an LSTM has a \(role)")
    }
    try operands.require(
      activations.count == directions && activations.allSatisfy { $0.count >= activationCount },
      "\(directions) directions need \(activationCount) activations each")
    for bound in [clip, cellClip] {
      if let bound { try operands.require(bound > 0, "clip bound \(bound) is not positive") }
    }
    if stateIsVariable {
      try operands.require(operands.optional(5) != nil, "the variable tensor of the hidden state is missing")
      try operands.require(!isLSTM || operands.optional(6) != nil, "the variable tensor of the cell state is missing")
    }
    let all = try operands.result([input[0], directions, input[1], hiddenSize])
    return isLSTM ? [all, state, state] : [all, state]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let batch = input.shape[1]
    let stateShape = [directionCount, batch, hiddenSize]
    var all = FloatTensor(shape: [input.shape[0], directionCount, batch, hiddenSize], repeating: 0)
    var hidden = inputs.optionalOperand(5) ?? FloatTensor(shape: stateShape, repeating: 0)
    var cellState = inputs.optionalOperand(6) ?? FloatTensor(shape: stateShape, repeating: 0)
    for direction in 0..<directionCount {
      var layer = RecurrentLayer(self, direction: direction, operands: inputs)
      layer.roundHidden = context.roundHidden
      layer.run(input, observe: context.observeInternal)
      let steps = layer.hiddenThroughTime.count / (batch * hiddenSize) - 1
      let block = batch * hiddenSize
      for step in 0..<steps {
        let time = layer.isReverse ? steps - 1 - step : step
        let target = (time * directionCount + direction) * block
        for index in 0..<block { all.values[target + index] = layer.hiddenThroughTime[(step + 1) * block + index] }
      }
      for index in 0..<block {
        hidden.values[direction * block + index] = layer.hidden[index]
        cellState.values[direction * block + index] = layer.cell[index]
      }
    }
    if stateIsVariable { context.setState(ofOperand: 5, to: hidden) }
    guard case .lstm = cell else { return [all, hidden] }
    if stateIsVariable { context.setState(ofOperand: 6, to: cellState) }
    return [all, hidden, cellState]
  }
}

/// One direction of a recurrent layer while it walks through time.
private struct RecurrentLayer {
  let op: RecurrentOp
  let direction: Int
  let isReverse: Bool
  let batch: Int
  /// [G·H, I] and [G·H, H].
  let weights: [Float]
  let recurrentWeights: [Float]
  /// [G·H] each; zeros if absent.
  let bias: [Float]
  let recurrentBias: [Float]
  /// [3·H] or empty.
  let peepholes: [Float]
  /// See ``EvaluationContext/roundHidden``.
  var roundHidden: ((inout [Float]) -> Void)?
  /// [N, H] each.
  var hidden: [Float]
  var cell: [Float]
  /// [T+1, N, H], the initial state first, in the order of the walk.
  var hiddenThroughTime: [Float]

  init(_ op: RecurrentOp, direction: Int, operands: [FloatTensor?]) {
    self.op = op
    self.direction = direction
    self.isReverse = op.direction == .reverse || direction == 1
    self.batch = operands.operand(0).shape[1]
    func part(_ index: Int) -> [Float]? {
      guard let tensor = operands.optionalOperand(index) else { return nil }
      let size = tensor.values.count / op.directionCount
      return Array(tensor.values[direction * size..<(direction + 1) * size])
    }
    let rows = op.gateCount * op.hiddenSize
    let zeroState = [Float](repeating: 0, count: batch * op.hiddenSize)
    weights = part(1) ?? []
    recurrentWeights = part(2) ?? []
    bias = part(3) ?? [Float](repeating: 0, count: rows)
    recurrentBias = part(4) ?? [Float](repeating: 0, count: rows)
    peepholes = part(7) ?? []
    hidden = part(5) ?? zeroState
    cell = part(6) ?? zeroState
    hiddenThroughTime = hidden
  }

  mutating func run(_ input: FloatTensor, observe: ((InternalValue, FloatTensor) -> Void)?) {
    let steps = input.shape[0]
    let size = op.hiddenSize
    let rows = op.gateCount * size
    let inputProduct = Self.product(input.values, rows: steps * batch, depth: input.shape[2], weights, columns: rows)
    var gatesThroughTime: [Float] = []
    var inputThroughTime: [Float] = []
    var recurrentThroughTime: [Float] = []
    var resetThroughTime: [Float] = []
    var cellThroughTime = cell
    for step in 0..<steps {
      let time = isReverse ? steps - 1 - step : step
      let first = time * batch * rows
      let fromInput = Array(inputProduct[first..<first + batch * rows])
      var operand = hidden
      roundHidden?(&operand)
      var fromState = Self.product(operand, rows: batch, depth: size, recurrentWeights, columns: rows)
      var gates = [Float](repeating: 0, count: batch * rows)
      var resets = [Float](repeating: 0, count: observe == nil ? 0 : batch * size)
      switch op.cell {
      case .lstm(let coupled): stepLSTM(fromInput, fromState, coupled: coupled, &gates)
      case .gru(let linearBeforeReset):
        stepGRU(fromInput, &fromState, linearBeforeReset: linearBeforeReset, &gates, &resets)
      case .rnn: stepRNN(fromInput, fromState, &gates)
      }
      hiddenThroughTime += hidden
      if observe != nil {
        gatesThroughTime += gates
        inputThroughTime += fromInput
        recurrentThroughTime += fromState
        resetThroughTime += resets
        cellThroughTime += cell
      }
    }
    guard let observe else { return }
    func report(_ kind: InternalValue.Kind, _ shape: [Int], _ values: [Float]) {
      observe(InternalValue(kind, direction: direction), FloatTensor(shape: shape, values: values))
    }
    report(.gates, [steps, batch, rows], gatesThroughTime)
    report(.inputProduct, [steps, batch, rows], inputThroughTime)
    report(.recurrentProduct, [steps, batch, rows], recurrentThroughTime)
    if case .gru(linearBeforeReset: true) = op.cell { report(.resetProduct, [steps, batch, size], resetThroughTime) }
    if case .lstm = op.cell { report(.cell, [steps + 1, batch, size], cellThroughTime) }
    report(.hidden, [steps + 1, batch, size], hiddenThroughTime)
  }

  /// [rows, columns] = values [rows, depth] · weights [columns, depth] transposed.
  private static func product(
    _ values: [Float], rows: Int, depth: Int, _ weights: [Float], columns: Int
  ) -> [Float] {
    FloatTensor(shape: [rows, columns]) { output in
      values.withUnsafeBufferPointer { values in
        weights.withUnsafeBufferPointer { weights in
          guard let values = values.baseAddress, let weights = weights.baseAddress else { return }
          for row in 0..<rows {
            for column in 0..<columns {
              output[row &* columns &+ column] = dotProduct(
                values + row &* depth, weights + column &* depth, count: depth)
            }
          }
        }
      }
    }.values
  }

  /// What goes into a gate: the sum, clipped (ONNX `clip`, which the cell state on its way to the output does not meet).
  private func clipped(_ sum: Double) -> Double {
    guard let bound = op.clip.map(Double.init) else { return sum }
    return min(max(sum, -bound), bound)
  }

  private mutating func stepLSTM(
    _ fromInput: [Float], _ fromState: [Float], coupled: Bool, _ gates: inout [Float]
  ) {
    let size = op.hiddenSize
    let activations = op.activations[direction]
    for sample in 0..<batch {
      for unit in 0..<size {
        let state = sample * size + unit
        func gate(_ index: Int, cell: Float, peephole: Int?) -> Double {
          let row = index * size + unit
          let position = sample * 4 * size + row
          var sum = Double(fromInput[position]) + Double(fromState[position]) + Double(bias[row])
          sum += Double(recurrentBias[row])
          if let peephole, !peepholes.isEmpty { sum += Double(peepholes[peephole * size + unit]) * Double(cell) }
          let input = clipped(sum)
          gates[position] = Float(input)
          return input
        }
        let inputGate = activations[0].value(at: gate(0, cell: cell[state], peephole: 0))
        let forgetInput = gate(2, cell: cell[state], peephole: 2)
        let forgetGate = coupled ? 1 - inputGate : activations[0].value(at: forgetInput)
        let candidate = activations[1].value(at: gate(3, cell: 0, peephole: nil))
        var next = forgetGate * Double(cell[state]) + inputGate * candidate
        if let bound = op.cellClip.map(Double.init) { next = min(max(next, -bound), bound) }
        cell[state] = Float(next)
        let outputGate = activations[0].value(at: gate(1, cell: cell[state], peephole: 1))
        hidden[state] = Float(outputGate * activations[2].value(at: next))
      }
    }
  }

  private mutating func stepGRU(
    _ fromInput: [Float], _ fromState: inout [Float], linearBeforeReset: Bool, _ gates: inout [Float],
    _ resets: inout [Float]
  ) {
    let size = op.hiddenSize
    let activations = op.activations[direction]
    func gate(_ index: Int, _ unit: Int, _ sample: Int) -> Double {
      let row = index * size + unit
      let position = sample * 3 * size + row
      let sum =
        Double(fromInput[position]) + Double(bias[row]) + Double(fromState[position]) + Double(recurrentBias[row])
      let input = clipped(sum)
      gates[position] = Float(input)
      return activations[0].value(at: input)
    }
    for sample in 0..<batch {
      let update = (0..<size).map { gate(0, $0, sample) }
      let reset = (0..<size).map { gate(1, $0, sample) }
      if !linearBeforeReset {
        var kept = (0..<size).map { Float(reset[$0] * Double(hidden[sample * size + $0])) }
        roundHidden?(&kept)
        let hiddenRows = Array(recurrentWeights[2 * size * size..<3 * size * size])
        let product = Self.product(kept, rows: 1, depth: size, hiddenRows, columns: size)
        for unit in 0..<size { fromState[sample * 3 * size + 2 * size + unit] = product[unit] }
      }
      for unit in 0..<size {
        let row = 2 * size + unit
        let position = sample * 3 * size + row
        let state = sample * size + unit
        var share = Double(fromState[position]) + Double(recurrentBias[row])
        if linearBeforeReset {
          share *= reset[unit]
          if !resets.isEmpty { resets[state] = Float(share) }
        }
        let input = clipped(Double(fromInput[position]) + Double(bias[row]) + share)
        gates[position] = Float(input)
        let candidate = activations[1].value(at: input)
        hidden[state] = Float((1 - update[unit]) * candidate + update[unit] * Double(hidden[state]))
      }
    }
  }

  private mutating func stepRNN(_ fromInput: [Float], _ fromState: [Float], _ gates: inout [Float]) {
    let size = op.hiddenSize
    let activation = op.activations[direction][0]
    for sample in 0..<batch {
      for unit in 0..<size {
        let position = sample * size + unit
        let sum =
          Double(fromInput[position]) + Double(fromState[position]) + Double(bias[unit]) + Double(recurrentBias[unit])
        let input = clipped(sum)
        gates[position] = Float(input)
        hidden[position] = Float(activation.value(at: input))
      }
    }
  }
}
