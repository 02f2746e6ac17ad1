import Foundation
import QKernels
import QModel
import Testing

@testable import qcli

@Suite struct BenchCommandTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.file("m.qkm")
    try writeFileAtomically(model, TinyModel.bytes())
  }

  @Test func json() throws {
    let outcome = qcli("bench", model, "--runs", "25", "--json")
    #expect(outcome.code == 0)
    #expect(outcome.error == "")
    let object = try #require(
      try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    let (low, median, high) = (object["min_us"] as? Double, object["median_us"] as? Double, object["max_us"] as? Double)
    #expect(try #require(low) <= #require(median))
    #expect(try #require(median) <= #require(high))
    #expect(object["runs"] as? Int == 25)
    #expect(object["isa"] as? String == "\(InnerSet.best.name)")
    #expect(object["macs"] as? Int == 48)
    #expect(object["arena_bytes"] as? Int == 256)
    #expect(object["state_bytes"] as? Int == 0)
    #expect(object["workspace_bytes"] as? Int == 0)
    let ops = try #require(object["ops"] as? [[String: Any]])
    #expect(ops.map { $0["name"] as? String } == ["h", "y"])
    #expect(ops.map { $0["macs"] as? Int } == [24, 24])
    #expect(ops.allSatisfy { ($0["median_us"] as? Double ?? -1) >= 0 })
  }

  @Test func text() {
    let plain = qcli("bench", model, "--runs", "3")
    #expect(plain.code == 0)
    #expect(plain.output.hasPrefix("\(model) on \(InnerSet.best.name), 3 runs\n\n  median "))
    #expect(!plain.output.contains("fullyConnected"))
    let perOp = qcli("bench", model, "--runs", "3", "--per-op")
    #expect(perOp.output.split(separator: "\n").filter { $0.contains("fullyConnected") }.count == 2)
  }

  @Test func refusals() {
    #expect(qcli("bench", model, "--runs", "0").code == 64)
    #expect(qcli("bench", folder.file("none")).code == 66)
  }

  @Test func medians() {
    #expect(Measurement.median([]) == 0)
    #expect(Measurement.median([5]) == 5)
    #expect(Measurement.median([1, 2, 9]) == 2)
    #expect(Measurement.median([1, 2, 4, 9]) == 3)
  }
}
