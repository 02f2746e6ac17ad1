/// Explicit padding of the two spatial axes, in elements.
public struct Padding2D: Sendable, Equatable {
  /// Rows above, columns to the left, rows below, columns to the right.
  public var top: Int, left: Int, bottom: Int, right: Int
  /// Padding of the four sides.
  public init(top: Int = 0, left: Int = 0, bottom: Int = 0, right: Int = 0) {
    self.top = top
    self.left = left
    self.bottom = bottom
    self.right = right
  }

  /// No padding.
  public static let zero = Padding2D()
}

/// A window that slides along one spatial axis.
struct WindowAxis {
  var input: Int
  var kernel: Int
  var stride: Int
  var dilation: Int
  var before: Int
  var after: Int

  /// The input elements that a window spans.
  var extent: Int { (kernel - 1) * dilation + 1 }

  /// Checks attributes that come from foreign files.
  func validate(_ operands: OperandShapes, _ axis: String) throws(ModelError) {
    try operands.requireAttribute(kernel, atLeast: 1, "the kernel's \(axis)")
    try operands.requireAttribute(stride, atLeast: 1, "the \(axis) stride")
    try operands.requireAttribute(dilation, atLeast: 1, "the \(axis) dilation")
    try operands.requireAttribute(before, atLeast: 0, "the padding before the \(axis)")
    try operands.requireAttribute(after, atLeast: 0, "the padding after the \(axis)")
  }

  /// The number of windows; with `ceilMode` a last one may reach beyond the padding as long as it starts inside the input
  /// or the padding before it (ONNX, PyTorch).
  /// - Throws: if not one window fits.
  func outputSize(_ operands: OperandShapes, _ axis: String, ceilMode: Bool = false) throws(ModelError) -> Int {
    try validate(operands, axis)
    let room = input + before + after - extent
    try operands.require(
      room >= 0, "a window of \(extent) does not fit the \(axis) of \(input) with padding \(before) and \(after)")
    if !ceilMode { return room / stride + 1 }
    let count = (room + stride - 1) / stride + 1
    return (count - 1) * stride >= input + before ? count - 1 : count
  }

  /// The taps of window `index` that lie inside the input.
  func taps(_ index: Int) -> Range<Int> {
    let start = index &* stride &- before
    // The first tap at or after 0 and the first at or after the end; dilation steps are rounded up.
    let first = start >= 0 ? 0 : (dilation &- 1 &- start) / dilation
    let end = input > start ? min(kernel, (input &- start &+ dilation &- 1) / dilation) : 0
    return first..<max(first, end)
  }
}
