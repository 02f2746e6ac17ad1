/// The element runs of a broadcast operation on two tensors: numpy's rule, shapes aligned at their last axes.
///
/// Axes along which both operands advance alike are merged, so that tensors of one shape are a single run.
struct Broadcast {
  /// Sizes and strides of the merged axes, innermost first; at least one.
  private var sizes: InlineArray<6, Int> = InlineArray(repeating: 1)
  private var aStrides: InlineArray<6, Int> = InlineArray(repeating: 0)
  private var bStrides: InlineArray<6, Int> = InlineArray(repeating: 0)
  private var axisCount = 1

  /// Throws unless `output` is the broadcast shape of `a` and `b`, their last `excluding` axes left aside.
  static func requireShapes(
    _ a: UnsafePointer<TensorRecord>, _ b: UnsafePointer<TensorRecord>, _ output: UnsafePointer<TensorRecord>,
    excluding trailing: Int = 0
  ) throws(Status) {
    let rank = Int(output.pointee.rank)
    guard Int(a.pointee.rank) <= rank, Int(b.pointee.rank) <= rank, Int(a.pointee.rank) >= trailing,
      Int(b.pointee.rank) >= trailing
    else { throw .badTensor }
    var fromEnd = trailing + 1
    while fromEnd <= rank {
      let size = output.pointee.dimension(rank - fromEnd)
      let aSize = dimension(a, fromEnd), bSize = dimension(b, fromEnd)
      guard aSize == size || aSize == 1, bSize == size || bSize == 1, max(aSize, bSize) == size else {
        throw .badTensor
      }
      fromEnd += 1
    }
  }

  /// The size of the axis `fromEnd` places before the end, 1 before the first.
  @inline(__always)
  private static func dimension(_ tensor: UnsafePointer<TensorRecord>, _ fromEnd: Int) -> Int {
    let axis = Int(tensor.pointee.rank) &- fromEnd
    return axis < 0 ? 1 : tensor.pointee.dimension(axis)
  }

  /// The runs of tensors that passed ``requireShapes(_:_:_:excluding:)``; strides count in units of the axes left aside.
  init(
    _ a: UnsafePointer<TensorRecord>, _ b: UnsafePointer<TensorRecord>, _ output: UnsafePointer<TensorRecord>,
    excluding trailing: Int = 0
  ) {
    let rank = Int(output.pointee.rank)
    var aStride = 1, bStride = 1
    var count = 0
    var fromEnd = trailing &+ 1
    while fromEnd <= rank {
      let size = output.pointee.dimension(rank &- fromEnd)
      let aSize = Broadcast.dimension(a, fromEnd), bSize = Broadcast.dimension(b, fromEnd)
      if size > 1 {
        let aStep = aSize == 1 ? 0 : aStride, bStep = bSize == 1 ? 0 : bStride
        if count > 0, aStep == aStrides[count &- 1] &* sizes[count &- 1],
          bStep == bStrides[count &- 1] &* sizes[count &- 1]
        {
          sizes[count &- 1] = sizes[count &- 1] &* size
        } else {
          sizes[count] = size
          aStrides[count] = aStep
          bStrides[count] = bStep
          count &+= 1
        }
      }
      aStride = aStride &* aSize
      bStride = bStride &* bSize
      fromEnd &+= 1
    }
    axisCount = max(count, 1)
  }

  /// Calls `body` for every run of the innermost axis: where it starts in a, b and the output, its length, the steps
  /// (0 or 1) of a and b inside it.
  @inline(__always)
  func forEachRun(_ body: (_ a: Int, _ b: Int, _ output: Int, _ count: Int, _ aStep: Int, _ bStep: Int) -> Void) {
    var counters: InlineArray<6, Int> = InlineArray(repeating: 0)
    var a = 0, b = 0, output = 0
    while true {
      body(a, b, output, sizes[0], aStrides[0], bStrides[0])
      output = output &+ sizes[0]
      var axis = 1
      while axis < axisCount {
        counters[axis] = counters[axis] &+ 1
        a = a &+ aStrides[axis]
        b = b &+ bStrides[axis]
        if counters[axis] < sizes[axis] { break }
        counters[axis] = 0
        a = a &- aStrides[axis] &* sizes[axis]
        b = b &- bStrides[axis] &* sizes[axis]
        axis &+= 1
      }
      if axis >= axisCount { return }
    }
  }
}
