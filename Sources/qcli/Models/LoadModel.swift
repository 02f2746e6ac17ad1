import QKernels
import QModel

/// The formats of model files, told from their first bytes.
enum ModelFileFormat: String {
  case qkm, tflite, onnx

  /// ONNX has no magic number, so whatever is none of the others is taken for it.
  init(_ bytes: [UInt8]) {
    if bytes.starts(with: Array("QKM".utf8)) {
      self = .qkm
    } else if bytes.count >= 8 && bytes[4..<8].elementsEqual("TFL3".utf8) {
      self = .tflite
    } else {
      self = .onnx
    }
  }
}

/// Reads and verifies a `.qkm`.
func loadModel(_ path: String) throws -> VerifiedModel {
  try loadModel(bytes: try readFile(path), path: path)
}

/// Verifies a `.qkm` that is in memory.
func loadModel(bytes: [UInt8], path: String) throws -> VerifiedModel {
  if ModelFileFormat(bytes) == .tflite || path.hasSuffix(".onnx") {
    throw CommandFailure.malformed(
      "\(path): a source model, expected a .qkm; make one with '\(programName) quantize \(path)'")
  }
  do throws(ModelError) {
    return try VerifiedModel(bytes: bytes)
  } catch {
    throw error.naming(file: path)
  }
}

extension StoredType {
  /// The element type of arrays that hold the model's own integers.
  var arrayType: NPYElementType {
    switch self {
    case .int8: .int8
    case .int16: .int16
    case .int32: .int32
    }
  }
}
