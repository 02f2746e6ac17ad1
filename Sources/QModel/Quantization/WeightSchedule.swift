/// The layers of a graph in the order in which their weights are fitted, and how much work that is.
struct WeightSchedule: Sendable {
  /// All layers with weights, in node order.
  let layers: [LinearLayer]
  /// Indices of layers whose inputs do not depend on each other's weights, level after level: each level is one pass over
  /// the samples.
  let levels: [[Int]]

  /// Multiplications that fitting one candidate may take, all samples and levels together; beyond it fewer samples are used.
  static let workLimit = 40_000_000_000
  /// Samples that are used in any case.
  static let leastSamples = 32
  /// How strongly weights are held to the original ones, one candidate each, the best guess first. Which is best differs
  /// from model to model; it is worth trying where that is cheap.
  static let ridges = [0.03, 0.01, 0.1, 0.003, 0.02, 0.06, 0.2]
  /// Multiplications that candidates may take, all together.
  static let trialWorkLimit = 30_000_000_000

  /// - Parameter recurrents: what recurrent nodes have besides, by their first output; empty if only the order counts.
  /// - Throws: all nodes with weights that cannot be quantized.
  init(_ graph: Graph, _ recurrents: [TensorID: RecurrentScales] = [:]) throws(ModelError) {
    var problems: [String] = []
    var layers: [LinearLayer] = []
    for (index, node) in graph.nodes.enumerated() {
      do throws(ModelError) {
        if let layer = try LinearLayer(node, index: index, in: graph) { layers.append(layer) }
        layers += try LinearLayer.recurrentLayers(
          node, index: index, in: graph, previous: recurrents[node.outputs[0]]?.previous)
      } catch {
        problems += error.inNode(node.name).problems
      }
    }
    if !problems.isEmpty { throw ModelError(.unsupported, problems: problems) }
    self.layers = layers
    // The number of layers on the longest way to each tensor.
    var depths = [Int](repeating: 0, count: graph.tensors.count)
    var levels: [[Int]] = []
    var next = 0
    for (index, node) in graph.nodes.enumerated() {
      var depth = node.inputs.reduce(0) { max($0, $1.map { depths[$0] } ?? 0) }
      let first = depth
      // Layers are in node order. The recurrent product of a node is fitted with the integers of its input product in place.
      while next < layers.count, layers[next].nodeIndex == index {
        let level = layers[next].recurrent?.isState == true ? first + 1 : first
        while levels.count <= level { levels.append([]) }
        levels[level].append(next)
        depth = max(depth, level + 1)
        next += 1
      }
      for output in node.outputs { depths[output] = depth }
    }
    self.levels = levels
  }

  /// Multiplications for each sample: before a level every layer of the levels before it runs in both models.
  var work: Int {
    levels.enumerated().reduce(1) { sum, level in
      sum + level.element.reduce(0) { $0 + layers[$1].multiplications } * 2 * (levels.count - 1 - level.offset)
    }
  }

  /// Samples that the work limit admits.
  func usefulSamples(_ count: Int) -> Int { min(count, max(Self.leastSamples, Self.workLimit / work)) }

  /// The candidates worth the work.
  func ridges(sampleCount: Int, hasTrial: Bool) -> ArraySlice<Double> {
    let affordable = Self.trialWorkLimit / (work * usefulSamples(sampleCount))
    return Self.ridges.prefix(hasTrial && !layers.isEmpty ? max(1, affordable) : 1)
  }
}
