import Foundation
import Testing

@testable import QModel

@Suite struct ONNXConstantTests {
  private func decoded(_ tensor: ONNXTensorWriter, folder: String? = nil) throws -> ONNXConstant {
    let message = try TensorProto(bytes: tensor.bytes)
    return try ONNXConstant(message, externalData: folder.map { ONNXExternalData(folder: $0) })
  }

  /// Each element type in its raw form, its typed form, and the values both stand for.
  private static let integerForms: [(type: Int64, raw: [UInt8], typed: ONNXTensorWriter.Storage, values: [Int64])] = [
    (2, [0, 255], .int32s([0, 255]), [0, 255]),
    (3, [0x80, 0x7F], .int32s([-128, 127]), [-128, 127]),
    (4, [0xFF, 0xFF, 1, 0], .int32s([65535, 1]), [65535, 1]),
    (5, [0x00, 0x80, 1, 0], .int32s([-32768, 1]), [-32768, 1]),
    (6, [0, 0, 0, 0x80, 1, 0, 0, 0], .int32s([-1 << 31, 1]), [-1 << 31, 1]),
    (7, ONNXTensorWriter.rawBytes([Int64.min, .max]), .int64s([.min, .max]), [.min, .max]),
    (9, [0, 7], .int32s([0, 1]), [0, 1]),
    (12, [0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0], .uint64s([1 << 32 - 1, 1]), [1 << 32 - 1, 1]),
    (13, ONNXTensorWriter.rawBytes([Int64.max, 1]), .uint64s([.max, 1]), [.max, 1]),
    (21, [0x8F], .int32s([0x8F]), [15, 8]),
    (22, [0x8F], .int32s([0x8F]), [-1, -8]),
  ]

  @Test func integersAreReadFromBothForms() throws {
    for form in Self.integerForms {
      let raw = try decoded(ONNXTensorWriter("t", [2], type: form.type, .raw(form.raw)))
      let typed = try decoded(ONNXTensorWriter("t", [2], type: form.type, form.typed))
      #expect(raw.integers == form.values, "type \(form.type)")
      #expect(typed == raw, "type \(form.type)")
      #expect(raw.elementType.rawValue == Int32(form.type))
      let range = try #require(raw.elementType.integerRange)
      #expect(form.values.allSatisfy { range.contains($0) }, "type \(form.type)")
    }
  }

  @Test func floatsAreReadFromAllForms() throws {
    let values: [Float] = [1.5, -0.25, 0, 65504]
    let halves = values.map { Float16($0).bitPattern }
    let bfloats = values.map { UInt16($0.bitPattern >> 16) }
    let forms: [ONNXTensorWriter] = [
      ONNXTensorWriter("t", [4], values),
      ONNXTensorWriter("t", [4], type: 1, .floats(values)),
      ONNXTensorWriter("t", [4], type: 1, .unpackedFloats(values)),
      ONNXTensorWriter("t", [4], type: 11, .doubles(values.map { Double($0) })),
      ONNXTensorWriter("t", [4], type: 11, .raw(ONNXTensorWriter.rawBytes(values.map { Double($0).bitPattern }))),
      ONNXTensorWriter("t", [4], type: 10, .raw(ONNXTensorWriter.rawBytes(halves))),
      ONNXTensorWriter("t", [4], type: 10, .int32s(halves.map { Int64($0) })),
      ONNXTensorWriter("t", [4], type: 10, .unpackedInt32s(halves.map { Int64($0) })),
    ]
    for (index, form) in forms.enumerated() {
      #expect(try decoded(form).floats == values, "form \(index)")
    }
    let coarse = bfloats.map { Float(bitPattern: UInt32($0) << 16) }
    #expect(
      try decoded(ONNXTensorWriter("t", [4], type: 16, .raw(ONNXTensorWriter.rawBytes(bfloats)))).floats == coarse)
    #expect(try decoded(ONNXTensorWriter("t", [4], type: 16, .int32s(bfloats.map { Int64($0) }))).floats == coarse)
  }

  /// All finite float16 values against a second formula.
  @Test func everyHalfIsExact() throws {
    let bits = (0...UInt16.max).filter { $0 & 0x7C00 != 0x7C00 }
    let tensor = ONNXTensorWriter("t", [Int64(bits.count)], type: 10, .raw(ONNXTensorWriter.rawBytes(bits)))
    let expected = bits.map { bits -> Float in
      let exponent = Int(bits >> 10 & 31)
      let fraction = Double(bits & 1023) / 1024
      let magnitude = exponent == 0 ? fraction * pow(2, -14) : (1 + fraction) * pow(2, Double(exponent - 15))
      return Float(bits >> 15 == 1 ? -magnitude : magnitude)
    }
    #expect(try decoded(tensor).floats == expected)
  }

  @Test func aScalarAndAnEmptyTensorAreAllowed() throws {
    #expect(try decoded(ONNXTensorWriter("t", [], [2.5])).shape == [])
    #expect(try decoded(ONNXTensorWriter("t", [0, 3], [])).elements == .floats([]))
    #expect(try decoded(ONNXTensorWriter("t", [0], type: 7, .none)).integers == [])
  }

  @Test(arguments: [
    ONNXTensorWriter("t", [3], [1, 2]),
    ONNXTensorWriter("t", [1], [1, 2]),
    ONNXTensorWriter("t", [3], type: 1, .floats([1, 2])),
    ONNXTensorWriter("t", [3], type: 22, .int32s([1])),
    ONNXTensorWriter("t", [1], type: 1, .none),
    ONNXTensorWriter("t", [-1], [1]),
    ONNXTensorWriter("t", [Int64.max, 2], []),
    ONNXTensorWriter("t", [1 << 32, 0], []),
    ONNXTensorWriter("t", [1 << 31, 2], []),
    ONNXTensorWriter("t", [1], type: 0, .raw([1])),
    ONNXTensorWriter("t", [1], type: 8, .none),
    ONNXTensorWriter("t", [1], type: 14, .raw([0, 0, 0, 0, 0, 0, 0, 0])),
    ONNXTensorWriter("t", [1], type: 99, .raw([1])),
    ONNXTensorWriter("t", [1], type: 13, .raw([0, 0, 0, 0, 0, 0, 0, 0x80])),
    ONNXTensorWriter("t", [1], type: 13, .uint64s([-1])),
  ])
  func aTensorThatContradictsItselfIsRefused(tensor: ONNXTensorWriter) {
    #expect(throws: ModelError.self) { try decoded(tensor) }
  }
}

@Suite struct ONNXExternalDataTests {
  /// Makes a folder with a file `data/weights.bin` of the bytes 0, 1, 2, ... and runs `body` with its path.
  private func withFolder(byteCount: Int = 64, _ body: (String) throws -> Void) throws {
    let root = FileManager.default.temporaryDirectory.appendingPathComponent("onnx-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: root) }
    let folder = root.appendingPathComponent("model")
    try FileManager.default.createDirectory(
      at: folder.appendingPathComponent("data"), withIntermediateDirectories: true)
    let bytes = Data((0..<byteCount).map { UInt8($0 & 255) })
    try bytes.write(to: folder.appendingPathComponent("data/weights.bin"))
    try bytes.write(to: root.appendingPathComponent("outside.bin"))
    try FileManager.default.createSymbolicLink(
      at: folder.appendingPathComponent("link.bin"), withDestinationURL: root.appendingPathComponent("outside.bin"))
    try body(folder.path)
  }

  private func read(_ entries: [(String, String)], shape: [Int64] = [4], from folder: String) throws -> [Int64]? {
    let tensor = ONNXTensorWriter("w", shape, type: 2, .external(entries))
    let files = ONNXExternalData(folder: folder)
    return try ONNXConstant(TensorProto(bytes: tensor.bytes), externalData: files).integers
  }

  @Test func aRangeIsRead() throws {
    try withFolder { folder in
      let location = ("location", "data/weights.bin")
      try #expect(read([location], from: folder) == [0, 1, 2, 3])
      try #expect(read([location, ("offset", "60"), ("length", "4")], from: folder) == [60, 61, 62, 63])
      try #expect(read([location, ("offset", "64")], shape: [0], from: folder) == [])
      try #expect(read([location, ("checksum", "any")], from: folder) == [0, 1, 2, 3])
      try #expect(read([("location", "./data/weights.bin")], from: folder) == [0, 1, 2, 3])
    }
  }

  @Test(
    arguments: [
      [("location", "data/weights.bin"), ("offset", "61")],
      [("location", "data/weights.bin"), ("offset", "65")],
      [("location", "data/weights.bin"), ("offset", "-1")],
      [("location", "data/weights.bin"), ("offset", "9223372036854775807")],
      [("location", "data/weights.bin"), ("offset", "99999999999999999999")],
      [("location", "data/weights.bin"), ("length", "3")],
      [("location", "data/weights.bin"), ("length", "4x")],
      [("location", "data")],
      [("location", "missing.bin")],
      [("location", "../outside.bin")],
      [("location", "data/../../outside.bin")],
      [("location", "/etc/passwd")],
      [("location", "link.bin")],
      [("location", "")],
      [("offset", "0")],
      [],
    ] as [[(String, String)]])
  func anythingElseIsRefused(entries: [(String, String)]) throws {
    try withFolder { folder in
      #expect(throws: ModelError.self) { try read(entries, from: folder) }
    }
  }

  @Test func aModelWithoutFolderHasNoExternalData() throws {
    let tensor = ONNXTensorWriter("w", [4], type: 2, .external([("location", "weights.bin")]))
    #expect(throws: ModelError.self) { try ONNXConstant(TensorProto(bytes: tensor.bytes), externalData: nil) }
  }

  @Test func aSmallFileCannotBeMultiplied() throws {
    try withFolder { folder in
      let files = ONNXExternalData(folder: folder)
      let writer = ONNXTensorWriter("w", [64], type: 2, .external([("location", "data/weights.bin")]))
      let tensor = try TensorProto(bytes: writer.bytes)
      for _ in 0..<4 { _ = try ONNXConstant(tensor, externalData: files) }
      #expect(throws: ModelError.self) {
        for _ in 0..<4 { _ = try ONNXConstant(tensor, externalData: files) }
      }
    }
  }
}
