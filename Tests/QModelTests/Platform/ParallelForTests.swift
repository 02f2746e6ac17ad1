import Foundation
import Testing

@testable import QModel

/// A log that several threads may write to.
private final class Log: @unchecked Sendable {
  private let lock = NSLock()
  private var calls: [(index: Int, worker: Int)] = []
  private var active: [Int: Int] = [:]
  private(set) var collisions = 0

  func enter(_ index: Int, _ worker: Int) {
    lock.lock()
    defer { lock.unlock() }
    calls.append((index, worker))
    active[worker, default: 0] += 1
    if active[worker] != 1 { collisions += 1 }
  }

  func leave(_ worker: Int) {
    lock.lock()
    defer { lock.unlock() }
    active[worker, default: 0] -= 1
  }

  var indices: [Int] { calls.map(\.index).sorted() }
  var workers: Set<Int> { Set(calls.map(\.worker)) }
  var order: [Int] { calls.map(\.index) }
}

private struct Refusal: Error, Equatable { var index: Int }

@Suite struct ParallelForTests {
  @Test(arguments: [0, 1, 2, 3, 7, 100, 1001], [-1, 0, 1, 2, 3, 8, 200])
  func eachIndexRunsOnce(count: Int, threads: Int) {
    let log = Log()
    parallelFor(count: count, threads: threads) { index, worker in
      log.enter(index, worker)
      if index % 10 == 0 { usleep(10) }
      log.leave(worker)
    }
    #expect(log.indices == Array(0..<count))
    #expect(log.collisions == 0)
    #expect(log.workers.allSatisfy { $0 >= 0 && $0 < max(threads, 1) })
  }

  @Test func oneThreadKeepsTheOrder() {
    let log = Log()
    parallelFor(count: 50, threads: 1) { index, worker in
      log.enter(index, worker); log.leave(worker)
    }
    #expect(log.order == Array(0..<50))
  }

  @Test func severalThreadsWork() {
    let log = Log()
    parallelFor(count: 64, threads: 4) { index, worker in
      log.enter(index, worker)
      usleep(2000)
      log.leave(worker)
    }
    #expect(log.workers.count > 1)
  }

  @Test(arguments: [1, 2, 3, 8])
  func theSmallestFailureIsReported(threads: Int) {
    for _ in 0..<20 {
      #expect(throws: Refusal(index: 13)) {
        try parallelFor(count: 200, threads: threads) { (index, _) throws(Refusal) in
          if index == 13 { usleep(300) }
          if index >= 13 && index % 2 == 1 { throw Refusal(index: index) }
        }
      }
    }
  }
}
