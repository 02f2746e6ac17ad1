import Testing

@testable import QModel

/// A file with the given dictionary, assembled here without the writer under test.
private func npy(_ dictionary: String, data: [UInt8] = [], version: (UInt8, UInt8) = (1, 0)) -> [UInt8] {
  let header = Array(dictionary.utf8)
  let length = [UInt8(header.count & 0xFF), UInt8(header.count >> 8)]
  return [0x93] + Array("NUMPY".utf8) + [version.0, version.1] + length + (version.0 == 1 ? [] : [0, 0]) + header + data
}

private func parse(_ bytes: [UInt8]) throws(NPYError) -> NPYArray { try NPYArray(parsing: bytes, path: "x.npy") }

private func problem(_ bytes: [UInt8]) -> NPYError.Problem? {
  do throws(NPYError) {
    _ = try parse(bytes)
    return nil
  } catch {
    return error.problem
  }
}

private func problem(header: String, data: [UInt8] = []) -> NPYError.Problem? { problem(npy(header, data: data)) }

@Suite struct NPYReaderTests {
  /// What `numpy.save` of numpy 2.4 wrote for `numpy.array([[1.5, -2, 3], [4, 5, 6e-3]], numpy.float32)`.
  static let saved: [UInt8] =
    [0x93] + Array("NUMPY".utf8) + [1, 0, 0x76, 0]
    + Array("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }".utf8)
    + [UInt8](repeating: 0x20, count: 58) + [0x0A]
    + [0, 0, 0xC0, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0x40, 0x40, 0, 0, 0x80, 0x40, 0, 0, 0xA0, 0x40, 0xA6, 0x9B, 0xC4, 0x3B]

  @Test func aFileOfNumpyIsRead() throws {
    let array = try parse(Self.saved)
    #expect(array.elementType == .float32)
    #expect(array.shape == [2, 3])
    #expect(array.count == 6)
    #expect(array.path == "x.npy")
    #expect(array.floats() == [1.5, -2, 3, 4, 5, 6e-3])
    #expect(array.floats(in: 2..<4) == [3, 4])
    #expect(array.integers(in: 0..<6) == nil)
  }

  @Test func theWriterWritesWhatNumpyWrites() throws {
    #expect(NPYArray(shape: [2, 3], floats: [1.5, -2, 3, 4, 5, 6e-3]).encoded() == Self.saved)
  }

  @Test(arguments: [
    (UInt8(1), "{'descr': '|i1', 'fortran_order': False, 'shape': (2,), }   \n"),
    (2, "{\"shape\": (2L,), \"fortran_order\": False, \"descr\": \"<i1\"}"),
    (3, " { 'descr' :'|i1','shape':( 2 , ) ,'fortran_order':False } \n"),
  ])
  func versionsAndSpellings(version: UInt8, header: String) throws {
    let array = try parse(npy(header, data: [0xFF, 0x7F], version: (version, 0)))
    #expect(array.shape == [2])
    #expect(array.integers(in: 0..<2) == [-1, 127])
  }

  @Test func shapesOfEveryRank() throws {
    #expect(try parse(npy("{'descr': '|u1', 'fortran_order': False, 'shape': ()}", data: [7])).floats() == [7])
    #expect(try parse(npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 5)}")).count == 0)
    let ones = "(" + String(repeating: "1, ", count: 32) + ")"
    #expect(
      try parse(npy("{'descr': '|u1', 'fortran_order': False, 'shape': \(ones)}", data: [7])).shape.count == 32)
  }

  @Test func everyElementTypeIsConverted() throws {
    func array(_ type: NPYElementType, _ bytes: [UInt8]) throws -> NPYArray {
      let count = bytes.count / type.byteCount
      return try parse(
        npy("{'descr': '\(type.descriptor)', 'fortran_order': False, 'shape': (\(count),)}", data: bytes))
    }
    #expect(try array(.float16, [0x00, 0x3C, 0x00, 0xC0]).floats() == [1, -2])
    #expect(try array(.float64, [0, 0, 0, 0, 0, 0, 0xF8, 0x3F]).floats() == [1.5])
    #expect(try array(.int8, [0x80]).floats() == [-128])
    #expect(try array(.uint8, [0xFF]).integers(in: 0..<1) == [255])
    #expect(try array(.int16, [0x00, 0x80, 0x01, 0x00]).integers(in: 0..<2) == [-32768, 1])
    #expect(try array(.int16, [0x00, 0x80]).floats() == [-32768])
    #expect(try array(.int32, [0xFE, 0xFF, 0xFF, 0xFF]).integers(in: 0..<1) == [-2])
    #expect(try array(.int32, [0xFE, 0xFF, 0xFF, 0xFF]).floats() == [-2])
    #expect(try array(.int64, [0, 0, 0, 0, 0, 0, 0, 0x80]).integers(in: 0..<1) == [Int64.min])
    #expect(try array(.int64, [3, 0, 0, 0, 0, 0, 0, 0]).floats() == [3])
  }

  @Test func nonFiniteValuesAreFound() throws {
    var values = [Float](repeating: 0, count: 10_000)
    #expect(NPYArray(shape: [10_000], floats: values).firstNonFiniteIndex() == nil)
    values[8_191] = .infinity
    values[9_000] = .nan
    #expect(NPYArray(shape: [10_000], floats: values).firstNonFiniteIndex() == 8_191)
    values[3] = .nan
    #expect(NPYArray(shape: [10_000], floats: values).firstNonFiniteIndex() == 3)
    #expect(NPYArray(shape: [1], int8: [1]).firstNonFiniteIndex() == nil)
  }

  @Test func halfFloatsEqualTheCompilersForEachOfThe65536() {
    #if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
      for bits in UInt16.min...UInt16.max {
        let expected = Float(Float16(bitPattern: bits))
        let found = Float(halfBits: bits)
        #expect(expected.isNaN ? found.isNaN : found.bitPattern == expected.bitPattern, "bits \(bits)")
      }
    #endif
  }

  // MARK: refusals

  @Test func otherFilesAreRefused() {
    #expect(problem([]) == .notNPY)
    #expect(problem(Array("PK\u{3}\u{4} archive".utf8)) == .notNPY)
    #expect(problem([0x93] + Array("NUMPZ".utf8) + [1, 0, 0, 0]) == .notNPY)
    #expect(problem(npy("{}", version: (4, 0))) == .version(major: 4, minor: 0))
    #expect(problem(npy("{}", version: (0, 0))) == .version(major: 0, minor: 0))
    #expect(problem(npy("{}", version: (1, 1))) == .version(major: 1, minor: 1))
  }

  @Test func orderAndTypeAreRefused() {
    func of(_ descriptor: String) -> NPYError.Problem? {
      problem(header: "{'descr': \(descriptor), 'fortran_order': False, 'shape': (1,)}", data: [0, 0, 0, 0])
    }
    #expect(of("'>f4'") == .bigEndian(descriptor: ">f4"))
    #expect(of("'|O'") == .objects(descriptor: "|O"))
    #expect(of("'|V4'") == .objects(descriptor: "|V4"))
    #expect(of("[('a', '<f4')]") == .objects(descriptor: "a list of fields"))
    #expect(of("'<U1'") == .elementType(descriptor: "<U1"))
    #expect(of("'<c8'") == .elementType(descriptor: "<c8"))
    #expect(of("'|b1'") == .elementType(descriptor: "|b1"))
    #expect(of("'|f4'") == .elementType(descriptor: "|f4"))
    #expect(of("'f4'") == .elementType(descriptor: "f4"))
    #expect(of("''") == .elementType(descriptor: ""))
    #expect(
      problem(header: "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", data: [0, 0, 0, 0]) == .fortranOrder)
  }

  @Test func sizesAreRefused() {
    func of(_ shape: String, _ data: Int) -> NPYError.Problem? {
      problem(
        header: "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape)}",
        data: [UInt8](repeating: 0, count: data))
    }
    #expect(of("(2,)", 7) == .dataSize(shape: [2], elementType: .float32, expectedBytes: 8, foundBytes: 7))
    #expect(of("(2,)", 9) == .dataSize(shape: [2], elementType: .float32, expectedBytes: 8, foundBytes: 9))
    #expect(of("(0,)", 4) == .dataSize(shape: [0], elementType: .float32, expectedBytes: 0, foundBytes: 4))
    #expect(of("()", 0) == .dataSize(shape: [], elementType: .float32, expectedBytes: 4, foundBytes: 0))
    #expect(of("(-1,)", 4) == .shape(text: "(-1,)"))
    #expect(of("(-1, -4)", 16) == .shape(text: "(-1, -4)"))
    #expect(of("(4611686018427387904,)", 0) == .shape(text: "(4611686018427387904,)"))
    #expect(of("(4294967296, 4294967296)", 0) == .shape(text: "(4294967296, 4294967296)"))
    #expect(of("(99999999999999999999,)", 0) == .shape(text: "99999999999999999999"))
    let deep = "(" + String(repeating: "1, ", count: 33) + ")"
    #expect(of(deep, 4) == .shape(text: npyShapeText([Int](repeating: 1, count: 33))))
  }

  @Test(arguments: [
    ("", "'{'"),
    ("[]", "'{'"),
    ("{", "a key"),
    ("{'descr", "a closed string"),
    ("{'descr' '<f4'}", "':'"),
    ("{'descr': <f4}", "a string"),
    ("{'descr': '<\\x66\\x34'}", "a plain string"),
    ("{'descr': '<f4' 'shape': ()}", "',' or '}'"),
    ("{'descr': '<f4', 'descr': '<f4'}", "each key once"),
    ("{'fortran_order': 0}", "True or False"),
    ("{'fortran_order': Fal", "True or False"),
    ("{'shape': 3}", "'(' of a shape"),
    ("{'shape': (3)}", "',' after the only extent"),
    ("{'shape': (3.0,)}", "',' after the only extent"),
    ("{'shape': (,)}", "an integer"),
    ("{'shape': (3, x)}", "an integer"),
    ("{'shape': (3, 4", "',' or ')'"),
    ("{'extra': 1}", "one of the keys 'descr', 'fortran_order', 'shape'"),
    ("{'fortran_order': False, 'shape': ()}", "a key 'descr'"),
    ("{'descr': '<f4', 'shape': ()}", "a key 'fortran_order'"),
    ("{'descr': '<f4', 'fortran_order': False}", "a key 'shape'"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': ()} + 1", "nothing but spaces after the dictionary"),
  ])
  func malformedHeaders(header: String, expected: String) {
    guard case .header(_, let found)? = problem(header: header, data: [0, 0, 0, 0]) else {
      Issue.record("\(header): \(String(describing: problem(header: header)))")
      return
    }
    #expect(found == expected)
  }

  @Test func thePlaceOfAnErrorIsNamed() {
    #expect(
      problem(header: "{'descr': 5}") == .header(offset: 20, expected: "a string"))
  }

  @Test func eachPrefixIsRefused() {
    for count in 0..<Self.saved.count {
      #expect(problem(Array(Self.saved[..<count])) != nil, "\(count) bytes were accepted")
    }
  }

  @Test func eachFlippedHeaderByteIsReadOrRefused() {
    var accepted = 0
    for index in 0..<128 {
      for bit in 0..<8 {
        var bytes = Self.saved
        bytes[index] ^= 1 << UInt8(bit)
        guard let array = try? parse(bytes) else { continue }
        accepted += 1
        #expect(array.count * array.elementType.byteCount == 24, "byte \(index), bit \(bit)")
      }
    }
    // Padding may turn into other white space, and '<f4' into '<i4'; nothing else survives.
    #expect(accepted < 150)
  }

  @Test func messagesNameFileExpectationAndNextStep() {
    func text(_ problem: NPYError.Problem) -> String { NPYError(path: "d/x.npy", problem: problem).description }
    #expect(
      text(.bigEndian(descriptor: ">f4"))
        == "d/x.npy: big-endian elements ('>f4'), expected little-endian; save x.astype(x.dtype.newbyteorder('<'))")
    #expect(
      text(.fortranOrder)
        == "d/x.npy: column-major order (fortran_order is True), expected C order; save numpy.ascontiguousarray(x)")
    #expect(
      text(.dataSize(shape: [2, 3], elementType: .int16, expectedBytes: 12, foundBytes: 4))
        == "d/x.npy: int16 of shape (2, 3) needs 12 bytes of data, the file has 4; the file was cut off, copy it again")
    #expect(
      text(.elementType(descriptor: "<u2"))
        == "d/x.npy: element type '<u2', expected one of float16, float32, float64, int8, uint8, int16, int32, int64;"
        + " save x.astype(numpy.float32)")
    #expect(
      text(.shape(text: "(-1,)"))
        == "d/x.npy: impossible shape (-1,), expected up to 32 extents of 0 or more whose product fits the file;"
        + " write it again with numpy.save")
  }
}

@Suite struct NPYWriterTests {
  @Test(arguments: [[], [0], [1], [5], [2, 3], [1, 1, 1, 1], [123_456, 0], [3, 0, 2]])
  func shapesComeBack(shape: [Int]) throws {
    let count = shape.reduce(1, *)
    let array = NPYArray(shape: shape, int16: (0..<count).map { Int16($0) - 2 })
    let file = array.encoded()
    let back = try parse(file)
    #expect(back.shape == shape)
    #expect(back.elementType == .int16)
    #expect(back.integers(in: 0..<count) == (0..<count).map { Int64($0) - 2 })
    #expect((file.count - 2 * count) % 64 == 0)
    #expect(back.encoded() == file)
  }

  @Test func everyMakerSetsItsType() throws {
    #expect(try parse(NPYArray(shape: [1], int8: [-5]).encoded()).integers(in: 0..<1) == [-5])
    #expect(try parse(NPYArray(shape: [1], int32: [1 << 30]).encoded()).integers(in: 0..<1) == [1 << 30])
    #expect(try parse(NPYArray(shape: [1], floats: [.pi]).encoded()).floats() == [.pi])
  }
}
