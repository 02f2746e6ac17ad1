/// Concatenation along one axis.
///
/// Shapes:       one or more inputs of one type, equal but for `axis` · output of that type: the sizes along `axis` add up
/// Quantization: all tensors have the same scale and zero point
/// Scratch:      none.  Aliasing: output must not overlap an input.
/// Source:       TFLite CONCATENATION, PACK; bit-exact with TensorFlow Lite Micro: yes.
public struct ConcatenationParams: BitwiseCopyable, Sendable {
  /// Along which axis.
  public var axis: Int32

  /// Along `axis`.
  public init(axis: Int32) { self.axis = axis }
}

enum Concatenation: Kernel {
  typealias Params = ConcatenationParams

  static func validate(_ view: StepView) throws(Status) {
    let output = view.output(0)
    guard view.inputCount >= 1, view.outputCount == 1 else { throw .badParams }
    let axis = Int(view.params(Params.self).pointee.axis)
    guard axis >= 0, axis < Int(output.pointee.rank) else { throw .badParams }
    var total = 0
    var index = 0
    while index < view.inputCount {
      let input = view.input(index)
      try view.require(input, type: view.type(of: output))
      guard input.pointee.rank == output.pointee.rank else { throw .badTensor }
      var other = 0
      while other < ModelFormat.maximumRank {
        guard other == axis || input.pointee.dimension(other) == output.pointee.dimension(other) else {
          throw .badTensor
        }
        other += 1
      }
      total = try checkedSum(total, input.pointee.dimension(axis))
      index += 1
    }
    guard total == output.pointee.dimension(axis) else { throw .badTensor }
  }

  static func run(_ context: StepContext) {
    let axis = Int(context.view.params(Params.self).pointee.axis)
    let output = context.view.output(0).pointee
    let outer = output.elementCount(from: 0, to: axis)
    let block = output.blockByteCount(behind: axis)
    let stride = output.dimension(axis) &* block
    var destination = context.memory(of: context.view.output(0))
    var index = 0
    while index < context.view.inputCount {
      let record = context.view.input(index)
      let byteCount = record.pointee.dimension(axis) &* block
      let source = UnsafeRawPointer(context.memory(of: record))
      var row = 0
      while row < outer {
        copyBlock(source + row &* byteCount, to: destination + row &* stride, byteCount: byteCount)
        row &+= 1
      }
      destination += byteCount
      index &+= 1
    }
  }
}
