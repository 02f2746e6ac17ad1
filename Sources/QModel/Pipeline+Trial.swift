extension Pipeline {
  /// How weighty it is that the largest value of a row of an output changes its place.
  private static let argmaxWeight = 4.0

  /// How far a compiled candidate's outputs are from the float model's on calibration samples: the square error relative to
  /// the square of the values, times 1 + 4 · the share of rows (along the last axis) whose largest value stands elsewhere;
  /// summed over the outputs.
  ///
  /// Measured with the kernels that will run, as only they show what their roundings add up to.
  ///
  /// - Parameters:
  ///   - graph: the float graph that the candidate was made from.
  ///   - count: the samples to use, the first ones in their own order, so that the result does not depend on the caller's.
  static func outputError(
    of candidate: QuantizedGraph, from graph: Graph, on samples: CalibrationSamples, count: Int, threads: Int
  ) throws(ModelError) -> Double {
    let model = try VerifiedModel(bytes: compile(candidate).bytes)
    let workers = max(1, min(threads, count))
    let evaluators = WorkerSlots([ReferenceEvaluator](repeating: try ReferenceEvaluator(graph), count: workers))
    var sessions: [TrialSession] = []
    for _ in 0..<workers { sessions.append(TrialSession(session: try Session(model))) }
    let perWorker = sessions
    var totals = [Difference](repeating: Difference(), count: graph.outputs.count)
    var first = 0
    while first < count {
      var batch: [[FloatTensor]] = []
      while batch.count < 4 * workers, first + batch.count < count {
        batch.append(try samples.sample(first + batch.count))
      }
      let inputs = batch
      let results = WorkerSlots([[Difference]](repeating: [], count: batch.count))
      try parallelFor(count: batch.count, threads: workers) { (index, worker) throws(ModelError) in
        let evaluator = evaluators[worker]
        evaluator.pointee.resetState()
        let expected = try evaluator.pointee.run(inputs[index])
        results[index].pointee = perWorker[worker].differences(inputs[index], expected)
      }
      // One after the other: the order of additions is that of the samples.
      for differences in results.values {
        for (output, difference) in differences.enumerated() { totals[output].add(difference) }
      }
      first += batch.count
    }
    return totals.reduce(0) { $0 + $1.weighted(by: argmaxWeight) }
  }

  /// What differs between two values of an output.
  private struct Difference: Sendable {
    var signal = 0.0, noise = 0.0
    var rows = 0, changedRows = 0

    mutating func add(_ other: Difference) {
      signal += other.signal
      noise += other.noise
      rows += other.rows
      changedRows += other.changedRows
    }

    func weighted(by argmaxWeight: Double) -> Double {
      let relative = signal > 0 ? noise / signal : noise
      return relative * (1 + argmaxWeight * Double(changedRows) / Double(max(rows, 1)))
    }

    /// - Parameter width: values per row.
    init(_ expected: [Float], _ actual: [Float], width: Int) {
      for (a, b) in zip(expected, actual) {
        signal += Double(a) * Double(a)
        noise += (Double(a) - Double(b)) * (Double(a) - Double(b))
      }
      guard width > 1 else { return }
      rows = expected.count / width
      for row in 0..<rows {
        // The first of equal values, as everywhere.
        func largest(_ values: [Float]) -> Int {
          (row * width..<(row + 1) * width).reduce(row * width) { values[$1] > values[$0] ? $1 : $0 }
        }
        if largest(expected) != largest(actual) { changedRows += 1 }
      }
    }

    init() {}
  }

  /// A session for one worker.
  private struct TrialSession: @unchecked Sendable {
    let session: Session

    /// Runs one sample from reset state and compares the outputs, all in the graph's order of axes.
    func differences(_ inputs: [FloatTensor], _ expected: [FloatTensor]) -> [Difference] {
      session.reset()
      for (index, (info, input)) in zip(session.inputs, inputs).enumerated() {
        session.withInput(index) { bytes in
          for (element, value) in input.values.enumerated() {
            info.store(info.quantized(value), at: element, in: bytes)
          }
        }
      }
      session.run()
      return zip(session.outputs, expected).enumerated().map { index, pair in
        let (info, values) = pair
        let actual = session.withOutput(index) { bytes in
          values.values.indices.map { info.dequantized(info.load($0, from: bytes)) }
        }
        return Difference(values.values, actual, width: values.shape.last ?? 1)
      }
    }
  }
}

extension TensorInfo {
  /// Puts an integer in its place in the tensor's memory.
  fileprivate func store(_ value: Int, at index: Int, in bytes: UnsafeMutableRawBufferPointer) {
    switch type {
    case .int8: bytes.storeBytes(of: Int8(clamping: value), toByteOffset: index, as: Int8.self)
    case .int16: bytes.storeBytes(of: Int16(clamping: value), toByteOffset: index * 2, as: Int16.self)
    case .int32: bytes.storeBytes(of: Int32(clamping: value), toByteOffset: index * 4, as: Int32.self)
    }
  }

  /// The integer in a place of the tensor's memory.
  fileprivate func load(_ index: Int, from bytes: UnsafeMutableRawBufferPointer) -> Int {
    switch type {
    case .int8: Int(bytes.load(fromByteOffset: index, as: Int8.self))
    case .int16: Int(bytes.load(fromByteOffset: index * 2, as: Int16.self))
    case .int32: Int(bytes.load(fromByteOffset: index * 4, as: Int32.self))
    }
  }
}
