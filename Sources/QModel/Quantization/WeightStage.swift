/// The second half of quantization: activations have their scales, now weights and constants become integers.
struct WeightStage {
  /// The graph under work: a float one at first, an integer one at the end.
  var graph: Graph
  let quantizations: [TensorID: TensorQuantization]
  let options: QuantizationOptions
  /// Which layers there are, and when their turn is.
  let schedule: WeightSchedule
  var simulation: NetworkSimulation
  /// The parts of recurrent nodes, by node index.
  var recurrents: [Int: RecurrentWeights] = [:]

  /// Takes over the scales of all activations.
  ///
  /// - Throws: all nodes that cannot be quantized.
  init(_ assignment: ScaleAssignment, options: QuantizationOptions) throws(ModelError) {
    graph = assignment.graph
    quantizations = assignment.quantizations
    self.options = options
    schedule = try WeightSchedule(assignment.graph, assignment.recurrents)
    var hiddenStates: [Int: [TensorID]] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard case .recurrent(let op) = node.op, let scales = assignment.recurrents[node.outputs[0]] else { continue }
      hiddenStates[index] = scales.previous
      recurrents[index] = RecurrentWeights(node, op, scales, in: graph)
    }
    simulation = NetworkSimulation(
      assignment.graph, quantizations: quantizations.filter { assignment.types[$0.key] == nil },
      hiddenStates: hiddenStates)
    for (tensor, quantization) in quantizations {
      graph.tensors[tensor].type = assignment.types[tensor] ?? .int8
      graph.tensors[tensor].quantization = quantization
    }
  }

  // MARK: Constants

  /// Rounds the constant operands of ops that treat them like activations.
  mutating func quantizeConstants() throws(ModelError) {
    for index in graph.nodes.indices {
      let node = graph.nodes[index]
      do throws(ModelError) {
        switch node.op {
        case .binary(let op):
          let isJoined = op.kind == .maximum || op.kind == .minimum
          for operand in node.inputs.indices {
            try quantizeConstant(operand, of: index, as: isJoined ? quantizations[node.outputs[0]] : nil)
          }
        case .concatenation:
          for operand in node.inputs.indices {
            try quantizeConstant(operand, of: index, as: quantizations[node.outputs[0]])
          }
        case .batchMatMul, .prelu:
          for operand in node.inputs.indices { try quantizeConstant(operand, of: index, as: nil) }
        case .recurrent(let op): try quantizeStates(of: index, op)
        case .batchNormalization, .svdf:
          throw ModelError(.unsupported, "\(type(of: node.op.definition).name) cannot be quantized")
        case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .averagePool2D, .maxPool2D, .mean, .unary,
          .softmax, .logSoftmax, .split, .slice, .pad, .reshape, .transpose, .resize, .requantize:
          break
        }
      } catch {
        throw error.inNode(node.name)
      }
    }
    for output in graph.outputs where graph.tensors[output].quantization == nil {
      // An output that is a constant.
      guard let values = graph.tensors[output].floatValues() else { continue }
      let quantization = try TensorQuantization(constant: values.values)
      graph.tensors[output].data = .int8(values.values.map(quantization.int8))
      graph.tensors[output].type = .int8
      graph.tensors[output].quantization = quantization
    }
  }

  /// Replaces an operand, if it is a constant, by an int8 one.
  private mutating func quantizeConstant(
    _ operand: Int, of index: Int, as given: TensorQuantization?
  ) throws(ModelError) {
    guard let id = graph.nodes[index].inputs[operand], let values = graph.tensors[id].floatValues(),
      !graph.tensors[id].isVariable
    else { return }
    let own = try TensorQuantization(constant: values.values)
    let quantization = given ?? own
    let integers = values.values.map(quantization.int8)
    graph.nodes[index].inputs[operand] = graph.add(
      GraphTensor(
        name: graph.tensors[id].name, shape: values.shape, type: .int8, data: .int8(integers),
        quantization: quantization))
    simulation.replace(
      operand: operand, ofNode: index,
      by: FloatTensor(
        shape: values.shape,
        values: integers.map { quantization.scale * Float(Int($0) - quantization.zeroPoint) }))
  }

  // MARK: Weights

  /// Makes the weights and biases of all layers integers.
  mutating func quantizeWeights(
    _ samples: CalibrationSamples?, ridge: Double, _ progress: (Int) -> Void
  ) throws(ModelError) {
    for level in schedule.levels {
      var moments: [[InputMoments]?] = level.map { _ in nil }
      var sampleCount = 0
      if let samples, options.weightRounding == .fitted {
        sampleCount = schedule.usefulSamples(samples.count)
        moments = try self.moments(of: level, samples, count: sampleCount)
        progress(samples.count)
      }
      for (index, moments) in zip(level, moments) {
        let layer = schedule.layers[index]
        if layer.recurrent != nil {
          try quantizeRecurrent(layer, moments, sampleCount, ridge)
        } else {
          try quantize(layer, moments, sampleCount, ridge)
        }
      }
    }
    storeRecurrentWeights()
  }

  /// The integer graph, when everything is quantized.
  func finished() -> Graph {
    var copy = self
    copy.dropUnusedConstants()
    return copy.graph
  }

  private mutating func quantize(
    _ layer: LinearLayer, _ moments: [InputMoments]?, _ sampleCount: Int, _ ridge: Double
  ) throws(ModelError) {
    let node = graph.nodes[layer.nodeIndex]
    guard let input = quantizations[layer.input], let output = quantizations[layer.output],
      let weights = graph.tensors[layer.weights].floatValues()
    else { throw ModelError(.other, "a layer without scales").inNode(node.name) }
    let bias =
      layer.bias.flatMap { graph.tensors[$0].floatValues()?.values }
      ?? [Float](repeating: 0, count: layer.channelCount)
    guard weights.values.allSatisfy(\.isFinite), bias.allSatisfy(\.isFinite) else {
      throw ModelError(.malformed, "the weights or biases contain a value that is not finite").inNode(node.name)
    }
    let fitting = WeightFitting(
      layer: layer, weights: weights.values, bias: bias, inputScale: input.scale, outputScale: output.scale,
      roundsToNearest: options.weightRounding == .nearest, ridge: ridge, threads: options.threads)
    store(fitting.fitted(moments, sampleCount: sampleCount), layer, weights.shape, input)
  }

  private mutating func store(
    _ result: WeightFitting.Result, _ layer: LinearLayer, _ shape: [Int], _ input: TensorQuantization
  ) {
    let weights = GraphTensor(
      name: graph.tensors[layer.weights].name, shape: shape, type: .int8, data: .int8(result.weights),
      quantization: TensorQuantization(scales: result.scales, axis: layer.channelAxis))
    let bias = GraphTensor(
      name: layer.bias.map { graph.tensors[$0].name } ?? "", shape: [layer.channelCount], type: .int32,
      data: .int32(result.bias),
      quantization: TensorQuantization(scales: result.scales.map { $0 * input.scale }, axis: 0))
    if let values = weights.floatValues() { simulation.replace(operand: 1, ofNode: layer.nodeIndex, by: values) }
    let units = result.scales.map { Double($0) * Double(input.scale) }
    simulation.replace(
      operand: 2, ofNode: layer.nodeIndex,
      by: FloatTensor(
        shape: [layer.channelCount], values: zip(result.bias, units).map { Float(Double($0) * $1) }))
    let inputs = [layer.input, graph.add(weights), graph.add(bias)]
    graph.nodes[layer.nodeIndex].inputs = inputs
  }

  /// Float constants that no node uses any more lose their values.
  private mutating func dropUnusedConstants() {
    var isUsed = [Bool](repeating: false, count: graph.tensors.count)
    for node in graph.nodes { for case .some(let input) in node.inputs { isUsed[input] = true } }
    for output in graph.outputs { isUsed[output] = true }
    for index in graph.tensors.indices where !isUsed[index] && graph.tensors[index].isConstant {
      graph.tensors[index] = GraphTensor(shape: [])
    }
  }
}

// MARK: Moments

extension WeightStage {
  /// Values that a batch of patches may hold.
  private static let batchValues = 1 << 22
  /// Patches that a layer is fitted to: so many, or so many times its depth, if the samples have them.
  private static let patchCount = 8192, patchesPerWeight = 32

  /// What the layers of a level see, one list of blocks for each.
  private func moments(
    of level: [Int], _ samples: CalibrationSamples, count: Int
  ) throws(ModelError) -> [[InputMoments]] {
    let layers = level.map { schedule.layers[$0] }
    let wanted = layers.map(\.input)
    let nodes = simulation.nodes(computing: wanted)
    var result = layers.map { layer in
      [InputMoments](repeating: InputMoments(depth: layer.depth), count: layer.blockCount)
    }
    let patchLimits = layers.map { layer in
      let patches = max(Self.patchCount, Self.patchesPerWeight * min(layer.depth, InputMoments.fullDepth))
      return min(layer.positionCount, (patches + count - 1) / count)
    }
    let sampleValues = zip(layers, patchLimits).reduce(0) { $0 + $1.0.patchCount * $1.1 * 2 }
    let batchSize = max(options.threads, min(64, Self.batchValues / max(sampleValues, 1)))
    let simulation = simulation, quantizations = quantizations, threads = options.threads
    var first = 0
    while first < count {
      var batch: [[FloatTensor]] = []
      while batch.count < batchSize, first + batch.count < count {
        batch.append(try samples.sample(first + batch.count))
      }
      let inputs = batch, start = first
      let rows = WorkerSlots([[PatchRows]](repeating: [], count: batch.count))
      parallelFor(count: batch.count, threads: threads) { (index, _) in
        let float = simulation.run(inputs[index], schedule: nodes, wanted: wanted, simulatesInt8: false)
        let rounded = simulation.run(inputs[index], schedule: nodes, wanted: wanted, simulatesInt8: true)
        rows[index].pointee = zip(layers, patchLimits).map { layer, limit in
          guard let values = float[layer.input], let approximation = rounded[layer.input],
            let scale = quantizations[layer.input]?.scale
          else { return PatchRows(blockCount: layer.blockCount, depth: layer.depth, count: 0) }
          return layer.patches(values, approximation, scale: scale, limit: limit, shift: start + index)
        }
      }
      let all = rows.values
      for (position, layer) in layers.enumerated() {
        let rows = all.map { $0[position] }
        if layer.blockCount == 1 {
          result[position][0].add(rows, block: 0, threads: options.threads)
        } else {
          let blocks = WorkerSlots(result[position])
          result[position] = []
          parallelFor(count: layer.blockCount, threads: threads) { (block, _) in
            blocks[block].pointee.add(rows, block: block, threads: 1)
          }
          result[position] = blocks.values
        }
      }
      first += batch.count
    }
    return result
  }
}

extension LinearLayer {
  /// Patches of one sample for each block, as integers: the quantized input in steps, and what the float model's has more, in
  /// quarter steps.
  ///
  /// - Parameters:
  ///   - limit: take only so many positions, evenly spread.
  ///   - shift: moves the positions taken, so that different samples contribute different ones.
  func patches(
    _ values: FloatTensor, _ approximation: FloatTensor, scale: Float, limit: Int, shift: Int
  ) -> PatchRows {
    let count = min(limit, positionCount), inverse = 1 / scale
    // Both in steps, for the whole input once.
    var steps = approximation.values, errors = values.values
    for index in steps.indices {
      let step = (steps[index] * inverse).rounded(.toNearestOrEven)
      let error = errors[index] * inverse - step
      steps[index] = step
      errors[index] = max(-255, min((error * 4).rounded(.toNearestOrEven) / 4, 255))
    }
    var result = PatchRows(blockCount: blockCount, depth: depth, count: count)
    var patch = [Float](repeating: 0, count: patchCount)
    patch.withUnsafeMutableBufferPointer { patch in
      for row in 0..<count {
        let position = count == positionCount ? row : (row * positionCount / count + shift * 7) % positionCount
        copyPatch(position, row, steps, patch, result.stride, count, &result.inputs)
        copyPatch(position, row, errors, patch, result.stride, count, &result.errors)
      }
    }
    return result
  }

  /// Copies one patch to each block's row.
  private func copyPatch(
    _ position: Int, _ row: Int, _ source: [Float], _ patch: UnsafeMutableBufferPointer<Float>, _ stride: Int,
    _ count: Int, _ target: inout [Float]
  ) {
    let blockCount = blockCount, depth = depth, channels = inputShape.last ?? 1
    source.withUnsafeBufferPointer { source in
      target.withUnsafeMutableBufferPointer { target in
        guard let source = source.baseAddress, let patch = patch.baseAddress, let target = target.baseAddress else {
          return
        }
        gatherPatch(position, from: source, to: patch)
        if blockCount == 1 {
          (target + row * stride).update(from: patch, count: depth)
          return
        }
        let taps = patchCount / channels, width = depth / taps
        for block in 0..<blockCount {
          let place = target + (block * count + row) * stride
          for tap in 0..<taps {
            for c in 0..<width { place[tap * width + c] = patch[tap * channels + block * width + c] }
          }
        }
      }
    }
  }
}
