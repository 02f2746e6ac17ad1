import Testing

@testable import QKernels
@testable import QModel

/// A recurrent layer with unpacked weights, and its arithmetic written down once more: one number at a time, gate by gate,
/// in 64 bits.
struct TestRecurrent: CustomStringConvertible {
  enum Cell: String, CaseIterable { case lstm, gruAfter, gruBefore, rnn }

  let name: String
  var cell = Cell.lstm
  var steps = 5, batches = 2, inputs = 7, hidden = 5, directions = 1
  var reverseMask = 0
  var inputType = StoredType.int8, stateType = StoredType.int8
  var gateLimit = 32767, candidateLimit = 32767, cellLimit = 32767, cellExponent = -11, hiddenExponent = -15
  var isCoupled = false, hasPeepholes = false
  var activation = RecurrentActivation.tanh, cellActivation = RecurrentActivation.tanh
  var stepsPerChunk = 2

  // Chosen from the seed.
  private(set) var x = Operand(shape: [], type: .int8)
  private(set) var h = Operand(shape: [], type: .int8), c = Operand(shape: [], type: .int16)
  private(set) var weights: [Int] = [], recurrentWeights: [Int] = [], peepholes: [Int] = []
  private(set) var inputQuantization = TestRecurrent.none, recurrentQuantization = TestRecurrent.none
  private(set) var factors: [FixedPointMultiplier] = [], peepholeFactors: [FixedPointMultiplier] = []
  private(set) var zeroPoint = 0

  private static let none = LayerQuantization(
    bias: [], multipliers: [], shifts: [], outputZeroPoint: 0, outputMin: -32768, outputMax: 32767)

  var description: String { name }
  var isGRU: Bool { cell == .gruAfter || cell == .gruBefore }
  var gates: Int { cell == .lstm ? 4 : isGRU ? 3 : 1 }
  var rows: Int { gates * hidden }
  private var stateShape: [Int] { [directions, batches, hidden] }
  private var isWide: Bool { stateType == .int16 }

  init(_ name: String, _ change: (inout TestRecurrent) -> Void = { _ in }) {
    self.name = name
    change(&self)
  }

  /// Fills in weights, values and factors.
  mutating func generate(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    x = .random([steps, batches, inputs], inputType, zeroPoint: inputType == .int8 ? -20 : 0, using: &random)
    zeroPoint = isWide ? 0 : Int.random(in: -60...60, using: &random)
    let stored = isGRU ? StoredType.int16 : stateType
    h = .random(stateShape, stored, zeroPoint: isGRU ? 0 : zeroPoint, using: &random)
    c = .random(stateShape, .int16, using: &random)
    h.place = .state
    c.place = .state
    weights = (0..<directions * rows * inputs).map { _ in Int.random(in: -127...127, using: &random) }
    recurrentWeights = (0..<directions * rows * hidden).map { _ in Int.random(in: -127...127, using: &random) }
    inputQuantization = quantization(depth: inputs, inputType, &random)
    recurrentQuantization = quantization(depth: hidden, stateType, &random)
    func factor(_ value: Double) -> FixedPointMultiplier {
      FixedPointMultiplier(nearest: value * Double.random(in: 0.7...1.4, using: &random))
    }
    let stateStep = isWide ? 0x1p-15 : 1.0 / 120
    let half = 0x1p-15, cellStep = Double(sign: .plus, exponent: cellExponent, significand: 1)
    switch cell {
    case .lstm:
      factors = [
        factor(half), factor(half * (activation == .relu ? 0x1p-12 : half) / cellStep),
        factor(half * (cellActivation == .relu ? cellStep / 8 : half) / stateStep),
      ]
    case .gruAfter, .gruBefore:
      factors = [factor(Double(sign: .plus, exponent: hiddenExponent, significand: 1) / stateStep)]
    case .rnn: factors = [factor((activation == .relu ? 0x1p-14 : half) / stateStep)]
    }
    if hasPeepholes {
      peepholes = (0..<directions * 3 * hidden).map { _ in Int.random(in: -32768...32767, using: &random) }
      peepholeFactors = (0..<directions * 3).map { _ in factor(0x1p-16) }
    }
  }

  /// Factors that bring typical sums to the range of the gates, and some beyond.
  private func quantization(depth: Int, _ type: StoredType, _ random: inout SeededGenerator) -> LayerQuantization {
    var result = Self.none
    var shift = type == .int8 ? 0 : -8
    while 1 << (-2 * (shift + (type == .int8 ? 0 : 8))) < depth { shift -= 1 }
    for _ in 0..<directions * rows {
      result.bias.append(Int.random(in: -4000...4000, using: &random) * (type == .int8 ? 1 : 256))
      result.multipliers.append(Int(random.multiplier()))
      result.shifts.append(shift + Int.random(in: -1...1, using: &random))
    }
    return result
  }

  // MARK: The second formulation

  private func saturated(_ value: Int) -> Int { min(max(value, -32768), 32767) }

  private func limited(_ value: Int, _ limit: Int? = nil) -> Int {
    let limit = limit ?? gateLimit
    return limit == 32767 ? saturated(value) : min(max(value, -limit), limit)
  }

  private func table(_ index: Int) -> Int { Int(SigmoidTable.values[index]) }

  /// Q3.12 to Q0.15.
  private func logistic(_ z: Int) -> Int {
    let place = abs(3 * z), index = place / 512
    let sum = index < 255 ? table(index) * 512 + place % 512 * (table(index + 1) - table(index)) : 0x7FFF << 10
    return z >= 0 ? (sum + 512) / 1024 : ((1 << 25) - sum + 511) / 1024
  }

  /// tanh of `v` / 12288 to Q0.15.
  private func tanhOfThirds(_ v: Int) -> Int {
    let place = abs(v), index = place / 256
    let sum = index < 255 ? table(index) * 256 + place % 256 * (table(index + 1) - table(index)) : 0xFFFF << 8
    let shifted = v >= 0 ? sum - (1 << 23) + 128 : (1 << 23) - sum + 127
    return Int((Double(shifted) / 256).rounded(.down))
  }

  private func activated(_ function: RecurrentActivation, _ z: Int) -> Int {
    switch function {
    case .logistic: logistic(z)
    case .tanh: tanhOfThirds(3 * z)
    case .relu: max(z, 0)
    }
  }

  private func requantized(_ value: Int, _ factor: FixedPointMultiplier) -> Int {
    Int(Truncating.requantize(Int32(value), factor.multiplier, factor.shift))
  }

  private func divided(_ value: Int, _ exponent: Int) -> Int {
    Int(Truncating.divide(Int64(value), by: 1 << Int64(exponent)))
  }

  private func stored(_ value: Int) -> Int { isWide ? saturated(value) : min(max(value, -128), 127) }

  /// Output, final hidden state, final cell state.
  func expected() -> (output: [Int], h: [Int], c: [Int]) {
    var output = [Int](repeating: 0, count: steps * directions * batches * hidden)
    var h = h.values, c = c.values
    for d in 0..<directions {
      for n in 0..<batches {
        let start = (d * batches + n) * hidden
        var state = Array(h[start..<start + hidden]), memory = Array(c[start..<start + hidden])
        let isReverse = reverseMask >> d & 1 == 1
        for step in 0..<steps {
          let t = isReverse ? steps - 1 - step : step
          let y = advance(
            d, Array(x.values[(t * batches + n) * inputs..<(t * batches + n + 1) * inputs]), &state, &memory)
          for j in 0..<hidden { output[((t * directions + d) * batches + n) * hidden + j] = y[j] }
        }
        h.replaceSubrange(start..<start + hidden, with: state)
        c.replaceSubrange(start..<start + hidden, with: memory)
      }
    }
    return (output, h, c)
  }

  private func advance(_ d: Int, _ x: [Int], _ h: inout [Int], _ c: inout [Int]) -> [Int] {
    func fromInput(_ row: Int) -> Int {
      let place = d * rows + row
      let sum = (0..<inputs).reduce(0) { $0 + (x[$1] - self.x.zeroPoint) * weights[place * inputs + $1] }
      return inputQuantization.output(sum, channel: place, wide: inputType == .int16)
    }
    func fromState(_ row: Int, _ operand: [Int]) -> Int {
      let place = d * rows + row
      let sum = (0..<hidden).reduce(0) { $0 + (operand[$1] - zeroPoint) * recurrentWeights[place * hidden + $1] }
      return recurrentQuantization.output(sum, channel: place, wide: isWide)
    }
    func narrow(_ value: Int) -> Int { isWide ? value : stored(requantized(value, factors[0]) + zeroPoint) }
    let old = h
    switch cell {
    case .rnn:
      for j in 0..<hidden {
        let z = limited(fromInput(j) + fromState(j, old))
        h[j] = stored(requantized(activated(activation, z), factors[0]) + zeroPoint)
      }
      return h
    case .gruAfter, .gruBefore:
      let operand = old.map(narrow)
      func gate(_ index: Int, _ j: Int) -> Int {
        logistic(limited(fromInput(index * hidden + j) + fromState(index * hidden + j, operand)))
      }
      let reset = (0..<hidden).map { gate(1, $0) }
      let kept = (0..<hidden).map { narrow(divided(reset[$0] * old[$0], 15)) }
      for j in 0..<hidden {
        let row = 2 * hidden + j
        let share =
          cell == .gruAfter ? divided(reset[j] * fromState(row, operand), 15) : fromState(row, kept)
        let candidate = activated(activation, limited(fromInput(row) + share, candidateLimit))
        let update = gate(0, j)
        if activation == .relu {
          // In quarters of the candidate's unit.
          h[j] = saturated(divided(divided(update * old[j], 2) + (32768 - update) * candidate, 13))
        } else {
          let fresh = divided((32768 - update) * candidate, 15 + hiddenExponent)
          h[j] = saturated(divided(update * old[j] + fresh, 15))
        }
      }
      return h.map(narrow)
    case .lstm:
      for j in 0..<hidden {
        func argument(_ gate: Int, _ cell: Int?) -> Int {
          let z = limited(fromInput(gate * hidden + j) + fromState(gate * hidden + j, old))
          guard hasPeepholes, let cell else { return z }
          let place = d * 3 + gate
          let term = requantized(peepholes[place * hidden + j] * cell, peepholeFactors[place])
          return limited(saturated(z + saturated(term)))
        }
        let input = logistic(argument(0, c[j]))
        let forget = isCoupled ? 32767 - input : logistic(argument(2, c[j]))
        let added = saturated(requantized(input * activated(activation, argument(3, nil)), factors[1]))
        let next = saturated(saturated(requantized(forget * c[j], factors[0])) + added)
        c[j] = cellLimit < 32767 ? min(max(next, -cellLimit), cellLimit) : next
        let gate = logistic(argument(1, c[j]))
        var function = activated(cellActivation, c[j])
        if cellActivation == .tanh {
          let left = 12 + cellExponent
          let scaled = Double(3 * c[j]) * Double(sign: .plus, exponent: left, significand: 1)
          function = tanhOfThirds(Int((scaled + 0.5).rounded(.down)))
        }
        h[j] = stored(requantized(function * gate, factors[2]) + zeroPoint)
      }
      return h
    }
  }

  // MARK: The kernel

  func run() throws -> (output: [Int], h: [Int], c: [Int]) {
    let output = Operand(shape: [steps, directions, batches, hidden], type: stateType, zeroPoint: zeroPoint)
    func product(
      _ builder: inout PlanBuilder, _ weights: [Int], depth: Int, _ quantization: LayerQuantization, zeroPoint: Int
    ) -> ChannelQuantization {
      let packed = (0..<directions).flatMap { d in
        Packing.matmul(channels: rows, rows: 1, length: depth) { row, _, k in weights[(d * rows + row) * depth + k] }
      }
      let sums = (0..<directions * rows).map { row in weights[row * depth..<(row + 1) * depth].reduce(0, +) }
      return quantization.record(
        &builder, weights: packed, groups: directions, sums: [sums], inputZeroPoint: zeroPoint)
    }
    func layer(_ builder: inout PlanBuilder) -> RecurrentLayer {
      RecurrentLayer(
        inputSize: Int32(inputs), hiddenSize: Int32(hidden), directionCount: Int32(directions),
        reverseMask: Int32(reverseMask), stepsPerChunk: Int32(stepsPerChunk), gateLimit: Int32(gateLimit),
        input: product(&builder, weights, depth: inputs, inputQuantization, zeroPoint: x.zeroPoint),
        recurrent: product(&builder, recurrentWeights, depth: hidden, recurrentQuantization, zeroPoint: zeroPoint))
    }
    let result: StepResult
    switch cell {
    case .lstm:
      result = try runStep(
        .lstm, inputs: [x, h, c], outputs: [output],
        scratch: { (p: LSTMParams) in p.layer.scratchByteCount(gateCount: 4) },
        makeParams: {
          var params = LSTMParams(
            layer: layer(&$0), isCoupled: isCoupled ? 1 : 0, candidateActivation: activation.rawValue,
            cellActivation: cellActivation.rawValue, cellLimit: Int32(cellLimit), cellExponent: Int32(cellExponent),
            forgetMultiplier: factors[0].multiplier, forgetShift: factors[0].shift,
            candidateMultiplier: factors[1].multiplier, candidateShift: factors[1].shift,
            outputMultiplier: factors[2].multiplier, outputShift: factors[2].shift, hiddenZeroPoint: Int32(zeroPoint))
          if hasPeepholes {
            params.peepholes = $0.constant(peepholes.map { Int16($0) })
            params.peepholeMultiplier = $0.constant(peepholeFactors.map(\.multiplier))
            params.peepholeShift = $0.constant(peepholeFactors.map(\.shift))
          }
          return params
        })
    case .gruAfter, .gruBefore:
      result = try runStep(
        .gru, inputs: [x, h], outputs: [output],
        scratch: { (p: GRUParams) in p.layer.scratchByteCount(gateCount: 3) },
        makeParams: {
          GRUParams(
            layer: layer(&$0), linearBeforeReset: cell == .gruAfter ? 1 : 0,
            candidateActivation: activation.rawValue, candidateLimit: Int32(candidateLimit),
            hiddenExponent: Int32(hiddenExponent), outputMultiplier: factors[0].multiplier,
            outputShift: factors[0].shift, outputZeroPoint: Int32(zeroPoint), hasWideOperand: isWide ? 1 : 0)
        })
    case .rnn:
      result = try runStep(
        .rnn, inputs: [x, h], outputs: [output],
        scratch: { (p: RNNParams) in p.layer.scratchByteCount(gateCount: 1) },
        makeParams: {
          RNNParams(
            layer: layer(&$0), activation: activation.rawValue, outputMultiplier: factors[0].multiplier,
            outputShift: factors[0].shift, hiddenZeroPoint: Int32(zeroPoint))
        })
    }
    return (result.outputs[0], result.inputs[1], cell == .lstm ? result.inputs[2] : c.values)
  }
}
