import Testing

@testable import QModel

struct ReferenceEvaluatorTests {
  @Test func runsNodesAndReportsEveryTensor() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3])
    let y = try sketch.node(.unary(.square), x, name: "y")
    let z = try sketch.binary(.add, y, x)
    sketch.output(z)
    var evaluator = try ReferenceEvaluator(sketch.graph)
    var seen: [(TensorID, [Float])] = []
    let result = try evaluator.run([FloatTensor(shape: [1, 3], values: [1, 2, -3])]) { seen.append(($0, $1.values)) }
    #expect(result == [FloatTensor(shape: [1, 3], values: [2, 6, 6])])
    #expect(seen.map(\.0) == [x, y, z])
    #expect(seen.map(\.1) == [[1, 2, -3], [1, 4, 9], [2, 6, 6]])
  }

  @Test func inputsMustFit() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3], name: "features")
    sketch.output(try sketch.node(.unary(.relu), x))
    var evaluator = try ReferenceEvaluator(sketch.graph)
    #expect(throws: ModelError(.mismatch, "the model has 1 inputs, 0 arrays were given")) { try evaluator.run([]) }
    #expect(throws: ModelError(.mismatch, "input 'features' has shape [1, 3], the array has [3]")) {
      try evaluator.run([FloatTensor(shape: [3], repeating: 0)])
    }
  }

  /// A hybrid model: int8 weights with a scale per row, one with a zero point, int32 bias.
  @Test func dequantizesIntegerConstants() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 2])
    let weights = sketch.graph.add(
      GraphTensor(
        shape: [2, 2], type: .int8, data: .int8([1, -2, 3, 127]),
        quantization: TensorQuantization(scales: [0.5, 0.25], zeroPoints: [0, 1], axis: 0)))
    let bias = sketch.graph.add(
      GraphTensor(
        shape: [2], type: .int32, data: .int32([-8, 1 << 20]),
        quantization: TensorQuantization(scale: 0.125, zeroPoint: 0)))
    sketch.output(try sketch.node(.fullyConnected(FullyConnectedOp()), x, weights, bias))
    var evaluator = try ReferenceEvaluator(sketch.graph)
    let result = try evaluator.run([FloatTensor(shape: [1, 2], values: [2, 4])])
    // Rows [0.5, -1] and [0.5, 31.5], biases -1 and 2^17.
    let expected: [Float] = [-4, 131199]
    #expect(result[0].values == expected)
  }

  /// An axis of per-channel scales in the middle.
  @Test func dequantizesAlongAnyAxis() {
    let tensor = GraphTensor(
      shape: [2, 2, 2], type: .int16, data: .int16([1, 2, 3, 4, 5, 6, 7, 8]),
      quantization: TensorQuantization(scales: [1, 10], axis: 1))
    #expect(tensor.floatValues()?.values == [1, 2, 30, 40, 5, 6, 70, 80])
  }

  private func lstm(_ sketch: inout GraphSketch) throws {
    let x = sketch.input([1, 1, 3])
    var op = RecurrentOp(cell: .lstm(coupledGates: false), direction: .forward, hiddenSize: 2)
    op.stateIsVariable = true
    let hidden = sketch.graph.add(GraphTensor(name: "h", shape: [1, 1, 2], isVariable: true))
    let cell = sketch.graph.add(
      GraphTensor(name: "c", shape: [1, 1, 2], data: .float([0.5, -0.5]), isVariable: true))
    let outputs = try sketch.nodes(
      .recurrent(op), [x, sketch.constant([1, 8, 3]), sketch.constant([1, 8, 2]), nil, nil, hidden, cell])
    sketch.output(outputs[0])
  }

  @Test func stateIsKeptUntilReset() throws {
    var sketch = GraphSketch()
    try lstm(&sketch)
    var evaluator = try ReferenceEvaluator(sketch.graph)
    let input = [FloatTensor(shape: [1, 1, 3], values: [1, -1, 2])]
    let first = try evaluator.run(input)
    var copy = evaluator
    let second = try evaluator.run(input)
    #expect(first != second)
    // A copy goes its own way from where it was taken.
    #expect(try copy.run(input) == second)
    evaluator.resetState()
    #expect(try evaluator.run(input) == first)
    #expect(try evaluator.run(input) == second)
  }

  @Test func reportsInternalValuesWithTheirNode() throws {
    var sketch = GraphSketch()
    try lstm(&sketch)
    var evaluator = try ReferenceEvaluator(sketch.graph)
    var kinds: Set<InternalValue.Kind> = []
    let input = [FloatTensor(shape: [1, 1, 3], values: [1, -1, 2])]
    _ = try evaluator.run(
      input,
      observeInternal: { node, value, tensor in
        #expect(node == 0)
        kinds.insert(value.kind)
        // The initial state is part of what is seen.
        if value.kind == .cell { #expect(Array(tensor.values.prefix(2)) == [0.5, -0.5]) }
      })
    #expect(kinds == [.gates, .inputProduct, .recurrentProduct, .cell, .hidden])
  }

  @Test func aRequantizationChangesNothing() throws {
    var sketch = GraphSketch()
    let x = sketch.input([3])
    sketch.output(try sketch.node(.requantize, x))
    var evaluator = try ReferenceEvaluator(sketch.graph)
    let values = FloatTensor(shape: [3], values: [0.1, 2, -7])
    #expect(try evaluator.run([values]) == [values])
  }
}
