/// What this package calls itself.
public enum QModelInfo {
  /// The version of the package.
  public static let version = "0.1.0"
}
