extension TensorQuantization {
  /// The narrowest usable scale: below it the ratios of scales leave the domain of the fixed-point multipliers.
  static let leastScale: Float = 0x1p-64

  /// The int8 form of an interval, asymmetric, with 0 exactly representable.
  ///
  /// The interval is extended to contain 0; its 255 steps are the scale, and the zero point is the integer nearest to where
  /// 0 lies, so either end may saturate by up to half a step. The interval [0, 0] gets scale 1.
  init(int8 range: ValueRange) {
    let low = min(range.low, 0), high = max(range.high, 0)
    if low == high {
      self.init(scale: 1, zeroPoint: 0)
      return
    }
    let step = (Double(high) - Double(low)) / 255
    let scale = max(Float(min(step, Double(Float.greatestFiniteMagnitude))), Self.leastScale)
    let zeroPoint = (-128 - Double(low) / Double(scale)).rounded(.toNearestOrAwayFromZero)
    self.init(scale: scale, zeroPoint: Int(max(-128, min(zeroPoint, 127))))
  }

  /// The int8 form of an interval, symmetric: zero point 0, the larger magnitude is 127 steps.
  init(symmetricInt8 range: ValueRange) {
    let magnitude = max(range.low.magnitude, range.high.magnitude)
    self.init(scale: magnitude == 0 ? 1 : max(magnitude / 127, Self.leastScale), zeroPoint: 0)
  }

  /// The int16 form of an interval, symmetric, with a scale of 2^-15 to 2^0: the least that holds `reserve` times it.
  init(powerOfTwoInt16 range: ValueRange, reserve: Float) {
    let magnitude = Double(max(range.low.magnitude, range.high.magnitude)) * Double(reserve)
    var scale: Float = 0x1p-15
    while scale < 1, magnitude > 32768 * Double(scale) { scale *= 2 }
    self.init(scale: scale, zeroPoint: 0)
  }

  /// The int16 form of an interval, symmetric, with a quarter of it in reserve, but not beyond `limit`.
  init(int16 range: ValueRange, limit: Float) {
    let magnitude = min(Double(max(range.low.magnitude, range.high.magnitude)) * 1.25, Double(limit))
    let scale = Float(min(magnitude / 32767, Double(Float.greatestFiniteMagnitude)))
    self.init(scale: magnitude == 0 ? 0x1p-15 : max(scale, 0x1p-40), zeroPoint: 0)
  }

  /// The integer nearest to a real value: ties away from zero, saturated to int16.
  func int16(_ value: Float) -> Int16 {
    let steps = (Double(value) / Double(scale)).rounded(.toNearestOrAwayFromZero)
    return Int16(clamping: Int(max(-0x1p20, min(steps, 0x1p20))) + zeroPoint)
  }

  /// The integer nearest to a real value: ties away from zero, saturated to int8.
  func int8(_ value: Float) -> Int8 {
    let steps = (Double(value) / Double(scale)).rounded(.toNearestOrAwayFromZero)
    return Int8(clamping: Int(max(-1024, min(steps, 1024))) + zeroPoint)
  }

  /// Replaces values by what remains of them when they are stored as int8.
  ///
  /// Ties go to the even integer here, which is the fastest and differs from the kernels' rule in nothing that matters.
  func roundTrip(_ values: UnsafeMutableBufferPointer<Float>) {
    let low = Float(-128 - zeroPoint), high = Float(127 - zeroPoint), scale = scale, inverse = 1 / scale
    // Adding and subtracting 1.5 * 2^23 rounds magnitudes below 2^22 to integers.
    let rounder: Float = 12_582_912
    for index in values.indices {
      let steps = max(low, min(values[index] * inverse, high))
      values[index] = ((steps + rounder) - rounder) * scale
    }
  }
}
