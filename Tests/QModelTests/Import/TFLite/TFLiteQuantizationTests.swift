import Testing

@testable import QModel

/// Malformed quantization is refused with the tensor's name; sound quantization is kept to the bit.
@Suite struct TFLiteQuantizationTests {
  typealias Quantization = TFLiteModelBuilder.Quantization

  private static func problems(_ model: TFLiteModelBuilder) -> [String] {
    do throws(ModelError) {
      _ = try TFLiteImporter.graph(from: model.bytes())
      return []
    } catch {
      return error.problems
    }
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    /// The tensor of ``TFLiteSamples/convolution()`` that is spoilt: 0 input, 1 weights, 2 bias, 3 result.
    var tensor: Int
    var quantization: Quantization?
    /// What the message must say.
    var problem: String
  }

  static let cases = [
    Case(testDescription: "input without", tensor: 0, quantization: nil, problem: "'image' is int8 but has no scale"),
    Case(
      testDescription: "input with scale 0", tensor: 0, quantization: .init(0, -128),
      problem: "'image' has the scale 0.0"),
    Case(
      testDescription: "input with a negative scale", tensor: 0, quantization: .init(-0.5, -128),
      problem: "'image' has the scale -0.5"),
    Case(
      testDescription: "input with scale NaN", tensor: 0, quantization: .init(.nan, -128),
      problem: "'image' has the scale nan"),
    Case(
      testDescription: "input with an infinite scale", tensor: 0, quantization: .init(.infinity, -128),
      problem: "'image' has the scale inf"),
    Case(
      testDescription: "input with a zero point outside of int8", tensor: 0, quantization: .init(0.5, 128),
      problem: "'image' has the zero point 128"),
    Case(
      testDescription: "input with a huge zero point", tensor: 0, quantization: .init(0.5, .max),
      problem: "'image' has the zero point 9223372036854775807"),
    Case(
      testDescription: "input with several scales", tensor: 0, quantization: .init(scales: [0.5, 0.5], axis: 3),
      problem: "'image' has 2 scales, expected 1"),
    Case(
      testDescription: "input without zero point", tensor: 0,
      quantization: .init(scales: [0.5], zeroPoints: []), problem: "'image' has 1 scales and 0 zero points"),
    Case(
      testDescription: "result with scale 0", tensor: 3, quantization: .init(0, 0),
      problem: "'convolved' has the scale 0.0"),
    Case(
      testDescription: "weights without", tensor: 1, quantization: nil, problem: "'kernel' is int8 but has no scale"),
    Case(
      testDescription: "weights with one scale of three 0", tensor: 1,
      quantization: .init(scales: [0.25, 0, 0.125]), problem: "'kernel' has the scale 0.0"),
    Case(
      testDescription: "weights with scales for another axis", tensor: 1,
      quantization: .init(scales: [0.25, 0.5, 0.125], axis: 1),
      problem: "'kernel' has scales per index of axis 1, expected the output channels, axis 0"),
    Case(
      testDescription: "weights with too few scales", tensor: 1, quantization: .init(scales: [0.25, 0.5]),
      problem: "'kernel' of shape [3, 3, 3, 2] has 2 scales for axis 0"),
    Case(
      testDescription: "weights with too few zero points", tensor: 1,
      quantization: .init(scales: [0.25, 0.5, 0.125], zeroPoints: [0, 0]),
      problem: "'kernel' has 3 scales and 2 zero points"),
    Case(
      testDescription: "weights with a zero point", tensor: 1,
      quantization: .init(scales: [0.25, 0.5, 0.125], zeroPoints: [0, 1, 0]),
      problem: "'kernel', have a zero point other than 0"),
    Case(testDescription: "bias without", tensor: 2, quantization: nil, problem: "'bias', has no scale"),
    Case(
      testDescription: "bias with a scale that contradicts", tensor: 2,
      quantization: .init(scales: [0.125, 0.26, 0.0625]),
      problem: "'bias', has the scale 0.26 in channel 1, which contradicts"),
    Case(
      testDescription: "bias with one scale for different channels", tensor: 2, quantization: .init(0.125),
      problem: "'bias', has the scale 0.125 in channel 1, which contradicts"),
    Case(
      testDescription: "bias with too many scales", tensor: 2, quantization: .init(scales: [1, 1, 1, 1]),
      problem: "'bias', has 4 scales for 3 channels"),
    Case(
      testDescription: "bias with a zero point", tensor: 2,
      quantization: .init(scales: [0.125, 0.25, 0.0625], zeroPoints: [0, 0, 3]),
      problem: "'bias', has a zero point other than 0"),
    Case(
      testDescription: "bias with NaN", tensor: 2, quantization: .init(scales: [0.125, .nan, 0.0625]),
      problem: "'bias', has the scale nan"),
  ]

  @Test(arguments: cases)
  func malformedQuantizationIsRefused(_ spoilt: Case) {
    var model = TFLiteSamples.convolution()
    model.tensors[spoilt.tensor].quantization = spoilt.quantization
    let problems = Self.problems(model)
    #expect(problems.contains { $0.hasPrefix("CONV_2D #0: ") && $0.contains(spoilt.problem) }, "\(problems)")
  }

  @Test func biasWithANonsensicalAxisIsAccepted() throws {
    for axis: Int32 in [-1, 3, 77, .min] {
      var model = TFLiteSamples.convolution()
      model.tensors[2].quantization?.axis = axis
      let graph = try TFLiteImporter.graph(from: model.bytes())
      #expect(graph.tensors[2].quantization == TensorQuantization(scales: [0.125, 0.25, 0.0625], axis: 0))
    }
  }

  @Test func soundQuantizationIsKept() throws {
    let graph = try TFLiteImporter.graph(from: TFLiteSamples.convolution().bytes())
    #expect(graph.origin == .quantizedTFLite)
    #expect(graph.tensors[0].quantization == TensorQuantization(scale: 0.5, zeroPoint: -128))
    #expect(graph.tensors[1].quantization == TensorQuantization(scales: [0.25, 0.5, 0.125], axis: 0))
    #expect(graph.tensors[3].quantization == TensorQuantization(scale: 1.5, zeroPoint: -128))
    #expect(graph.tensors[6].quantization == TensorQuantization(scale: 0.00390625, zeroPoint: -128))
    #expect(graph.tensors[1].data == .int8((0..<54).map { Int8(truncatingIfNeeded: $0 * 7 - 90) }))
    #expect(graph.tensors[2].data == .int32([5, -6, 7]))
    #expect(graph.tensors.map(\.name).prefix(3) == ["image", "kernel", "bias"])
    #expect(graph.tensors[3].batchAxis == 0)
    #expect(graph.tensors[1].batchAxis == nil)
  }

  @Test func denseWeightsMayHaveAZeroPointForTheWholeTensorOnly() throws {
    var model = TFLiteModelTests.dense()
    model.tensors[1].quantization = .init(0.25, 7)
    model.tensors[2].quantization = .init(0.125)
    let graph = try TFLiteImporter.graph(from: model.bytes())
    #expect(graph.tensors[1].quantization == TensorQuantization(scale: 0.25, zeroPoint: 7))
    model.tensors[1].quantization = .init(scales: [0.25, 0.25], zeroPoints: [7, 7])
    #expect(
      Self.problems(model) == [
        "FULLY_CONNECTED #0: the weights, tensor 1 'weights', have a zero point other than 0"
      ])
  }

  @Test(arguments: [(TFLiteElementType.int32, true), (.int64, true), (.int16, true), (.int8, false)])
  func int16LayersTakeWideBiases(type: TFLiteElementType, isSound: Bool) throws {
    var model = TFLiteModelTests.dense()
    for index in [0, 3] {
      model.tensors[index].type = .int16
      model.tensors[index].quantization?.zeroPoints = [0]
    }
    model.tensors[2].type = type
    switch type {
    case .int64: model.tensors[2].data = littleEndian([Int64(1) << 40, -5])
    case .int16: model.tensors[2].data = littleEndian([Int16(100), -5])
    case .int8: model.tensors[2].data = [100, 251]
    default: model.tensors[2].data = littleEndian([Int32(100), -5])
    }
    guard isSound else {
      #expect(Self.problems(model).first?.contains("the bias, tensor 2 'bias', is int8") == true)
      return
    }
    let graph = try TFLiteImporter.graph(from: model.bytes())
    let expected: TensorData = type == .int64 ? .int64([1 << 40, -5]) : .int32([100, -5])
    #expect(graph.tensors[2].data == expected)
    #expect(graph.tensors[2].type == (type == .int64 ? .int64 : .int32))
  }

  @Test func int16LayersAreSymmetric() {
    var model = TFLiteModelTests.dense()
    for index in [0, 3] { model.tensors[index].type = .int16 }
    model.tensors[0].quantization?.zeroPoints = [0]
    #expect(
      Self.problems(model) == [
        "FULLY_CONNECTED #0: tensor 3 'output' is int16 and has the zero point 5, expected 0"
      ])
  }

  @Test func int8LayersTakeInt32BiasesOnly() {
    var model = TFLiteModelTests.dense()
    model.tensors[2].type = .int64
    model.tensors[2].data = littleEndian([Int64(1), 2])
    #expect(Self.problems(model).first?.contains("the bias, tensor 2 'bias', is int64") == true)
  }

  @Test func int4WeightsAreUnpacked() throws {
    // All 16 values, twice, in rows of 16: low half first.
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .int8, [1, 16], .init(0.5, 0))
    let packed: [UInt8] = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe]
    let weights = model.tensor("w", .int4, [2, 16], .init(scales: [0.25, 0.5]), data: packed + packed.reversed())
    let output = model.tensor("y", .int8, [1, 2], .init(1, 0))
    model.add(.fullyConnected, [input, weights, -1], [output])
    (model.inputs, model.outputs) = ([input], [output])
    let graph = try TFLiteImporter.graph(from: model.bytes())
    let row: [Int8] = [0, 1, 2, 3, 4, 5, 6, 7, -8, -7, -6, -5, -4, -3, -2, -1]
    let reversed: [Int8] = [-2, -1, -4, -3, -6, -5, -8, -7, 6, 7, 4, 5, 2, 3, 0, 1]
    #expect(graph.tensors[1].data == .int8(row + reversed))
    #expect(graph.tensors[1].type == .int8)
    #expect(graph.tensors[1].quantization == TensorQuantization(scales: [0.25, 0.5], axis: 0))
    #expect(graph.nodes[0].inputs == [0, 1, nil])
  }

  @Test func int4WeightsElsewhereAreUnsupported() {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .int8, [1, 4, 4, 2], .init(0.5, 0))
    let shape = model.tensor("shape", .int32, [4], data: littleEndian([Int32(1), 4, 4, 1]))
    let weights = model.tensor("w", .int4, [1, 1, 1, 2], .init(0.5, 0), data: [0x21])
    let output = model.tensor("y", .int8, [1, 4, 4, 1], .init(1, 0))
    model.add(.transposeConv, [shape, weights, input], [output], [1: .int(Int32(1)), 2: .int(Int32(1))])
    (model.inputs, model.outputs) = ([input], [output])
    #expect(
      Self.problems(model) == [
        "TRANSPOSE_CONV #0: the weights, tensor 2 'w', are int4, supported is int8"
      ])
  }

  // MARK: - The border between floats and integers

  /// x -> QUANTIZE -> RELU -> DEQUANTIZE -> y, in the given outer type.
  private static func bordered(_ outer: TFLiteElementType, zeroPoint: Int64 = 0) -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let external: Quantization? = outer == .uint8 ? .init(0.5, zeroPoint + 128) : nil
    let x = model.tensor("x", outer, [1, 4], external)
    let inner = model.tensor("inner", .int8, [1, 4], .init(0.5, zeroPoint))
    let clamped = model.tensor("clamped", .int8, [1, 4], .init(0.5, zeroPoint))
    let y = model.tensor("y", outer, [1, 4], external)
    model.add(.quantize, [x], [inner])
    model.add(.relu, [inner], [clamped])
    model.add(outer == .uint8 ? .quantize : .dequantize, [clamped], [y])
    (model.inputs, model.outputs) = ([x], [y])
    return model
  }

  @Test(arguments: [TFLiteElementType.float32, .uint8])
  func conversionsAtTheBorderAreRemoved(outer: TFLiteElementType) throws {
    let graph = try TFLiteImporter.graph(from: Self.bordered(outer, zeroPoint: -3).bytes())
    try graph.validate()
    #expect(graph.inputs == [1])
    #expect(graph.outputs == [2])
    #expect(graph.nodes.map(\.op) == [.unary(.relu)])
    #expect(graph.tensors[1].name == "x")
    #expect(graph.tensors[2].name == "y")
    #expect(graph.tensors[1].quantization == TensorQuantization(scale: 0.5, zeroPoint: -3))
  }

  @Test func unsignedBytesOfAnotherScaleAreUnsupported() {
    var model = Self.bordered(.uint8)
    model.tensors[0].quantization = .init(0.25, 128)
    #expect(Self.problems(model).first?.hasPrefix("QUANTIZE #0: tensor 0 'x' is uint8") == true)
  }

  @Test func theSameConversionTwiceIsOneInput() throws {
    var model = Self.bordered(.float32)
    let twin = model.tensor("twin", .int8, [1, 4], .init(0.5, 0))
    let sum = model.tensor("sum", .int8, [1, 4], .init(1, 0))
    model.operators.insert(.init(code: TFLiteBuiltinOperator.quantize.rawValue, inputs: [0], outputs: [twin]), at: 1)
    model.add(.add, [1, twin], [sum])
    model.outputs = [3, sum]
    let graph = try TFLiteImporter.graph(from: model.bytes())
    try graph.validate()
    #expect(graph.inputs == [1])
    #expect(graph.nodes.last?.inputs == [1, 1])
    #expect(graph.outputs == [2, Int(sum)])
  }

  @Test func floatIslandsAreNamed() {
    var model = Self.bordered(.float32)
    let middle = model.tensor("middle", .float32, [1, 4])
    model.operators[2].outputs = [middle]
    model.add(.logistic, [middle], [3])
    let problems = Self.problems(model)
    #expect(problems.count == 2)
    #expect(
      problems.first
        == "DEQUANTIZE #2: tensor 2 'clamped' is dequantized at run time; only a model output or a constant may be")
    #expect(problems.last?.hasPrefix("LOGISTIC #3: tensor 4 'middle' is float32 inside a quantized model") == true)
  }

  /// x -> DEQUANTIZE -> ELU -> QUANTIZE -> y.
  private static func island() -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    let x = model.tensor("x", .int8, [1, 4], .init(0.5, 3))
    let float = model.tensor("float", .float32, [1, 4])
    let result = model.tensor("result", .float32, [1, 4])
    let y = model.tensor("y", .int8, [1, 4], .init(0.25, -4))
    model.add(.dequantize, [x], [float])
    model.add(.elu, [float], [result])
    model.add(.quantize, [result], [y])
    (model.inputs, model.outputs) = ([x], [y])
    return model
  }

  @Test func aFloatFunctionBetweenConversionsBecomesOneNode() throws {
    let graph = try TFLiteImporter.graph(from: Self.island().bytes())
    try graph.validate()
    #expect(graph.nodes.map(\.op) == [.unary(.elu(alpha: 1))])
    #expect((graph.inputs, graph.outputs) == ([0], [3]))
    #expect(graph.nodes[0].inputs == [0])
    #expect(graph.nodes[0].outputs == [3])
    #expect(graph.tensors[3].quantization == TensorQuantization(scale: 0.25, zeroPoint: -4))
  }

  @Test func floatsThatOthersReadStayUnsupported() {
    var model = Self.island()
    let other = model.tensor("other", .int8, [1, 4], .init(0.5, 0))
    model.add(.quantize, [2], [other])
    model.outputs.append(other)
    #expect(Self.problems(model).first?.hasPrefix("DEQUANTIZE #0: tensor 0 'x' is dequantized at run time") == true)
    model = Self.island()
    model.outputs.append(2)
    #expect(Self.problems(model).first?.hasPrefix("DEQUANTIZE #0: tensor 0 'x' is dequantized at run time") == true)
  }

  // MARK: - Constants of float models

  @Test func hybridWeightsBecomeFloat() throws {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, [1, 2])
    let perChannel = model.tensor(
      "w", .int8, [2, 2], .init(scales: [0.5, 0.25], zeroPoints: [0, 1]), data: [2, 254, 5, 1])
    let hidden = model.tensor("h", .float32, [1, 2])
    let unsigned = model.tensor("u", .uint8, [1, 2], .init(0.5, 128), data: [130, 0])
    let half = model.tensor("half", .float16, [1], data: littleEndian([UInt16(0xc200)]))
    let single = model.tensor("single", .float32, [1])
    let output = model.tensor("y", .float32, [1, 1])
    model.add(.fullyConnected, [input, perChannel], [hidden])
    model.add(.dequantize, [half], [single])
    model.add(.fullyConnected, [hidden, unsigned, single], [output])
    (model.inputs, model.outputs) = ([input], [output])
    let graph = try TFLiteImporter.graph(from: model.bytes())
    try graph.validate()
    #expect(graph.origin == .float)
    #expect(graph.tensors[Int(perChannel)].data == .float([1, -1, 1, 0]))
    #expect(graph.tensors[Int(unsigned)].data == .float([1, -64]))
    #expect(graph.tensors[Int(single)].data == .float([-3]))
    #expect(graph.nodes.count == 2)
    #expect(graph.tensors.allSatisfy { $0.quantization == nil })
  }
}
