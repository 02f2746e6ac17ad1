/// From a float graph to an integer one.
///
/// Activations are int8 with one scale and a zero point, weights int8 in -127...127 with one scale per output channel, biases
/// int32 in units of input scale times weight scale. Every activation of the result has a quantization; the steps that
/// changes of scale need stand in it as `requantize` nodes.
public struct Quantizer {
  /// Choices beyond the ranges.
  public var options: QuantizationOptions
  /// How ranges are chosen.
  public var method: CalibrationMethod

  /// A quantizer; the method is the one measured to be best overall.
  public init(method: CalibrationMethod = .standard, options: QuantizationOptions = QuantizationOptions()) {
    self.method = method
    self.options = options
  }

  /// Calibrates and quantizes an optimized float graph.
  ///
  /// The result depends on the graph and on the set of samples only: neither on their order nor on the number of threads.
  /// Samples are read several times, one at a time; memory does not grow with their number.
  ///
  /// - Parameter progress: called with the samples done so far and their number, over all passes.
  /// - Throws: ``ModelError`` when samples are missing, do not fit or drive the model to values that are not finite, and with
  ///   all nodes that cannot be quantized.
  public func quantize(
    _ graph: Graph, samples source: any SampleSource, progress: ((_ done: Int, _ count: Int) -> Void)? = nil
  ) throws(ModelError) -> QuantizedGraph {
    let prepared = try graph.preparedForQuantization()
    let levels = options.weightRounding == .fitted ? try WeightStage.levels(of: prepared) : []
    var done = 0
    let total = source.sampleCount * (1 + Calibrator.passCount(for: method) + levels.count)
    func advance(by count: Int) {
      done += count
      progress?(done, total)
    }
    let samples = try CalibrationSamples(source, for: prepared) { advance(by: 1) }
    let calibrator = Calibrator(graph: prepared, samples: samples, threads: options.threads)
    let ranges = try calibrator.ranges(by: method) { advance(by: 1) }
    return try Self.quantize(prepared, ranges: ranges, samples: samples, options: options) { advance(by: $0) }
  }

  /// Quantizes a prepared graph with ranges that are known.
  ///
  /// - Parameters:
  ///   - samples: what weights are fitted to; nil to round them alone.
  ///   - progress: called with the samples newly done.
  static func quantize(
    _ prepared: Graph, ranges: CalibratedRanges, samples: CalibrationSamples?, options: QuantizationOptions,
    progress: (Int) -> Void = { _ in }
  ) throws(ModelError) -> QuantizedGraph {
    let assignment = try ScaleAssignment(
      prepared, ranges: ranges, recurrentState: options.recurrentState, sampleCount: samples?.count)
    var stage = try WeightStage(assignment, options: options)
    try stage.quantizeConstants()
    try stage.quantizeWeights(samples, progress)
    return QuantizedGraph(stage.graph)
  }
}
