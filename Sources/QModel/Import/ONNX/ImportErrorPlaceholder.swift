/// Placeholder.
public struct ImportError: Error {
  public var message: String
  public var node: String?
  public init(_ message: String, node: String? = nil) { self.message = message; self.node = node }
}
