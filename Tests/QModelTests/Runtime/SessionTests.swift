import QKernels
import Testing

@testable import QModel

struct SessionTests {
  static func model(_ graph: Graph) throws -> VerifiedModel {
    try VerifiedModel(bytes: try CompiledModel(QuantizedGraph(graph), options: CompileOptions()).bytes)
  }

  @Test func sessionsOnManyThreadsShareOneModel() throws {
    let model = try Self.model(SampleGraphs.everything(seed: 4, origin: .float))
    var maker = SampleGraph(seed: 8, origin: .float)
    let count = 24
    let inputs = (0..<count).map { _ in (0..<model.inputs[0].elementCount).map { _ in maker.integer(-128...127) } }
    @Sendable func run(_ session: Session, _ values: [Int]) -> [[Int]] {
      session.reset()
      session.setInput(0, integers: values)
      session.run()
      return model.outputs.indices.map { session.integers(ofOutput: $0) }
    }
    let session = try Session(model)
    let expected = inputs.map { run(session, $0) }
    let sessions = try (0..<4).map { _ in try Session(model) }
    nonisolated(unsafe) let workers = sessions
    nonisolated(unsafe) let results = UnsafeMutablePointer<[[Int]]>.allocate(capacity: count)
    results.initialize(repeating: [], count: count)
    defer { results.deinitialize(count: count).deallocate() }
    try parallelFor(count: count, threads: 4) { (index, worker) throws(ModelError) in
      results[index] = run(workers[worker], inputs[index])
    }
    #expect((0..<count).map { results[$0] } == expected)
  }

  @Test func everyInstructionSetOfThisMachineGivesTheSameBytes() throws {
    let model = try Self.model(SampleGraphs.everything(seed: 6, origin: .float))
    var maker = SampleGraph(seed: 9, origin: .float)
    let values = (0..<model.inputs[0].elementCount).map { _ in maker.integer(-128...127) }
    func trace(_ set: InnerSet) throws -> [[Int]] {
      let session = try Session(model, set: set)
      session.setInput(0, integers: values)
      return session.runTracing().map(\.values)
    }
    let expected = try trace(.scalar)
    #expect(try trace(.best) == expected)
  }

  @Test func valuesAreInTheSourcesOrderOfAxes() throws {
    var g = SampleGraph(seed: 2, origin: .float)
    let x = g.input([1, 2, 3, 4])
    g.graph.tensors[x].sourceLayout = [0, 3, 1, 2]
    g.graph.tensors[x].batchAxis = 0
    let y = try g.node(.unary(.neg), [x], quantization: TensorQuantization(scale: 0.03, zeroPoint: -5))[0]
    g.graph.tensors[y].sourceLayout = [0, 3, 1, 2]
    g.graph.outputs = [y]
    let session = try Session(try Self.model(g.graph))
    #expect(session.inputs[0].sourceShape == [1, 4, 2, 3])
    #expect(session.inputs[0].shape == [1, 2, 3, 4])
    #expect(session.inputs[0].sourceBatchAxis == 0)
    #expect(session.outputs[0].batchAxis == nil)
    // -x + 5 in stored integers: element c·6 + h·3 + w of the source is element h·12 + w·4 + c here.
    let values = (0..<24).map { $0 - 12 }
    session.setInput(0, integers: values)
    session.withInput(0) { bytes in
      for c in 0..<4 {
        for pixel in 0..<6 { #expect(Int(Int8(bitPattern: bytes[pixel * 4 + c])) == values[c * 6 + pixel]) }
      }
    }
    session.run()
    #expect(session.integers(ofOutput: 0) == values.map { -($0 - 5) - 5 })
    let reals = session.dequantizedOutput(0)
    #expect(zip(reals, values).allSatisfy { abs($0 + 0.03 * Float($1 - 5)) < 1e-5 })
  }

  @Test func realValuesAreRoundedAwayFromZeroAndSaturated() {
    let info = TensorInfo(
      index: 0, name: nil, shape: [1], type: .int8, scale: 0.5, zeroPoint: 10, sourceLayout: nil, batchAxis: nil)
    let cases: [(Float, Int)] = [
      (0, 10), (0.25, 11), (-0.25, 9), (0.24, 10), (1e30, 127), (-1e30, -128), (.infinity, 127), (-.infinity, -128),
      (.nan, 10), (58.5, 127), (58.7, 127), (-69, -128),
    ]
    for (value, expected) in cases { #expect(info.quantized(value) == expected, "\(value)") }
    for q in -128...127 { #expect(info.quantized(info.dequantized(q)) == q) }
  }

  /// The loops of a session against the definition of each value, in both layouts.
  @Test(arguments: [ElementType.int8, .int16], [[0, 1, 2, 3], [0, 3, 1, 2]])
  func valuesAreConvertedAsTheirDefinitionSays(_ type: ElementType, _ layout: [Int]) throws {
    var g = SampleGraph(seed: 3, origin: .float)
    let x = g.input([1, 9, 23, 10], scale: 0.03, zeroPoint: type == .int8 ? -7 : 0, type: type)
    g.graph.tensors[x].sourceLayout = layout
    let y = try g.node(
      .unary(.relu), [x],
      quantization: TensorQuantization(scale: 0.03, zeroPoint: type == .int8 ? -7 : 0))[0]
    g.graph.tensors[y].type = type
    g.graph.tensors[y].sourceLayout = layout
    g.graph.outputs = [y]
    let session = try Session(try Self.model(g.graph))
    let info = session.inputs[0]
    // Ties, their neighbours, what is none of these, and what is no number.
    var values: [Float] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, 0, -0.0, .leastNonzeroMagnitude]
    while values.count < info.elementCount {
      let tie = (Float(g.integer(type == .int8 ? -200...200 : -40_000...40_000)) + 0.5) * info.scale
      values += [tie, tie.nextUp, tie.nextDown, Float(g.uniform(-10...10))]
    }
    values.removeLast(values.count - info.elementCount)
    values.withUnsafeBufferPointer { session.setInput(0, quantizing: $0) }
    let expected = values.map { info.quantized($0) }
    #expect(session.integers(ofTensor: info.index) == expected)
    #expect(session.dequantizedTensor(info.index) == expected.map { info.dequantized($0) })
    var bytes = [UInt8](repeating: 0, count: info.byteCount)
    bytes.withUnsafeMutableBytes { session.copyIntegers(info.index, to: $0) }
    session.setInput(0, integers: expected.map { _ in 3 })
    bytes.withUnsafeBytes { session.setInput(0, bytes: $0) }
    #expect(session.integers(ofTensor: info.index) == expected)
    #expect(bytes.prefix(info.type.byteCount).elementsEqual(expected[0].littleEndianBytes(info.type.byteCount)))
  }
}

extension Int {
  /// The first `count` bytes.
  fileprivate func littleEndianBytes(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: self >> (8 * $0)) }
  }
}
