import Testing

@testable import QKernels

/// Pooling and means against sums over all positions.
@Suite struct PoolingTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var input: [Int]
    var output: [Int]
    var window: Window2D
    var after = (0, 0)
    var testDescription: String {
      "\(input) -> \(output), \(window.kernelHeight)x\(window.kernelWidth) stride \(window.strideHeight) dilation \(window.dilationHeight)"
    }
  }

  static let cases: [Case] = [
    Case(input: [1, 1, 1, 1], output: [1, 1, 1, 1], window: Window2D(kernelHeight: 1, kernelWidth: 1)),
    Case(
      input: [2, 4, 6, 17], output: [2, 2, 3, 17],
      window: Window2D(kernelHeight: 2, kernelWidth: 2, strideHeight: 2, strideWidth: 2)),
    Case(
      input: [1, 5, 5, 3], output: [1, 5, 5, 3],
      window: Window2D(kernelHeight: 3, kernelWidth: 3, padTop: 1, padLeft: 1), after: (1, 1)),
    Case(input: [1, 25, 5, 33], output: [1, 1, 1, 33], window: Window2D(kernelHeight: 25, kernelWidth: 5)),
    Case(
      input: [1, 7, 8, 4], output: [1, 3, 4, 4],
      window: Window2D(kernelHeight: 3, kernelWidth: 2, strideHeight: 3, strideWidth: 2, padTop: 1), after: (0, 0)),
    // The last window of ceiling mode reaches beyond the padding.
    Case(
      input: [1, 5, 6, 4], output: [1, 3, 3, 4],
      window: Window2D(kernelHeight: 3, kernelWidth: 3, strideHeight: 2, strideWidth: 2), after: (0, 0)),
    Case(
      input: [1, 9, 9, 2], output: [1, 7, 6, 2],
      window: Window2D(kernelHeight: 2, kernelWidth: 3, dilationHeight: 3, dilationWidth: 2, padTop: 1, padLeft: 0),
      after: (0, 1)),
  ]

  /// The values of the window's positions inside the input, and how many lie in input or padding.
  private func window(_ c: Case, _ input: Operand, _ position: [Int]) -> ([Int], Int) {
    var values: [Int] = []
    var counted = 0
    for ky in 0..<Int(c.window.kernelHeight) {
      for kx in 0..<Int(c.window.kernelWidth) {
        let y = position[1] * Int(c.window.strideHeight) - Int(c.window.padTop) + ky * Int(c.window.dilationHeight)
        let x = position[2] * Int(c.window.strideWidth) - Int(c.window.padLeft) + kx * Int(c.window.dilationWidth)
        if y < c.input[1] + c.after.0, x < c.input[2] + c.after.1 { counted += 1 }
        if y >= 0, y < c.input[1], x >= 0, x < c.input[2] {
          values.append(MovementTests.value(input, [position[0], y, x, position[3]]))
        }
      }
    }
    return (values, counted)
  }

  @Test(arguments: cases, [StoredType.int8, .int16]) func pooling(_ c: Case, _ type: StoredType) throws {
    var generator = SeededGenerator(seed: 11)
    let zeroPoint = type == .int8 ? 13 : 0
    let input = Operand.random(c.input, type, zeroPoint: zeroPoint, using: &generator)
    let output = Operand(shape: c.output, type: type, zeroPoint: zeroPoint)
    let limits = type == .int8 ? (-100, 110) : (-32768, 30000)
    func clamp(_ value: Int) -> Int { min(max(value, limits.0), limits.1) }
    for countsPadding in [false, true] {
      let params = Pool2DParams(
        window: c.window, countsPadding: countsPadding, padBottom: Int32(c.after.0), padRight: Int32(c.after.1),
        outputMin: Int32(limits.0), outputMax: Int32(limits.1))
      let expected = MovementTests.positions(c.output).map { position -> Int in
        let (values, counted) = window(c, input, position)
        let divisor = countsPadding ? counted : values.count
        let sum = values.reduce(0, +) + (divisor - values.count) * zeroPoint
        let half = divisor / 2
        return clamp((sum > 0 ? sum + half : sum - half) / divisor)
      }
      let result = try runStep(
        .averagePool2D, inputs: [input], outputs: [output],
        scratch: { (p: Pool2DParams) in p.scratchByteCount(input: input.record) }
      ) { _ in params }
      expectEqual(result.outputs[0], expected, "average, padding counts \(countsPadding)")
      if countsPadding { continue }
      let largest = MovementTests.positions(c.output).map { clamp(window(c, input, $0).0.max() ?? 0) }
      let maximum = try runStep(
        .maxPool2D, inputs: [input], outputs: [output],
        scratch: { (p: Pool2DParams) in p.scratchByteCount(input: input.record) }
      ) { _ in params }
      expectEqual(maximum.outputs[0], largest, "maximum")
    }
  }

  @Test(arguments: [StoredType.int8, .int16]) func meanOverAnyAxes(_ type: StoredType) throws {
    let shape = [2, 3, 4, 5]
    for axes in UInt32(0)..<16 {
      var generator = SeededGenerator(seed: UInt64(axes) + 20)
      let input = Operand.random(shape, type, zeroPoint: type == .int8 ? -9 : 0, using: &generator)
      let kept = shape.indices.filter { axes >> UInt32($0) & 1 == 0 }
      let count = shape.indices.filter { axes >> UInt32($0) & 1 == 1 }.reduce(1) { $0 * shape[$1] }
      let output = Operand(shape: kept.map { shape[$0] }, type: type, zeroPoint: type == .int8 ? 4 : 0)
      // Not normalized: the count is divided into the multiplier.
      let multiplier = Int32(Int(generator.multiplier()) / count)
      let params = MeanParams(
        axes: axes, multiplier: multiplier, shift: 0, outputMin: type.lowest, outputMax: type.highest)
      var sums = [Int](repeating: 0, count: output.count)
      for position in MovementTests.positions(shape) {
        let index = kept.reduce(0) { $0 * shape[$1] + position[$1] }
        sums[index] += MovementTests.value(input, position) - input.zeroPoint
      }
      let expected = sums.map {
        min(
          max(Int(Truncating.requantize(Int32($0), multiplier, 0)) + output.zeroPoint, Int(type.lowest)),
          Int(type.highest))
      }
      let result = try runStep(
        .mean, inputs: [input], outputs: [output],
        scratch: { (p: MeanParams) in p.scratchByteCount(input: input.record) }
      ) { _ in params }
      expectEqual(result.outputs[0], expected, "axes \(axes)")
    }
  }
}
