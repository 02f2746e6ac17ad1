import QKernels

/// When the memory of a tensor holds its value: before and after, other tensors may use it.
public enum TensorAvailability: Sendable, Hashable {
  /// A constant of the file: always.
  case always
  /// From the moment at which the caller writes the model's inputs.
  case input
  /// Right after a step.
  case step(Int)
  /// A state tensor that no step names as its output: after the last step.
  case state
  /// Nothing computes it.
  case never
}

extension VerifiedModel {
  /// The availability of every tensor, by index.
  ///
  /// A tensor that is a view of another one (a reshape that needs no work) has that tensor's availability: views follow
  /// their tensor in the file.
  public var availability: [TensorAvailability] {
    var result = [TensorAvailability?](repeating: nil, count: tensors.count)
    for input in inputs { result[input.index] = .input }
    for (index, step) in steps.enumerated() { for output in step.outputs { result[output] = .step(index) } }
    var root: Int?
    for index in tensors.indices {
      let record = plan.model.tensor(index).pointee
      if result[index] != nil {
        root = index
      } else if record.storage == TensorStorage.constant.rawValue {
        result[index] = .always
      } else if let root, isSameMemory(index, root) {
        result[index] = result[root]
      } else if record.storage == TensorStorage.state.rawValue {
        result[index] = .state
        root = index
      }
    }
    return result.map { $0 ?? .never }
  }

  private func isSameMemory(_ a: Int, _ b: Int) -> Bool {
    let a = plan.model.tensor(a).pointee, b = plan.model.tensor(b).pointee
    return a.storage == b.storage && a.offset == b.offset && a.byteCount == b.byteCount
  }
}
