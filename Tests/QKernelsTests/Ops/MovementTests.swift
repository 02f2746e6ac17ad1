import Testing

@testable import QKernels
@testable import QModel

/// Operations that move elements, against plain loops over multi-dimensional indices.
@Suite struct MovementTests {
  static let types: [StoredType] = [.int8, .int16, .int32]

  /// All positions of a shape in C order.
  static func positions(_ shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { list, size in list.flatMap { prefix in (0..<size).map { prefix + [$0] } } }
  }

  static func value(_ operand: Operand, _ position: [Int]) -> Int {
    operand.values[zip(operand.shape, position).reduce(0) { $0 * $1.0 + $1.1 }]
  }

  static func list(_ values: [Int], filling rest: Int32) -> InlineArray<6, Int32> {
    var list = InlineArray<6, Int32>(repeating: rest)
    for (index, value) in values.enumerated() { list[index] = Int32(value) }
    return list
  }

  @Test(arguments: types) func padding(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 1)
    let cases: [([Int], [Int], [Int])] = [
      ([5], [2], [3]), ([3, 4], [1, 0], [2, 0]), ([3, 4], [0, 3], [0, 2]),
      ([2, 3, 4, 5], [0, 1, 2, 0], [0, 2, 1, 0]),
      ([2, 3, 4, 5], [1, 0, 0, 4], [0, 2, 0, 1]), ([2, 3, 2, 2, 2, 3], [1, 1, 1, 1, 1, 1], [1, 2, 0, 1, 1, 2]),
      ([4, 4], [0, 0], [0, 0]), ([3, 2], [0, 0], [1, 0]),
    ]
    for (shape, before, after) in cases {
      let input = Operand.random(shape, type, using: &generator)
      let output = Operand(shape: zip(shape, zip(before, after)).map { $0 + $1.0 + $1.1 }, type: type)
      for mode in [PadParams.Mode.constant, .reflect, .symmetric, .edge] {
        // A mirror reaches no farther than the tensor.
        let limit = mode == .reflect ? 1 : 0
        if mode == .reflect || mode == .symmetric,
          zip(shape, zip(before, after)).contains(where: { max($1.0, $1.1) > $0 - limit })
        {
          continue
        }
        let expected = Self.positions(output.shape).map { position -> Int in
          var source: [Int] = []
          for (axis, index) in position.enumerated() {
            var at = index - before[axis]
            let size = shape[axis]
            if at < 0 || at >= size {
              switch mode {
              case .constant: return -77
              case .reflect: at = at < 0 ? -at : 2 * (size - 1) - at
              case .symmetric: at = at < 0 ? -at - 1 : 2 * size - 1 - at
              case .edge: at = min(max(at, 0), size - 1)
              }
            }
            source.append(at)
          }
          return Self.value(input, source)
        }
        let params = PadParams(before: Self.list(before, filling: 0), mode: mode, value: -77)
        let result = try runStep(.pad, inputs: [input], outputs: [output]) { _ in params }
        expectEqual(result.outputs[0], expected, "\(shape) \(before) \(after) \(mode)")
      }
    }
  }

  @Test(arguments: types) func slicing(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 2)
    let cases: [([Int], [Int], [Int], [Int])] = [
      ([7], [2], [3], [1]), ([7], [6], [4], [-2]), ([7], [0], [4], [2]),
      ([3, 4, 5], [1, 0, 0], [2, 4, 5], [1, 1, 1]),
      ([3, 4, 5], [0, 1, 0], [3, 2, 5], [1, 2, 1]), ([3, 4, 5], [2, 3, 4], [3, 2, 5], [-1, -3, -1]),
      ([3, 4, 5], [0, 0, 1], [3, 4, 3], [1, 1, 1]),
      ([2, 3, 2, 3, 2, 3], [1, 0, 1, 2, 0, 0], [1, 3, 1, 1, 2, 2], [1, 1, 1, 1, 1, 2]),
      ([4, 4], [0, 0], [4, 4], [1, 1]), ([4, 4], [3, 0], [4, 4], [-1, 1]),
    ]
    for (shape, starts, sizes, strides) in cases {
      let input = Operand.random(shape, type, using: &generator)
      let output = Operand(shape: sizes, type: type)
      let expected = Self.positions(sizes).map { position in
        Self.value(input, position.enumerated().map { starts[$0] + $1 * strides[$0] })
      }
      let params = SliceParams(
        starts: Self.list(starts, filling: 0), strides: Self.list(strides, filling: 1))
      let result = try runStep(.slice, inputs: [input], outputs: [output]) { _ in params }
      expectEqual(result.outputs[0], expected, "\(shape) \(starts) \(sizes) \(strides)")
    }
  }

  @Test(arguments: types) func transposition(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 3)
    let cases: [([Int], [Int])] = [
      ([5], [0]), ([3, 7], [1, 0]), ([2, 3, 4], [0, 2, 1]), ([2, 3, 4], [2, 0, 1]), ([2, 3, 4, 5], [0, 3, 1, 2]),
      ([2, 3, 4, 5], [1, 0, 2, 3]), ([2, 3, 4, 5], [0, 1, 2, 3]), ([2, 3, 2, 3, 2, 3], [5, 3, 1, 0, 2, 4]),
      ([1, 4, 1, 3], [0, 2, 1, 3]),
    ]
    for (shape, permutation) in cases {
      let input = Operand.random(shape, type, using: &generator)
      let output = Operand(shape: permutation.map { shape[$0] }, type: type)
      let expected = Self.positions(output.shape).map { position -> Int in
        var source = position
        for (axis, from) in permutation.enumerated() { source[from] = position[axis] }
        return Self.value(input, source)
      }
      var list: InlineArray<6, Int32> = [0, 1, 2, 3, 4, 5]
      for (axis, from) in permutation.enumerated() { list[axis] = Int32(from) }
      let result = try runStep(.transpose, inputs: [input], outputs: [output]) { _ in TransposeParams(permutation: list)
      }
      expectEqual(result.outputs[0], expected, "\(shape) \(permutation)")
    }
  }

  @Test(arguments: types) func concatenation(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 4)
    let cases: [(Int, [[Int]])] = [
      (0, [[3], [1], [4]]), (0, [[2, 3], [1, 3]]), (1, [[2, 3, 4], [2, 1, 4], [2, 2, 4]]),
      (2, [[2, 3, 1], [2, 3, 5]]), (1, [[2, 2]]),
    ]
    for (axis, shapes) in cases {
      let inputs = shapes.map { Operand.random($0, type, using: &generator) }
      var shape = shapes[0]
      shape[axis] = shapes.reduce(0) { $0 + $1[axis] }
      let expected = Self.positions(shape).map { position -> Int in
        var source = position
        var index = 0
        while source[axis] >= inputs[index].shape[axis] {
          source[axis] -= inputs[index].shape[axis]
          index += 1
        }
        return Self.value(inputs[index], source)
      }
      let result = try runStep(.concatenation, inputs: inputs, outputs: [Operand(shape: shape, type: type)]) { _ in
        ConcatenationParams(axis: Int32(axis))
      }
      expectEqual(result.outputs[0], expected, "\(shapes) along \(axis)")
    }
  }

  @Test(arguments: types) func copying(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 5)
    let input = Operand.random([3, 5, 2], type, using: &generator)
    let result = try runStep(.copy, inputs: [input], outputs: [Operand(shape: [6, 5], type: type)]) { _ in CopyParams()
    }
    expectEqual(result.outputs[0], input.values, "copy")
  }

  @Test(arguments: types) func resizingToTheNearest(_ type: StoredType) throws {
    var generator = SeededGenerator(seed: 6)
    let input = Operand.random([2, 3, 4, 5], type, using: &generator)
    let rows = [0, 0, 1, 2, 2], columns = [3, 3, 1, 0, 0, 2, 1]
    let shape = [2, rows.count, columns.count, 5]
    let expected = Self.positions(shape).map { Self.value(input, [$0[0], rows[$0[1]], columns[$0[2]], $0[3]]) }
    let result = try runStep(.resizeNearest, inputs: [input], outputs: [Operand(shape: shape, type: type)]) {
      ResizeNearestParams(rows: $0.constant(rows.map { Int32($0) }), columns: $0.constant(columns.map { Int32($0) }))
    }
    expectEqual(result.outputs[0], expected, "\(type)")
  }

  /// The weights in exact fractions, rounded half away from zero.
  @Test func bilinearResizing() throws {
    var generator = SeededGenerator(seed: 7)
    let input = Operand.random([2, 3, 4, 5], .int8, using: &generator)
    func samples(_ size: Int, _ count: Int) -> [ResizeSample] {
      // Half-pixel centres: the first and last coordinates lie outside.
      (0..<count).map { index in
        let scaled = (2 * index + 1) * size * 512 / count - 512
        let lower = max(scaled / 1024, 0), upper = min((scaled + 1023) / 1024, size - 1)
        return ResizeSample(lower: Int32(lower), upper: Int32(upper), fraction: Int32(scaled - lower * 1024))
      }
    }
    let rows = samples(3, 7), columns = samples(4, 9)
    let shape = [2, 7, 9, 5]
    let expected = Self.positions(shape).map { position -> Int in
      let row = rows[position[1]], column = columns[position[2]]
      var sum = 0
      for (y, fy) in [(row.lower, 1024 - row.fraction), (row.upper, row.fraction)] {
        for (x, fx) in [(column.lower, 1024 - column.fraction), (column.upper, column.fraction)] {
          sum += Self.value(input, [position[0], Int(y), Int(x), position[3]]) * Int(fy) * Int(fx)
        }
      }
      return Int(Truncating.divide(Int64(sum), by: 1 << 20))
    }
    let flatRows = rows.flatMap { [$0.lower, $0.upper, $0.fraction] }
    let flatColumns = columns.flatMap { [$0.lower, $0.upper, $0.fraction] }
    let result = try runStep(.resizeBilinear, inputs: [input], outputs: [Operand(shape: shape, type: .int8)]) {
      ResizeBilinearParams(rows: $0.constant(flatRows), columns: $0.constant(flatColumns))
    }
    expectEqual(result.outputs[0], expected, "bilinear")
    #expect(rows[0].fraction < 0)
  }
}
