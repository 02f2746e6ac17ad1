import Testing

@testable import QKernels

/// Convolutions of all kinds against their definition.
@Suite struct ConvolutionTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var input: [Int]
    var outputChannels: Int
    var window: Window2D
    /// Padding below and to the right.
    var after = (0, 0)
    var groups = 1
    var multiplier = 1

    var testDescription: String {
      "\(input) -> \(outputChannels), \(window.kernelHeight)x\(window.kernelWidth) stride \(window.strideHeight),"
        + "\(window.strideWidth) dilation \(window.dilationHeight),\(window.dilationWidth) pad \(window.padTop),"
        + "\(window.padLeft),\(after.0),\(after.1) groups \(groups) multiplier \(multiplier)"
    }

    func outputSize(_ axis: Int) -> Int {
      let kernel = axis == 1 ? window.kernelHeight : window.kernelWidth
      let stride = axis == 1 ? window.strideHeight : window.strideWidth
      let dilation = axis == 1 ? window.dilationHeight : window.dilationWidth
      let before = axis == 1 ? window.padTop : window.padLeft
      let padded = input[axis] + Int(before) + (axis == 1 ? after.0 : after.1)
      return (padded - (Int(kernel) - 1) * Int(dilation) - 1) / Int(stride) + 1
    }
  }

  static func window(
    _ kernel: (Int32, Int32), stride: (Int32, Int32) = (1, 1), dilation: (Int32, Int32) = (1, 1),
    pad: (Int32, Int32) = (0, 0)
  ) -> Window2D {
    Window2D(
      kernelHeight: kernel.0, kernelWidth: kernel.1, strideHeight: stride.0, strideWidth: stride.1,
      dilationHeight: dilation.0, dilationWidth: dilation.1, padTop: pad.0, padLeft: pad.1)
  }

  /// Lane widths, padding on each side alone and together, strides that skip, dilation, groups, one-pixel images.
  static let cases: [Case] = [
    Case(input: [1, 1, 1, 1], outputChannels: 1, window: window((1, 1))),
    Case(input: [2, 3, 5, 7], outputChannels: 33, window: window((1, 1))),
    Case(input: [3, 4, 4, 16], outputChannels: 17, window: window((1, 1), stride: (2, 2))),
    Case(input: [1, 5, 5, 3], outputChannels: 16, window: window((3, 3), pad: (1, 1)), after: (1, 1)),
    Case(input: [1, 6, 7, 1], outputChannels: 8, window: window((3, 3), stride: (2, 2), pad: (0, 0)), after: (1, 1)),
    Case(input: [2, 6, 7, 4], outputChannels: 15, window: window((3, 2), pad: (2, 0))),
    Case(input: [1, 6, 7, 5], outputChannels: 3, window: window((2, 3), pad: (0, 2))),
    Case(input: [1, 6, 7, 5], outputChannels: 3, window: window((2, 3)), after: (1, 0)),
    Case(input: [1, 6, 7, 5], outputChannels: 3, window: window((2, 3)), after: (0, 1)),
    Case(input: [1, 1, 31, 3], outputChannels: 4, window: window((1, 5), stride: (1, 3), pad: (0, 2)), after: (0, 2)),
    Case(input: [2, 1, 9, 2], outputChannels: 4, window: window((1, 3), stride: (1, 3))),
    Case(
      input: [1, 49, 10, 1], outputChannels: 8, window: window((10, 4), stride: (2, 2), pad: (4, 1)), after: (5, 1)),
    Case(input: [1, 9, 9, 2], outputChannels: 5, window: window((3, 3), dilation: (2, 3), pad: (2, 3)), after: (2, 3)),
    Case(input: [1, 5, 5, 2], outputChannels: 2, window: window((2, 2), stride: (3, 3))),
    Case(input: [1, 2, 2, 3], outputChannels: 2, window: window((5, 5), pad: (2, 2)), after: (2, 2)),
    Case(input: [1, 2, 2, 1], outputChannels: 2, window: window((2, 2), pad: (3, 3)), after: (3, 3)),
    Case(input: [1, 4, 4, 6], outputChannels: 4, window: window((3, 3), pad: (1, 1)), after: (1, 1), groups: 2),
    Case(input: [2, 4, 3, 34], outputChannels: 34, window: window((2, 2), pad: (1, 0)), groups: 2),
    Case(input: [1, 5, 5, 3], outputChannels: 6, window: window((2, 2), dilation: (2, 2)), groups: 3),
  ]

  @Test(arguments: cases) func convolutionEqualsItsDefinition(_ c: Case) throws {
    for seed in UInt64(1)...3 {
      for type in [StoredType.int8, .int16] {
        let layer = layer(c, .convolution, type, seed: seed)
        expectEqual(try layer.run(), layer.expected(), "\(type), seed \(seed)")
      }
    }
  }

  /// What Winograd's algorithm takes: odd sizes, padding on any side, more than one image, channels that are not blocks.
  static let winogradCases: [Case] = [
    Case(input: [1, 8, 8, 16], outputChannels: 16, window: window((3, 3), pad: (1, 1)), after: (1, 1)),
    Case(input: [3, 8, 12, 32], outputChannels: 24, window: window((3, 3), pad: (2, 0)), after: (0, 2)),
    Case(input: [1, 14, 19, 48], outputChannels: 5, window: window((3, 3))),
  ]

  @Test(arguments: winogradCases) func winogradEqualsTheDefinition(_ c: Case) throws {
    for seed in UInt64(1)...3 {
      let layer = layer(c, .convolution, .int8, seed: seed)
      expectEqual(try layer.run(), layer.expected(), "seed \(seed)")
    }
  }

  /// The forms that are exact and gain; all others go without.
  @Test func workspaceIsAskedForWhereItServes() throws {
    let best = InnerSet.best
    func workspace(_ c: Case, _ change: (inout TestConvolution) -> Void = { _ in }) throws -> Int {
      var layer = layer(c, .convolution, .int8, seed: 1)
      change(&layer)
      #expect(try layer.workspaceByteCount(.scalar) == 0)
      return try layer.workspaceByteCount(best)
    }
    func square(_ size: Int, _ channels: Int, _ outputs: Int, _ w: Window2D? = nil) -> Case {
      Case(
        input: [1, size, size, channels], outputChannels: outputs, window: w ?? Self.window((3, 3), pad: (1, 1)),
        after: (1, 1))
    }
    for c in Self.winogradCases { #expect(try (workspace(c) > 0) == best.kernels.hasWinograd3x3) }
    #expect(try (workspace(square(8, 64, 64)) > 64 * 64 * 72) == best.kernels.hasWinograd3x3)
    // Tiles that are mostly empty, channels that leave a rest, weights beyond the cache.
    #expect(try workspace(square(5, 16, 16)) == 0)
    #expect(try workspace(square(8, 24, 16)) == 0)
    #expect(try workspace(square(8, 512, 160)) == 0)
    // Other windows.
    #expect(try workspace(square(16, 16, 16, Self.window((3, 3), stride: (2, 1), pad: (1, 1)))) == 0)
    #expect(try workspace(square(16, 16, 16, Self.window((3, 3), dilation: (1, 2), pad: (1, 1)))) == 0)
    #expect(try workspace(square(16, 16, 16, Self.window((3, 2), pad: (1, 1)))) == 0)
    // Sums that could leave 2^25, and scales that shift left.
    #expect(try workspace(square(8, 16, 16)) { $0.quantization.bias[15] = 1 << 25 } == 0)
    #expect(try workspace(square(8, 16, 16)) { $0.quantization.bias[0] = -1 << 25 } == 0)
    #expect(try workspace(square(8, 16, 16)) { $0.quantization.shifts[7] = 0 } == 0)
  }

  static let depthwiseCases: [Case] = [
    Case(input: [1, 1, 1, 1], outputChannels: 1, window: window((1, 1))),
    Case(input: [2, 5, 4, 33], outputChannels: 33, window: window((3, 3), pad: (1, 1)), after: (1, 1)),
    Case(input: [1, 6, 5, 16], outputChannels: 16, window: window((3, 3), stride: (2, 2)), after: (1, 0)),
    Case(
      input: [1, 7, 9, 17], outputChannels: 17, window: window((3, 5), dilation: (2, 1), pad: (1, 2)), after: (1, 2)),
    Case(input: [1, 4, 5, 3], outputChannels: 6, window: window((2, 2)), multiplier: 2),
    Case(input: [2, 4, 5, 3], outputChannels: 15, window: window((3, 3), pad: (1, 1)), after: (1, 1), multiplier: 5),
    Case(
      input: [1, 3, 3, 1], outputChannels: 20, window: window((3, 3), stride: (2, 2), pad: (1, 1)), after: (1, 1),
      multiplier: 20),
  ]

  @Test(arguments: depthwiseCases) func depthwiseEqualsItsDefinition(_ c: Case) throws {
    for seed in UInt64(1)...3 {
      for type in [StoredType.int8, .int16] {
        let layer = layer(c, .depthwise(multiplier: c.multiplier), type, seed: seed)
        expectEqual(try layer.run(), layer.expected(), "\(type), seed \(seed)")
      }
    }
  }

  /// `after` is the output size here.
  static let transposedCases: [Case] = [
    Case(input: [1, 1, 1, 1], outputChannels: 1, window: window((1, 1)), after: (1, 1)),
    Case(input: [2, 3, 4, 5], outputChannels: 17, window: window((3, 3), stride: (2, 2), pad: (0, 0)), after: (7, 9)),
    Case(input: [1, 3, 4, 5], outputChannels: 4, window: window((3, 3), stride: (2, 2), pad: (1, 1)), after: (6, 8)),
    Case(input: [1, 4, 3, 16], outputChannels: 16, window: window((4, 4), stride: (2, 2), pad: (1, 1)), after: (8, 6)),
    Case(input: [1, 3, 3, 2], outputChannels: 3, window: window((2, 2), stride: (3, 3)), after: (8, 8)),
    Case(input: [1, 3, 3, 2], outputChannels: 3, window: window((2, 2), stride: (3, 3)), after: (10, 11)),
    Case(input: [1, 3, 3, 2], outputChannels: 3, window: window((3, 2), dilation: (2, 3), pad: (1, 2)), after: (5, 2)),
    Case(
      input: [1, 3, 3, 2], outputChannels: 3, window: window((3, 3), stride: (2, 3), dilation: (2, 2), pad: (2, 1)),
      after: (5, 9)),
    Case(
      input: [2, 2, 5, 6], outputChannels: 4, window: window((3, 3), stride: (2, 1), pad: (1, 0)), after: (4, 7),
      groups: 2),
    Case(input: [1, 1, 6, 3], outputChannels: 2, window: window((1, 5), stride: (1, 2), pad: (0, 3)), after: (1, 9)),
    Case(input: [1, 4, 4, 3], outputChannels: 2, window: window((2, 2), stride: (2, 2), pad: (3, 5)), after: (2, 3)),
    // Single output pixels that no input reaches.
    Case(input: [1, 1, 1, 5], outputChannels: 80, window: window((1, 1), stride: (2, 2)), after: (2, 2)),
  ]

  @Test(arguments: transposedCases) func transposedEqualsItsDefinition(_ c: Case) throws {
    for seed in UInt64(1)...3 {
      for type in [StoredType.int8, .int16] {
        var layer = layer(c, .transposed, type, seed: seed)
        layer.outputShape = [c.input[0], c.after.0, c.after.1, c.outputChannels]
        expectEqual(try layer.run(), layer.expected(), "\(type), seed \(seed)")
      }
    }
  }

  /// 32-bit accumulators of int16 layers wrap and round twice.
  @Test func narrowAccumulatorsOfInt16Layers() throws {
    var layer = layer(Self.cases[3], .convolution, .int16, seed: 9)
    layer.quantization.accumulatorBits = 32
    let narrow = try layer.run()
    expectEqual(narrow, layer.expected(), "seed 9")
    layer.quantization.accumulatorBits = 64
    #expect(narrow != layer.expected(), "the two laws must differ somewhere")
  }

  @Test(arguments: [-128, 127]) func paddingIsTheZeroPointAtBothEnds(zeroPoint: Int) throws {
    var layer = layer(Self.cases[3], .convolution, .int8, seed: 5)
    layer.input.zeroPoint = zeroPoint
    expectEqual(try layer.run(), layer.expected(), "zero point \(zeroPoint)")
  }

  private func layer(_ c: Case, _ kind: TestConvolution.Kind, _ type: StoredType, seed: UInt64) -> TestConvolution {
    var generator = SeededGenerator(seed: seed &* 1000 &+ UInt64(c.outputChannels))
    let zeroPoint = type == .int8 ? Int.random(in: -128...127, using: &generator) : 0
    let depth = kind == .convolution || kind == .transposed ? c.input[3] / c.groups : 1
    let taps = Int(c.window.kernelHeight * c.window.kernelWidth)
    return TestConvolution(
      kind: kind, input: .random(c.input, type, zeroPoint: zeroPoint, using: &generator),
      weights: (0..<c.outputChannels * taps * depth).map { _ in Int.random(in: -127...127, using: &generator) },
      outputShape: [c.input[0], c.outputSize(1), c.outputSize(2), c.outputChannels], window: c.window, groups: c.groups,
      quantization: .random(channels: c.outputChannels, depth: taps * depth, type: type, using: &generator))
  }
}
