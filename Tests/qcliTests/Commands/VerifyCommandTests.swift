import QModel
import Testing

@testable import qcli

@Suite struct VerifyCommandTests {
  /// A length-delimited field of a protobuf message.
  private func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] { [number << 3 | 2, UInt8(bytes.count)] + bytes }

  /// A named float32 tensor.
  private func value(_ name: String, _ shape: [UInt8]) -> [UInt8] {
    let dimensions = shape.flatMap { field(1, [1 << 3, $0]) }
    return field(1, Array(name.utf8)) + field(2, field(1, [1 << 3, 1] + field(2, dimensions)))
  }

  /// An ONNX model with one operator, which takes `TinyModel`'s input.
  private func source(_ op: String, output shape: [UInt8]) -> [UInt8] {
    let node = field(1, Array("x".utf8)) + field(2, Array("y".utf8)) + field(4, Array(op.utf8))
    let graph = field(1, node) + field(11, value("x", [1, 2, 2, 2])) + field(12, value("y", shape))
    return [1 << 3, 8] + field(7, graph) + field(8, [2 << 3, 13])
  }

  @Test func outputsOfAnotherShapeAreRefused() throws {
    let folder = try TemporaryFolder()
    try writeFileAtomically(folder.file("m.qkm"), TinyModel.bytes())
    try writeFileAtomically(folder.file("same.onnx"), source("Relu", output: [1, 2, 2, 2]))
    try writeFileAtomically(folder.file("other.onnx"), source("GlobalAveragePool", output: [1, 2, 1, 1]))
    let array = NPYArray(shape: [1, 2, 2, 2], floats: (0..<8).map { Float($0) - 3 })
    try writeFileAtomically(folder.file("x.npy"), array.encoded())
    func verify(_ name: String) -> Outcome {
      qcli("verify", folder.file(name), folder.file("m.qkm"), "--input", folder.file("x.npy"))
    }
    #expect(verify("same.onnx").code == 0)
    let outcome = verify("other.onnx")
    #expect(outcome.code == 65)
    #expect(outcome.error.contains("its inputs and outputs are not those of"))
  }
}
