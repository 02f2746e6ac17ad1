import QKernels

extension Lowering {
  mutating func lowerBinary(_ node: Node, _ op: BinaryOp) throws(ModelError) {
    let a = try input(node, 0), b = try input(node, 1), output = try output(node)
    guard a.type == b.type, a.type == output.type, a.type != .int32 else {
      throw ModelError(.unsupported, "no kernel computes \(output.type) from \(a.type) and \(b.type)")
    }
    switch op.kind {
    case .add, .sub:
      let sum = Sum(try quantized(a), try quantized(b), try quantized(output), subtracts: op.kind == .sub)
      try lowerElementwise(node, op, a, b, output, sum.value) { lowering, inputs, target, inPlace in
        let clamp = lowering.activationRange(op.activation, output)
        let params = AddParams(
          leftShift: Int32(sum.leftShift), aMultiplier: sum.a.multiplier, aShift: sum.a.shift,
          bMultiplier: sum.subtracts ? -sum.b.multiplier : sum.b.multiplier, bShift: sum.b.shift,
          outputMultiplier: sum.output.multiplier, outputShift: sum.output.shift, outputMin: Int32(clamp.lowerBound),
          outputMax: Int32(clamp.upperBound))
        lowering.builder.step(
          a.type == .int8 ? .add : .addInt16, params, inputs: inputs, outputs: [target], inPlaceInputs: inPlace)
      }
    case .mul:
      let product = Product(try quantized(a), try quantized(b), try quantized(output))
      try lowerElementwise(node, op, a, b, output, product.value) { lowering, inputs, target, inPlace in
        let clamp = lowering.activationRange(op.activation, output)
        let params = MulParams(
          multiplier: product.factor.multiplier, shift: product.factor.shift, outputMin: Int32(clamp.lowerBound),
          outputMax: Int32(clamp.upperBound))
        lowering.builder.step(
          a.type == .int8 ? .mul : .mulInt16, params, inputs: inputs, outputs: [target], inPlaceInputs: inPlace)
      }
    case .div:
      throw ModelError(
        .unsupported, "a division is only supported by a constant, which quantization turns into a multiplication")
    case .maximum, .minimum:
      guard op.activation == .none else {
        throw ModelError(.unsupported, "a fused activation is not supported after \(op.kind.rawValue)")
      }
      let takesMaximum = op.kind == .maximum
      let first = try matching(a, output), second = try matching(b, output)
      builder.step(
        .maximumMinimum, MaximumMinimumParams(takesMaximum: takesMaximum), inputs: [first, second],
        outputs: [try activation(output.id)], inPlaceInputs: inPlace(a, b, output))
    }
  }

  /// An elementwise op with two operands; with a single constant value it is a function of the other operand, which
  /// becomes a table.
  private mutating func lowerElementwise(
    _ node: Node, _ op: BinaryOp, _ a: Operand, _ b: Operand, _ output: Operand, _ value: (Int, Int) -> Int,
    _ step: (inout Lowering, _ inputs: [Int], _ target: Int, _ inPlace: [Int]) -> Void
  ) throws(ModelError) {
    if output.type == .int8 {
      let clamp = activationRange(op.activation, output)
      func result(_ a: Int, _ b: Int) -> Int8 {
        Int8(clamping: max(clamp.lowerBound, min(output.zeroPoint + value(a, b), clamp.upperBound)))
      }
      if b.elementCount == 1, a.elementCount == output.elementCount, !isConstant(node, 0),
        let constant = try constantValue(node, 1)
      {
        return try lookup(a, output, (-128...127).map { result($0, constant) })
      }
      if a.elementCount == 1, b.elementCount == output.elementCount, !isConstant(node, 1),
        let constant = try constantValue(node, 0)
      {
        return try lookup(b, output, (-128...127).map { result(constant, $0) })
      }
    }
    let inputs = [try existing(a.id), try existing(b.id)]
    step(&self, inputs, try activation(output.id), inPlace(a, b, output))
  }

  /// The value of a constant operand of one element.
  private func constantValue(_ node: Node, _ index: Int) throws(ModelError) -> Int? {
    isConstant(node, index) ? try integers(node, index)?.first : nil
  }

  /// The operands whose memory the output may take: those of its own shape.
  func inPlace(_ a: Operand, _ b: Operand, _ output: Operand) -> [Int] {
    (a.shape == output.shape ? [0] : []) + (b.shape == output.shape ? [1] : [])
  }

  /// A table step.
  mutating func lookup(_ input: Operand, _ output: Operand, _ table: [Int8]) throws(ModelError) {
    let source = try existing(input.id)
    builder.step(
      .lookup, LookupParams(table: builder.constant(table)), inputs: [source], outputs: [try activation(output.id)],
      inPlaceInputs: [0])
  }
}

/// Addition and subtraction: both operands are brought to twice the larger scale with bits to spare.
private struct Sum {
  let aZeroPoint: Int, bZeroPoint: Int
  let leftShift: Int
  let a: FixedPointMultiplier, b: FixedPointMultiplier, output: FixedPointMultiplier
  let subtracts: Bool

  init(_ a: Lowering.Operand, _ b: Lowering.Operand, _ output: Lowering.Operand, subtracts: Bool) {
    aZeroPoint = a.zeroPoint
    bZeroPoint = b.zeroPoint
    leftShift = output.type == .int16 ? 15 : 20
    let common = 2 * Double(max(a.scale, b.scale))
    self.a = FixedPointMultiplier(nearest: Double(a.scale) / common)
    self.b = FixedPointMultiplier(nearest: Double(b.scale) / common)
    self.output = FixedPointMultiplier(nearest: common / (Double(1 << leftShift) * Double(output.scale)))
    self.subtracts = subtracts
  }

  /// The result without the output's zero point: what the kernel computes.
  func value(_ x: Int, _ y: Int) -> Int {
    let first = a.requantized(Int32((x - aZeroPoint) << leftShift))
    let second = b.requantized(Int32((y - bZeroPoint) << leftShift))
    return Int(output.requantized(subtracts ? first - second : first + second))
  }
}

/// Multiplication.
private struct Product {
  let aZeroPoint: Int, bZeroPoint: Int
  let factor: FixedPointMultiplier

  init(_ a: Lowering.Operand, _ b: Lowering.Operand, _ output: Lowering.Operand) {
    aZeroPoint = a.zeroPoint
    bZeroPoint = b.zeroPoint
    factor = FixedPointMultiplier(nearest: Double(a.scale) * Double(b.scale) / Double(output.scale))
  }

  /// The result without the output's zero point: what the kernel computes.
  func value(_ x: Int, _ y: Int) -> Int { Int(factor.requantized(Int32((x - aZeroPoint) * (y - bZeroPoint)))) }
}
