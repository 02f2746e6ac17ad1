import QKernels

extension Lowering {
  mutating func lowerRequantize(_ node: Node) throws(ModelError) {
    let input = try quantized(input(node, 0)), output = try quantized(output(node))
    if input.type == output.type, input.quantization == output.quantization {
      return try alias(output.id, of: input.id)
    }
    try requantize(try existing(input.id), to: try activation(output.id))
  }

  /// The step from one quantization to another.
  mutating func requantize(_ source: Int, to target: Int) throws(ModelError) {
    let from = builder.tensors[source], to = builder.tensors[target]
    let factor = FixedPointMultiplier(nearest: Double(from.scale) / Double(to.scale))
    if from.type == .int8, to.type == .int8 {
      let table = (-128...127).map { q in
        Int8(clamping: Int(factor.requantized(Int32(q - from.zeroPoint))) + to.zeroPoint)
      }
      builder.step(
        .lookup, LookupParams(table: builder.constant(table)), inputs: [source], outputs: [target], inPlaceInputs: [0])
      return
    }
    guard from.type != .int32 else {
      throw ModelError(.unsupported, "no kernel requantizes \(from.type) to \(to.type)")
    }
    let limits = to.type.range
    let params = RequantizeParams(
      multiplier: factor.multiplier, shift: factor.shift, outputMin: Int32(limits.lowerBound),
      outputMax: Int32(limits.upperBound))
    builder.step(
      .requantize, params, inputs: [source], outputs: [target],
      inPlaceInputs: to.type.byteCount <= from.type.byteCount ? [0] : [])
  }

  /// The plan's tensor of an operand for an op that keeps scale and zero point: requantized to those of the output where
  /// they differ. Quantized models are taken at their word, as TensorFlow Lite Micro does.
  mutating func matching(_ operand: Operand, _ output: Operand) throws(ModelError) -> Int {
    let source = try existing(operand.id)
    guard graph.origin == .float, operand.quantization != output.quantization else { return source }
    _ = try quantized(operand)
    _ = try quantized(output)
    let target = temporary(like: output, shape: operand.shape)
    try requantize(source, to: target)
    return target
  }

  /// Computes an output whose natural quantization is another one than the graph's: into a temporary, then requantized.
  mutating func compute(
    _ output: Operand, in natural: TensorQuantization?, _ step: (inout Lowering, _ target: Int) throws(ModelError) -> Void
  ) throws(ModelError) {
    let target = try activation(output.id)
    guard graph.origin == .float, let natural, output.quantization != natural else { return try step(&self, target) }
    _ = try quantized(output)
    let temporary = builder.add(
      PlanTensor(shape: output.shape, type: output.type, scale: natural.scale, zeroPoint: natural.zeroPoint))
    try step(&self, temporary)
    try requantize(temporary, to: target)
  }
}
