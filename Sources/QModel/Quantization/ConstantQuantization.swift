extension TensorQuantization {
  /// The int8 form of a constant: its own least and greatest value.
  ///
  /// - Throws: when a value is not finite.
  init(constant values: [Float]) throws(ModelError) {
    var range = ValueRange(low: 0, high: 0)
    let isFinite = values.withUnsafeBufferPointer { range.include($0) }
    guard isFinite else { throw ModelError(.malformed, "a constant contains a value that is not finite") }
    self.init(int8: range)
  }
}
