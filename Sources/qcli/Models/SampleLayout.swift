import QModel

/// How callers' arrays relate to one tensor of a model: the first axis counts samples, the rest is the tensor's shape in
/// the source model, with or without the axis of 1 that the model itself has for its batch.
struct SampleLayout: Equatable {
  /// The tensor's dimensions in the source model's order of axes.
  let fullShape: [Int]
  /// The axis of `fullShape` that arrays may leave out, of size 1; nil when the model has none.
  let batchAxis: Int?

  /// - Parameter batchAxis: the axis that the source model marks as its batch. Without such a mark a first axis of 1
  ///   counts as one if `allowsUnmarked`.
  init(shape: [Int], batchAxis: Int?, allowsUnmarked: Bool = true) {
    fullShape = shape
    if let batchAxis, shape.indices.contains(batchAxis), shape[batchAxis] == 1 {
      self.batchAxis = batchAxis
    } else {
      self.batchAxis = allowsUnmarked && shape.first == 1 ? 0 : nil
    }
  }

  init(_ info: TensorInfo, allowsUnmarked: Bool = true) {
    self.init(shape: info.sourceShape, batchAxis: info.sourceBatchAxis, allowsUnmarked: allowsUnmarked)
  }

  init(_ tensor: GraphTensor) {
    let layout = tensor.sourceLayout ?? Array(tensor.shape.indices)
    self.init(
      shape: layout.map { tensor.shape[$0] }, batchAxis: tensor.batchAxis.flatMap { layout.firstIndex(of: $0) })
  }

  /// The dimensions of one sample in arrays that this program writes.
  var sampleShape: [Int] {
    var shape = fullShape
    if let batchAxis { shape.remove(at: batchAxis) }
    return shape
  }

  /// The number of samples in an array, or nil if its shape does not fit.
  func sampleCount(of shape: [Int]) -> Int? {
    guard let count = shape.first else { return nil }
    let rest = Array(shape.dropFirst())
    return rest == fullShape || rest == sampleShape ? count : nil
  }

  /// The shapes that fit, for messages: `(N, 28, 28) or (N, 1, 28, 28)`.
  var expectation: String {
    func text(_ shape: [Int]) -> String { "(N, " + shape.map { "\($0)" }.joined(separator: ", ") + ")" }
    if fullShape.isEmpty { return "(N,)" }
    if sampleShape.isEmpty { return "(N,) or (N, 1)" }
    return batchAxis == nil ? text(fullShape) : "\(text(sampleShape)) or \(text(fullShape))"
  }
}

/// The layouts of a model's outputs: an unmarked first axis of 1 is a batch axis if the model's inputs have one.
func outputLayouts(of tensors: [TensorInfo], inputs: [TensorInfo]) -> [SampleLayout] {
  let isBatched = inputs.contains { SampleLayout($0).batchAxis != nil }
  return tensors.map { SampleLayout($0, allowsUnmarked: isBatched) }
}
