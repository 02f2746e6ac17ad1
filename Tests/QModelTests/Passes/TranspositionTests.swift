import Testing

@testable import QModel

/// What becomes of the transpositions that importers put around spatial ops.
struct TranspositionTests {
  /// Optimizes, and checks that the result computes the same.
  private func optimized(_ sketch: GraphSketch) throws -> Graph {
    let result = try sketch.graph.optimized()
    #expect(try result.difference(from: sketch.graph) < 1e-5)
    return result
  }

  @Test func aChainLosesAll() throws {
    var sketch = GraphSketch()
    var x = sketch.input([1, 3, 8, 8])
    x = try sketch.convolutionNCHW(x, 6)
    x = try sketch.node(.unary(.relu), x, name: "first")
    x = try sketch.convolutionNCHW(x, 4)
    x = try sketch.node(.unary(.logistic), x, name: "second")
    sketch.output(x)
    let result = try optimized(sketch)
    #expect(result.summary == ["Conv2D+relu", "Conv2D", "Logistic"])
    // The borders took the layout; the tensor in between can still be found.
    #expect(result.tensors[result.inputs[0]].shape == [1, 8, 8, 3])
    #expect(result.tensors[result.inputs[0]].sourceLayout == [0, 3, 1, 2])
    #expect(result.tensors[result.outputs[0]].shape == [1, 8, 8, 4])
    #expect(result.tensors[result.outputs[0]].sourceLayout == [0, 3, 1, 2])
    #expect(result.tensors[result.outputs[0]].name == "output")
    let first = try #require(result.tensors.first { $0.name == "first" })
    #expect(first.shape == [1, 8, 8, 6] && first.sourceLayout == [0, 3, 1, 2])
  }

  @Test func aChannelsLastModelLosesItsOwn() throws {
    var sketch = GraphSketch()
    var x = sketch.input([1, 8, 8, 3])
    x = try sketch.transpose(x, [0, 3, 1, 2])
    x = try sketch.convolutionNCHW(x, 6)
    x = try sketch.transpose(x, [0, 2, 3, 1])
    sketch.output(x)
    let result = try optimized(sketch)
    #expect(result.summary == ["Conv2D"])
    #expect(result.tensors[result.inputs[0]].sourceLayout == nil)
    #expect(result.tensors[result.outputs[0]].sourceLayout == nil)
  }

  @Test func residualsConcatenationsAndNormalizationsAreNoObstacle() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 4, 8, 8])
    let a = try sketch.convolutionNCHW(x, 6)
    let b = try sketch.convolutionNCHW(x, 6, kernel: 1)
    let sum = try sketch.binary(.add, a, b)
    let scaled = try sketch.binary(.mul, sum, sketch.constant([6, 1, 1]))
    let normalized = try sketch.batchNormalization(try sketch.node(.unary(.tanh), scaled), axis: 1)
    let joined = try sketch.node(.concatenation(ConcatenationOp(axis: 1)), normalized, a)
    let padded = try sketch.node(
      .pad(PadOp(before: [0, 0, 1, 0], after: [0, 0, 0, 2], mode: .reflect)), joined)
    let parts = try sketch.nodes(.split(SplitOp(axis: 1, sizes: [5, 7])), [padded])
    let cut = try sketch.node(
      .slice(SliceOp(starts: [0, 0, 2, 9], sizes: [1, 5, 3, 4], strides: [1, 1, 1, -2])), parts[0])
    let probabilities = try sketch.node(.softmax(SoftmaxOp(axis: 1)), cut)
    let slope = try sketch.node(.prelu, parts[1], sketch.constant([7, 1, 1]))
    sketch.output(try sketch.convolutionNCHW(probabilities, 2), name: "first")
    sketch.output(try sketch.convolutionNCHW(slope, 2), name: "second")
    let result = try optimized(sketch)
    #expect(!result.summary.contains("Transpose"))
    #expect(!result.summary.contains("Reshape"))
  }

  /// x·sigmoid(x): the transposed tensor has two users.
  @Test func severalUsersAreNoObstacle() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolutionNCHW(sketch.input([1, 3, 6, 6]), 5)
    let gate = try sketch.node(.unary(.hardSigmoid(alpha: 0.3, beta: 0.4)), x)
    sketch.output(try sketch.convolutionNCHW(try sketch.binary(.mul, x, gate), 4))
    #expect(try optimized(sketch).summary == ["Conv2D", "HardSigmoid", "mul", "Conv2D"])
  }

  @Test func squeezeAndExcitation() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolutionNCHW(sketch.input([1, 3, 6, 6]), 8)
    let image = try sketch.transpose(x, [0, 2, 3, 1])
    let mean = try sketch.node(.mean(ReduceOp(axes: [1, 2], keepDimensions: true)), image)
    var gate = try sketch.transpose(mean, [0, 3, 1, 2])
    gate = try sketch.convolutionNCHW(gate, 2, kernel: 1)
    gate = try sketch.node(.unary(.relu), gate)
    gate = try sketch.convolutionNCHW(gate, 8, kernel: 1)
    gate = try sketch.node(.unary(.logistic), gate)
    sketch.output(try sketch.convolutionNCHW(try sketch.binary(.mul, x, gate), 4))
    #expect(try optimized(sketch).summary == ["Conv2D", "Mean", "Conv2D+relu", "Conv2D", "Logistic", "mul", "Conv2D"])
  }

  @Test func meansThatDropAxes() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolutionNCHW(sketch.input([1, 3, 6, 5]), 8)
    sketch.output(try sketch.node(.mean(ReduceOp(axes: [2, 3], keepDimensions: false)), x))
    sketch.output(try sketch.node(.mean(ReduceOp(axes: [1], keepDimensions: false)), x), name: "map")
    let result = try optimized(sketch)
    #expect(result.summary == ["Conv2D", "Mean", "Mean"])
    #expect(
      result.nodes.map(\.op).suffix(2) == [
        .mean(ReduceOp(axes: [1, 2], keepDimensions: false)), .mean(ReduceOp(axes: [3], keepDimensions: false)),
      ])
  }

  /// ShuffleNet: an axis is cut in two and put together in the other order.
  @Test func channelShuffle() throws {
    var sketch = GraphSketch()
    var x = try sketch.convolutionNCHW(sketch.input([1, 3, 4, 5]), 6)
    x = try sketch.reshape(x, [1, 2, 3, 4, 5])
    x = try sketch.transpose(x, [0, 2, 1, 3, 4])
    x = try sketch.reshape(x, [1, 6, 4, 5])
    sketch.output(try sketch.convolutionNCHW(x, 2))
    let result = try optimized(sketch)
    #expect(result.summary == ["Conv2D", "Reshape", "Transpose", "Reshape", "Conv2D"])
    #expect(result.nodes[2].op == .transpose(TransposeOp(permutation: [0, 1, 2, 4, 3])))
  }

  /// A 1-D convolution stands between axes of size 1 and transpositions.
  @Test func oneDimensionalConvolutions() throws {
    var sketch = GraphSketch()
    func convolution(_ x: TensorID, _ outputs: Int) throws -> TensorID {
      let shape = sketch.graph.tensors[x].shape
      let last = try sketch.transpose(x, [0, 2, 1])
      let image = try sketch.reshape(last, [1, 1, shape[2], shape[1]])
      var op = Conv2DOp()
      (op.padding.left, op.padding.right) = (1, 1)
      let result = try sketch.node(
        .conv2D(op), image, sketch.constant([outputs, 1, 3, shape[1]]), sketch.constant([outputs]))
      return try sketch.transpose(try sketch.reshape(result, [1, shape[2], outputs]), [0, 2, 1])
    }
    let x = sketch.input([1, 4, 16])
    let a = try sketch.node(.unary(.relu), try sketch.batchNormalization(try convolution(x, 8), axis: 1))
    let b = try sketch.node(.unary(.relu), try convolution(x, 8))
    let padded = try sketch.node(
      .pad(PadOp(before: [0, 0, 2], after: [0, 0, 0], mode: .constant(0))), try sketch.binary(.add, a, b))
    sketch.output(try convolution(padded, 3))
    let result = try optimized(sketch)
    #expect(result.summary.filter { $0 != "Reshape" } == ["Conv2D+relu", "Conv2D+relu", "add", "Conv2D"])
    #expect(result.summary.filter { $0 == "Reshape" }.count <= 2)
  }

  @Test func transposesOfUnitAxesAreReshapes() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 1, 8, 8])
    sketch.output(try sketch.transpose(x, [0, 2, 3, 1]))
    #expect(try optimized(sketch).summary == ["Reshape"])
    // Batch-first recurrent models with one sample.
    #expect([1, 0, 2].isReshape(of: [1, 28, 28]))
    #expect(![1, 0, 2].isReshape(of: [2, 28, 28]))
    #expect(![0, 3, 1, 2].isReshape(of: [1, 2, 1, 3]))
  }

  @Test func flatteningFoldsIntoTheWeights() throws {
    for batch in [[1, 40], [40]] {
      var sketch = GraphSketch()
      let x = try sketch.convolutionNCHW(sketch.input([1, 3, 4, 5]), 2)
      let flat = try sketch.reshape(x, batch)
      sketch.output(
        try sketch.node(.fullyConnected(FullyConnectedOp()), flat, sketch.constant([7, 40]), sketch.constant([7])))
      #expect(try optimized(sketch).summary == ["Conv2D", "Reshape", "FullyConnected"])
    }
    // Without a reshape, rows are flattened by the layer itself.
    var sketch = GraphSketch()
    let x = try sketch.convolutionNCHW(sketch.input([1, 3, 4, 5]), 2)
    var op = FullyConnectedOp()
    op.keepDimensions = false
    sketch.output(try sketch.node(.fullyConnected(op), x, sketch.constant([7, 40]), nil))
    #expect(!(try optimized(sketch).summary.contains("Transpose")))
  }

  @Test func aDenseLayerBeforeAnImageTakesItsOrder() throws {
    var sketch = GraphSketch()
    var x = sketch.input([1, 10])
    x = try sketch.node(.fullyConnected(FullyConnectedOp()), x, sketch.constant([48, 10]), sketch.constant([48]))
    x = try sketch.node(.unary(.relu), x)
    x = try sketch.reshape(x, [1, 3, 4, 4])
    sketch.output(try sketch.convolutionNCHW(x, 5))
    let result = try optimized(sketch)
    #expect(result.summary == ["FullyConnected+relu", "Reshape", "Conv2D"])
  }

  @Test func matrixTranspositionsFoldIntoProducts() throws {
    var sketch = GraphSketch()
    let a = sketch.input([2, 5, 3], name: "a")
    let b = sketch.input([2, 5, 4], name: "b")
    let product = try sketch.node(.batchMatMul(BatchMatMulOp()), try sketch.transpose(a, [0, 2, 1]), b)
    let sum = try sketch.binary(.add, try sketch.node(.unary(.tanh), a), a)
    sketch.output(product)
    sketch.output(sum, name: "sum")
    let result = try optimized(sketch)
    #expect(result.summary.sorted() == ["BatchMatMul", "Tanh", "add"])
  }

  /// One addition would gain nothing by moving; the region it belongs to does.
  @Test func regionsAreMovedAsAWhole() throws {
    var sketch = GraphSketch()
    let other = sketch.input([1, 6, 8, 8], name: "other")
    let kept = try sketch.node(.unary(.abs), other)
    let x = try sketch.convolutionNCHW(sketch.input([1, 3, 8, 8]), 6)
    var sum = try sketch.binary(.add, try sketch.node(.unary(.tanh), x), kept)
    sum = try sketch.node(.unary(.logistic), sum)
    sketch.output(try sketch.convolutionNCHW(sum, 2))
    let result = try optimized(sketch)
    #expect(!result.summary.contains("Transpose"))
    #expect(result.inputs.allSatisfy { result.tensors[$0].sourceLayout == [0, 3, 1, 2] })
  }

  /// An input that is needed both ways keeps its own.
  @Test func inputsUsedBothWaysStay() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3, 4, 5])
    sketch.output(try sketch.convolutionNCHW(x, 2), name: "map")
    sketch.output(try sketch.node(.fullyConnected(FullyConnectedOp()), x, sketch.constant([2, 5]), nil), name: "rows")
    let result = try optimized(sketch)
    #expect(result.tensors[result.inputs[0]].sourceLayout == nil)
    #expect(result.summary.filter { $0 == "Transpose" }.count == 1)
  }

  @Test func batchAxesFollowTheLayout() throws {
    var sketch = GraphSketch()
    // Axes C, H, W, N in the source.
    let x = sketch.input([3, 4, 5, 1])
    sketch.graph.tensors[x].batchAxis = 3
    let image = try sketch.transpose(x, [3, 1, 2, 0])
    let result = try sketch.transpose(try sketch.convolution(image, 2), [3, 1, 2, 0])
    sketch.output(result)
    sketch.graph.tensors[result].batchAxis = 3
    let graph = try optimized(sketch)
    #expect(graph.summary == ["Conv2D"])
    for id in graph.inputs + graph.outputs {
      #expect(graph.tensors[id].batchAxis == 0)
      #expect(graph.tensors[id].sourceLayout == [3, 1, 2, 0])
    }
  }

  @Test func permutationsComposeAndInvert() {
    for p in [[0, 2, 3, 1], [3, 1, 0, 2]] {
      for q in [[0, 3, 1, 2], [1, 2, 3, 0]] {
        let tensor = FloatTensor(shape: [2, 3, 4, 5], values: (0..<120).map(Float.init))
        let twice = TransposeOp(permutation: q).transpose(TransposeOp(permutation: p).transpose(tensor))
        #expect(TransposeOp(permutation: p.followed(by: q)).transpose(tensor) == twice)
        #expect(p.followed(by: p.inverse).isIdentity)
      }
    }
  }
}
