import Testing

@testable import QKernels

/// Dense layers and products of two activations against their definition.
@Suite struct DenseTests {
  @Test(arguments: [(1, 1, 1), (3, 7, 5), (2, 16, 16), (5, 33, 17), (1, 640, 128)])
  func denseLayers(rows: Int, depth: Int, channels: Int) throws {
    for type in [StoredType.int8, .int16] {
      for weightsZeroPoint in type == .int8 ? [0, -128, 127, 15] : [0] {
        var generator = SeededGenerator(seed: UInt64(depth &* 131 &+ channels))
        var input = Operand.random([rows, depth], type, zeroPoint: type == .int8 ? -30 : 0, using: &generator)
        if rows == 1 { input.zeroPoint = type == .int8 ? -128 : 0 }
        let layer = TestDense(
          input: input, weights: (0..<depth * channels).map { _ in Int.random(in: -127...127, using: &generator) },
          weightsZeroPoint: weightsZeroPoint, outputDepth: channels,
          quantization: .random(channels: channels, depth: depth, type: type, using: &generator))
        expectEqual(try layer.run(), layer.expected(), "\(type), zero point \(weightsZeroPoint)")
      }
    }
  }

  /// Layers of one row whose channels share a scale, which some sets run with a workspace.
  @Test(arguments: [(1, 5, 1), (1, 33, 17), (1, 128, 128), (2, 16, 16)])
  func denseLayersOfOneScale(rows: Int, depth: Int, channels: Int) throws {
    var generator = SeededGenerator(seed: UInt64(depth &* 7 &+ channels))
    var layer = TestDense(
      input: .random([rows, depth], .int8, zeroPoint: 11, using: &generator),
      weights: (0..<depth * channels).map { _ in Int.random(in: -127...127, using: &generator) },
      outputDepth: channels, quantization: .random(channels: channels, depth: depth, type: .int8, using: &generator))
    layer.quantization.multipliers = [Int](repeating: 1_500_000_001, count: channels)
    layer.quantization.shifts = [Int](repeating: layer.quantization.shifts[0], count: channels)
    expectEqual(try layer.run(), layer.expected(), "one scale")
    #expect(try (layer.workspaceByteCount(.best) > 0) == (InnerSet.best.kernels.hasDense && rows == 1))
    layer.quantization.shifts[channels - 1] = 0
    #expect(try layer.workspaceByteCount(.best) == 0)
  }

  static let products: [([Int], [Int], [Int])] = [
    ([1, 1], [1, 1], []), ([3, 5], [5, 4], []), ([2, 3, 17], [2, 17, 33], [2]), ([4, 1, 3, 5], [1, 2, 5, 6], [4, 2]),
    ([3, 5], [2, 5, 6], [2]), ([2, 1, 2, 3, 4], [1, 3, 1, 4, 2], [2, 3, 2]),
  ]

  @Test(arguments: products.indices, [StoredType.int8, .int16]) func batchedProducts(_ index: Int, _ type: StoredType)
    throws
  {
    let (aShape, bShape, leading) = Self.products[index]
    let m = aShape[aShape.count - 2], k = aShape[aShape.count - 1], n = bShape[bShape.count - 1]
    for (transposeA, transposeB, bZeroPoint) in [
      (false, false, 0), (false, false, -9), (true, false, 5), (false, true, 0), (true, true, 127),
    ] {
      var generator = SeededGenerator(seed: UInt64(index) + 40)
      var a = Operand.random(aShape, type, zeroPoint: type == .int8 ? 22 : 0, using: &generator)
      var b = Operand.random(bShape, type, zeroPoint: type == .int8 ? bZeroPoint : 0, using: &generator)
      let shape = leading + [m, n]
      let output = Operand(shape: shape, type: type, zeroPoint: type == .int8 ? -1 : 0)
      let multiplier = generator.multiplier()
      let shift: Int32 = type == .int8 ? -9 : -17
      let params = BatchMatMulParams(
        transposeA: transposeA, transposeB: transposeB, multiplier: multiplier, shift: shift,
        outputMin: type == .int8 ? -128 : -32768, outputMax: type == .int8 ? 120 : 32767)
      let expected = MovementTests.positions(shape).map { position -> Int in
        var sum = 0
        for inner in 0..<k {
          let x = value(a, position.dropLast(2), position[shape.count - 2], inner) - a.zeroPoint
          let y = value(b, position.dropLast(2), inner, position[shape.count - 1]) - b.zeroPoint
          sum += x * y
        }
        let scaled =
          type == .int8
          ? Truncating.requantize(Int32(sum), multiplier, shift)
          : Truncating.requantizeWide(Int64(sum), multiplier, shift)
        return min(max(Int(scaled) + output.zeroPoint, Int(params.outputMin)), Int(params.outputMax))
      }
      if transposeA { a = transposed(a) }
      if transposeB { b = transposed(b) }
      let result = try runStep(
        type == .int8 ? .batchMatMul : .batchMatMulInt16, inputs: [a, b], outputs: [output],
        scratch: { (p: BatchMatMulParams) in type == .int8 ? p.scratchByteCount(a: a.record, b: b.record) : 0 }
      ) { _ in params }
      expectEqual(result.outputs[0], expected, "\(aShape) \(bShape) \(transposeA) \(transposeB) \(bZeroPoint) \(type)")
    }
  }

  /// An element by the leading position of the result, broadcast.
  private func value(_ operand: Operand, _ leading: ArraySlice<Int>, _ row: Int, _ column: Int) -> Int {
    let own = operand.shape.dropLast(2)
    let position = zip(own, leading.suffix(own.count)).map { $0 == 1 ? 0 : $1 }
    return MovementTests.value(operand, position + [row, column])
  }

  /// The last two axes exchanged.
  private func transposed(_ operand: Operand) -> Operand {
    var result = operand
    let rank = operand.shape.count
    result.shape.swapAt(rank - 2, rank - 1)
    result.values = MovementTests.positions(result.shape).map { position in
      var source = position
      source.swapAt(rank - 2, rank - 1)
      return MovementTests.value(operand, source)
    }
    return result
  }
}
