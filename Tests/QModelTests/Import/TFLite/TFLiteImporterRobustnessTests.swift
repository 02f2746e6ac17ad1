import Testing

@testable import QModel

/// Foreign bytes: whatever is wrong with them, the importer says so and never traps.
@Suite struct TFLiteImporterRobustnessTests {
  /// Small models that between them hold every kind of constant, option and state.
  static let models: [(name: String, bytes: [UInt8])] = [
    ("dense", TFLiteModelTests.dense().bytes()),
    ("dense, buffers behind the flatbuffer", TFLiteModelTests.dense(externalBuffers: true).bytes()),
    ("convolution", TFLiteSamples.convolution().bytes()),
    ("float with a folded shape", TFLiteSamples.foldedShape().bytes()),
    ("LSTM", TFLiteSamples.lstm().bytes()),
  ]

  @Test(arguments: models.indices)
  func everyPrefixIsRefused(index: Int) {
    let (name, bytes) = Self.models[index]
    for count in 0..<bytes.count {
      if (try? TFLiteImporter.graph(from: Array(bytes.prefix(count)))) != nil {
        Issue.record("\(name): the first \(count) of \(bytes.count) bytes are imported")
      }
    }
  }

  @Test(arguments: models.indices)
  func everyByteFlipIsImportedOrRefused(index: Int) throws {
    let (name, bytes) = Self.models[index]
    #expect(throws: Never.self) { try TFLiteImporter.graph(from: bytes).validate() }
    var imported = 0
    for position in bytes.indices {
      for mask: UInt8 in [0x01, 0x80, 0xff] {
        var flipped = bytes
        flipped[position] ^= mask
        guard let graph = try? TFLiteImporter.graph(from: flipped) else { continue }
        imported += 1
        // What is imported must be sound for everything that follows.
        if let problem = Self.problem(graph) { Issue.record("\(name), byte \(position) ^ \(mask): \(problem)") }
      }
    }
    #expect(imported > 0)
    #expect(imported < 3 * bytes.count)
  }

  /// Words of four bytes take the values that sizes, offsets and indices break at.
  @Test(arguments: models.indices)
  func extremeWordsAreImportedOrRefused(index: Int) throws {
    let (name, bytes) = Self.models[index]
    for position in stride(from: 0, through: bytes.count - 4, by: 4) {
      for value: UInt32 in [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff] {
        var changed = bytes
        changed.replaceSubrange(position..<(position + 4), with: littleEndian([value]))
        guard let graph = try? TFLiteImporter.graph(from: changed) else { continue }
        if let problem = Self.problem(graph) { Issue.record("\(name), word \(position) = \(value): \(problem)") }
      }
    }
  }

  private static func problem(_ graph: Graph) -> ModelError? {
    do throws(ModelError) {
      try graph.validate()
      return nil
    } catch {
      return error
    }
  }

  @Test func bytesOfAnotherKindAreRefused() {
    for bytes: [UInt8] in [[], [1, 2, 3], Array("PK zip, not a model".utf8), [UInt8](repeating: 0, count: 4_096)] {
      #expect(throws: ModelError.self) { try TFLiteImporter.graph(from: bytes) }
    }
  }

  // MARK: - Structure

  private func error(_ model: TFLiteModelBuilder) -> ModelError? {
    do throws(ModelError) {
      _ = try TFLiteImporter.graph(from: model.bytes())
      return nil
    } catch {
      return error
    }
  }

  @Test func cyclesAreRefused() {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, [1, 4])
    let a = model.tensor("a", .float32, [1, 4])
    let b = model.tensor("b", .float32, [1, 4])
    model.add(.add, [input, b], [a])
    model.add(.relu, [a], [b])
    (model.inputs, model.outputs) = ([input], [b])
    #expect(
      error(model)
        == ModelError(
          .malformed,
          "ADD #0: input 1, tensor 2 'b', is not computed before it is used (it is missing, or part of a cycle)"))
  }

  @Test func doubleResultsAreRefused() {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, [1, 4])
    let a = model.tensor("a", .float32, [1, 4])
    model.add(.relu, [input], [a])
    model.add(.relu6, [input], [a])
    (model.inputs, model.outputs) = ([input], [a])
    #expect(
      error(model)
        == ModelError(.malformed, "RELU6 #1: output 0, tensor 1 'a', is an input, a constant or computed twice"))
  }

  @Test(arguments: [Int32(-2), 7, .max, .min])
  func tensorsThatDoNotExistAreRefused(index: Int32) {
    for place in 0..<4 {
      var model = TFLiteModelTests.dense()
      switch place {
      case 0: model.inputs = [index]
      case 1: model.outputs = [index]
      case 2: model.operators[0].inputs[1] = index
      default: model.operators[0].outputs = [index]
      }
      #expect(error(model)?.kind == .malformed, "place \(place)")
    }
  }

  @Test func duplicateInputsAndMissingOutputsAreRefused() {
    var model = TFLiteModelTests.dense()
    model.inputs = [0, 0]
    #expect(error(model)?.problems == ["tensor 0 'input' is an input twice"])
    model = TFLiteModelTests.dense()
    model.outputs = []
    #expect(error(model)?.problems == ["the model has no outputs"])
    model = TFLiteModelTests.dense()
    model.outputs = [1]
    #expect(error(model)?.problems == ["tensor 1 'weights' is an output, but a constant"])
  }

  @Test(arguments: [[Int32(-1), 4], [1, 0], [1, .max], [65_536, 65_536], [1, 1, 1, 1, 1, 1, 4]])
  func impossibleShapesAreRefused(shape: [Int32]) {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, shape)
    let output = model.tensor("y", .float32, shape)
    model.add(.relu, [input], [output])
    (model.inputs, model.outputs) = ([input], [output])
    #expect(error(model) != nil)
  }

  @Test func shapesThatContradictTheOperatorAreRefused() {
    var model = TFLiteModelTests.dense()
    model.tensors[3].shape = [1, 3]
    model.tensors[3].signature = [-1, 3]
    #expect(
      error(model)?.problems == [
        "FULLY_CONNECTED #0: tensor 3 'output' has the shape [1, 3], but the operator computes [1, 2]"
      ])
  }

  @Test func constantsThatDoNotFillTheirShapeAreRefused() {
    var model = TFLiteModelTests.dense()
    model.tensors[1].data = [1, 2, 3]
    #expect(
      error(model)?.problems == [
        "FULLY_CONNECTED #0: tensor 1 'weights' of shape [2, 4] needs 8 bytes of int8, its buffer has 3"
      ])
    model = TFLiteModelTests.dense()
    model.tensors[1].buffer = 99
    #expect(error(model)?.kind == .malformed)
  }

  @Test func manyOperatorsOnOneConstantStayWithinTheBudget() throws {
    // Each PACK joins its input with itself: 40 of them would make 2^40 elements.
    var model = TFLiteModelBuilder()
    var last = model.tensor("c", .int32, [4], data: littleEndian([Int32(1), 2, 3, 4]))
    for step in 0..<40 {
      let next = model.tensor("c\(step)", .int32, [4])
      model.add(.concatenation, [last, last], [next], [0: .int(Int32(0))])
      last = next
    }
    let input = model.tensor("x", .float32, [1, 4])
    let output = model.tensor("y", .float32, [1, 4])
    model.add(.reshape, [input, last], [output])
    (model.inputs, model.outputs) = ([input], [output])
    let problems = try #require(error(model)?.problems)
    #expect(problems.count == 1)
    #expect(problems.first?.contains("arithmetic on more than 4096 integers") == true)
  }

  // MARK: - Unsupported parts

  @Test func everythingUnsupportedIsListedAtOnce() {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float32, [1, 4, 4, 2])
    let a = model.tensor("a", .float32, [1, 4, 4, 2])
    let b = model.tensor("b", .float32, [1, 4, 4, 2])
    let c = model.tensor("c", .float32, [1, 4, 4, 2])
    let d = model.tensor("d", .float32, [1, 32])
    model.operators.append(.init(code: 8, inputs: [input], outputs: [a]))  // FLOOR
    model.add(.add, [a, input], [b], [0: .int(Int8(4))])
    model.operators.append(.init(code: 32, inputs: [b], outputs: [c], customCode: "Mine"))
    model.add(.reshape, [c], [d], [0: .ints([Int32(1), 32])])
    (model.inputs, model.outputs) = ([input], [d])
    #expect(
      error(model)
        == ModelError(
          .unsupported,
          problems: [
            "FLOOR #0: the operator is not supported",
            "ADD #1: the fused activation tanh is not supported",
            "CUSTOM 'Mine' #2: the operator is not supported",
          ], hint: "'qcli ops' lists the supported operators and types"))
  }

  @Test func unsupportedTypesAreNamed() {
    var model = TFLiteModelBuilder()
    let input = model.tensor("x", .float64, [1, 4])
    let output = model.tensor("y", .float64, [1, 4])
    model.add(.relu, [input], [output])
    (model.inputs, model.outputs) = ([input], [output])
    #expect(error(model)?.kind == .unsupported)
    #expect(error(model)?.problems.first == "RELU #0: tensor 0 'x' is float64, supported is float32")
  }

  @Test func freeAxesOtherThanTheBatchAreRefused() {
    var model = TFLiteModelTests.dense()
    model.tensors[0].signature = [1, -1]
    #expect(
      error(model)?.problems.first == "tensor 0 'input' has a free axis that is not the batch axis: [1, -1]")
  }
}
