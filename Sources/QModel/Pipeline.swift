/// The way from a source model to a `.qkm`, one function per stage:
///
///     importModel -> optimize -> calibrate, quantize -> compile
///
/// A model that is quantized already (``Graph/Origin/quantizedTFLite``) skips the middle.
public enum Pipeline {
  /// Reads a source model from a file; its format is told from its first bytes.
  ///
  /// - Parameter path: an `.onnx` (external data beside it) or a `.tflite`.
  /// - Throws: what is malformed, or all that is unsupported at once.
  public static func importModel(path: String) throws(ModelError) -> Graph {
    throw ModelError(.unsupported, "no importer for this format", file: path)
  }

  /// Reads a source model from its bytes.
  ///
  /// - Parameter name: what messages call the model.
  public static func importModel(bytes: [UInt8], name: String) throws(ModelError) -> Graph {
    throw ModelError(.unsupported, "no importer for this format", file: name)
  }

  /// Folds, fuses and cleans a float graph. A quantized one is returned as it is.
  public static func optimize(_ graph: Graph) throws(ModelError) -> Graph { graph }

  /// Quantizes an optimized float graph to int8 with the value ranges seen in `calibration`.
  ///
  /// - Parameters:
  ///   - calibration: samples for every model input; nil for a graph that is quantized already.
  ///   - method: how ranges become scales.
  ///   - progress: called with the samples done so far and their number.
  /// - Throws: `ModelError.Kind.mismatch` when a float graph gets no or unfitting calibration data.
  public static func quantize(
    _ graph: Graph, calibration: (any SampleSource)?, method: CalibrationMethod,
    progress: ((_ done: Int, _ count: Int) -> Void)? = nil
  ) throws(ModelError) -> QuantizedGraph {
    if graph.origin == .quantizedTFLite { return QuantizedGraph(graph) }
    throw ModelError(.unsupported, "float models cannot be quantized")
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
}
