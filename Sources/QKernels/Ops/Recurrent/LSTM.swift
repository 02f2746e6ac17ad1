import QKernelsIntrinsics

/// Long short-term memory, one layer, one or two directions.
///
/// Shapes:       input x [T,N,I] int8|int16 · hidden state h [D,N,H] int8|int16 · cell state c [D,N,H] int16 (power-of-two
///               scale 2^cellExponent, zero point 0) · output [T,D,N,H] of the hidden state's type, optional
/// Quantization: weights int8 per row, gate rows in the order input, output, forget, cell
/// Computes, per step, z from RecurrentLayer:
///               i = σ(z_i + P_i∘c)      f = σ(z_f + P_f∘c)      g = act(z_c)
///               c' = sat16(sat16(requantize(f·c, forget)) + sat16(requantize(i·g, candidate))), clamped to ±cellLimit
///               o = σ(z_o + P_o∘c')     h' = clamp(hiddenZeroPoint + requantize(act(c')·o, output))
///               isCoupled: f = 1 − i, in Q0.15: 32767 − i (ONNX input_forget)
///               peepholes: each term is sat16(requantize(P·c)) in Q3.12, its sum with z saturates
/// Rounding:     double rounding.  Overflow: |f·c|, |i·g|, |P·c|, |act(c')·o| <= 2^30, and the compiler's factors do not
///               shift them beyond 31 bits (`docs/recurrent.md`).
/// Scratch:      ``RecurrentLayer/scratchByteCount(gateCount:)`` with 4 gates.  State is updated in place.
/// Source:       TFLite Micro UNIDIRECTIONAL_SEQUENCE_LSTM 8x8->16 and 16x8->16: bit-exact: yes (without peepholes,
///               coupling and gate clip, which it does not have).
public struct LSTMParams: BitwiseCopyable, Sendable {
  /// Sizes, direction and the two products.
  public var layer: RecurrentLayer
  /// 0 or 1.
  public var isCoupled: Int32
  /// Raw ``RecurrentActivation`` of g and of the cell state on its way to h: tanh or relu.
  public var candidateActivation: Int32
  /// Raw ``RecurrentActivation`` of the cell state on its way to h: tanh or relu.
  public var cellActivation: Int32
  /// Bound of the cell state, 1...32767; 32767 for none.
  public var cellLimit: Int32
  /// log2 of the cell state's scale, -15...0.
  public var cellExponent: Int32
  /// From forget gate times cell state to the cell state.
  public var forgetMultiplier: Int32
  /// The shift that belongs to it.
  public var forgetShift: Int32
  /// From input gate times candidate to the cell state.
  public var candidateMultiplier: Int32
  /// The shift that belongs to it.
  public var candidateShift: Int32
  /// From the product or state to the hidden state or output.
  public var outputMultiplier: Int32
  /// The shift that belongs to it.
  public var outputShift: Int32
  /// The zero point of the hidden state.
  public var hiddenZeroPoint: Int32
  /// Int16 [D][3][H] in the order input, output, forget, or ``ModelFormat/none``.
  public var peepholes: UInt32
  /// Int32 [D][3]: requantization of P·c to Q3.12.
  public var peepholeMultiplier: UInt32
  /// Int32 [D][3]: the shifts that belong to them.
  public var peepholeShift: UInt32

  /// All fields at once.
  public init(
    layer: RecurrentLayer, isCoupled: Int32, candidateActivation: Int32, cellActivation: Int32, cellLimit: Int32,
    cellExponent: Int32, forgetMultiplier: Int32, forgetShift: Int32, candidateMultiplier: Int32,
    candidateShift: Int32, outputMultiplier: Int32, outputShift: Int32, hiddenZeroPoint: Int32,
    peepholes: UInt32 = ModelFormat.none, peepholeMultiplier: UInt32 = ModelFormat.none,
    peepholeShift: UInt32 = ModelFormat.none
  ) {
    self.layer = layer
    self.isCoupled = isCoupled
    self.candidateActivation = candidateActivation
    self.cellActivation = cellActivation
    self.cellLimit = cellLimit
    self.cellExponent = cellExponent
    self.forgetMultiplier = forgetMultiplier
    self.forgetShift = forgetShift
    self.candidateMultiplier = candidateMultiplier
    self.candidateShift = candidateShift
    self.outputMultiplier = outputMultiplier
    self.outputShift = outputShift
    self.hiddenZeroPoint = hiddenZeroPoint
    self.peepholes = peepholes
    self.peepholeMultiplier = peepholeMultiplier
    self.peepholeShift = peepholeShift
  }
}

enum LSTM: Kernel {
  typealias Params = LSTMParams

  static func validate(_ view: StepView) throws(Status) {
    let params = view.params(Params.self).pointee
    try params.layer.validate(view, gateCount: 4, recurrentGateCount: 4, states: 2)
    let hidden = view.input(1), cell = view.input(2)
    try requireRecurrentTypes(view, hidden: hidden)
    guard cell.pointee.type == StoredType.int16.rawValue, params.isCoupled == 0 || params.isCoupled == 1,
      RecurrentActivation(rawValue: params.candidateActivation) != nil,
      RecurrentActivation(rawValue: params.cellActivation) != nil, params.cellLimit >= 1, params.cellLimit <= 32767,
      params.cellExponent >= -15, params.cellExponent <= 0,
      params.hiddenZeroPoint == hidden.pointee.zeroPoint
    else { throw .badParams }
    try requireMultiplier(params.forgetMultiplier, shift: params.forgetShift)
    try requireMultiplier(params.candidateMultiplier, shift: params.candidateShift)
    try requireMultiplier(params.outputMultiplier, shift: params.outputShift)
    if params.peepholes != ModelFormat.none {
      let directions = Int(params.layer.directionCount)
      try view.requireConstant(params.peepholes, byteCount: directions &* 6 &* Int(params.layer.hiddenSize))
      try view.requireConstant(params.peepholeMultiplier, byteCount: directions &* 12)
      try view.requireConstant(params.peepholeShift, byteCount: directions &* 12)
      let multipliers = view.model.constant(params.peepholeMultiplier).assumingMemoryBound(to: Int32.self)
      let shifts = view.model.constant(params.peepholeShift).assumingMemoryBound(to: Int32.self)
      var i = 0
      while i < directions &* 3 {
        try requireMultiplier(multipliers[i], shift: shifts[i])
        i += 1
      }
    }
  }

  static func run(_ context: StepContext) {
    let params = context.view.params(Params.self).pointee
    let isWide = context.view.input(1).pointee.type == StoredType.int16.rawValue
    var direction = 0
    while direction < Int(params.layer.directionCount) {
      var batch = 0
      while batch < context.view.input(0).pointee.dimension(1) {
        let walk = RecurrentWalk(context, params.layer, gateCount: 4, direction: direction, batch: batch)
        if isWide {
          run(walk, params, Int16.self, -32768, 32767) { walk.computeRecurrentProducts($0, rowCount: walk.gateRows) }
        } else if !runVectors(walk, params) {
          run(walk, params, Int8.self, -128, 127) { walk.computeRecurrentProducts($0, rowCount: walk.gateRows) }
        }
        batch &+= 1
      }
      direction &+= 1
    }
  }

  @inline(__always)
  private static func run<Hidden: FixedWidthInteger>(
    _ walk: RecurrentWalk, _ params: LSTMParams, _: Hidden.Type, _ lowest: Int32, _ highest: Int32,
    _ multiply: (UnsafePointer<Hidden>) -> Void
  ) {
    let hidden = walk.hidden
    let h = walk.state(1, as: Hidden.self), c = walk.state(2, as: Int16.self)
    let candidate = RecurrentActivation(rawValue: params.candidateActivation) ?? .tanh
    let activation = RecurrentActivation(rawValue: params.cellActivation) ?? .tanh
    let forgetFactor = FixedPointMultiplier(multiplier: params.forgetMultiplier, shift: params.forgetShift)
    let candidateFactor = FixedPointMultiplier(multiplier: params.candidateMultiplier, shift: params.candidateShift)
    let outputFactor = FixedPointMultiplier(multiplier: params.outputMultiplier, shift: params.outputShift)
    let peepholes = Peepholes(walk, params)
    walk.forEachStep { time, products in
      multiply(UnsafePointer(h))
      let output = walk.output(time, as: Hidden.self)
      var j = 0
      while j < hidden {
        let cell = Int32(c[j])
        let inputGate = RecurrentActivation.logistic(
          peepholes.added(to: walk.argument(products, j), gate: 0, j, cell, walk))
        let forgetGate =
          params.isCoupled == 1
          ? 32767 &- inputGate
          : RecurrentActivation.logistic(
            peepholes.added(to: walk.argument(products, 2 &* hidden &+ j), gate: 2, j, cell, walk))
        let g = candidate(walk.argument(products, 3 &* hidden &+ j))
        let kept = clamped(forgetFactor.requantized(forgetGate &* cell), -32768, 32767)
        let added = clamped(candidateFactor.requantized(inputGate &* g), -32768, 32767)
        var next = clamped(kept &+ added, -32768, 32767)
        if params.cellLimit < 32767 { next = clamped(next, 0 &- params.cellLimit, params.cellLimit) }
        c[j] = Int16(truncatingIfNeeded: next)
        let outputGate = RecurrentActivation.logistic(
          peepholes.added(to: walk.argument(products, hidden &+ j), gate: 1, j, next, walk))
        let activated = activation == .tanh ? cellTanh(next, exponent: params.cellExponent) : activation(next)
        let value = outputFactor.requantized(activated &* outputGate) &+ params.hiddenZeroPoint
        let result = Hidden(truncatingIfNeeded: clamped(value, lowest, highest))
        h[j] = result
        if let output { output[j] = result }
        j &+= 1
      }
    }
  }

  /// The same for many cells at once; returns false where the primitive does not apply or the set has none.
  private static func runVectors(_ walk: RecurrentWalk, _ params: LSTMParams) -> Bool {
    let tanh = RecurrentActivation.tanh.rawValue
    guard walk.context.inner.hasLSTMCell, params.isCoupled == 0, params.peepholes == ModelFormat.none,
      params.candidateActivation == tanh, params.cellActivation == tanh
    else { return false }
    let h = walk.state(1, as: Int8.self)
    let gateLimit = walk.layer.gateLimit
    withUnsafePointer(to: SigmoidTable.values) { table in
      var args = qk_lstm_cell_args(
        inputProducts: nil, recurrentProducts: walk.recurrentProducts, hiddenSize: walk.layer.hiddenSize,
        gateMin: gateLimit == 32767 ? -32768 : 0 &- gateLimit, gateMax: gateLimit,
        cellMin: params.cellLimit < 32767 ? 0 &- params.cellLimit : -32768, cellMax: params.cellLimit,
        cellShift: 12 &+ params.cellExponent, forgetMultiplier: params.forgetMultiplier,
        forgetShift: params.forgetShift, candidateMultiplier: params.candidateMultiplier,
        candidateShift: params.candidateShift, outputMultiplier: params.outputMultiplier,
        outputShift: params.outputShift, hiddenZeroPoint: params.hiddenZeroPoint,
        sigmoidTable: UnsafeRawPointer(table).assumingMemoryBound(to: UInt16.self),
        cell: walk.state(2, as: Int16.self), hidden: h, output: nil)
      walk.forEachStep { time, products in
        walk.computeRecurrentProducts(UnsafePointer(h), rowCount: walk.gateRows)
        args.inputProducts = UnsafePointer(products)
        args.output = walk.output(time, as: Int8.self)
        walk.context.inner.lstmCell(&args)
      }
    }
    return true
  }

  /// tanh of a cell state with scale 2^exponent, Q0.15.
  @inline(__always)
  private static func cellTanh(_ cell: Int32, exponent: Int32) -> Int32 {
    let left = 12 &+ exponent
    return left >= 0
      ? interpolatedTanh(cell &* (3 &<< left))
      : interpolatedTanh(sigmoidTableInput(cell, multiplier: 3, shift: left))
  }

  /// The peephole terms, or nothing.
  private struct Peepholes {
    let weights: UnsafePointer<Int16>?
    let multiplier: UnsafePointer<Int32>
    let shift: UnsafePointer<Int32>
    let hidden: Int

    @inline(__always)
    init(_ walk: RecurrentWalk, _ params: LSTMParams) {
      hidden = walk.hidden
      if params.peepholes == ModelFormat.none {
        weights = nil
        multiplier = walk.context.constant(0, as: Int32.self)
        shift = multiplier
      } else {
        weights = walk.context.constant(params.peepholes, as: Int16.self) + walk.direction &* 3 &* hidden
        multiplier = walk.context.constant(params.peepholeMultiplier, as: Int32.self) + walk.direction &* 3
        shift = walk.context.constant(params.peepholeShift, as: Int32.self) + walk.direction &* 3
      }
    }

    @inline(__always)
    func added(to argument: Int32, gate: Int, _ j: Int, _ cell: Int32, _ walk: RecurrentWalk) -> Int32 {
      guard let weights else { return argument }
      let product = Int32(weights[gate &* hidden &+ j]) &* cell
      let term = FixedPointMultiplier(multiplier: multiplier[gate], shift: shift[gate]).requantized(product)
      return walk.limited(clamped(argument &+ clamped(term, -32768, 32767), -32768, 32767))
    }
  }
}

/// Throws unless input, hidden state and output have types that go together: all int8, an int8 input with an int16 hidden
/// state, or all int16 (zero points 0 where int16).
func requireRecurrentTypes(_ view: StepView, hidden: UnsafePointer<TensorRecord>) throws(Status) {
  let x = view.input(0).pointee, h = hidden.pointee
  let int8 = StoredType.int8.rawValue, int16 = StoredType.int16.rawValue
  guard x.type == int8 || (x.type == int16 && x.zeroPoint == 0),
    h.type == int8 || (h.type == int16 && h.zeroPoint == 0),
    !(x.type == int16 && h.type == int8)
  else { throw .badTensor }
  if view.outputCount == 1, view.output(0).pointee.type != h.type { throw .badTensor }
}
