/// Padding along any axes.
///
/// Shapes:       input, output of one type and rank; output sizes = before + input sizes + after
/// Quantization: input and output have the same scale and zero point
/// Computes:     constant: `value` outside the input; reflect: mirrored without repeating the edge; symmetric: mirrored,
///               edge repeated; edge: the edge's value
/// Scratch:      none.  Aliasing: output must not overlap input.
/// Source:       TFLite PAD, PADV2, MIRROR_PAD; bit-exact with TensorFlow Lite Micro: yes.
public struct PadParams: BitwiseCopyable, Sendable {
  /// What stands outside the input; raw values are frozen.
  public enum Mode: Int32, Sendable {
    case constant = 0
    case reflect = 1
    case symmetric = 2
    case edge = 3
  }

  /// Elements before the input, per axis; 0 beyond the rank.
  public var before: InlineArray<6, Int32>
  /// Raw value of ``Mode``.
  public var mode: Int32
  /// Constant mode: the value, in the tensor's type.
  public var value: Int32

  /// All fields at once.
  public init(before: InlineArray<6, Int32>, mode: Mode, value: Int32 = 0) {
    self.before = before
    self.mode = mode.rawValue
    self.value = value
  }
}

enum Pad: Kernel {
  typealias Params = PadParams

  static func validate(_ view: StepView) throws(Status) {
    try view.requireOperands(inputs: 1, outputs: 1)
    let params = view.params(Params.self)
    let input = view.input(0), output = view.output(0)
    let type = view.type(of: input)
    try view.require(output, type: type)
    guard input.pointee.rank == output.pointee.rank, let mode = Params.Mode(rawValue: params.pointee.mode),
      params.pointee.value >= type.lowest, params.pointee.value <= type.highest
    else { throw .badParams }
    var axis = 0
    while axis < ModelFormat.maximumRank {
      let size = input.pointee.dimension(axis), before = Int(params.pointee.before[axis])
      let after = output.pointee.dimension(axis) - size
      guard before >= 0, before <= after else { throw .badParams }
      let longest = max(before, after - before)
      switch mode {
      case .constant, .edge: break
      case .reflect: guard longest < size else { throw .badParams }
      case .symmetric: guard longest <= size else { throw .badParams }
      }
      axis += 1
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self)
    let input = context.view.input(0).pointee, output = context.view.output(0).pointee
    guard let mode = Params.Mode(rawValue: params.pointee.mode) else { return }
    // The last padded axis is walked by lines; what lies behind it moves in whole blocks.
    var line = Int(output.rank) &- 1
    while line > 0, input.dimension(line) == output.dimension(line) { line &-= 1 }
    if line < 0 { line = 0 }
    let block = input.blockByteCount(behind: line)
    let size = input.dimension(line), before = Int(params.pointee.before[line])
    let after = output.dimension(line) &- size &- before
    let elementByteCount = input.elementByteCount
    let source = UnsafeRawPointer(context.memory(of: context.view.input(0)))
    var destination = context.memory(of: context.view.output(0))

    var position = AxisCounter(axes: line)
    repeat {
      var start = 0
      var isInside = true
      var axis = 0
      while axis < line {
        let index = mapped(
          position.index[axis] &- Int(params.pointee.before[axis]), size: input.dimension(axis), mode)
        isInside = isInside && index >= 0
        start = start &* input.dimension(axis) &+ index
        axis &+= 1
      }
      if !isInside {
        fill(destination, byteCount: output.dimension(line) &* block, params.pointee.value, elementByteCount)
      } else {
        let values = source + start &* size &* block
        let inside = destination + before &* block
        if mode == .constant {
          fill(destination, byteCount: before &* block, params.pointee.value, elementByteCount)
          fill(inside + size &* block, byteCount: after &* block, params.pointee.value, elementByteCount)
        } else {
          var index = 0 &- before
          while index < size &+ after {
            if index == 0 { index = size }
            if index < size &+ after {
              copyBlock(
                values + mapped(index, size: size, mode) &* block, to: inside + index &* block, byteCount: block)
            }
            index &+= 1
          }
        }
        inside.copyMemory(from: values, byteCount: size &* block)
      }
      destination += output.dimension(line) &* block
    } while position.advance(in: output)
  }

  /// The input index that stands at `index` of the padded axis, -1 for the constant.
  @inline(__always)
  private static func mapped(_ index: Int, size: Int, _ mode: PadParams.Mode) -> Int {
    if index >= 0, index < size { return index }
    switch mode {
    case .constant: return -1
    case .reflect: return index < 0 ? 0 &- index : 2 &* size &- 2 &- index
    case .symmetric: return index < 0 ? -1 &- index : 2 &* size &- 1 &- index
    case .edge: return index < 0 ? 0 : size &- 1
    }
  }

  @inline(__always)
  private static func fill(_ memory: UnsafeMutableRawPointer, byteCount: Int, _ value: Int32, _ elementByteCount: Int) {
    var offset = 0
    if elementByteCount == 1 {
      memory.initializeMemory(as: Int8.self, repeating: Int8(truncatingIfNeeded: value), count: byteCount)
      return
    }
    while offset < byteCount {
      if elementByteCount == 2 {
        memory.storeBytes(of: Int16(truncatingIfNeeded: value), toByteOffset: offset, as: Int16.self)
      } else {
        memory.storeBytes(of: value, toByteOffset: offset, as: Int32.self)
      }
      offset &+= elementByteCount
    }
  }
}
