import Testing

@testable import QModel

struct AffineFoldingTests {
  private func optimized(_ sketch: GraphSketch) throws -> Graph {
    let result = try sketch.graph.optimized()
    #expect(try result.difference(from: sketch.graph) < 1e-5)
    return result
  }

  @Test func normalizationsFoldIntoWhatComesBefore() throws {
    var sketch = GraphSketch()
    var x = sketch.input([1, 6, 6, 4])
    x = try sketch.batchNormalization(try sketch.convolution(x, 6), axis: 3)
    x = try sketch.node(.unary(.relu6), x)
    var depthwise = DepthwiseConv2DOp()
    depthwise.depthMultiplier = 2
    x = try sketch.node(.depthwiseConv2D(depthwise), x, sketch.constant([1, 3, 3, 12]), nil)
    x = try sketch.batchNormalization(x, axis: 3)
    var transposed = TransposeConv2DOp()
    (transposed.outputHeight, transposed.outputWidth) = (5, 5)
    x = try sketch.node(.transposeConv2D(transposed), x, sketch.constant([5, 2, 2, 12]), sketch.constant([5]))
    x = try sketch.batchNormalization(x, axis: 3)
    x = try sketch.node(.mean(ReduceOp(axes: [1, 2], keepDimensions: false)), x)
    x = try sketch.node(.fullyConnected(FullyConnectedOp()), x, sketch.constant([7, 5]), sketch.constant([7]))
    x = try sketch.batchNormalization(x, axis: 1)
    sketch.output(x)
    let result = try optimized(sketch)
    #expect(result.summary == ["Conv2D+relu6", "DepthwiseConv2D", "TransposeConv2D", "Mean", "FullyConnected"])
    // A layer without bias got one.
    #expect(result.nodes[1].inputs[2] != nil)
  }

  @Test(arguments: [BinaryOp.Kind.add, .sub, .mul, .div], [false, true])
  func constantsFoldIntoWhatComesBefore(_ kind: BinaryOp.Kind, _ isScalar: Bool) throws {
    var sketch = GraphSketch()
    let x = try sketch.convolution(sketch.input([1, 6, 6, 4]), 6)
    let constant = sketch.constant(isScalar ? [] : [6], in: 0.5...2)
    sketch.output(try sketch.node(.unary(.relu), try sketch.binary(kind, x, constant)))
    #expect(try optimized(sketch).summary == ["Conv2D+relu"])
    // The constant first: a division is another function then.
    var reversed = GraphSketch()
    let y = try reversed.convolution(reversed.input([1, 6, 6, 4]), 6)
    let other = reversed.constant(isScalar ? [] : [6], in: 0.5...2)
    let shifted = try reversed.node(.unary(.softplus), try reversed.binary(kind == .div ? .add : kind, other, y))
    reversed.output(shifted)
    #expect(try optimized(reversed).summary == ["Conv2D", "Softplus"])
  }

  @Test func whatOthersSeeIsLeftAlone() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolution(sketch.input([1, 6, 6, 4]), 6)
    sketch.output(x, name: "plain")
    sketch.output(try sketch.binary(.mul, x, sketch.constant([6])), name: "scaled")
    #expect(try optimized(sketch).summary == ["Conv2D", "mul"])
    // An activation in between.
    var other = GraphSketch()
    let y = try other.node(.unary(.relu), try other.convolution(other.input([1, 6, 6, 4]), 6))
    other.output(try other.binary(.add, y, other.constant([6])))
    #expect(try optimized(other).summary == ["Conv2D+relu", "add"])
    // A constant that depends on the place.
    var third = GraphSketch()
    let z = try third.convolution(third.input([1, 6, 6, 4]), 6)
    third.output(try third.binary(.add, z, third.constant([6, 1])))
    #expect(try optimized(third).summary == ["Conv2D", "add"])
  }

  @Test func offsetsDoNotFoldAcrossPadding() throws {
    for (padding, expected) in [(0, ["Conv2D"]), (1, ["DepthwiseConv2D", "Conv2D"])] {
      var sketch = GraphSketch()
      let x = try sketch.batchNormalization(sketch.input([1, 6, 6, 4]), axis: 3)
      sketch.output(try sketch.convolution(x, 6, padding: padding))
      #expect(try optimized(sketch).summary == expected)
    }
    // A factor alone does: zero stays zero.
    var sketch = GraphSketch()
    let x = try sketch.binary(.div, sketch.input([1, 6, 6, 4]), sketch.constant(255))
    sketch.output(try sketch.convolution(x, 6, padding: 1))
    #expect(try optimized(sketch).summary == ["Conv2D"])
  }

  @Test func normalizationsFoldIntoDenseLayersBehind() throws {
    var sketch = GraphSketch()
    let x = try sketch.batchNormalization(sketch.input([1, 9]), axis: 1)
    sketch.output(try sketch.node(.fullyConnected(FullyConnectedOp()), x, sketch.constant([4, 9]), nil))
    #expect(try optimized(sketch).summary == ["FullyConnected"])
  }

  /// Weights with one scale per output would lose the small columns.
  @Test func unevenFactorsDoNotFoldForward() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3])
    let factors = sketch.constant(FloatTensor(shape: [3], values: [1, 100, 0.01]))
    let scaled = try sketch.binary(.mul, x, factors)
    sketch.output(try sketch.node(.fullyConnected(FullyConnectedOp()), scaled, sketch.constant([4, 3]), nil))
    #expect(try optimized(sketch).summary == ["mul", "FullyConnected"])
  }

  @Test(arguments: [[1, 5, 6, 4], [2, 4], [1, 7, 4], [1, 2, 3, 2, 4]])
  func normalizationsAloneAreDepthwise(_ shape: [Int]) throws {
    var sketch = GraphSketch()
    let x = try sketch.node(.unary(.tanh), sketch.input(shape))
    sketch.output(try sketch.node(.unary(.relu), try sketch.batchNormalization(x, axis: shape.count - 1)))
    let result = try optimized(sketch)
    #expect(result.summary.filter { $0 != "Reshape" } == ["Tanh", "DepthwiseConv2D+relu"])
  }

  @Test func rowsOfFactorsAndOffsetsAreOneDepthwise() throws {
    var sketch = GraphSketch()
    var x = try sketch.node(.unary(.tanh), sketch.input([1, 4, 4, 3]))
    x = try sketch.binary(.mul, x, sketch.constant([3]))
    x = try sketch.binary(.sub, sketch.constant([3]), x)
    x = try sketch.binary(.div, x, sketch.constant([3], in: 0.5...2))
    sketch.output(try sketch.node(.unary(.clip(min: -0.5, max: 0.25)), x))
    let result = try optimized(sketch)
    #expect(result.summary == ["Tanh", "DepthwiseConv2D+clip(-0.5,0.25)"])
    // One alone stays what it is.
    var single = GraphSketch()
    single.output(try single.binary(.mul, single.input([1, 4, 4, 3]), single.constant([3])))
    #expect(try optimized(single).summary == ["mul"])
  }

  @Test func factorsThatAreNotFiniteStay() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolution(sketch.input([1, 4, 4, 3]), 2)
    sketch.output(try sketch.binary(.div, x, sketch.constant(0)))
    #expect(try sketch.graph.optimized().summary == ["Conv2D", "div"])
  }

  /// Hybrid weights are folded in real units.
  @Test func integerWeightsFold() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3])
    let weights = sketch.graph.add(
      GraphTensor(
        shape: [2, 3], type: .int8, data: .int8([1, -2, 3, 100, 50, -128]),
        quantization: TensorQuantization(scales: [0.5, 0.25], axis: 0)))
    let y = try sketch.node(.fullyConnected(FullyConnectedOp()), x, weights, nil)
    sketch.output(try sketch.binary(.add, try sketch.binary(.mul, y, sketch.constant([2])), sketch.constant([2])))
    #expect(try optimized(sketch).summary == ["FullyConnected"])
  }
}
