extension RecurrentOp {
  /// Operands, the optional ones counted.
  static let operandCount = 8

  /// Whether the activation on the way to the hidden state keeps it within ±1.
  var boundsHidden: Bool {
    activations.allSatisfy { functions in
      switch cell {
      case .lstm: functions[2] == .tanh
      case .gru: functions[1] == .tanh
      case .rnn: functions[0] != .relu
      }
    }
  }

  /// The least scale of the hidden state whose factors keep all products in 32 bits: with relu on the way from the cell to
  /// the hidden state the factor is 2^-15 · cell scale / hidden scale, and the cell's scale may be 1.
  var leastHiddenScale: Float { gateCount == 4 && !boundsHidden ? 0x1p-15 : 0x1p-30 }

  /// Throws unless the integer kernels have this layer's activations, the same in both directions.
  func requireIntegerForm() throws(ModelError) {
    let functions = activations[0]
    guard activations.allSatisfy({ $0.prefix(3) == functions.prefix(3) }) else {
      throw ModelError(.unsupported, "the two directions have different activations, which has no integer form")
    }
    let isSupported: Bool
    let needed: String
    switch cell {
    case .lstm:
      isSupported = functions[0] == .logistic && functions[1...2].allSatisfy { $0 == .tanh || $0 == .relu }
      needed = "Sigmoid for the gates, Tanh or Relu for the cell"
    case .gru:
      isSupported = functions[0] == .logistic && (functions[1] == .tanh || functions[1] == .relu)
      needed = "Sigmoid and Tanh or Relu"
    case .rnn:
      isSupported = functions[0] == .tanh || functions[0] == .relu || functions[0] == .logistic
      needed = "Tanh, Relu or Sigmoid"
    }
    guard isSupported else {
      let count = gateCount == 4 ? 3 : gateCount == 3 ? 2 : 1
      throw ModelError(
        .unsupported,
        "the activations \(functions.prefix(count).map { "\($0)" }.joined(separator: ", ")) have no integer form",
        hint: "use \(needed)")
    }
  }
}
