import Testing

@testable import QModel

@Suite struct InputMomentsTests {
  /// Random patches in whole and quarter steps.
  private func patches(blocks: Int, depth: Int, count: Int, _ random: inout TensorGenerator) -> PatchRows {
    var rows = PatchRows(blockCount: blocks, depth: depth, count: count)
    for block in 0..<blocks {
      for row in 0..<count {
        for k in 0..<depth {
          rows.inputs[rows.start(block: block, row: row) + k] = Float(random.int(-255...255))
          rows.errors[rows.start(block: block, row: row) + k] = Float(random.int(-1020...1020)) / 4
        }
      }
    }
    return rows
  }

  @Test(arguments: [1, 3, 7, 8, 9, 15, 16, 17, 31, 33]) func sumsAreExact(depth: Int) {
    var random = TensorGenerator(seed: UInt64(depth))
    let batch = [1, 63, 64, 65, 130].map { patches(blocks: 2, depth: depth, count: $0, &random) }
    for block in 0..<2 {
      var moments = InputMoments(depth: depth)
      moments.add(Array(batch[..<2]), block: block, threads: 3)
      moments.add(Array(batch[2...]), block: block, threads: 1)
      #expect(moments.count == 323)
      for i in 0..<depth {
        for j in 0..<depth {
          var square = 0.0, cross = 0.0
          for rows in batch {
            for row in 0..<rows.count {
              let base = rows.start(block: block, row: row)
              square += Double(rows.inputs[base + i]) * Double(rows.inputs[base + j])
              cross += Double(rows.errors[base + i]) * Double(rows.inputs[base + j])
            }
          }
          if i <= j { #expect(moments.squares[0][i * depth + j] == square, "\(i), \(j)") }
          #expect(moments.crosses[0][i * depth + j] == cross, "\(i), \(j)")
        }
        let sums = batch.reduce((0.0, 0.0)) { sums, rows in
          (0..<rows.count).reduce(sums) {
            (
              $0.0 + Double(rows.inputs[rows.start(block: block, row: $1) + i]),
              $0.1 + Double(rows.errors[rows.start(block: block, row: $1) + i])
            )
          }
        }
        #expect(moments.inputSum[i] == sums.0 && moments.errorSum[i] == sums.1)
      }
    }
  }

  @Test func orderAndThreadsDoNotMatter() {
    var random = TensorGenerator(seed: 9)
    let batch = (0..<12).map { _ in patches(blocks: 1, depth: 21, count: 40, &random) }
    var first = InputMoments(depth: 21)
    first.add(batch, block: 0, threads: 1)
    for threads in [1, 2, 5] {
      var other = InputMoments(depth: 21)
      for rows in batch.shuffled(using: &random) { other.add([rows], block: 0, threads: threads) }
      #expect(other.squares == first.squares && other.crosses == first.crosses)
      #expect(other.inputSum == first.inputSum && other.errorSum == first.errorSum && other.count == first.count)
    }
  }

  @Test func wideLayersAreCutIntoSegments() {
    let depth = InputMoments.fullDepth + 13
    var random = TensorGenerator(seed: 10)
    let rows = patches(blocks: 1, depth: depth, count: 3, &random)
    var moments = InputMoments(depth: depth)
    moments.add([rows], block: 0, threads: 2)
    #expect(moments.segments.map(\.count).reduce(0, +) == depth)
    #expect(moments.segments.last?.count == 13)
    for (index, segment) in moments.segments.enumerated() {
      let i = segment.count - 1
      let expected = (0..<3).reduce(0.0) {
        $0
          + Double(
            rows.inputs[rows.start(block: 0, row: $1) + segment.lowerBound + i]
              * rows.inputs[rows.start(block: 0, row: $1) + segment.lowerBound + i])
      }
      #expect(moments.squares[index][i * segment.count + i] == expected)
    }
  }
}
