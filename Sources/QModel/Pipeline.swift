/// The way from a source model to a `.qkm`, one function per stage:
///
///     importModel -> optimize -> calibrate, quantize -> compile
///
/// A model that is quantized already (``Graph/Origin/quantizedTFLite``) skips the middle.
public enum Pipeline {
  /// Reads a source model from a file; its format is told from its first bytes.
  ///
  /// - Parameter path: an `.onnx` (external data beside it) or a `.tflite`.
  /// - Throws: what is malformed, or all that is unsupported at once; the error names the file.
  public static func importModel(path: String) throws(ModelError) -> Graph {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try readFile(path)
    } catch {
      throw ModelError(error)
    }
    let separator = path.lastIndex(of: "/")
    let name = separator.map { String(path[path.index(after: $0)...]) } ?? path
    let folder = separator.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    do throws(ModelError) {
      return try importModel(bytes: bytes, name: name, folder: folder)
    } catch {
      throw error.naming(file: path)
    }
  }

  /// Reads a source model from its bytes.
  ///
  /// - Parameters:
  ///   - name: what messages call the model.
  ///   - folder: where an ONNX model's external data is; nil to refuse it.
  public static func importModel(bytes: [UInt8], name: String, folder: String? = nil) throws(ModelError) -> Graph {
    // A flatbuffer carries its identifier after the offset of its root.
    if bytes.count >= 8, bytes[4..<8].elementsEqual("TFL3".utf8) {
      return try TFLiteImporter.graph(from: bytes, name: name)
    }
    if bytes.starts(with: "QKM1".utf8) {
      throw ModelError(.unsupported, "this is a compiled model", hint: "give the model that it was made from")
    }
    return try ONNXImporter.graph(from: bytes, name: name, folder: folder)
  }

  /// Folds, fuses and cleans a float graph. A quantized one is returned as it is.
  public static func optimize(_ graph: Graph) throws(ModelError) -> Graph { try graph.optimized() }

  /// Quantizes an optimized float graph to int8 with the value ranges seen in `calibration`.
  ///
  /// - Parameters:
  ///   - calibration: samples for every model input; nil for a graph that is quantized already.
  ///   - method: how ranges become scales.
  ///   - options: choices beyond the ranges.
  ///   - progress: called with the samples done so far and their number.
  /// - Throws: `ModelError.Kind.mismatch` when a float graph gets no or unfitting calibration data.
  public static func quantize(
    _ graph: Graph, calibration: (any SampleSource)?, method: CalibrationMethod = .standard,
    options: QuantizationOptions = QuantizationOptions(), progress: ((_ done: Int, _ count: Int) -> Void)? = nil
  ) throws(ModelError) -> QuantizedGraph {
    if graph.origin == .quantizedTFLite { return QuantizedGraph(graph) }
    guard let calibration else {
      throw ModelError(
        .mismatch, "a float model needs calibration samples to be quantized",
        hint: "give some 100 real inputs, [samples] + the model's input shape")
    }
    return try Quantizer(method: method, options: options).quantize(
      graph, samples: calibration,
      trial: { (candidate, samples, count) throws(ModelError) in
        try outputError(of: candidate, from: graph, on: samples, count: count, threads: options.threads)
      }, progress: progress)
  }

  /// Plans memory, packs weights and writes the `.qkm`.
  ///
  /// - Throws: `ModelError.Kind.unsupported` with every node that no kernel can run.
  public static func compile(_ quantized: QuantizedGraph, options: CompileOptions = CompileOptions())
    throws(ModelError) -> CompiledModel
  { try CompiledModel(quantized, options: options) }
}

/// Samples for a model's inputs, read one at a time.
public protocol SampleSource {
  /// The number of samples.
  var sampleCount: Int { get }
  /// The values of sample `index`: one array per model input, in the source model's order of inputs and axes.
  func sample(_ index: Int) throws(ModelError) -> [[Float]]
}

/// How the values seen in calibration become the range of a tensor.
public enum CalibrationMethod: String, CaseIterable, Sendable {
  case minmax, percentile, mse, entropy

  /// The one that was measured to be best overall.
  public static let standard = CalibrationMethod.mse
}

extension ModelError {
  /// The same failure as a model's.
  init(_ error: FileError) {
    switch error {
    case .missing(let path, let detail): self.init(.missingFile, detail, file: path, hint: "check the path")
    case .unreadable(let path, let detail):
      self.init(.other, "cannot be read: \(detail)", file: path, hint: "check its permissions")
    case .unwritable(let path, let detail):
      self.init(.other, "cannot be written: \(detail)", file: path, hint: "choose a path with write permission")
    }
  }
}
