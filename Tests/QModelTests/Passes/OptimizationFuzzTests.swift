import Foundation
import Testing

@testable import QModel

/// Random graphs of everything that passes touch: they must compute the same afterwards, and stay as they are when they are
/// optimized again.
struct OptimizationFuzzTests {
  static let seeds = ProcessInfo.processInfo.environment["QK_FULL_TESTS"] == nil ? 300 : 5000

  @Test(arguments: [0, 1, 2, 3]) func optimizedGraphsComputeTheSame(_ part: Int) throws {
    for seed in stride(from: part, to: Self.seeds, by: 4) {
      let graph = try RandomGraph.make(seed: UInt64(seed))
      let optimized = try graph.optimized()
      let difference = try optimized.difference(from: graph)
      #expect(difference < 1e-4, "seed \(seed): \(graph.summary) -> \(optimized.summary)")
      let names = (graph.inputs + graph.outputs).map { graph.tensors[$0].name }
      #expect((optimized.inputs + optimized.outputs).map { optimized.tensors[$0].name } == names, "seed \(seed)")
      let again = try optimized.optimized()
      #expect(again.summary == optimized.summary, "seed \(seed): \(optimized.summary) -> \(again.summary)")
    }
  }
}

/// Graphs of a dozen random nodes.
enum RandomGraph {
  static func make(seed: UInt64) throws -> Graph {
    var sketch = GraphSketch(seed: seed)
    // Images above all: there layouts meet.
    let shapes = [
      [1, 3, 4, 4], [1, 4, 5, 6], [1, 4, 4, 6], [1, 2, 5, 4], [1, 5, 6], [1, 12], [1, 1, 6, 6], [1, 2, 3, 4, 2],
    ]
    var pool: [TensorID] = []
    for index in 0..<sketch.random.int(1...2) {
      pool.append(sketch.input(shapes[sketch.random.int(0...shapes.count - 1)], name: "input\(index)"))
    }
    for step in 0..<sketch.random.int(3...16) {
      // Rather what was just made, so that chains grow.
      let recent = max(0, pool.count - 3)
      let source =
        sketch.random.int(0...2) == 0
        ? pool[sketch.random.int(0...pool.count - 1)] : pool[sketch.random.int(recent...pool.count - 1)]
      let made = try add(&sketch, source, pool)
      for id in made where sketch.random.int(0...3) == 0 { sketch.graph.tensors[id].name = "t\(step)" }
      pool += made
    }
    pool.append(try sketch.node(.unary(.relu6), pool[pool.count - 1]))
    let computed = pool.filter { !sketch.graph.inputs.contains($0) }
    var outputs: [TensorID] = [computed[computed.count - 1]]
    if sketch.random.int(0...2) == 0 {
      let other = computed[sketch.random.int(0...computed.count - 1)]
      if !outputs.contains(other) { outputs.append(other) }
    }
    for (index, output) in outputs.enumerated() { sketch.output(output, name: "output\(index)") }
    return sketch.graph
  }

  private static func add(_ sketch: inout GraphSketch, _ source: TensorID, _ pool: [TensorID]) throws -> [TensorID] {
    let shape = sketch.graph.tensors[source].shape
    let rank = shape.count
    let axis = sketch.random.int(0...max(0, rank - 1))
    switch sketch.random.int(0...27) {
    case 0, 1, 2:
      let permutation = Array(0..<rank).shuffled(using: &sketch.random)
      let usual: [Int: [[Int]]] = [4: [[0, 2, 3, 1], [0, 3, 1, 2]], 3: [[0, 2, 1], [1, 0, 2]]]
      let choices = (usual[rank] ?? []) + [permutation]
      return [try sketch.transpose(source, choices[sketch.random.int(0...choices.count - 1)])]
    case 3, 4: return [try sketch.reshape(source, reshaped(shape, &sketch.random))]
    case 5, 6:
      let functions: [UnaryOp] = [
        .relu, .relu6, .clip(min: -0.5, max: 2), .logistic, .tanh, .hardSwish, .leakyRelu(alpha: 0.1), .abs,
      ]
      return [try sketch.node(.unary(functions[sketch.random.int(0...functions.count - 1)]), source)]
    case 7, 8:
      // With another tensor if one fits.
      let partners = pool.filter { broadcastShape(sketch.graph.tensors[$0].shape, shape) != nil }
      let other = partners[sketch.random.int(0...partners.count - 1)]
      let kinds: [BinaryOp.Kind] = [.add, .sub, .mul, .maximum, .minimum]
      let kind = kinds[sketch.random.int(0...4)]
      let result = try sketch.binary(kind, source, other)
      // Products of products grow without bound otherwise.
      return kind == .mul ? [try sketch.node(.unary(.tanh), result)] : [result]
    case 9, 10:
      let constants: [[Int]] = [
        [], [shape.last ?? 1], shape, [Int](repeating: 1, count: rank), channelShape(shape, axis),
      ]
      let constant = sketch.constant(constants[sketch.random.int(0...4)], in: 0.5...1.5)
      let kinds: [BinaryOp.Kind] = [.add, .sub, .mul, .div]
      let kind = kinds[sketch.random.int(0...3)]
      return [
        try kind != .div && sketch.random.bool()
          ? sketch.binary(kind, constant, source) : sketch.binary(kind, source, constant)
      ]
    case 11: return rank > 0 ? [try sketch.batchNormalization(source, axis: axis)] : []
    case 12:
      guard rank > 0 else { return [] }
      let same = pool.filter { id in
        var own = sketch.graph.tensors[id].shape
        guard own.count == rank else { return false }
        own[axis] = shape[axis]
        return own == shape
      }
      let others = same.prefix(sketch.random.int(0...3))
      return try sketch.nodes(.concatenation(ConcatenationOp(axis: axis)), [source] + others)
    case 13:
      guard rank > 0, shape[axis] > 1 else { return [] }
      let first = sketch.random.int(1...shape[axis] - 1)
      return try sketch.nodes(.split(SplitOp(axis: axis, sizes: [first, shape[axis] - first])), [source])
    case 14:
      guard rank > 0 else { return [] }
      var op = SliceOp(starts: shape.map { _ in 0 }, sizes: shape, strides: shape.map { _ in 1 })
      if sketch.random.bool() {
        op.starts[axis] = shape[axis] - 1
        op.strides[axis] = -1
      } else {
        op.sizes[axis] = sketch.random.int(1...shape[axis])
      }
      return [try sketch.node(.slice(op), source)]
    case 15:
      var op = PadOp(before: shape.map { _ in 0 }, after: shape.map { _ in 0 }, mode: .constant(0))
      if sketch.random.int(0...2) == 0 { op.mode = [.edge, .constant(-1), .symmetric][sketch.random.int(0...2)] }
      for index in shape.indices where sketch.random.bool() {
        op.before[index] = sketch.random.int(0...1)
        op.after[index] = sketch.random.int(0...1)
      }
      if rank == 4 { (op.before[0], op.after[0], op.before[3], op.after[3]) = (0, 0, 0, 0) }
      return [try sketch.node(.pad(op), source)]
    case 16:
      guard sketch.random.bool() else { return [] }
      let axes = shape.indices.filter { _ in sketch.random.bool() }
      return [try sketch.node(.mean(ReduceOp(axes: axes, keepDimensions: sketch.random.bool())), source)]
    case 17:
      guard rank > 0 else { return [] }
      let op = SoftmaxOp(axis: axis)
      return [try sketch.node(sketch.random.bool() ? .softmax(op) : .logSoftmax(op), source)]
    case 18, 21, 22, 23, 24, 25, 26: return try addSpatial(&sketch, source)
    case 19:
      guard rank > 0, let depth = shape.last else { return [] }
      var op = FullyConnectedOp()
      op.keepDimensions = sketch.random.bool() || rank == 0
      return [
        try sketch.node(
          .fullyConnected(op), source, sketch.constant([sketch.random.int(1...12), depth]), nil)
      ]
    case 20:
      guard rank > 1 else { return [] }
      // Flattened and dense, as classifiers end.
      let count = shape.reduce(1, *)
      let flat = try sketch.reshape(source, [1, count])
      return [
        try sketch.node(
          .fullyConnected(FullyConnectedOp()), flat, sketch.constant([6, count]), sketch.constant([6]))
      ]
    default:
      guard rank > 1, let columns = shape.last else { return [] }
      let rows = shape[rank - 2]
      var op = BatchMatMulOp()
      (op.transposeA, op.transposeB) = (sketch.random.bool(), sketch.random.bool())
      let depth = op.transposeA ? rows : columns
      let other = sketch.constant(op.transposeB ? [3, depth] : [depth, 3])
      return [try sketch.node(.batchMatMul(op), source, other)]
    }
  }

  private static func addSpatial(_ sketch: inout GraphSketch, _ source: TensorID) throws -> [TensorID] {
    let shape = sketch.graph.tensors[source].shape
    guard shape.count == 4, shape.allSatisfy({ $0 < 20 }) else { return [] }
    let image = sketch.random.bool() ? source : try sketch.transpose(source, [0, 2, 3, 1])
    let size = sketch.graph.tensors[image].shape
    var pool = Pool2DOp()
    (pool.kernelHeight, pool.kernelWidth) = (min(2, size[1]), min(2, size[2]))
    (pool.ceilMode, pool.countIncludePad) = (sketch.random.bool(), sketch.random.bool())
    pool.strideWidth = 2
    let result: TensorID
    switch sketch.random.int(0...6) {
    case 0:
      result = try sketch.convolution(
        image, sketch.random.int(1...6), kernel: 1, padding: 0, bias: sketch.random.bool())
    case 1: result = try sketch.convolution(image, sketch.random.int(1...6), padding: 1, bias: sketch.random.bool())
    case 2:
      var op = Conv2DOp()
      op.groups = size[3]
      op.padding = Padding2D(top: 1, left: 1, bottom: 1, right: 1)
      result = try sketch.node(.conv2D(op), image, sketch.constant([size[3] * 2, 3, 3, 1]), nil)
    case 3: result = try sketch.node(.maxPool2D(pool), image)
    case 4: result = try sketch.node(.averagePool2D(pool), image)
    case 5:
      result = try sketch.node(
        .resize(ResizeOp(mode: .nearest, coordinates: .asymmetric, outputHeight: size[1] * 2, outputWidth: size[2])),
        image)
    default:
      var op = TransposeConv2DOp()
      (op.outputHeight, op.outputWidth) = (size[1] + 1, size[2] + 1)
      result = try sketch.node(.transposeConv2D(op), image, sketch.constant([3, 2, 2, size[3]]), nil)
    }
    return [image == source ? result : try sketch.transpose(result, [0, 3, 1, 2])]
  }

  /// One value per index of an axis, for any other.
  private static func channelShape(_ shape: [Int], _ axis: Int) -> [Int] {
    shape.indices.map { $0 == axis ? shape[$0] : 1 }
  }

  /// The same number of elements: axes of size 1 added or removed, neighbours merged, or one axis cut in two.
  private static func reshaped(_ shape: [Int], _ random: inout TensorGenerator) -> [Int] {
    var result = shape
    switch random.int(0...4) {
    case 0: result.insert(1, at: random.int(0...shape.count))
    case 1: result = shape.filter { $0 != 1 }
    case 2 where shape.count > 1:
      let axis = random.int(0...shape.count - 2)
      result[axis] *= result.remove(at: axis + 1)
    case 3:
      if let axis = shape.firstIndex(where: { $0 % 2 == 0 }) {
        result[axis] = 2
        result.insert(shape[axis] / 2, at: axis + 1)
      }
    default: result = [1, shape.reduce(1, *)]
    }
    return result
  }
}
