import Foundation
import QKernels
import QModel
import Testing

@testable import qcli

@Suite struct InspectCommandTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.file("m.qkm")
    try writeFileAtomically(model, TinyModel.bytes())
  }

  @Test func text() {
    let outcome = qcli("inspect", model)
    #expect(outcome.code == 0)
    #expect(outcome.error == "")
    #expect(
      outcome.output.replacingOccurrences(of: folder.path + "/", with: "")
        == """
        m.qkm: .qkm of format version 1

          file   1,614  bytes
          arena    256  bytes
          state      0  bytes
          work      48  multiply-accumulates
          runs on instruction set \(InnerSet.best.name)
          made by a test

                  name         shape    type  scale  zero point
          input   serving/x:0  1x2x2x2  int8    0.5           3
          output  y            1x2x2x2  int8    1.0           0

          #  op              output   MACs  name
          0  fullyConnected  1x2x2x3    24  h
          1  fullyConnected  1x2x2x2    24  y

        """.replacingOccurrences(of: "1,614", with: grouped(TinyModel.bytes().count)))
  }

  @Test func json() throws {
    let outcome = qcli("inspect", "--json", model)
    #expect(outcome.code == 0)
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    #expect(object["arena_bytes"] as? Int == 256)
    #expect(object["state_bytes"] as? Int == 0)
    #expect(object["file_bytes"] as? Int == TinyModel.bytes().count)
    #expect(object["macs"] as? Int == 48)
    let inputs = try #require(object["inputs"] as? [[String: Any]])
    #expect(inputs.count == 1)
    #expect(inputs[0]["name"] as? String == "serving/x:0")
    #expect(inputs[0]["shape"] as? [Int] == [1, 2, 2, 2])
    #expect(inputs[0]["type"] as? String == "int8")
    #expect(inputs[0]["scale"] as? Double == 0.5)
    #expect(inputs[0]["zero_point"] as? Int == 3)
    let ops = try #require(object["ops"] as? [[String: Any]])
    #expect(ops.map { $0["name"] as? String } == ["h", "y"])
    #expect(ops.map { $0["code"] as? String } == ["fullyConnected", "fullyConnected"])
    #expect(ops.map { $0["macs"] as? Int } == [24, 24])
    #expect((object["outputs"] as? [[String: Any]])?[0]["name"] as? String == "y")
  }

  @Test func refusals() throws {
    #expect(qcli("inspect", folder.file("none")).code == 66)
    #expect(qcli("inspect", folder.path).code == 66)
    try writeFileAtomically(model, Array(TinyModel.bytes().dropLast()))
    let outcome = qcli("inspect", model)
    #expect(outcome.code == 65)
    #expect(
      outcome.error
        == "Error: \(model): not a usable model file: its size is not the one that its header gives\n")
    try writeFileAtomically(model, [])
    #expect(qcli("inspect", model).code == 65)
    try writeFileAtomically(model, Array("QKM2 from the future, long enough".utf8) + [UInt8](repeating: 0, count: 200))
    #expect(qcli("inspect", model).code == 65)
  }
}
