/// Attributes of ``OpKind/resize(_:)``.
public struct ResizeOp: Sendable, Equatable {
  /// How values are computed.
  public enum Mode: Sendable, Equatable { case nearest, bilinear }
  /// How an output coordinate becomes an input coordinate (ONNX's names; TFLite: asymmetric, or as its flags say).
  public enum Coordinates: Sendable, Equatable {
    case asymmetric, halfPixel, halfPixelSymmetric, pytorchHalfPixel, alignCorners, cropAndResize
  }
  /// How a nearest coordinate is rounded.
  public enum Rounding: Sendable, Equatable { case floor, ceil, roundPreferFloor, roundPreferCeil }
  /// A part of an axis, from the middle of its first element (0) to that of its last (1); backwards if it ends first.
  public struct Part: Sendable, Equatable {
    /// Where it begins and ends, both in 0...1.
    public var start: Float, end: Float
    /// From `start` to `end`.
    public init(start: Float = 0, end: Float = 1) {
      self.start = start
      self.end = end
    }
    func position(at share: Double) -> Double { Double(start) + (Double(end) - Double(start)) * share }
  }
  /// Nearest or bilinear.
  public var mode: Mode
  /// Where an output element lies in the input.
  public var coordinates: Coordinates
  /// For nearest only.
  public var rounding: Rounding
  /// The size of the result.
  public var outputHeight: Int, outputWidth: Int
  /// Input coordinate = output coordinate / scale where the source gave scales; nil: output size / input size.
  public var scaleHeight: Float?, scaleWidth: Float?
  /// What `cropAndResize` resizes; no other coordinates use it.
  public var partHeight = Part(), partWidth = Part()
  /// A resize to a known size.
  public init(mode: Mode, coordinates: Coordinates, rounding: Rounding = .floor, outputHeight: Int, outputWidth: Int) {
    self.mode = mode
    self.coordinates = coordinates
    self.rounding = rounding
    self.outputHeight = outputHeight
    self.outputWidth = outputWidth
  }
}

extension ResizeOp: GraphOp {
  static var name: String { "Resize" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 1)
    let input = try operands.shape(0, rank: 4, "input")
    try operands.requireAttribute(outputHeight, atLeast: 1, "the output's height")
    try operands.requireAttribute(outputWidth, atLeast: 1, "the output's width")
    for case .some(let scale) in [scaleHeight, scaleWidth] {
      try operands.require(scale.isFinite && scale > 0, "scale \(scale) is not positive")
    }
    for part in [partHeight, partWidth] {
      try operands.require(
        (0...1).contains(part.start) && (0...1).contains(part.end), "part \(part.start)...\(part.end) is not in 0...1")
    }
    return [try operands.result([input[0], outputHeight, outputWidth, input[3]])]
  }

  /// The two input elements along one axis between which an output element lies, and the share of the second.
  typealias Tap = (first: Int, second: Int, share: Double)

  /// The taps of the rows of an input of `height` rows.
  func rowTaps(_ height: Int) -> [Tap] {
    taps(input: height, output: outputHeight, scale: scaleHeight, part: partHeight)
  }

  /// The taps of the columns of an input of `width` columns.
  func columnTaps(_ width: Int) -> [Tap] {
    taps(input: width, output: outputWidth, scale: scaleWidth, part: partWidth)
  }

  /// Nearest gives a share of 0. Coordinates are computed in Double; without an explicit scale the sizes are multiplied
  /// before they are divided, so that coordinates that are whole numbers come out as such.
  private func taps(input: Int, output: Int, scale: Float?, part: Part) -> [Tap] {
    let last = Double(input - 1)
    // ONNX takes the exact length, even if it is not a whole number and the output ends before.
    let length = scale.map { Double(input) * Double($0) } ?? Double(output)
    return (0..<output).map { index in
      let position = Double(index)
      func scaled(_ coordinate: Double) -> Double {
        scale.map { coordinate / Double($0) } ?? coordinate * Double(input) / Double(output)
      }
      let coordinate =
        switch coordinates {
        case .asymmetric: scaled(position)
        case .halfPixel: scaled(position + 0.5) - 0.5
        case .halfPixelSymmetric:
          // What is cut off is cut off at both ends alike.
          scaled(position + 0.5) - 0.5 + Double(input) / 2 * (1 - Double(output) / length)
        case .pytorchHalfPixel: output > 1 ? scaled(position + 0.5) - 0.5 : 0
        case .alignCorners: length > 1 ? position * last / (length - 1) : 0
        case .cropAndResize:
          last * part.position(at: length > 1 ? position / (length - 1) : 0.5)
        }
      switch mode {
      case .nearest:
        let rounded =
          switch rounding {
          case .floor: coordinate.rounded(.down)
          case .ceil: coordinate.rounded(.up)
          case .roundPreferFloor: (coordinate - 0.5).rounded(.up)
          case .roundPreferCeil: (coordinate + 0.5).rounded(.down)
          }
        let element = Int(min(max(rounded, 0), last))
        return (element, element, 0)
      case .bilinear:
        let clamped = min(max(coordinate, 0), last)
        let first = Int(clamped)
        return (first, min(first + 1, input - 1), clamped - Double(first))
      }
    }
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let height = input.shape[1]
    let width = input.shape[2]
    let channels = input.shape[3]
    let rows = rowTaps(height)
    let columns = columnTaps(width)
    let output = FloatTensor(shape: [input.shape[0], outputHeight, outputWidth, channels]) { output in
      input.values.withUnsafeBufferPointer { source in
        var position = 0
        for image in 0..<input.shape[0] {
          for row in rows {
            let top = (image * height + row.first) * width
            let bottom = (image * height + row.second) * width
            for column in columns {
              let corners = [top + column.first, top + column.second, bottom + column.first, bottom + column.second]
                .map { $0 * channels }
              for channel in 0..<channels {
                if row.share == 0, column.share == 0 {
                  output[position] = source[corners[0] + channel]
                } else {
                  let value = corners.map { Double(source[$0 + channel]) }
                  let upper = value[0] + (value[1] - value[0]) * column.share
                  let lower = value[2] + (value[3] - value[2]) * column.share
                  output[position] = Float(upper + (lower - upper) * row.share)
                }
                position += 1
              }
            }
          }
        }
      }
    }
    return [output]
  }
}
