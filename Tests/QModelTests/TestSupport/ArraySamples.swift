@testable import QModel

/// Samples in memory: for each sample one array per model input.
struct ArraySamples: SampleSource {
  var samples: [[[Float]]]

  init(_ samples: [[[Float]]]) { self.samples = samples }

  /// Samples of one input.
  init(single samples: [[Float]]) { self.samples = samples.map { [$0] } }

  /// Random samples for a graph's inputs.
  init(for graph: Graph, count: Int, seed: UInt64, in range: ClosedRange<Float> = -2...2) {
    var random = TensorGenerator(seed: seed)
    samples = (0..<count).map { _ in
      graph.inputs.map { random.tensor(graph.tensors[$0].shape, in: range).values }
    }
  }

  var sampleCount: Int { samples.count }

  func sample(_ index: Int) throws(ModelError) -> [[Float]] { samples[index] }

  /// The same samples in another order.
  func shuffled(seed: UInt64) -> ArraySamples {
    var random = TensorGenerator(seed: seed)
    return ArraySamples(samples.shuffled(using: &random))
  }
}

extension TensorGenerator {
  /// A value with mean 0 and variance 1: the sum of twelve even ones.
  mutating func normal() -> Float {
    (0..<12).reduce(-6) { sum, _ in sum + Float.random(in: 0...1, using: &self) }
  }
}
