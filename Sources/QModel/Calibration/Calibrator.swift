/// Runs a float graph over calibration samples and records how its values are distributed.
///
/// Two passes over the samples: the first finds the interval of every value, the second fills a histogram over it (not
/// needed for min-max). Samples run in parallel; each thread has its own records, which are merged at the end. As the
/// records are counts and extremes only, the result depends neither on the order of the samples nor on the number of
/// threads, and memory does not grow with the number of samples.
struct Calibrator {
  /// The optimized float graph.
  let graph: Graph
  let samples: CalibrationSamples
  /// Threads to use; the result does not depend on it.
  let threads: Int

  /// Observes all samples.
  ///
  /// - Parameter progress: called after each sample of each pass.
  /// - Throws: ``ModelError`` naming the tensor when a value is not finite.
  func ranges(by method: CalibrationMethod, progress: () -> Void = {}) throws(ModelError) -> CalibratedRanges {
    let evaluator = try ReferenceEvaluator(graph)
    let intervals = try observedRanges(evaluator, progress)
    if method == .minmax { return CalibratedRanges(method: method, observed: intervals) }
    let histograms = try histograms(evaluator, over: intervals, progress)
    return CalibratedRanges(
      method: method, observed: intervals,
      chosen: histograms.mapValues { RangeSelection.range(of: $0, by: method) })
  }

  /// Passes over the samples that a method needs.
  static func passCount(for method: CalibrationMethod) -> Int { method == .minmax ? 1 : 2 }

  private func observedRanges(
    _ evaluator: ReferenceEvaluator, _ progress: () -> Void
  ) throws(ModelError) -> [CalibratedValue: ValueRange] {
    struct Extremes {
      var ranges: [CalibratedValue: ValueRange] = [:]
      /// Values that were not finite.
      var broken: Set<CalibratedValue> = []
    }
    let parts = try observe(evaluator, Extremes(), progress) { extremes, value, tensor in
      let isFinite = tensor.values.withUnsafeBufferPointer { extremes.ranges[value, default: .empty].include($0) }
      if !isFinite { extremes.broken.insert(value) }
    }
    let broken = parts.reduce(into: Set<CalibratedValue>()) { $0.formUnion($1.broken) }
    if !broken.isEmpty { throw notFinite(broken) }
    return parts.reduce(into: [:]) { result, part in result.merge(part.ranges) { $0.union($1) } }
  }

  private func histograms(
    _ evaluator: ReferenceEvaluator, over intervals: [CalibratedValue: ValueRange], _ progress: () -> Void
  ) throws(ModelError) -> [CalibratedValue: ValueHistogram] {
    let empty = intervals.mapValues { ValueHistogram(low: $0.low, high: $0.high) }
    var parts = try observe(evaluator, empty, progress) { histograms, value, tensor in
      tensor.values.withUnsafeBufferPointer { histograms[value]?.add($0) }
    }
    var result = parts.removeFirst()
    for part in parts { for (value, histogram) in part { result[value]?.merge(histogram) } }
    return result
  }

  /// Runs every sample and hands every activation and internal value to `record` with the record of its thread.
  ///
  /// - Returns: one record per thread.
  private func observe<Record: Sendable>(
    _ evaluator: ReferenceEvaluator, _ empty: Record, _ progress: () -> Void,
    _ record: @escaping @Sendable (inout Record, CalibratedValue, FloatTensor) -> Void
  ) throws(ModelError) -> [Record] {
    let firstOutputs = graph.nodes.map { $0.outputs[0] }
    let workers = max(1, min(threads, samples.count))
    let records = WorkerSlots([Record](repeating: empty, count: workers))
    let evaluators = WorkerSlots([ReferenceEvaluator](repeating: evaluator, count: workers))
    var first = 0
    while first < samples.count {
      // The source may read a file, so samples are fetched here, a few at a time.
      var batch: [[FloatTensor]] = []
      while batch.count < 4 * workers, first + batch.count < samples.count {
        batch.append(try samples.sample(first + batch.count))
      }
      let inputs = batch
      try parallelFor(count: inputs.count, threads: workers) { (index, worker) throws(ModelError) in
        let own = records[worker], evaluator = evaluators[worker]
        evaluator.pointee.resetState()
        _ = try evaluator.pointee.run(
          inputs[index],
          observe: { record(&own.pointee, .tensor($0), $1) },
          observeInternal: { record(&own.pointee, .inside(output: firstOutputs[$0], $1), $2) })
      }
      for _ in batch { progress() }
      first += batch.count
    }
    return records.values
  }

  private func notFinite(_ values: Set<CalibratedValue>) -> ModelError {
    // The first in the order of computation caused the others.
    for id in graph.inputs + graph.nodes.flatMap(\.outputs) {
      let node = graph.nodes.first { $0.outputs.contains(id) }
      let isInside = values.contains {
        if case .inside(output: id, _) = $0 { true } else { false }
      }
      if values.contains(.tensor(id)) || isInside {
        let name = graph.tensors[id].name.isEmpty ? "its result" : "'\(graph.tensors[id].name)'"
        return ModelError(
          .mismatch, "node '\(node?.name ?? "")': \(name) is not finite on a calibration sample",
          hint: "check that the calibration data is scaled as the model expects")
      }
    }
    return ModelError(.mismatch, "a value of the model is not finite on a calibration sample")
  }
}

/// One value per worker of `parallelFor`, which gives no two concurrent calls the same worker.
final class WorkerSlots<Value: Sendable>: @unchecked Sendable {
  private let slots: UnsafeMutableBufferPointer<Value>

  init(_ values: [Value]) {
    slots = .allocate(capacity: values.count)
    _ = slots.initialize(from: values)
  }

  deinit {
    slots.deinitialize()
    slots.deallocate()
  }

  /// The worker's value, for the worker alone.
  subscript(worker: Int) -> UnsafeMutablePointer<Value> {
    precondition(slots.indices.contains(worker), "there is no worker \(worker)")
    return slots.baseAddress! + worker
  }

  /// All of them, in order of the workers.
  var values: [Value] { Array(slots) }
}
