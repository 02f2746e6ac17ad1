/// Resizing to the nearest input pixel.
///
/// Shapes:       input [N,H,W,C] of any type · output [N,OH,OW,C] of the same type
/// Quantization: input and output have the same scale and zero point
/// Computes:     output(y, x) = input(rows[y], columns[x])
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite RESIZE_NEAREST_NEIGHBOR, whose coordinates are float32: the plan compiler computes the two lists.
public struct ResizeNearestParams: BitwiseCopyable, Sendable {
  /// Constants offset of OH Int32, 64-byte aligned: input rows.
  public var rows: UInt32
  /// Constants offset of OW Int32, 64-byte aligned: input columns.
  public var columns: UInt32

  /// All fields at once.
  public init(rows: UInt32, columns: UInt32) {
    self.rows = rows
    self.columns = columns
  }
}

enum ResizeNearest: Kernel {
  typealias Params = ResizeNearestParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try view.requireResize()
    try view.require(view.output(0), type: view.type(of: view.input(0)))
    let input = view.input(0).pointee, output = view.output(0).pointee
    try validate(view, params.rows, count: output.dimension(1), size: input.dimension(1))
    try validate(view, params.columns, count: output.dimension(2), size: input.dimension(2))
  }

  private static func validate(_ view: StepView, _ list: UInt32, count: Int, size: Int) throws(Status) {
    try view.requireConstant(list, byteCount: try checkedProduct(count, 4), alignment: 64)
    let indices = view.model.constant(list).assumingMemoryBound(to: Int32.self)
    var index = 0
    while index < count {
      guard indices[index] >= 0, Int(indices[index]) < size else { throw .badParams }
      index += 1
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    let rows = context.constant(params.rows, as: Int32.self), columns = context.constant(params.columns, as: Int32.self)
    let block = input.blockByteCount(behind: 2)
    let rowBytes = input.dimension(2) &* block
    var image = UnsafeRawPointer(context.memory(of: context.view.input(0)))
    var destination = context.memory(of: context.view.output(0))
    var remaining = input.dimension(0)
    while remaining > 0 {
      var y = 0
      while y < output.dimension(1) {
        let row = image + Int(rows[y]) &* rowBytes
        var x = 0
        while x < output.dimension(2) {
          copyBlock(row + Int(columns[x]) &* block, to: destination, byteCount: block)
          destination += block
          x &+= 1
        }
        y &+= 1
      }
      image += input.dimension(1) &* rowBytes
      remaining &-= 1
    }
  }
}

/// Between which input rows or columns an output coordinate lies.
public struct ResizeSample: BitwiseCopyable, Sendable, Equatable {
  /// The one before.
  public var lower: Int32
  /// The one behind.
  public var upper: Int32
  /// The share of `upper` in 1/1024; outside 0...1024 only where the coordinate lies beyond the edge.
  public var fraction: Int32

  /// All fields at once.
  public init(lower: Int32, upper: Int32, fraction: Int32) {
    self.lower = lower
    self.upper = upper
    self.fraction = fraction
  }
}

/// Bilinear resizing.
///
/// Shapes:       input [N,H,W,C] int8 · output [N,OH,OW,C] int8
/// Quantization: input and output have the same scale and zero point
/// Computes:     the sum of four pixels, weighted by (1024 − fy)(1024 − fx), fy(1024 − fx), ..., divided by 2^20
/// Rounding:     half away from zero.  Overflow: fractions in -1024...2048 keep the sum below 2^31.
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite reference, ResizeBilinearInteger; bit-exact with TensorFlow Lite Micro: yes.
public struct ResizeBilinearParams: BitwiseCopyable, Sendable {
  /// Constants offset of OH ``ResizeSample``, 64-byte aligned.
  public var rows: UInt32
  /// Constants offset of OW ``ResizeSample``, 64-byte aligned.
  public var columns: UInt32

  /// All fields at once.
  public init(rows: UInt32, columns: UInt32) {
    self.rows = rows
    self.columns = columns
  }
}

enum ResizeBilinear: Kernel {
  typealias Params = ResizeBilinearParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try view.requireResize()
    try view.require(view.input(0), type: .int8)
    try view.require(view.output(0), type: .int8)
    let input = view.input(0).pointee, output = view.output(0).pointee
    try validate(view, params.rows, count: output.dimension(1), size: input.dimension(1))
    try validate(view, params.columns, count: output.dimension(2), size: input.dimension(2))
  }

  private static func validate(_ view: StepView, _ list: UInt32, count: Int, size: Int) throws(Status) {
    try view.requireConstant(list, byteCount: try checkedProduct(count, MemoryLayout<ResizeSample>.size), alignment: 64)
    let samples = view.model.constant(list).assumingMemoryBound(to: ResizeSample.self)
    var index = 0
    while index < count {
      let sample = samples[index]
      guard sample.lower >= 0, Int(sample.lower) < size, sample.upper >= 0, Int(sample.upper) < size,
        sample.fraction >= -1024, sample.fraction <= 2048
      else { throw .badParams }
      index += 1
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    let rows = context.constant(params.rows, as: ResizeSample.self)
    let columns = context.constant(params.columns, as: ResizeSample.self)
    let channels = input.dimension(3), width = input.dimension(2)
    var image = context.input(0, as: Int8.self)
    var destination = context.output(0, as: Int8.self)
    var remaining = input.dimension(0)
    while remaining > 0 {
      var y = 0
      while y < output.dimension(1) {
        let upper = image + Int(rows[y].lower) &* width &* channels
        let lower = image + Int(rows[y].upper) &* width &* channels
        let fy = rows[y].fraction
        var x = 0
        while x < output.dimension(2) {
          let left = Int(columns[x].lower) &* channels, right = Int(columns[x].upper) &* channels
          let fx = columns[x].fraction
          var channel = 0
          while channel < channels {
            let top = Int32(upper[left &+ channel]) &* (1024 &- fx) &+ Int32(upper[right &+ channel]) &* fx
            let bottom = Int32(lower[left &+ channel]) &* (1024 &- fx) &+ Int32(lower[right &+ channel]) &* fx
            let sum = top &* (1024 &- fy) &+ bottom &* fy
            destination[channel] = Int8(truncatingIfNeeded: roundingDivide(sum, byPowerOfTwo: 20))
            channel &+= 1
          }
          destination += channels
          x &+= 1
        }
        y &+= 1
      }
      image += input.dimension(1) &* width &* channels
      remaining &-= 1
    }
  }
}

extension StepView {
  /// Throws unless the step resizes the two middle axes of one tensor of rank 4.
  fileprivate func requireResize() throws(Status) {
    try requireOperands(inputs: 1, outputs: 1)
    try requireRank4(input(0))
    try requireRank4(output(0))
    guard input(0).pointee.dimension(0) == output(0).pointee.dimension(0),
      input(0).pointee.dimension(3) == output(0).pointee.dimension(3)
    else { throw .badTensor }
  }
}
