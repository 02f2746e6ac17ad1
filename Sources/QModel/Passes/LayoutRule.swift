/// How an op runs on transposed operands: op(Tp(x), ...) = Tq(other(x, ...)).
struct LayoutRule {
  /// The op for operands before the transposition.
  var op: OpKind
  /// The operands that are transposed with p; the others (weights, per-channel vectors) stay.
  var operands: [Int]
  /// q, for all results.
  var result: Permutation
  /// The shapes of the results before their transposition.
  var resultShapes: [[Int]]

  /// The rule for a node whose layout operands are results of the transposition `p`.
  ///
  /// - Returns: nil if the op needs its axes where they are.
  init?(_ node: Node, _ p: Permutation, _ rewriter: GraphRewriter) {
    let output = node.outputs.map { rewriter.shape($0) }
    guard let first = node.inputs.first, let main = first else { return nil }
    let inverse = p.inverse
    let rank = p.count
    operands = [0]
    result = p
    resultShapes = output[0].count == rank ? output.map { inverse.applied(to: $0) } : []
    switch node.op {
    case .unary, .requantize:
      op = node.op
    case .softmax(var softmax):
      softmax.axis = p[softmax.axis]
      op = .softmax(softmax)
    case .logSoftmax(var softmax):
      softmax.axis = p[softmax.axis]
      op = .logSoftmax(softmax)
    case .batchNormalization(var normalization):
      normalization.axis = p[normalization.axis]
      op = .batchNormalization(normalization)
    case .prelu, .binary:
      op = node.op
      operands = [0, 1]
    case .concatenation(var concatenation):
      concatenation.axis = p[concatenation.axis]
      op = .concatenation(concatenation)
      operands = Array(node.inputs.indices)
    case .split(var split):
      split.axis = p[split.axis]
      op = .split(split)
    case .slice(let slice):
      op = .slice(
        SliceOp(
          starts: inverse.applied(to: slice.starts), sizes: inverse.applied(to: slice.sizes),
          strides: inverse.applied(to: slice.strides)))
    case .pad(let pad):
      op = .pad(
        PadOp(before: inverse.applied(to: pad.before), after: inverse.applied(to: pad.after), mode: pad.mode))
    case .mean(var mean):
      let kept = (0..<rank).filter { !mean.axes.contains($0) }.map { p[$0] }
      mean.axes = mean.axes.map { p[$0] }.sorted()
      op = .mean(mean)
      if !mean.keepDimensions {
        let order = kept.sorted()
        result = kept.compactMap { order.firstIndex(of: $0) }
        resultShapes = [result.inverse.applied(to: output[0])]
      }
    case .reshape(let reshape):
      guard let (shape, back) = Self.reshape(rewriter.shape(main), p, to: reshape.shape) else { return nil }
      op = .reshape(ReshapeOp(shape: shape))
      result = back
      resultShapes = [shape]
    case .fullyConnected(let dense):
      guard dense.keepDimensions, p.last == rank - 1 else { return nil }
      op = node.op
    case .transpose, .conv2D, .depthwiseConv2D, .transposeConv2D, .batchMatMul, .averagePool2D, .maxPool2D, .resize,
      .recurrent,
      .svdf:
      return nil
    }
    guard resultShapes.count == output.count else { return nil }
  }

  /// Reshaping Tp(x) to `target` as a reshape of x and a transposition after it.
  ///
  /// The axes of the transposed shape and of the target are cut into the shortest runs of equal product; it works when each
  /// run of the transposed shape lies together, in order, in x too. Axes of size 1 go where they please.
  static func reshape(_ shape: [Int], _ p: Permutation, to target: [Int]) -> ([Int], Permutation)? {
    var groups: [(source: [Int], target: [Int])] = []
    var from = 0
    var to = 0
    while from < shape.count || to < target.count {
      var group: (source: [Int], target: [Int]) = ([], [])
      var sourceProduct = 1
      var targetProduct = 1
      if from < shape.count, to < target.count, shape[from] == 1, target[to] == 1 {
        groups.append(([], [to]))
        from += 1
        to += 1
        continue
      }
      repeat {
        if from < shape.count, sourceProduct <= targetProduct || to == target.count {
          sourceProduct *= shape[from]
          if shape[from] != 1 { group.source.append(from) }
          from += 1
        } else {
          targetProduct *= target[to]
          group.target.append(to)
          to += 1
        }
      } while sourceProduct != targetProduct
      groups.append(group)
    }
    // Where each run starts in x; runs of ones follow the run before them.
    var starts: [(start: Int, target: [Int])] = []
    for group in groups {
      if group.source.isEmpty {
        if starts.isEmpty { starts.append((-1, [])) }
        starts[starts.count - 1].target += group.target
        continue
      }
      let axes = group.source.map { p[$0] }
      let between = (axes[0]...max(axes[0], axes[axes.count - 1])).filter { axis in
        shape[p.inverse[axis]] != 1
      }
      guard axes == between else { return nil }
      starts.append((axes[0], group.target))
    }
    let order = starts.sorted { $0.start < $1.start }.flatMap(\.target)
    return (order.map { target[$0] }, order.inverse)
  }
}
