import Foundation
import Testing

@testable import qcli

@Suite struct OpsCommandTests {
  /// The README's tables are what the program prints.
  @Test func theReadmeHasTheTables() throws {
    let readme = try String(contentsOfFile: "\(GoldenModels.package)/README.md", encoding: .utf8)
    let outcome = qcli("ops", "--markdown")
    #expect(outcome.code == 0)
    #expect(
      readme.contains("\n\n\(outcome.output)\n</details>"),
      "paste what 'qcli ops --markdown' prints into the README, between <details> and </details>")
    #expect(outcome.output.contains("\n| Conv | 7 | all tensors |\n"))
    #expect(outcome.output.contains("\n| Equal | 7 | constants |\n"))
    #expect(outcome.output.contains("\n| CONV_2D | int8, int16 |\n"))
  }

  @Test func theTextNamesTheSameOperators() {
    func names(_ text: String, _ row: (Substring) -> String?) -> [String] {
      text.split(separator: "\n").compactMap(row)
    }
    let plain = names(qcli("ops").output) { $0.split(separator: " ").first.map(String.init) }
    let tables = names(qcli("ops", "--markdown").output) { line in
      line.hasPrefix("| ") ? line.split(separator: " ").dropFirst().first.map(String.init) : nil
    }
    #expect(plain == tables && plain.count > 100)
  }
}
