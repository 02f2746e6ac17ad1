/// Dense float32 values in C order (the last axis is contiguous).
public struct FloatTensor: Sendable, Equatable {
  /// Dimensions; [] is one value.
  public var shape: [Int]
  /// As many as the product of the dimensions.
  public var values: [Float]

  /// Values of a shape.
  /// - Precondition: `values.count` is the product of `shape`.
  public init(shape: [Int], values: [Float]) {
    precondition(values.count == shape.reduce(1, *), "the values do not fill the shape")
    self.shape = shape
    self.values = values
  }

  /// One value everywhere.
  public init(shape: [Int], repeating value: Float) {
    self.shape = shape
    self.values = [Float](repeating: value, count: shape.reduce(1, *))
  }

  /// Values written by `fill`, which must initialize every element of the buffer.
  init(shape: [Int], fill: (UnsafeMutableBufferPointer<Float>) -> Void) {
    let count = shape.reduce(1, *)
    self.shape = shape
    self.values = [Float](unsafeUninitializedCapacity: count) { buffer, initializedCount in
      fill(UnsafeMutableBufferPointer(rebasing: buffer[..<count]))
      initializedCount = count
    }
  }

  /// The same values under another shape of the same size.
  public func reshaped(to shape: [Int]) -> FloatTensor { FloatTensor(shape: shape, values: values) }
}
