import Testing

@testable import QModel

/// What each operator becomes, against values worked out another way.
@Suite struct TFLiteOperatorTests {
  typealias Quantization = TFLiteModelBuilder.Quantization

  /// A model with one float input and one operator; `constants` follow the input as operands.
  private static func single(
    _ code: TFLiteBuiltinOperator, input: [Int32], outputs: [[Int32]], constants: [(shape: [Int32], values: [Int32])],
    options: [Int: FlatValue?] = [:], inputPosition: Int = 0
  ) -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, input)
    var operands: [Int32] = []
    for (index, constant) in constants.enumerated() {
      operands.append(model.tensor("c\(index)", .int32, constant.shape, data: littleEndian(constant.values)))
    }
    operands.insert(x, at: inputPosition)
    let results = outputs.enumerated().map { model.tensor("y\($0.offset)", .float32, $0.element) }
    model.add(code, operands, results, options)
    (model.inputs, model.outputs) = ([x], results)
    return model
  }

  /// The graph of a model, checked for soundness.
  private static func graph(_ model: TFLiteModelBuilder) throws -> Graph {
    let graph = try TFLiteImporter.graph(from: model.bytes())
    try graph.validate()
    return graph
  }

  /// Runs a float graph on the values 0, 1, 2, ...
  private static func run(_ model: TFLiteModelBuilder) throws -> [FloatTensor] {
    let graph = try graph(model)
    var evaluator = try ReferenceEvaluator(graph)
    return try evaluator.run(
      graph.inputs.map { input in
        let shape = graph.tensors[input].shape
        return FloatTensor(shape: shape, values: (0..<shape.reduce(1, *)).map { Float($0) })
      })
  }

  // MARK: - Padding

  /// SAME: as many windows as stride steps fit, half of what is missing in front, rounded down. Worked out by counting.
  @Test func windowsOfAllSmallSizesHaveTFLitePadding() throws {
    for size in 1...7 {
      for kernel in 1...4 {
        for stride in 1...3 {
          for dilation in 1...2 {
            let reach = (kernel - 1) * dilation + 1
            var count = 0
            for start in Swift.stride(from: 0, to: size, by: stride) where start < size { count += 1 }
            var missing = 0
            while (count - 1) * stride + reach > size + missing { missing += 1 }
            try checkPadding(
              size: size, kernel: kernel, stride: stride, dilation: dilation, padding: .same, count: count,
              before: missing / 2, after: missing - missing / 2)
            var valid = 0
            while valid * stride + reach <= size { valid += 1 }
            if valid > 0 {
              try checkPadding(
                size: size, kernel: kernel, stride: stride, dilation: dilation, padding: .valid, count: valid,
                before: 0, after: 0)
            }
          }
        }
      }
    }
  }

  private func checkPadding(
    size: Int, kernel: Int, stride: Int, dilation: Int, padding: TFLitePadding, count: Int, before: Int, after: Int
  ) throws {
    // The height varies, the width is the identity.
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [1, Int32(size), 3, 1])
    let w = model.tensor(
      "w", .float32, [1, Int32(kernel), 1, 1], data: littleEndian([UInt32](repeating: 0, count: kernel)))
    let y = model.tensor("y", .float32, [1, Int32(count), 3, 1])
    model.add(
      .conv2D, [x, w], [y],
      [
        0: .int(padding.rawValue), 1: .int(Int32(1)), 2: .int(Int32(stride)), 4: .int(Int32(1)),
        5: .int(Int32(dilation)),
      ])
    (model.inputs, model.outputs) = ([x], [y])
    let graph = try Self.graph(model)
    guard case .conv2D(let conv) = graph.nodes[0].op else {
      Issue.record("not a convolution")
      return
    }
    let description = "size \(size), kernel \(kernel), stride \(stride), dilation \(dilation), \(padding)"
    #expect(conv.padding == Padding2D(top: before, left: 0, bottom: after, right: 0), "\(description)")
    #expect(conv.strideHeight == stride && conv.strideWidth == 1, "\(description)")
    #expect(conv.dilationHeight == dilation && conv.dilationWidth == 1, "\(description)")
  }

  @Test func depthwiseConvolutionsKeepTheirMultiplier() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .int8, [1, 6, 6, 4], .init(0.5, 3))
    let w = model.tensor(
      "w", .int8, [1, 3, 3, 8], .init(scales: (1...8).map { Float($0) }, axis: 3),
      data: [UInt8](repeating: 1, count: 72))
    let y = model.tensor("y", .int8, [1, 4, 4, 8], .init(1, 0))
    model.add(
      .depthwiseConv2D, [x, w], [y],
      [0: .int(Int8(1)), 1: .int(Int32(1)), 2: .int(Int32(1)), 3: .int(Int32(77)), 4: .int(Int8(3))])
    (model.inputs, model.outputs) = ([x], [y])
    let graph = try Self.graph(model)
    var expected = DepthwiseConv2DOp()
    // Not the 77 of the file: runtimes ignore that field, and so must we.
    expected.depthMultiplier = 2
    expected.activation = .relu6
    #expect(graph.nodes.map(\.op) == [.depthwiseConv2D(expected)])
    #expect(graph.tensors[1].quantization?.axis == 3)
  }

  @Test func groupedConvolutionsAreRecognised() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [1, 2, 2, 6])
    let w = model.tensor("w", .float32, [4, 1, 1, 3], data: [UInt8](repeating: 0, count: 48))
    let y = model.tensor("y", .float32, [1, 2, 2, 4])
    model.add(.conv2D, [x, w], [y], [1: .int(Int32(1)), 2: .int(Int32(1))])
    (model.inputs, model.outputs) = ([x], [y])
    guard case .conv2D(let conv) = try Self.graph(model).nodes[0].op else {
      Issue.record("not a convolution")
      return
    }
    #expect(conv.groups == 2)
  }

  /// A transposed convolution is the adjoint of the convolution with the same padding.
  @Test(arguments: [TFLitePadding.same, .valid])
  func transposedConvolutionsAreAdjoint(padding: TFLitePadding) throws {
    // 1-D along the width: 5 -> 3 with kernel 3 and stride 2, or 7 -> 3 without padding.
    let outputWidth = padding == .same ? 5 : 7
    let kernel: [Float] = [1, 10, 100]
    var model = TFLiteModelBuilder()
    let shape = model.tensor("shape", .int32, [4], data: littleEndian([Int32(1), 1, Int32(outputWidth), 1]))
    let x = model.tensor("x", .float32, [1, 1, 3, 1])
    let w = model.tensor("w", .float32, [1, 1, 3, 1], data: littleEndian(kernel.map(\.bitPattern)))
    let y = model.tensor("y", .float32, [1, 1, Int32(outputWidth), 1])
    model.add(
      .transposeConv, [shape, w, x], [y], [0: .int(padding.rawValue), 1: .int(Int32(2)), 2: .int(Int32(1))])
    (model.inputs, model.outputs) = ([x], [y])
    let result = try Self.run(model)[0].values
    var expected = [Float](repeating: 0, count: outputWidth)
    let before = padding == .same ? 1 : 0
    for (position, value) in [Float(0), 1, 2].enumerated() {
      for (tap, weight) in kernel.enumerated() where expected.indices.contains(2 * position - before + tap) {
        expected[2 * position - before + tap] += value * weight
      }
    }
    #expect(result == expected)
  }

  @Test func aShapeThatIsAnInputIsDropped() throws {
    var model = TFLiteModelBuilder()
    let shape = model.tensor("shape", .int32, [4])
    let x = model.tensor("x", .float32, [1, 1, 3, 1])
    let w = model.tensor("w", .float32, [1, 1, 3, 1], data: [UInt8](repeating: 0, count: 12))
    let y = model.tensor("y", .float32, [1, 1, 7, 1])
    model.add(.transposeConv, [shape, w, x], [y], [0: .int(Int8(1)), 1: .int(Int32(2)), 2: .int(Int32(1))])
    (model.inputs, model.outputs) = ([shape, x], [y])
    #expect(try Self.graph(model).inputs == [Int(x)])
  }

  // MARK: - Dense layers

  @Test func denseLayersFlattenTheirInput() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [1, 2, 2, 3])
    let w = model.tensor(
      "w", .float32, [2, 12],
      data: littleEndian((0..<24).map { Float($0 < 12 ? 1 : 0).bitPattern }))
    let y = model.tensor("y", .float32, [1, 2])
    model.add(.fullyConnected, [x, w, -1], [y])
    (model.inputs, model.outputs) = ([x], [y])
    #expect(try Self.run(model)[0].values == [66, 0])
  }

  @Test func denseLayersMayKeepTheirAxes() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [1, 2, 3])
    let w = model.tensor("w", .float32, [1, 3], data: littleEndian([Float(1), 10, 100].map(\.bitPattern)))
    let y = model.tensor("y", .float32, [1, 2, 1])
    model.add(.fullyConnected, [x, w], [y], [2: .bool(true)])
    (model.inputs, model.outputs) = ([x], [y])
    let result = try Self.run(model)[0]
    #expect(result == FloatTensor(shape: [1, 2, 1], values: [210, 543]))
  }

  /// With a constant on the right the product is a dense layer, whichever way the constant lies.
  @Test(arguments: [false, true])
  func productsByAConstantAreDenseLayers(isTransposed: Bool) throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [1, 2, 3])
    let columns: [Float] = isTransposed ? [1, 10, 100, 2, 0, 0] : [1, 2, 10, 0, 100, 0]
    let w = model.tensor(
      "w", .float32, isTransposed ? [1, 2, 3] : [1, 3, 2], data: littleEndian(columns.map(\.bitPattern)))
    let y = model.tensor("y", .float32, [1, 2, 2])
    model.add(.batchMatMul, [x, w], [y], [1: .bool(isTransposed)])
    (model.inputs, model.outputs) = ([x], [y])
    let graph = try Self.graph(model)
    #expect(graph.nodes.count == 1)
    guard case .fullyConnected = graph.nodes[0].op else {
      Issue.record("not a dense layer")
      return
    }
    #expect(try Self.run(model)[0].values == [210, 0, 543, 6])
  }

  @Test func productsOfActivationsStay() throws {
    var model = TFLiteModelBuilder()
    let a = model.tensor("a", .float32, [1, 2, 3])
    let b = model.tensor("b", .float32, [1, 2, 3])
    let y = model.tensor("y", .float32, [1, 2, 2])
    model.add(.batchMatMul, [a, b], [y], [1: .bool(true)])
    let flat = model.tensor("flat", .float32, [2, 3])
    let z = model.tensor("z", .float32, [2, 2])
    model.add(.squeeze, [b], [flat], [0: .ints([Int32(0)])])
    model.add(.fullyConnected, [a, flat], [z])
    (model.inputs, model.outputs) = ([a, b], [y, z])
    let results = try Self.run(model)
    // Rows 0 1 2 and 3 4 5 times themselves.
    #expect(results.map(\.values) == [[5, 14, 14, 50], [5, 14, 14, 50]])
  }

  // MARK: - Reductions and poolings

  @Test func reductionsHaveAscendingAxes() throws {
    let model = Self.single(
      .mean, input: [1, 2, 3, 4], outputs: [[1, 1, 1, 4]], constants: [([2], [-2, 1])], options: [0: .bool(true)])
    #expect(try Self.graph(model).nodes.map(\.op) == [.mean(ReduceOp(axes: [1, 2], keepDimensions: true))])
    #expect(try Self.run(model)[0].values == [10, 11, 12, 13])
  }

  @Test func theMaximumOverTheImageIsAPooling() throws {
    let model = Self.single(.reduceMax, input: [1, 2, 3, 2], outputs: [[1, 2]], constants: [([2], [1, 2])])
    #expect(try Self.run(model)[0] == FloatTensor(shape: [1, 2], values: [10, 11]))
  }

  // MARK: - Moving values

  @Test func slicesAndSplitsAreResolved() throws {
    let slice = Self.single(
      .slice, input: [1, 4, 3], outputs: [[1, 2, 3]], constants: [([3], [0, 1, 0]), ([3], [1, 2, -1])])
    #expect(try Self.run(slice)[0].values == [3, 4, 5, 6, 7, 8])
    let split = Self.single(
      .split, input: [1, 4], outputs: [[1, 2], [1, 2]], constants: [([1], [-1])], options: [0: .int(Int32(2))],
      inputPosition: 1)
    #expect(try Self.run(split).map(\.values) == [[0, 1], [2, 3]])
    let sizes = Self.single(
      .splitV, input: [1, 6], outputs: [[1, 1], [1, 3], [1, 2]], constants: [([3], [1, -1, 2]), ([], [1])],
      options: [0: .int(Int32(3))])
    #expect(try Self.run(sizes).map(\.values) == [[0], [1, 2, 3], [4, 5]])
    let reverse = Self.single(.reverseV2, input: [1, 2, 2], outputs: [[1, 2, 2]], constants: [([1], [1])])
    #expect(try Self.run(reverse)[0].values == [2, 3, 0, 1])
  }

  @Test func packAndUnpackAreInverse() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .float32, [2, 3])
    let parts = (0..<3).map { model.tensor("part\($0)", .float32, [2]) }
    let y = model.tensor("y", .float32, [3, 2])
    model.add(.unpack, [x], parts, [0: .int(Int32(3)), 1: .int(Int32(-1))])
    model.add(.pack, parts, [y], [0: .int(Int32(3)), 1: .int(Int32(0))])
    (model.inputs, model.outputs) = ([x], [y])
    #expect(try Self.run(model)[0] == FloatTensor(shape: [3, 2], values: [0, 3, 1, 4, 2, 5]))
  }

  @Test func transposesAndShapesAreResolved() throws {
    let transpose = Self.single(.transpose, input: [1, 2, 3], outputs: [[3, 1, 2]], constants: [([3], [2, 0, 1])])
    #expect(try Self.run(transpose)[0] == FloatTensor(shape: [3, 1, 2], values: [0, 3, 1, 4, 2, 5]))
    let expand = Self.single(.expandDims, input: [2, 3], outputs: [[2, 3, 1]], constants: [([], [-1])])
    #expect(try Self.run(expand)[0].shape == [2, 3, 1])
    let squeeze = Self.single(.squeeze, input: [1, 3, 1, 2], outputs: [[3, 2]], constants: [])
    #expect(try Self.run(squeeze)[0].shape == [3, 2])
    let reshape = Self.single(
      .reshape, input: [2, 6], outputs: [[3, 2, 2]], constants: [], options: [0: .ints([Int32(3), -1, 2])])
    #expect(try Self.run(reshape)[0].shape == [3, 2, 2])
  }

  @Test func shapeArithmeticIsFolded() throws {
    let graph = try Self.graph(TFLiteSamples.foldedShape())
    #expect(graph.nodes.map(\.op) == [.reshape(ReshapeOp(shape: [1, 6]))])
    #expect(graph.inputs == [0])
    #expect(graph.tensors[0].batchAxis == 0)
  }

  @Test func paddingsAreResolved() throws {
    let pad = Self.single(.pad, input: [1, 2], outputs: [[1, 5]], constants: [([2, 2], [0, 0, 1, 2])])
    #expect(try Self.run(pad)[0].values == [0, 0, 1, 0, 0])
    let mirror = Self.single(
      .mirrorPad, input: [1, 3], outputs: [[1, 7]], constants: [([2, 2], [0, 0, 2, 2])], options: [0: .int(Int8(0))])
    #expect(try Self.run(mirror)[0].values == [2, 1, 0, 1, 2, 1, 0])
    let symmetric = Self.single(
      .mirrorPad, input: [1, 3], outputs: [[1, 7]], constants: [([2, 2], [0, 0, 2, 2])], options: [0: .int(Int8(1))])
    #expect(try Self.run(symmetric)[0].values == [1, 0, 0, 1, 2, 2, 1])
  }

  @Test func paddingValuesHaveTheQuantizationOfTheResult() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .int8, [1, 2], .init(0.25, 10))
    let amounts = model.tensor("amounts", .int32, [2, 2], data: littleEndian([Int32(0), 0, 1, 0]))
    let value = model.tensor("value", .int8, [], .init(0.25, 10), data: [UInt8(bitPattern: -30)])
    let y = model.tensor("y", .int8, [1, 3], .init(0.25, 10))
    model.add(.padV2, [x, amounts, value], [y])
    (model.inputs, model.outputs) = ([x], [y])
    #expect(
      try Self.graph(model).nodes.map(\.op) == [.pad(PadOp(before: [0, 1], after: [0, 0], mode: .constant(-10)))])
    model.tensors[Int(value)].quantization = .init(4, 0)
    #expect(throws: ModelError.self) { try TFLiteImporter.graph(from: model.bytes()) }
  }

  /// Functions whose integer kernels can only produce one range refuse every other one.
  @Test func fixedResultRangesAreChecked() {
    typealias Range = (type: TFLiteElementType, scale: Float, zeroPoint: Int64)
    let cases: [(code: TFLiteBuiltinOperator, input: TFLiteElementType, range: Range)] = [
      (.softmax, .int8, (.int8, 1 / 256, -128)), (.softmax, .int8, (.int16, 1 / 65_535, -32_768)),
      (.softmax, .int16, (.int16, 1 / 32_768, 0)), (.logistic, .int8, (.int8, 1 / 256, -128)),
      (.logistic, .int16, (.int16, 1 / 32_768, 0)), (.tanh, .int8, (.int8, 1 / 128, 0)),
      (.tanh, .int16, (.int16, 1 / 32_768, 0)), (.logSoftmax, .int8, (.int8, 16 / 256, 127)),
    ]
    for (code, input, range) in cases {
      for (scale, zeroPoint, isSound) in [
        (range.scale, range.zeroPoint, true), (range.scale * 2, range.zeroPoint, false),
        (range.scale, range.zeroPoint + (range.zeroPoint > 0 ? -1 : 1), false),
      ] {
        var model = TFLiteModelBuilder()
        let x = model.tensor("x", input, [1, 4], .init(0.001, 0))
        let y = model.tensor("y", range.type, [1, 4], .init(scale, zeroPoint))
        model.add(code, [x], [y], code == .softmax ? [0: .float(1)] : [:])
        (model.inputs, model.outputs) = ([x], [y])
        let isImported = (try? TFLiteImporter.graph(from: model.bytes())) != nil
        #expect(isImported == isSound, "\(code) \(input) to \(scale), \(zeroPoint)")
      }
    }
  }

  @Test func poolingsKeepTheQuantization() {
    for (scale, isSound) in [(Float(0.5), true), (0.25, false)] {
      var model = TFLiteModelBuilder()
      let x = model.tensor("x", .int8, [1, 2, 2, 1], .init(0.5, 3))
      let y = model.tensor("y", .int8, [1, 1, 1, 1], .init(scale, 3))
      model.add(
        .averagePool2D, [x], [y],
        [0: .int(Int8(1)), 1: .int(Int32(1)), 2: .int(Int32(1)), 3: .int(Int32(2)), 4: .int(Int32(2))])
      (model.inputs, model.outputs) = ([x], [y])
      let isImported = (try? TFLiteImporter.graph(from: model.bytes())) != nil
      #expect(isImported == isSound)
    }
  }

  @Test func resizesHaveTheCoordinatesOfTFLite() throws {
    // floor(x * 3 / 5), round half up of x * 2 / 4, floor((x + 0.5) * 3 / 5): the rows that TFLite reads.
    let cases: [(options: [Int: FlatValue?], rows: [Float])] = [
      ([:], (0..<5).map { Float($0 * 3 / 5) }),
      ([0: .bool(true)], (0..<5).map { Float(($0 * 2 * 2 + 4) / 8) }),
      ([1: .bool(true)], (0..<5).map { Float((2 * $0 + 1) * 3 / 10) }),
    ]
    for (options, rows) in cases {
      let model = Self.single(
        .resizeNearestNeighbor, input: [1, 3, 1, 1], outputs: [[1, 5, 1, 1]], constants: [([2], [5, 1])],
        options: options)
      #expect(try Self.run(model)[0].values == rows)
    }
    let both = Self.single(
      .resizeBilinear, input: [1, 3, 1, 1], outputs: [[1, 5, 1, 1]], constants: [([2], [5, 1])],
      options: [2: .bool(true), 3: .bool(true)])
    #expect(throws: ModelError.self) { try TFLiteImporter.graph(from: both.bytes()) }
  }

  // MARK: - Element by element

  @Test func activationsBecomeFunctions() throws {
    let cases: [(TFLiteBuiltinOperator, [Int: FlatValue?], UnaryOp)] = [
      (.relu, [:], .relu), (.relu6, [:], .relu6), (.reluN1To1, [:], .reluN1To1),
      (.relu0To1, [:], .clip(min: 0, max: 1)), (.leakyRelu, [0: .float(0.125)], .leakyRelu(alpha: 0.125)),
      (.elu, [:], .elu(alpha: 1)), (.hardSwish, [:], .hardSwish), (.logistic, [:], .logistic), (.tanh, [:], .tanh),
      (.gelu, [0: .bool(true)], .gelu(approximate: true)), (.gelu, [:], .gelu(approximate: false)),
      (.exp, [:], .exp), (.log, [:], .log), (.sqrt, [:], .sqrt), (.rsqrt, [:], .rsqrt), (.square, [:], .square),
      (.abs, [:], .abs), (.neg, [:], .neg), (.sin, [:], .sin), (.cos, [:], .cos),
    ]
    for (code, options, function) in cases {
      let model = Self.single(code, input: [1, 3], outputs: [[1, 3]], constants: [], options: options)
      #expect(try Self.graph(model).nodes.map(\.op) == [.unary(function)], "\(code)")
    }
  }

  @Test func arithmeticKeepsItsKindAndActivation() throws {
    let cases: [(TFLiteBuiltinOperator, BinaryOp.Kind)] = [
      (.add, .add), (.sub, .sub), (.mul, .mul), (.maximum, .maximum), (.minimum, .minimum),
    ]
    for (code, kind) in cases {
      var model = TFLiteModelBuilder()
      let a = model.tensor("a", .float32, [1, 2, 3])
      let b = model.tensor("b", .float32, [3])
      let y = model.tensor("y", .float32, [1, 2, 3])
      let isArithmetic = code.optionsTag != nil
      model.add(code, [a, b], [y], isArithmetic ? [0: .int(Int8(2))] : [:])
      (model.inputs, model.outputs) = ([a, b], [y])
      var expected = BinaryOp(kind)
      if isArithmetic { expected.activation = .reluN1To1 }
      let graph = try Self.graph(model)
      #expect(graph.nodes.map(\.op) == [.binary(expected)])
      #expect(graph.nodes[0].inputs == [Int(a), Int(b)])
    }
  }

  @Test func softmaxIsAlongTheLastAxis() throws {
    let softmax = Self.single(
      .softmax, input: [1, 2, 3], outputs: [[1, 2, 3]], constants: [], options: [0: .float(0.5)])
    #expect(try Self.graph(softmax).nodes.map(\.op) == [.softmax(SoftmaxOp(axis: 2, beta: 0.5))])
    let log = Self.single(.logSoftmax, input: [1, 3], outputs: [[1, 3]], constants: [])
    #expect(try Self.graph(log).nodes.map(\.op) == [.logSoftmax(SoftmaxOp(axis: 1))])
  }

  @Test func int16IsSupportedWhereTheReferenceIs() {
    let cases: [(TFLiteBuiltinOperator, Bool)] = [(.logistic, true), (.tanh, true), (.elu, false), (.hardSwish, false)]
    for (code, isSupported) in cases {
      var model = TFLiteModelBuilder()
      let x = model.tensor("x", .int16, [1, 4], .init(0.001, 0))
      let y = model.tensor("y", .int16, [1, 4], .init(1 / 32_768, 0))
      model.add(code, [x], [y])
      (model.inputs, model.outputs) = ([x], [y])
      let isImported = (try? TFLiteImporter.graph(from: model.bytes())) != nil
      #expect(isImported == isSupported, "\(code)")
    }
  }

  @Test func integerQuantizeIsARequantization() throws {
    for (from, to) in [
      (TFLiteElementType.int8, TFLiteElementType.int16), (.int16, .int8), (.int8, .int8), (.int32, .int16),
    ] {
      var model = TFLiteModelBuilder()
      let x = model.tensor("x", from, [1, 4], .init(0.5, 0))
      let y = model.tensor("y", to, [1, 4], .init(0.25, 0))
      model.add(.quantize, [x], [y])
      (model.inputs, model.outputs) = ([x], [y])
      let graph = try Self.graph(model)
      #expect(graph.nodes.map(\.op) == [.requantize])
      #expect(graph.tensors[0].type.rawValue == "\(from)")
      #expect(graph.tensors[1].type.rawValue == "\(to)")
    }
  }

  // MARK: - State

  @Test func svdfKeepsItsState() throws {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .int8, [1, 3], .init(0.5, -128))
    let feature = model.tensor("feature", .int8, [4, 3], .init(0.25), data: [UInt8](repeating: 1, count: 12))
    let time = model.tensor("time", .int16, [4, 2], .init(0.125), data: [UInt8](repeating: 1, count: 16))
    let bias = model.tensor("bias", .int32, [2], .init(0.0625), data: littleEndian([Int32(1), 2]))
    let state = model.tensor("state", .int16, [1, 8], .init(0.5), isVariable: true)
    let y = model.tensor("y", .int8, [1, 2], .init(1, -128))
    model.add(.svdf, [x, feature, time, bias, state], [y], [0: .int(Int32(2)), 1: .int(Int8(1))])
    (model.inputs, model.outputs) = ([x], [y])
    let graph = try Self.graph(model)
    #expect(graph.nodes.map(\.op) == [.svdf(SVDFOp(rank: 2, activation: .relu))])
    #expect(graph.nodes[0].inputs == [0, 1, 2, 3, 4])
    #expect(graph.tensors[4].isVariable)
    #expect(graph.tensors[4].type == .int16)
    // The bias belongs to products of state and time weights.
    model.tensors[3].quantization = .init(0.03125)
    #expect(throws: ModelError.self) { try TFLiteImporter.graph(from: model.bytes()) }
    // Nobody else may read the state.
    model.tensors[3].quantization = .init(0.0625)
    let copy = model.tensor("copy", .int16, [1, 8], .init(0.5))
    model.add(.reshape, [state], [copy], [0: .ints([Int32(1), 8])])
    #expect(throws: ModelError.self) { try TFLiteImporter.graph(from: model.bytes()) }
  }
}

/// Strided slices against a walk over the indices, for all small cases.
@Suite struct TFLiteStridedSliceTests {
  private func options(
    begin: Int32 = 0, end: Int32 = 0, ellipsis: Int32 = 0, newAxis: Int32 = 0, shrink: Int32 = 0, offset: Bool = false
  ) -> TFLiteOptions.StridedSlice {
    .init(
      beginMask: begin, endMask: end, ellipsisMask: ellipsis, newAxisMask: newAxis, shrinkAxisMask: shrink,
      endIsOffset: offset)
  }

  /// Python's rule, by trying every index: those from begin (inclusive) towards end (exclusive) that exist.
  private func walk(_ size: Int, _ begin: Int?, _ end: Int?, _ step: Int) -> [Int] {
    func wrapped(_ value: Int) -> Int { value < 0 ? value + size : value }
    var result: [Int] = []
    if step > 0 {
      let start = max(begin.map(wrapped) ?? 0, 0)
      for index in 0..<size where index >= start && (index - start) % step == 0 && index < end.map(wrapped) ?? size {
        result.append(index)
      }
    } else {
      let start = min(begin.map(wrapped) ?? size - 1, size - 1)
      for index in (0..<size).reversed()
      where index <= start && (start - index) % -step == 0 && index > end.map(wrapped) ?? -1 {
        result.append(index)
      }
    }
    return result
  }

  @Test func everySmallSliceIsRight() throws {
    for size in 1...5 {
      for begin in -7...7 {
        for end in -7...7 {
          for step in [-3, -2, -1, 1, 2, 3] {
            for mask in 0..<4 {
              let slice = try TFLiteStridedSlice(
                shape: [size], begin: [begin], end: [end], strides: [step],
                options: options(begin: Int32(mask & 1), end: Int32(mask >> 1)))
              let indices = (0..<slice.sizes[0]).map { slice.starts[0] + $0 * slice.strides[0] }
              let expected = walk(size, mask & 1 == 0 ? begin : nil, mask >> 1 == 0 ? end : nil, step)
              #expect(indices == expected, "\(size)[\(begin):\(end):\(step)], masks \(mask)")
            }
          }
        }
      }
    }
  }

  @Test func masksChangeTheAxes() throws {
    // x[1, ..., new, 0:2] of shape [2, 3, 4, 5].
    let slice = try TFLiteStridedSlice(
      shape: [2, 3, 4, 5], begin: [1, 0, 0, 0], end: [2, 0, 0, 2], strides: [1, 1, 1, 1],
      options: options(ellipsis: 0b0010, newAxis: 0b0100, shrink: 0b0001))
    #expect(slice.starts == [1, 0, 0, 0])
    #expect(slice.sizes == [1, 3, 4, 2])
    #expect(slice.shape == [3, 4, 1, 2])
    // Axes without an entry are taken whole.
    let short = try TFLiteStridedSlice(shape: [4, 3], begin: [-1], end: [0], strides: [-2], options: options())
    #expect(short.starts == [3, 0])
    #expect(short.shape == [2, 3])
    // The end as an offset from the begin.
    let offset = try TFLiteStridedSlice(
      shape: [9], begin: [2], end: [3], strides: [1], options: options(offset: true))
    #expect(offset.starts == [2] && offset.sizes == [3])
  }

  @Test func impossibleSlicesAreRefused() {
    #expect(throws: TFLiteProblem.self) {
      try TFLiteStridedSlice(shape: [4], begin: [0], end: [1], strides: [0], options: options())
    }
    #expect(throws: TFLiteProblem.self) {
      try TFLiteStridedSlice(shape: [4], begin: [4], end: [5], strides: [1], options: options(shrink: 1))
    }
    #expect(throws: TFLiteProblem.self) {
      try TFLiteStridedSlice(shape: [4], begin: [0, 0], end: [1, 1], strides: [1, 1], options: options())
    }
    #expect(throws: TFLiteProblem.self) {
      try TFLiteStridedSlice(
        shape: [4], begin: [.max], end: [.max], strides: [.min], options: options(offset: true))
    }
    #expect(throws: Never.self) {
      try TFLiteStridedSlice(
        shape: [4], begin: [.min], end: [.max], strides: [.max], options: options())
    }
  }
}
