import Testing

@testable import QModel

struct CleaningTests {
  @Test func deadNodesGo() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 4, 4, 2])
    let unused = sketch.input([3], name: "unused")
    let y = try sketch.convolution(x, 3)
    _ = try sketch.node(.unary(.relu), try sketch.convolution(y, 5))
    sketch.output(y)
    let result = sketch.graph.removingDeadNodes()
    #expect(result.summary == ["Conv2D"])
    #expect(result.inputs == [x, unused])
    // The weights of what went take no memory.
    #expect(result.tensors.filter(\.isConstant).count == 2)
    let compact = result.removingUnusedTensors()
    #expect(compact.tensors.count == 5)
    #expect(compact.inputs.map { compact.tensors[$0].name } == ["input", "unused"])
    #expect(try compact.difference(from: sketch.graph) == 0)
  }

  @Test func constantsAreComputed() throws {
    var sketch = GraphSketch()
    let x = sketch.input([2, 3])
    let a = try sketch.transpose(sketch.constant([3, 2]), [1, 0])
    let b = try sketch.binary(.mul, a, sketch.constant([3]))
    sketch.output(try sketch.binary(.add, x, b))
    let result = sketch.graph.foldingConstants()
    #expect(result.summary == ["add"])
    #expect(try result.difference(from: sketch.graph) == 0)
  }

  /// Nothing is computed that would blow a small file up, and state is no constant.
  @Test func constantFoldingIsBounded() throws {
    var sketch = GraphSketch()
    let big = try sketch.binary(.add, sketch.constant([1 << 13, 1]), sketch.constant([1, 1 << 12]))
    sketch.output(try sketch.node(.mean(ReduceOp(axes: [0, 1], keepDimensions: false)), big))
    #expect(sketch.graph.foldingConstants().summary == ["add", "Mean"])
    var other = GraphSketch()
    let state = other.graph.add(GraphTensor(shape: [2], data: .float([1, 2]), isVariable: true))
    other.output(try other.node(.unary(.relu), state))
    #expect(other.graph.foldingConstants().summary == ["Relu"])
  }

  @Test func duplicatesMerge() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3, 4, 4])
    let a = try sketch.transpose(x, [0, 2, 3, 1])
    let b = try sketch.transpose(x, [0, 2, 3, 1])
    let c = try sketch.transpose(x, [0, 3, 2, 1])
    let sum = try sketch.binary(.add, try sketch.node(.unary(.tanh), a), try sketch.node(.unary(.tanh), b))
    sketch.output(try sketch.binary(.mul, sum, c))
    let result = try sketch.graph.mergingDuplicates()
    #expect(result.summary == ["Transpose", "Transpose", "Tanh", "add", "mul"])
    #expect(try result.difference(from: sketch.graph) == 0)
    // Two outputs of the same value stay two tensors.
    var outputs = GraphSketch()
    let y = outputs.input([3])
    outputs.output(try outputs.node(.unary(.tanh), y), name: "a")
    outputs.output(try outputs.node(.unary(.tanh), y), name: "b")
    #expect(try outputs.graph.optimized().summary == ["Tanh", "Tanh"])
  }

  @Test func identitiesGo() throws {
    var sketch = GraphSketch()
    var x = try sketch.node(.unary(.tanh), sketch.input([1, 4, 4, 2]))
    let shape = [1, 4, 4, 2]
    let zeros = [0, 0, 0, 0]
    let ones = [1, 1, 1, 1]
    let identities: [OpKind] = [
      .reshape(ReshapeOp(shape: shape)), .transpose(TransposeOp(permutation: [0, 1, 2, 3])),
      .slice(SliceOp(starts: zeros, sizes: shape, strides: ones)),
      .pad(PadOp(before: zeros, after: zeros, mode: .constant(3))), .concatenation(ConcatenationOp(axis: 1)),
      .split(SplitOp(axis: 1, sizes: [4])), .unary(.clip(min: -.infinity, max: .infinity)), .maxPool2D(Pool2DOp()),
      .averagePool2D(Pool2DOp()), .mean(ReduceOp(axes: [0], keepDimensions: true)),
      .resize(ResizeOp(mode: .nearest, coordinates: .asymmetric, outputHeight: 4, outputWidth: 4)),
      .resize(ResizeOp(mode: .bilinear, coordinates: .halfPixel, outputHeight: 4, outputWidth: 4)),
    ]
    for op in identities { x = try sketch.nodes(op, [x])[0] }
    x = try sketch.binary(.add, sketch.constant(0), x)
    x = try sketch.binary(.sub, x, sketch.constant(FloatTensor(shape: [2], repeating: 0)))
    x = try sketch.binary(.mul, x, sketch.constant(1))
    x = try sketch.binary(.div, x, sketch.constant(1))
    sketch.output(x)
    let result = try sketch.graph.removingIdentities()
    #expect(result.summary == ["Tanh"])
    #expect(result.tensors[result.outputs[0]].name == "output")
    #expect(try result.difference(from: sketch.graph) == 0)
  }

  @Test func whatOnlyLooksLikeAnIdentityStays() throws {
    var sketch = GraphSketch()
    var x = sketch.input([4])
    x = try sketch.node(.slice(SliceOp(starts: [3], sizes: [4], strides: [-1])), x)
    x = try sketch.binary(.sub, sketch.constant(0), x)
    x = try sketch.binary(.div, sketch.constant(1), x)
    // A neutral element of another shape stretches the tensor.
    x = try sketch.binary(.mul, x, sketch.constant(FloatTensor(shape: [3, 1], repeating: 1)))
    sketch.output(x)
    #expect(try sketch.graph.removingIdentities().summary == sketch.graph.summary)
  }

  @Test func inputsAndOutputsStayTwoTensors() throws {
    var sketch = GraphSketch()
    let x = sketch.input([4])
    sketch.output(try sketch.reshape(x, [4]))
    let result = try sketch.graph.optimized()
    #expect(result.summary == ["Reshape"])
    #expect(result.tensors[result.outputs[0]].name == "output")
  }

  @Test func specialCasesGetTheirNames() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 5, 5, 3])
    var op = Conv2DOp()
    op.groups = 3
    op.strideWidth = 2
    op.padding.top = 1
    op.activation = .relu
    let y = try sketch.node(.conv2D(op), x, sketch.constant([6, 3, 2, 1]), sketch.constant([6]))
    let z = try sketch.node(.batchMatMul(BatchMatMulOp()), y, sketch.constant([1, 6, 4]))
    sketch.output(try sketch.binary(.add, z, sketch.constant([4])))
    let result = try sketch.graph.optimized()
    #expect(result.summary == ["DepthwiseConv2D+relu", "FullyConnected"])
    #expect(try result.difference(from: sketch.graph) < 1e-6)
  }

  @Test func reshapesInARowAreOne() throws {
    var sketch = GraphSketch()
    let x = sketch.input([2, 6])
    let y = try sketch.reshape(try sketch.reshape(x, [3, 4]), [12])
    sketch.output(try sketch.node(.unary(.tanh), try sketch.reshape(y, [2, 6])))
    #expect(try sketch.graph.optimized().summary == ["Tanh"])
  }

  /// What a quantized model computes does not change by a bit.
  @Test func quantizedGraphsKeepTheirNodes() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 3, 4, 4])
    let y = try sketch.node(.unary(.relu), try sketch.convolutionNCHW(x, 2))
    sketch.output(y)
    _ = try sketch.node(.unary(.tanh), y)
    sketch.graph.origin = .quantizedTFLite
    #expect(try sketch.graph.optimized().summary == Array(sketch.graph.summary.dropLast()))
  }

  @Test func rewritersKeepOrderAndFindCircles() throws {
    var sketch = GraphSketch()
    let x = sketch.input([2])
    let a = try sketch.node(.unary(.tanh), x, name: "a")
    let b = try sketch.node(.unary(.logistic), a, name: "b")
    sketch.output(try sketch.node(.unary(.abs), b))
    var rewriter = GraphRewriter(sketch.graph)
    // A node put between a and b is appended, and comes out between them.
    let middle = rewriter.add(GraphTensor(shape: [2]))
    rewriter.replaceUses(of: a, with: middle)
    rewriter.append(Node(name: "new", op: .unary(.relu), inputs: [a], outputs: [middle]))
    #expect(try rewriter.finished().summary == ["Tanh", "Relu", "Logistic", "Abs"])
    #expect(rewriter.hasSoleUse(a) && rewriter.hasSoleUse(middle))
    // A node that needs its own result.
    rewriter.replace(0, with: Node(name: "loop", op: .unary(.tanh), inputs: [b], outputs: [a]))
    #expect(throws: ModelError(.malformed, "node 'loop' depends on its own result")) { try rewriter.finished() }
  }

  /// A chain of a hundred thousand nodes is put in order without a deep stack.
  @Test func deepChainsAreFine() throws {
    var graph = Graph(name: "deep")
    var id = graph.add(GraphTensor(name: "input", shape: [1]))
    graph.inputs = [id]
    for _ in 0..<100_000 {
      let next = graph.add(GraphTensor(shape: [1]))
      graph.nodes.append(Node(name: "n", op: .unary(.tanh), inputs: [id], outputs: [next]))
      id = next
    }
    graph.outputs = [id]
    graph.nodes.reverse()
    let rewriter = GraphRewriter(graph)
    #expect(try rewriter.finished().nodes.map(\.outputs[0]) == Array(1...100_000))
  }
}
