import Testing

@testable import QModel

@Suite struct ScaleAssignmentTests {
  /// The quantizations for given ranges by tensor.
  private func assignment(_ graph: Graph, _ ranges: [TensorID: (Float, Float)]) throws -> ScaleAssignment {
    let observed = Dictionary(
      uniqueKeysWithValues: ranges.map {
        (CalibratedValue.tensor($0.key), ValueRange(low: $0.value.0, high: $0.value.1))
      })
    return try ScaleAssignment(graph, ranges: CalibratedRanges(method: .minmax, observed: observed))
  }

  /// The same range for every tensor.
  private func evenRanges(_ graph: Graph, _ range: (Float, Float) = (-1, 1)) -> [TensorID: (Float, Float)] {
    Dictionary(uniqueKeysWithValues: graph.tensors.indices.map { ($0, range) })
  }

  @Test func movementKeepsTheInputsQuantization() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4, 4, 2])
    let shaped = try sketch.reshape(input, [4, 4, 2])
    let turned = try sketch.transpose(shaped, [2, 0, 1])
    let parts = try sketch.nodes(.split(SplitOp(axis: 1, sizes: [1, 3])), [turned])
    for part in parts { sketch.output(part) }
    var ranges = evenRanges(sketch.graph, (0, 1))
    ranges[input] = (-3, 5)
    let result = try assignment(sketch.graph, ranges)
    let expected = TensorQuantization(int8: ValueRange(low: -3, high: 5))
    for tensor in [input, shaped, turned] + parts { #expect(result.quantizations[tensor] == expected) }
  }

  @Test func maximumPoolsNeedOnlyWhatTheyKeep() throws {
    func pooled(_ hasOtherUse: Bool) throws -> (TensorQuantization?, TensorQuantization?) {
      var sketch = GraphSketch()
      let conv = try sketch.convolution(sketch.input([1, 4, 4, 2]), 2)
      var pool = Pool2DOp()
      (pool.kernelHeight, pool.kernelWidth) = (2, 2)
      let result = try sketch.node(.maxPool2D(pool), conv)
      sketch.output(result)
      if hasOtherUse { sketch.output(try sketch.node(.unary(.abs), conv)) }
      var ranges = evenRanges(sketch.graph)
      ranges[conv] = (-6, 6)
      ranges[result] = (0, 6)
      let quantizations = try assignment(sketch.graph, ranges).quantizations
      return (quantizations[conv], quantizations[result])
    }
    let alone = try pooled(false)
    #expect(alone.0 == alone.1 && alone.1 == TensorQuantization(int8: ValueRange(low: 0, high: 6)))
    let shared = try pooled(true)
    #expect(shared.0 == shared.1 && shared.1 == TensorQuantization(int8: ValueRange(low: -6, high: 6)))
  }

  @Test func fixedResults() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 8])
    let softmax = try sketch.node(.softmax(SoftmaxOp(axis: 1)), input)
    let shaped = try sketch.reshape(softmax, [2, 4])
    let logistic = try sketch.node(.unary(.logistic), input)
    let tanh = try sketch.node(.unary(.tanh), input)
    let log = try sketch.node(.logSoftmax(SoftmaxOp(axis: 1)), input)
    for tensor in [shaped, logistic, tanh, log] { sketch.output(tensor) }
    let result = try assignment(sketch.graph, [input: (-1, 1)]).quantizations
    #expect(result[softmax] == TensorQuantization(scale: 1 / 256, zeroPoint: -128))
    #expect(result[shaped] == result[softmax])
    #expect(result[logistic] == TensorQuantization(scale: 1 / 256, zeroPoint: -128))
    #expect(result[tanh] == TensorQuantization(scale: 1 / 128, zeroPoint: 0))
    #expect(result[log] == TensorQuantization(scale: 1 / 16, zeroPoint: 127))
  }

  @Test func concatenationsDrawInWhatFits() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4])
    let wide = try sketch.node(.unary(.exp), input), narrow = try sketch.node(.unary(.sin), input)
    let fixed = try sketch.node(.unary(.tanh), input)
    let joined = try sketch.node(.concatenation(ConcatenationOp(axis: 1)), wide, narrow, fixed, input)
    sketch.output(joined)
    let result = try assignment(
      sketch.graph, [input: (-10, 10), wide: (0, 9), narrow: (-1, 1), joined: (-10, 10)])
    let expected = TensorQuantization(int8: ValueRange(low: -10, high: 10))
    #expect(result.quantizations[joined] == expected)
    // wide has nearly half of the range: it takes the result's scale. The others would lose resolution.
    #expect(result.quantizations[wide] != expected)
    #expect(result.quantizations[narrow] == TensorQuantization(int8: ValueRange(low: -1, high: 1)))
    let kinds = result.graph.nodes.map(\.op)
    #expect(kinds.filter { $0 == .requantize }.count == 4)
    let node = try #require(result.graph.nodes.last)
    for case .some(let operand) in node.inputs { #expect(result.quantizations[operand] == expected) }
    // All shapes are right still.
    try result.graph.validate()
    let roomier = try assignment(
      sketch.graph, [input: (-10, 10), wide: (0, 12), narrow: (-1, 1), joined: (-10, 12)])
    #expect(roomier.quantizations[wide] == roomier.quantizations[joined])
    #expect(roomier.graph.nodes.filter { $0.op == .requantize }.count == 3)
  }

  @Test func equalFixedOperandsNeedNoChange() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4])
    let a = try sketch.node(.unary(.logistic), input)
    let b = try sketch.node(.softmax(SoftmaxOp(axis: 1)), input)
    let larger = try sketch.binary(.maximum, a, b)
    sketch.output(try sketch.node(.concatenation(ConcatenationOp(axis: 1)), a, larger))
    let result = try assignment(sketch.graph, evenRanges(sketch.graph))
    #expect(result.graph.nodes.count == sketch.graph.nodes.count)
    #expect(result.quantizations[larger] == TensorQuantization(scale: 1 / 256, zeroPoint: -128))
    #expect(result.quantizations[sketch.graph.outputs[0]] == result.quantizations[larger])
  }

  @Test func anOperandTwiceIsRequantizedOnceOrNotAtAll() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4])
    let value = try sketch.node(.unary(.sin), input)
    sketch.output(try sketch.node(.concatenation(ConcatenationOp(axis: 1)), value, value))
    let result = try assignment(sketch.graph, evenRanges(sketch.graph))
    #expect(result.graph.nodes.count == 2)
  }

  @Test func paddingWithAConstantWidensTheRange() throws {
    func padded(_ constant: Float) throws -> TensorQuantization? {
      var sketch = GraphSketch()
      let input = sketch.input([4])
      let conv = try sketch.node(.unary(.sin), input)
      let result = try sketch.node(.pad(PadOp(before: [1], after: [0], mode: .constant(constant))), conv)
      sketch.output(result)
      return try assignment(sketch.graph, [input: (-1, 1), conv: (-1, 1), result: (-1, 4)]).quantizations[result]
    }
    #expect(try padded(0) == TensorQuantization(int8: ValueRange(low: -1, high: 1)))
    #expect(try padded(4) == TensorQuantization(int8: ValueRange(low: -1, high: 4)))
    #expect(try padded(-.greatestFiniteMagnitude) == TensorQuantization(int8: ValueRange(low: -1, high: 1)))
  }

  @Test func missingRangesAreNamed() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 4], name: "speech")
    sketch.output(try sketch.node(.unary(.sin), input))
    let error = #expect(throws: ModelError.self) { try assignment(sketch.graph, [sketch.graph.outputs[0]: (0, 1)]) }
    #expect(error?.description.contains("'speech'") == true)
    let infinite = #expect(throws: ModelError.self) {
      try assignment(sketch.graph, [input: (0, .infinity), sketch.graph.outputs[0]: (0, 1)])
    }
    #expect(infinite?.description.contains("'speech'") == true)
  }
}
