import Testing

@testable import QModel

@Suite struct WeightFittingTests {
  /// A dense layer without a graph around it.
  private func layer(inputs: Int, outputs: Int) throws -> LinearLayer {
    var sketch = GraphSketch()
    let input = sketch.input([1, inputs])
    sketch.output(
      try sketch.node(
        .fullyConnected(FullyConnectedOp()), input, sketch.constant([outputs, inputs]), sketch.constant([outputs])))
    return try #require(try LinearLayer(sketch.graph.nodes[0], index: 0, in: sketch.graph))
  }

  private func fitting(
    _ weights: [Float], _ bias: [Float], inputScale: Float = 0.05, outputScale: Float = 0.1, nearest: Bool = false
  ) throws -> WeightFitting {
    WeightFitting(
      layer: try layer(inputs: weights.count / bias.count, outputs: bias.count), weights: weights, bias: bias,
      inputScale: inputScale, outputScale: outputScale, roundsToNearest: nearest)
  }

  @Test func nearestRoundsEachWeight() throws {
    let weights: [Float] = [1.27, -0.634, 0.005, 0, 0.2, -0.1]
    let result = try fitting(weights, [0.5, -3], nearest: true).fitted(nil, sampleCount: 0)
    #expect(abs(result.scales[0] - 0.01) < 1e-7)
    #expect(result.weights[0] == 127 && result.weights[1] == -63)
    // Row 2: scale 0.2 / 127.
    #expect(result.weights[4] == 127 && result.weights[5] == -64 && result.weights[3] == 0)
    #expect(result.bias[0] == Int32((0.5 / (0.05 * Double(result.scales[0]))).rounded()))
    #expect(result.bias[1] == Int32((-3 / (0.05 * Double(result.scales[1]))).rounded()))
  }

  @Test(arguments: [1, 2, 3, 4] as [UInt64]) func scalesAloneNeverCostError(seed: UInt64) throws {
    var random = TensorGenerator(seed: seed)
    let weights = (0..<60).map { _ in random.normal() * random.normal() }
    let bias = [Float](repeating: 0, count: 3)
    func error(_ result: WeightFitting.Result) -> Double {
      weights.indices.reduce(0) { sum, index in
        let difference = Double(weights[index]) - Double(result.weights[index]) * Double(result.scales[index / 20])
        return sum + difference * difference
      }
    }
    let plain = try fitting(weights, bias, nearest: true).fitted(nil, sampleCount: 0)
    let searched = try fitting(weights, bias).fitted(nil, sampleCount: 0)
    #expect(error(searched) <= error(plain))
  }

  @Test func gridsAreFound() throws {
    let small = try #require(WeightFitting.grid(of: [0, 0.03, -0.05, 0.07]))
    for value in [0.03, 0.05, 0.07] { #expect(abs((value / small).rounded() - value / small) < 1e-3) }
    #expect(WeightFitting.grid(of: [0, 0]) == nil)
    var random = TensorGenerator(seed: 41)
    #expect(WeightFitting.grid(of: (0..<9).map { _ in Double(random.normal()) }) == nil)
    let integers = (0..<64).map { _ in Double(random.int(-90...90)) }
    let scale = 0.0037
    let found = try #require(WeightFitting.grid(of: integers.map { $0 * scale }))
    for value in integers { #expect(abs((value * scale / found).rounded() * found - value * scale) < 1e-6) }
  }

  @Test func weightsOnAGridStayExact() throws {
    var random = TensorGenerator(seed: 42)
    let integers = (0..<50).map { _ in random.int(-100...99) } + [100]
    let result = try fitting(integers.map { Float($0) * 0.02 }, [0]).fitted(nil, sampleCount: 0)
    for (index, value) in integers.enumerated() {
      #expect(abs(Float(result.weights[index]) * result.scales[0] - Float(value) * 0.02) < 1e-5)
    }
  }

  @Test func zeroChannelsKeepTheirBias() throws {
    let result = try fitting([0, 0, 0, 1, 2, 3], [2.5, 0]).fitted(nil, sampleCount: 0)
    #expect(result.weights[..<3] == [0, 0, 0])
    // The output's value to a 256th of its step.
    #expect(abs(Double(result.bias[0]) * Double(result.scales[0]) * 0.05 - 2.5) < 0.1 / 256)
  }

  @Test(arguments: [1e3, 1e6, 1e9, 1e12, 1e30, -1e30] as [Float]) func hugeBiasesFit(bias: Float) throws {
    let result = try fitting([1e-3, 2e-3, -1e-3], [bias], outputScale: abs(bias) / 128).fitted(nil, sampleCount: 0)
    #expect(abs(result.bias[0]) <= 1 << 30)
    #expect(abs(Double(result.bias[0]) * Double(result.scales[0]) * 0.05 / Double(bias) - 1) < 1e-6)
  }

  @Test(arguments: [1e-4, 1e-12, 1e-30] as [Float]) func tinyWeightsKeepAFactor(magnitude: Float) throws {
    let result = try fitting([magnitude, -magnitude], [1]).fitted(nil, sampleCount: 0)
    let factor = 0.05 * Double(result.scales[0]) / 0.1
    #expect(factor >= 0x1p-25, "the requantization factor keeps its bits")
    #expect(abs(Double(result.bias[0]) * Double(result.scales[0]) * 0.05 - 1) < 0.1 / 256)
  }

  @Test func biasesBeyondTheOutputSaturate() throws {
    // 1e12 steps of the output: any number far outside will do, but the product with the factor must stay in 32 bits.
    let result = try fitting([1, 1], [1e12], outputScale: 1).fitted(nil, sampleCount: 0)
    let factor = 0.05 * Double(result.scales[0])
    #expect(Double(result.bias[0]) * factor >= 1000 && Double(result.bias[0]) * factor <= 0x1p23)
  }

  /// Correlated inputs, rounded, and the layer's moments of them.
  private func samples(
    inputs: Int, count: Int, scale: Float, _ random: inout TensorGenerator
  ) -> (float: [[Float]], steps: [[Float]], moments: InputMoments) {
    var rows = PatchRows(blockCount: 1, depth: inputs, count: count)
    var float: [[Float]] = [], steps: [[Float]] = []
    for row in 0..<count {
      let common = random.normal()
      let x = (0..<inputs).map { _ in random.normal() + common + 0.5 }
      let u = x.map { max(-127, min(($0 / scale).rounded(), 127)) }
      for k in 0..<inputs {
        rows.inputs[row * rows.stride + k] = u[k]
        rows.errors[row * rows.stride + k] = ((x[k] / scale - u[k]) * 4).rounded() / 4
      }
      float.append(x)
      steps.append(u)
    }
    var moments = InputMoments(depth: inputs)
    moments.add([rows], block: 0, threads: 1)
    return (float, steps, moments)
  }

  @Test(arguments: [1, 2, 3, 4, 5] as [UInt64]) func fittingReducesTheOutputError(seed: UInt64) throws {
    var random = TensorGenerator(seed: seed)
    let inputs = 24, outputs = 8, scale: Float = 0.05
    let weights = (0..<inputs * outputs).map { _ in random.normal() }
    let bias = (0..<outputs).map { _ in random.normal() }
    let (float, steps, moments) = samples(inputs: inputs, count: 400, scale: scale, &random)
    func error(_ result: WeightFitting.Result, _ float: [[Float]], _ steps: [[Float]]) -> Double {
      var sum = 0.0
      for (x, u) in zip(float, steps) {
        for o in 0..<outputs {
          var expected = Double(bias[o]), actual = Double(result.bias[o])
          for k in 0..<inputs {
            expected += Double(weights[o * inputs + k]) * Double(x[k])
            actual += Double(result.weights[o * inputs + k]) * Double(u[k])
          }
          let difference = expected - actual * Double(scale) * Double(result.scales[o])
          sum += difference * difference
        }
      }
      return sum
    }
    let plain = try fitting(weights, bias, inputScale: scale, nearest: true).fitted(nil, sampleCount: 0)
    let fitting = try fitting(weights, bias, inputScale: scale)
    let fitted = fitting.fitted([moments], sampleCount: 400)
    #expect(error(fitted, float, steps) < 0.95 * error(plain, float, steps))
    // Samples that it has not seen do not pay for it.
    let (otherFloat, otherSteps, _) = samples(inputs: inputs, count: 400, scale: scale, &random)
    #expect(error(fitted, otherFloat, otherSteps) < 1.1 * error(plain, otherFloat, otherSteps))
    // The mean of the error is gone.
    var mean = 0.0
    for (x, u) in zip(float, steps) {
      mean += Double(bias[0]) - Double(fitted.bias[0]) * Double(scale * fitted.scales[0])
      for k in 0..<inputs {
        mean +=
          Double(weights[k]) * Double(x[k]) - Double(fitted.weights[k]) * Double(u[k])
          * Double(scale * fitted.scales[0])
      }
    }
    #expect(abs(mean) / 400 < 0.02)
    var threaded = fitting
    threaded.threads = 5
    let again = threaded.fitted([moments], sampleCount: 400)
    #expect(again.weights == fitted.weights && again.bias == fitted.bias && again.scales == fitted.scales)
  }

  @Test func samplesThatSayNothingChangeNothing() throws {
    var random = TensorGenerator(seed: 44)
    let weights = (0..<12).map { _ in random.normal() }
    var rows = PatchRows(blockCount: 1, depth: 6, count: 5)
    for row in 0..<5 { for k in 0..<6 { rows.inputs[row * rows.stride + k] = Float(k) } }
    var moments = InputMoments(depth: 6)
    moments.add([rows], block: 0, threads: 1)
    let fitting = try fitting(weights, [0, 0])
    let alone = fitting.fitted(nil, sampleCount: 0)
    let fitted = fitting.fitted([moments], sampleCount: 5)
    #expect(fitted.weights == alone.weights && fitted.scales == alone.scales)
  }
}
