/// Permutation of the axes.
///
/// Shapes:       input, output of one type and rank: output axis i is input axis permutation[i]
/// Quantization: input and output have the same scale and zero point
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite TRANSPOSE; bit-exact with TensorFlow Lite Micro: yes.
public struct TransposeParams: BitwiseCopyable, Sendable {
  /// The input axis at each output axis; its own index beyond the rank.
  public var permutation: InlineArray<6, Int32>

  /// By `permutation`.
  public init(permutation: InlineArray<6, Int32>) { self.permutation = permutation }
}

enum Transpose: Kernel {
  typealias Params = TransposeParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self)
    let input = view.input(0), output = view.output(0)
    try view.require(output, type: view.type(of: input))
    guard input.pointee.rank == output.pointee.rank else { throw .badTensor }
    var seen: UInt32 = 0
    var axis = 0
    while axis < ModelFormat.maximumRank {
      let from = params.pointee.permutation[axis]
      guard from >= 0, from < ModelFormat.maximumRank else { throw .badParams }
      seen |= 1 << UInt32(from)
      guard output.pointee.dimension(axis) == input.pointee.dimension(Int(from)) else { throw .badTensor }
      axis += 1
    }
    guard seen == (1 << UInt32(ModelFormat.maximumRank)) - 1 else { throw .badParams }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self)
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    let rank = Int(output.rank)
    // Trailing axes that stay in place move as one block.
    var axes = rank
    while axes > 0, Int(params.pointee.permutation[axes &- 1]) == axes &- 1 { axes &-= 1 }
    let source = UnsafeRawPointer(context.memory(of: context.view.input(0)))
    var destination = context.memory(of: context.view.output(0))
    if axes == 0 {
      destination.copyMemory(from: source, byteCount: Int(output.byteCount))
      return
    }
    let block = output.blockByteCount(behind: axes &- 1)
    var strides: InlineArray<6, Int> = InlineArray(repeating: 0)
    var axis = 0
    while axis < axes {
      strides[axis] = input.blockByteCount(behind: Int(params.pointee.permutation[axis]))
      axis &+= 1
    }
    let count = output.dimension(axes &- 1), stride = strides[axes &- 1]
    var position = AxisCounter(axes: axes &- 1)
    repeat {
      var offset = 0
      axis = 0
      while axis < axes &- 1 {
        offset = offset &+ position.index[axis] &* strides[axis]
        axis &+= 1
      }
      copyLine(source + offset, stride: stride, to: destination, count: count, block: block)
      destination += count &* block
    } while position.advance(in: output)
  }

  /// Gathers `count` blocks that lie `stride` bytes apart.
  @inline(__always)
  private static func copyLine(
    _ source: UnsafeRawPointer, stride: Int, to destination: UnsafeMutableRawPointer, count: Int, block: Int
  ) {
    var index = 0
    if block == 1 {
      let bytes = source.assumingMemoryBound(to: UInt8.self), target = destination.assumingMemoryBound(to: UInt8.self)
      while index < count {
        target[index] = bytes[index &* stride]
        index &+= 1
      }
      return
    }
    while index < count {
      copyBlock(source + index &* stride, to: destination + index &* block, byteCount: block)
      index &+= 1
    }
  }
}
