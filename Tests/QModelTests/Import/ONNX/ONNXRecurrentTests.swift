import Foundation
import Testing

@testable import QModel

/// Recurrent operators against ONNX's equations, written out once more one number at a time.
@Suite struct ONNXRecurrentTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var opType: String
    var direction = "forward"
    var isBatchMajor = false
    var hasBias = true
    var hasState = false
    var hasPeepholes = false
    var couplesGates = false
    var linearBeforeReset = false
    var clip: Double?
    /// Per direction, as ONNX names them.
    var activations: [String] = []
    var testDescription: String {
      "\(opType) \(direction) \(isBatchMajor ? "batch-major" : "") \(activations) clip \(clip ?? 0)"
    }

    var gates: Int { opType == "LSTM" ? 4 : opType == "GRU" ? 3 : 1 }
    var directions: Int { direction == "bidirectional" ? 2 : 1 }
  }

  static let cases: [Case] = [
    Case(opType: "LSTM"),
    Case(opType: "LSTM", direction: "reverse", hasState: true),
    Case(opType: "LSTM", direction: "bidirectional", isBatchMajor: true, hasState: true, hasPeepholes: true),
    Case(opType: "LSTM", hasBias: false, couplesGates: true, clip: 0.3),
    Case(
      opType: "LSTM", direction: "bidirectional",
      activations: ["Sigmoid", "Relu", "Tanh", "HardSigmoid", "Tanh", "Relu"]),
    Case(opType: "GRU"),
    Case(opType: "GRU", direction: "bidirectional", hasState: true, linearBeforeReset: true),
    Case(
      opType: "GRU", direction: "reverse", isBatchMajor: true, hasState: true, clip: 0.25,
      activations: ["Sigmoid", "Relu"]),
    Case(opType: "RNN", hasState: true),
    Case(opType: "RNN", direction: "bidirectional", isBatchMajor: true, hasBias: false, activations: ["Relu", "Tanh"]),
  ]

  private static let (steps, batch, inputs, hidden) = (4, 2, 3, 2)

  /// Numbers between -1 and 1 that follow no order.
  private static func numbers(_ count: Int, _ seed: Int) -> [Double] {
    (0..<count).map { Double(($0 * 37 + seed * 101 + $0 * $0 * 7) % 64 - 32) / 32 }
  }

  private struct Data {
    let x = numbers(steps * batch * inputs, 1)
    let weights: [Double]
    let recurrence: [Double]
    let bias: [Double]
    let state: [Double]
    let cellState: [Double]
    let peepholes: [Double]

    init(_ item: Case) {
      let rows = item.directions * item.gates * hidden
      weights = numbers(rows * inputs, 2)
      recurrence = numbers(rows * hidden, 3)
      bias = item.hasBias ? numbers(2 * rows, 4) : [Double](repeating: 0, count: 2 * rows)
      let size = item.directions * batch * hidden
      state = item.hasState ? numbers(size, 5) : [Double](repeating: 0, count: size)
      cellState = item.hasState ? numbers(size, 6) : [Double](repeating: 0, count: size)
      let count = item.directions * 3 * hidden
      peepholes = item.hasPeepholes ? numbers(count, 7) : [Double](repeating: 0, count: count)
    }
  }

  private func function(_ name: String) -> (Double) -> Double {
    switch name {
    case "Sigmoid": { 1 / (1 + exp(-$0)) }
    case "Tanh": { tanh($0) }
    case "Relu": { max($0, 0) }
    case "HardSigmoid": { max(0, min(1, 0.25 * $0 + 0.5)) }
    default: { _ in .nan }
    }
  }

  /// ONNX's results in its own order of axes, layout 0: Y [T,D,N,H], Y_h [D,N,H], Y_c [D,N,H].
  private func reference(_ item: Case) -> (all: [Double], last: [Double], cell: [Double]) {
    let (steps, batch, inputs, hidden) = (Self.steps, Self.batch, Self.inputs, Self.hidden)
    let data = Data(item)
    let defaults =
      item.opType == "LSTM" ? ["Sigmoid", "Tanh", "Tanh"] : item.opType == "GRU" ? ["Sigmoid", "Tanh"] : ["Tanh"]
    let names =
      item.activations.isEmpty
      ? [[String]](repeating: defaults, count: item.directions).flatMap { $0 } : item.activations
    var all = [Double](repeating: 0, count: steps * item.directions * batch * hidden)
    var (last, cell) = (data.state, data.cellState)
    let bound = item.clip ?? .infinity
    for direction in 0..<item.directions {
      let functions = names[(direction * defaults.count)..<((direction + 1) * defaults.count)].map { function($0) }
      let rows = item.gates * hidden
      func input(_ row: Int, _ time: Int, _ sample: Int) -> Double {
        (0..<inputs).reduce(data.bias[direction * 2 * rows + row]) {
          $0 + data.weights[(direction * rows + row) * inputs + $1] * data.x[(time * batch + sample) * inputs + $1]
        }
      }
      func recurrent(_ row: Int, _ state: [Double]) -> Double {
        (0..<hidden).reduce(0) { $0 + data.recurrence[(direction * rows + row) * hidden + $1] * state[$1] }
      }
      func recurrentBias(_ row: Int) -> Double { data.bias[direction * 2 * rows + rows + row] }
      func peephole(_ gate: Int, _ unit: Int) -> Double { data.peepholes[(direction * 3 + gate) * hidden + unit] }
      func clipped(_ value: Double) -> Double { min(max(value, -bound), bound) }
      for sample in 0..<batch {
        let offset = (direction * batch + sample) * hidden
        for step in 0..<steps {
          let isReverse = item.direction == "reverse" || direction == 1
          let time = isReverse ? steps - 1 - step : step
          let before = [Double](last[offset..<(offset + hidden)])
          var after = before
          func gate(_ index: Int, _ unit: Int) -> Double {
            let row = index * hidden + unit
            return input(row, time, sample) + recurrent(row, before) + recurrentBias(row)
          }
          for unit in 0..<hidden {
            switch item.opType {
            case "LSTM":
              let old = cell[offset + unit]
              let i = functions[0](clipped(gate(0, unit) + peephole(0, unit) * old))
              let f = item.couplesGates ? 1 - i : functions[0](clipped(gate(2, unit) + peephole(2, unit) * old))
              let c = functions[1](clipped(gate(3, unit)))
              cell[offset + unit] = f * old + i * c
              let o = functions[0](clipped(gate(1, unit) + peephole(1, unit) * cell[offset + unit]))
              after[unit] = o * functions[2](cell[offset + unit])
            case "GRU":
              let resets = (0..<hidden).map { functions[0](clipped(gate(1, $0))) }
              let z = functions[0](clipped(gate(0, unit)))
              let row = 2 * hidden + unit
              let candidate =
                item.linearBeforeReset
                ? input(row, time, sample) + resets[unit] * (recurrent(row, before) + recurrentBias(row))
                : input(row, time, sample) + recurrent(row, zip(resets, before).map { $0 * $1 }) + recurrentBias(row)
              after[unit] = (1 - z) * functions[1](clipped(candidate)) + z * before[unit]
            default: after[unit] = functions[0](clipped(gate(0, unit)))
            }
          }
          for unit in 0..<hidden {
            last[offset + unit] = after[unit]
            all[((time * item.directions + direction) * batch + sample) * hidden + unit] = after[unit]
          }
        }
      }
    }
    return (all, last, cell)
  }

  private func model(_ item: Case) -> ONNXModelWriter {
    let data = Data(item)
    let (hidden, batch, inputs) = (Int64(Self.hidden), Int64(Self.batch), Int64(Self.inputs))
    let (directions, rows) = (Int64(item.directions), Int64(item.gates) * hidden)
    func tensor(_ name: String, _ shape: [Int64], _ values: [Double]) -> ONNXTensorWriter {
      ONNXTensorWriter(name, shape, values.map { Float($0) })
    }
    func state(_ name: String, _ values: [Double]) -> ONNXTensorWriter {
      let stored =
        item.isBatchMajor ? permuted(values, [item.directions, Self.batch, Self.hidden], [1, 0, 2]) : values
      return tensor(name, item.isBatchMajor ? [batch, directions, hidden] : [directions, batch, hidden], stored)
    }
    var operands: [ONNXTensorWriter?] = [
      tensor("w", [directions, rows, inputs], data.weights), tensor("r", [directions, rows, hidden], data.recurrence),
    ]
    operands.append(item.hasBias ? tensor("b", [directions, 2 * rows], data.bias) : nil)
    operands.append(
      ONNXTensorWriter("lengths", [batch], type: 6, .int32s([Int64](repeating: Int64(Self.steps), count: Self.batch))))
    operands.append(item.hasState ? state("h0", data.state) : nil)
    if item.opType == "LSTM" {
      operands.append(item.hasState ? state("c0", data.cellState) : nil)
      operands.append(item.hasPeepholes ? tensor("p", [directions, 3 * hidden], data.peepholes) : nil)
    }
    var attributes: [(String, ONNXNodeWriter.Attribute)] = [
      ("hidden_size", .int(hidden)), ("direction", .string(item.direction)),
      ("layout", .int(item.isBatchMajor ? 1 : 0)),
    ]
    if item.opType == "LSTM" { attributes.append(("input_forget", .int(item.couplesGates ? 1 : 0))) }
    if item.opType == "GRU" { attributes.append(("linear_before_reset", .int(item.linearBeforeReset ? 1 : 0))) }
    if let clip = item.clip { attributes.append(("clip", .float(Float(clip)))) }
    if !item.activations.isEmpty {
      attributes.append(("activations", .strings(item.activations)))
      attributes.append(("activation_alpha", .floats(item.activations.contains("HardSigmoid") ? [0.25] : [])))
      attributes.append(("activation_beta", .floats(item.activations.contains("HardSigmoid") ? [0.5] : [])))
    }
    let order = item.isBatchMajor ? [Int64(Self.batch), Int64(Self.steps)] : [Int64(Self.steps), Int64(Self.batch)]
    var model = single(
      item.opType, opset: 14, order + [inputs], attributes, constants: operands)
    let names = item.opType == "LSTM" ? ["y", "h", "c"] : ["y", "h"]
    model.nodes[0].outputs = names
    model.outputs = names.map { ONNXValueWriter($0, nil) }
    return model
  }

  private func permuted(_ values: [Double], _ shape: [Int], _ permutation: [Int]) -> [Double] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in Swift.stride(from: shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    let target = permutation.map { shape[$0] }
    return (0..<values.count).map { index in
      var (rest, position) = (index, 0)
      for axis in target.indices.reversed() {
        position += rest % target[axis] * strides[permutation[axis]]
        rest /= target[axis]
      }
      return values[position]
    }
  }

  @Test(arguments: cases)
  func resultsFollowTheEquations(_ item: Case) throws {
    let x = Data(item).x
    let input = item.isBatchMajor ? permuted(x, [Self.steps, Self.batch, Self.inputs], [1, 0, 2]) : x
    let results = try evaluated(model(item), [input.map { Float($0) }])
    let expected = reference(item)
    let state = [item.directions, Self.batch, Self.hidden]
    var wanted: [(shape: [Int], values: [Double])] = [
      ([Self.steps] + state, expected.all), (state, expected.last), (state, expected.cell),
    ]
    if item.isBatchMajor {
      wanted = wanted.enumerated().map { index, item in
        let permutation = index == 0 ? [2, 0, 1, 3] : [1, 0, 2]
        return (permutation.map { item.shape[$0] }, permuted(item.values, item.shape, permutation))
      }
    }
    #expect(results.count == (item.opType == "LSTM" ? 3 : 2))
    for (result, wanted) in zip(results, wanted) {
      #expect(result.shape == wanted.shape)
      for (index, (value, expected)) in zip(result.values, wanted.values).enumerated() {
        #expect(abs(Double(value) - expected) < 2e-6, "[\(index)] is \(value), expected \(expected)")
      }
    }
  }

  @Test func zeroStatesAreLeftOut() throws {
    var model = model(Case(opType: "LSTM", hasState: true))
    model.initializers.removeAll { $0.name == "h0" || $0.name == "c0" }
    model.initializers += ["h0", "c0"].map { ONNXTensorWriter($0, [1, 2, 2], [0, 0, 0, 0]) }
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
    #expect(graph.nodes.count == 1 && graph.nodes[0].inputs[5...].allSatisfy { $0 == nil })
  }

  @Test func statesMayBeInputs() throws {
    var model = model(Case(opType: "GRU", hasState: true))
    model.initializers.removeAll { $0.name == "h0" }
    model.inputs.append(ONNXValueWriter("h0", [1, 2, 2]))
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
    #expect(graph.inputs.count == 2 && graph.nodes[0].inputs[5] == graph.inputs[1])
  }

  @Test func whatDoesNotFitIsRefused() {
    func problem(_ change: (inout ONNXModelWriter) -> Void) -> String {
      var changed = model(Case(opType: "LSTM", hasState: true))
      change(&changed)
      return problems(changed).first ?? ""
    }
    func replace(_ name: String, _ tensor: ONNXTensorWriter) -> (inout ONNXModelWriter) -> Void {
      { model in
        model.initializers.removeAll { $0.name == name }
        model.initializers.append(tensor)
      }
    }
    #expect(
      problem(replace("w", ONNXTensorWriter("w", [1, 8, 2], [Float](repeating: 0, count: 16)))).contains("\"W\""))
    #expect(problem(replace("r", ONNXTensorWriter("r", [1, 4, 2], [Float](repeating: 0, count: 8)))).contains("\"R\""))
    #expect(problem(replace("b", ONNXTensorWriter("b", [1, 8], [Float](repeating: 0, count: 8)))).contains("\"B\""))
    #expect(problem(replace("h0", ONNXTensorWriter("h0", [1, 2, 1], [1, 1]))).contains("initial_h"))
    #expect(
      problem(replace("lengths", ONNXTensorWriter("lengths", [2], type: 6, .int32s([4, 3])))).contains("lengths"))
    #expect(problem { $0.nodes[0].attributes[0] = ("hidden_size", .int(3)) }.contains("hidden_size"))
    #expect(problem { $0.nodes[0].attributes[1] = ("direction", .string("up")) }.contains("direction"))
    #expect(problem { $0.nodes[0].attributes.append(("activations", .strings(["Tanh"]))) }.contains("activations"))
    #expect(
      problem { $0.nodes[0].attributes.append(("activations", .strings(["Sigmoid", "Affine", "Tanh"]))) }
        .contains("\"Affine\""))
    #expect(problem { $0.opset = 13 }.contains("layout"))
  }
}
