/// The calibration samples of a model, checked, in the graph's own order of axes, and in an order that does not depend on
/// how the caller ordered them.
///
/// Samples are read one at a time from the source whenever they are needed; only two words for each are kept.
struct CalibrationSamples {
  private let source: any SampleSource
  private let inputs: [Input]
  /// Indices into the source, sorted by the samples' contents.
  private(set) var order: [Int] = []

  /// What is needed to turn a caller's array into an input tensor.
  private struct Input {
    var name: String
    var shape: [Int]
    /// For each axis of the graph's tensor the distance of neighbours in the source's array; nil when both are the same.
    var strides: [Int]?
  }

  /// Reads every sample once, checks it, and sorts.
  ///
  /// - Parameter progress: called after each sample.
  /// - Throws: `ModelError.Kind.mismatch` when there is no sample, or one does not fit the model's inputs or contains a value
  ///   that is not finite.
  init(_ source: any SampleSource, for graph: Graph, progress: () -> Void = {}) throws(ModelError) {
    self.source = source
    guard source.sampleCount > 0 else {
      throw ModelError(
        .mismatch, "the calibration data has no samples", hint: "give at least one; 100 or more are better")
    }
    inputs = graph.inputs.map { id in
      let tensor = graph.tensors[id]
      return Input(
        name: tensor.name, shape: tensor.shape,
        strides: tensor.sourceLayout.map { layout in
          let sourceStrides = contiguousStrides(layout.map { tensor.shape[$0] })
          var strides = sourceStrides
          for (sourceAxis, axis) in layout.enumerated() { strides[axis] = sourceStrides[sourceAxis] }
          return strides
        })
    }
    var digests: [(first: UInt64, second: UInt64, index: Int)] = []
    digests.reserveCapacity(source.sampleCount)
    for index in 0..<source.sampleCount {
      var digest = ContentDigest()
      for array in try checked(index) { digest.add(array) }
      digests.append((digest.first, digest.second, index))
      progress()
    }
    // Samples with equal digests are equal, so their order does not matter.
    digests.sort { ($0.first, $0.second) < ($1.first, $1.second) }
    order = digests.map(\.index)
  }

  /// The number of samples.
  var count: Int { order.count }

  /// Sample `position` of the sorted order, one tensor per model input.
  func sample(_ position: Int) throws(ModelError) -> [FloatTensor] {
    let arrays = try checked(order[position])
    return zip(inputs, arrays).map { input, array in
      guard let strides = input.strides else { return FloatTensor(shape: input.shape, values: array) }
      return FloatTensor(shape: input.shape) { target in
        array.withUnsafeBufferPointer { source in
          guard let source = source.baseAddress, let target = target.baseAddress else { return }
          gather(input.shape, strides: strides, from: source, to: target)
        }
      }
    }
  }

  private func checked(_ index: Int) throws(ModelError) -> [[Float]] {
    let arrays = try source.sample(index)
    guard arrays.count == inputs.count else {
      throw ModelError(.mismatch, "the model has \(inputs.count) inputs, the calibration data \(arrays.count)")
    }
    for (input, array) in zip(inputs, arrays) {
      let expected = input.shape.reduce(1, *)
      guard array.count == expected else {
        throw ModelError(
          .mismatch,
          "calibration sample \(index) has \(array.count) values for input '\(input.name)', expected \(expected)")
      }
      guard array.allSatisfy({ $0.isFinite }) else {
        throw ModelError(
          .mismatch, "calibration sample \(index) of input '\(input.name)' contains a value that is not finite",
          hint: "remove the sample, or replace the value")
      }
    }
    return arrays
  }
}

/// 128 bits that tell contents apart: two independent multiplicative hashes.
struct ContentDigest {
  private(set) var first: UInt64 = 0x9E37_79B9_7F4A_7C15
  private(set) var second: UInt64 = 0xD1B5_4A32_D192_ED03

  /// Adds the bits of values, and their number.
  mutating func add(_ values: [Float]) {
    for value in values { add(UInt64(value.bitPattern)) }
    add(UInt64(values.count))
  }

  /// Adds one word.
  mutating func add(_ word: UInt64) {
    first = mixed(first ^ word, 0xFF51_AFD7_ED55_8CCD)
    second = mixed(second &+ word, 0xC4CE_B9FE_1A85_EC53)
  }

  private func mixed(_ value: UInt64, _ factor: UInt64) -> UInt64 {
    let product = (value ^ value >> 33) &* factor
    return product ^ product >> 29
  }
}
