import Testing

@testable import QModel

/// Ops that move elements, each compared element by element with where its definition says the element comes from.
struct MovementOpTests {
  @Test(arguments: 0..<40) func transpose(_ seed: Int) throws {
    var random = TensorGenerator(seed: UInt64(seed))
    let shape = (0..<random.int(1...5)).map { _ in random.int(1...4) }
    let op = TransposeOp(permutation: Array(shape.indices).shuffled(using: &random))
    let input = random.tensor(shape)
    let output = try op.result(input)
    for index in indices(of: output.shape) {
      var source = index
      for (axis, from) in op.permutation.enumerated() { source[from] = index[axis] }
      #expect(output[index] == input[source], "seed \(seed)")
    }
  }

  @Test(arguments: 0..<40) func slice(_ seed: Int) throws {
    var random = TensorGenerator(seed: 40 + UInt64(seed))
    let shape = (0..<random.int(1...4)).map { _ in random.int(1...7) }
    var op = SliceOp(starts: [], sizes: [], strides: [])
    for size in shape {
      let start = random.int(0...size - 1)
      let step = [1, 1, 2, -1, -2, 3][random.int(0...5)]
      let most = step > 0 ? (size - 1 - start) / step + 1 : start / -step + 1
      op.starts.append(start)
      op.strides.append(step)
      op.sizes.append(random.int(1...most))
    }
    let input = random.tensor(shape)
    let output = try op.result(input)
    #expect(output.shape == op.sizes)
    for index in indices(of: output.shape) {
      let source = index.indices.map { op.starts[$0] + index[$0] * op.strides[$0] }
      #expect(output[index] == input[source], "seed \(seed)")
    }
    // One element more along any axis leaves the input.
    for axis in shape.indices {
      var wide = op
      wide.sizes[axis] = op.strides[axis] > 0 ? (shape[axis] - op.starts[axis] + 2) : op.starts[axis] + 2
      #expect(throws: ModelError.self) { try wide.outputShapes([shape]) }
    }
  }

  @Test(arguments: 0..<40) func pad(_ seed: Int) throws {
    var random = TensorGenerator(seed: 80 + UInt64(seed))
    let shape = (0..<random.int(1...4)).map { _ in random.int(2...5) }
    let modes: [PadOp.Mode] = [.constant(1.5), .reflect, .symmetric, .edge]
    let mode = modes[seed % 4]
    let op = PadOp(
      before: shape.map { random.int(0...$0 - 1) }, after: shape.map { random.int(0...$0 - 1) }, mode: mode)
    let input = random.tensor(shape)
    let output = try op.result(input)
    // A walker that turns round at the ends.
    func mirrored(_ position: Int, _ size: Int) -> Int? {
      if (0..<size).contains(position) { return position }
      switch mode {
      case .constant: return nil
      case .edge: return min(max(position, 0), size - 1)
      case .reflect:
        let period = 2 * (size - 1)
        let phase = ((position % period) + period) % period
        return phase < size ? phase : period - phase
      case .symmetric:
        let period = 2 * size
        let phase = ((position % period) + period) % period
        return phase < size ? phase : period - 1 - phase
      }
    }
    for index in indices(of: output.shape) {
      let source = index.indices.map { mirrored(index[$0] - op.before[$0], shape[$0]) }
      let expected = source.contains { $0 == nil } ? 1.5 : input[source.compactMap { $0 }]
      #expect(output[index] == expected, "seed \(seed)")
    }
  }

  @Test(arguments: 0..<30) func concatenationAndSplit(_ seed: Int) throws {
    var random = TensorGenerator(seed: 120 + UInt64(seed))
    let shape = (0..<random.int(1...4)).map { _ in random.int(1...4) }
    let axis = random.int(0...shape.count - 1)
    let sizes = (0..<random.int(1...4)).map { _ in random.int(1...5) }
    let parts = sizes.map { size -> FloatTensor in
      var own = shape
      own[axis] = size
      return random.tensor(own)
    }
    var op = ConcatenationOp(axis: axis)
    let whole = try op.results(parts)[0]
    for index in indices(of: whole.shape) {
      var own = index
      var part = 0
      while own[axis] >= sizes[part] {
        own[axis] -= sizes[part]
        part += 1
      }
      #expect(whole[index] == parts[part][own], "seed \(seed)")
    }
    #expect(try SplitOp(axis: axis, sizes: sizes).results([whole]) == parts, "seed \(seed)")
    op.activation = .relu
    #expect(try op.results(parts)[0].values == whole.values.map { max(0, $0) })
    #expect(throws: ModelError.self) { try SplitOp(axis: axis, sizes: sizes + [1]).outputShapes([whole.shape]) }
    #expect(throws: ModelError.self) { try op.outputShapes([whole.shape, whole.shape + [1]]) }
  }

  @Test func reshapeKeepsTheOrder() throws {
    var random = TensorGenerator(seed: 7)
    let input = random.tensor([2, 3, 4])
    #expect(try ReshapeOp(shape: [6, 4]).result(input).values == input.values)
    #expect(throws: ModelError.self) { try ReshapeOp(shape: [5, 5]).outputShapes([[2, 3, 4]]) }
    #expect(throws: ModelError.self) { try ReshapeOp(shape: [-6, -4]).outputShapes([[2, 3, 4]]) }
    #expect(throws: ModelError.self) { try TransposeOp(permutation: [0, 0]).outputShapes([[2, 3]]) }
    #expect(throws: ModelError.self) { try TransposeOp(permutation: [0]).outputShapes([[2, 3]]) }
  }

  @Test(arguments: 0..<120) func resize(_ seed: Int) throws {
    var random = TensorGenerator(seed: 160 + UInt64(seed))
    let modes: [ResizeOp.Mode] = [.nearest, .bilinear]
    let coordinates: [ResizeOp.Coordinates] = [
      .asymmetric, .halfPixel, .pytorchHalfPixel, .alignCorners, .halfPixelSymmetric, .cropAndResize,
    ]
    let roundings: [ResizeOp.Rounding] = [.floor, .ceil, .roundPreferFloor, .roundPreferCeil]
    var op = ResizeOp(
      mode: modes[seed % 2], coordinates: coordinates[seed / 2 % 6], rounding: roundings[random.int(0...3)],
      outputHeight: random.int(1...9), outputWidth: random.int(1...9))
    // Half of the seeds with factors, after which a fraction of an element is cut off. Sizes are powers of two then, so
    // that factors are exact.
    let hasFactors = seed / 12 % 2 == 1
    let sizes = hasFactors ? [1, 1, 2, 2, 4, 4] : [1, 2, 3, 4, 5, 6]
    let input = random.tensor(
      [random.int(1...2), sizes[random.int(0...5)], sizes[random.int(0...5)], random.int(1...3)])
    var exact = (Double(op.outputHeight), Double(op.outputWidth))
    if hasFactors {
      exact.0 += Double(random.int(0...7)) / 8
      exact.1 += Double(random.int(0...7)) / 8
      (op.scaleHeight, op.scaleWidth) = (Float(exact.0) / Float(input.shape[1]), Float(exact.1) / Float(input.shape[2]))
    }
    op.partHeight = ResizeOp.Part(start: 0.25, end: 0.75)
    op.partWidth = ResizeOp.Part(start: 1, end: 0.125)
    let output = try op.result(input)
    func coordinate(_ x: Int, _ from: Int, _ to: Int, _ exact: Double, _ part: (Double, Double)) -> Double {
      let ratio = Double(from) / exact
      switch op.coordinates {
      case .asymmetric: return Double(x) * ratio
      case .halfPixel: return (Double(x) + 0.5) * ratio - 0.5
      case .halfPixelSymmetric:
        return Double(from) * (1 - Double(to) / exact) / 2 + (Double(x) + 0.5) * ratio - 0.5
      case .pytorchHalfPixel: return to == 1 ? 0 : (Double(x) + 0.5) * ratio - 0.5
      case .alignCorners: return exact == 1 ? 0 : Double(x) * Double(from - 1) / (exact - 1)
      case .cropAndResize:
        guard exact > 1 else { return (part.0 + part.1) / 2 * Double(from - 1) }
        return part.0 * Double(from - 1) + Double(x) * (part.1 - part.0) * Double(from - 1) / (exact - 1)
      }
    }
    func rounded(_ value: Double) -> Int {
      // Products of quotients may miss a half by one rounding.
      let snapped = (value * 1e9).rounded() / 1e9
      switch op.rounding {
      case .floor: return Int(snapped.rounded(.down))
      case .ceil: return Int(snapped.rounded(.up))
      case .roundPreferFloor:
        return snapped - snapped.rounded(.down) <= 0.5 ? Int(snapped.rounded(.down)) : Int(snapped.rounded(.up))
      case .roundPreferCeil:
        return snapped - snapped.rounded(.down) < 0.5 ? Int(snapped.rounded(.down)) : Int(snapped.rounded(.up))
      }
    }
    let (height, width) = (input.shape[1], input.shape[2])
    func pixel(_ n: Int, _ y: Int, _ x: Int, _ c: Int) -> Double {
      input[n, min(max(y, 0), height - 1), min(max(x, 0), width - 1), c]
    }
    let expected = indices(of: output.shape).map { index -> Double in
      let y = coordinate(index[1], height, op.outputHeight, exact.0, (0.25, 0.75))
      let x = coordinate(index[2], width, op.outputWidth, exact.1, (1, 0.125))
      switch op.mode {
      case .nearest: return pixel(index[0], rounded(y), rounded(x), index[3])
      case .bilinear:
        let (top, left) = (y.rounded(.down), x.rounded(.down))
        var sum = 0.0
        for (row, rowShare) in [(top, 1 - (y - top)), (top + 1, y - top)] {
          for (column, columnShare) in [(left, 1 - (x - left)), (left + 1, x - left)] {
            sum += rowShare * columnShare * pixel(index[0], Int(row), Int(column), index[3])
          }
        }
        return sum
      }
    }
    #expect(worstDifference(output.values, expected) < 1e-6, "seed \(seed): \(op)")
  }
}
