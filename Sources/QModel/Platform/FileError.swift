#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Why a file could not be read or written.
public enum FileError: Error, Equatable, CustomStringConvertible {
  /// Nothing that can be read as a file is at `path`; a missing parent folder and a folder itself count as well.
  case missing(path: String, detail: String)
  /// The file exists and cannot be read.
  case unreadable(path: String, detail: String)
  /// The file cannot be written; nothing was left behind.
  case unwritable(path: String, detail: String)

  /// The path as the caller gave it.
  public var path: String {
    switch self {
    case .missing(let path, _), .unreadable(let path, _), .unwritable(let path, _): path
    }
  }

  /// The path, what went wrong, and what to do about it, in one line.
  public var description: String {
    switch self {
    case .missing(let path, let detail): "\(path): \(detail); check the path"
    case .unreadable(let path, let detail): "\(path): cannot be read: \(detail); check its permissions"
    case .unwritable(let path, let detail):
      "\(path): cannot be written: \(detail); choose a path in an existing folder with write permission and free space"
    }
  }
}

extension FileError {
  /// The system's text for an error number, in the C locale.
  static func text(errno code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return buffer.withUnsafeBufferPointer { text in
      text.baseAddress.map { String(cString: $0) } ?? "error \(code)"
    }
  }

  /// The error for an input path that `open` refused with `code`.
  static func opening(_ path: String, errno code: Int32) -> FileError {
    switch code {
    case ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG: .missing(path: path, detail: "no such file")
    default: .unreadable(path: path, detail: text(errno: code))
    }
  }
}
