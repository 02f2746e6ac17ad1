/// The part of a recurrent node's weights that is fitted at once: rows of one product of one direction.
struct RecurrentPart {
  /// Whether the product is the one with the hidden state.
  let isState: Bool
  let direction: Int
  /// Rows in the direction's block.
  let rows: Range<Int>
  /// Whether the layer's input is what the weights multiply.
  let isObserved: Bool
}

extension LinearLayer {
  /// The matrix products of a recurrent node, none for other nodes.
  ///
  /// - Parameter previous: for each direction the tensor that stands for the hidden states before each step.
  /// - Throws: ``ModelError`` without the node's name when weights or biases are not constant.
  static func recurrentLayers(
    _ node: Node, index: Int, in graph: Graph, previous: [TensorID]?
  ) throws(ModelError) -> [LinearLayer] {
    guard case .recurrent(let op) = node.op, let input = node.inputs[0] else { return [] }
    for (operand, id) in node.inputs.enumerated() where (1...4).contains(operand) || operand == 7 {
      guard let id else { continue }
      guard graph.tensors[id].isConstant else {
        throw ModelError(.unsupported, "its weights, biases and peepholes must be constant")
      }
      guard graph.tensors[id].floatValues()?.values.allSatisfy(\.isFinite) ?? false else {
        throw ModelError(.malformed, "the weights or biases contain a value that is not finite")
      }
    }
    guard !graph.tensors[input].isConstant else { throw ModelError(.unsupported, "its input must not be constant") }
    let rows = op.gateCount * op.hiddenSize
    var result: [LinearLayer] = []
    for direction in 0..<op.directionCount {
      result.append(
        LinearLayer(
          node, index, graph, input,
          RecurrentPart(isState: false, direction: direction, rows: 0..<rows, isObserved: true)))
    }
    for direction in 0..<op.directionCount {
      let state = previous?[direction] ?? node.outputs[0]
      func append(_ rows: Range<Int>, isObserved: Bool) {
        let part = RecurrentPart(isState: true, direction: direction, rows: rows, isObserved: isObserved)
        result.append(LinearLayer(node, index, graph, state, part))
      }
      if op.cell == .gru(linearBeforeReset: false) {
        // The candidate's rows multiply r∘h, which is no tensor.
        append(0..<2 * op.hiddenSize, isObserved: true)
        append(2 * op.hiddenSize..<rows, isObserved: false)
      } else {
        append(0..<rows, isObserved: true)
      }
    }
    return result
  }

  private init(_ node: Node, _ index: Int, _ graph: Graph, _ input: TensorID, _ part: RecurrentPart) {
    let all = graph.tensors[node.outputs[0]].shape
    let weights = node.inputs[part.isState ? 2 : 1] ?? 0
    let depth = graph.tensors[weights].shape[2]
    nodeIndex = index
    self.input = input
    self.weights = weights
    bias = nil
    output = node.outputs[0]
    kind = .dense
    weightShape = [part.rows.count, depth]
    inputShape = [all[0], all[2], depth]
    outputShape = [all[0], all[2], part.rows.count]
    recurrent = part
  }
}

/// The weights of a recurrent node while they become integers.
struct RecurrentWeights {
  /// One of the two products, all directions.
  struct Product {
    /// [D,G·H,K].
    let shape: [Int]
    var weights: [Int8]
    /// [D,G·H] each.
    var scales: [Float]
    var bias: [Int32]
    /// What the integer form computes as far as it is decided, the float values elsewhere.
    var realWeights: [Float]
    var realBias: [Float]
    /// The scale of what the weights multiply.
    let operandScale: Float

    init(_ weights: FloatTensor, bias: [Float]?, operandScale: Float) {
      shape = weights.shape
      let rows = shape[0] * shape[1]
      self.weights = [Int8](repeating: 0, count: weights.values.count)
      scales = [Float](repeating: 1, count: rows)
      self.bias = [Int32](repeating: 0, count: rows)
      realWeights = weights.values
      realBias = bias ?? [Float](repeating: 0, count: rows)
      self.operandScale = operandScale
    }
  }

  let op: RecurrentOp
  var input: Product
  var state: Product

  init(_ node: Node, _ op: RecurrentOp, _ scales: RecurrentScales, in graph: Graph) {
    func values(_ operand: Int) -> FloatTensor? { node.inputs[operand].flatMap { graph.tensors[$0].floatValues() } }
    self.op = op
    let none = FloatTensor(shape: [0, 0, 0], values: [])
    input = Product(values(1) ?? none, bias: values(3)?.values, operandScale: 1)
    state = Product(values(2) ?? none, bias: values(4)?.values, operandScale: scales.operand.scale)
  }

  /// Whether the bias of the recurrent product stays there: the reset gate multiplies it.
  func keepsStateBias(_ row: Int) -> Bool { op.cell == .gru(linearBeforeReset: true) && row >= 2 * op.hiddenSize }
}

extension WeightStage {
  /// The unit of the gates' arguments.
  private static let gateUnit: Float = 0x1p-12

  /// Rounds initial states and peepholes.
  mutating func quantizeStates(of index: Int, _ op: RecurrentOp) throws(ModelError) {
    let node = graph.nodes[index]
    var hidden = node.outputs[0], states = [5]
    if case .gru = op.cell { hidden = node.outputs[1] }
    if case .lstm = op.cell { states.append(6) }
    for operand in states {
      let state = operand == 5 ? hidden : node.outputs[2]
      guard let id = node.inputs[operand], let quantization = quantizations[state] else { continue }
      let isVariable = graph.tensors[id].isVariable
      guard isVariable || graph.tensors[id].isConstant else { continue }
      let type = graph.tensors[state].type
      var tensor = graph.tensors[id]
      if let values = tensor.floatValues()?.values {
        guard values.allSatisfy(\.isFinite) else {
          throw ModelError(.malformed, "an initial state contains a value that is not finite")
        }
        tensor.data = type == .int8 ? .int8(values.map(quantization.int8)) : .int16(values.map(quantization.int16))
      }
      tensor.type = type
      tensor.quantization = quantization
      if isVariable { graph.tensors[id] = tensor } else { graph.nodes[index].inputs[operand] = graph.add(tensor) }
    }
    if let id = node.inputs[7], let values = graph.tensors[id].floatValues() {
      let largest = values.values.reduce(0) { max($0, $1.magnitude) }
      let quantization = TensorQuantization(scale: largest == 0 ? 1 : max(largest / 32767, 0x1p-40), zeroPoint: 0)
      graph.nodes[index].inputs[7] = graph.add(
        GraphTensor(
          name: graph.tensors[id].name, shape: values.shape, type: .int16,
          data: .int16(values.values.map(quantization.int16)), quantization: quantization))
    }
  }

  /// Makes one part of a recurrent node's weights integers.
  mutating func quantizeRecurrent(
    _ layer: LinearLayer, _ moments: [InputMoments]?, _ sampleCount: Int, _ ridge: Double
  ) throws(ModelError) {
    guard let part = layer.recurrent, var node = recurrents[layer.nodeIndex], let observed = quantizations[layer.input]
    else { throw ModelError(.other, "a recurrent layer without scales") }
    let rowCount = node.input.shape[1], first = part.direction * rowCount + part.rows.lowerBound
    let operandScale = part.isState ? node.state.operandScale : observed.scale
    // The biases of both products are one, except where something comes between the products.
    let bias = part.rows.map { row -> Float in
      let position = part.direction * rowCount + row
      let isSeparate = node.keepsStateBias(row)
      if part.isState { return isSeparate ? node.state.realBias[position] : 0 }
      return node.input.realBias[position] + (isSeparate ? 0 : node.state.realBias[position])
    }
    let product = part.isState ? node.state : node.input
    let fitting = WeightFitting(
      layer: layer, weights: Array(product.realWeights[first * layer.depth..<(first + part.rows.count) * layer.depth]),
      bias: bias, inputScale: operandScale, outputScale: Self.gateUnit, observedScale: observed.scale,
      roundsToNearest: options.weightRounding == .nearest, ridge: ridge, threads: options.threads)
    let result = fitting.fitted(part.isObserved ? moments : nil, sampleCount: sampleCount)
    if part.isState {
      node.state.put(result, first, layer.depth, operandScale)
    } else {
      node.input.put(result, first, layer.depth, operandScale)
      for row in part.rows where !node.keepsStateBias(row) {
        node.state.realBias[part.direction * rowCount + row] = 0
      }
    }
    recurrents[layer.nodeIndex] = node
    for (operand, product) in [(1, node.input), (2, node.state)] {
      simulation.replace(
        operand: operand, ofNode: layer.nodeIndex, by: FloatTensor(shape: product.shape, values: product.realWeights))
      simulation.replace(
        operand: operand + 2, ofNode: layer.nodeIndex,
        by: FloatTensor(shape: Array(product.shape.prefix(2)), values: product.realBias))
    }
  }

  /// Puts the integers into the graph when all parts have them.
  mutating func storeRecurrentWeights() {
    for (index, node) in recurrents.sorted(by: { $0.key < $1.key }) {
      let inputScale = graph.nodes[index].inputs[0].flatMap { quantizations[$0]?.scale } ?? 1
      for (operand, product, scale) in [(1, node.input, inputScale), (2, node.state, node.state.operandScale)] {
        func name(_ operand: Int) -> String { graph.nodes[index].inputs[operand].map { graph.tensors[$0].name } ?? "" }
        let weights = GraphTensor(
          name: name(operand), shape: product.shape, type: .int8, data: .int8(product.weights),
          quantization: TensorQuantization(scales: product.scales, axis: 1))
        let bias = GraphTensor(
          name: name(operand + 2), shape: Array(product.shape.prefix(2)), type: .int32, data: .int32(product.bias),
          quantization: TensorQuantization(scales: product.scales.map { $0 * scale }, axis: 1))
        graph.nodes[index].inputs[operand] = graph.add(weights)
        graph.nodes[index].inputs[operand + 2] = graph.add(bias)
      }
    }
  }
}

extension RecurrentWeights.Product {
  /// Takes over the integers of rows from `first` on.
  fileprivate mutating func put(_ result: WeightFitting.Result, _ first: Int, _ depth: Int, _ operandScale: Float) {
    for row in result.scales.indices {
      let scale = result.scales[row]
      for k in 0..<depth {
        weights[(first + row) * depth + k] = result.weights[row * depth + k]
        realWeights[(first + row) * depth + k] = Float(result.weights[row * depth + k]) * scale
      }
      scales[first + row] = scale
      bias[first + row] = result.bias[row]
      realBias[first + row] = Float(Double(result.bias[row]) * Double(scale) * Double(operandScale))
    }
  }
}
