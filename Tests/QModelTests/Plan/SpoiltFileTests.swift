import Foundation
import QKernels
import Testing

@testable import QModel

/// Files that something spoilt: each is refused, or runs inside its memory.
struct SpoiltFileTests {
  /// Guard bytes around arena and state.
  static let guardCount = 256
  /// A flipped bit may ask for gigabytes or hours; such files are verified, not run.
  static let memoryLimit = 1 << 22

  /// Verifies a file, and runs it between guard bytes when it passes. Returns whether it passed.
  static func accepts(_ bytes: [UInt8]) -> Bool {
    let file = UnsafeMutableRawBufferPointer.allocate(byteCount: max(bytes.count, 1), alignment: 64)
    defer { file.deallocate() }
    file.copyBytes(from: bytes)
    guard let base = file.baseAddress, let plan = try? Plan(validating: base, byteCount: bytes.count) else {
      return false
    }
    guard plan.arenaByteCount <= memoryLimit, plan.stateByteCount <= memoryLimit else { return true }
    let arena = Guarded(plan.arenaByteCount), state = Guarded(plan.stateByteCount)
    let workspace = Guarded(plan.workspaceByteCount(.best))
    if let runner = try? PlanRunner(plan: plan, arena: arena.bytes, state: state.bytes, workspace: workspace.bytes) {
      runner.run()
      runner.reset()
      runner.run()
    }
    #expect(arena.isIntact && state.isIntact && workspace.isIntact, "a step wrote outside its memory")
    #expect(file.elementsEqual(bytes), "a step wrote into the file")
    return true
  }

  /// Memory between guard bytes.
  private final class Guarded {
    private let memory: UnsafeMutableRawBufferPointer
    let bytes: UnsafeMutableRawBufferPointer

    init(_ byteCount: Int) {
      memory = .allocate(byteCount: byteCount + 2 * guardCount, alignment: 64)
      memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
      bytes = UnsafeMutableRawBufferPointer(rebasing: memory[guardCount..<guardCount + byteCount])
    }

    deinit { memory.deallocate() }

    var isIntact: Bool {
      memory.prefix(guardCount).allSatisfy { $0 == 0xA5 } && memory.suffix(guardCount).allSatisfy { $0 == 0xA5 }
    }
  }

  static func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var copy = bytes
    let checksum = copy.withUnsafeBytes { file in
      file.baseAddress.map { CRC32.checksum($0 + 16, byteCount: file.count - 16) } ?? 0
    }
    withUnsafeBytes(of: checksum) { copy.replaceSubrange(12..<16, with: $0) }
    return copy
  }

  static let models: [[UInt8]] = (0..<3).compactMap { index in
    let graph: Graph? =
      switch index {
      case 0: SampleGraphs.everything(seed: 50, origin: .float)
      case 1: SampleGraphs.everything(seed: 51, origin: .quantizedTFLite)
      default: try? workspaceGraph()
      }
    guard let graph else { return nil }
    return try? CompiledModel(QuantizedGraph(graph), options: CompileOptions()).bytes
  }

  /// A network that asks for workspace, on instruction sets that have a use for it.
  private static func workspaceGraph() throws -> Graph {
    var g = SampleGraph(seed: 52, origin: .float)
    var x = g.input([1, 8, 8, 16])
    var conv = Conv2DOp()
    conv.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
    conv.activation = .relu
    for channels in [32, 16] {
      let w = g.weights([channels, 3, 3, channels == 32 ? 16 : 32], axis: 0)
      x = try g.node(.conv2D(conv), [x, w, g.bias(w, input: x)])[0]
    }
    g.graph.outputs = [x]
    return g.graph
  }

  @Test func aModelAsksForWorkspaceWhereTheSetHasAUse() throws {
    try #require(Self.models.count == 3)
    #expect(try VerifiedModel(bytes: Self.models[2]).workspaceByteCount(.scalar) == 0)
    #if arch(x86_64)
      if InnerSet.avx512VNNI.isAvailable {
        #expect(try VerifiedModel(bytes: Self.models[2]).workspaceByteCount(.avx512VNNI) > 2 * 32 * 16 * 72)
      }
    #endif
  }

  @Test func everyFlippedByteIsRefusedByTheChecksum() throws {
    let bytes = try #require(Self.models.first)
    #expect(Self.accepts(bytes))
    for index in stride(from: 0, to: bytes.count, by: max(1, bytes.count / 150)) {
      var copy = bytes
      copy[index] ^= 0x10
      #expect(!Self.accepts(copy), "byte \(index)")
    }
  }

  @Test func everyTruncatedFileIsRefused() throws {
    let bytes = try #require(Self.models.first)
    for count in Array(0..<300) + Array(stride(from: 300, to: bytes.count, by: 3989)) {
      #expect(!Self.accepts(Array(bytes[..<count])), "\(count) bytes")
      guard count >= 16 else { continue }
      // With a header that knows about it.
      var copy = Array(bytes[..<count])
      withUnsafeBytes(of: UInt32(count)) { copy.replaceSubrange(8..<12, with: $0) }
      #expect(!Self.accepts(Self.sealed(copy)), "\(count) bytes, resealed")
    }
  }

  /// Every byte of the tables, whose change the checksum confirms, with several changes each.
  @Test(arguments: 0..<3) func resealedFilesRunInsideTheirMemoryOrAreRefused(model: Int) throws {
    let bytes = Self.models[model]
    let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    var random = SplitMix64(seed: UInt64(model))
    let isFull = ProcessInfo.processInfo.environment["QK_FULL_TESTS"] != nil
    // Tables end where the names begin.
    let tables = 0..<Int(header.namesOffset)
    var refused = 0, ran = 0
    for index in stride(from: 0, to: tables.count, by: isFull ? 1 : 101) {
      for value in [bytes[index] &+ 1, bytes[index] ^ 0x80, 0, 0xFF, UInt8(truncatingIfNeeded: random.next())] {
        var copy = bytes
        if copy[index] == value { continue }
        copy[index] = value
        if Self.accepts(Self.sealed(copy)) { ran += 1 } else { refused += 1 }
      }
    }
    #expect(refused > ran / 4, "\(refused) refused, \(ran) ran: is anything verified?")
  }

  /// Constants hold weights, which may be anything, and multipliers, tables and lists, which may not.
  @Test(arguments: 0..<3) func resealedConstantsRunInsideTheirMemoryOrAreRefused(model: Int) throws {
    let bytes = Self.models[model]
    let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    var random = SplitMix64(seed: UInt64(100 + model))
    let rounds = ProcessInfo.processInfo.environment["QK_FULL_TESTS"] != nil ? 5000 : 60
    for _ in 0..<rounds {
      var copy = bytes
      for _ in 0..<8 {
        let index = Int(header.constantsOffset) + Int(random.next() % UInt64(header.constantsByteCount))
        copy[index] = UInt8(truncatingIfNeeded: random.next())
      }
      _ = Self.accepts(Self.sealed(copy))
    }
  }

  /// Whole words of the tables replaced by numbers that overflow sums and products.
  @Test(arguments: 0..<3) func extremeWordsRunInsideTheirMemoryOrAreRefused(model: Int) throws {
    let bytes = Self.models[model]
    let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    let isFull = ProcessInfo.processInfo.environment["QK_FULL_TESTS"] != nil
    for index in stride(from: 16, to: Int(header.namesOffset) - 4, by: isFull ? 4 : 412) {
      for value: UInt32 in [0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x4000_0000, 0x0001_0000, 1] {
        var copy = bytes
        withUnsafeBytes(of: value) { copy.replaceSubrange(index..<index + 4, with: $0) }
        _ = Self.accepts(Self.sealed(copy))
      }
    }
  }
}
