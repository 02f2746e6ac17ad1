import QKernels
import QModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// Sums over the values of one tensor, from which its error figures follow.
struct ErrorSums {
  /// Sum of squares of the expected values.
  var signal = 0.0
  /// Sum of squares of the differences.
  var noise = 0.0
  var largest = 0.0
  var saturated = 0
  var count = 0

  /// Adds pairs of values; `range` are the real values that the integer type can hold, half a step added at both ends.
  mutating func add(expected: [Float], found: [Float], range: ClosedRange<Double>) {
    for (expected, found) in zip(expected, found) {
      let expected = Double(expected)
      let difference = expected - Double(found)
      signal += expected * expected
      noise += difference * difference
      largest = max(largest, abs(difference))
      if !range.contains(expected) { saturated += 1 }
    }
    count += found.count
  }

  mutating func add(_ other: ErrorSums) {
    signal += other.signal
    noise += other.noise
    largest = max(largest, other.largest)
    saturated += other.saturated
    count += other.count
  }

  /// The signal-to-quantization-noise ratio; infinity where nothing differs.
  var decibels: Double {
    noise == 0 ? .infinity : 10 * log10(signal / noise)
  }

  var saturatedShare: Double { count == 0 ? 0 : Double(saturated) / Double(count) }
}

/// What one named tensor of a model loses.
struct LayerReport {
  var name: String
  /// The op that computes it, or "input".
  var op: String
  /// Against the float op on the very values that the `.qkm` gave it.
  var own = ErrorSums()
  /// Against the float model from its inputs on.
  var total = ErrorSums()
}

/// The result of a comparison.
struct VerifyReport {
  var sampleCount: Int
  /// The model's outputs, in its order.
  var outputs: [LayerReport]
  /// Samples in which the largest value of an output is at the same place; nil where an output has one value.
  var agreements: [Int?]
  /// All layers that both models name, the one with the largest own error first.
  var layers: [LayerReport]
  /// Named tensors of the float model that the `.qkm` does not have.
  var unmatched: Int
  /// Samples whose largest value of the first output is at the label's place; nil without labels.
  var accuracy: Accuracy?
}

/// How many samples are classified as their labels say.
struct Accuracy: Equatable {
  var float = 0
  var integer = 0
}

/// Runs both models and compares every tensor that carries the same name in both.
///
/// One pass over the graph gives a layer's own error: each node is evaluated in float on the values of the `.qkm` where
/// it has the operand, and on such results where an operand lies inside a fused layer.
/// Sums are made per block of samples and added in order, so they do not depend on the number of threads.
func compareLayers(
  _ graph: Graph, _ model: VerifiedModel, _ samples: SampleArrays, labels: [Int]? = nil, threads: Int,
  progress: ProgressLine?
) throws -> VerifyReport {
  let comparison = try LayerComparison(graph, model)
  let blockSize = 8
  let blocks = (samples.sampleCount + blockSize - 1) / blockSize
  let workers = max(1, min(threads, blocks))
  var sessions: [Session] = []
  let set = try chosenInstructionSet()
  for _ in 0..<workers { sessions.append(try Session(model, set: set)) }
  let results = BlockResults(count: blocks)
  let line = SharedProgress(progress)
  nonisolated(unsafe) let shared = (sessions: sessions, samples: samples)
  try parallelFor(count: blocks, threads: workers) { (block, worker) throws(ModelError) in
    var sums = comparison.emptySums()
    var evaluator = comparison.evaluator
    let end = min((block + 1) * blockSize, shared.samples.sampleCount)
    for sample in block * blockSize..<end {
      try comparison.add(
        try shared.samples.sample(sample), label: labels?[sample], session: shared.sessions[worker],
        evaluator: &evaluator, to: &sums)
      if worker == 0 { line.update(sample + 1, of: shared.samples.sampleCount) }
    }
    results.set(block, sums)
  }
  line.finish()
  var report = comparison.report(results.merged(comparison.emptySums()), sampleCount: samples.sampleCount)
  if labels == nil { report.accuracy = nil }
  return report
}

/// The sums of one block of samples.
struct ComparisonSums {
  /// By index of the compared tensor.
  var own: [ErrorSums]
  var total: [ErrorSums]
  /// By index of the model's output.
  var outputs: [ErrorSums]
  var agreements: [Int]
  var accuracy = Accuracy()

  mutating func add(_ other: ComparisonSums) {
    for index in own.indices { own[index].add(other.own[index]) }
    for index in total.indices { total[index].add(other.total[index]) }
    for index in outputs.indices { outputs[index].add(other.outputs[index]) }
    for index in agreements.indices { agreements[index] += other.agreements[index] }
    accuracy.float += other.accuracy.float
    accuracy.integer += other.accuracy.integer
  }
}

/// One slot per block; each is written by one thread.
private final class BlockResults: @unchecked Sendable {
  private let slots: UnsafeMutableBufferPointer<ComparisonSums?>
  init(count: Int) {
    slots = .allocate(capacity: count)
    slots.initialize(repeating: nil)
  }
  deinit {
    slots.deinitialize()
    slots.deallocate()
  }
  func set(_ block: Int, _ sums: ComparisonSums) { slots[block] = sums }
  func merged(_ empty: ComparisonSums) -> ComparisonSums {
    slots.reduce(into: empty) { result, sums in if let sums { result.add(sums) } }
  }
}

/// What is compared: the float graph's tensors and their counterparts in the `.qkm`.
private struct LayerComparison: Sendable {
  private let graph: Graph
  private let model: VerifiedModel
  let evaluator: ReferenceEvaluator
  /// The tensors that are compared, inputs first, then in node order.
  private let compared: [(tensor: TensorID, info: TensorInfo, op: String)]
  /// Index in `compared` of a tensor.
  private let places: [TensorID: Int]
  /// Indices in `compared`, by the moment at which the `.qkm` has their values.
  private let placesByMoment: [TensorAvailability: [Int]]

  init(_ graph: Graph, _ model: VerifiedModel) throws {
    self.graph = graph
    self.model = model
    evaluator = try ReferenceEvaluator(graph)
    let availability = model.availability
    var byName: [String: TensorInfo] = [:]
    for info in model.tensors {
      guard case .step = availability[info.index], let name = info.name, !name.isEmpty else { continue }
      byName[name] = info
    }
    var compared: [(tensor: TensorID, info: TensorInfo, op: String)] = []
    var places: [TensorID: Int] = [:]
    func add(_ tensor: TensorID, _ info: TensorInfo?, _ op: String) {
      guard let info, info.shape == graph.tensors[tensor].shape, places[tensor] == nil else { return }
      places[tensor] = compared.count
      compared.append((tensor, info, op))
    }
    for (tensor, info) in zip(graph.inputs, model.inputs) { add(tensor, info, "input") }
    let outputs = Dictionary(zip(graph.outputs, model.outputs), uniquingKeysWith: { first, _ in first })
    // A tensor that only moves what an unnamed one holds carries that one's error, and so its op.
    var labels: [TensorID: String] = [:]
    for node in graph.nodes {
      var label = SourceDescription.name(of: node.op)
      if Self.onlyMoves(node.op), let input = node.inputs.first ?? nil, places[input] == nil {
        label = labels[input] ?? label
      }
      for tensor in node.outputs {
        labels[tensor] = label
        add(tensor, outputs[tensor] ?? byName[graph.tensors[tensor].name], label)
      }
    }
    self.compared = compared
    self.places = places
    placesByMoment = Dictionary(grouping: compared.indices) { availability[compared[$0].info.index] }
  }

  /// Whether every value of the op's result is a value of its operand.
  private static func onlyMoves(_ op: OpKind) -> Bool {
    switch op {
    case .reshape, .transpose, .slice, .split: true
    case .conv2D, .depthwiseConv2D, .transposeConv2D, .fullyConnected, .batchMatMul, .averagePool2D, .maxPool2D, .mean,
      .binary, .unary, .prelu, .softmax, .logSoftmax, .batchNormalization, .concatenation, .pad, .resize, .requantize,
      .recurrent, .svdf:
      false
    }
  }

  func emptySums() -> ComparisonSums {
    ComparisonSums(
      own: Array(repeating: ErrorSums(), count: compared.count),
      total: Array(repeating: ErrorSums(), count: compared.count),
      outputs: Array(repeating: ErrorSums(), count: model.outputs.count),
      agreements: Array(repeating: 0, count: model.outputs.count))
  }

  /// Runs both models on one sample and adds the differences.
  func add(
    _ inputs: [[Float]], label: Int?, session: Session, evaluator: inout ReferenceEvaluator,
    to sums: inout ComparisonSums
  ) throws(ModelError) {
    let found = integerValues(inputs, session)
    // From the inputs on, in float.
    var expected = [[Float]?](repeating: nil, count: compared.count)
    let graphInputs = zip(graph.inputs, inputs).map { tensor, values in
      FloatTensor(shape: graph.tensors[tensor].shape, values: inGraphLayout(values, graph.tensors[tensor]))
    }
    evaluator.resetState()
    let outputs = try evaluator.run(
      graphInputs, observe: { tensor, value in if let place = places[tensor] { expected[place] = value.values } })
    for place in compared.indices {
      guard let expected = expected[place], let found = found[place] else { continue }
      sums.total[place].add(expected: expected, found: found, range: range(compared[place].info))
    }
    for (index, output) in outputs.enumerated() {
      guard let place = places[graph.outputs[index]], let found = found[place] else { continue }
      sums.outputs[index].add(expected: output.values, found: found, range: range(model.outputs[index]))
      let (floatPlace, integerPlace) = (argmax(output.values), argmax(found))
      if floatPlace == integerPlace { sums.agreements[index] += 1 }
      if index == 0, let label {
        if floatPlace == label { sums.accuracy.float += 1 }
        if integerPlace == label { sums.accuracy.integer += 1 }
      }
    }
    // Each node on the values that the integer model had.
    var own = sums.own
    evaluator.resetState()
    _ = try evaluator.run(
      graphInputs,
      replace: { tensor, value in
        guard let place = places[tensor], let found = found[place] else { return nil }
        own[place].add(expected: value.values, found: found, range: range(compared[place].info))
        return FloatTensor(shape: value.shape, values: found)
      })
    sums.own = own
  }

  /// The real values of every compared tensor in a run of the integer model, in stored layout.
  private func integerValues(_ inputs: [[Float]], _ session: Session) -> [[Float]?] {
    var found = [[Float]?](repeating: nil, count: compared.count)
    func keep(_ moment: TensorAvailability) {
      for place in placesByMoment[moment] ?? [] { found[place] = storedValues(session, compared[place].info) }
    }
    session.reset()
    for (index, values) in inputs.enumerated() {
      values.withUnsafeBufferPointer { session.setInput(index, quantizing: $0) }
    }
    keep(.input)
    for index in session.steps.indices {
      session.runStep(index)
      keep(.step(index))
    }
    return found
  }

  private func storedValues(_ session: Session, _ info: TensorInfo) -> [Float] {
    session.withTensor(info.index) { bytes in
      switch info.type {
      case .int8: bytes.assumingMemoryBound(to: Int8.self).map { info.dequantized(Int($0)) }
      case .int16: bytes.assumingMemoryBound(to: Int16.self).map { info.dequantized(Int($0)) }
      case .int32: bytes.assumingMemoryBound(to: Int32.self).map { info.dequantized(Int($0)) }
      }
    }
  }

  /// Values in the source model's order of axes, reordered as the graph has them.
  private func inGraphLayout(_ values: [Float], _ tensor: GraphTensor) -> [Float] {
    guard let layout = tensor.sourceLayout else { return values }
    return reordered(values, shape: tensor.shape, sourceLayout: layout)
  }

  private func range(_ info: TensorInfo) -> ClosedRange<Double> {
    let limits = info.type.range
    let scale = Double(info.scale)
    func real(_ integer: Int, _ margin: Double) -> Double { (Double(integer - info.zeroPoint) + margin) * scale }
    return real(limits.lowerBound, -0.5)...real(limits.upperBound, 0.5)
  }

  private func argmax(_ values: [Float]) -> Int? { values.indices.max { values[$0] < values[$1] } }

  func report(_ sums: ComparisonSums, sampleCount: Int) -> VerifyReport {
    var layers = compared.indices.map { place in
      LayerReport(
        name: graph.tensors[compared[place].tensor].name, op: compared[place].op, own: sums.own[place],
        total: sums.total[place])
    }
    let names = callerNames(model.outputs.map(\.name), kind: "output")
    let outputs = model.outputs.indices.map { index in
      LayerReport(name: names[index], op: "output", total: sums.outputs[index])
    }
    // The order of equal layers is that of the model.
    layers = layers.enumerated().sorted {
      ($0.element.own.decibels, $0.offset) < ($1.element.own.decibels, $1.offset)
    }.map(\.element)
    let named = graph.nodes.flatMap(\.outputs).filter { !graph.tensors[$0].name.isEmpty }
    return VerifyReport(
      sampleCount: sampleCount, outputs: outputs,
      agreements: model.outputs.indices.map { model.outputs[$0].elementCount > 1 ? sums.agreements[$0] : nil },
      layers: layers, unmatched: named.filter { places[$0] == nil }.count, accuracy: sums.accuracy)
  }
}

/// Values in source order, put into stored order: source axis `i` is stored axis `sourceLayout[i]`.
func reordered(_ values: [Float], shape: [Int], sourceLayout: [Int]) -> [Float] {
  var strides = [Int](repeating: 1, count: shape.count)
  for axis in stride(from: shape.count - 2, through: 0, by: -1) { strides[axis] = strides[axis + 1] * shape[axis + 1] }
  var positions = [0]
  for stored in sourceLayout {
    positions = positions.flatMap { base in (0..<shape[stored]).map { base + $0 * strides[stored] } }
  }
  var result = values
  for (source, stored) in positions.enumerated() { result[stored] = values[source] }
  return result
}
