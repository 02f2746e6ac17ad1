import Testing

@testable import QModel

struct FusionTests {
  private func optimized(_ sketch: GraphSketch) throws -> Graph {
    let result = try sketch.graph.optimized()
    #expect(try result.difference(from: sketch.graph) < 1e-5)
    return result
  }

  // MARK: Activations

  @Test func clampsBecomePartOfTheirOp() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 6, 6, 4])
    let a = try sketch.node(.unary(.relu), try sketch.convolution(x, 4))
    let b = try sketch.node(.unary(.clip(min: -1, max: 1)), try sketch.convolution(x, 4))
    let sum = try sketch.node(.unary(.clip(min: 0, max: 6)), try sketch.binary(.add, a, b))
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (2, 2)
    sketch.output(try sketch.node(.unary(.clip(min: 0.25, max: 0.5)), try sketch.node(.averagePool2D(pool), sum)))
    #expect(
      try optimized(sketch).summary == [
        "Conv2D+relu", "Conv2D+reluN1To1", "add+relu6", "AveragePool2D+clip(0.25,0.5)",
      ])
  }

  @Test func clampsInARowAreOne() throws {
    var sketch = GraphSketch()
    var x = try sketch.convolution(sketch.input([1, 6, 6, 4]), 4)
    for clamp in [UnaryOp.clip(min: -1, max: 5), .relu, .clip(min: 2, max: 9)] {
      x = try sketch.node(.unary(clamp), x)
    }
    sketch.output(x)
    #expect(try optimized(sketch).summary == ["Conv2D+clip(2.0,5.0)"])
    var alone = GraphSketch()
    alone.output(try alone.node(.unary(.relu), try alone.node(.unary(.relu6), alone.input([3]))))
    #expect(try optimized(alone).summary == ["Relu6"])
  }

  @Test func twoClampsEqualTheirSuccession() {
    let clamps: [FusedActivation] = [
      .none, .relu, .relu6, .reluN1To1, .clip(min: -3, max: -2), .clip(min: 4, max: 9), .clip(min: -1, max: 2),
    ]
    for first in clamps {
      for second in clamps {
        for value in stride(from: -5.0, through: 10, by: 0.25) {
          #expect(first.followed(by: second).clamped(value) == second.clamped(first.clamped(value)))
        }
      }
    }
  }

  @Test func clampsPassWhatOnlyChooses() throws {
    var sketch = GraphSketch()
    let x = sketch.input([1, 6, 6, 4])
    let joined = try sketch.node(
      .concatenation(ConcatenationOp(axis: 3)), try sketch.convolution(x, 4), try sketch.convolution(x, 3))
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (2, 2)
    let largest = try sketch.node(.maxPool2D(pool), joined)
    sketch.output(try sketch.node(.unary(.relu), largest))
    #expect(try optimized(sketch).summary == ["Conv2D+relu", "Conv2D+relu", "Concatenation", "MaxPool2D"])
    // Where not everything before can do it, the pool does.
    var other = GraphSketch()
    let y = try other.node(.unary(.tanh), other.input([1, 6, 6, 4]))
    other.output(try other.node(.unary(.relu), try other.node(.maxPool2D(pool), y)))
    #expect(try optimized(other).summary == ["Tanh", "MaxPool2D+relu"])
  }

  @Test func aTensorThatOthersSeeKeepsItsRange() throws {
    var sketch = GraphSketch()
    let x = try sketch.convolution(sketch.input([1, 6, 6, 4]), 4)
    sketch.output(try sketch.node(.unary(.relu), x), name: "clamped")
    sketch.output(try sketch.node(.unary(.tanh), x), name: "bent")
    #expect(try optimized(sketch).summary == ["Conv2D", "Relu", "Tanh"])
  }

  @Test func bilinearResizesKeepTheirClampBehind() throws {
    for (mode, expected) in [
      (ResizeOp.Mode.nearest, ["Conv2D+relu", "Resize"]), (.bilinear, ["Conv2D", "Resize", "Relu"]),
    ] {
      var sketch = GraphSketch()
      let x = try sketch.convolution(sketch.input([1, 4, 4, 2]), 3)
      let resize = ResizeOp(mode: mode, coordinates: .halfPixel, outputHeight: 8, outputWidth: 8)
      sketch.output(try sketch.node(.unary(.relu), try sketch.node(.resize(resize), x)))
      #expect(try optimized(sketch).summary == expected)
    }
  }

  // MARK: Pads

  private func padded(
    _ op: OpKind, weights: [Int]? = nil, filler: Float = 0, before: [Int] = [0, 1, 2, 0], after: [Int] = [0, 2, 1, 0],
    clamped: Bool = false, mode: PadOp.Mode? = nil
  ) throws -> [String] {
    var sketch = GraphSketch()
    var x = try sketch.convolution(sketch.input([1, 6, 6, 4]), 4, kernel: 1, padding: 0)
    if clamped { x = try sketch.node(.unary(.relu), x) }
    x = try sketch.node(.pad(PadOp(before: before, after: after, mode: mode ?? .constant(filler))), x)
    let constant = weights.map { sketch.constant($0) }
    sketch.output(try sketch.nodes(op, [x] + (constant.map { [$0] } ?? []))[0])
    return Array(try optimized(sketch).summary.dropFirst())
  }

  @Test func zerosFoldIntoWindows() throws {
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (3, 3)
    #expect(try padded(.conv2D(Conv2DOp()), weights: [2, 3, 3, 4]) == ["Conv2D"])
    #expect(try padded(.depthwiseConv2D(DepthwiseConv2DOp()), weights: [1, 3, 3, 4]) == ["DepthwiseConv2D"])
    #expect(try padded(.averagePool2D(pool)) == ["AveragePool2D"])
    // A maximum sees the zeros unless nothing is below them.
    #expect(try padded(.maxPool2D(pool)) == ["Pad", "MaxPool2D"])
    #expect(try padded(.maxPool2D(pool), clamped: true) == ["MaxPool2D"])
    #expect(try padded(.maxPool2D(pool), filler: -.infinity) == ["MaxPool2D"])
  }

  @Test func otherPaddingsStay() throws {
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (3, 3)
    let conv = OpKind.conv2D(Conv2DOp())
    #expect(try padded(conv, weights: [2, 3, 3, 4], filler: 1) == ["Pad", "Conv2D"])
    #expect(try padded(conv, weights: [2, 3, 3, 4], mode: .edge) == ["Pad", "Conv2D"])
    #expect(try padded(conv, weights: [2, 3, 3, 5], before: [0, 0, 0, 1], after: [0, 0, 0, 0]) == ["Pad", "Conv2D"])
    // A window of nothing but padding.
    #expect(
      try padded(.maxPool2D(pool), before: [0, 3, 0, 0], after: [0, 0, 0, 0], clamped: true) == ["Pad", "MaxPool2D"])
    // Padding that does not count and padding that does.
    pool.padding = Padding2D(top: 1)
    #expect(try padded(.averagePool2D(pool)) == ["Pad", "AveragePool2D"])
    pool.countIncludePad = true
    #expect(try padded(.averagePool2D(pool)) == ["AveragePool2D"])
  }

  /// Rounding up may count one window less once the padding belongs to the pool.
  @Test func roundingUpKeepsItsWindows() throws {
    for size in 3...9 {
      var sketch = GraphSketch()
      var pool = Pool2DOp()
      (pool.kernelHeight, pool.kernelWidth, pool.strideHeight, pool.strideWidth, pool.ceilMode) = (2, 2, 3, 3, true)
      let x = try sketch.node(
        .pad(PadOp(before: [0, 0, 0, 0], after: [0, 1, 1, 0], mode: .constant(0))), sketch.input([1, size, size, 2]))
      sketch.output(try sketch.node(.averagePool2D(pool), x))
      _ = try optimized(sketch)
    }
  }

  // MARK: Functions

  /// Ways in which exporters write one function.
  static let forms: [(UnaryOp, @Sendable (inout GraphSketch, TensorID) throws -> TensorID)] = [
    (.silu, { s, x in try s.binary(.mul, x, s.node(.unary(.logistic), x)) }),
    (.silu, { s, x in try s.binary(.mul, s.node(.unary(.logistic), x), x) }),
    (
      .silu,
      { s, x in
        let e = try s.node(.unary(.exp), s.node(.unary(.neg), x))
        return try s.binary(.mul, x, s.node(.unary(.reciprocal), s.binary(.add, e, s.constant(1))))
      }
    ),
    (
      .hardSwish,
      { s, x in
        let six = try s.node(.unary(.relu6), s.binary(.add, x, s.constant(3)))
        return try s.binary(.div, s.binary(.mul, x, six), s.constant(6))
      }
    ),
    (
      .hardSwish,
      { s, x in
        let six = try s.node(.unary(.clip(min: 0, max: 6)), s.binary(.add, s.constant(3), x))
        return try s.binary(.mul, x, s.binary(.mul, six, s.constant(1 / 6)))
      }
    ),
    (.hardSwish, { s, x in try s.binary(.mul, s.node(.unary(.hardSigmoid(alpha: 1 / 6, beta: 0.5)), x), x) }),
    (
      .hardSigmoid(alpha: 1 / 6, beta: 0.5),
      { s, x in try s.binary(.div, s.node(.unary(.relu6), s.binary(.add, x, s.constant(3))), s.constant(6)) }
    ),
    (
      .gelu(approximate: false),
      { s, x in
        let e = try s.node(.unary(.erf), s.binary(.div, x, s.constant(1.4142135)))
        let half = try s.binary(.mul, x, s.binary(.add, e, s.constant(1)))
        return try s.binary(.mul, half, s.constant(0.5))
      }
    ),
    (
      .gelu(approximate: false),
      { s, x in
        let e = try s.node(.unary(.erf), s.binary(.mul, x, s.constant(0.70710677)))
        let sum = try s.binary(.mul, s.binary(.add, e, s.constant(1)), s.constant(0.5))
        return try s.binary(.mul, x, sum)
      }
    ),
    (
      .gelu(approximate: true),
      { s, x in
        let cube = try s.binary(.mul, s.binary(.mul, x, x), x)
        let inner = try s.binary(.add, x, s.binary(.mul, cube, s.constant(0.044715)))
        let t = try s.node(.unary(.tanh), s.binary(.mul, inner, s.constant(0.7978846)))
        return try s.binary(.mul, s.binary(.mul, s.constant(0.5), x), s.binary(.add, t, s.constant(1)))
      }
    ),
    (.mish, { s, x in try s.binary(.mul, x, s.node(.unary(.tanh), s.node(.unary(.softplus), x))) }),
    (.relu, { s, x in try s.binary(.maximum, x, s.constant(0)) }),
    (.clip(min: -2, max: 3), { s, x in try s.binary(.minimum, s.binary(.maximum, s.constant(-2), x), s.constant(3)) }),
    (.clip(min: -.infinity, max: 3), { s, x in try s.binary(.minimum, x, s.constant(3)) }),
    (.leakyRelu(alpha: 0.25), { s, x in try s.binary(.maximum, x, s.binary(.mul, x, s.constant(0.25))) }),
    (.square, { s, x in try s.binary(.mul, x, x) }),
    (
      .softsign,
      { s, x in
        try s.binary(.mul, x, s.node(.unary(.reciprocal), s.binary(.add, s.node(.unary(.abs), x), s.constant(1))))
      }
    ),
  ]

  @Test(arguments: forms.indices) func expressionsAreRecognized(_ index: Int) throws {
    let (expected, build) = Self.forms[index]
    var sketch = GraphSketch()
    // Not directly on the input, and with a constant of another shape beside it.
    let x = try sketch.binary(.add, sketch.input([2, 5]), sketch.constant([2, 5]))
    sketch.output(try build(&sketch, x))
    let result = try sketch.graph.recognizingFunctions().removingDeadNodes()
    try #require(result.nodes.count == 2, "\(result.summary)")
    guard case .unary(let found) = result.nodes[1].op else {
      Issue.record("\(result.summary)")
      return
    }
    #expect(found.functionName == expected.functionName)
    for point in stride(from: -8.0, through: 8, by: 0.125) {
      #expect((found.value(at: point) - expected.value(at: point)).magnitude < 1e-5)
    }
    #expect(try result.difference(from: sketch.graph) < 1e-5)
  }

  @Test func whatIsAlmostAFunctionStays() throws {
    var sketch = GraphSketch()
    let x = sketch.input([2, 5])
    // x·sigmoid(1.1 x), and a gate that is not x's.
    let steeper = try sketch.node(.unary(.logistic), try sketch.binary(.mul, x, sketch.constant(1.1)))
    sketch.output(try sketch.binary(.mul, x, steeper), name: "steeper")
    let other = sketch.input([2, 5], name: "other")
    sketch.output(try sketch.binary(.mul, x, try sketch.node(.unary(.logistic), other)), name: "gated")
    // A factor per column.
    sketch.output(
      try sketch.binary(.maximum, x, try sketch.binary(.mul, x, sketch.constant([5], in: 0.1...0.3))), name: "columns")
    #expect(try sketch.graph.recognizingFunctions().summary == sketch.graph.summary)
  }
}
