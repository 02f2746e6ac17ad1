import QKernelsIntrinsics

/// What LSTM, GRU and RNN share: sizes, direction, and the two dense products of every step.
///
/// Gate arithmetic. The input part and the recurrent part of a gate are dense products of their own, each requantized
/// per row to int16 in units of 2^-12 (Q3.12) and saturated; their saturated sum is the gate's argument:
///
///     z = sat16(sat16(requantize(Wx + b)) + sat16(requantize(R(h − hiddenZeroPoint) + rb)))
///
/// Logistic and tanh take Q3.12 and give Q0.15 through the interpolated 256-entry table. Products with int8 operands
/// follow the double-rounding law in 32 bits; products with int16 operands accumulate in 64 bits and follow the
/// 16-bit-multiplier law with one rounding (Rounding.swift), as TensorFlow Lite Micro's 16x8 kernels do.
///
/// Overflow: int8 operands: the plan compiler proves for each row that its sums with the bias fit 32 bits, after a left
/// shift too. int16 operands: at most 2^14 · 2^15 · 2^7 + 2^31 in 64 bits; the compiler proves that the requantized value
/// fits 32 bits before it saturates. Products of two int16 are at most 2^30, their saturated sums stay in int32. The whole
/// proof: `docs/recurrent.md`.
public struct RecurrentLayer: BitwiseCopyable, Sendable {
  /// I, H.
  public var inputSize: Int32
  /// H.
  public var hiddenSize: Int32
  /// 1 or 2.
  public var directionCount: Int32
  /// Bit d: direction d walks time backwards.
  public var reverseMask: Int32
  /// Steps whose input products are computed together, >= 1; scratch grows with it.
  public var stepsPerChunk: Int32
  /// Bound of z, 1...32767 (ONNX clip in Q3.12; 32767 for none).
  public var gateLimit: Int32
  /// Packed [D][ceil(G·H/16)][1][ceil(I/4)][16][4] and its requantization to Q3.12, arrays of D·ceil(G·H/16)·16.
  public var input: ChannelQuantization
  /// The same over H, for the recurrent product.
  public var recurrent: ChannelQuantization

  /// All fields at once.
  public init(
    inputSize: Int32, hiddenSize: Int32, directionCount: Int32, reverseMask: Int32, stepsPerChunk: Int32,
    gateLimit: Int32, input: ChannelQuantization, recurrent: ChannelQuantization
  ) {
    self.inputSize = inputSize
    self.hiddenSize = hiddenSize
    self.directionCount = directionCount
    self.reverseMask = reverseMask
    self.stepsPerChunk = stepsPerChunk
    self.gateLimit = gateLimit
    self.input = input
    self.recurrent = recurrent
  }

  /// Rows of both products: G·H for `gateCount` gates.
  @inline(__always) func rowCount(_ gateCount: Int) -> Int { gateCount &* Int(hiddenSize) }

  /// Bytes of scratch: the input products of a chunk, one recurrent product, and an int16 and a padded operand of H.
  public func scratchByteCount(gateCount: Int) -> Int {
    let rows = gateCount * Int(hiddenSize)
    return (Int(stepsPerChunk) + 1) * rows * 2 + 4 * Int(hiddenSize) + 64
  }

  /// Throws unless sizes, tensors and constants agree. Operand 0 is [T,N,I]; the state operands `states` are [D,N,H]; an
  /// output, if there is one, is [T,D,N,H].
  func validate(_ view: StepView, gateCount: Int, recurrentGateCount: Int, states: Int) throws(Status) {
    guard view.inputCount == 1 + states, view.outputCount <= 1 else { throw .badParams }
    let limit: Int32 = 1 << 14
    guard inputSize > 0, inputSize <= limit, hiddenSize > 0, hiddenSize <= limit,
      directionCount == 1 || directionCount == 2,
      reverseMask >= 0, reverseMask < 1 << directionCount, stepsPerChunk >= 1, stepsPerChunk <= limit,
      gateLimit >= 1, gateLimit <= 32767
    else { throw .badParams }
    let x = view.input(0)
    guard x.pointee.rank == 3, x.pointee.dimension(2) == Int(inputSize) else { throw .badTensor }
    let steps = x.pointee.dimension(0), batches = x.pointee.dimension(1)
    let hidden = Int(hiddenSize), directions = Int(directionCount)
    var state = 1
    while state <= states {
      let tensor = view.input(state)
      guard tensor.pointee.storage != TensorStorage.constant.rawValue, tensor.pointee.rank == 3,
        tensor.pointee.dimension(0) == directions, tensor.pointee.dimension(1) == batches,
        tensor.pointee.dimension(2) == hidden
      else { throw .badTensor }
      state += 1
    }
    if view.outputCount == 1 {
      let y = view.output(0)
      guard y.pointee.rank == 4, y.pointee.dimension(0) == steps, y.pointee.dimension(1) == directions,
        y.pointee.dimension(2) == batches, y.pointee.dimension(3) == hidden
      else { throw .badTensor }
    }
    guard Int(view.step.pointee.scratchByteCount) >= scratchByteCount(gateCount: gateCount) else { throw .badParams }
    try validate(input, view, rows: gateCount &* hidden, depth: Int(inputSize))
    try validate(recurrent, view, rows: recurrentGateCount &* hidden, depth: hidden)
  }

  private func validate(_ product: ChannelQuantization, _ view: StepView, rows: Int, depth: Int) throws(Status) {
    let blocks = (rows &+ 15) / 16 &* Int(directionCount)
    try product.validate(
      view, channelCount: blocks &* 16, weightByteCount: blocks &* ((depth &+ 3) / 4) &* 64, lowest: -32768,
      highest: 32767)
  }
}

/// One direction of one batch entry while it runs.
struct RecurrentWalk {
  let layer: RecurrentLayer
  let context: StepContext
  let gateRows: Int
  let direction: Int
  let batch: Int
  let stepCount: Int
  let batchCount: Int
  /// [stepsPerChunk][gateRows].
  let inputProducts: UnsafeMutablePointer<Int16>
  /// [gateRows].
  let recurrentProducts: UnsafeMutablePointer<Int16>
  /// [H] int16, free for the cell.
  let temporary: UnsafeMutablePointer<Int16>
  /// [H] int8, free for the cell.
  let operand: UnsafeMutablePointer<Int8>

  @inline(__always)
  init(_ context: StepContext, _ layer: RecurrentLayer, gateCount: Int, direction: Int, batch: Int) {
    self.layer = layer
    self.context = context
    self.direction = direction
    self.batch = batch
    gateRows = layer.rowCount(gateCount)
    stepCount = context.view.input(0).pointee.dimension(0)
    batchCount = context.view.input(0).pointee.dimension(1)
    inputProducts = context.scratch.assumingMemoryBound(to: Int16.self)
    recurrentProducts = inputProducts + Int(layer.stepsPerChunk) &* gateRows
    temporary = recurrentProducts + gateRows
    operand = UnsafeMutableRawPointer(temporary + Int(layer.hiddenSize)).assumingMemoryBound(to: Int8.self)
  }

  @inline(__always) var hidden: Int { Int(layer.hiddenSize) }
  @inline(__always) var isReverse: Bool { layer.reverseMask & (1 &<< Int32(truncatingIfNeeded: direction)) != 0 }

  /// The state operand `index`, at this direction and batch entry: H elements.
  @inline(__always)
  func state<Element>(_ index: Int, as _: Element.Type) -> UnsafeMutablePointer<Element> {
    context.memory(of: context.view.input(index)).assumingMemoryBound(to: Element.self)
      + (direction &* batchCount &+ batch) &* hidden
  }

  /// The output of time step `time`: H elements; nil if the step has no output.
  @inline(__always)
  func output<Element>(_ time: Int, as _: Element.Type) -> UnsafeMutablePointer<Element>? {
    if context.view.outputCount == 0 { return nil }
    let index = (time &* Int(layer.directionCount) &+ direction) &* batchCount &+ batch
    return context.output(0, as: Element.self) + index &* hidden
  }

  /// Walks through time; `body` gets the time index and that step's input products.
  @inline(__always)
  func forEachStep(_ body: (_ time: Int, _ products: UnsafeMutablePointer<Int16>) -> Void) {
    let chunk = Int(layer.stepsPerChunk)
    var done = 0
    while done < stepCount {
      let count = min(chunk, stepCount &- done)
      let first = isReverse ? stepCount &- done &- count : done
      computeInputProducts(first: first, count: count)
      var i = 0
      while i < count {
        let local = isReverse ? count &- 1 &- i : i
        body(first &+ local, inputProducts + local &* gateRows)
        i &+= 1
      }
      done &+= count
    }
  }

  private func computeInputProducts(first: Int, count: Int) {
    let depth = Int(layer.inputSize)
    let start = (first &* batchCount &+ batch) &* depth
    if context.view.input(0).pointee.type == StoredType.int8.rawValue {
      let x = context.input(0, as: Int8.self) + start
      multiply8(layer.input, x, depth, count, batchCount &* depth, gateRows, inputProducts)
    } else {
      let x = context.input(0, as: Int16.self) + start
      var i = 0
      while i < count {
        multiply16(layer.input, x + i &* batchCount &* depth, depth, gateRows, inputProducts + i &* gateRows)
        i &+= 1
      }
    }
  }

  /// The recurrent product of an int8 hidden state, rows 0 ..< rowCount.
  @inline(__always)
  func computeRecurrentProducts(_ h: UnsafePointer<Int8>, rowCount: Int) {
    multiply8(layer.recurrent, h, hidden, 1, 0, rowCount, recurrentProducts)
  }

  /// The recurrent product of an int16 hidden state.
  @inline(__always)
  func computeRecurrentProducts(_ h: UnsafePointer<Int16>, rowCount: Int) {
    multiply16(layer.recurrent, h, hidden, rowCount, recurrentProducts)
  }

  /// `count` products of int8 vectors that lie `stride` bytes apart.
  private func multiply8(
    _ product: ChannelQuantization, _ x: UnsafePointer<Int8>, _ depth: Int, _ count: Int, _ stride: Int, _ rows: Int,
    _ output: UnsafeMutablePointer<Int16>
  ) {
    let blocks = (gateRows &+ 15) / 16
    let groups = (depth &+ 3) / 4
    var row: UnsafePointer<Int8>? = x
    withUnsafePointer(to: &row) { list in
      var args = qk_matmul_args(
        rows: list, pointerStride: 0, rowCount: 1, rowGroups: Int32(truncatingIfNeeded: groups),
        pixelStride: Int32(truncatingIfNeeded: stride), pixelCount: Int32(truncatingIfNeeded: count),
        flipped: 0, weights: context.constant(product.weights, as: Int8.self) + direction &* blocks &* groups &* 64,
        quantization: product.resolved(context).advanced(by: direction &* blocks &* 16), output: output,
        outputStride: Int32(truncatingIfNeeded: gateRows), channelCount: Int32(truncatingIfNeeded: rows))
      context.inner.matmul16(&args)
    }
  }

  /// The product of one int16 vector; the zero point of int16 tensors is 0 (verified).
  private func multiply16(
    _ product: ChannelQuantization, _ x: UnsafePointer<Int16>, _ depth: Int, _ rows: Int,
    _ output: UnsafeMutablePointer<Int16>
  ) {
    let blocks = (gateRows &+ 15) / 16
    let groups = (depth &+ 3) / 4
    let weights = context.constant(product.weights, as: Int8.self) + direction &* blocks &* groups &* 64
    let q = product.resolved(context).advanced(by: direction &* blocks &* 16)
    var row = 0
    while row < rows {
      let w = weights + (row / 16) &* groups &* 64 + (row % 16) &* 4
      var total = widened(q.bias[row])
      var k = 0
      while k < depth {
        // 512 products of at most 2^15 · 127 stay below 2^31.
        let end = min(depth, k &+ 512)
        var partial: Int32 = 0
        while k < end {
          partial = partial &+ Int32(x[k]) &* Int32(w[(k &>> 2) &* 64 &+ (k & 3)])
          k &+= 1
        }
        total = total &+ widened(partial)
      }
      let value = multiplyByQuantizedMultiplier(total, multiplier: q.multiplier[row], shift: q.shift[row])
      output[row] = Int16(truncatingIfNeeded: clamped(value, q.outputMin, q.outputMax))
      row &+= 1
    }
  }

  /// The saturated and limited sum of the two parts of a gate's argument.
  @inline(__always)
  func argument(_ products: UnsafePointer<Int16>, _ row: Int) -> Int32 {
    limited(Int32(products[row]) &+ Int32(recurrentProducts[row]))
  }

  /// `value` within the gate limit.
  @inline(__always)
  func limited(_ value: Int32) -> Int32 { QKernels.limited(value, layer.gateLimit) }
}

/// `value` within ±`limit`; 32767 stands for no limit but the type's.
@inline(__always)
func limited(_ value: Int32, _ limit: Int32) -> Int32 {
  // -32768 belongs to what has no limit: saturation, not clip.
  clamped(value, limit == 32767 ? -32768 : 0 &- limit, limit)
}

/// The activation of a gate or state; raw values are frozen.
public enum RecurrentActivation: Int32, Sendable {
  /// Q3.12 -> Q0.15.
  case logistic = 0
  /// Q3.12 -> Q0.15.
  case tanh = 1
  /// Any scale, kept.
  case relu = 2

  /// The activation of a Q3.12 value.
  @inline(__always)
  func callAsFunction(_ x: Int32) -> Int32 {
    switch self {
    case .logistic: interpolatedLogistic(x &* 3)
    case .tanh: interpolatedTanh(x &* 3)
    case .relu: max(x, 0)
    }
  }
}
