import Testing

@testable import QModel

/// A layer's patches times its weights must be what the op computes.
@Suite struct LinearLayerTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var build: @Sendable (inout GraphSketch) throws -> TensorID
  }

  static let cases = [
    Case(testDescription: "dense") { sketch in
      let input = sketch.input([3, 5])
      return try sketch.node(.fullyConnected(FullyConnectedOp()), input, sketch.constant([4, 5]), sketch.constant([4]))
    },
    Case(testDescription: "convolution, stride, dilation, padding") { sketch in
      let input = sketch.input([2, 7, 8, 3])
      var op = Conv2DOp()
      (op.strideHeight, op.strideWidth, op.dilationHeight, op.dilationWidth) = (2, 1, 1, 2)
      op.padding = Padding2D(top: 1, left: 2, bottom: 0, right: 1)
      return try sketch.node(.conv2D(op), input, sketch.constant([5, 3, 2, 3]), sketch.constant([5]))
    },
    Case(testDescription: "grouped convolution") { sketch in
      let input = sketch.input([1, 5, 5, 6])
      var op = Conv2DOp()
      op.groups = 3
      return try sketch.node(.conv2D(op), input, sketch.constant([6, 3, 3, 2]), sketch.constant([6]))
    },
    Case(testDescription: "depthwise with multiplier") { sketch in
      let input = sketch.input([1, 6, 5, 3])
      var op = DepthwiseConv2DOp()
      (op.depthMultiplier, op.strideWidth) = (2, 2)
      op.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
      return try sketch.node(.depthwiseConv2D(op), input, sketch.constant([1, 3, 3, 6]), sketch.constant([6]))
    },
    Case(testDescription: "transposed convolution") { sketch in
      let input = sketch.input([1, 4, 3, 4])
      var op = TransposeConv2DOp()
      (op.strideHeight, op.strideWidth, op.dilationWidth, op.groups) = (2, 3, 2, 2)
      (op.outputHeight, op.outputWidth) = (8, 11)
      op.padding = Padding2D(top: 1, left: 1)
      return try sketch.node(.transposeConv2D(op), input, sketch.constant([6, 3, 3, 2]), sketch.constant([6]))
    },
  ]

  @Test(arguments: cases) func patchesTimesWeights(_ testCase: Case) throws {
    var sketch = GraphSketch(seed: 31)
    sketch.output(try testCase.build(&sketch))
    let graph = sketch.graph
    let layer = try #require(try LinearLayer(graph.nodes[0], index: 0, in: graph))
    var random = TensorGenerator(seed: 32)
    let input = random.tensor(layer.inputShape)
    var evaluator = try ReferenceEvaluator(graph)
    let expected = try evaluator.run([input])[0].values.map(Double.init)
    let weights = try #require(graph.tensors[layer.weights].floatValues()).values
    let bias = try #require(layer.bias.flatMap { graph.tensors[$0].floatValues() }).values
    // Whole steps of scale 1/1024 stand for the values; errors carry the rest in quarters.
    let scale: Float = 1 / 1024
    let rounded = FloatTensor(shape: input.shape, values: input.values.map { ($0 / scale).rounded() * scale })
    let rows = layer.patches(input, rounded, scale: scale, limit: .max, shift: 0)
    #expect(rows.count == layer.positionCount)
    var output = [Float](repeating: 0, count: expected.count)
    for position in 0..<layer.positionCount {
      for channel in 0..<layer.channelCount {
        let base = rows.start(block: channel / layer.blockChannels, row: position)
        let sum = (0..<layer.depth).reduce(Double(bias[channel])) { sum, k in
          let value = (rows.inputs[base + k] + rows.errors[base + k]) * scale
          return sum + Double(weights[layer.weightIndex(channel: channel, k: k)]) * Double(value)
        }
        output[position * layer.channelCount + channel] = Float(sum)
      }
    }
    #expect(worstDifference(output, expected) < 1e-3)
  }

  @Test func someOfThePositions() throws {
    var sketch = GraphSketch(seed: 33)
    let input = sketch.input([1, 9, 9, 2])
    sketch.output(try sketch.convolution(input, 3))
    let layer = try #require(try LinearLayer(sketch.graph.nodes[0], index: 0, in: sketch.graph))
    let values = FloatTensor(shape: [1, 9, 9, 2], repeating: 1)
    for shift in 0..<5 {
      let rows = layer.patches(values, values, scale: 1, limit: 10, shift: shift)
      #expect(rows.count == 10)
      #expect(rows.errors.allSatisfy { $0 == 0 })
      #expect(rows.inputs.contains(1))
    }
  }

  @Test func weightsMustBeConstant() throws {
    var sketch = GraphSketch()
    let a = sketch.input([2, 3]), b = sketch.input([4, 3], name: "b")
    sketch.output(try sketch.node(.fullyConnected(FullyConnectedOp()), a, b))
    #expect(throws: ModelError.self) { try WeightSchedule(sketch.graph) }
  }
}
