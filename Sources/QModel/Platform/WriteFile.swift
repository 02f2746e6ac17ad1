#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Writes all of `bytes` to a descriptor.
///
/// - Returns: 0, or the error number of the failing call.
private func writeFully(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
  var done = 0
  while done < bytes.count {
    guard let start = bytes.baseAddress else { return 0 }
    let count = write(descriptor, start + done, bytes.count - done)
    if count < 0 {
      if errno == EINTR { continue }
      return errno
    }
    done += count
  }
  return 0
}

/// Writes text to a file descriptor such as standard output (1) or standard error (2).
///
/// - Returns: whether all of it was written.
public func writeText(_ text: String, toDescriptor descriptor: Int32) -> Bool {
  var text = text
  return text.withUTF8 { writeFully(descriptor, UnsafeRawBufferPointer($0)) == 0 }
}

/// A file that is written beside its final place and not yet renamed.
private struct StagedFile {
  /// The path as the caller gave it, for messages.
  var path: String
  /// Where the new contents are now; nil when they went straight into a device or pipe.
  var temporary: String?
  /// What `temporary` is to become: `path` with symbolic links resolved.
  var destination: String
}

/// The folder part of a path, never empty.
private func parentFolder(of path: String) -> String {
  guard let slash = path.lastIndex(of: "/") else { return "." }
  return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// `path` with all symbolic links resolved, or nil when it does not exist.
private func resolvedPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}

private func stage(_ path: String, _ bytes: UnsafeRawBufferPointer, serial: Int) throws(FileError) -> StagedFile {
  func refusal(_ code: Int32) -> FileError { .unwritable(path: path, detail: FileError.text(errno: code)) }

  var info = stat()
  let exists = stat(path, &info) == 0
  if exists && info.st_mode & S_IFMT == S_IFDIR {
    throw .unwritable(path: path, detail: "it is a folder")
  }
  if exists && info.st_mode & S_IFMT != S_IFREG {
    // A device or pipe (/dev/stdout, /dev/null) must be written to, never replaced.
    let descriptor = open(path, O_WRONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw refusal(errno) }
    let code = writeFully(descriptor, bytes)
    close(descriptor)
    guard code == 0 else { throw refusal(code) }
    return StagedFile(path: path, temporary: nil, destination: path)
  }

  let destination = exists ? (resolvedPath(path) ?? path) : path
  let temporary = "\(parentFolder(of: destination))/.qkernels-\(getpid())-\(serial).tmp"
  // A leftover of a killed process with the same number would make O_EXCL fail for ever.
  unlink(temporary)
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
  guard descriptor >= 0 else { throw refusal(errno) }
  var code = writeFully(descriptor, bytes)
  if code == 0 && exists && fchmod(descriptor, info.st_mode & 0o777) != 0 { code = errno }
  if code == 0 && fsync(descriptor) != 0 && errno != EINVAL { code = errno }
  if close(descriptor) != 0 && code == 0 { code = errno }
  guard code == 0 else {
    unlink(temporary)
    throw refusal(code)
  }
  return StagedFile(path: path, temporary: temporary, destination: destination)
}

/// Writes files so that each appears whole or not at all, and none appears unless all could be written.
///
/// Contents go to a temporary file in the same folder, are synchronised to the medium, and take their place by a
/// rename; an existing file keeps its permissions, a symbolic link its target's place. On an error every temporary
/// file is removed. A path that names a device or a pipe is written to directly.
///
/// - Throws: `FileError.unwritable` for the first path that failed.
public func writeFilesAtomically(_ files: [(path: String, bytes: [UInt8])]) throws(FileError) {
  var staged: [StagedFile] = []
  func discard(from first: Int) {
    for file in staged[first...] {
      if let temporary = file.temporary { unlink(temporary) }
    }
  }
  for (serial, file) in files.enumerated() {
    // A closure cannot rethrow a typed error through withUnsafeBytes, so the outcome travels as a value.
    let outcome = file.bytes.withUnsafeBytes { bytes -> Result<StagedFile, FileError> in
      do throws(FileError) {
        return .success(try stage(file.path, bytes, serial: serial))
      } catch {
        return .failure(error)
      }
    }
    switch outcome {
    case .success(let entry): staged.append(entry)
    case .failure(let error):
      discard(from: 0)
      throw error
    }
  }
  for (index, file) in staged.enumerated() {
    guard let temporary = file.temporary else { continue }
    guard rename(temporary, file.destination) == 0 else {
      let code = errno
      discard(from: index)
      throw .unwritable(path: file.path, detail: FileError.text(errno: code))
    }
  }
  // The rename itself is durable only once the folder is; some file systems refuse this, which harms nothing.
  for folder in Set(staged.compactMap { $0.temporary == nil ? nil : parentFolder(of: $0.destination) }) {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { continue }
    fsync(descriptor)
    close(descriptor)
  }
}

/// Writes one file whole or not at all; see `writeFilesAtomically(_:)`.
public func writeFileAtomically(_ path: String, _ bytes: [UInt8]) throws(FileError) {
  try writeFilesAtomically([(path, bytes)])
}

/// Checks, before long work, that `path` can be written later: its folder exists and allows it.
///
/// - Throws: `FileError.unwritable`.
public func checkWritable(_ path: String) throws(FileError) {
  guard !path.isEmpty else { throw .unwritable(path: path, detail: "the path is empty") }
  var info = stat()
  if stat(path, &info) == 0 {
    if info.st_mode & S_IFMT == S_IFDIR { throw .unwritable(path: path, detail: "it is a folder") }
    if info.st_mode & S_IFMT != S_IFREG { return }
  }
  let folder = parentFolder(of: resolvedPath(path) ?? path)
  guard stat(folder, &info) == 0 else {
    throw .unwritable(path: path, detail: "the folder \(folder) does not exist")
  }
  guard info.st_mode & S_IFMT == S_IFDIR else {
    throw .unwritable(path: path, detail: "\(folder) is not a folder")
  }
  guard access(folder, W_OK | X_OK) == 0 else {
    throw .unwritable(path: path, detail: FileError.text(errno: errno))
  }
}

/// Makes a folder unless it exists; its parent must exist.
///
/// - Returns: whether it was made by this call.
/// - Throws: `FileError.unwritable`.
@discardableResult
public func makeFolder(_ path: String) throws(FileError) -> Bool {
  if mkdir(path, 0o777) == 0 { return true }
  let code = errno
  var info = stat()
  if code == EEXIST, stat(path, &info) == 0, info.st_mode & S_IFMT == S_IFDIR { return false }
  throw .unwritable(path: path, detail: code == EEXIST ? "it is not a folder" : FileError.text(errno: code))
}

/// Removes a folder if it is empty, to undo `makeFolder(_:)` after a failure.
public func removeEmptyFolder(_ path: String) {
  rmdir(path)
}
