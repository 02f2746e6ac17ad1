import Testing

@testable import QModel

/// Imports a model and runs it on one array per input.
func evaluated(_ model: ONNXModelWriter, _ inputs: [[Float]]) throws -> [FloatTensor] {
  let graph = try ONNXImporter.graph(from: model.bytes, name: "test")
  var evaluator = try ReferenceEvaluator(graph)
  try #require(graph.inputs.count == inputs.count)
  return try evaluator.run(
    zip(graph.inputs, inputs).map { FloatTensor(shape: graph.tensors[$0].shape, values: $1) })
}

/// Imports a model of one node "x" -> "y" with constants and runs it.
func evaluated(
  _ opType: String, opset: Int64, _ shape: [Int64], _ input: [Float],
  _ attributes: [(String, ONNXNodeWriter.Attribute)],
  constants: [ONNXTensorWriter?] = []
) throws -> FloatTensor {
  try #require(try evaluated(single(opType, opset: opset, shape, attributes, constants: constants), [input]).first)
}

/// A model of one node "x" -> "y", whose further inputs are constants; `nil` leaves one out.
func single(
  _ opType: String, opset: Int64, _ shape: [Int64], _ attributes: [(String, ONNXNodeWriter.Attribute)] = [],
  constants: [ONNXTensorWriter?] = []
) -> ONNXModelWriter {
  ONNXModelWriter(
    opset: opset,
    nodes: [ONNXNodeWriter(opType, ["x"] + constants.map { $0?.name ?? "" }, ["y"], attributes)],
    inputs: [ONNXValueWriter("x", shape.map { .size($0) })], outputs: [ONNXValueWriter("y", nil)],
    initializers: constants.compactMap { $0 })
}

/// Returns the problems that importing reports.
func problems(_ model: ONNXModelWriter) -> [String] {
  do throws(ModelError) {
    _ = try ONNXImporter.graph(from: model.bytes, name: "test")
    return []
  } catch {
    return error.problems
  }
}

extension ONNXModelWriter {
  /// A convolutional network with folded shape arithmetic, an attribute of each kind and weights in several forms.
  static var small: ONNXModelWriter {
    ONNXModelWriter(
      opset: 13,
      nodes: [
        ONNXNodeWriter(
          "Conv", ["x", "w", "b"], ["c"], [("pads", .ints([1, 0, 1, 0])), ("auto_pad", .string("NOTSET"))]),
        ONNXNodeWriter("LeakyRelu", ["c"], ["r"], [("alpha", .float(0.25))]),
        ONNXNodeWriter("Shape", ["x"], ["s"]),
        ONNXNodeWriter("Constant", [], ["zero"], [("value", .tensor(ONNXTensorWriter("", shape: [], ints: [0])))]),
        ONNXNodeWriter("Gather", ["s", "zero"], ["n"]),
        ONNXNodeWriter("Unsqueeze", ["n", "axes"], ["n1"]),
        ONNXNodeWriter("Concat", ["n1", "rest"], ["target"], [("axis", .int(0))]),
        ONNXNodeWriter("Reshape", ["r", "target"], ["flat"]),
        ONNXNodeWriter("Gemm", ["flat", "d"], ["y"], [("transB", .int(1))]),
      ],
      inputs: [ONNXValueWriter("x", ["N", 1, 3, 2])], outputs: [ONNXValueWriter("y", ["N", 2])],
      initializers: [
        ONNXTensorWriter("w", [2, 1, 3, 1], type: 1, .floats([1, 2, 3, -1, -2, -3])),
        ONNXTensorWriter("b", [2], type: 10, .int32s([0x3C00, 0xC000])),
        ONNXTensorWriter("axes", ints: [0]),
        ONNXTensorWriter("rest", [1], type: 7, .int64s([-1])),
        ONNXTensorWriter("d", [2, 12], (0..<24).map { Float($0) / 8 }),
      ])
  }

  /// A recurrent network.
  static var recurrent: ONNXModelWriter {
    ONNXModelWriter(
      opset: 14,
      nodes: [
        ONNXNodeWriter(
          "LSTM", ["x", "w", "r", "b"], ["y", "h", "c"],
          [("hidden_size", .int(1)), ("activations", .strings(["Sigmoid", "Tanh", "Relu"])), ("clip", .float(2))])
      ],
      inputs: [ONNXValueWriter("x", [3, "N", 2])],
      outputs: [ONNXValueWriter("y", nil), ONNXValueWriter("h", nil), ONNXValueWriter("c", nil)],
      initializers: [
        ONNXTensorWriter("w", [1, 4, 2], [0.5, -0.25, 0.125, 1, -1, 0.75, 0.25, 0.5]),
        ONNXTensorWriter("r", [1, 4, 1], [0.5, -0.5, 0.25, 1]),
        ONNXTensorWriter("b", [1, 8], [0, 0.25, 0.5, 0, 0.125, 0, 0, -0.5]),
      ])
  }
}
