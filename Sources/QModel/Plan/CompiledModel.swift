import QKernels

/// The bytes of a `.qkm`: what ``Pipeline/compile(_:options:)`` makes, a file holds and a ``Session`` runs.
public struct CompiledModel: Sendable, Equatable {
  /// The whole file.
  public let bytes: [UInt8]

  /// Wraps the bytes of a `.qkm`; a ``VerifiedModel`` checks them.
  public init(bytes: [UInt8]) { self.bytes = bytes }
}

/// How a model is written.
public struct CompileOptions: Sendable, Equatable {
  /// Write the tensors' names from the source model.
  public var keepNames = true
  /// Write one input and the checksum of every step's outputs.
  public var includeSelfTest = false
  /// What the file says about its origin, one `key: value` per line: tool version, digests; no dates, no paths.
  public var provenance = ""

  /// Names in, no self-test, no provenance.
  public init() {}
}

extension CompiledModel {
  /// Lowers, plans and writes an integer graph, and verifies the result as a device would.
  init(_ quantized: QuantizedGraph, options: CompileOptions) throws(ModelError) {
    let builder = try Lowering.lower(quantized)
    var bytes = try builder.build(names: options.keepNames, provenance: options.provenance)
    let model: VerifiedModel
    do throws(ModelError) {
      model = try VerifiedModel(bytes: bytes)
    } catch {
      throw CompiledModel.refusal(of: builder, bytes, error)
    }
    if options.includeSelfTest {
      bytes = try builder.build(
        names: options.keepNames, provenance: options.provenance, selfTest: try CompiledModel.selfTest(model))
      _ = try VerifiedModel(bytes: bytes)
    }
    self.init(bytes: bytes)
  }

  /// One seeded input and the checksums that it gives.
  private static func selfTest(_ model: VerifiedModel) throws(ModelError) -> [UInt8] {
    let session = try Session(model)
    var random = SplitMix64(seed: 1)
    var section: [UInt8] = []
    for index in model.inputs.indices {
      session.withInput(index) { bytes in
        for position in bytes.indices { bytes[position] = UInt8(truncatingIfNeeded: random.next()) }
        section += bytes
      }
      section.pad(toMultipleOf: 4)
    }
    for index in model.steps.indices {
      session.runStep(index)
      withUnsafeBytes(of: session.outputChecksum(ofStep: index)) { section += $0 }
    }
    return section
  }

  /// Which step of a file that this compiler wrote does not pass verification: the first without which it passes.
  private static func refusal(of builder: PlanBuilder, _ bytes: [UInt8], _ error: ModelError) -> ModelError {
    var file = bytes
    var header = file.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    var accepted = 0, refused = builder.steps.count
    while accepted + 1 < refused {
      let count = (accepted + refused) / 2
      header.stepCount = UInt32(count)
      header.seal(&file)
      if (try? VerifiedModel(bytes: file)) == nil { refused = count } else { accepted = count }
    }
    guard refused > 0 else { return error }
    let step = builder.steps[refused - 1]
    let name = step.outputs.first.map { builder.tensors[$0].name } ?? ""
    return ModelError(
      .unsupported, problems: error.problems.map { "step \(refused - 1) (\(step.code), output '\(name)'): \($0)" })
  }
}
