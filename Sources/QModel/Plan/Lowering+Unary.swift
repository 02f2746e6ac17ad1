import QKernels

extension Lowering {
  mutating func lowerUnary(_ node: Node, _ op: UnaryOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    switch (input.type, output.type) {
    case (.int8, .int8):
      let scaling = LookupTables.Scaling(
        inputScale: input.scale, inputZeroPoint: input.zeroPoint, outputScale: output.scale,
        outputZeroPoint: output.zeroPoint)
      let reference = graph.origin == .quantizedTFLite ? LookupTables.referenceTable(op, scaling) : nil
      try lookup(input, output, reference ?? LookupTables.table(scaling) { op.value(at: $0) })
    case (.int16, .int16): try lowerUnaryInt16(op, input, output)
    default: throw unsupportedTypes(input, output)
    }
  }

  mutating func lowerPRelu(_ node: Node) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    let slope = try quantized(self.input(node, 1))
    guard input.type == output.type, input.type != .int32 else { throw unsupportedTypes(input, output) }
    try require(slope, .int8)
    let identity = FixedPointMultiplier(nearest: Double(input.scale) / Double(output.scale))
    let product = FixedPointMultiplier(
      nearest: Double(input.scale) * Double(slope.scale) / Double(output.scale))
    if input.type == .int8, slope.elementCount == 1, let value = try integers(node, 1)?.first {
      let table = (-128...127).map { q in
        let x = Int32(q - input.zeroPoint)
        let y = x >= 0 ? identity.requantized(x) : product.requantized(x * Int32(value - slope.zeroPoint))
        return Int8(clamping: Int(y) + output.zeroPoint)
      }
      return try lookup(input, output, table)
    }
    let params = PReluParams(
      multiplier: identity.multiplier, shift: identity.shift, slopeMultiplier: product.multiplier,
      slopeShift: product.shift)
    let inputs = [try existing(input.id), try existing(slope.id)]
    builder.step(.prelu, params, inputs: inputs, outputs: [try activation(output.id)], inPlaceInputs: [0])
  }

  mutating func lowerSoftmax(_ node: Node, _ op: SoftmaxOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try output(node)
    switch (input.type, output.type) {
    case (.int8, .int8), (.int8, .int16):
      let factor = FixedPointMultiplier(
        nearest: min(Double(op.beta) * Double(input.scale) * 0x1p26, Double(Int32.max)))
      guard op.beta > 0, factor.shift >= 0 else {
        throw ModelError(.unsupported, "a softmax of input scale \(input.scale) and factor \(op.beta)")
      }
      let lowest = -LookupTables.inputRadius(integerBits: 5, shift: Int(factor.shift))
      let table = (0..<SoftmaxTable.count).map { index in
        SoftmaxTable.entry(
          difference: -Int32(index), multiplier: factor.multiplier, shift: factor.shift,
          lowestDifference: Int32(clamping: lowest))
      }
      let params = SoftmaxParams(axis: Int32(op.axis), table: builder.constant(table))
      let natural = TensorQuantization(
        scale: output.type == .int8 ? 1 / 256 : 1 / 65536, zeroPoint: output.type.range.lowerBound)
      let source = try existing(input.id)
      try compute(output, in: natural) { lowering, target in
        lowering.builder.step(.softmax, params, inputs: [source], outputs: [target], inPlaceInputs: [0])
      }
    case (.int16, .int16): try lowerSoftmaxInt16(op, input, output)
    default: throw unsupportedTypes(input, output)
    }
  }

  mutating func lowerLogSoftmax(_ node: Node, _ op: SoftmaxOp) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try output(node)
    try require(input, .int8)
    try require(output, .int8)
    // TFLite's PreprocessLogSoftmaxScalingExp.
    let factor = FixedPointMultiplier(nearest: min(Double(op.beta) * Double(input.scale) * 0x1p26, Double(Int32.max)))
    guard op.beta > 0, factor.shift >= 0 else {
      throw ModelError(.unsupported, "a softmax of input scale \(input.scale) and factor \(op.beta)")
    }
    let reverse = FixedPointMultiplier(nearest: Double(1 << (31 - Int(factor.shift))) / Double(factor.multiplier))
    let params = LogSoftmaxParams(
      axis: Int32(op.axis), multiplier: factor.multiplier, shift: factor.shift, reverseMultiplier: reverse.multiplier,
      reverseShift: reverse.shift,
      lowestDifference: Int32(clamping: -LookupTables.inputRadius(integerBits: 5, shift: Int(factor.shift))))
    let source = try existing(input.id)
    try compute(output, in: TensorQuantization(scale: 1 / 16, zeroPoint: 127)) { lowering, target in
      lowering.builder.step(.logSoftmax, params, inputs: [source], outputs: [target], inPlaceInputs: [0])
    }
  }
}
