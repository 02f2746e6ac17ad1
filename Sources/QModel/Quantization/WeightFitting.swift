/// The integer weights and biases of layers, fitted to the calibration samples.
///
/// Layers are taken in the order of computation. For each, the samples run through the float model and through the int8
/// model as far as it is decided, and what the layer sees in both is reduced to moments. Then, for each output channel:
///
/// 1. The weights become those that, applied to the int8 model's input, come nearest to the float model's output (ridge
///    regression towards the original weights). This takes back part of the error of the layers before.
/// 2. They are rounded one after the other, each making up for the error of those before as the samples see it
///    (``TriangularFactor``), for several scales, of which the best is kept; so are weights that lie on a grid already.
/// 3. The bias takes up the mean error that remains.
///
/// Everything the samples contribute is an exact sum, so their order does not matter.
struct WeightFitting {
  /// Integer weights of one layer.
  struct Result {
    /// In the order of the graph's tensor.
    var weights: [Int8]
    /// One per output channel.
    var scales: [Float]
    /// In units of input scale times weight scale.
    var bias: [Int32]
  }

  /// Strength of the ridge relative to the mean square of the inputs, at least, and what is added for each weight per
  /// independent observation, in units of ``ridge``.
  static let ridgePerWeight = 10.0
  /// Neighbouring positions of one sample resemble each other: a sample counts as this many observations at most.
  static let observationsPerSample = 16
  /// The tried scales as fractions of the one that needs no saturation.
  static let scaleFactors = [1, 0.96, 0.92, 0.88, 0.84]

  let layer: LinearLayer
  /// The float weights in the order of the graph's tensor, and the biases (zeros if there are none).
  let weights: [Float], bias: [Float]
  let inputScale: Float, outputScale: Float
  /// The step of the samples' moments; nil if it is the input's scale.
  var observedScale: Float?
  /// Only the scale that needs no saturation is used.
  var roundsToNearest = false
  /// Strength of the pull towards the original weights, relative to the mean square of the inputs.
  var ridge = 0.03
  var threads = 1

  /// - Parameters:
  ///   - moments: one per block; nil without samples, then weights are rounded one by one and biases kept.
  ///   - sampleCount: the number of samples behind the moments.
  func fitted(_ moments: [InputMoments]?, sampleCount: Int) -> Result {
    var result = Result(
      weights: [Int8](repeating: 0, count: weights.count), scales: [Float](repeating: 1, count: layer.channelCount),
      bias: [Int32](repeating: 0, count: layer.channelCount))
    for block in 0..<layer.blockCount {
      let moments = moments?[block]
      let metrics =
        moments.map { moments in
          moments.segments.indices.map { Metric(moments, segment: $0, strength(moments, sampleCount)) }
        }
        ?? [Metric(depth: layer.depth)]
      let rows = WorkerSlots([Row](repeating: Row(), count: layer.blockChannels))
      parallelFor(count: layer.blockChannels, threads: threads) { (index, _) in
        rows[index].pointee = fittedRow(block * layer.blockChannels + index, metrics, moments)
      }
      for (index, row) in rows.values.enumerated() {
        let channel = block * layer.blockChannels + index
        for k in 0..<layer.depth { result.weights[layer.weightIndex(channel: channel, k: k)] = row.weights[k] }
        result.scales[channel] = row.scale
        result.bias[channel] = row.bias
      }
    }
    return result
  }

  private func strength(_ moments: InputMoments, _ sampleCount: Int) -> Double {
    let observations = min(moments.count, sampleCount * Self.observationsPerSample)
    return ridge * (1 + Self.ridgePerWeight * Double(moments.depth) / Double(max(observations, 1)))
  }

  // MARK: Metric

  /// How errors of a segment's weights count.
  private struct Metric: Sendable {
    let segment: Range<Int>
    let factor: TriangularFactor
    /// Centred sum of e·uᵀ; nil if there is nothing to take back.
    let cross: [Double]?

    /// Every error counts the same.
    init(depth: Int) {
      segment = 0..<depth
      factor = TriangularFactor(identity: depth)
      cross = nil
    }

    init(_ moments: InputMoments, segment index: Int, _ strength: Double) {
      segment = moments.segments[index]
      let size = segment.count, count = Double(moments.count)
      var square = moments.squares[index], cross = moments.crosses[index]
      let inputs = moments.inputSum[segment].map { $0 / count }, errors = moments.errorSum[segment]
      var trace = 0.0
      for i in 0..<size {
        for j in 0..<size {
          square[i * size + j] -= inputs[i] * inputs[j] * count
          cross[i * size + j] -= errors[errors.startIndex + i] * inputs[j]
        }
        trace += square[i * size + i]
      }
      guard trace > 0 else {
        // The input never changes: the samples say nothing about the weights.
        factor = TriangularFactor(identity: size)
        self.cross = nil
        return
      }
      for i in 0..<size { square[i * size + i] += trace / Double(size) * strength }
      factor = TriangularFactor(upper: square, size: size)
      self.cross = cross
    }

    /// The weights that come nearest to what `weights` do in the float model.
    func target(for weights: ArraySlice<Double>) -> [Double] {
      var target = Array(weights)
      guard let cross else { return target }
      let size = segment.count
      var product = [Double](repeating: 0, count: size)
      for (i, weight) in weights.enumerated() where weight != 0 {
        for j in 0..<size { product[j] += weight * cross[i * size + j] }
      }
      for (j, difference) in factor.solving(product).enumerated() { target[j] += difference }
      return target
    }
  }

  // MARK: One output channel

  private struct Row: Sendable {
    var weights: [Int8] = []
    var scale: Float = 1
    var bias: Int32 = 0
  }

  private func fittedRow(_ channel: Int, _ metrics: [Metric], _ moments: InputMoments?) -> Row {
    let original = (0..<layer.depth).map { Double(weights[layer.weightIndex(channel: channel, k: $0)]) }
    var row = Row()
    if original.allSatisfy({ $0 == 0 }) {
      // Only the bias counts: 256 steps of it for each of the output's.
      row.weights = [Int8](repeating: 0, count: original.count)
      row.scale = boundedScale(Double(outputScale) / Double(inputScale) / 256, bias: Double(bias[channel]))
    } else {
      let target = metrics.flatMap { $0.target(for: original[$0.segment]) }
      let magnitude = target.reduce(0) { max($0, $1.magnitude) }
      var best = Double.infinity
      func consider(_ scale: Double) {
        let scale = boundedScale(scale, bias: Double(bias[channel]))
        var candidate: [Int8] = []
        var error = 0.0
        target.withUnsafeBufferPointer { target in
          for metric in metrics {
            let part = metric.factor.nearestIntegers(
              to: UnsafeBufferPointer(rebasing: target[metric.segment]), scale: Double(scale))
            candidate += part.values
            error += part.error
          }
        }
        if error < best {
          best = error
          row.weights = candidate
          row.scale = scale
        }
      }
      for factor in roundsToNearest ? [1] : Self.scaleFactors { consider(magnitude / 127 * factor) }
      if !roundsToNearest, let grid = Self.grid(of: original) { consider(grid) }
    }
    row.bias = integerBias(row, channel, original, moments)
    return row
  }

  /// The step of weights that are all whole multiples of one, at most 127 of it: weights that were int8 before.
  static func grid(of weights: [Double]) -> Double? {
    let magnitude = weights.reduce(0) { max($0, $1.magnitude) }
    guard magnitude > 0 else { return nil }
    for steps in stride(from: 127.0, through: 1, by: -1) {
      let scale = magnitude / steps
      let fits = weights.allSatisfy { weight in
        let position = weight / scale
        return (position - position.rounded()).magnitude < 1e-3
      }
      if fits { return scale }
    }
    return nil
  }

  // MARK: Limits

  /// A scale near the wanted one for which the bias fits 30 bits and the requantization factor has enough bits.
  ///
  /// A larger scale costs resolution only where the weights are too small against the bias or the output to matter.
  private func boundedScale(_ wanted: Double, bias: Double) -> Float {
    let input = Double(inputScale)
    let least = max(bias.magnitude / 0x1p30, Double(outputScale) * 0x1p-24) / input
    return max(Float(max(wanted, least)), .leastNormalMagnitude)
  }

  private func integerBias(_ row: Row, _ channel: Int, _ original: [Double], _ moments: InputMoments?) -> Int32 {
    var value = Double(bias[channel])
    if let moments, moments.count > 0 {
      var difference = 0.0
      for k in 0..<original.count {
        let seen = moments.inputSum[k]
        difference += original[k] * (seen + moments.errorSum[k]) - Double(row.weights[k]) * Double(row.scale) * seen
      }
      value += difference / Double(moments.count) * Double(observedScale ?? inputScale)
    }
    let unit = Double(inputScale) * Double(row.scale)
    // The output saturates long before a bias of 2^22 of its steps; that bounds what a left shift could push out.
    let limit = min(0x1p30, 0x1p22 * Double(outputScale) / unit)
    return Int32(max(-limit, min((value / unit).rounded(.toNearestOrAwayFromZero), limit)))
  }
}
