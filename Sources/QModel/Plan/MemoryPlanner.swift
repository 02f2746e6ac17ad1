/// One block of memory that some steps of a plan need.
struct MemoryRequest: Equatable {
  var byteCount: Int
  /// A power of two.
  var alignment: Int
  /// Bytes that must exist after the block, but may belong to others: they are only read.
  var slack: Int
  /// The steps, both included, during which the block is in use.
  var first: Int, last: Int

  func isAlive(with other: MemoryRequest) -> Bool { first <= other.last && other.first <= last }
}

/// Offsets for a list of requests.
struct MemoryPlan: Equatable {
  /// One per request.
  var offsets: [Int]
  /// The end of the last block with its slack.
  var byteCount: Int
}

/// Places blocks so that no two that are in use at the same time overlap, in as few bytes as it can find.
///
/// Every placement is a first fit in some order of the blocks; an optimal placement is a first fit in the order of its
/// own offsets. So the planner looks for a good order: four greedy ones, then all (few blocks) or seeded exchanges (many),
/// and stops where the bytes in use at one time prove that nothing smaller exists. Deterministic; time is bounded.
enum MemoryPlanner {
  /// Up to this many blocks all orders are searched, with pruning.
  private static let exactLimit = 7
  /// Steps of first fit that the exchange of blocks may cost.
  private static let searchBudget = 1_000_000

  static func plan(_ requests: [MemoryRequest]) -> MemoryPlan {
    if requests.isEmpty { return MemoryPlan(offsets: [], byteCount: 0) }
    let fit = FirstFit(requests)
    let bound = lowerBound(requests)
    var bestOrder: [Int] = []
    var best = MemoryPlan(offsets: [], byteCount: Int.max)
    for order in greedyOrders(requests) {
      let candidate = fit.plan(order)
      if candidate.byteCount < best.byteCount { (best, bestOrder) = (candidate, order) }
      if best.byteCount <= bound { return best }
    }
    if requests.count <= exactLimit {
      var search = ExactSearch(fit: fit, best: best, bound: bound)
      search.run()
      return search.best
    }
    return exchanged(fit, best, bestOrder, bound)
  }

  /// The most bytes in use at one step, with the smallest slack that one of those blocks must have behind it.
  static func lowerBound(_ requests: [MemoryRequest]) -> Int {
    var bound = 0
    for request in requests {
      // The set of live blocks changes to a larger one only where a block begins.
      let alive = requests.filter { $0.first <= request.first && request.first <= $0.last }
      bound = max(bound, alive.reduce(0) { $0 + $1.byteCount } + (alive.map(\.slack).min() ?? 0))
    }
    return bound
  }

  private static func greedyOrders(_ requests: [MemoryRequest]) -> [[Int]] {
    let all = Array(requests.indices)
    func sorted(_ isBefore: (MemoryRequest, MemoryRequest) -> Bool) -> [Int] {
      // Ties by index: Swift's sort keeps no order of equals that it promises.
      all.sorted { isBefore(requests[$0], requests[$1]) || (!isBefore(requests[$1], requests[$0]) && $0 < $1) }
    }
    let bySize = sorted { ($0.byteCount, $0.last - $0.first) > ($1.byteCount, $1.last - $1.first) }
    let byArea = sorted { $0.byteCount * ($0.last - $0.first + 1) > $1.byteCount * ($1.last - $1.first + 1) }
    let byTime = sorted { ($0.first, -$0.byteCount) < ($1.first, -$1.byteCount) }
    // The fullest steps first, and in each its largest blocks.
    let starts = Set(requests.map(\.first)).sorted()
    let load = starts.map { step in
      (step: step, bytes: requests.reduce(0) { $0 + ($1.first <= step && step <= $1.last ? $1.byteCount : 0) })
    }.sorted { ($0.bytes, -$0.step) > ($1.bytes, -$1.step) }
    var byBreadth: [Int] = []
    var taken = Set<Int>()
    for (step, _) in load {
      for index in bySize where requests[index].first <= step && step <= requests[index].last {
        if taken.insert(index).inserted { byBreadth.append(index) }
      }
    }
    return [byBreadth, bySize, byArea, byTime]
  }

  /// Moves blocks in the order and keeps what is not worse.
  private static func exchanged(_ fit: FirstFit, _ start: MemoryPlan, _ startOrder: [Int], _ bound: Int) -> MemoryPlan {
    var best = start
    var order = startOrder
    var random = SplitMix64(seed: 0x51_4B4D)
    let count = order.count
    var rounds = min(400, searchBudget / max(1, fit.cost))
    while rounds > 0, best.byteCount > bound {
      rounds -= 1
      var candidate = order
      let block = candidate.remove(at: Int(random.next() % UInt64(count)))
      candidate.insert(block, at: Int(random.next() % UInt64(count)))
      let plan = fit.plan(candidate, abandoningAbove: best.byteCount)
      guard plan.byteCount <= best.byteCount else { continue }
      order = candidate
      best = plan
    }
    return best
  }
}

/// Places each block at the lowest offset that is free during its life.
private struct FirstFit {
  let requests: [MemoryRequest]
  /// For each block, those in use at the same time.
  let neighbours: [[Int]]

  init(_ requests: [MemoryRequest]) {
    self.requests = requests
    neighbours = requests.indices.map { i in
      requests.indices.filter { $0 != i && requests[$0].isAlive(with: requests[i]) }
    }
  }

  /// A measure of one run's time.
  var cost: Int { neighbours.reduce(requests.count) { $0 + $1.count * 4 } }

  /// The lowest free offset of block `index` among the placed ones (offset >= 0).
  func offset(of index: Int, _ offsets: [Int]) -> Int {
    let request = requests[index]
    var occupied: [(start: Int, end: Int)] = []
    for other in neighbours[index] where offsets[other] >= 0 {
      occupied.append((offsets[other], offsets[other] + requests[other].byteCount))
    }
    occupied.sort { $0.start < $1.start }
    var offset = 0
    for (start, end) in occupied {
      if offset + request.byteCount <= start { break }
      if end > offset { offset = (end + request.alignment - 1) & ~(request.alignment - 1) }
    }
    return offset
  }

  /// The plan of one order; its byte count is `Int.max` when it exceeds `limit`.
  func plan(_ order: [Int], abandoningAbove limit: Int = Int.max) -> MemoryPlan {
    var offsets = [Int](repeating: -1, count: requests.count)
    var end = 0
    for index in order {
      let offset = offset(of: index, offsets)
      offsets[index] = offset
      end = max(end, offset + requests[index].byteCount + requests[index].slack)
      if end > limit { return MemoryPlan(offsets: offsets, byteCount: Int.max) }
    }
    return MemoryPlan(offsets: offsets, byteCount: end)
  }
}

/// Depth-first search over all orders, cut where the bytes so far reach the best known.
private struct ExactSearch {
  let fit: FirstFit
  var best: MemoryPlan
  let bound: Int
  private var offsets: [Int]

  init(fit: FirstFit, best: MemoryPlan, bound: Int) {
    self.fit = fit
    self.best = best
    self.bound = bound
    self.offsets = [Int](repeating: -1, count: fit.requests.count)
  }

  mutating func run() { extend(placed: 0, end: 0) }

  private mutating func extend(placed: Int, end: Int) {
    if placed == offsets.count {
      best = MemoryPlan(offsets: offsets, byteCount: end)
      return
    }
    for index in offsets.indices where offsets[index] < 0 {
      let offset = fit.offset(of: index, offsets)
      let newEnd = max(end, offset + fit.requests[index].byteCount + fit.requests[index].slack)
      if newEnd >= best.byteCount { continue }
      offsets[index] = offset
      extend(placed: placed + 1, end: newEnd)
      offsets[index] = -1
      if best.byteCount <= bound { return }
    }
  }
}

/// Vigna's SplitMix64: a seeded generator whose sequence is fixed.
struct SplitMix64 {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
