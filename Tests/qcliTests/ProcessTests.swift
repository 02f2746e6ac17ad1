import Foundation
import QModel
import Testing

/// The program as a process: what the tests inside this process cannot see.
@Suite struct ProcessTests {
  /// The executable beside the test bundle, nil when it was not built.
  static let program: String? = {
    var folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    for _ in 0..<4 {
      let path = folder.appendingPathComponent("qcli").path
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue { return path }
      folder.deleteLastPathComponent()
    }
    return nil
  }()

  private func run(_ arguments: [String], output: FileHandle? = nil) throws -> (
    code: Int32, output: String, error: String
  ) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try #require(Self.program))
    process.arguments = arguments
    let (outputPipe, errorPipe) = (Pipe(), Pipe())
    process.standardOutput = output ?? outputPipe
    process.standardError = errorPipe
    try process.run()
    if output == nil { try? outputPipe.fileHandleForWriting.close() }
    let text = output == nil ? outputPipe.fileHandleForReading.readDataToEndOfFile() : Data()
    let error = errorPipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: error, as: UTF8.self))
  }

  @Test(.enabled(if: program != nil, "the executable is not beside the tests"))
  func exitCodesReachTheShell() throws {
    let version = try run(["--version"])
    #expect(version.code == 0)
    #expect(version.output == QModelInfo.version + "\n")
    #expect(version.error == "")
    let nonsense = try run(["nonsense"])
    #expect(nonsense.code == 64)
    #expect(nonsense.output == "")
    #expect(nonsense.error.hasPrefix("Error: Unknown subcommand 'nonsense'\n"))
    let missing = try run(["inspect", "/no/such/file"])
    #expect(missing.code == 66)
    #expect(missing.error == "Error: /no/such/file: no such file; check the path\n")
  }

  @Test(.enabled(if: program != nil, "the executable is not beside the tests"))
  func aFullDiskIsAFailure() throws {
    let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
    let outcome = try run(["--help"], output: full)
    #expect(outcome.code == 1)
    #expect(outcome.error == "Error: standard output: cannot be written\n")
  }

  @Test(.enabled(if: program != nil, "the executable is not beside the tests"))
  func foundationIsNotLoaded() throws {
    let program = try #require(Self.program)
    guard let tool = try runTool(["ldd", program], in: "/"), tool.code == 0 else { return }
    #expect(tool.output.contains("libswiftCore") || tool.output.contains("libc"))
    #expect(!tool.output.contains("Foundation"))
  }
}
