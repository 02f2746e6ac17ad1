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

  /// Measures a candidate: the error of its outputs on the first so many samples, relative to their size.
  typealias Trial = (_ candidate: QuantizedGraph, _ samples: CalibrationSamples, _ count: Int) throws(ModelError) ->
    Double

  /// Calibrates and quantizes an optimized float graph.
  ///
  /// The result depends on the graph and on the set of samples only: neither on their order nor on the number of threads.
  /// Samples are read several times, one at a time; memory does not grow with their number.
  ///
  /// - Parameters:
  ///   - trial: weights are fitted in several ways, and the candidate with the least error is taken; nil to fit them once.
  ///   - progress: called with the samples done so far and their number, over all passes.
  /// - Throws: ``ModelError`` when samples are missing, do not fit or drive the model to values that are not finite, and with
  ///   all nodes that cannot be quantized.
  func quantize(
    _ graph: Graph, samples source: any SampleSource, trial: Trial? = nil,
    progress: ((_ done: Int, _ count: Int) -> Void)? = nil
  ) throws(ModelError) -> QuantizedGraph {
    let prepared = try graph.preparedForQuantization()
    let schedule = try WeightSchedule(prepared)
    var passes = Calibrator.passCount(for: method)
    if options.weightRounding == .fitted {
      let candidates = schedule.ridges(sampleCount: source.sampleCount, hasTrial: trial != nil).count
      passes += candidates * (schedule.levels.count + (trial == nil ? 0 : 1))
    }
    let total = source.sampleCount * (1 + passes)
    var done = 0
    func advance(by count: Int) {
      done += count
      progress?(done, total)
    }
    let samples = try CalibrationSamples(source, for: prepared) { advance(by: 1) }
    let calibrator = Calibrator(graph: prepared, samples: samples, threads: options.threads)
    let ranges = try calibrator.ranges(by: method) { advance(by: 1) }
    return try Self.quantize(prepared, ranges: ranges, samples: samples, options: options, trial: trial) {
      advance(by: $0)
    }
  }

  /// Quantizes a prepared graph with ranges that are known.
  ///
  /// - Parameters:
  ///   - samples: what weights are fitted to; nil to round them alone.
  ///   - trial: measures candidates, see ``quantize(_:samples:trial:progress:)``.
  ///   - progress: called with the samples newly done.
  static func quantize(
    _ prepared: Graph, ranges: CalibratedRanges, samples: CalibrationSamples?, options: QuantizationOptions,
    trial: Trial? = nil, progress: (Int) -> Void = { _ in }
  ) throws(ModelError) -> QuantizedGraph {
    let assignment = try ScaleAssignment(
      prepared, ranges: ranges, recurrentState: options.recurrentState, sampleCount: samples?.count)
    var stage = try WeightStage(assignment, options: options)
    try stage.quantizeConstants()
    guard let samples, options.weightRounding == .fitted else {
      try stage.quantizeWeights(nil, ridge: 0, progress)
      return QuantizedGraph(stage.finished())
    }
    var best: (graph: QuantizedGraph, error: Double)?
    for ridge in stage.schedule.ridges(sampleCount: samples.count, hasTrial: trial != nil) {
      var candidate = stage
      try candidate.quantizeWeights(samples, ridge: ridge, progress)
      let graph = QuantizedGraph(candidate.finished())
      guard let trial else { return graph }
      let error = try trial(graph, samples, stage.schedule.usefulSamples(samples.count))
      progress(samples.count)
      if let best, best.error <= error { continue }
      best = (graph, error)
    }
    if let best { return best.graph }
    throw ModelError(.other, "no candidate was quantized")
  }
}
