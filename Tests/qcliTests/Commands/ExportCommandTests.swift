import Foundation
import QKernels
import QModel
import Testing

@testable import qcli

/// Runs a program of the machine; nil when it is not there.
func runTool(_ arguments: [String], in folder: String) throws -> (code: Int32, output: String)? {
  guard let path = ProcessInfo.processInfo.environment["PATH"] else { return nil }
  let program = path.split(separator: ":").map { "\($0)/\(arguments[0])" }.first {
    FileManager.default.isExecutableFile(atPath: $0)
  }
  guard let program else { return nil }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: program)
  process.arguments = Array(arguments.dropFirst())
  process.currentDirectoryURL = URL(fileURLWithPath: folder)
  let pipe = Pipe()
  process.standardOutput = pipe
  process.standardError = pipe
  try process.run()
  let output = pipe.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

@Suite struct ExportCommandTests {
  let folder: TemporaryFolder
  let model: String

  init() throws {
    folder = try TemporaryFolder()
    model = folder.file("m.qkm")
    try writeFileAtomically(model, TinyModel.bytes())
  }

  private func text(_ name: String) throws -> String {
    String(decoding: try readFile(folder.file(name)), as: UTF8.self)
  }

  @Test func theHeader() throws {
    #expect(qcli("export", model, "--c", folder.file("out"), "--name", "tiny").code == 0)
    #expect(
      try text("out/tiny.h") == """
        /* Made by qcli export; do not edit.
         *
         *   static _Alignas(QK_ALIGNMENT) unsigned char arena[TINY_ARENA_BYTES];
         *   qk_model_verify_with(tiny_bytes, TINY_BYTES, tiny_kernels, TINY_KERNEL_COUNT);
         *   qk_init_with(&context, tiny_bytes, arena, sizeof arena, state, TINY_STATE_BYTES, tiny_kernels,
         *                TINY_KERNEL_COUNT);
         */
        #ifndef TINY_H
        #define TINY_H

        #include "qkernels.h"

        #if QK_FORMAT_VERSION != 1
        #error "this model needs a library of format version 1"
        #endif

        #ifdef __cplusplus
        extern "C" {
        #endif

        /* Size of the model, of the working memory of a run and of the state kept between runs. */
        #define TINY_BYTES \(TinyModel.bytes().count)
        #define TINY_ARENA_BYTES 256
        #define TINY_STATE_BYTES 0

        /* input 0, "serving/x:0": int8 [1][2][2][2], real = 0.5 * (q - 3) */
        #define TINY_INPUT0_BYTES 8

        /* output 0, "y": int8 [1][2][2][2], real = 1.0 * (q - 0) */
        #define TINY_OUTPUT0_BYTES 8

        /* The model file, aligned for use in place. */
        extern const unsigned char tiny_bytes[TINY_BYTES];

        /* The kernels that the model uses. A program that names no others contains no others. */
        #define TINY_KERNEL_COUNT 1
        extern const qk_kernel tiny_kernels[];

        #ifdef __cplusplus
        }
        #endif
        #endif

        """)
  }

  @Test func theBytesAreThoseOfTheFile() throws {
    #expect(qcli("export", model, "--c", folder.file("out")).code == 0)
    let source = try text("out/model.c")
    let body = try #require(source.split(separator: "{\n")[2].split(separator: "}").first)
    #expect(body.split { $0 == "," || $0 == "\n" }.compactMap { UInt8($0) } == TinyModel.bytes())
    #expect(source.split(separator: "\n").allSatisfy { $0.utf8.count <= 120 })
  }

  /// The folder of qkernels.h.
  private static let include: String = {
    let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).dropFirst().joined(separator: "/")
    return "/\(root)/Sources/QKernels/CABI/include"
  }()

  @Test(arguments: [["cc", "-std=c11", "main.c"], ["c++", "-std=c++17", "main.cpp"]])
  func compilersTakeIt(compiler: [String]) throws {
    #expect(qcli("export", model, "--c", folder.file("out")).code == 0)
    try Data(
      """
      #include "model.h"
      int main(void);
      int main(void) {
        return MODEL_ARENA_BYTES == 256 && sizeof model_bytes == MODEL_BYTES ? (int)model_kernels[0].code : 0;
      }

      """.utf8
    ).write(to: URL(fileURLWithPath: folder.file("out/\(compiler[2])")))
    let options = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I", Self.include, "-c"]
    // A machine without compilers skips this; the continuous integration has them.
    guard let array = try runTool(["cc", "-std=c11"] + options + ["model.c"], in: folder.file("out")) else { return }
    #expect(array.code == 0, "\(array.output)")
    guard let host = try runTool(compiler + options, in: folder.file("out")) else { return }
    #expect(host.code == 0, "\(host.output)")
  }

  @Test func kernelsHaveTheNamesOfTheHeader() throws {
    let header = String(decoding: try readFile(Self.include + "/qkernels.h"), as: UTF8.self)
    var count = 0
    for code in (1...UInt32(1000)).compactMap({ OpCode(rawValue: $0) }) {
      #expect(header.contains("  X(\(code.rawValue), \(CExport.kernelName(code)))"), "\(code)")
      count += 1
    }
    #expect(count == header.split(separator: "\n").filter { $0.hasPrefix("  X(") }.count)
  }

  @Test func refusals() throws {
    #expect(qcli("export", model).code == 64)
    #expect(qcli("export", model, "--c", folder.file("out"), "--name", "1st").code == 64)
    #expect(qcli("export", model, "--c", folder.file("out"), "--name", "a b").code == 64)
    #expect(qcli("export", folder.file("none"), "--c", folder.file("out")).code == 66)
    #expect(qcli("export", model, "--c", folder.file("none/out")).code == 1)
    #expect(qcli("export", model, "--c", model).code == 1)
    #expect(folder.names == ["m.qkm"])
  }
}
