import Testing

@testable import QModel

@Suite struct FlatBufferReaderTests {
  @Test func readsEveryKindOfField() throws {
    let root = FlatTable([
      0: .int(Int8(-5)), 1: .int(UInt16(65_000)), 2: .int(Int64.min), 3: .float(1.5), 5: .string("name"),
      6: .ints([Int32(-1), 7]), 7: .floats([0.25, -8]), 8: .tables([FlatTable([0: .int(Int32(9))]), FlatTable()]),
      9: .int(UInt8(2)), 10: .table(FlatTable([1: .bool(true)])), 11: .ints([Int64.max, -2]),
      12: .vector([1, 2, 3], elementSize: 1),
    ])
    let table = try FlatBufferReader(FlatBufferWriter(root: root, identifier: "TEST").bytes).root(identifier: "TEST")
    #expect(try table.integer(0, default: Int8(0)) == -5)
    #expect(try table.integer(1, default: UInt16(0)) == 65_000)
    #expect(try table.integer(2, default: Int64(0)) == .min)
    #expect(try table.float(3, default: 0) == 1.5)
    #expect(try table.integer(4, default: Int32(42)) == 42)
    #expect(try table.string(5) == "name")
    #expect(try table.integers(6, of: Int32.self) == [-1, 7])
    #expect(try table.floats(7) == [0.25, -8])
    let values = try table.tables(8, "items") { (item, index) throws(FlatBufferError) in
      try item.integer(0, default: Int32(index))
    }
    #expect(values == [9, 1])
    let union = try #require(try table.union(9))
    #expect(union.tag == 2)
    #expect(try union.table.bool(1, default: false))
    #expect(try table.integers(11, of: Int64.self) == [.max, -2])
    #expect(try table.byteVector(12)?.count == 3)
    #expect(try table.string(99) == nil)
    #expect(try table.integers(4, of: Int8.self) == nil)
  }

  @Test func wrongIdentifierIsRefused() {
    let bytes = FlatBufferWriter(root: FlatTable(), identifier: "ABCD").bytes
    #expect(throws: FlatBufferError(byteOffset: 4, problem: "expected the file identifier 'TFL3'")) {
      _ = try FlatBufferReader(bytes).root(identifier: "TFL3")
    }
  }

  @Test func sharedTablesExhaustTheBudget() throws {
    // 2,000 offsets to one table whose vector has 40,000 numbers: 80 million numbers if all were decoded.
    let items = Array(repeating: FlatTable(), count: 2_000)
    var bytes = FlatBufferWriter(root: FlatTable([0: .tables(items)]), identifier: "TEST").bytes
    let vtable = bytes.count
    bytes += littleEndian([UInt16(6), 8, 4, 0])
    let table = bytes.count
    bytes += littleEndian([Int32(table - vtable), 4])
    bytes += littleEndian([UInt32(40_000)]) + [UInt8](repeating: 1, count: 160_000)
    let reader = FlatBufferReader(bytes)
    let elements = try reader.indirect(at: reader.indirect(at: 0) + 4) + 4
    for index in items.indices {
      let at = elements + 4 * index
      bytes.replaceSubrange(at..<(at + 4), with: littleEndian([UInt32(table - at)]))
    }
    let error = #expect(throws: FlatBufferError.self) {
      let root = try FlatBufferReader(bytes).root(identifier: "TEST")
      _ = try root.tables(0, "items") { (item, _) throws(FlatBufferError) in try item.integers(0, of: Int32.self) }
    }
    #expect(error?.problem == "the same bytes are shared too often for the file's size")
    #expect(error?.path.first?.hasPrefix("items[") == true)
  }

  /// A vector may claim up to 2^32 elements; nothing may be reserved or followed before it is checked.
  @Test(arguments: [UInt32(17), 0x7fff_ffff, 0xffff_ffff])
  func vectorsBeyondTheFileAreRefused(count: UInt32) throws {
    var bytes = FlatBufferWriter(root: FlatTable([0: .ints([Int32(1), 2, 3, 4])]), identifier: "TEST").bytes
    bytes.replaceSubrange((bytes.count - 20)..<(bytes.count - 16), with: littleEndian([count]))
    let root = try FlatBufferReader(bytes).root(identifier: "TEST")
    #expect(throws: FlatBufferError.self) { _ = try root.integers(0, of: Int32.self) }
    #expect(throws: FlatBufferError.self) { _ = try root.string(0) }
    #expect(throws: FlatBufferError.self) {
      _ = try root.tables(0, "items") { (_, _) throws(FlatBufferError) in 0 }
    }
  }
}

@Suite struct TFLiteModelTests {
  /// A dense layer with everything that the parser reads, in either place where buffers may stand.
  static func dense(externalBuffers: Bool = false) -> TFLiteModelBuilder {
    var model = TFLiteModelBuilder()
    model.externalBuffers = externalBuffers
    let input = model.tensor("input", .int8, [1, 4], .init(0.5, -3), signature: [-1, 4])
    let weights = model.tensor(
      "weights", .int8, [2, 4], .init(scales: [0.25, 0.125]), data: [1, 2, 3, 4, 255, 254, 253, 252])
    let bias = model.tensor(
      "bias", .int32, [2], .init(scales: [0.125, 0.0625]), data: littleEndian([Int32(100), -100]))
    let output = model.tensor("output", .int8, [1, 2], .init(0.75, 5), signature: [-1, 2])
    model.add(.fullyConnected, [input, weights, bias], [output], [0: .int(Int8(1)), 2: .bool(false)])
    (model.inputs, model.outputs) = ([input], [output])
    return model
  }

  @Test(arguments: [false, true])
  func parsesWhatTheBuilderWrites(externalBuffers: Bool) throws {
    let model = try TFLiteModel(parsing: Self.dense(externalBuffers: externalBuffers).bytes())
    #expect(model.tensors.map(\.name) == ["input", "weights", "bias", "output"])
    #expect(model.tensors.map(\.elementType) == [.int8, .int8, .int32, .int8])
    #expect(model.tensors.map(\.shape) == [[1, 4], [2, 4], [2], [1, 2]])
    #expect(model.tensors.map(\.shapeSignature) == [[-1, 4], nil, nil, [-1, 2]])
    #expect(model.tensors[1].quantization?.scales == [0.25, 0.125])
    #expect(model.tensors[3].quantization?.zeroPoints == [5])
    #expect(model.inputs == [0])
    #expect(model.outputs == [3])
    #expect(model.operators.count == 1)
    #expect(model.operators[0].code.name == "FULLY_CONNECTED")
    #expect(model.operators[0].inputs == [0, 1, 2])
    #expect(model.operators[0].outputs == [3])
    #expect(
      model.operators[0].options == .fullyConnected(activation: .relu, shuffledWeights: false, keepsDimensions: false))
    let weights = model.buffers[Int(model.tensors[1].buffer)]
    #expect(Array(model.bytes[weights]) == [1, 2, 3, 4, 255, 254, 253, 252])
    #expect(model.buffers[Int(model.tensors[0].buffer)].isEmpty)
  }

  @Test func codesBeyondTheOriginalByteAreRead() throws {
    var model = TFLiteModelBuilder()
    model.add(.gelu, [], [], [0: .bool(true)])
    model.operators.append(.init(code: 32, inputs: [], outputs: [], customCode: "Mine"))
    model.operators.append(.init(code: 9_999, inputs: [], outputs: []))
    let parsed = try TFLiteModel(parsing: model.bytes())
    #expect(parsed.operators.map(\.code.name) == ["GELU", "CUSTOM 'Mine'", "operator code 9999"])
    #expect(parsed.operators[0].options == .gelu(approximate: true))
  }

  @Test func optionsOfAnotherOperatorAreRefused() {
    var model = Self.dense()
    model.operators[0].optionsTag = 1
    let error = #expect(throws: FlatBufferError.self) { _ = try TFLiteModel(parsing: model.bytes()) }
    #expect(error?.problem == "expected options with tag 8 for FULLY_CONNECTED, found tag 1")
    #expect(error?.path == ["subgraphs[0]", "operators[0]"])
  }

  @Test func otherSchemaVersionsAreRefused() {
    var model = Self.dense()
    model.version = 2
    #expect(throws: FlatBufferError.self) { _ = try TFLiteModel(parsing: model.bytes()) }
  }

  @Test func buffersBehindTheFileAreRefused() {
    let bytes = Self.dense(externalBuffers: true).bytes()
    #expect(throws: FlatBufferError.self) { _ = try TFLiteModel(parsing: Array(bytes.dropLast())) }
  }

  @Test func everyBuiltinOperatorHasItsName() {
    // The names are a table by position, the codes an enumeration: one shifted line would break both ways.
    func words(_ text: String) -> String { text.lowercased().filter { $0 != "_" } }
    for op in TFLiteBuiltinOperator.allCases {
      #expect(words(TFLiteOperatorCode(builtinCode: op.rawValue).name) == words("\(op)"))
    }
    #expect(TFLiteOperatorCode(builtinCode: 207).name == "STABLEHLO_SHIFT_LEFT")
  }
}
