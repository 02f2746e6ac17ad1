import Testing

@testable import QModel

struct MemoryPlannerTests {
  /// No two blocks that are alive at one step share a byte, and the size covers every block with its slack.
  static func problems(_ requests: [MemoryRequest], _ plan: MemoryPlan) -> [String] {
    var problems: [String] = []
    for (i, a) in requests.enumerated() {
      if plan.offsets[i] % a.alignment != 0 || plan.offsets[i] < 0 { problems.append("\(i) is misaligned") }
      if plan.offsets[i] + a.byteCount + a.slack > plan.byteCount { problems.append("\(i) ends outside") }
      // Every byte of every step is asked for its owners: another formula than the planner's interval test.
      for (j, b) in requests.enumerated() where j > i {
        let steps = Set(a.first...a.last).intersection(b.first...b.last)
        let bytes =
          Swift.max(
            plan.offsets[i], plan.offsets[j])..<Swift.max(
            Swift.max(plan.offsets[i], plan.offsets[j]),
            Swift.min(plan.offsets[i] + a.byteCount, plan.offsets[j] + b.byteCount))
        if !steps.isEmpty && !bytes.isEmpty { problems.append("\(i) and \(j) share \(bytes)") }
      }
    }
    return problems
  }

  static func randomRequests(_ random: inout SplitMix64, count: Int, steps: Int) -> [MemoryRequest] {
    (0..<count).map { _ in
      let first = Int(random.next() % UInt64(steps)), length = Int(random.next() % 5)
      return MemoryRequest(
        byteCount: Int(random.next() % 1000) + 1, alignment: random.next() % 2 == 0 ? 16 : 64,
        slack: random.next() % 3 == 0 ? 0 : 64, first: first - 1, last: min(first - 1 + length, steps))
    }
  }

  @Test func nothingNeedsNothing() {
    #expect(MemoryPlanner.plan([]) == MemoryPlan(offsets: [], byteCount: 0))
  }

  @Test(arguments: 0..<60) func liveBlocksNeverOverlap(seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    let count = [1, 2, 5, 8, 9, 20, 60][seed % 7]
    let requests = Self.randomRequests(&random, count: count, steps: count)
    let plan = MemoryPlanner.plan(requests)
    #expect(Self.problems(requests, plan) == [], "seed \(seed)")
    #expect(plan.byteCount >= MemoryPlanner.lowerBound(requests), "seed \(seed)")
    #expect(MemoryPlanner.plan(requests) == plan, "seed \(seed): two runs differ")
  }

  /// All placements of four blocks on a grid, tried one by one.
  @Test(arguments: 0..<20) func fewBlocksArePlacedOptimally(seed: Int) {
    var random = SplitMix64(seed: UInt64(1000 + seed))
    let requests = (0..<4).map { _ in
      let first = Int(random.next() % 4)
      return MemoryRequest(
        byteCount: 16 * (Int(random.next() % 4) + 1), alignment: 16, slack: 0, first: first,
        last: first + Int(random.next() % 3))
    }
    var smallest = Int.max
    let grid = (0..<16).map { $0 * 16 }
    for a in grid {
      for b in grid {
        for c in grid {
          for d in grid {
            let offsets = [a, b, c, d]
            let end = zip(offsets, requests).map { $0 + $1.byteCount }.max() ?? 0
            if end >= smallest { continue }
            let free = (0..<4).allSatisfy { i in
              (i + 1..<4).allSatisfy { j in
                !requests[i].isAlive(with: requests[j]) || offsets[i] + requests[i].byteCount <= offsets[j]
                  || offsets[j] + requests[j].byteCount <= offsets[i]
              }
            }
            if free { smallest = end }
          }
        }
      }
    }
    #expect(MemoryPlanner.plan(requests).byteCount == smallest, "seed \(1000 + seed)")
  }

  @Test func aChainNeedsItsTwoLargestNeighbours() {
    let sizes = [640, 128, 128, 8, 128, 640]
    let requests = sizes.enumerated().map { index, size in
      MemoryRequest(byteCount: size, alignment: 16, slack: 64, first: index - 1, last: index)
    }
    #expect(MemoryPlanner.plan(requests).byteCount == 640 + 128 + 64)
  }
}
