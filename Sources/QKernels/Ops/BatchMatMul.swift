import QKernelsIntrinsics

/// Product of two activations.
///
/// Shapes:       a [..., M, K] (or [..., K, M]) int8 · b [..., K, N] (or [..., N, K]) int8 · output [..., M, N] int8; the
///               leading axes broadcast
/// Quantization: real = scale × (q − zeroPoint), per tensor, zero points those of the tensors
/// Computes:     acc = Σ (a − aZeroPoint) × (b − bZeroPoint)
///               output = clamp(outputZeroPoint + requantize(acc, multiplier, shift), outputMin, outputMax)
/// Rounding:     double rounding.  Overflow: K ≤ 2^15 keeps the sum of 17-bit products in 32 bits.
/// Scratch:      ``BatchMatMulParams/scratchByteCount(a:b:)``.  Aliasing: output must not overlap a or b.
/// Source:       TFLite int8 specification, BATCH_MATMUL; bit-exact with TensorFlow Lite Micro: yes.
public struct BatchMatMulParams: BitwiseCopyable, Sendable {
  /// 1: a is stored [..., K, M].
  public var transposeA: Int32
  /// 1: b is stored [..., N, K].
  public var transposeB: Int32
  /// Q0.31: 0 or >= 2^30.
  public var multiplier: Int32
  /// -31...30 (int16: -31...14), positive = left.
  public var shift: Int32
  /// Lowest output value.
  public var outputMin: Int32
  /// Highest output value.
  public var outputMax: Int32

  /// All fields at once.
  public init(
    transposeA: Bool, transposeB: Bool, multiplier: Int32, shift: Int32, outputMin: Int32, outputMax: Int32
  ) {
    self.transposeA = transposeA ? 1 : 0
    self.transposeB = transposeB ? 1 : 0
    self.multiplier = multiplier
    self.shift = shift
    self.outputMin = outputMin
    self.outputMax = outputMax
  }

  /// Bytes of scratch that an int8 step needs, for tensors of these shapes: b packed, its quantization, one row of a.
  public func scratchByteCount(a: TensorRecord, b: TensorRecord) -> Int {
    MatMulScratch(BatchMatMulSizes(params: self, a: a, b: b)).byteCount
  }

  /// Throws unless shapes, flags and factor are in their domains.
  func validate(_ view: StepView, type: StoredType) throws(Status) {
    try view.requireOperands(inputs: 2, outputs: 1)
    let a = view.input(0), b = view.input(1), output = view.output(0)
    try view.require(a, type: type)
    try view.require(b, type: type)
    try view.require(output, type: type)
    guard a.pointee.rank >= 2, b.pointee.rank >= 2, output.pointee.rank >= 2 else { throw .badTensor }
    try Broadcast.requireShapes(a, b, output, excluding: 2)
    guard transposeA == 0 || transposeA == 1, transposeB == 0 || transposeB == 1 else { throw .badParams }
    let sizes = BatchMatMulSizes(params: self, a: a.pointee, b: b.pointee)
    let rank = Int(output.pointee.rank)
    guard sizes.k == sizes.bDepth, output.pointee.dimension(rank - 2) == sizes.m,
      output.pointee.dimension(rank - 1) == sizes.n, sizes.k <= 1 << 15, sizes.n <= 1 << 24
    else { throw .badTensor }
    try requireMultiplier(multiplier, shift: shift)
    try requireClamp(
      zeroPoint: output.pointee.zeroPoint, min: outputMin, max: outputMax, lowest: type.lowest, highest: type.highest)
  }
}

/// The sizes of one matrix product.
struct BatchMatMulSizes {
  var m: Int
  var k: Int
  var n: Int
  /// The reduction as b has it; equals `k` in a verified step.
  var bDepth: Int

  init(params: BatchMatMulParams, a: TensorRecord, b: TensorRecord) {
    let aRank = Int(a.rank), bRank = Int(b.rank)
    let aRows = a.dimension(aRank &- 2), aColumns = a.dimension(aRank &- 1)
    let bRows = b.dimension(bRank &- 2), bColumns = b.dimension(bRank &- 1)
    m = params.transposeA == 1 ? aColumns : aRows
    k = params.transposeA == 1 ? aRows : aColumns
    n = params.transposeB == 1 ? bRows : bColumns
    bDepth = params.transposeB == 1 ? bColumns : bRows
  }
}

/// Where the parts of an int8 step's scratch lie.
private struct MatMulScratch {
  var weightByteCount: Int
  var lanes: Int
  var byteCount: Int

  init(_ sizes: BatchMatMulSizes) {
    lanes = roundedUp(sizes.n, toMultipleOf: 16)
    weightByteCount = lanes &* roundedUp(sizes.k, toMultipleOf: 4)
    // weights · bias · sums · multipliers · shifts · one row of a with the slack that reads in whole vectors need
    byteCount = weightByteCount &+ 4 &* 4 &* lanes &+ roundedUp(sizes.k, toMultipleOf: 64) &+ ModelFormat.readSlack
  }
}

enum BatchMatMul: Kernel {
  typealias Params = BatchMatMulParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try params.validate(view, type: .int8)
    let sizes = BatchMatMulSizes(params: params, a: view.input(0).pointee, b: view.input(1).pointee)
    // Far below the bound where the scratch's size could wrap.
    guard try checkedProduct(roundedUp(sizes.n, toMultipleOf: 16), roundedUp(sizes.k, toMultipleOf: 4) + 16) <= 1 << 29
    else { throw .badParams }
    try view.requireScratch(MatMulScratch(sizes).byteCount)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let sizes = BatchMatMulSizes(params: params, a: aRecord.pointee, b: bRecord.pointee)
    let layout = MatMulScratch(sizes)
    let weights = context.scratch.assumingMemoryBound(to: Int8.self)
    let bias = (context.scratch + layout.weightByteCount).assumingMemoryBound(to: Int32.self)
    let sums = bias + layout.lanes, multipliers = sums + layout.lanes, shifts = multipliers + layout.lanes
    let rowCopy = UnsafeMutableRawPointer(shifts + layout.lanes).assumingMemoryBound(to: Int8.self)
    var lane = 0
    while lane < layout.lanes {
      multipliers[lane] = params.multiplier
      shifts[lane] = params.shift
      lane &+= 1
    }
    let quantization = qk_channel_quantization(
      bias: bias, weightSums: sums, multiplier: multipliers, shift: shifts,
      outputZeroPoint: outputRecord.pointee.zeroPoint, outputMin: params.outputMin, outputMax: params.outputMax)
    let a = context.input(0, as: Int8.self), b = context.input(1, as: Int8.self)
    let output = context.output(0, as: Int8.self)
    let aZeroPoint = aRecord.pointee.zeroPoint, bZeroPoint = bRecord.pointee.zeroPoint
    var packed = -1
    Broadcast(aRecord, bRecord, outputRecord, excluding: 2).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      var index = 0
      while index < count {
        let bIndex = bFirst &+ index &* bStep
        if bIndex != packed {
          pack(b + bIndex &* sizes.k &* sizes.n, sizes, transposed: params.transposeB == 1, into: weights, sums: sums)
          packed = bIndex
        }
        let matrix = a + (aFirst &+ index &* aStep) &* sizes.m &* sizes.k
        let destination = output + (outputFirst &+ index) &* sizes.m &* sizes.n
        var row = 0
        while row < sizes.m {
          var source: UnsafePointer<Int8>? = matrix + row &* sizes.k
          if params.transposeA == 1 {
            var k = 0
            while k < sizes.k {
              rowCopy[k] = matrix[k &* sizes.m &+ row]
              k &+= 1
            }
            source = UnsafePointer(rowCopy)
          }
          // Σ (a − za)(b − zb) = Σ ab − za Σ b − zb Σ (a − za): the last term is the same for every column.
          var rowShare: Int32 = 0
          if bZeroPoint != 0, let source {
            let depth = Int32(truncatingIfNeeded: sizes.k)
            rowShare = bZeroPoint &* (sum(source, count: sizes.k) &- depth &* aZeroPoint)
          }
          var column = 0
          while column < layout.lanes {
            bias[column] = 0 &- aZeroPoint &* sums[column] &- rowShare
            column &+= 1
          }
          // Rows that share their biases and follow one another are one product.
          let rowCount = params.transposeA == 0 && bZeroPoint == 0 ? sizes.m : 1
          withUnsafePointer(to: &source) { rows in
            var args = qk_matmul_args(
              rows: rows, pointerStride: 0, rowCount: 1, rowGroups: Int32(truncatingIfNeeded: (sizes.k &+ 3) / 4),
              pixelStride: Int32(truncatingIfNeeded: sizes.k), pixelCount: Int32(truncatingIfNeeded: rowCount),
              flipped: 0, weights: weights, quantization: quantization, output: destination + row &* sizes.n,
              outputStride: Int32(truncatingIfNeeded: sizes.n), channelCount: Int32(truncatingIfNeeded: sizes.n))
            context.inner.matmul(&args)
          }
          row &+= rowCount
        }
        index &+= 1
      }
    }
  }

  /// Packs a matrix of b as weights [N/16][K/4][16][4] and sums its columns.
  private static func pack(
    _ b: UnsafePointer<Int8>, _ sizes: BatchMatMulSizes, transposed: Bool, into weights: UnsafeMutablePointer<Int8>,
    sums: UnsafeMutablePointer<Int32>
  ) {
    let lanes = roundedUp(sizes.n, toMultipleOf: 16), depth = roundedUp(sizes.k, toMultipleOf: 4)
    let columnStep = transposed ? sizes.k : 1, depthStep = transposed ? 1 : sizes.n
    var n = 0
    while n < lanes {
      let column = weights + (n / 16 &* depth &* 16 &+ n % 16 &* 4)
      var sum: Int32 = 0
      var k = 0
      while k < depth {
        let value = n < sizes.n && k < sizes.k ? b[n &* columnStep &+ k &* depthStep] : 0
        column[k / 4 &* 64 &+ k % 4] = value
        sum = sum &+ Int32(value)
        k &+= 1
      }
      sums[n] = sum
      n &+= 1
    }
  }
}

/// Product of two int16 activations.
///
/// Shapes, quantization: as ``BatchMatMulParams``, with int16 tensors.
/// Computes:     acc = Σ (a − aZeroPoint) × (b − bZeroPoint), 64 bits
///               output = clamp(outputZeroPoint + requantize(acc, multiplier, shift), outputMin, outputMax)
/// Rounding:     reduced multiplier, once.  Overflow: K ≤ 2^15 products of 33 bits stay below 2^48.
/// Scratch:      none.  Aliasing: output must not overlap a or b.
/// Source:       TFLite int16 specification, BATCH_MATMUL; bit-exact with TensorFlow Lite Micro: yes.
enum BatchMatMulInt16: Kernel {
  typealias Params = BatchMatMulParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try params.validate(view, type: .int16)
    guard params.shift <= 14 else { throw .badQuantization }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let aRecord = context.view.input(0), bRecord = context.view.input(1), outputRecord = context.view.output(0)
    let sizes = BatchMatMulSizes(params: params, a: aRecord.pointee, b: bRecord.pointee)
    let a = context.input(0, as: Int16.self), b = context.input(1, as: Int16.self)
    let output = context.output(0, as: Int16.self)
    let factor = FixedPointMultiplier(multiplier: params.multiplier, shift: params.shift)
    let aZeroPoint = aRecord.pointee.zeroPoint, bZeroPoint = bRecord.pointee.zeroPoint
    let zeroPoint = outputRecord.pointee.zeroPoint
    let aRowStep = params.transposeA == 1 ? 1 : sizes.k, aDepthStep = params.transposeA == 1 ? sizes.m : 1
    let bColumnStep = params.transposeB == 1 ? sizes.k : 1, bDepthStep = params.transposeB == 1 ? 1 : sizes.n
    Broadcast(aRecord, bRecord, outputRecord, excluding: 2).forEachRun {
      (aFirst: Int, bFirst: Int, outputFirst: Int, count: Int, aStep: Int, bStep: Int) in
      var index = 0
      while index < count {
        let left = a + (aFirst &+ index &* aStep) &* sizes.m &* sizes.k
        let right = b + (bFirst &+ index &* bStep) &* sizes.k &* sizes.n
        let destination = output + (outputFirst &+ index) &* sizes.m &* sizes.n
        var element = 0
        while element < sizes.m &* sizes.n {
          let x = left + element / sizes.n &* aRowStep, y = right + element % sizes.n &* bColumnStep
          var accumulator: Int64 = 0
          var k = 0
          while k < sizes.k {
            accumulator =
              accumulator
              &+ wideProduct(Int32(x[k &* aDepthStep]) &- aZeroPoint, Int32(y[k &* bDepthStep]) &- bZeroPoint)
            k &+= 1
          }
          destination[element] = Int16(
            truncatingIfNeeded: clamped(
              zeroPoint &+ factor.requantized(accumulator), params.outputMin, params.outputMax))
          element &+= 1
        }
        index &+= 1
      }
    }
  }
}
