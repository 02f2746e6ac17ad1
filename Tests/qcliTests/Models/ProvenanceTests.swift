import QModel
import Testing

@testable import qcli

@Suite struct ProvenanceTests {
  private func samples(_ values: [Float]) throws -> SampleArrays {
    let folder = try TemporaryFolder()
    try writeFileAtomically(folder.file("x.npy"), NPYArray(shape: [values.count / 2, 2], floats: values).encoded())
    return try SampleArrays(
      [folder.file("x.npy")], option: "--calibration", names: ["x"],
      layouts: [SampleLayout(shape: [2], batchAxis: nil)], types: [.float32], isRaw: false)
  }

  @Test func theOrderOfSamplesDoesNotCount() throws {
    let a = digest(of: try samples([1, 2, 3, 4, 5, 6]))
    #expect(a == digest(of: try samples([5, 6, 1, 2, 3, 4])))
    #expect(a != digest(of: try samples([2, 1, 3, 4, 5, 6])))
    #expect(a != digest(of: try samples([1, 2, 3, 4])))
    #expect(digest(of: try samples([1, 2, 1, 2])) != digest(of: try samples([])))
  }

  @Test func oneSampleHasItsOwnDigest() throws {
    // 1.0 and 2.0 as little-endian binary32.
    #expect(digest(of: try samples([1, 2])) == SHA256.digest([0, 0, 0x80, 0x3F, 0, 0, 0, 0x40]))
  }

  @Test func theText() throws {
    let calibration = try samples([1, 2])
    #expect(
      provenance(model: [], calibration: calibration, method: .mse) == """
        made by: QKernels \(QModelInfo.version)
        model sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
        calibration: 1 samples, mse
        calibration digest: \(hexadecimal(digest(of: calibration)))

        """)
    #expect(
      provenance(model: [], calibration: nil, method: .minmax).split(separator: "\n").count == 2)
  }
}
