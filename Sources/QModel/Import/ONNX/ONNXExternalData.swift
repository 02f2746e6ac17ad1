#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Reader of tensor elements that a model keeps in files beside itself.
///
/// A location is a path relative to the model's folder and must stay in it, links resolved: a model must not be able to
/// read other files of whoever imports it. What is read in total is bounded by the files' own sizes, so a small model
/// cannot ask for a large file again and again.
final class ONNXExternalData {
  private let folder: String
  private var bytesRead = 0
  private var sizes: [String: Int] = [:]

  /// How often, in total, the files may be read over: shared ranges are allowed, multiplication is not.
  private static let maximumReadsPerByte = 4

  /// Creates a reader for the models of one folder.
  ///
  /// - Parameter folder: Path of the folder that holds the model.
  init(folder: String) {
    self.folder = folder
  }

  /// Returns the `count` bytes of a tensor.
  func bytes(of tensor: TensorProto, count: Int) throws(ModelError) -> [UInt8] {
    let place = try Place(tensor, expectedCount: count)
    let path = try confinedPath(to: place.location, tensor)
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      throw tensor.problem("its file \"\(place.location)\" cannot be read: \(String(cString: strerror(errno)))")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, let size = Int(exactly: status.st_size)
    else {
      throw tensor.problem("\"\(place.location)\" is not a regular file")
    }
    // Both sides are 0 or more, so nothing overflows.
    guard place.offset <= size, count <= size - place.offset else {
      throw tensor.problem(
        "it needs \(count) bytes at \(place.offset) of \"\(place.location)\", which has \(size) bytes")
    }
    try account(for: count, path, size, tensor)
    return try Self.contents(descriptor, at: place.offset, count: count, place.location, tensor)
  }

  private func account(for count: Int, _ path: String, _ size: Int, _ tensor: TensorProto) throws(ModelError) {
    sizes[path] = size
    let available = sizes.values.reduce(0) { Self.saturatingSum($0, $1) }
    bytesRead = Self.saturatingSum(bytesRead, count)
    guard bytesRead / Self.maximumReadsPerByte <= available else {
      throw tensor.problem("the tensors ask for \(bytesRead) bytes of external files that hold \(available)")
    }
  }

  private static func saturatingSum(_ left: Int, _ right: Int) -> Int {
    let (sum, overflow) = left.addingReportingOverflow(right)
    return overflow ? Int.max : sum
  }

  private static func contents(
    _ descriptor: Int32, at offset: Int, count: Int, _ location: String, _ tensor: TensorProto
  ) throws(ModelError) -> [UInt8] {
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      // Each step writes the bytes [initializedCount, initializedCount + got), which is within the buffer.
      while initializedCount < count {
        let destination = buffer.baseAddress.map { $0 + initializedCount }
        let got = pread(descriptor, destination, count - initializedCount, off_t(offset + initializedCount))
        if got < 0 && errno == EINTR { continue }
        if got <= 0 { break }
        initializedCount += got
      }
    }
    guard bytes.count == count else { throw tensor.problem("its file \"\(location)\" cannot be read to the end") }
    return bytes
  }

  /// Resolves a location to a path that is in the folder.
  private func confinedPath(to location: String, _ tensor: TensorProto) throws(ModelError) -> String {
    let components = location.split(separator: "/", omittingEmptySubsequences: false)
    let isRelative = components.allSatisfy { !$0.isEmpty && $0 != ".." }
    guard isRelative, !location.utf8.contains(0) else {
      throw tensor.problem("its file \"\(location)\" is not a path in the model's folder")
    }
    guard let root = Self.resolved(folder) else {
      throw tensor.problem("the model's folder \"\(folder)\" cannot be found")
    }
    guard let path = Self.resolved("\(root)/\(location)") else {
      throw tensor.problem("its file \"\(location)\" cannot be found in the model's folder")
    }
    guard path.utf8.starts(with: (root == "/" ? root : root + "/").utf8) else {
      throw tensor.problem("its file \"\(location)\" leads out of the model's folder")
    }
    return path
  }

  private static func resolved(_ path: String) -> String? {
    guard let pointer = realpath(path, nil) else { return nil }
    defer { free(pointer) }
    return String(validatingCString: pointer)
  }
}

extension ONNXExternalData {
  /// Where the elements of one tensor are.
  private struct Place {
    var location = ""
    var offset = 0

    init(_ tensor: TensorProto, expectedCount: Int) throws(ModelError) {
      for (key, value) in tensor.externalData {
        switch key {
        case "location": location = value
        case "offset": offset = try Self.number(key, value, tensor)
        case "length":
          let length = try Self.number(key, value, tensor)
          guard length == expectedCount else {
            throw tensor.problem("its external data has \(length) bytes where its shape needs \(expectedCount)")
          }
        default: break  // "checksum" and keys to come
        }
      }
      if location.isEmpty { throw tensor.problem("its data is in another file, which is not named") }
    }

    private static func number(_ key: String, _ value: String, _ tensor: TensorProto) throws(ModelError) -> Int {
      guard let number = Int(value), number >= 0 else {
        throw tensor.problem("the \(key) \"\(value)\" of its external data is not a size")
      }
      return number
    }
  }
}
