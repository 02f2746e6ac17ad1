import Testing

@testable import QModel

@Suite struct PreparationTests {
  @Test func globalAveragePoolsBecomeMeans() throws {
    var sketch = GraphSketch()
    let input = sketch.input([1, 5, 3, 4])
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth, pool.activation) = (5, 3, .relu)
    sketch.output(try sketch.node(.averagePool2D(pool), input))
    pool.kernelWidth = 2
    sketch.output(try sketch.node(.averagePool2D(pool), input))
    let prepared = try sketch.graph.preparedForQuantization()
    #expect(prepared.summary == ["Mean", "Clip", "AveragePool2D+relu"])
    #expect(try sketch.graph.difference(from: prepared) < 1e-6)
  }

  @Test func divisionsBecomeProducts() throws {
    var sketch = GraphSketch()
    let input = sketch.input([2, 3])
    sketch.output(try sketch.binary(.div, input, sketch.constant([3], in: 0.5...4)))
    let prepared = try sketch.graph.preparedForQuantization()
    #expect(prepared.summary == ["mul"])
    #expect(try sketch.graph.difference(from: prepared) < 1e-6)
  }

  @Test func impossibleDivisionsAreRefused() throws {
    for divisor in [0, .leastNonzeroMagnitude] as [Float] {
      var sketch = GraphSketch()
      let input = sketch.input([2, 3])
      sketch.output(try sketch.binary(.div, input, sketch.constant(divisor)))
      #expect(throws: ModelError.self) { try sketch.graph.preparedForQuantization() }
    }
    var sketch = GraphSketch()
    let a = sketch.input([2]), b = sketch.input([2], name: "b")
    sketch.output(try sketch.binary(.div, a, b))
    let error = #expect(throws: ModelError.self) { try sketch.graph.preparedForQuantization() }
    #expect(error?.kind == .unsupported && error?.description.contains("node") == true)
  }

  @Test func clampsOfMovementsStandAlone() throws {
    var sketch = GraphSketch()
    let a = sketch.input([1, 3]), b = sketch.input([1, 2], name: "b")
    var concatenation = ConcatenationOp(axis: 1)
    concatenation.activation = .relu6
    sketch.output(try sketch.node(.concatenation(concatenation), a, b))
    var maximum = BinaryOp(.maximum)
    maximum.activation = .reluN1To1
    sketch.output(try sketch.node(.binary(maximum), a, a))
    let prepared = try sketch.graph.preparedForQuantization()
    #expect(prepared.nodes.count == 4)
    #expect(prepared.nodes.allSatisfy { $0.op.activation == nil || $0.op.activation == FusedActivation.none })
    #expect(try sketch.graph.difference(from: prepared) < 1e-6)
  }
}
