import Testing

@testable import QModel

/// Every rule of `Graph.validate()`, each broken on its own in a graph that is sound otherwise.
struct GraphValidationTests {
  private func sound() throws -> Graph {
    var sketch = GraphSketch()
    let x = sketch.input([1, 4, 4, 2])
    let y = try sketch.convolution(x, 3)
    sketch.output(try sketch.node(.unary(.relu), y))
    return sketch.graph
  }

  @Test func aSoundGraphPasses() throws { try sound().validate() }

  static let faults: [(String, ModelError.Kind, @Sendable (inout Graph) -> Void)] = [
    ("operand out of range", .malformed, { $0.nodes[0].inputs[0] = 99 }),
    ("negative operand", .malformed, { $0.nodes[0].inputs[0] = -1 }),
    ("result out of range", .malformed, { $0.nodes[0].outputs[0] = 99 }),
    ("output out of range", .malformed, { $0.outputs = [99] }),
    ("input out of range", .malformed, { $0.inputs = [-1] }),
    ("input twice", .malformed, { $0.inputs.append($0.inputs[0]) }),
    ("constant input", .malformed, { $0.inputs.append(1) }),
    ("uncomputed output", .malformed, { graph in graph.outputs.append(graph.add(GraphTensor(shape: [1]))) }),
    ("wrong order", .malformed, { $0.nodes.swapAt(0, 1) }),
    ("cycle", .malformed, { $0.nodes[0].inputs[0] = $0.nodes[1].outputs[0] }),
    ("computed twice", .malformed, { $0.nodes.append($0.nodes[1]) }),
    ("computed input", .malformed, { $0.nodes[1].outputs[0] = $0.inputs[0] }),
    ("missing result", .malformed, { $0.nodes[0].outputs = [] }),
    ("missing operand", .mismatch, { $0.nodes[0].inputs[1] = nil }),
    ("wrong shape", .mismatch, { $0.tensors[$0.nodes[0].outputs[0]].shape = [1, 4, 4, 4] }),
    ("empty axis", .malformed, { $0.tensors[0].shape = [1, 0, 4, 2] }),
    ("negative axis", .malformed, { $0.tensors[0].shape = [1, -4, -4, 2] }),
    ("huge axis", .malformed, { $0.tensors[0].shape = [1, Int.max, 4, 2] }),
    ("too few values", .malformed, { $0.tensors[1].data = .float([1]) }),
    ("layout that is no permutation", .malformed, { $0.tensors[0].sourceLayout = [0, 0, 1, 2] }),
    ("batch axis out of range", .malformed, { $0.tensors[0].batchAxis = 4 }),
    ("scale 0", .malformed, { $0.tensors[0].quantization = TensorQuantization(scale: 0, zeroPoint: 0) }),
    ("scale NaN", .malformed, { $0.tensors[0].quantization = TensorQuantization(scale: .nan, zeroPoint: 0) }),
    ("scale infinite", .malformed, { $0.tensors[0].quantization = TensorQuantization(scale: .infinity, zeroPoint: 0) }),
    ("huge zero point", .malformed, { $0.tensors[0].quantization = TensorQuantization(scale: 1, zeroPoint: Int.min) }),
    (
      "scales that do not fit", .malformed,
      { $0.tensors[1].quantization = TensorQuantization(scales: [1, 1], axis: 0) }
    ),
    ("axis of scales", .malformed, { $0.tensors[1].quantization = TensorQuantization(scales: [1], axis: 7) }),
  ]

  @Test(arguments: faults.indices) func aFaultIsFound(_ index: Int) throws {
    let (name, kind, spoil) = Self.faults[index]
    var graph = try sound()
    spoil(&graph)
    do {
      try graph.validate()
      Issue.record("\(name) was not found")
    } catch {
      #expect(error.kind == kind, "\(name): \(error)")
    }
    #expect(throws: ModelError.self) { try ReferenceEvaluator(graph) }
    #expect(throws: ModelError.self) { try graph.optimized() }
  }

  @Test func errorsNameTheNode() throws {
    var graph = try sound()
    graph.nodes[0].name = "stem"
    graph.nodes[0].inputs[1] = nil
    #expect(throws: ModelError(.mismatch, "node 'stem': Conv2D: operand 1 is missing")) { try graph.validate() }
  }

  /// Dequantizing the largest integers does not trap.
  @Test func extremeIntegersAreFine() {
    let tensor = GraphTensor(
      shape: [2], type: .int64, data: .int64([.min, .max]), quantization: TensorQuantization(scale: 1, zeroPoint: 65536)
    )
    #expect(tensor.floatValues()?.values == [-0x1p63, 0x1p63])
  }
}
