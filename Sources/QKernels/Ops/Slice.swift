/// Strided slice; also one output of a split.
///
/// Shapes:       input, output of one type and rank
/// Quantization: input and output have the same scale and zero point
/// Computes:     output index i of axis a is input index starts[a] + i·strides[a]
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite STRIDED_SLICE, SLICE, SPLIT, UNPACK; bit-exact with TensorFlow Lite Micro: yes.
public struct SliceParams: BitwiseCopyable, Sendable {
  /// First input index per axis; 0 beyond the rank.
  public var starts: InlineArray<6, Int32>
  /// Step per axis, not 0, may be negative; 1 beyond the rank.
  public var strides: InlineArray<6, Int32>

  /// All fields at once.
  public init(starts: InlineArray<6, Int32>, strides: InlineArray<6, Int32>) {
    self.starts = starts
    self.strides = strides
  }
}

enum Slice: Kernel {
  typealias Params = SliceParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self)
    let input = view.input(0), output = view.output(0)
    try view.require(output, type: view.type(of: input))
    guard input.pointee.rank == output.pointee.rank else { throw .badTensor }
    var axis = 0
    while axis < ModelFormat.maximumRank {
      let size = input.pointee.dimension(axis), start = Int(params.pointee.starts[axis])
      let stride = Int(params.pointee.strides[axis])
      guard stride != 0, start >= 0, start < size else { throw .badParams }
      let last = try checkedSum(start, try checkedProduct(output.pointee.dimension(axis) - 1, stride))
      guard last >= 0, last < size else { throw .badParams }
      axis += 1
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self)
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    // The last sliced axis is walked by lines; what lies behind it moves in whole blocks.
    var line = Int(output.rank) &- 1
    while line > 0, input.dimension(line) == output.dimension(line), params.pointee.strides[line] > 0 { line &-= 1 }
    if line < 0 { line = 0 }
    let block = input.blockByteCount(behind: line)
    let count = output.dimension(line)
    let stride = Int(params.pointee.strides[line]) &* block
    let source = UnsafeRawPointer(context.memory(of: context.view.input(0)))
    var destination = context.memory(of: context.view.output(0))
    var position = AxisCounter(axes: line)
    repeat {
      var start = 0
      var axis = 0
      while axis < line {
        let index = Int(params.pointee.starts[axis]) &+ position.index[axis] &* Int(params.pointee.strides[axis])
        start = start &* input.dimension(axis) &+ index
        axis &+= 1
      }
      start = start &* input.dimension(line) &+ Int(params.pointee.starts[line])
      let values = source + start &* block
      if stride == block {
        destination.copyMemory(from: values, byteCount: count &* block)
      } else {
        var index = 0
        while index < count {
          copyBlock(values + index &* stride, to: destination + index &* block, byteCount: block)
          index &+= 1
        }
      }
      destination += count &* block
    } while position.advance(in: output)
  }
}
