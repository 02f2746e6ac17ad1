import QKernels

extension Lowering {
  mutating func lowerPool2D(_ node: Node, _ op: Pool2DOp, isMaximum: Bool) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type, input.type != .int32 else { throw unsupportedTypes(input, output) }
    let window = try window(
      kernel: (op.kernelHeight, op.kernelWidth), stride: (op.strideHeight, op.strideWidth),
      dilation: (op.dilationHeight, op.dilationWidth), padding: op.padding)
    guard op.padding.bottom <= 32767, op.padding.right <= 32767 else {
      throw ModelError(.unsupported, "a window's padding exceeds 32767")
    }
    let clamp = activationRange(op.activation, output)
    let padded = op.padding != Padding2D()
    let params = Pool2DParams(
      window: window, countsPadding: !isMaximum && op.countIncludePad && padded, padBottom: Int32(op.padding.bottom),
      padRight: Int32(op.padding.right), outputMin: Int32(clamp.lowerBound), outputMax: Int32(clamp.upperBound))
    let source = try matching(input, output)
    builder.step(
      isMaximum ? .maxPool2D : .averagePool2D, params, inputs: [source], outputs: [try activation(output.id)],
      scratch: params.scratchByteCount(input: record(input)))
  }

  mutating func lowerMean(_ node: Node, _ op: ReduceOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    guard input.type == output.type, input.type != .int32 else { throw unsupportedTypes(input, output) }
    let count = op.axes.reduce(1) { $0 * input.shape[$1] }
    var factor = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale) / Double(count))
    if graph.origin == .quantizedTFLite {
      // The ratio of the scales first, then divided by the count with as many bits as fit (TFLite's QuantizedMeanOrSum).
      let ratio = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale))
      let shift = min(Int.bitWidth - 1 - count.leadingZeroBitCount, 32, 31 + Int(ratio.shift))
      factor = FixedPointMultiplier(
        multiplier: Int32(truncatingIfNeeded: (Int(ratio.multiplier) << shift) / count),
        shift: ratio.shift - Int32(shift))
    }
    let params = MeanParams(
      axes: op.axes.reduce(0) { $0 | 1 << UInt32($1) }, multiplier: factor.multiplier, shift: factor.shift,
      outputMin: Int32(output.type.range.lowerBound), outputMax: Int32(output.type.range.upperBound))
    builder.step(
      .mean, params, inputs: [try existing(input.id)], outputs: [try activation(output.id)],
      scratch: params.scratchByteCount(input: record(input)))
  }
}
