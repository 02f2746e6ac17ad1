extension NPYArray {
  /// The array as a `.npy` file of version 1.0, byte for byte what `numpy.save` of version 2 writes.
  ///
  /// numpy pads the dictionary so that the first extent can grow to 20 digits in place, and the header so that the data
  /// start on a multiple of 64 bytes.
  public func encoded() -> [UInt8] {
    var header =
      "{'descr': '\(elementType.descriptor)', 'fortran_order': False, 'shape': \(npyShapeText(shape)), }"
    if let first = shape.first { header += String(repeating: " ", count: max(0, 21 - "\(first)".utf8.count)) }
    let unpadded = 10 + header.utf8.count + 1
    header += String(repeating: " ", count: 64 - unpadded % 64) + "\n"

    let size = count * elementType.byteCount
    var file: [UInt8] = []
    file.reserveCapacity(10 + header.utf8.count + size)
    file += [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59, 1, 0]
    // Rank is bounded by what made the array, so the header stays far below the 65,535 bytes of version 1.0.
    file += [UInt8(header.utf8.count & 0xFF), UInt8(header.utf8.count >> 8)]
    file += Array(header.utf8)
    withElementBytes { file += $0 }
    return file
  }
}
