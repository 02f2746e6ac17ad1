#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// What one thread executes; a C thread entry point takes one pointer, so it travels in an object.
private final class ThreadBody {
  let run: () -> Void
  init(_ run: @escaping () -> Void) { self.run = run }
}

/// A counter handed out in chunks, and the failure of the smallest index.
private final class WorkQueue<Failure: Error> {
  private var mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var next = 0
  private let count: Int
  private let chunk: Int
  private(set) var failure: (index: Int, error: Failure)?

  init(count: Int, workers: Int) {
    self.count = count
    // Few enough chunks that the lock costs nothing, enough that an uneven load spreads.
    chunk = max(1, count / (workers * 16))
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func take() -> Range<Int> {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    // Indices below a failure are still run, so that the same failure is reported whatever the number of threads.
    let end = min(failure?.index ?? count, count)
    guard next < end else { return 0..<0 }
    let range = next..<min(next + chunk, end)
    next = range.upperBound
    return range
  }

  func fail(_ index: Int, _ error: Failure) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if failure.map({ index < $0.index }) ?? true { failure = (index, error) }
  }
}

#if canImport(Musl)
  private typealias ThreadHandle = pthread_t?
#else
  private typealias ThreadHandle = pthread_t
#endif

/// Starts a thread with a stack of 8 MiB (Musl's default is too small for a deep model's import).
private func startThread(_ body: ThreadBody) -> ThreadHandle? {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setstacksize(&attributes, 8 << 20)
  let retained = Unmanaged.passRetained(body)
  #if canImport(Musl)
    var handle: ThreadHandle = nil
  #else
    var handle = ThreadHandle()
  #endif
  let code = pthread_create(
    &handle, &attributes,
    { argument in
      if let argument { Unmanaged<ThreadBody>.fromOpaque(argument).takeRetainedValue().run() }
      return nil
    }, retained.toOpaque())
  guard code == 0 else {
    retained.release()
    return nil
  }
  return handle
}

/// Calls `body(index, worker)` once for each index in `0 ..< count`, on up to `threads` threads at once.
///
/// `worker` is in `0 ..< threads` and no two calls that run at the same time share it, so it can pick a scratch buffer.
/// The calling thread is worker 0. With one thread, or when no thread can be started, indices run in order in place.
///
/// - Parameters:
///   - count: the number of indices; nothing happens when it is 0 or less.
///   - threads: the largest number of workers; values below 1 count as 1.
/// - Throws: the error of the smallest index that failed, whatever the number of threads; later indices may be skipped.
public func parallelFor<Failure: Error>(
  count: Int, threads: Int, _ body: @Sendable (_ index: Int, _ worker: Int) throws(Failure) -> Void
) throws(Failure) {
  guard count > 0 else { return }
  let workers = max(1, min(threads, count))
  if workers == 1 {
    for index in 0..<count { try body(index, 0) }
    return
  }
  let queue = WorkQueue<Failure>(count: count, workers: workers)
  withoutActuallyEscaping(body) { body in
    func work(_ worker: Int) {
      while true {
        let range = queue.take()
        if range.isEmpty { return }
        for index in range {
          do throws(Failure) {
            try body(index, worker)
          } catch {
            queue.fail(index, error)
            break
          }
        }
      }
    }
    var handles: [ThreadHandle] = []
    for worker in 1..<workers {
      guard let handle = startThread(ThreadBody { work(worker) }) else { break }
      handles.append(handle)
    }
    work(0)
    for handle in handles { pthread_join(handle, nil) }
  }
  if let failure = queue.failure { throw failure.error }
}
