import Foundation
import Testing

@testable import QKernels
@testable import QModel

/// The softmax family against the reference's own outputs, along any axis, and in real numbers.
@Suite struct SoftmaxTests {
  /// Golden rows [rows, depth] laid out so that the axis stands at `place` of three axes.
  private struct Layout {
    var place: Int
    var rows: Int
    var depth: Int

    var shape: [Int] {
      switch place {
      case 0: [depth, rows, 1]
      case 1: [1, depth, rows]
      default: [rows, 1, depth]
      }
    }

    /// Row-major golden values in the layout's order, or back.
    func arranged(_ values: [Int], back: Bool = false) -> [Int] {
      if place == 2 { return values }
      let (outer, inner) = back ? (depth, rows) : (rows, depth)
      return (0..<values.count).map { values[$0 % outer * inner + $0 / outer] }
    }
  }

  @Test(arguments: 0..<3) func equalsTheGoldenVectorsAlongEveryAxis(place: Int) throws {
    var tables: [Int16] = []
    for golden in try GoldenFile.load("softmax.json").cases {
      let layout = Layout(place: place, rows: golden.input.count / golden.parameter, depth: golden.parameter)
      let isInt16 = golden.name == "softmax16"
      let input = Operand(
        shape: layout.shape, type: isInt16 ? .int16 : .int8, values: layout.arranged(golden.input.map { Int($0) }))
      let output = Operand(shape: layout.shape, type: isInt16 || golden.name == "softmax8to16" ? .int16 : .int8)
      let factors = (golden.second ?? []).map { Int32($0) }
      let axis = Int32(place)
      let result: StepResult
      switch golden.name {
      case "softmax8", "softmax8to16":
        result = try runStep(.softmax, inputs: [input], outputs: [output]) {
          SoftmaxParams(axis: axis, table: $0.constant(Self.table(factors[0], factors[1], factors[2])))
        }
      case "logSoftmax":
        result = try runStep(.logSoftmax, inputs: [input], outputs: [output]) { _ in
          LogSoftmaxParams(
            axis: axis, multiplier: factors[0], shift: factors[1], reverseMultiplier: factors[3],
            reverseShift: factors[4], lowestDifference: factors[2])
        }
      default:
        if let third = golden.third, !third.isEmpty { tables = third.map { Int16($0) } }
        result = try runStep(.softmaxInt16, inputs: [input], outputs: [output]) {
          SoftmaxInt16Params(
            axis: axis, multiplier: factors[0], shift: factors[1], expTable: $0.constant(Array(tables[..<513])),
            reciprocalTable: $0.constant(Array(tables[513...])))
        }
      }
      expectEqual(
        layout.arranged(result.outputs[0], back: true), golden.output.map { Int($0) },
        "\(golden.name), depth \(golden.parameter), factors \(factors), axis \(place)")
    }
  }

  static func table(_ multiplier: Int32, _ shift: Int32, _ lowest: Int32) -> [Int32] {
    (0..<256).map {
      SoftmaxTable.entry(difference: -$0, multiplier: multiplier, shift: shift, lowestDifference: lowest)
    }
  }

  /// More equal values than the reference admits: each gets its true share, rounded.
  @Test func manyEqualValues() throws {
    for depth in [511, 512, 5000, 70_000] {
      let input = Operand(shape: [depth], type: .int8, values: [Int](repeating: 3, count: depth))
      let result = try runStep(.softmax, inputs: [input], outputs: [Operand(shape: [depth], type: .int8)]) {
        SoftmaxParams(axis: 0, table: $0.constant(Self.table(1 << 30, 20, -248)))
      }
      let share = 256.0 / Double(depth)
      #expect(result.outputs[0].allSatisfy { abs(Double($0 + 128) - share) < 0.51 }, "depth \(depth)")
    }
  }

  /// In real numbers: within one and a half units of the output.
  @Test func isAccurate() throws {
    var generator = SeededGenerator(seed: 31)
    let scale = 0.05
    let factor = FixedPointMultiplier(nearest: scale * 67_108_864)
    let values = (0..<40).map { _ in Int.random(in: -128...127, using: &generator) }
    let exps = values.map { Foundation.exp(Double($0) * scale) }
    let total = exps.reduce(0, +)
    let input = Operand(shape: [40], type: .int8, values: values)
    let result = try runStep(.softmax, inputs: [input], outputs: [Operand(shape: [40], type: .int16)]) {
      SoftmaxParams(axis: 0, table: $0.constant(Self.table(factor.multiplier, factor.shift, -256)))
    }
    for (value, exp) in zip(result.outputs[0], exps) {
      #expect(abs(Double(value + 32768) / 65536 - exp / total) < 1.5 / 65536)
    }
    let reverse = FixedPointMultiplier(nearest: Double(1 << (31 - Int(factor.shift))) / Double(factor.multiplier))
    let logs = try runStep(.logSoftmax, inputs: [input], outputs: [Operand(shape: [40], type: .int8)]) { _ in
      LogSoftmaxParams(
        axis: 0, multiplier: factor.multiplier, shift: factor.shift, reverseMultiplier: reverse.multiplier,
        reverseShift: reverse.shift, lowestDifference: -620)
    }
    for (value, exp) in zip(logs.outputs[0], exps) {
      #expect(abs(Double(value - 127) / 16 - max(Foundation.log(exp / total), -15.9)) < 1.5 / 16)
    }
  }
}
