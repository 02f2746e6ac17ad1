import Testing

@testable import QModel

@Suite struct ProtobufReaderTests {
  private func reader(_ bytes: [UInt8]) -> ProtobufReader {
    ProtobufReader(bytes[...], messageName: "Test")
  }

  @Test(arguments: [0, 1, 127, 128, 300, 1 << 31, 1 << 62, Int64.max, -1, Int64.min])
  func varintRoundTrips(value: Int64) throws {
    var source = reader(ProtobufWriter.message { $0.int(3, value) })
    let field = try #require(try source.nextField())
    #expect(field.number == 3 && field.wireType == .varint && field.offset == 0)
    #expect(try source.int64(field) == value)
    #expect(try source.nextField() == nil)
  }

  @Test(
    arguments: [
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],  // bit 64
      [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],  // eleven bytes
      [0x80],  // cut off
      [],
    ] as [[UInt8]])
  func badVarintIsRefused(bytes: [UInt8]) throws {
    var source = reader([0x08] + bytes)
    let field = try #require(try source.nextField())
    #expect(throws: ModelError.self) { try source.int64(field) }
  }

  @Test(
    arguments: [
      [0x00],  // field number 0
      [0x0B], [0x0C], [0x0E], [0x0F],  // groups and wire types that do not exist
      [0x80, 0x80, 0x80, 0x80, 0x10, 0x00],  // a tag above 32 bits
    ] as [[UInt8]])
  func badTagIsRefused(bytes: [UInt8]) {
    var source = reader(bytes)
    #expect(throws: ModelError.self) { try source.nextField() }
  }

  @Test func repeatedNumbersArePackedOrNot() throws {
    let integers: [Int64] = [0, -1, 5, .max, .min]
    let floats: [Float] = [0, -1.5, .infinity]
    let doubles: [Double] = [0.1, -2]
    let bytes = ProtobufWriter.message { writer in
      writer.packedInts(1, integers)
      integers.forEach { writer.int(1, $0) }
      writer.packedFloats(2, floats)
      floats.forEach { writer.float(2, $0) }
      writer.packedDoubles(3, doubles)
      doubles.forEach { writer.double(3, $0) }
      writer.packedInts(4, [7, -7])
      writer.int(4, 1 << 32 | 9)
    }
    var source = reader(bytes)
    var readIntegers: [Int64] = []
    var readFloats: [Float] = []
    var readDoubles: [Double] = []
    var readNarrow: [Int32] = []
    while let field = try source.nextField() {
      switch field.number {
      case 1: try source.appendInt64s(field, to: &readIntegers)
      case 2: try source.appendFloats(field, to: &readFloats)
      case 3: try source.appendDoubles(field, to: &readDoubles)
      default: try source.appendInt32s(field, to: &readNarrow)
      }
    }
    #expect(readIntegers == integers + integers)
    #expect(readFloats == floats + floats)
    #expect(readDoubles == doubles + doubles)
    #expect(readNarrow == [7, -7, 9])
  }

  @Test func packedNumbersMustFillTheirBytes() throws {
    for field in 1...3 {
      var source = reader(ProtobufWriter.message { $0.data(field, [1, 2, 0x80]) })
      let tag = try #require(try source.nextField())
      var integers: [Int64] = []
      var floats: [Float] = []
      var doubles: [Double] = []
      #expect(throws: ModelError.self) {
        switch field {
        case 1: try source.appendInt64s(tag, to: &integers)
        case 2: try source.appendFloats(tag, to: &floats)
        default: try source.appendDoubles(tag, to: &doubles)
        }
      }
    }
  }

  @Test func anEmbeddedMessageCannotLeaveItsParent() throws {
    // An outer message of 3 bytes whose inner field claims 200.
    var source = reader([0x0A, 0x03, 0x0A, 0xC8, 0x01, 0xFF, 0xFF])
    let outer = try #require(try source.nextField())
    var inner = try source.message(outer, named: "Inner")
    let field = try #require(try inner.nextField())
    #expect(throws: ModelError.self) { try inner.data(field) }
  }

  @Test func aHugeLengthIsRefused() throws {
    var source = reader([0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01])
    let field = try #require(try source.nextField())
    #expect(throws: ModelError.self) { try source.skip(field) }
  }

  @Test func theWrongWireTypeIsRefused() throws {
    let bytes = ProtobufWriter.message { $0.float(1, 1) }
    var source = reader(bytes)
    let field = try #require(try source.nextField())
    #expect(throws: ModelError.self) { try source.int64(field) }
    #expect(throws: ModelError.self) { try source.string(field) }
    var doubles: [Double] = []
    #expect(throws: ModelError.self) { try source.appendDoubles(field, to: &doubles) }
    #expect(try source.float(field) == 1)
  }

  @Test func textMustBeUTF8() throws {
    var source = reader([0x0A, 0x02, 0xC3, 0x28])
    let field = try #require(try source.nextField())
    #expect(throws: ModelError.self) { try source.string(field) }
  }

  @Test func skippingStepsOverEachWireType() throws {
    let bytes = ProtobufWriter.message { writer in
      writer.int(9, 300)
      writer.double(9, 1)
      writer.string(9, "skipped")
      writer.float(9, 1)
      writer.int(1, 42)
    }
    var source = reader(bytes)
    for _ in 0..<4 {
      let field = try #require(try source.nextField())
      try source.skip(field)
    }
    let last = try #require(try source.nextField())
    #expect(try source.int64(last) == 42)
  }
}
