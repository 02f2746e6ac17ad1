import Foundation
import Testing

@testable import QModel

/// What the importer makes of whole models, good and bad.
@Suite struct ONNXImporterTests {
  @Test func theSmallModelComputesWhatItSays() throws {
    let x: [Float] = [1, -2, 3, 4, -5, 6]
    let result = try evaluated(.small, [x])
    // Each column of 3 through [1 2 3] with one row of padding, as ONNX defines it, by hand.
    var expected = [Float](repeating: 0, count: 2)
    for channel in 0..<2 {
      let weights: [Float] = channel == 0 ? [1, 2, 3] : [-1, -2, -3]
      let bias: Float = channel == 0 ? 1 : -2
      for row in 0..<3 {
        for column in 0..<2 {
          var sum = bias
          for tap in 0..<3 where (0..<3).contains(row + tap - 1) {
            sum += weights[tap] * x[(row + tap - 1) * 2 + column]
          }
          let activated = sum < 0 ? sum * 0.25 : sum
          let position = channel * 6 + row * 2 + column
          for output in 0..<2 { expected[output] += activated * Float(output * 12 + position) / 8 }
        }
      }
    }
    #expect(result[0].shape == [1, 2])
    #expect(zip(result[0].values, expected).allSatisfy { abs($0 - $1) < 1e-4 }, "\(result) \(expected)")
  }

  @Test func layoutsAreExplicit() throws {
    let graph = try ONNXImporter.graph(from: ONNXModelWriter.small.bytes, name: "file")
    #expect(graph.name == "test")
    #expect(
      graph.nodes.map(\.name) == [
        "node_c/nhwc", "node_c", "node_c/nchw", "node_r", "node_flat", "node_y",
      ])
    let convolution = graph.nodes[1]
    let result = graph.tensors[convolution.outputs[0]]
    #expect(result.name == "c" && result.shape == [1, 3, 2, 2] && result.sourceLayout == [0, 3, 1, 2])
    let weights = try #require(convolution.inputs[1])
    #expect(graph.tensors[weights].shape == [2, 3, 1, 1] && graph.tensors[weights].name == "w")
    #expect(graph.tensors[graph.inputs[0]].batchAxis == 0 && graph.tensors[graph.outputs[0]].batchAxis == 0)
    #expect(graph.tensors[graph.outputs[0]].name == "y")
  }

  // MARK: Damage

  @Test(arguments: [ONNXModelWriter.small, .recurrent])
  func everyPrefixIsRefused(model: ONNXModelWriter) {
    let bytes = model.bytes
    for count in 0..<bytes.count {
      #expect(throws: ModelError.self, "the first \(count) of \(bytes.count) bytes") {
        try ONNXImporter.graph(from: [UInt8](bytes[..<count]), name: "test")
      }
    }
  }

  @Test(arguments: [ONNXModelWriter.small, .recurrent])
  func everyFlippedBitImportsOrThrows(model: ONNXModelWriter) {
    let isFull = ProcessInfo.processInfo.environment["QK_FULL_TESTS"] == "1"
    var bytes = model.bytes
    var imported = 0
    for index in bytes.indices {
      for bit in isFull ? [0, 1, 2, 3, 4, 5, 6, 7] : [index % 8, (index + 3) % 8, 7] {
        bytes[index] ^= 1 << bit
        if (try? ONNXImporter.graph(from: bytes, name: "test")) != nil { imported += 1 }
        bytes[index] ^= 1 << bit
      }
    }
    // Flips in weights and unused names leave a model, so something must have been imported.
    #expect(imported > 0)
  }

  /// Bytes that are no damage of anything.
  @Test func noiseIsRefused() {
    var generator = SplitMix64(seed: 7)
    for length in 0..<400 {
      let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      #expect(throws: ModelError.self, "seed 7, length \(length)") {
        try ONNXImporter.graph(from: bytes, name: "noise")
      }
    }
  }

  // MARK: Structure

  private func graph(
    _ nodes: [ONNXNodeWriter], outputs: [String] = ["y"], initializers: [ONNXTensorWriter] = []
  ) -> ONNXModelWriter {
    ONNXModelWriter(
      nodes: nodes, inputs: [ONNXValueWriter("x", [1, 2])], outputs: outputs.map { ONNXValueWriter($0, nil) },
      initializers: initializers)
  }

  @Test func nodesMayStandInAnyOrder() throws {
    let model = graph([
      ONNXNodeWriter("Neg", ["b"], ["y"]), ONNXNodeWriter("Relu", ["a"], ["b"]), ONNXNodeWriter("Abs", ["x"], ["a"]),
    ])
    #expect(try evaluated(model, [[-3, 2]])[0].values == [-3, -2])
  }

  @Test func aCycleIsNamed() {
    let model = graph([
      ONNXNodeWriter("Add", ["x", "b"], ["a"]), ONNXNodeWriter("Relu", ["a"], ["b"]),
      ONNXNodeWriter("Neg", ["a"], ["y"]),
    ])
    let found = problems(model)
    #expect(
      found.count == 1 && found[0].contains("cycle") && found[0].contains("node_a") && found[0].contains("node_b"))
    #expect(!problems(graph([ONNXNodeWriter("Relu", ["y"], ["y"])])).isEmpty)
  }

  @Test func aLongChainDoesNotRecurse() throws {
    let count = 20_000
    let nodes = (0..<count).map {
      ONNXNodeWriter("Relu", [$0 == count - 1 ? "x" : "t\($0 + 1)"], [$0 == 0 ? "y" : "t\($0)"])
    }
    let imported = try ONNXImporter.graph(from: graph(nodes).bytes, name: "test")
    #expect(imported.nodes.count == count)
  }

  @Test func namesMustBeDefinedOnce() {
    let relu = ONNXNodeWriter("Relu", ["x"], ["y"])
    let weights = ONNXTensorWriter("w", [1], [1])
    let bad: [(ONNXModelWriter, String)] = [
      (graph([ONNXNodeWriter("Relu", ["gone"], ["y"])]), "\"gone\""),
      (graph([relu], outputs: ["gone"]), "\"gone\""),
      (graph([relu, ONNXNodeWriter("Neg", ["x"], ["y"], name: "second")]), "second"),
      (graph([relu, ONNXNodeWriter("Neg", ["x"], ["x"], name: "second")]), "second"),
      (graph([ONNXNodeWriter("Neg", ["x"], ["w"], name: "first"), relu], initializers: [weights]), "first"),
      (graph([relu], initializers: [weights, weights]), "\"w\""),
      (graph([relu], outputs: []), "no outputs"),
      (graph([relu], outputs: ["y", "y"]), "\"y\""),
    ]
    for (model, text) in bad {
      let found = problems(model)
      #expect(found.count == 1 && found[0].contains(text), "\(found) lacks \(text)")
    }
    var twice = graph([relu])
    twice.inputs.append(twice.inputs[0])
    #expect(problems(twice).first?.contains("\"x\"") == true)
  }

  @Test func nodesThatNoOutputNeedsAreLeftOut() throws {
    let model = graph([ONNXNodeWriter("Relu", ["x"], ["y"]), ONNXNodeWriter("NoSuchOperator", ["x"], ["z"])])
    #expect(try evaluated(model, [[-1, 2]])[0].values == [0, 2])
  }

  @Test func allThatIsUnsupportedIsListed() throws {
    var model = graph([
      ONNXNodeWriter("Hardmax", ["x"], ["a"], name: "first"),
      ONNXNodeWriter("Relu", ["a"], ["b"]),
      ONNXNodeWriter("Hardmax", ["b"], ["c"], name: "second"),
      ONNXNodeWriter("FusedConv", ["c"], ["d"], name: "third", domain: "com.microsoft"),
      ONNXNodeWriter("Relu", ["x"], ["e"], [("strange", .int(1))], name: "fourth"),
      ONNXNodeWriter("Concat", ["x", "x"], ["f"], name: "fifth"),
      ONNXNodeWriter("Gemm", ["x", "w"], ["g"], name: "sixth"),
      ONNXNodeWriter("Sum", ["d", "e", "f", "g"], ["y"]),
    ])
    model.initializers = [ONNXTensorWriter("w", [2, 2], type: 6, .int32s([1, 2, 3, 4]))]
    let found = problems(model)
    let expected = [
      ["Hardmax", "first", "second"], ["com.microsoft.FusedConv", "third"], ["fourth", "strange"], ["fifth", "axis"],
      ["sixth", "int32"],
    ]
    #expect(found.count == expected.count, "\(found)")
    for texts in expected {
      #expect(found.contains { problem in texts.allSatisfy { problem.contains($0) } }, "\(texts) is not in \(found)")
    }
  }

  @Test func signaturesAreChecked() {
    let bad: [(ONNXNodeWriter, String)] = [
      (ONNXNodeWriter("Relu", ["x", "x"], ["y"]), "2 inputs"),
      (ONNXNodeWriter("Relu", [], ["y"]), "0 inputs"),
      (ONNXNodeWriter("Relu", [""], ["y"]), "missing"),
      (ONNXNodeWriter("Relu", ["x"], ["y", "z"]), "2 outputs"),
      (ONNXNodeWriter("LeakyRelu", ["x"], ["y"], [("alpha", .int(1))]), "alpha"),
      (ONNXNodeWriter("LeakyRelu", ["x"], ["y"], [("alpha", .float(.nan))]), "alpha"),
      (ONNXNodeWriter("LeakyRelu", ["x"], ["y"], [("alpha", .float(1)), ("alpha", .float(1))]), "twice"),
      (ONNXNodeWriter("Softmax", ["x"], ["y"], [("axis", .int(2))]), "axis"),
      (ONNXNodeWriter("Transpose", ["x"], ["y"], [("perm", .ints([0, 0]))]), "perm"),
      (ONNXNodeWriter("Transpose", ["x"], ["y"], [("perm", .graph)]), "perm"),
    ]
    for (node, text) in bad {
      let found = problems(graph([node]))
      #expect(found.count == 1 && found[0].contains(text), "\(found) lacks \(text)")
    }
  }

  @Test func theOperatorSetIsChecked() {
    func model(_ opsets: [(String, Int64)], irVersion: Int64? = 8) -> [UInt8] {
      ProtobufWriter.message { message in
        if let irVersion { message.int(1, irVersion) }
        message.message(7) { graph in
          graph.data(1, ONNXNodeWriter("Relu", ["x"], ["y"]).bytes)
          graph.data(11, ONNXValueWriter("x", [1]).bytes)
          graph.data(12, ONNXValueWriter("y", [1]).bytes)
        }
        for (domain, version) in opsets {
          message.message(8) {
            $0.string(1, domain)
            $0.int(2, version)
          }
        }
      }
    }
    let good: [[(String, Int64)]] = [
      [("", 7)], [("", 22)], [("ai.onnx", 13)], [("", 13), ("ai.onnx", 13), ("com.microsoft", 1)],
    ]
    for opsets in good {
      #expect(throws: Never.self) { try ONNXImporter.graph(from: model(opsets), name: "test") }
    }
    let bad: [[(String, Int64)]] = [
      [], [("", 6)], [("", 99)], [("", -1)], [("com.microsoft", 1)], [("", 13), ("ai.onnx", 14)],
    ]
    for opsets in bad {
      #expect(throws: ModelError.self, "\(opsets)") { try ONNXImporter.graph(from: model(opsets), name: "test") }
    }
    #expect(throws: ModelError.self) { try ONNXImporter.graph(from: model([("", 13)], irVersion: nil), name: "test") }
  }

  @Test func operatorsAreOnlyKnownWhereTheyExist() {
    #expect(problems(single("HardSwish", opset: 13, [1, 2])).first?.contains("opset 14") == true)
    #expect(problems(single("HardSwish", opset: 14, [1, 2])).isEmpty)
    // Attributes that became inputs, and the other way round.
    #expect(problems(single("Clip", opset: 11, [1, 2], [("min", .float(0))])).first?.contains("\"min\"") == true)
    #expect(problems(single("Squeeze", opset: 13, [1, 2], [("axes", .ints([0]))])).first?.contains("\"axes\"") == true)
    let axes = ONNXTensorWriter("axes", ints: [0])
    #expect(!problems(single("Squeeze", opset: 12, [1, 2], constants: [axes])).isEmpty)
  }

  // MARK: The batch axis

  private func input(_ shape: [ONNXValueWriter.Dimension]?, type: Int64 = 1) -> ONNXModelWriter {
    ONNXModelWriter(
      nodes: [ONNXNodeWriter("Relu", ["x"], ["y"])], inputs: [ONNXValueWriter("x", shape, elementType: type)],
      outputs: [ONNXValueWriter("y", shape)])
  }

  @Test func aFreeFirstAxisIsTheBatch() throws {
    let shapes: [[ONNXValueWriter.Dimension]] = [["N", 4], [0, 4], [-1, 4], [.unknown, 4]]
    for shape in shapes {
      let graph = try ONNXImporter.graph(from: input(shape).bytes, name: "test")
      for id in [graph.inputs[0], graph.outputs[0]] {
        #expect(graph.tensors[id].shape == [1, 4] && graph.tensors[id].batchAxis == 0, "\(shape)")
      }
    }
    let fixed = try ONNXImporter.graph(from: input([1, 4]).bytes, name: "test")
    #expect(fixed.tensors[fixed.inputs[0]].batchAxis == nil && fixed.tensors[fixed.outputs[0]].batchAxis == nil)
    let inner = try ONNXImporter.graph(from: input([3, "N", 4]).bytes, name: "test")
    #expect(inner.tensors[inner.inputs[0]].shape == [3, 1, 4] && inner.tensors[inner.inputs[0]].batchAxis == 1)
  }

  @Test func aSymbolOfTheBatchIsOneEverywhere() throws {
    var model = input(["N", 4])
    model.inputs.append(ONNXValueWriter("h", [2, "N", 4]))
    model.nodes = [ONNXNodeWriter("Add", ["x", "h"], ["y"])]
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
    #expect(graph.inputs.map { graph.tensors[$0].shape } == [[1, 4], [2, 1, 4]])
    #expect(graph.inputs.map { graph.tensors[$0].batchAxis } == [0, 1])
  }

  @Test func otherFreeAxesAreNamed() {
    #expect(problems(input(["N", "length"])).first?.contains("\"length\"") == true)
    #expect(problems(input([2, "a", "b"])).first?.contains("\"a\"") == true)
    #expect(problems(input(["N", 0])).first?.contains("size 0") == true)
    #expect(problems(input(["N", -2])).first?.contains("size -2") == true)
    #expect(problems(input(["N", .unknown])).first?.contains("no size") == true)
    #expect(problems(input(nil)).first?.contains("shape") == true)
    #expect(problems(input([1_048_576, 1_048_576])).first?.contains("too many") == true)
    #expect(problems(input([.size(.max), .size(.max)])).first?.contains("too many") == true)
  }

  @Test func typesOfInputsAreChecked() throws {
    #expect(problems(input([1, 4], type: 8)).first?.contains("string") == true)
    #expect(problems(input([1, 4], type: 7)).first?.contains("int64") == true)
    #expect(problems(input([1, 4], type: 10)).isEmpty)
    var cast = input([1, 4], type: 2)
    cast.nodes = [
      ONNXNodeWriter("Reshape", ["x", "shape"], ["r"]), ONNXNodeWriter("Cast", ["r"], ["f"], [("to", .int(1))]),
      ONNXNodeWriter("Neg", ["f"], ["y"]),
    ]
    cast.initializers = [ONNXTensorWriter("shape", ints: [2, 2])]
    let result = try evaluated(cast, [[0, 1, 128, 255]])[0]
    #expect(result.shape == [2, 2] && result.values == [0, -1, -128, -255])
  }

  // MARK: Bounds

  /// Small files that mean a lot of memory.
  @Test func constantsCannotGrowWithoutBound() {
    func chain(_ opType: String, _ inputs: (String) -> [String], _ attributes: [(String, ONNXNodeWriter.Attribute)])
      -> ONNXModelWriter
    {
      let nodes = (0..<40).map { ONNXNodeWriter(opType, inputs("t\($0)"), ["t\($0 + 1)"], attributes) }
      return graph(
        nodes + [ONNXNodeWriter("Add", ["x", "t40"], ["y"])],
        initializers: [ONNXTensorWriter("t0", [1, 2], [1, 2]), ONNXTensorWriter("twice", ints: [2, 1])])
    }
    let shape = ONNXTensorWriter("shape", ints: [1 << 15, 1 << 14, 2])
    let bad: [ONNXModelWriter] = [
      chain("Concat", { [$0, $0] }, [("axis", .int(0))]),
      chain("Tile", { [$0, "twice"] }, []),
      graph(
        [ONNXNodeWriter("ConstantOfShape", ["shape"], ["c"]), ONNXNodeWriter("Add", ["x", "c"], ["y"])],
        initializers: [shape]),
      graph(
        [ONNXNodeWriter("Expand", ["one", "shape"], ["c"]), ONNXNodeWriter("Add", ["x", "c"], ["y"])],
        initializers: [shape, ONNXTensorWriter("one", [1], [1])]),
      graph(
        [ONNXNodeWriter("Range", ["low", "high", "step"], ["c"]), ONNXNodeWriter("Reshape", ["x", "c"], ["y"])],
        initializers: [
          ONNXTensorWriter("low", shape: [], ints: [0]), ONNXTensorWriter("high", shape: [], ints: [1 << 40]),
          ONNXTensorWriter("step", shape: [], ints: [1]),
        ]),
    ]
    for model in bad {
      let found = problems(model)
      #expect(found.contains { $0.contains("more than a model of this size") }, "\(found)")
    }
  }

  @Test func attributesCannotOverflow() {
    for huge in [Int64.max, .min, 1 << 40, -1, 0] {
      let weights = ONNXTensorWriter("w", [1, 1, 1, 1], [1])
      for name in ["strides", "dilations"] {
        let model = single("Conv", opset: 13, [1, 1, 2, 2], [(name, .ints([huge, huge]))], constants: [weights])
        #expect(!problems(model).isEmpty, "\(name) \(huge)")
      }
      let pool = single("MaxPool", opset: 13, [1, 1, 2, 2], [("kernel_shape", .ints([huge, huge]))])
      #expect(!problems(pool).isEmpty, "kernel \(huge)")
      let group = single("Conv", opset: 13, [1, 1, 2, 2], [("group", .int(huge))], constants: [weights])
      #expect(!problems(group).isEmpty, "group \(huge)")
      if huge != 0 {
        let pads = single("Conv", opset: 13, [1, 1, 2, 2], [("pads", .ints([huge, 0, 0, 0]))], constants: [weights])
        #expect(!problems(pads).isEmpty, "pads \(huge)")
        let around = single("Pad", opset: 10, [1, 2], [("pads", .ints([huge, huge, 0, 0]))])
        #expect(!problems(around).isEmpty, "pad \(huge)")
        let reshape = single("Reshape", opset: 13, [1, 2], constants: [ONNXTensorWriter("s", ints: [huge, huge])])
        #expect(!problems(reshape).isEmpty, "reshape \(huge)")
      }
    }
  }

  @Test func weightsMustBeFinite() {
    for value in [Float.nan, .infinity] {
      let weights = ONNXTensorWriter("w", [2, 2], [1, value, 1, 1])
      #expect(problems(single("Gemm", opset: 13, [1, 2], constants: [weights])).first?.contains("finite") == true)
    }
  }

  // MARK: Storage

  @Test func formsOfStorageDoNotMatter() throws {
    let halves: [Int64] = [0x3C00, 0xC000, 0x3800, 0x4200]
    let forms: [ONNXTensorWriter] = [
      ONNXTensorWriter("w", [2, 2], [1, -2, 0.5, 3]),
      ONNXTensorWriter("w", [2, 2], type: 1, .unpackedFloats([1, -2, 0.5, 3])),
      ONNXTensorWriter("w", [2, 2], type: 10, .int32s(halves)),
      ONNXTensorWriter("w", [2, 2], type: 11, .doubles([1, -2, 0.5, 3])),
    ]
    for form in forms {
      let result = try evaluated("MatMul", opset: 13, [1, 2], [2, 4], [], constants: [form])
      #expect(result.values == [4, 8])
    }
    var node = ONNXNodeWriter("Transpose", ["x"], ["y"], [("perm", .ints([1, 0]))])
    node.isPacked = false
    #expect(try evaluated(graph([node]), [[1, 2]])[0].shape == [2, 1])
  }

  @Test func externalDataIsReadFromTheModelsFolder() throws {
    let folder = try TemporaryFolder()
    let weights: [Float] = [1, -2, 0.5, 3]
    try Data(ONNXTensorWriter.rawBytes([0, 0] + weights.map(\.bitPattern)))
      .write(to: URL(fileURLWithPath: folder.file("weights.bin")))
    let tensor = ONNXTensorWriter(
      "w", [2, 2], type: 1, .external([("location", "weights.bin"), ("offset", "8"), ("length", "16")]))
    let model = single("MatMul", opset: 13, [1, 2], constants: [tensor])
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test", folder: folder.path)
    #expect(graph.tensors.contains { $0.data == .float([1, 0.5, -2, 3]) })
    #expect(problems(model).first?.contains("folder") == true)
  }

  @Test func initializersMayBeInputsAsWell() throws {
    var model = single("MatMul", opset: 13, [1, 2], constants: [ONNXTensorWriter("w", [2, 1], [1, 2])])
    model.inputs.append(ONNXValueWriter("w", [2, 1]))
    #expect(try evaluated(model, [[3, 4]])[0].values == [11])
  }

  // MARK: Outputs

  @Test func outputsMayBeInputsConstantsOrShared() throws {
    let model = graph(
      [
        ONNXNodeWriter("Identity", ["x"], ["same"]), ONNXNodeWriter("Relu", ["x"], ["r"]),
        ONNXNodeWriter("Identity", ["r"], ["r2"]), ONNXNodeWriter("Shape", ["x"], ["s"]),
      ], outputs: ["x", "same", "r", "r2", "w", "s"], initializers: [ONNXTensorWriter("w", [1], [5])])
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
    #expect(Set(graph.outputs).count == 6)
    #expect(graph.outputs.map { graph.tensors[$0].name } == ["x", "same", "r", "r2", "w", "s"])
    let results = try evaluated(model, [[-1, 2]])
    #expect(results.map(\.values) == [[-1, 2], [-1, 2], [0, 2], [0, 2], [5], [1, 2]])
  }

  @Test func theTableOfOperatorsIsSorted() {
    let operators = ONNXImporter.supportedOperators
    #expect(operators.count == ONNXOperator.all.count && operators.count > 80)
    #expect(operators.map(\.name) == operators.map(\.name).sorted())
  }
}

/// A generator with a seed.
private struct SplitMix64 {
  var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
