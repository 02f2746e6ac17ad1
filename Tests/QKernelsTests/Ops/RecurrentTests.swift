import Foundation
import Testing

@testable import QKernels
@testable import QModel

/// The recurrent kernels against a second formulation of their arithmetic, on every instruction set of the machine, and
/// against values frozen in `golden/ops/recurrent.json`.
@Suite struct RecurrentTests {
  static let variants: [TestRecurrent] = [
    TestRecurrent("lstm"),
    TestRecurrent("lstm one of each") {
      ($0.steps, $0.batches, $0.inputs, $0.hidden) = (1, 1, 1, 1)
    },
    TestRecurrent("lstm whole blocks") {
      ($0.steps, $0.batches, $0.inputs, $0.hidden, $0.stepsPerChunk) = (3, 1, 16, 32, 8)
    },
    TestRecurrent("lstm odd sizes") {
      ($0.steps, $0.batches, $0.inputs, $0.hidden, $0.stepsPerChunk) = (7, 3, 33, 19, 3)
    },
    TestRecurrent("lstm reverse") { $0.reverseMask = 1 },
    TestRecurrent("lstm bidirectional") { ($0.directions, $0.reverseMask) = (2, 2) },
    TestRecurrent("lstm coupled, clipped") { ($0.isCoupled, $0.gateLimit, $0.cellLimit) = (true, 5000, 9000) },
    TestRecurrent("lstm peepholes") { ($0.hasPeepholes, $0.directions, $0.reverseMask) = (true, 2, 2) },
    TestRecurrent("lstm peepholes, clipped") { ($0.hasPeepholes, $0.gateLimit) = (true, 12000) },
    TestRecurrent("lstm relu") { ($0.activation, $0.cellActivation) = (.relu, .relu) },
    TestRecurrent("lstm fine cell") { $0.cellExponent = -15 },
    TestRecurrent("lstm coarse cell") { $0.cellExponent = -8 },
    TestRecurrent("lstm wide state") { $0.stateType = .int16 },
    TestRecurrent("lstm wide input and state") {
      ($0.stateType, $0.inputType, $0.directions, $0.reverseMask) = (.int16, .int16, 2, 2)
    },
    TestRecurrent("gru reset after") { $0.cell = .gruAfter },
    TestRecurrent("gru reset before") { $0.cell = .gruBefore },
    TestRecurrent("gru reset after, bidirectional, clipped") {
      ($0.cell, $0.directions, $0.reverseMask, $0.gateLimit, $0.candidateLimit, $0.hidden) = (
        .gruAfter, 2, 2, 6000, 6000, 17
      )
    },
    TestRecurrent("gru reset before, reverse, coarse state") {
      ($0.cell, $0.reverseMask, $0.hiddenExponent, $0.hidden) = (.gruBefore, 1, -13, 16)
    },
    TestRecurrent("gru reset after, wide") { ($0.cell, $0.stateType) = (.gruAfter, .int16) },
    TestRecurrent("gru reset before, wide") { ($0.cell, $0.stateType, $0.inputType) = (.gruBefore, .int16, .int16) },
    TestRecurrent("gru relu reset after") { ($0.cell, $0.activation, $0.hiddenExponent) = (.gruAfter, .relu, -11) },
    TestRecurrent("gru relu reset before, bidirectional, clipped") {
      ($0.cell, $0.activation, $0.directions, $0.reverseMask) = (.gruBefore, .relu, 2, 2)
      ($0.gateLimit, $0.candidateLimit, $0.hidden) = (9000, 1700, 17)
    },
    TestRecurrent("gru relu reset after, wide") {
      ($0.cell, $0.activation, $0.stateType, $0.hiddenExponent) = (.gruAfter, .relu, .int16, 0)
    },
    TestRecurrent("rnn tanh") { $0.cell = .rnn },
    TestRecurrent("rnn relu") { ($0.cell, $0.activation) = (.rnn, .relu) },
    TestRecurrent("rnn logistic, bidirectional") {
      ($0.cell, $0.activation, $0.directions, $0.reverseMask) = (.rnn, .logistic, 2, 2)
    },
    TestRecurrent("rnn tanh, wide, reverse") { ($0.cell, $0.stateType, $0.reverseMask) = (.rnn, .int16, 1) },
  ]

  @Test(arguments: variants) func kernelsEqualASecondFormulation(_ variant: TestRecurrent) throws {
    for seed in UInt64(1)...6 {
      var layer = variant
      layer.generate(seed: seed)
      let expected = layer.expected(), actual = try layer.run()
      expectEqual(actual.output, expected.output, "\(variant), seed \(seed), output")
      expectEqual(actual.h, expected.h, "\(variant), seed \(seed), hidden state")
      expectEqual(actual.c, expected.c, "\(variant), seed \(seed), cell state")
      let distinct = Set(expected.output).count
      #expect(distinct > min(3, expected.output.count - 1), "\(variant), seed \(seed) shows too little")
    }
  }

  private struct Vector: Codable, Equatable {
    var output: [Int], hidden: [Int], cell: [Int]
  }

  private struct Vectors: Codable {
    var format = 1
    var generator = "Tests/QKernelsTests/Ops/RecurrentTests.swift"
    var seed: UInt64 = 77
    var cases: [String: Vector] = [:]
  }

  /// The frozen values, so that the arithmetic of written models cannot drift with both formulations. `QK_RECORD_GOLDEN`
  /// writes them.
  @Test func outputsAreThoseOfTheGoldenFile() throws {
    var vectors = Vectors()
    for variant in Self.variants {
      var layer = variant
      layer.generate(seed: vectors.seed)
      let actual = try layer.run()
      vectors.cases[variant.name] = Vector(
        output: actual.output, hidden: actual.h, cell: layer.cell == .lstm ? actual.c : [])
    }
    let path = packageRoot.appendingPathComponent("golden/ops/recurrent.json")
    if ProcessInfo.processInfo.environment["QK_RECORD_GOLDEN"] != nil {
      let encoder = JSONEncoder()
      encoder.outputFormatting = .sortedKeys
      try encoder.encode(vectors).write(to: path)
    }
    let golden = try JSONDecoder().decode(Vectors.self, from: Data(contentsOf: path))
    #expect(golden.seed == vectors.seed && Set(golden.cases.keys) == Set(vectors.cases.keys))
    for (name, vector) in vectors.cases { #expect(golden.cases[name] == vector, "\(name)") }
  }
}
