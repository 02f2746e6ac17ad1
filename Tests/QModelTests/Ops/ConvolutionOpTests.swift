import Testing

@testable import QModel

/// Convolutions against the sum over taps and channels as the definition has it, in Double.
struct ConvolutionOpTests {
  @Test(arguments: 0..<40) func convolution(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    var op = Conv2DOp()
    op.groups = [1, 1, 2, 3][random.int(0...3)]
    (op.strideHeight, op.strideWidth) = (random.int(1...3), random.int(1...3))
    (op.dilationHeight, op.dilationWidth) = (random.int(1...2), random.int(1...3))
    op.padding = Padding2D(
      top: random.int(0...3), left: random.int(0...2), bottom: random.int(0...3), right: random.int(0...2))
    op.activation = [.none, .relu, .relu6, .clip(min: -1, max: 2)][random.int(0...3)]
    let groupChannels = random.int(1...9)
    let groupOutputs = random.int(1...19)
    let input = random.tensor([random.int(1...2), random.int(7...11), random.int(7...12), groupChannels * op.groups])
    let weights = random.tensor([groupOutputs * op.groups, random.int(1...3), random.int(1...3), groupChannels])
    let bias = random.bool() ? random.tensor([weights.shape[0]]) : nil
    let output = try op.result(input, weights, bias)
    let expected = indices(of: output.shape).map { index -> Double in
      let (n, y, x, o) = (index[0], index[1], index[2], index[3])
      var sum = bias?[o] ?? 0
      for ky in 0..<weights.shape[1] {
        for kx in 0..<weights.shape[2] {
          let row = y * op.strideHeight + ky * op.dilationHeight - op.padding.top
          let column = x * op.strideWidth + kx * op.dilationWidth - op.padding.left
          guard (0..<input.shape[1]).contains(row), (0..<input.shape[2]).contains(column) else { continue }
          for c in 0..<groupChannels {
            sum += input[n, row, column, o / groupOutputs * groupChannels + c] * weights[o, ky, kx, c]
          }
        }
      }
      return op.activation.clamped(sum)
    }
    #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
  }

  @Test(arguments: 0..<40) func depthwise(_ seed: Int) throws {
    var random = TensorGenerator(seed: 100 + UInt64(seed))
    var op = DepthwiseConv2DOp()
    op.depthMultiplier = random.int(1...3)
    (op.strideHeight, op.strideWidth) = (random.int(1...3), random.int(1...3))
    (op.dilationHeight, op.dilationWidth) = (random.int(1...2), random.int(1...3))
    op.padding = Padding2D(
      top: random.int(0...4), left: random.int(0...3), bottom: random.int(0...3), right: random.int(0...4))
    op.activation = [.none, .relu, .relu6, .reluN1To1][random.int(0...3)]
    let channels = random.int(1...20)
    let input = random.tensor([random.int(1...2), random.int(7...11), random.int(7...12), channels])
    let weights = random.tensor([1, random.int(1...3), random.int(1...3), channels * op.depthMultiplier])
    let bias = random.bool() ? random.tensor([weights.shape[3]]) : nil
    let output = try op.result(input, weights, bias)
    let expected = indices(of: output.shape).map { index -> Double in
      let (n, y, x, o) = (index[0], index[1], index[2], index[3])
      var sum = bias?[o] ?? 0
      for ky in 0..<weights.shape[1] {
        for kx in 0..<weights.shape[2] {
          let row = y * op.strideHeight + ky * op.dilationHeight - op.padding.top
          let column = x * op.strideWidth + kx * op.dilationWidth - op.padding.left
          guard (0..<input.shape[1]).contains(row), (0..<input.shape[2]).contains(column) else { continue }
          sum += input[n, row, column, o / op.depthMultiplier] * weights[0, ky, kx, o]
        }
      }
      return op.activation.clamped(sum)
    }
    #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
  }

  @Test(arguments: 0..<40) func transposed(_ seed: Int) throws {
    var random = TensorGenerator(seed: 200 + UInt64(seed))
    var op = TransposeConv2DOp()
    op.groups = [1, 1, 2, 3][random.int(0...3)]
    (op.strideHeight, op.strideWidth) = (random.int(1...3), random.int(1...3))
    (op.dilationHeight, op.dilationWidth) = (random.int(1...2), random.int(1...2))
    op.padding = Padding2D(top: random.int(0...2), left: random.int(0...2))
    (op.outputHeight, op.outputWidth) = (random.int(3...14), random.int(3...14))
    op.activation = [.none, .relu][random.int(0...1)]
    let groupChannels = random.int(1...5)
    let groupOutputs = random.int(1...9)
    let input = random.tensor([random.int(1...2), random.int(1...5), random.int(1...5), groupChannels * op.groups])
    let weights = random.tensor([groupOutputs * op.groups, random.int(1...4), random.int(1...4), groupChannels])
    let bias = random.bool() ? random.tensor([weights.shape[0]]) : nil
    let output = try op.result(input, weights, bias)
    // From the output's side: the taps that reach a pixel are those whose distance is a multiple of the stride.
    let expected = indices(of: output.shape).map { index -> Double in
      let (n, y, x, o) = (index[0], index[1], index[2], index[3])
      var sum = bias?[o] ?? 0
      for ky in 0..<weights.shape[1] {
        for kx in 0..<weights.shape[2] {
          let row = y + op.padding.top - ky * op.dilationHeight
          let column = x + op.padding.left - kx * op.dilationWidth
          guard row % op.strideHeight == 0, column % op.strideWidth == 0,
            (0..<input.shape[1]).contains(row / op.strideHeight), row >= 0,
            (0..<input.shape[2]).contains(column / op.strideWidth), column >= 0
          else { continue }
          for c in 0..<groupChannels {
            let channel = o / groupOutputs * groupChannels + c
            sum += input[n, row / op.strideHeight, column / op.strideWidth, channel] * weights[o, ky, kx, c]
          }
        }
      }
      return op.activation.clamped(sum)
    }
    #expect(worstDifference(output.values, expected) < 1e-5, "seed \(seed)")
  }

  /// Deep sums are kept in blocks; a plain float sum of these values is wrong by more than the bound.
  @Test func deepSumsStayExact() throws {
    var random = TensorGenerator(seed: 300)
    let input = random.tensor([1, 1, 4, 40_000], in: 0...1)
    let weights = random.tensor([8, 1, 1, 40_000], in: 0...1)
    let output = try Conv2DOp().result(input, weights, nil)
    let expected = indices(of: output.shape).map { index in
      (0..<40_000).reduce(0.0) { sum, k in
        sum + Double(input.values[index[2] * 40_000 + k]) * Double(weights.values[index[3] * 40_000 + k])
      }
    }
    #expect(worstDifference(output.values, expected) < 1e-6)
  }

  @Test func shapesThatDoNotFitAreRefused() {
    var op = Conv2DOp()
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 2], nil]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 5, 3, 3]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[4, 4, 3], [8, 3, 3, 3]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], nil]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3], [7]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 0, 3], [8, 3, 3, 3]]) }
    #expect(throws: ModelError.self) { try op.outputShapes([[1, Int.max, 4, 3], [8, 3, 3, 3]]) }
    op.strideWidth = 0
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3]]) }
    op = Conv2DOp()
    op.padding.top = Int.max
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3]]) }
    op = Conv2DOp()
    op.groups = 0
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3]]) }
    op = Conv2DOp()
    op.activation = .clip(min: 2, max: 1)
    #expect(throws: ModelError.self) { try op.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3]]) }
    var transposed = TransposeConv2DOp()
    transposed.outputHeight = 1 << 40
    #expect(throws: ModelError.self) { try transposed.outputShapes([[1, 4, 4, 3], [8, 3, 3, 3]]) }
    #expect(throws: ModelError.self) { try DepthwiseConv2DOp().outputShapes([[1, 4, 4, 3], [1, 3, 3, 6]]) }
  }
}

extension FusedActivation {
  /// The clamp of one value, written out.
  func clamped(_ value: Double) -> Double {
    switch self {
    case .none: value
    case .relu: max(0, value)
    case .relu6: min(6, max(0, value))
    case .reluN1To1: min(1, max(-1, value))
    case .clip(let low, let high): min(Double(high), max(Double(low), value))
    }
  }
}
