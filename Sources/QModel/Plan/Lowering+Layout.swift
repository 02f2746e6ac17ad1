import QKernels

// Ops that only move elements (or mix neighbours). They keep scale and zero point: where those of the output differ from an
// input's, one of them is requantized.
extension Lowering {
  mutating func lowerReshape(_ node: Node) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type else { throw unsupportedTypes(input, output) }
    if graph.origin == .float, input.quantization != output.quantization {
      return try requantize(try existing(input.id), to: try activation(output.id))
    }
    try alias(output.id, of: input.id)
  }

  mutating func lowerConcatenation(_ node: Node, _ op: ConcatenationOp) throws(ModelError) {
    let output = try output(node)
    guard op.activation == .none else {
      throw ModelError(.unsupported, "a fused activation is not supported after a concatenation")
    }
    var inputs: [Int] = []
    for index in node.inputs.indices {
      let input = try input(node, index)
      guard input.type == output.type else { throw unsupportedTypes(input, output) }
      inputs.append(try matching(input, output))
    }
    let target = try activation(output.id)
    builder.step(.concatenation, ConcatenationParams(axis: Int32(op.axis)), inputs: inputs, outputs: [target])
  }

  mutating func lowerSplit(_ node: Node, _ op: SplitOp) throws(ModelError) {
    let input = try input(node, 0)
    var start = 0
    for index in node.outputs.indices {
      var starts = [Int](repeating: 0, count: input.shape.count)
      starts[op.axis] = start
      let output = try output(node, index)
      try slice(input, output, starts: starts, strides: [Int](repeating: 1, count: starts.count))
      start += op.sizes[index]
    }
  }

  mutating func lowerSlice(_ node: Node, _ op: SliceOp) throws(ModelError) {
    try slice(try input(node, 0), try output(node), starts: op.starts, strides: op.strides)
  }

  private mutating func slice(
    _ input: Operand, _ output: Operand, starts: [Int], strides: [Int]
  ) throws(ModelError) {
    guard input.type == output.type else { throw unsupportedTypes(input, output) }
    let source = try matching(input, output)
    // The whole tensor, whatever the strides along axes of one element.
    if output.shape == input.shape, source == planned[input.id],
      zip(strides, input.shape).allSatisfy({ $0 == 1 || $1 == 1 })
    {
      return try alias(output.id, of: input.id)
    }
    let params = SliceParams(starts: perAxis(starts, filler: 0), strides: perAxis(strides, filler: 1))
    builder.step(.slice, params, inputs: [source], outputs: [try activation(output.id)])
  }

  mutating func lowerPad(_ node: Node, _ op: PadOp) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type else { throw unsupportedTypes(input, output) }
    let source = try matching(input, output)
    if output.shape == input.shape, source == planned[input.id] { return try alias(output.id, of: input.id) }
    let mode: PadParams.Mode
    var value = output.zeroPoint
    switch op.mode {
    case .constant(let real):
      mode = .constant
      // 0 is the zero point, whether there is a scale or not.
      if real != 0 {
        let clamp = activationRange(.clip(min: real, max: real), try quantized(output))
        value = clamp.lowerBound
      }
    case .reflect: mode = .reflect
    case .symmetric: mode = .symmetric
    case .edge: mode = .edge
    }
    let params = PadParams(before: perAxis(op.before, filler: 0), mode: mode, value: Int32(value))
    builder.step(.pad, params, inputs: [source], outputs: [try activation(output.id)])
  }

  mutating func lowerTranspose(_ node: Node, _ op: TransposeOp) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type else { throw unsupportedTypes(input, output) }
    let source = try matching(input, output)
    // Elements keep their order when the axes with more than one do.
    let moving = op.permutation.filter { input.shape[$0] > 1 }
    if moving == moving.sorted(), source == planned[input.id] { return try alias(output.id, of: input.id) }
    var permutation = InlineArray<6, Int32>(repeating: 0)
    for axis in 0..<6 { permutation[axis] = Int32(axis < op.permutation.count ? op.permutation[axis] : axis) }
    builder.step(
      .transpose, TransposeParams(permutation: permutation), inputs: [source], outputs: [try activation(output.id)])
  }

  mutating func lowerResize(_ node: Node, _ op: ResizeOp) throws(ModelError) {
    let input = try input(node, 0), output = try output(node)
    guard input.type == output.type else { throw unsupportedTypes(input, output) }
    let source = try existing(input.id)
    let isReference = graph.origin == .quantizedTFLite
    func axis(_ index: Int, _ taps: [ResizeOp.Tap]) -> ResizeAxis {
      ResizeAxis(
        coordinates: op.coordinates, input: input.shape[index], output: output.shape[index],
        taps: isReference ? nil : taps)
    }
    let rows = axis(1, op.rowTaps(input.shape[1])), columns = axis(2, op.columnTaps(input.shape[2]))
    switch op.mode {
    case .nearest:
      let params = ResizeNearestParams(
        rows: builder.constant(rows.nearest()), columns: builder.constant(columns.nearest()))
      try compute(output, in: input.quantization) { lowering, target in
        lowering.builder.step(.resizeNearest, params, inputs: [source], outputs: [target])
      }
    case .bilinear:
      try require(input, .int8)
      func flat(_ samples: [ResizeSample]) -> [Int32] { samples.flatMap { [$0.lower, $0.upper, $0.fraction] } }
      let params = ResizeBilinearParams(
        rows: builder.constant(flat(rows.bilinear())),
        columns: builder.constant(flat(columns.bilinear())))
      try compute(output, in: input.quantization) { lowering, target in
        lowering.builder.step(.resizeBilinear, params, inputs: [source], outputs: [target])
      }
    }
  }

  /// One value per axis, with `filler` beyond the rank.
  private func perAxis(_ values: [Int], filler: Int32) -> InlineArray<6, Int32> {
    var result = InlineArray<6, Int32>(repeating: filler)
    for (axis, value) in values.enumerated() { result[axis] = Int32(value) }
    return result
  }
}

/// Where the coordinates of one axis of a resize fall.
private struct ResizeAxis {
  let coordinates: ResizeOp.Coordinates
  let input: Int
  let output: Int
  /// The float reference's; nil for coordinates as TFLite computes them.
  let taps: [ResizeOp.Tap]?

  /// The input element of each output element. TFLite computes it in float32 (GetNearestNeighbor).
  func nearest() -> [Int32] {
    if let taps { return taps.map { Int32($0.first) } }
    let alignsCorners = coordinates == .alignCorners
    let scale =
      alignsCorners && output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
    let offset: Float = coordinates == .halfPixel ? 0.5 : 0
    return (0..<output).map { index in
      let position = (Float(index) + offset) * scale
      let rounded = alignsCorners ? position.rounded(.toNearestOrAwayFromZero) : position.rounded(.down)
      return Int32(max(0, min(Int(rounded), input - 1)))
    }
  }

  /// Between which input elements each output element lies, in 1/1024. TFLite computes it in integers
  /// (ResizeBilinearInteger).
  func bilinear() -> [ResizeSample] {
    if let taps {
      return taps.map { tap in
        ResizeSample(
          lower: Int32(tap.first), upper: Int32(tap.second), fraction: Int32((tap.share * 1024).rounded()))
      }
    }
    let alignsCorners = coordinates == .alignCorners && output > 1
    let scale =
      alignsCorners
      ? (1024 * (input - 1) + (output - 1) / 2) / (output - 1) : (1024 * input + output / 2) / output
    return (0..<output).map { index in
      let position = coordinates == .halfPixel ? index * scale + scale / 2 - 512 : index * scale
      let lower = max(position / 1024, 0), upper = min((position + 1023) / 1024, input - 1)
      return ResizeSample(lower: Int32(lower), upper: Int32(upper), fraction: Int32(position - 1024 * lower))
    }
  }
}
