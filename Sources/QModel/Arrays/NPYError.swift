/// Why a `.npy` file was refused.
public struct NPYError: Error, Equatable, CustomStringConvertible {
  /// What is wrong, with the facts that a message needs.
  public enum Problem: Equatable, Sendable {
    /// The first bytes are not numpy's magic string.
    case notNPY
    /// The format version is none of 1.0, 2.0, 3.0.
    case version(major: Int, minor: Int)
    /// The file ends inside its header.
    case truncatedHeader(expectedBytes: Int, foundBytes: Int)
    /// The header is not the dictionary that the format asks for; `offset` counts bytes from the start of the file.
    case header(offset: Int, expected: String)
    /// The elements are stored most significant byte first.
    case bigEndian(descriptor: String)
    /// The elements are Python objects or records.
    case objects(descriptor: String)
    /// The element type is known to numpy, not to this program.
    case elementType(descriptor: String)
    /// The array is stored in column-major order.
    case fortranOrder
    /// An extent is negative, or the number of bytes leaves the address range, or there are too many axes.
    case shape(text: String)
    /// Fewer or more bytes follow the header than the shape asks for.
    case dataSize(shape: [Int], elementType: NPYElementType, expectedBytes: Int, foundBytes: Int)
  }

  /// The file as the caller named it.
  public var path: String
  /// What is wrong with it.
  public var problem: Problem

  /// The file, what was expected and found, and the next step, in one line.
  public var description: String {
    let text =
      switch problem {
      case .notNPY:
        "not a .npy file (it does not start with \\x93NUMPY); write it with numpy.save"
      case .version(let major, let minor):
        "format version \(major).\(minor), expected 1.0, 2.0 or 3.0; write it again with numpy.save"
      case .truncatedHeader(let expected, let found):
        "the header needs \(expected) bytes, the file has \(found); the file was cut off, copy it again"
      case .header(let offset, let expected):
        "malformed header: expected \(expected) at byte \(offset); write it again with numpy.save"
      case .bigEndian(let descriptor):
        "big-endian elements ('\(descriptor)'), expected little-endian; save x.astype(x.dtype.newbyteorder('<'))"
      case .objects(let descriptor):
        "Python objects or records (\(descriptor)), expected a plain array of numbers; save x.astype(numpy.float32)"
      case .elementType(let descriptor):
        "element type '\(descriptor)', expected one of "
          + NPYElementType.allCases.map(\.rawValue).joined(separator: ", ") + "; save x.astype(numpy.float32)"
      case .fortranOrder:
        "column-major order (fortran_order is True), expected C order; save numpy.ascontiguousarray(x)"
      case .shape(let text):
        "impossible shape \(text), expected up to \(NPYReader.maximumRank) extents of 0 or more"
          + " whose product fits the file; write it again with numpy.save"
      case .dataSize(let shape, let elementType, let expected, let found):
        "\(elementType.rawValue) of shape \(npyShapeText(shape)) needs \(expected) bytes of data, the file has \(found); "
          + (found < expected ? "the file was cut off, copy it again" : "write one array per file with numpy.save")
      }
    return "\(path): \(text)"
  }
}

/// A shape as Python prints the tuple: `()`, `(3,)`, `(3, 4)`.
public func npyShapeText(_ shape: [Int]) -> String {
  shape.count == 1 ? "(\(shape[0]),)" : "(" + shape.map { "\($0)" }.joined(separator: ", ") + ")"
}
