import Foundation
import Testing

@testable import QModel

/// Each operator against its definition, in the operator sets where its signature changed.
@Suite struct ONNXOperatorTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var opType: String
    var opset: Int64
    var shape: [Int64]
    var attributes: [(String, ONNXNodeWriter.Attribute)] = []
    var constants: [ONNXTensorWriter?] = []
    /// Input; 0, 1, 2, ... unless given.
    var input: [Float]?
    var resultShape: [Int]
    var result: [Float]

    var testDescription: String { "\(opType)-\(opset) \(attributes.map(\.0)) \(shape)" }
  }

  private static func ints(_ name: String, _ values: [Int64]) -> ONNXTensorWriter {
    ONNXTensorWriter(name, ints: values)
  }

  private static func scalar(_ name: String, _ value: Float) -> ONNXTensorWriter { ONNXTensorWriter(name, [], [value]) }

  private static let range23: [Float] = [0, 1, 2, 3, 4, 5]

  static let shapeCases: [Case] = [
    Case(
      opType: "Reshape", opset: 7, shape: [2, 3], constants: [ints("s", [0, -1, 1])], resultShape: [2, 3, 1],
      result: range23),
    Case(
      opType: "Reshape", opset: 14, shape: [2, 3], attributes: [("allowzero", .int(0))],
      constants: [ints("s", [1, 0, -1])],
      input: [1, 2, 3, 4, 5, 6], resultShape: [1, 3, 2], result: [1, 2, 3, 4, 5, 6]),
    Case(opType: "Flatten", opset: 9, shape: [1, 2, 3], resultShape: [1, 6], result: range23),
    Case(
      opType: "Flatten", opset: 13, shape: [1, 2, 3], attributes: [("axis", .int(-1))], resultShape: [2, 3],
      result: range23),
    Case(
      opType: "Flatten", opset: 13, shape: [2, 3], attributes: [("axis", .int(0))], resultShape: [1, 6], result: range23
    ),
    Case(
      opType: "Squeeze", opset: 7, shape: [1, 6, 1], attributes: [("axes", .ints([2]))], resultShape: [1, 6],
      result: range23),
    Case(
      opType: "Squeeze", opset: 11, shape: [1, 6, 1], attributes: [("axes", .ints([-1]))], resultShape: [1, 6],
      result: range23),
    Case(
      opType: "Squeeze", opset: 13, shape: [1, 6, 1], constants: [ints("a", [0])], resultShape: [6, 1], result: range23),
    Case(opType: "Squeeze", opset: 13, shape: [1, 6, 1], resultShape: [6], result: range23),
    Case(
      opType: "Unsqueeze", opset: 11, shape: [2, 3], attributes: [("axes", .ints([0, 3]))], resultShape: [1, 2, 3, 1],
      result: range23),
    Case(
      opType: "Unsqueeze", opset: 13, shape: [2, 3], constants: [ints("a", [-1, 1])], resultShape: [2, 1, 3, 1],
      result: range23),
    Case(opType: "Transpose", opset: 7, shape: [2, 3], resultShape: [3, 2], result: [0, 3, 1, 4, 2, 5]),
    Case(
      opType: "Transpose", opset: 13, shape: [1, 2, 3], attributes: [("perm", .ints([2, 0, 1]))],
      resultShape: [3, 1, 2],
      result: [0, 3, 1, 4, 2, 5]),
    Case(
      opType: "Slice", opset: 9, shape: [2, 3], attributes: [("starts", .ints([0, -2])), ("ends", .ints([1, .max]))],
      resultShape: [1, 2], result: [1, 2]),
    Case(
      opType: "Slice", opset: 9, shape: [2, 3],
      attributes: [("axes", .ints([1])), ("starts", .ints([1])), ("ends", .ints([-1]))], resultShape: [2, 1],
      result: [1, 4]),
    Case(
      opType: "Slice", opset: 10, shape: [2, 3],
      constants: [ints("b", [0]), ints("e", [3]), ints("a", [-1]), ints("t", [2])], resultShape: [2, 2],
      result: [0, 2, 3, 5]),
    Case(
      opType: "Slice", opset: 13, shape: [2, 3],
      constants: [ints("b", [-1]), ints("e", [.min]), ints("a", [1]), ints("t", [-1])], resultShape: [2, 3],
      result: [2, 1, 0, 5, 4, 3]),
    Case(
      opType: "Slice", opset: 13, shape: [2, 3], constants: [ints("b", [1]), ints("e", [2])], resultShape: [1, 3],
      result: [3, 4, 5]),
    Case(
      opType: "Pad", opset: 7, shape: [1, 2], attributes: [("pads", .ints([0, 1, 1, 0])), ("value", .float(9))],
      resultShape: [2, 3], result: [9, 0, 1, 9, 9, 9]),
    Case(
      opType: "Pad", opset: 11, shape: [1, 2], constants: [ints("p", [0, 1, 0, 1]), scalar("v", 7)],
      resultShape: [1, 4],
      result: [7, 0, 1, 7]),
    Case(
      opType: "Pad", opset: 13, shape: [1, 3], attributes: [("mode", .string("reflect"))],
      constants: [ints("p", [0, 2, 0, 1])], resultShape: [1, 6], result: [2, 1, 0, 1, 2, 1]),
    Case(
      opType: "Pad", opset: 18, shape: [1, 3], attributes: [("mode", .string("edge"))],
      constants: [ints("p", [1, 2]), nil, ints("a", [-1])], resultShape: [1, 6], result: [0, 0, 1, 2, 2, 2]),
    Case(
      opType: "Pad", opset: 19, shape: [1, 3], attributes: [("mode", .string("wrap"))],
      constants: [ints("p", [0, 1, 0, 2])], resultShape: [1, 6], result: [2, 0, 1, 2, 0, 1]),
    Case(
      opType: "Pad", opset: 13, shape: [2, 3], constants: [ints("p", [-1, 1, 0, -2])], resultShape: [1, 2],
      result: [0, 3]),
    // Channels-first: pixel (0,0) of the four channels becomes the block, and back.
    Case(
      opType: "DepthToSpace", opset: 7, shape: [1, 4, 1, 2], attributes: [("blocksize", .int(2))],
      resultShape: [1, 1, 2, 4], result: [0, 2, 1, 3, 4, 6, 5, 7]),
    Case(
      opType: "DepthToSpace", opset: 13, shape: [1, 8, 1, 1],
      attributes: [("blocksize", .int(2)), ("mode", .string("CRD"))], resultShape: [1, 2, 2, 2],
      result: [0, 1, 2, 3, 4, 5, 6, 7]),
    Case(
      opType: "SpaceToDepth", opset: 7, shape: [1, 1, 2, 4], attributes: [("blocksize", .int(2))],
      input: [0, 2, 1, 3, 4, 6, 5, 7], resultShape: [1, 4, 1, 2], result: [0, 1, 2, 3, 4, 5, 6, 7]),
    Case(
      opType: "Gather", opset: 7, shape: [2, 3], attributes: [("axis", .int(1))],
      constants: [ONNXTensorWriter("i", shape: [], ints: [-1])], resultShape: [2], result: [2, 5]),
    Case(
      opType: "Gather", opset: 13, shape: [2, 3], attributes: [("axis", .int(1))],
      constants: [ONNXTensorWriter("i", shape: [2, 2], ints: [2, 0, 1, 1])], resultShape: [2, 2, 2],
      result: [2, 0, 1, 1, 5, 3, 4, 4]),
    Case(
      opType: "Expand", opset: 8, shape: [2, 1], constants: [ints("s", [1, 2])], resultShape: [2, 2],
      result: [0, 0, 1, 1]),
    Case(
      opType: "Expand", opset: 13, shape: [2, 1], constants: [ints("s", [1, 1, 1])], resultShape: [1, 2, 1],
      result: [0, 1]),
    Case(
      opType: "Tile", opset: 13, shape: [1, 2], constants: [ints("r", [2, 2])], resultShape: [2, 4],
      result: [0, 1, 0, 1, 0, 1, 0, 1]),
    Case(opType: "Identity", opset: 13, shape: [2], resultShape: [2], result: [0, 1]),
    Case(
      opType: "Dropout", opset: 7, shape: [2], attributes: [("ratio", .float(0.9))], resultShape: [2], result: [0, 1]),
    Case(
      opType: "Dropout", opset: 13, shape: [2],
      constants: [scalar("r", 0.9), ONNXTensorWriter("t", [], type: 9, .raw([0]))], resultShape: [2], result: [0, 1]),
    Case(opType: "Cast", opset: 13, shape: [2], attributes: [("to", .int(10))], resultShape: [2], result: [0, 1]),
  ]

  static let elementCases: [Case] = [
    Case(
      opType: "Clip", opset: 7, shape: [3], attributes: [("min", .float(-1)), ("max", .float(0.5))], input: [-2, 0, 2],
      resultShape: [3], result: [-1, 0, 0.5]),
    Case(opType: "Clip", opset: 7, shape: [3], input: [-2, 0, 2], resultShape: [3], result: [-2, 0, 2]),
    Case(
      opType: "Clip", opset: 11, shape: [3], constants: [scalar("l", 0), scalar("h", 6)], input: [-2, 1, 8],
      resultShape: [3], result: [0, 1, 6]),
    Case(
      opType: "Clip", opset: 13, shape: [3], constants: [nil, scalar("h", 1)], input: [-2, 1, 8], resultShape: [3],
      result: [-2, 1, 1]),
    Case(
      opType: "Clip", opset: 13, shape: [3], constants: [scalar("l", 2), scalar("h", 1)], input: [-2, 1, 8],
      resultShape: [3], result: [1, 1, 1]),
    Case(
      opType: "PRelu", opset: 9, shape: [1, 2, 2], constants: [ONNXTensorWriter("s", [2, 1], [0.5, 2])],
      input: [-2, 2, -2, 2], resultShape: [1, 2, 2], result: [-1, 2, -4, 2]),
    Case(opType: "HardSigmoid", opset: 7, shape: [3], input: [-5, 1, 5], resultShape: [3], result: [0, 0.7, 1]),
    Case(
      opType: "ThresholdedRelu", opset: 10, shape: [3], attributes: [("alpha", .float(2))], input: [1, 2, 3],
      resultShape: [3], result: [0, 0, 3]),
    Case(
      opType: "Sub", opset: 7, shape: [2, 2], constants: [ONNXTensorWriter("b", [2], [1, 10])], resultShape: [2, 2],
      result: [-1, -9, 1, -7]),
    Case(
      opType: "Div", opset: 13, shape: [2, 2], constants: [scalar("b", 4)], resultShape: [2, 2],
      result: [0, 0.25, 0.5, 0.75]),
    Case(
      opType: "Max", opset: 8, shape: [3], constants: [scalar("b", 1), ONNXTensorWriter("c", [3], [3, 0, 0])],
      resultShape: [3], result: [3, 1, 2]),
    Case(
      opType: "Mean", opset: 13, shape: [2], constants: [scalar("b", 4), scalar("c", 5)], resultShape: [2],
      result: [3, 10.0 / 3]),
    Case(opType: "Pow", opset: 13, shape: [3], constants: [scalar("e", 2)], resultShape: [3], result: [0, 1, 4]),
    Case(
      opType: "Pow", opset: 13, shape: [3], constants: [ONNXTensorWriter("e", shape: [], ints: [3])], resultShape: [3],
      result: [0, 1, 8]),
    // Before opset 13 everything from the axis on is one: 4 values, not twice 2.
    Case(
      opType: "Softmax", opset: 11, shape: [1, 2, 2], input: [0, 0, 0, 0], resultShape: [1, 2, 2],
      result: [0.25, 0.25, 0.25, 0.25]),
    Case(
      opType: "Softmax", opset: 13, shape: [1, 2, 2], input: [0, 0, 0, 0], resultShape: [1, 2, 2],
      result: [0.5, 0.5, 0.5, 0.5]),
    Case(
      opType: "Softmax", opset: 13, shape: [1, 2, 1], attributes: [("axis", .int(-2))], input: [0, 0],
      resultShape: [1, 2, 1], result: [0.5, 0.5]),
    Case(
      opType: "LogSoftmax", opset: 11, shape: [2, 2], attributes: [("axis", .int(0))], input: [0, 0, 0, 0],
      resultShape: [2, 2], result: [Float](repeating: -log(Float(4)), count: 4)),
    Case(
      opType: "ReduceMean", opset: 11, shape: [2, 3], attributes: [("axes", .ints([-1])), ("keepdims", .int(0))],
      resultShape: [2], result: [1, 4]),
    Case(
      opType: "ReduceMean", opset: 18, shape: [2, 3], constants: [ints("a", [0])], resultShape: [1, 3],
      result: [1.5, 2.5, 3.5]),
    Case(opType: "ReduceMean", opset: 18, shape: [2, 3], resultShape: [1, 1], result: [2.5]),
    Case(
      opType: "ReduceMean", opset: 18, shape: [2, 3], attributes: [("noop_with_empty_axes", .int(1))],
      resultShape: [2, 3], result: range23),
    Case(
      opType: "ReduceMean", opset: 13, shape: [1, 2, 1, 2],
      attributes: [("axes", .ints([2, 3])), ("keepdims", .int(0))],
      resultShape: [1, 2], result: [0.5, 2.5]),
    Case(
      opType: "ReduceSum", opset: 13, shape: [2, 3], constants: [ints("a", [1])], resultShape: [2, 1], result: [3, 12]),
    Case(
      opType: "ReduceMax", opset: 18, shape: [1, 2, 2, 2], attributes: [("keepdims", .int(0))],
      constants: [ints("a", [2, 3])], input: [0, 3, 1, 2, -4, -1, -2, -3], resultShape: [1, 2], result: [3, -1]),
    Case(
      opType: "ReduceMin", opset: 13, shape: [2, 3], attributes: [("axes", .ints([0]))], input: [5, 1, 2, 3, 4, 0],
      resultShape: [1, 3], result: [3, 1, 0]),
    Case(
      opType: "BatchNormalization", opset: 9, shape: [1, 2, 2], attributes: [("epsilon", .float(0))],
      constants: [
        ONNXTensorWriter("s", [2], [1, 2]), ONNXTensorWriter("b", [2], [0, 1]), ONNXTensorWriter("m", [2], [0, 2]),
        ONNXTensorWriter("v", [2], [1, 4]),
      ], resultShape: [1, 2, 2], result: [0, 1, 1, 2]),
    Case(
      opType: "BatchNormalization", opset: 15, shape: [1, 2], attributes: [("epsilon", .float(0))],
      constants: [
        ONNXTensorWriter("s", [2], [1, 2]), ONNXTensorWriter("b", [2], [5, 1]), ONNXTensorWriter("m", [2], [1, 0]),
        ONNXTensorWriter("v", [2], [1, 4]),
      ], resultShape: [1, 2], result: [4, 2]),
  ]

  static let matrixCases: [Case] = [
    Case(
      opType: "Gemm", opset: 7, shape: [1, 2], attributes: [("alpha", .float(2)), ("beta", .float(0.5))],
      constants: [ONNXTensorWriter("b", [2, 2], [1, 2, 3, 4]), ONNXTensorWriter("c", [2], [2, 4])], input: [1, 2],
      resultShape: [1, 2], result: [15, 22]),
    Case(
      opType: "Gemm", opset: 13, shape: [2, 2], attributes: [("transA", .int(1)), ("transB", .int(1))],
      constants: [ONNXTensorWriter("b", [1, 2], [1, 10]), ONNXTensorWriter("c", [2, 1], [100, 200])],
      input: [1, 2, 3, 4],
      resultShape: [2, 1], result: [131, 242]),
    Case(
      opType: "Gemm", opset: 13, shape: [1, 2],
      constants: [ONNXTensorWriter("b", [2, 2], [1, 0, 0, 1]), scalar("c", 3)],
      resultShape: [1, 2], result: [3, 4]),
    Case(
      opType: "MatMul", opset: 13, shape: [2, 1, 2], constants: [ONNXTensorWriter("b", [2, 1], [1, 10])],
      resultShape: [2, 1, 1], result: [10, 32]),
    Case(
      opType: "MatMul", opset: 13, shape: [2], constants: [ONNXTensorWriter("b", [2, 2], [1, 2, 3, 4])], input: [1, 2],
      resultShape: [2], result: [7, 10]),
    Case(
      opType: "MatMul", opset: 13, shape: [2, 2], constants: [ONNXTensorWriter("b", [2], [1, 10])],
      input: [1, 2, 3, 4],
      resultShape: [2], result: [21, 43]),
    Case(
      opType: "MatMul", opset: 13, shape: [1, 2], constants: [ONNXTensorWriter("b", [1, 2, 1], [1, 10])],
      input: [1, 2],
      resultShape: [1, 1, 1], result: [21]),
  ]

  /// [1,1,4] through windows of 2, with all ways of padding.
  static let windowCases: [Case] = [
    Case(
      opType: "MaxPool", opset: 7, shape: [1, 1, 4], attributes: [("kernel_shape", .ints([2]))],
      resultShape: [1, 1, 3],
      result: [1, 2, 3]),
    Case(
      opType: "MaxPool", opset: 10, shape: [1, 1, 4],
      attributes: [("kernel_shape", .ints([2])), ("strides", .ints([3])), ("ceil_mode", .int(1))],
      resultShape: [1, 1, 2],
      result: [1, 3]),
    Case(
      opType: "MaxPool", opset: 12, shape: [1, 1, 4],
      attributes: [("kernel_shape", .ints([2])), ("dilations", .ints([3]))], resultShape: [1, 1, 1], result: [3]),
    Case(
      opType: "AveragePool", opset: 7, shape: [1, 1, 4],
      attributes: [("kernel_shape", .ints([2])), ("auto_pad", .string("SAME_UPPER"))], resultShape: [1, 1, 4],
      result: [0.5, 1.5, 2.5, 3]),
    Case(
      opType: "AveragePool", opset: 11, shape: [1, 1, 4],
      attributes: [("kernel_shape", .ints([2])), ("auto_pad", .string("SAME_LOWER")), ("count_include_pad", .int(1))],
      resultShape: [1, 1, 4], result: [0, 0.5, 1.5, 2.5]),
    Case(
      opType: "AveragePool", opset: 11, shape: [1, 1, 4],
      attributes: [("kernel_shape", .ints([2])), ("auto_pad", .string("VALID")), ("strides", .ints([2]))],
      resultShape: [1, 1, 2], result: [0.5, 2.5]),
    // The last window would start in the right padding and is left out.
    Case(
      opType: "AveragePool", opset: 19, shape: [1, 1, 2],
      attributes: [
        ("kernel_shape", .ints([2])), ("strides", .ints([3])), ("pads", .ints([0, 1])), ("ceil_mode", .int(1)),
      ], resultShape: [1, 1, 1], result: [0.5]),
    Case(opType: "GlobalAveragePool", opset: 7, shape: [1, 2, 1, 2], resultShape: [1, 2, 1, 1], result: [0.5, 2.5]),
    Case(opType: "GlobalMaxPool", opset: 7, shape: [1, 2, 2], resultShape: [1, 2, 1], result: [1, 3]),
    Case(
      opType: "Upsample", opset: 7, shape: [1, 1, 1, 2], attributes: [("scales", .floats([1, 1, 2, 2]))],
      resultShape: [1, 1, 2, 4], result: [0, 0, 1, 1, 0, 0, 1, 1]),
    Case(
      opType: "Upsample", opset: 9, shape: [1, 1, 2], constants: [ONNXTensorWriter("s", [3], [1, 1, 1.5])],
      resultShape: [1, 1, 3], result: [0, 0, 1]),
    Case(
      opType: "Resize", opset: 10, shape: [1, 1, 1, 2], constants: [ONNXTensorWriter("s", [4], [1, 1, 1, 2])],
      resultShape: [1, 1, 1, 4], result: [0, 0, 1, 1]),
    Case(
      opType: "Resize", opset: 11, shape: [1, 1, 1, 2], attributes: [("mode", .string("linear"))],
      constants: [ONNXTensorWriter("r", [0], []), ONNXTensorWriter("s", [0], []), ints("z", [1, 1, 1, 4])],
      resultShape: [1, 1, 1, 4], result: [0, 0.25, 0.75, 1]),
    Case(
      opType: "Resize", opset: 13, shape: [1, 1, 1, 3],
      attributes: [
        ("coordinate_transformation_mode", .string("asymmetric")), ("nearest_mode", .string("floor")),
      ], constants: [nil, nil, ints("z", [1, 1, 1, 2])], resultShape: [1, 1, 1, 2], result: [0, 1]),
    // Channels-last images stay as they are.
    Case(
      opType: "Resize", opset: 18, shape: [1, 1, 2, 2], attributes: [("axes", .ints([2]))],
      constants: [nil, ONNXTensorWriter("s", [1], [2])], resultShape: [1, 1, 4, 2], result: [0, 1, 0, 1, 2, 3, 2, 3]),
    Case(
      opType: "Resize", opset: 19, shape: [1, 1, 2, 4],
      attributes: [("keep_aspect_ratio_policy", .string("not_larger")), ("axes", .ints([2, 3]))],
      constants: [nil, nil, ints("z", [1, 4])], resultShape: [1, 1, 1, 2], result: [0, 2]),
    // 5 · 0.5 is cut off to 2: a quarter of an element at each end is left out.
    Case(
      opType: "Resize", opset: 19, shape: [1, 1, 1, 5],
      attributes: [("mode", .string("linear")), ("coordinate_transformation_mode", .string("half_pixel_symmetric"))],
      constants: [nil, ONNXTensorWriter("s", [4], [1, 1, 1, 0.5])], resultShape: [1, 1, 1, 2], result: [1, 3]),
    // The axis of the roi that keeps its size is cut out nevertheless.
    Case(
      opType: "Resize", opset: 18, shape: [1, 1, 3, 3],
      attributes: [
        ("mode", .string("linear")), ("coordinate_transformation_mode", .string("tf_crop_and_resize")),
        ("axes", .ints([3, 2])),
      ],
      constants: [ONNXTensorWriter("r", [4], [0, 0.5, 1, 1]), nil, ints("z", [3, 2])], resultShape: [1, 1, 2, 3],
      result: [3, 4, 5, 6, 7, 8]),
    Case(
      opType: "Resize", opset: 11, shape: [1, 1, 1, 3],
      attributes: [("coordinate_transformation_mode", .string("tf_crop_and_resize"))],
      constants: [ONNXTensorWriter("r", [8], [0, 0, 0, 1, 1, 1, 1, 0]), nil, ints("z", [1, 1, 1, 3])],
      resultShape: [1, 1, 1, 3], result: [2, 1, 0]),
  ]

  @Test(arguments: shapeCases + elementCases + matrixCases)
  func operatorsFollowTheirDefinition(_ item: Case) throws {
    try check(item)
  }

  @Test(arguments: windowCases)
  func windowsFollowTheirDefinition(_ item: Case) throws {
    try check(item)
  }

  private func check(_ item: Case) throws {
    let count = item.shape.reduce(1, *)
    let input = item.input ?? (0..<count).map { Float($0) }
    let result = try evaluated(
      item.opType, opset: item.opset, item.shape, input, item.attributes, constants: item.constants)
    #expect(result.shape == item.resultShape)
    try #require(result.values.count == item.result.count)
    for (value, expected) in zip(result.values, item.result) {
      #expect(abs(value - expected) <= 1e-6 * max(1, abs(expected)), "\(result.values), expected \(item.result)")
    }
  }

  /// What the integer kernels have no form for, by the attribute's name.
  @Test func resizesThatAreNotSupportedAreNamed() throws {
    typealias Attributes = [(String, ONNXNodeWriter.Attribute)]
    let roi = ONNXTensorWriter("r", [2], [0, 1.5])
    let cases: [(Attributes, String)] = [
      ([("mode", .string("cubic"))], "\"mode\" is \"cubic\""),
      ([("mode", .string("linear")), ("antialias", .int(1))], "\"antialias\" is 1"),
      ([("coordinate_transformation_mode", .string("tf_crop_and_resize"))], "extrapolation_value"),
      ([("coordinate_transformation_mode", .string("sideways"))], "\"coordinate_transformation_mode\" is \"sideways\""),
      ([("nearest_mode", .string("even"))], "\"nearest_mode\" is \"even\""),
    ]
    for (attributes, expected) in cases {
      let error = #expect(throws: ModelError.self, "\(expected)") {
        try evaluated(
          "Resize", opset: 18, [1, 1, 1, 4], [0, 1, 2, 3], attributes + [("axes", .ints([3]))],
          constants: [roi, nil, ONNXTensorWriter("z", ints: [2])])
      }
      let text = error?.problems.joined() ?? ""
      #expect(text.contains("(Resize)") && text.contains(expected), "\(text)")
    }
  }

  @Test func splitsFollowTheirDefinition() throws {
    let outputs = [ONNXValueWriter("a", nil), ONNXValueWriter("b", nil)]
    func results(
      opset: Int64, _ attributes: [(String, ONNXNodeWriter.Attribute)], _ sizes: [Int64]? = nil
    ) throws -> [[Float]] {
      var model = single("Split", opset: opset, [5], attributes, constants: sizes.map { [Self.ints("s", $0)] } ?? [])
      model.nodes[0].outputs = ["a", "b"]
      model.outputs = outputs
      return try evaluated(model, [[0, 1, 2, 3, 4]]).map(\.values)
    }
    #expect(try results(opset: 7, [("split", .ints([1, 4]))]) == [[0], [1, 2, 3, 4]])
    #expect(try results(opset: 13, [("axis", .int(-1))], [4, 1]) == [[0, 1, 2, 3], [4]])
    #expect(try results(opset: 18, [("num_outputs", .int(2))]) == [[0, 1, 2], [3, 4]])
    #expect(throws: ModelError.self) { try results(opset: 13, []) }
    #expect(throws: ModelError.self) { try results(opset: 13, [], [2, 2]) }
    #expect(throws: ModelError.self) { try results(opset: 13, [], [6, -1]) }
    #expect(throws: ModelError.self) { try results(opset: 18, [("num_outputs", .int(3))]) }
  }

  // MARK: Convolutions

  struct Convolution: Sendable {
    var input: [Int]
    var weights: [Int]
    var groups = 1
    var strides: [Int]
    var dilations: [Int]
    /// Before each axis, then after each.
    var pads: [Int]
  }

  static let convolutions: [Convolution] = [
    Convolution(
      input: [1, 2, 5, 4], weights: [3, 2, 3, 2], strides: [1, 2], dilations: [1, 1], pads: [1, 0, 2, 1]),
    Convolution(
      input: [2, 4, 5, 5], weights: [6, 2, 2, 3], groups: 2, strides: [2, 1], dilations: [2, 1], pads: [0, 1, 1, 1]),
    Convolution(
      input: [1, 3, 4, 4], weights: [6, 1, 3, 3], groups: 3, strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1]),
    Convolution(input: [1, 2, 7], weights: [3, 2, 3], strides: [2], dilations: [2], pads: [2, 1]),
    Convolution(input: [1, 3, 6], weights: [3, 1, 2], groups: 3, strides: [1], dilations: [1], pads: [0, 1]),
    Convolution(
      input: [1, 1, 3, 3], weights: [2, 1, 2, 2], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0]),
  ]

  private func attributes(_ item: Convolution) -> [(String, ONNXNodeWriter.Attribute)] {
    [
      ("strides", .ints(item.strides.map { Int64($0) })), ("dilations", .ints(item.dilations.map { Int64($0) })),
      ("pads", .ints(item.pads.map { Int64($0) })), ("group", .int(Int64(item.groups))),
    ]
  }

  /// Small integers, so that sums are exact in any order.
  private func pattern(_ count: Int, _ step: Int) -> [Float] { (0..<count).map { Float(($0 * step + 3) % 7 - 3) } }

  /// Both kinds as scatter and gather over images; one axis is an image of height 1.
  private func image(_ values: [Int], _ missing: Int) -> (Int, Int) {
    values.count == 2 ? (values[0], values[1]) : (missing, values[0])
  }

  @Test(arguments: convolutions)
  func convolutionsFollowTheirDefinition(_ item: Convolution) throws {
    let x = pattern(item.input.reduce(1, *), 5)
    let w = pattern(item.weights.reduce(1, *), 3)
    let bias = pattern(item.weights[0], 2)
    let rank = item.strides.count
    let result = try evaluated(
      "Conv", opset: 11, item.input.map { Int64($0) }, x, attributes(item),
      constants: [
        ONNXTensorWriter("w", item.weights.map { Int64($0) }, w), ONNXTensorWriter("b", [Int64(bias.count)], bias),
      ])
    let (inputHeight, inputWidth) = image([Int](item.input[2...]), 1)
    let (kernelHeight, kernelWidth) = image([Int](item.weights[2...]), 1)
    let (strideY, strideX) = image(item.strides, 1)
    let (dilationY, dilationX) = image(item.dilations, 1)
    let (top, left) = image([Int](item.pads[..<rank]), 0)
    let (outputHeight, outputWidth) = image([Int](result.shape[2...]), 1)
    let (channels, outputs) = (item.input[1], item.weights[0])
    let perGroup = channels / item.groups
    var expected: [Float] = []
    for batch in 0..<item.input[0] {
      for output in 0..<outputs {
        let group = output / (outputs / item.groups)
        for y in 0..<outputHeight {
          for x0 in 0..<outputWidth {
            var sum = bias[output]
            for channel in 0..<perGroup {
              for ky in 0..<kernelHeight {
                for kx in 0..<kernelWidth {
                  let (row, column) = (y * strideY + ky * dilationY - top, x0 * strideX + kx * dilationX - left)
                  guard (0..<inputHeight).contains(row), (0..<inputWidth).contains(column) else { continue }
                  let source =
                    ((batch * channels + group * perGroup + channel) * inputHeight + row) * inputWidth + column
                  sum += x[source] * w[((output * perGroup + channel) * kernelHeight + ky) * kernelWidth + kx]
                }
              }
            }
            expected.append(sum)
          }
        }
      }
    }
    for axis in 0..<rank {
      let extent = (item.weights[axis + 2] - 1) * item.dilations[axis] + 1
      let size = (item.input[axis + 2] + item.pads[axis] + item.pads[axis + rank] - extent) / item.strides[axis] + 1
      #expect(result.shape[axis + 2] == size)
    }
    #expect(result.values == expected)
  }

  @Test(arguments: convolutions)
  func transposedConvolutionsFollowTheirDefinition(_ item: Convolution) throws {
    // Weights are [input channels, output channels / groups, ...].
    let rank = item.strides.count
    let perGroup = item.weights[0] / item.groups
    let weightShape = [item.input[1], perGroup] + item.weights[2...]
    let x = pattern(item.input.reduce(1, *), 5)
    let w = pattern(weightShape.reduce(1, *), 3)
    let added = item.strides.map { $0 - 1 }
    let result = try evaluated(
      "ConvTranspose", opset: 11, item.input.map { Int64($0) }, x,
      attributes(item) + [("output_padding", .ints(added.map { Int64($0) }))],
      constants: [ONNXTensorWriter("w", weightShape.map { Int64($0) }, w)])
    let sizes = (0..<rank).map { axis in
      (item.input[axis + 2] - 1) * item.strides[axis] + (item.weights[axis + 2] - 1) * item.dilations[axis] + 1
        + added[axis] - item.pads[axis] - item.pads[axis + rank]
    }
    #expect(result.shape == [item.input[0], item.weights[0]] + sizes)
    let (inputHeight, inputWidth) = image([Int](item.input[2...]), 1)
    let (kernelHeight, kernelWidth) = image([Int](item.weights[2...]), 1)
    let (strideY, strideX) = image(item.strides, 1)
    let (dilationY, dilationX) = image(item.dilations, 1)
    let (top, left) = image([Int](item.pads[..<rank]), 0)
    let (outputHeight, outputWidth) = image(sizes, 1)
    let channelsPerGroup = item.input[1] / item.groups
    var expected = [Float](repeating: 0, count: result.values.count)
    for batch in 0..<item.input[0] {
      for channel in 0..<item.input[1] {
        for y in 0..<inputHeight {
          for x0 in 0..<inputWidth {
            let value = x[((batch * item.input[1] + channel) * inputHeight + y) * inputWidth + x0]
            for output in 0..<perGroup {
              for ky in 0..<kernelHeight {
                for kx in 0..<kernelWidth {
                  let (row, column) = (y * strideY + ky * dilationY - top, x0 * strideX + kx * dilationX - left)
                  guard (0..<outputHeight).contains(row), (0..<outputWidth).contains(column) else { continue }
                  let target = channel / channelsPerGroup * perGroup + output
                  expected[((batch * item.weights[0] + target) * outputHeight + row) * outputWidth + column] +=
                    value * w[((channel * perGroup + output) * kernelHeight + ky) * kernelWidth + kx]
                }
              }
            }
          }
        }
      }
    }
    #expect(result.values == expected)
  }

  @Test func transposedConvolutionsTakeTheirPaddingFromTheOutput() throws {
    let weights = ONNXTensorWriter("w", [1, 1, 3], [1, 1, 1])
    func shapeAndFirst(_ attributes: [(String, ONNXNodeWriter.Attribute)]) throws -> [Float] {
      try evaluated(
        "ConvTranspose", opset: 11, [1, 1, 2], [1, 2], attributes + [("strides", .ints([2]))], constants: [weights]
      ).values
    }
    // In full: 1 1 3 2 2.
    #expect(try shapeAndFirst([]) == [1, 1, 3, 2, 2])
    #expect(try shapeAndFirst([("output_shape", .ints([4]))]) == [1, 3, 2, 2])
    #expect(try shapeAndFirst([("auto_pad", .string("SAME_UPPER"))]) == [1, 1, 3, 2])
    #expect(try shapeAndFirst([("auto_pad", .string("SAME_LOWER"))]) == [1, 3, 2, 2])
  }

  // MARK: Constants

  @Test func quantizedWeightsBecomeFloats() throws {
    func weights(
      opset: Int64, _ attributes: [(String, ONNXNodeWriter.Attribute)], _ scale: ONNXTensorWriter,
      _ zero: ONNXTensorWriter?
    ) -> ONNXModelWriter {
      var model = single("Add", opset: opset, [2, 2], constants: [ONNXTensorWriter("f", [2, 2], [])])
      model.nodes.insert(
        ONNXNodeWriter("DequantizeLinear", ["q", "scale"] + (zero == nil ? [] : ["zero"]), ["f"], attributes), at: 0)
      model.initializers =
        [ONNXTensorWriter("q", [2, 2], type: 3, .raw([1, 2, 3, 0xFF])), scale] + (zero.map { [$0] } ?? [])
      return model
    }
    let zeros: [Float] = [0, 0, 0, 0]
    let scalar = ONNXTensorWriter("scale", [], [0.5])
    let perAxis = ONNXTensorWriter("scale", [2], [0.5, 2])
    let zero = ONNXTensorWriter("zero", [2], type: 3, .raw([1, 0]))
    #expect(try evaluated(weights(opset: 10, [], scalar, nil), [zeros])[0].values == [0.5, 1, 1.5, -0.5])
    #expect(
      try evaluated(weights(opset: 13, [("axis", .int(0))], perAxis, zero), [zeros])[0].values == [0, 0.5, 6, -2])
    #expect(try evaluated(weights(opset: 13, [], perAxis, nil), [zeros])[0].values == [0.5, 4, 1.5, -2])
    let blocks = ONNXTensorWriter("scale", [2, 1], [1, 3])
    #expect(
      try evaluated(weights(opset: 21, [("axis", .int(1)), ("block_size", .int(2))], blocks, nil), [zeros])[0].values
        == [1, 2, 9, -3])
    for bad in [Float.nan, 0, -1, .infinity] {
      #expect(!problems(weights(opset: 13, [], ONNXTensorWriter("scale", [], [bad]), nil)).isEmpty, "scale \(bad)")
    }
  }

  /// What an exporter writes for `x.expand(-1, 3)` and a flattening with computed sizes.
  @Test func shapeArithmeticIsFolded() throws {
    func scalar(_ name: String, _ value: Int64) -> ONNXTensorWriter { ONNXTensorWriter(name, shape: [], ints: [value]) }
    let model = ONNXModelWriter(
      opset: 17,
      nodes: [
        ONNXNodeWriter("Shape", ["x"], ["s"], [("start", .int(1))]),
        ONNXNodeWriter("ReduceProd", ["s"], ["count"], [("keepdims", .int(0))]),
        ONNXNodeWriter("Mul", ["count", "two"], ["double"]),
        ONNXNodeWriter("Div", ["double", "two"], ["same"]),
        ONNXNodeWriter("Sub", ["same", "two"], ["less"]),
        ONNXNodeWriter("Add", ["less", "two"], ["flat"]),
        ONNXNodeWriter("Equal", ["flat", "two"], ["isTwo"]),
        ONNXNodeWriter("Where", ["isTwo", "minus", "flat"], ["chosen"]),
        ONNXNodeWriter("Cast", ["chosen"], ["asFloat"], [("to", .int(1))]),
        ONNXNodeWriter("Floor", ["asFloat"], ["floored"]),
        ONNXNodeWriter("Cast", ["floored"], ["asInt"], [("to", .int(7))]),
        ONNXNodeWriter("Unsqueeze", ["asInt", "zero"], ["row"]),
        ONNXNodeWriter("ConstantOfShape", ["oneLong"], ["ones"], [("value", .tensor(ONNXTensorWriter("", ints: [1])))]),
        ONNXNodeWriter("Concat", ["ones", "row"], ["target"], [("axis", .int(0))]),
        ONNXNodeWriter("Reshape", ["x", "target"], ["matrix"]),
        ONNXNodeWriter("Range", ["nought", "six", "two"], ["even"]),
        ONNXNodeWriter("Gather", ["matrix", "even"], ["y"], [("axis", .int(1))]),
      ],
      inputs: [ONNXValueWriter("x", ["N", 2, 3])], outputs: [ONNXValueWriter("y", nil)],
      initializers: [
        scalar("two", 2), scalar("minus", -1), scalar("nought", 0), scalar("six", 6),
        ONNXTensorWriter("zero", ints: [0]),
        ONNXTensorWriter("oneLong", ints: [1]),
      ])
    let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
    let kinds = Set(graph.nodes.map { type(of: $0.op.definition).name })
    #expect(kinds.isSubset(of: ["Reshape", "Slice", "Concatenation"]), "\(kinds)")
    let result = try evaluated(model, [[0, 1, 2, 3, 4, 5]])[0]
    #expect(result.shape == [1, 3] && result.values == [0, 2, 4])
  }

  @Test func integerArithmeticIsChecked() throws {
    let one = Int64(1)
    let cases: [(String, Int64, Int64, Int64?)] = [
      ("Add", .max, one, nil), ("Sub", .min, one, nil), ("Mul", .max, 2, nil), ("Div", one, 0, nil),
      ("Div", .min, -1, nil), ("Div", -7, 2, -3), ("Mod", -7, 3, 2), ("Mod", 7, 0, nil), ("Pow", 2, 62, 1 << 62),
      ("Pow", 2, 63, nil), ("Pow", -1, .max, -1), ("Pow", 3, -1, nil),
    ]
    for (opType, a, b, expected) in cases {
      let model = ONNXModelWriter(
        opset: 13, nodes: [ONNXNodeWriter(opType, ["a", "b"], ["y"])], outputs: [ONNXValueWriter("y", nil)],
        initializers: [ONNXTensorWriter("a", ints: [a]), ONNXTensorWriter("b", ints: [b])])
      let graph = try? ONNXImporter.graph(from: model.bytes, name: "test")
      #expect(graph?.tensors[graph?.outputs[0] ?? 0].data == expected.map { .int64([$0]) }, "\(opType) \(a) \(b)")
    }
  }

  @Test func constantsWithUnusualTypesAreFolded() throws {
    // 200 as int8 wraps, 1.9 is cut, 300 as uint8 wraps.
    let cases: [(ONNXTensorWriter, Int64, TensorData)] = [
      (ONNXTensorWriter("a", ints: [200, -200]), 3, .int8([-56, 56])),
      (ONNXTensorWriter("a", [2], [1.9, -1.9]), 6, .int32([1, -1])),
      (ONNXTensorWriter("a", ints: [300, -1]), 2, .int64([44, 255])),
      (ONNXTensorWriter("a", [2], [0, 3]), 9, .int8([0, 1])),
      (ONNXTensorWriter("a", [2], [1.0009765625, 65504]), 10, .float([1.0009765625, 65504])),
      (ONNXTensorWriter("a", [2], [1.00048828125, 2049]), 10, .float([1, 2048])),
      (ONNXTensorWriter("a", [2], [1.00390625, 1.01171875]), 16, .float([1, 1.015625])),
    ]
    for (tensor, type, expected) in cases {
      let model = ONNXModelWriter(
        opset: 13, nodes: [ONNXNodeWriter("Cast", ["a"], ["y"], [("to", .int(type))])],
        outputs: [ONNXValueWriter("y", nil)], initializers: [tensor])
      let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
      #expect(graph.tensors[graph.outputs[0]].data == expected, "to \(type)")
    }
    let bad = ONNXModelWriter(
      opset: 13, nodes: [ONNXNodeWriter("Cast", ["a"], ["y"], [("to", .int(3))])], outputs: [ONNXValueWriter("y", nil)],
      initializers: [ONNXTensorWriter("a", [1], [.nan])])
    #expect(!problems(bad).isEmpty)
  }
}
