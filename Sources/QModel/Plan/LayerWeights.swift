import QKernels

/// The weights of a layer as the graph gives them, with one scale per output channel.
struct LayerWeights {
  var label: String
  /// C order of the graph's shape.
  var values: [Int8]
  var shape: [Int]
  /// One per output channel.
  var scales: [Float]
  /// 0 except for dense layers of quantized models.
  var zeroPoint: Int
}

/// What requantization needs to know of the weights of one output channel, their zero point subtracted.
struct ChannelSums {
  var positive = 0
  var negative = 0
  /// What has been subtracted from the stored weights, in sum.
  var zeroPoints = 0
  /// The sum of the weights.
  var total: Int { positive + negative }
  /// The sum of the stored weights.
  var stored: Int { total + zeroPoints }

  mutating func add(_ weight: Int) {
    if weight > 0 { positive += weight } else { negative += weight }
  }

  /// All values that `Σ (x − zeroPoint) · w` can take for x in `inputs`.
  func range(inputs: ClosedRange<Int>, zeroPoint: Int) -> ClosedRange<Int> {
    let low = inputs.lowerBound - zeroPoint, high = inputs.upperBound - zeroPoint
    return positive * low + negative * high...positive * high + negative * low
  }
}

extension Lowering {
  /// The weights of a layer.
  ///
  /// - Parameters:
  ///   - index: the operand.
  ///   - channelAxis: the axis of the output channels.
  ///   - allowsZeroPoint: dense layers of quantized models.
  func weights(
    _ node: Node, _ index: Int, channelAxis: Int, allowsZeroPoint: Bool = false
  ) throws(ModelError) -> LayerWeights {
    guard index < node.inputs.count, let id = node.inputs[index] else {
      throw ModelError(.malformed, "the weights are missing")
    }
    let tensor = graph.tensors[id]
    guard case .int8(let values)? = tensor.data, values.count == tensor.elementCount else {
      throw ModelError(.unsupported, "the weights, \(label(id)), are no int8 constant")
    }
    guard let quantization = tensor.quantization else {
      throw ModelError(.malformed, "the weights, \(label(id)), have no scale")
    }
    let channels = tensor.shape[channelAxis], count = quantization.scales.count
    guard count == quantization.zeroPoints.count, count == 1 || (count == channels && quantization.axis == channelAxis)
    else {
      throw ModelError(
        .malformed,
        "the weights, \(label(id)), have \(count) scales along axis \(quantization.axis.map { "\($0)" } ?? "none"), "
          + "expected 1, or \(channels) along axis \(channelAxis)")
    }
    guard quantization.scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ModelError(.malformed, "the weights, \(label(id)), have a scale that is not positive")
    }
    let zeroPoint = quantization.zeroPoints[0]
    guard quantization.zeroPoints.allSatisfy({ $0 == 0 }) || (allowsZeroPoint && count == 1 && abs(zeroPoint) <= 128)
    else { throw ModelError(.unsupported, "the weights, \(label(id)), have a zero point other than 0") }
    return LayerWeights(
      label: label(id), values: values, shape: tensor.shape,
      scales: count == 1 ? [Float](repeating: quantization.scale, count: channels) : quantization.scales,
      zeroPoint: zeroPoint)
  }

  /// The bias of a layer, zeros where it has none.
  func bias(_ node: Node, _ index: Int, channels: Int) throws(ModelError) -> [Int] {
    guard let values = try integers(node, index) else { return [Int](repeating: 0, count: channels) }
    guard values.count == channels else {
      throw ModelError(.malformed, "the bias has \(values.count) values for \(channels) channels")
    }
    return values
  }

  /// The factor of each output channel, computed in double throughout.
  ///
  /// TensorFlow Lite Micro of 2026-10 does the same in every op. Earlier sources multiply two float32 scales first in dense
  /// layers, SVDF, BATCH_MATMUL, RELU, LEAKY_RELU and SUB; results differ only where a sum is a tie to seven digits.
  func channelMultipliers(input: Operand, weights: LayerWeights, output: Operand) -> [FixedPointMultiplier] {
    weights.scales.map { scale in
      FixedPointMultiplier(nearest: Double(input.scale) * Double(scale) / Double(output.scale))
    }
  }

  /// Stores what the int8 layers with weights share, and proves that no accumulator leaves 32 bits.
  ///
  /// - Parameters:
  ///   - packed: the weights in the op's layout.
  ///   - sums: one per output channel, in each set of biases (a transposed convolution has one set per phase).
  ///   - groups: the arrays are padded to whole blocks of 16 channels in each.
  ///   - sumsAreWide: the op has sums of 64 bits.
  mutating func channelQuantization(
    packed: [Int8], sums: [[ChannelSums]], bias: [Int], multipliers: [FixedPointMultiplier], input: Operand,
    output: Operand, activation: FusedActivation, groups: Int = 1, sumsAreWide: Bool = false
  ) throws(ModelError) -> ChannelQuantization {
    for set in sums where !sumsAreWide {
      for (channel, sum) in set.enumerated() {
        let products = sum.range(inputs: input.type.range, zeroPoint: input.zeroPoint)
        try requireInt32(
          products.lowerBound + bias[channel]...products.upperBound + bias[channel], channel, multipliers[channel])
      }
    }
    // The folded bias alone may leave 32 bits although no sum does: sums wrap, so its low 32 bits are enough.
    let folded = foldedBias(sums, bias, input)
    let clamp = activationRange(activation, output)
    return ChannelQuantization(
      weights: builder.constant(packed),
      bias: builder.constant(folded.flatMap { padded($0.map { Int32(truncatingIfNeeded: $0) }, groups) }),
      weightSums: builder.constant(sums.flatMap { padded($0.map { Int32(truncatingIfNeeded: $0.stored) }, groups) }),
      multiplier: builder.constant(padded(multipliers.map(\.multiplier), groups)),
      shift: builder.constant(padded(multipliers.map(\.shift), groups)),
      outputZeroPoint: Int32(output.zeroPoint), outputMin: Int32(clamp.lowerBound), outputMax: Int32(clamp.upperBound))
  }

  /// The same for int16 activations, whose sums have `accumulatorBits` bits. Sums of 32 bits are those of quantized models,
  /// which promise that they suffice; they wrap as in TensorFlow Lite Micro where they do not.
  mutating func wideChannelQuantization(
    packed: [Int8], sums: [[ChannelSums]], bias: [Int], multipliers: [FixedPointMultiplier], input: Operand,
    output: Operand, activation: FusedActivation, groups: Int = 1, accumulatorBits: Int
  ) throws(ModelError) -> WideChannelQuantization {
    for set in sums {
      for (channel, sum) in set.enumerated() {
        let products = sum.range(inputs: input.type.range, zeroPoint: input.zeroPoint)
        let (low, underflow) = products.lowerBound.addingReportingOverflow(bias[channel])
        let (high, overflow) = products.upperBound.addingReportingOverflow(bias[channel])
        // The requantization of 64-bit sums is exact up to 48 bits.
        guard !underflow, !overflow, low >= -1 << 47, high < 1 << 47 else {
          throw ModelError(.unsupported, "the sum of output channel \(channel) can leave 48 bits")
        }
        guard accumulatorBits == 32 || multipliers[channel].shift <= 14 else {
          throw ModelError(
            .unsupported, "the scales of output channel \(channel) give a factor of \(multipliers[channel].value)")
        }
      }
    }
    let clamp = activationRange(activation, output)
    return WideChannelQuantization(
      weights: builder.constant(packed),
      bias: builder.constant(foldedBias(sums, bias, input).flatMap { padded($0.map { Int64($0) }, groups) }),
      multiplier: builder.constant(padded(multipliers.map(\.multiplier), groups)),
      shift: builder.constant(padded(multipliers.map(\.shift), groups)), accumulatorBits: Int32(accumulatorBits),
      outputZeroPoint: Int32(output.zeroPoint), outputMin: Int32(clamp.lowerBound), outputMax: Int32(clamp.upperBound))
  }

  /// Throws unless a channel's sums fit 32 bits.
  private func requireInt32(
    _ sums: ClosedRange<Int>, _ channel: Int, _ factor: FixedPointMultiplier
  ) throws(ModelError) {
    // What a left shift would push out of 32 bits is refused only where the scales are ours: a quantized model keeps its
    // arithmetic, in which such a value wraps as in TensorFlow Lite Micro.
    let shift = graph.origin == .float ? max(0, Int(factor.shift)) : 0
    guard sums.lowerBound << shift >= Int(Int32.min), sums.upperBound << shift <= Int(Int32.max) else {
      throw ModelError(
        .unsupported,
        "the sum of output channel \(channel) can reach \(sums)" + (shift > 0 ? ", shifted left by \(shift)," : "")
          + " and leave 32 bits")
    }
  }

  /// The bias of each channel with the input's zero point folded in, for each set of weight sums.
  private func foldedBias(_ sums: [[ChannelSums]], _ bias: [Int], _ input: Operand) -> [[Int]] {
    sums.map { set in set.indices.map { bias[$0] - input.zeroPoint * set[$0].total } }
  }

  /// Per-channel values with each group's padded to whole blocks of 16 channels.
  func padded<Value: FixedWidthInteger>(_ values: [Value], _ groups: Int) -> [Value] {
    let size = values.count / groups, lanes = (size + 15) / 16 * 16
    return (0..<groups).flatMap { group in
      values[group * size..<(group + 1) * size] + [Value](repeating: 0, count: lanes - size)
    }
  }

  /// A fused activation as a clamp of the output's integers (TFLite's CalculateActivationRangeQuantized).
  func activationRange(_ activation: FusedActivation, _ output: Operand) -> ClosedRange<Int> {
    let limits = output.type.range
    func quantized(_ value: Float, orElse limit: Int) -> Int {
      if value.isInfinite { return limit }
      let steps = (value / output.scale).rounded(.toNearestOrAwayFromZero)
      return Int(max(-0x1p40, min(Double(steps), 0x1p40))) + output.zeroPoint
    }
    let range = activation.range
    let lower = quantized(range.lowerBound, orElse: limits.lowerBound)
    let upper = quantized(range.upperBound, orElse: limits.upperBound)
    let low = max(limits.lowerBound, min(lower, limits.upperBound))
    return low...max(low, min(upper, limits.upperBound))
  }
}
