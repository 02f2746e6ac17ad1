import QModel

/// What a `.qkm` says about its origin, one `key: value` per line: the same inputs give the same text, so neither dates nor
/// paths nor the order of the calibration samples are in it.
func provenance(model: [UInt8], calibration: SampleArrays?, method: CalibrationMethod) -> String {
  var text = "made by: QKernels \(QModelInfo.version)\nmodel sha256: \(hexadecimal(SHA256.digest(model)))\n"
  if let calibration {
    text += "calibration: \(calibration.sampleCount) samples, \(method.rawValue)\n"
    text += "calibration digest: \(hexadecimal(digest(of: calibration)))\n"
  }
  return text
}

/// A digest of the samples as a set: the sum, modulo 2^256, of each sample's SHA-256.
func digest(of samples: SampleArrays) -> [UInt8] {
  var sum = [UInt8](repeating: 0, count: 32)
  for sample in 0..<samples.sampleCount {
    var hash = SHA256()
    for (index, array) in samples.arrays.enumerated() {
      let range = samples.range(ofSample: sample, input: index)
      let width = array.elementType.byteCount
      array.withElementBytes { bytes in
        hash.update(UnsafeRawBufferPointer(rebasing: bytes[range.lowerBound * width..<range.upperBound * width]))
      }
    }
    var carry = 0
    for (place, byte) in hash.digest().enumerated().reversed() {
      let total = Int(sum[place]) + Int(byte) + carry
      sum[place] = UInt8(total & 0xFF)
      carry = total >> 8
    }
  }
  return sum
}
