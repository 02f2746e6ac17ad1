import Testing

@testable import QKernels
@testable import QModel

/// Operations on each element, alone or with a second tensor, against plain loops over multi-dimensional indices.
@Suite struct ElementwiseTests {
  /// Shapes of a and b, and of the result: broadcast on either side, in the middle, of whole tensors, of missing axes.
  static let shapes: [([Int], [Int], [Int])] = [
    ([1], [1], [1]), ([31], [31], [31]), ([2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5]),
    ([2, 3, 4, 5], [5], [2, 3, 4, 5]), ([5], [2, 3, 4, 5], [2, 3, 4, 5]), ([2, 3, 4, 5], [1, 1, 1, 1], [2, 3, 4, 5]),
    ([2, 1, 4, 1], [1, 3, 1, 5], [2, 3, 4, 5]), ([2, 3, 4, 5], [2, 1, 1, 5], [2, 3, 4, 5]),
    ([3, 1, 17], [1, 4, 17], [3, 4, 17]), ([1, 2, 1, 3, 1, 4], [2, 1, 3, 1, 4, 1], [2, 2, 3, 3, 4, 4]),
    ([], [4], [4]),
  ]

  /// The element of `operand` that stands at the C-order position `index` of `shape`.
  static func element(_ operand: Operand, at index: Int, of shape: [Int]) -> Int {
    var rest = index, position = 0, stride = 1
    for axis in stride0(shape) {
      let size = shape[axis], coordinate = rest % size
      rest /= size
      let own = axis - (shape.count - operand.shape.count)
      if own >= 0 {
        position += (operand.shape[own] == 1 ? 0 : coordinate) * stride
        stride *= operand.shape[own]
      }
    }
    return operand.values[position]
  }

  private static func stride0(_ shape: [Int]) -> [Int] { shape.indices.reversed() }

  private func pairs(_ shape: ([Int], [Int], [Int]), _ type: StoredType, seed: UInt64) -> (
    Operand, Operand, SeededGenerator
  ) {
    var generator = SeededGenerator(seed: seed)
    let zeroPoints =
      type == .int8
      ? (Int.random(in: -128...127, using: &generator), Int.random(in: -128...127, using: &generator)) : (0, 0)
    let a = Operand.random(shape.0, type, zeroPoint: zeroPoints.0, using: &generator)
    let b = Operand.random(shape.1, type, zeroPoint: zeroPoints.1, using: &generator)
    return (a, b, generator)
  }

  @Test(arguments: shapes.indices, [StoredType.int8, .int16]) func addition(_ index: Int, _ type: StoredType) throws {
    let shape = Self.shapes[index]
    for seed in UInt64(1)...6 {
      var (a, b, generator) = pairs(shape, type, seed: seed)
      let isSubtraction = seed % 2 == 0
      // Seed 6: halves of integers, where a negated factor would round the other way, at full resolution in the output.
      let isHalving = seed == 6
      func factor() -> Int32 { isHalving ? 1 << 30 : generator.multiplier() }
      let second = factor()
      let params = AddParams(
        leftShift: isHalving ? 0 : (type == .int8 ? 20 : 15), aMultiplier: factor(), aShift: isHalving ? 0 : -1,
        bMultiplier: isSubtraction ? -second : second, bShift: isHalving ? 0 : -2, outputMultiplier: factor(),
        outputShift: isHalving ? 1 : (type == .int8 ? -18 : -14), outputMin: type == .int8 ? -100 : -30000,
        outputMax: type == .int8 ? 127 : 32767)
      let output = Operand(shape: shape.2, type: type, zeroPoint: type == .int8 ? -7 : 0)
      let expected = (0..<output.count).map { position -> Int in
        func scaled(_ operand: Operand, _ multiplier: Int32, _ shift: Int32) -> Int {
          let x = (Self.element(operand, at: position, of: shape.2) - operand.zeroPoint) << Int(params.leftShift)
          return Int(Truncating.requantize(Int32(x), multiplier, shift))
        }
        let left = scaled(a, params.aMultiplier, params.aShift), right = scaled(b, second, params.bShift)
        let sum = isSubtraction ? left - right : left + right
        let value =
          Int(Truncating.requantize(Int32(sum), params.outputMultiplier, params.outputShift)) + output.zeroPoint
        return min(max(value, Int(params.outputMin)), Int(params.outputMax))
      }
      let result = try runStep(type == .int8 ? .add : .addInt16, inputs: [a, b], outputs: [output]) { _ in params }
      expectEqual(result.outputs[0], expected, "\(shape), \(type), seed \(seed)")
    }
  }

  @Test(arguments: shapes.indices, [StoredType.int8, .int16]) func multiplication(_ index: Int, _ type: StoredType)
    throws
  {
    let shape = Self.shapes[index]
    for seed in UInt64(1)...3 {
      var (a, b, generator) = pairs(shape, type, seed: seed &+ 50)
      let params = MulParams(
        multiplier: generator.multiplier(), shift: type == .int8 ? -7 : -14, outputMin: type == .int8 ? -128 : -32768,
        outputMax: type == .int8 ? 90 : 32000)
      let output = Operand(shape: shape.2, type: type, zeroPoint: type == .int8 ? 11 : 0)
      let expected = (0..<output.count).map { position -> Int in
        let x = Self.element(a, at: position, of: shape.2) - a.zeroPoint
        let y = Self.element(b, at: position, of: shape.2) - b.zeroPoint
        let value = Int(Truncating.requantize(Int32(x * y), params.multiplier, params.shift)) + output.zeroPoint
        return min(max(value, Int(params.outputMin)), Int(params.outputMax))
      }
      let result = try runStep(type == .int8 ? .mul : .mulInt16, inputs: [a, b], outputs: [output]) { _ in params }
      expectEqual(result.outputs[0], expected, "\(shape), \(type), seed \(seed)")
    }
  }

  @Test(arguments: shapes.indices, [StoredType.int8, .int16]) func extremes(_ index: Int, _ type: StoredType) throws {
    let shape = Self.shapes[index]
    let (a, b, _) = pairs(shape, type, seed: UInt64(index) &+ 70)
    for takesMaximum in [true, false] {
      let output = Operand(shape: shape.2, type: type)
      let expected = (0..<output.count).map { position -> Int in
        let x = Self.element(a, at: position, of: shape.2), y = Self.element(b, at: position, of: shape.2)
        return takesMaximum ? max(x, y) : min(x, y)
      }
      let result = try runStep(.maximumMinimum, inputs: [a, b], outputs: [output]) { _ in
        MaximumMinimumParams(takesMaximum: takesMaximum)
      }
      expectEqual(result.outputs[0], expected, "\(shape), maximum \(takesMaximum)")
    }
  }

  @Test(arguments: [StoredType.int8, .int16]) func parametricRectifier(_ type: StoredType) throws {
    for (seed, slopeShape) in [[2, 3, 4, 5], [5], [1, 1, 1], [3, 1, 5]].enumerated() {
      var generator = SeededGenerator(seed: UInt64(seed) + 90)
      let input = Operand.random([2, 3, 4, 5], type, zeroPoint: type == .int8 ? 9 : 0, using: &generator)
      let slope = Operand.random(slopeShape, .int8, zeroPoint: -3, using: &generator)
      let params = PReluParams(
        multiplier: generator.multiplier(), shift: 0, slopeMultiplier: generator.multiplier(), slopeShift: -7)
      let output = Operand(shape: input.shape, type: type, zeroPoint: type == .int8 ? -20 : 0)
      let range = type == .int8 ? -128...127 : -32768...32767
      let expected = (0..<output.count).map { position -> Int in
        let x = input.values[position] - input.zeroPoint
        let alpha = Self.element(slope, at: position, of: input.shape) - slope.zeroPoint
        let scaled =
          x >= 0
          ? Truncating.requantize(Int32(x), params.multiplier, params.shift)
          : Truncating.requantize(Int32(x * alpha), params.slopeMultiplier, params.slopeShift)
        return min(max(Int(scaled) + output.zeroPoint, range.lowerBound), range.upperBound)
      }
      let result = try runStep(.prelu, inputs: [input, slope], outputs: [output]) { _ in params }
      expectEqual(result.outputs[0], expected, "\(type), slope \(slopeShape)")
    }
  }

  @Test(arguments: [false, true]) func leakyRectifier(isSlopeNegative: Bool) throws {
    var generator = SeededGenerator(seed: 99)
    let input = Operand.random([400], .int16, zeroPoint: 5, using: &generator)
    let slope = generator.multiplier()
    let params = LeakyReluInt16Params(
      multiplier: generator.multiplier(), shift: 1, slopeMultiplier: isSlopeNegative ? -slope : slope, slopeShift: -3)
    let output = Operand(shape: [400], type: .int16, zeroPoint: -4)
    let expected = input.values.map { value -> Int in
      let x = Int32(value - 5)
      let scaled =
        x >= 0
        ? Int(Truncating.requantize(x, params.multiplier, params.shift))
        : Int(Truncating.requantize(x, slope, params.slopeShift)) * (isSlopeNegative ? -1 : 1)
      return min(max(scaled - 4, -32768), 32767)
    }
    let result = try runStep(.leakyReluInt16, inputs: [input], outputs: [output]) { _ in params }
    expectEqual(result.outputs[0], expected, "slope negative \(isSlopeNegative)")
  }

  @Test func requantizationBetweenTypes() throws {
    var generator = SeededGenerator(seed: 101)
    let cases: [(StoredType, StoredType, Int32)] = [
      (.int8, .int8, 0), (.int8, .int16, 8), (.int16, .int8, -8), (.int16, .int16, 1), (.int8, .int32, 12),
      (.int16, .int32, 3),
    ]
    for (from, to, shift) in cases {
      let input = Operand.random([3, 37], from, zeroPoint: from == .int8 ? -5 : 0, using: &generator)
      let output = Operand(shape: [3, 37], type: to, zeroPoint: to == .int32 ? 0 : 17)
      let params = RequantizeParams(
        multiplier: generator.multiplier(), shift: shift, outputMin: to.lowest, outputMax: to.highest)
      let expected = input.values.map {
        min(
          max(
            Int(Truncating.requantize(Int32($0 - input.zeroPoint), params.multiplier, shift)) + output.zeroPoint,
            Int(to.lowest)),
          Int(to.highest))
      }
      let result = try runStep(.requantize, inputs: [input], outputs: [output]) { _ in params }
      expectEqual(result.outputs[0], expected, "\(from) to \(to)")
    }
  }

  @Test func lookupOfEveryValue() throws {
    var generator = SeededGenerator(seed: 102)
    let table = (0..<256).map { _ in Int8.random(in: -128...127, using: &generator) }
    let input = Operand(shape: [256], type: .int8, values: Array(-128...127))
    let result = try runStep(.lookup, inputs: [input], outputs: [Operand(shape: [256], type: .int8)]) {
      LookupParams(table: $0.constant(table))
    }
    expectEqual(result.outputs[0], table.map { Int($0) }, "lookup")
  }

  @Test(arguments: [true, false]) func tableFunctionsOfInt16(isTanh: Bool) throws {
    let input = Operand(shape: [4096], type: .int16, values: (0..<4096).map { $0 * 16 - 32768 })
    for (multiplier, shift) in [(3, 0), (24, 0), (9001, -11), (32767, -15)] as [(Int32, Int32)] {
      let expected = input.values.map { x -> Int in
        let divisor = 1 << Int(-shift)
        let v = Int((Double(x * Int(multiplier)) / Double(divisor) + (shift == 0 ? 0 : 0.5)).rounded(.down))
        return Int(isTanh ? interpolatedTanh(Int32(v)) : interpolatedLogistic(Int32(v)))
      }
      let result = try runStep(
        .logisticTanhInt16, inputs: [input], outputs: [Operand(shape: [4096], type: .int16)]
      ) { _ in LogisticTanhInt16Params(isTanh: isTanh, multiplier: multiplier, shift: shift) }
      expectEqual(result.outputs[0], expected, "tanh \(isTanh), \(multiplier) \(shift)")
    }
  }
}
