import Testing

@testable import QModel

/// Shape inference with numbers as a spoilt file may hold them: it throws or answers, and never traps.
struct ForeignShapesTests {
  static let extremes = [Int.min, -(1 << 40), -1, 0, 1, 2, 3, 1 << 20, 1 << 31, 1 << 40, Int.max - 1, Int.max]

  /// Ops whose attributes are drawn from the extremes.
  static func op(_ random: inout TensorGenerator) -> OpKind {
    func number() -> Int { extremes[random.int(0...extremes.count - 1)] }
    func numbers(_ count: Int) -> [Int] {
      (0..<count).map { _ in random.int(0...2) == 0 ? number() : random.int(0...3) }
    }
    let rank = random.int(0...4)
    switch random.int(0...15) {
    case 0:
      var op = Conv2DOp()
      (op.strideHeight, op.strideWidth, op.dilationHeight, op.dilationWidth) = (number(), number(), number(), number())
      op.padding = Padding2D(top: number(), left: number(), bottom: number(), right: number())
      op.groups = number()
      return .conv2D(op)
    case 1:
      var op = DepthwiseConv2DOp()
      (op.strideHeight, op.dilationWidth, op.depthMultiplier) = (number(), number(), number())
      op.padding.right = number()
      return .depthwiseConv2D(op)
    case 2:
      var op = TransposeConv2DOp()
      (op.strideHeight, op.dilationWidth, op.groups, op.outputWidth) = (number(), number(), number(), number())
      op.padding = Padding2D(top: number(), left: number())
      return .transposeConv2D(op)
    case 3, 4:
      var op = Pool2DOp()
      (op.kernelHeight, op.kernelWidth, op.strideHeight, op.strideWidth) = (number(), number(), number(), number())
      (op.dilationHeight, op.padding.left, op.padding.bottom) = (number(), number(), number())
      op.ceilMode = random.bool()
      return random.bool() ? .averagePool2D(op) : .maxPool2D(op)
    case 5: return .mean(ReduceOp(axes: numbers(rank), keepDimensions: random.bool()))
    case 6: return .softmax(SoftmaxOp(axis: number(), beta: .nan))
    case 7: return .batchNormalization(BatchNormalizationOp(axis: number(), epsilon: .nan))
    case 8: return .concatenation(ConcatenationOp(axis: number()))
    case 9: return .split(SplitOp(axis: numbers(1)[0], sizes: numbers(rank)))
    case 10: return .slice(SliceOp(starts: numbers(rank), sizes: numbers(rank), strides: numbers(rank)))
    case 11:
      let modes: [PadOp.Mode] = [.constant(.nan), .reflect, .symmetric, .edge]
      return .pad(PadOp(before: numbers(rank), after: numbers(rank), mode: modes[random.int(0...3)]))
    case 12: return .reshape(ReshapeOp(shape: numbers(rank)))
    case 13: return .transpose(TransposeOp(permutation: numbers(rank)))
    case 14:
      var op = ResizeOp(mode: .nearest, coordinates: .halfPixel, outputHeight: number(), outputWidth: number())
      op.scaleWidth = random.bool() ? -1 : nil
      return .resize(op)
    default:
      let cells: [RecurrentOp.Cell] = [.lstm(coupledGates: true), .gru(linearBeforeReset: true), .rnn]
      return random.bool()
        ? .recurrent(RecurrentOp(cell: cells[random.int(0...2)], direction: .reverse, hiddenSize: number()))
        : .svdf(SVDFOp(rank: number(), activation: .clip(min: .nan, max: 0)))
    }
  }

  @Test(arguments: 0..<20) func neverTraps(_ part: Int) {
    var random = TensorGenerator(seed: UInt64(part))
    var accepted = 0
    for _ in 0..<2000 {
      let op = Self.op(&random)
      let inputs: [[Int]?] = (0..<random.int(0...5)).map { _ in
        if random.int(0...9) == 0 { return nil }
        return (0..<random.int(0...4)).map { _ in
          random.int(0...9) == 0 ? Self.extremes[random.int(0...Self.extremes.count - 1)] : random.int(1...4)
        }
      }
      guard let shapes = try? op.definition.outputShapes(inputs) else { continue }
      accepted += 1
      for shape in shapes {
        #expect(shape.allSatisfy { $0 >= 1 })
        #expect(elementCount(of: shape).map { $0 <= OperandShapes.elementLimit } == true)
      }
    }
    #expect(accepted > 0)
  }
}
