import QKernels
import Testing

@testable import qcli

@Suite struct InstructionSetTests {
  private func chosen(_ value: String?) throws -> InnerSet {
    try chosenInstructionSet { $0 == "QK_ISA" ? value : nil }
  }

  @Test func theFastestUnlessOneIsNamed() throws {
    #expect(try chosen(nil) == .best)
    #expect(try chosen("") == .best)
    #expect(try chosen("scalar") == .scalar)
    #expect(try chosen("\(InnerSet.best.name)") == .best)
  }

  @Test func othersAreRefused() throws {
    for name in ["sclar", "neon-on-x86", "AVX2"] {
      do {
        _ = try chosen(name)
        Issue.record("\(name) was accepted")
      } catch let failure as CommandFailure {
        #expect(failure.code == .usage)
        #expect(
          failure.message.hasPrefix("The environment variable QK_ISA is '\(name)', expected one of this machine's"))
        #expect(failure.message.contains(" scalar"))
      }
    }
  }
}
