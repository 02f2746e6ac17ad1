/// Attributes of the pooling ops.
public struct Pool2DOp: Sendable, Equatable {
  /// The window's size.
  public var kernelHeight = 1, kernelWidth = 1
  /// Input elements between neighbouring windows.
  public var strideHeight = 1, strideWidth = 1
  /// Input elements between neighbouring taps of a window.
  public var dilationHeight = 1, dilationWidth = 1
  /// Elements around the input that no window counts (but see `countIncludePad`).
  public var padding = Padding2D()
  /// Average only: padding elements count in the divisor (not those beyond the padding that `ceilMode` reaches).
  public var countIncludePad = false
  /// The last window may start inside the input or its left padding and reach beyond the right padding.
  public var ceilMode = false
  /// The clamp of the result.
  public var activation = FusedActivation.none
  /// A 1x1 window.
  public init() {}
}

extension Pool2DOp {
  func rows(_ input: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[1], kernel: kernelHeight, stride: strideHeight, dilation: dilationHeight, before: padding.top,
      after: padding.bottom)
  }

  func columns(_ input: [Int]) -> WindowAxis {
    WindowAxis(
      input: input[2], kernel: kernelWidth, stride: strideWidth, dilation: dilationWidth, before: padding.left,
      after: padding.right)
  }

  func outputShape(_ inputs: [[Int]?], op: String) throws(ModelError) -> [Int] {
    let operands = try OperandShapes(inputs, op: op, required: 1)
    let input = try operands.shape(0, rank: 4, "input")
    try activation.validate(operands)
    let height = try rows(input).outputSize(operands, "height", ceilMode: ceilMode)
    let width = try columns(input).outputSize(operands, "width", ceilMode: ceilMode)
    return try operands.result([input[0], height, width, input[3]])
  }

  /// Calls `window` for each window of each image: the first pixel of the image, the taps inside the input, the top left
  /// corner, and where the C results go.
  fileprivate func evaluate(
    _ input: FloatTensor, op: String,
    window: (
      _ image: UnsafePointer<Float>, _ rows: Range<Int>, _ columns: Range<Int>, _ top: Int, _ left: Int,
      _ target: UnsafeMutablePointer<Float>
    ) -> Void
  ) -> FloatTensor {
    // The shape was accepted before, so this gives it again.
    let shape = (try? outputShape([input.shape], op: op)) ?? input.shape
    let rows = rows(input.shape)
    let columns = columns(input.shape)
    let channels = input.shape[3]
    return FloatTensor(shape: shape) { output in
      input.values.withUnsafeBufferPointer { source in
        guard let source = source.baseAddress, var target = output.baseAddress else { return }
        for image in 0..<shape[0] {
          let pixels = source + image * rows.input * columns.input * channels
          for y in 0..<shape[1] {
            for x in 0..<shape[2] {
              window(
                pixels, rows.taps(y), columns.taps(x), y &* rows.stride &- rows.before,
                x &* columns.stride &- columns.before, target)
              target += channels
            }
          }
        }
      }
      activation.apply(to: output)
    }
  }
}

/// ``OpKind/averagePool2D(_:)``: the mean of the window's elements; a window without any gives 0.
struct AveragePool2DOp: Sendable, Equatable, GraphOp {
  let pool: Pool2DOp
  /// Averages with the given window.
  init(_ pool: Pool2DOp) { self.pool = pool }

  static var name: String { "AveragePool2D" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try pool.outputShape(inputs, op: Self.name)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let rows = pool.rows(input.shape)
    let columns = pool.columns(input.shape)
    let channels = input.shape[3]
    let output = pool.evaluate(input, op: Self.name) { image, tapRows, tapColumns, top, left, target in
      target.update(repeating: 0, count: channels)
      for ky in tapRows {
        for kx in tapColumns {
          let row = top &+ ky &* rows.dilation
          let pixel = image + (row &* columns.input &+ left &+ kx &* columns.dilation) &* channels
          for channel in 0..<channels { target[channel] += pixel[channel] }
        }
      }
      let count =
        pool.countIncludePad
        ? Self.tapsInPadded(rows, start: top) &* Self.tapsInPadded(columns, start: left)
        : tapRows.count &* tapColumns.count
      let divisor = Float(max(1, count))
      for channel in 0..<channels { target[channel] /= divisor }
    }
    return [output]
  }

  /// The taps of a window from `start` on that end before the padding after the input does.
  private static func tapsInPadded(_ axis: WindowAxis, start: Int) -> Int {
    let end = axis.input &+ axis.after
    return end > start ? min(axis.kernel, (end &- start &+ axis.dilation &- 1) / axis.dilation) : 0
  }
}

/// ``OpKind/maxPool2D(_:)``: the largest of the window's elements, padding not among them; a window without any gives the
/// lowest finite float.
struct MaxPool2DOp: Sendable, Equatable, GraphOp {
  let pool: Pool2DOp
  /// Takes the maximum of the given window.
  init(_ pool: Pool2DOp) { self.pool = pool }

  static var name: String { "MaxPool2D" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    [try pool.outputShape(inputs, op: Self.name)]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let rows = pool.rows(input.shape)
    let columns = pool.columns(input.shape)
    let channels = input.shape[3]
    let output = pool.evaluate(input, op: Self.name) { image, tapRows, tapColumns, top, left, target in
      target.update(repeating: -Float.greatestFiniteMagnitude, count: channels)
      for ky in tapRows {
        for kx in tapColumns {
          let row = top &+ ky &* rows.dilation
          let pixel = image + (row &* columns.input &+ left &+ kx &* columns.dilation) &* channels
          for channel in 0..<channels {
            let value = pixel[channel]
            target[channel] = target[channel] < value ? value : target[channel]
          }
        }
      }
    }
    return [output]
  }
}
