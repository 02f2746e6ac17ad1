/// The bytes of a `.qkm`: what `Pipeline.compile` makes, a file holds and a ``Session`` runs.
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
  public var includeSelfTest = true
  /// What the file says about its origin, one `key: value` per line: tool version, digests; no dates, no paths.
  public var provenance = ""

  /// Names and self-test in, no provenance.
  public init() {}
}
