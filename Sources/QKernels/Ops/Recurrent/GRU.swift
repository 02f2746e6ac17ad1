/// Gated recurrent unit, one layer, one or two directions.
///
/// Shapes:       input x [T,N,I] int8|int16 · hidden state h [D,N,H] int16 (scale 2^hiddenExponent, zero point 0) ·
///               output [T,D,N,H] int8|int16, optional. The recurrent product takes h as int16 where the output is int16,
///               else rounded to int8 with the output's scale and zero point; the state itself keeps 16 bits, so that small
///               updates are not lost.
/// Quantization: weights int8 per row, gate rows in the order update, reset, hidden
/// Computes, per step, z from RecurrentLayer:
///               u = σ(z_u)      r = σ(z_r)
///               linearBeforeReset: n = act(lim(x_n + (r·h_n) / 2^15)), h_n the recurrent part with its bias
///               otherwise:         n = act(lim(x_n + R_n (r∘h))), r∘h = h·r / 2^15 rounded to the operand's type
///               tanh: h' = sat16((u·h + ((2^15 − u)·n) / 2^e) / 2^15), e = 15 + hiddenExponent
///               relu: h' = sat16((u·h / 4 + (2^15 − u)·n) / 2^13); the candidate's argument, and n, have four times the
///               unit of h: 2^(hiddenExponent + 2), which the multipliers of its rows carry
///               every division is rounded half away from zero; output = clamp(zeroPoint + requantize(h', output)); lim
///               saturates to int16 or to ±candidateLimit
/// Overflow:     u·h and (2^15 − u)·n are at most 2^30 each and their sum is below 2^31.
/// Scratch:      ``RecurrentLayer/scratchByteCount(gateCount:)`` with 3 gates.  State is updated in place.
/// Source:       ONNX GRU; integer form of this project.
public struct GRUParams: BitwiseCopyable, Sendable {
  /// Sizes, direction and the two products.
  public var layer: RecurrentLayer
  /// 0 or 1.
  public var linearBeforeReset: Int32
  /// Raw ``RecurrentActivation``: tanh or relu.
  public var candidateActivation: Int32
  /// Bound of the candidate's argument in its own unit, 1...32767; 32767 for none.
  public var candidateLimit: Int32
  /// log2 of the state's scale, -15...0.
  public var hiddenExponent: Int32
  /// From the state's scale to the output's.
  public var outputMultiplier: Int32
  /// The shift that belongs to it.
  public var outputShift: Int32
  /// Of the output and of the recurrent operand.
  public var outputZeroPoint: Int32
  /// 1: the recurrent operand is the int16 state; 0: it is int8.
  public var hasWideOperand: Int32

  /// All fields at once.
  public init(
    layer: RecurrentLayer, linearBeforeReset: Int32, candidateActivation: Int32, candidateLimit: Int32,
    hiddenExponent: Int32, outputMultiplier: Int32, outputShift: Int32, outputZeroPoint: Int32, hasWideOperand: Int32
  ) {
    self.layer = layer
    self.linearBeforeReset = linearBeforeReset
    self.candidateActivation = candidateActivation
    self.candidateLimit = candidateLimit
    self.hiddenExponent = hiddenExponent
    self.outputMultiplier = outputMultiplier
    self.outputShift = outputShift
    self.outputZeroPoint = outputZeroPoint
    self.hasWideOperand = hasWideOperand
  }
}

enum GRU: Kernel {
  typealias Params = GRUParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try params.layer.validate(view, gateCount: 3, recurrentGateCount: 3, states: 1)
    let x = view.input(0).pointee, h = view.input(1).pointee
    guard h.type == StoredType.int16.rawValue, h.zeroPoint == 0,
      x.type == StoredType.int8.rawValue || (x.type == StoredType.int16.rawValue && x.zeroPoint == 0),
      params.linearBeforeReset == 0 || params.linearBeforeReset == 1,
      params.candidateActivation == RecurrentActivation.tanh.rawValue
        || params.candidateActivation == RecurrentActivation.relu.rawValue,
      params.candidateLimit >= 1, params.candidateLimit <= 32767,
      params.hasWideOperand == 0 || params.hasWideOperand == 1, params.hiddenExponent >= -15,
      params.hiddenExponent <= 0,
      params.outputZeroPoint >= -128, params.outputZeroPoint <= 127
    else { throw .badParams }
    try requireMultiplier(params.outputMultiplier, shift: params.outputShift)
    if view.outputCount == 1 {
      let y = view.output(0).pointee
      let expected = params.hasWideOperand == 1 ? StoredType.int16 : StoredType.int8
      guard y.type == expected.rawValue else { throw .badTensor }
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    var direction = 0
    while direction < Int(params.layer.directionCount) {
      var batch = 0
      while batch < context.view.input(0).pointee.dimension(1) {
        run(RecurrentWalk(context, params.layer, gateCount: 3, direction: direction, batch: batch), params)
        batch &+= 1
      }
      direction &+= 1
    }
  }

  private static func run(_ walk: RecurrentWalk, _ params: GRUParams) {
    let hidden = walk.hidden
    let h = walk.state(1, as: Int16.self)
    let isWide = params.hasWideOperand == 1
    let isReLU = params.candidateActivation == RecurrentActivation.relu.rawValue
    let outputFactor = FixedPointMultiplier(multiplier: params.outputMultiplier, shift: params.outputShift)

    /// The int8 form of the state, for the product and the output.
    func narrowed(_ value: Int32) -> Int8 {
      Int8(truncatingIfNeeded: clamped(outputFactor.requantized(value) &+ params.outputZeroPoint, -128, 127))
    }
    /// The recurrent product of `state`, all rows.
    func multiply(_ state: UnsafePointer<Int16>) {
      if isWide {
        walk.computeRecurrentProducts(state, rowCount: walk.gateRows)
      } else {
        var j = 0
        while j < hidden {
          walk.operand[j] = narrowed(Int32(state[j]))
          j &+= 1
        }
        walk.computeRecurrentProducts(UnsafePointer(walk.operand), rowCount: walk.gateRows)
      }
    }

    walk.forEachStep { time, products in
      multiply(UnsafePointer(h))
      var j = 0
      // The update gate waits in the place of its argument; the candidate's argument or r∘h in its own.
      while j < hidden {
        let update = RecurrentActivation.logistic(walk.argument(products, j))
        let reset = RecurrentActivation.logistic(walk.argument(products, hidden &+ j))
        products[j] = Int16(truncatingIfNeeded: update)
        if params.linearBeforeReset == 1 {
          let gated = roundingDivide(reset &* Int32(walk.recurrentProducts[2 &* hidden &+ j]), byPowerOfTwo: 15)
          let row = 2 &* hidden &+ j
          products[row] = Int16(truncatingIfNeeded: limited(Int32(products[row]) &+ gated, params.candidateLimit))
        } else {
          walk.temporary[j] = Int16(truncatingIfNeeded: roundingDivide(reset &* Int32(h[j]), byPowerOfTwo: 15))
        }
        j &+= 1
      }
      if params.linearBeforeReset == 0 {
        multiply(UnsafePointer(walk.temporary))
        j = 0
        while j < hidden {
          let row = 2 &* hidden &+ j
          let sum = Int32(products[row]) &+ Int32(walk.recurrentProducts[row])
          products[row] = Int16(truncatingIfNeeded: limited(sum, params.candidateLimit))
          j &+= 1
        }
      }
      j = 0
      while j < hidden {
        let update = Int32(products[j])
        let argument = Int32(products[2 &* hidden &+ j]), kept = update &* Int32(h[j])
        let mixed: Int32
        if isReLU {
          let fresh = (32768 &- update) &* RecurrentActivation.relu(argument)
          mixed = roundingDivide(roundingDivide(kept, byPowerOfTwo: 2) &+ fresh, byPowerOfTwo: 13)
        } else {
          let fresh = (32768 &- update) &* RecurrentActivation.tanh(argument)
          mixed = roundingDivide(
            kept &+ roundingDivide(fresh, byPowerOfTwo: 15 &+ params.hiddenExponent), byPowerOfTwo: 15)
        }
        let sum = clamped(mixed, -32768, 32767)
        h[j] = Int16(truncatingIfNeeded: sum)
        if isWide {
          if let output = walk.output(time, as: Int16.self) { output[j] = h[j] }
        } else if let output = walk.output(time, as: Int8.self) {
          output[j] = narrowed(sum)
        }
        j &+= 1
      }
    }
  }
}
