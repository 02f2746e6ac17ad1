/// Attributes of ``OpKind/svdf(_:)``.
public struct SVDFOp: Sendable, Equatable {
  /// Filters that are summed for one output.
  public var rank: Int
  /// The clamp of the result.
  public var activation: FusedActivation
  /// Filters per output.
  public init(rank: Int, activation: FusedActivation) {
    self.rank = rank
    self.activation = activation
  }
}

extension SVDFOp: GraphOp {
  static var name: String { "SVDF" }

  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]] {
    let operands = try OperandShapes(inputs, op: Self.name, required: 3, optional: 2)
    let input = try operands.shape(0, rank: 2, "input")
    let feature = try operands.shape(1, rank: 2, "feature weights tensor")
    let time = try operands.shape(2, rank: 2, "time weights tensor")
    try operands.require(
      feature[1] == input[1] && time[0] == feature[0], "weights \(feature) and \(time) do not fit input \(input)")
    try operands.requireAttribute(rank, atLeast: 1, "the rank")
    try operands.require(feature[0] % rank == 0, "\(feature[0]) filters do not divide by rank \(rank)")
    let units = feature[0] / rank
    if let bias = operands.optional(3) {
      try operands.require(bias == [units], "the bias has shape \(bias), expected [\(units)]")
    }
    guard let state = operands.optional(4) else {
      throw ModelError(.mismatch, "\(Self.name): operand 4, the state, is missing")
    }
    try operands.require(
      state == [input[0], feature[0] * time[1]], "the state has shape \(state), expected [N, filters·memory]")
    try activation.validate(operands)
    return [try operands.result([input[0], units])]
  }

  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor] {
    let input = inputs.operand(0)
    let feature = inputs.operand(1)
    let time = inputs.operand(2)
    let bias = inputs.optionalOperand(3)?.values
    var state = inputs.operand(4)
    let batch = input.shape[0]
    let filters = feature.shape[0]
    let depth = feature.shape[1]
    let memory = time.shape[1]
    let units = filters / rank
    var output = FloatTensor(shape: [batch, units], repeating: 0)
    for sample in 0..<batch {
      for filter in 0..<filters {
        let first = (sample * filters + filter) * memory
        for slot in 1..<memory { state.values[first + slot - 1] = state.values[first + slot] }
        state.values[first + memory - 1] = input.values.withUnsafeBufferPointer { input in
          feature.values.withUnsafeBufferPointer { feature in
            guard let input = input.baseAddress, let feature = feature.baseAddress else { return 0 }
            return dotProduct(input + sample * depth, feature + filter * depth, count: depth)
          }
        }
        var sum = 0.0
        for slot in 0..<memory {
          sum += Double(state.values[first + slot]) * Double(time.values[filter * memory + slot])
        }
        output.values[sample * units + filter / rank] += Float(sum)
      }
    }
    context.setState(ofOperand: 4, to: state)
    if let observe = context.observeInternal {
      observe(InternalValue(.state), state.reshaped(to: [batch, filters, memory]))
      observe(InternalValue(.timeProduct), output)
    }
    if let bias { for index in output.values.indices { output.values[index] += bias[index % units] } }
    output.values.withUnsafeMutableBufferPointer { activation.apply(to: $0) }
    return [output]
  }
}
