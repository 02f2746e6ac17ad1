/// Plain recurrent layer, one or two directions.
///
/// Shapes:       input x [T,N,I] int8|int16 · hidden state h [D,N,H] int8|int16 · output [T,D,N,H] of its type, optional
/// Quantization: weights int8 per row
/// Computes:     h' = clamp(hiddenZeroPoint + requantize(act(z), output)), z from RecurrentLayer; with relu z has the unit
///               2^-12 times a power of two of the plan's choice, which the multipliers carry
/// Rounding:     double rounding.  Overflow: |act(z)| <= 2^15, times a factor of at most 2^15.
/// Scratch:      ``RecurrentLayer/scratchByteCount(gateCount:)`` with 1 gate.  State is updated in place.
/// Source:       ONNX RNN; integer form of this project.
public struct RNNParams: BitwiseCopyable, Sendable {
  /// Sizes, direction and the two products.
  public var layer: RecurrentLayer
  /// Raw ``RecurrentActivation``.
  public var activation: Int32
  /// From the activation's unit (2^-15 for tanh and logistic) to the hidden scale.
  public var outputMultiplier: Int32
  /// The shift that belongs to it.
  public var outputShift: Int32
  /// The zero point of the hidden state.
  public var hiddenZeroPoint: Int32

  /// All fields at once.
  public init(
    layer: RecurrentLayer, activation: Int32, outputMultiplier: Int32, outputShift: Int32, hiddenZeroPoint: Int32
  ) {
    self.layer = layer
    self.activation = activation
    self.outputMultiplier = outputMultiplier
    self.outputShift = outputShift
    self.hiddenZeroPoint = hiddenZeroPoint
  }
}

enum RNN: Kernel {
  typealias Params = RNNParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try params.layer.validate(view, gateCount: 1, recurrentGateCount: 1, states: 1)
    let hidden = view.input(1)
    try requireRecurrentTypes(view, hidden: hidden)
    guard RecurrentActivation(rawValue: params.activation) != nil, params.hiddenZeroPoint == hidden.pointee.zeroPoint
    else { throw .badParams }
    try requireMultiplier(params.outputMultiplier, shift: params.outputShift)
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let isWide = context.view.input(1).pointee.type == StoredType.int16.rawValue
    var direction = 0
    while direction < Int(params.layer.directionCount) {
      var batch = 0
      while batch < context.view.input(0).pointee.dimension(1) {
        let walk = RecurrentWalk(context, params.layer, gateCount: 1, direction: direction, batch: batch)
        if isWide {
          run(walk, params, Int16.self, -32768, 32767) { walk.computeRecurrentProducts($0, rowCount: walk.gateRows) }
        } else {
          run(walk, params, Int8.self, -128, 127) { walk.computeRecurrentProducts($0, rowCount: walk.gateRows) }
        }
        batch &+= 1
      }
      direction &+= 1
    }
  }

  @inline(__always)
  private static func run<Hidden: FixedWidthInteger>(
    _ walk: RecurrentWalk, _ params: RNNParams, _: Hidden.Type, _ lowest: Int32, _ highest: Int32,
    _ multiply: (UnsafePointer<Hidden>) -> Void
  ) {
    let h = walk.state(1, as: Hidden.self)
    let activation = RecurrentActivation(rawValue: params.activation) ?? .tanh
    let factor = FixedPointMultiplier(multiplier: params.outputMultiplier, shift: params.outputShift)
    walk.forEachStep { time, products in
      multiply(UnsafePointer(h))
      let output = walk.output(time, as: Hidden.self)
      var j = 0
      while j < walk.hidden {
        let value = factor.requantized(activation(walk.argument(products, j))) &+ params.hiddenZeroPoint
        let result = Hidden(truncatingIfNeeded: clamped(value, lowest, highest))
        h[j] = result
        if let output { output[j] = result }
        j &+= 1
      }
    }
  }
}
