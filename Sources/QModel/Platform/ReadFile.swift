#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Opens `path` for reading; the caller closes the descriptor. Only regular files and pipes are accepted, because a
/// device could deliver bytes without end.
///
/// - Returns: the descriptor, and the size of a regular file (0 for a pipe).
private func openInput(_ path: String) throws(FileError) -> (descriptor: Int32, size: Int) {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { throw .opening(path, errno: errno) }
  var info = stat()
  guard fstat(descriptor, &info) == 0 else {
    let code = errno
    close(descriptor)
    throw .unreadable(path: path, detail: FileError.text(errno: code))
  }
  switch info.st_mode & S_IFMT {
  case S_IFREG:
    return (descriptor, Int(info.st_size))
  case S_IFIFO:
    return (descriptor, 0)
  case S_IFDIR:
    close(descriptor)
    throw .missing(path: path, detail: "is a folder, a file was expected")
  default:
    close(descriptor)
    throw .missing(path: path, detail: "is a device or socket, a file was expected")
  }
}

/// Reads up to `capacity` bytes into `target`; fewer only at the end of the file.
private func readFully(
  _ descriptor: Int32, into target: UnsafeMutableRawPointer, capacity: Int, path: String
) throws(FileError) -> Int {
  var done = 0
  while done < capacity {
    let count = read(descriptor, target + done, capacity - done)
    if count == 0 { break }
    if count < 0 {
      if errno == EINTR { continue }
      throw .unreadable(path: path, detail: FileError.text(errno: errno))
    }
    done += count
  }
  return done
}

/// The whole contents of a file. Memory: the size of the file, plus one block for a pipe.
///
/// - Parameter path: a regular file or a pipe (`/dev/stdin` is either).
/// - Throws: `FileError.missing` when there is no file, `FileError.unreadable` otherwise.
public func readFile(_ path: String) throws(FileError) -> [UInt8] {
  let (descriptor, size) = try openInput(path)
  defer { close(descriptor) }

  // The size is a promise only: one byte more is asked for, so that a file which grew, or a pipe, is read to its end.
  var result: [UInt8] = []
  var block = size + 1
  while true {
    var failure: FileError?
    let base = result.count
    let grown = [UInt8](unsafeUninitializedCapacity: base + block) { buffer, count in
      count = base
      guard let start = buffer.baseAddress else { return }
      result.withUnsafeBufferPointer { old in
        if let first = old.baseAddress { start.update(from: first, count: base) }
      }
      do throws(FileError) {
        count += try readFully(
          descriptor, into: UnsafeMutableRawPointer(start + base), capacity: block, path: path)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    result = grown
    if result.count < base + block { return result }
    block = max(65_536, result.count)
  }
}

/// A file's contents in memory that is aligned for use in place, and that keeps its address.
///
/// Use it where the bytes are handed on as pointers (a model that runs from its own file).
public final class AlignedFile: @unchecked Sendable {
  /// The alignment of `bytes`, in bytes: the one that the model file's sections ask for.
  public static let alignment = 64

  /// The contents, valid as long as this object lives: whoever keeps the pointer keeps the object.
  public let bytes: UnsafeRawBufferPointer

  /// Calls `body` with the contents, which stay valid for the call.
  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    defer { withExtendedLifetime(self) {} }
    return try body(bytes)
  }

  /// Reads a whole file. Memory: the size of the file (a pipe is read once more into aligned memory).
  ///
  /// - Throws: the errors of `readFile(_:)`.
  public init(path: String) throws(FileError) {
    let (descriptor, size) = try openInput(path)
    defer { close(descriptor) }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: size + 1, alignment: Self.alignment)
    let count: Int
    do throws(FileError) {
      count = try readFully(descriptor, into: memory, capacity: size + 1, path: path)
    } catch {
      memory.deallocate()
      throw error
    }
    if count <= size {
      bytes = UnsafeRawBufferPointer(start: memory, count: count)
      return
    }
    // A pipe, or a file that grew meanwhile: collect the rest in pieces.
    var whole = [UInt8](UnsafeRawBufferPointer(start: memory, count: count))
    memory.deallocate()
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      var failure: FileError?
      let got = piece.withUnsafeMutableBytes { buffer in
        guard let start = buffer.baseAddress else { return 0 }
        do throws(FileError) {
          return try readFully(descriptor, into: start, capacity: buffer.count, path: path)
        } catch {
          failure = error
          return 0
        }
      }
      if let failure { throw failure }
      whole.append(contentsOf: piece[..<got])
      if got < piece.count { break }
    }
    let aligned = UnsafeMutableRawBufferPointer.allocate(byteCount: whole.count, alignment: Self.alignment)
    aligned.copyBytes(from: whole)
    bytes = UnsafeRawBufferPointer(aligned)
  }

  /// Copies bytes that are already in memory.
  public init(copying source: [UInt8]) {
    let aligned = UnsafeMutableRawBufferPointer.allocate(
      byteCount: max(source.count, 1), alignment: Self.alignment)
    aligned.copyBytes(from: source)
    bytes = UnsafeRawBufferPointer(start: aligned.baseAddress, count: source.count)
  }

  deinit { bytes.baseAddress?.deallocate() }
}
