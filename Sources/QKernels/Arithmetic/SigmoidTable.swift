// Logistic and hyperbolic tangent of int16 values: linear interpolation in one table of 256 samples.

/// Samples of the logistic function, `65536 / (1 + exp(-i / 24))` for `i` = 0...255.
///
/// The figures are those of TFLite (tensorflow/lite/kernels/internal/common.h, sigmoid_table_uint16, Apache-2.0): 44 of
/// them differ by one from the rounded formula, and results must equal that source.
public enum SigmoidTable {
  /// The 256 samples, Q0.16.
  public static let values: InlineArray<256, UInt16> = [
    32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513, 38180, 38841, 39498, 40149, 40794, 41432, 42064, 42688,
    43304, 43912, 44511, 45102, 45683, 46255, 46817, 47369, 47911, 48443, 48964, 49475, 49975, 50464, 50942, 51409,
    51865, 52311, 52745, 53169, 53581, 53983, 54374, 54755, 55125, 55485, 55834, 56174, 56503, 56823, 57133, 57433,
    57724, 58007, 58280, 58544, 58800, 59048, 59288, 59519, 59743, 59959, 60168, 60370, 60565, 60753, 60935, 61110,
    61279, 61441, 61599, 61750, 61896, 62036, 62172, 62302, 62428, 62549, 62666, 62778, 62886, 62990, 63090, 63186,
    63279, 63368, 63454, 63536, 63615, 63691, 63765, 63835, 63903, 63968, 64030, 64090, 64148, 64204, 64257, 64308,
    64357, 64405, 64450, 64494, 64536, 64576, 64614, 64652, 64687, 64721, 64754, 64786, 64816, 64845, 64873, 64900,
    64926, 64950, 64974, 64997, 65019, 65039, 65060, 65079, 65097, 65115, 65132, 65149, 65164, 65179, 65194, 65208,
    65221, 65234, 65246, 65258, 65269, 65280, 65291, 65301, 65310, 65319, 65328, 65337, 65345, 65352, 65360, 65367,
    65374, 65381, 65387, 65393, 65399, 65404, 65410, 65415, 65420, 65425, 65429, 65433, 65438, 65442, 65445, 65449,
    65453, 65456, 65459, 65462, 65465, 65468, 65471, 65474, 65476, 65479, 65481, 65483, 65485, 65488, 65489, 65491,
    65493, 65495, 65497, 65498, 65500, 65501, 65503, 65504, 65505, 65507, 65508, 65509, 65510, 65511, 65512, 65513,
    65514, 65515, 65516, 65517, 65517, 65518, 65519, 65520, 65520, 65521, 65522, 65522, 65523, 65523, 65524, 65524,
    65525, 65525, 65526, 65526, 65526, 65527, 65527, 65528, 65528, 65528, 65529, 65529, 65529, 65529, 65530, 65530,
    65530, 65530, 65531, 65531, 65531, 65531, 65531, 65532, 65532, 65532, 65532, 65532, 65532, 65533, 65533, 65533,
    65533, 65533, 65533, 65533, 65533, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65534, 65535,
  ]
}

/// Returns `x * multiplier / 2^-shift`, rounded half up: the table's input, in which 1/24 is 512 (logistic) or 256 (tanh).
///
/// A scale that is a power of two has `multiplier` = 3 * 2^n and `shift` = 0 (TFLite's LogisticPrepare, TanhPrepare).
///
/// - Parameters:
///   - x: an int16 value.
///   - multiplier: 0 ... 32767.
///   - shift: -31...0; the product is divided by `2^-shift`.
@inline(__always)
public func sigmoidTableInput(_ x: Int32, multiplier: Int32, shift: Int32) -> Int32 {
  assert(multiplier >= 0 && shift >= -31 && shift <= 0)
  // |x * multiplier| <= 2^30 - 2^15, half <= 2^30: the sum fits.
  let rightShift = 0 &- shift
  let half = Int32(bitPattern: (UInt32(1) &<< UInt32(bitPattern: rightShift)) &>> 1)  // 0 for shift 0
  return (x &* multiplier &+ half) &>> rightShift
}

/// Returns `1 / (1 + exp(-v / 12288))` in Q0.15, 0...32767.
///
/// Source: TFLite reference, integer_ops/logistic.h, int16.
@inline(__always)
public func interpolatedLogistic(_ v: Int32) -> Int32 {
  let magnitude = v.magnitude
  let index = magnitude &>> 9
  var result: UInt32
  if index >= 255 {
    result = 0x7FFF &<< 10
  } else {
    // index + 1 <= 255: inside the table.
    let lower = UInt32(SigmoidTable.values[unchecked: Int(index)])
    let upper = UInt32(SigmoidTable.values[unchecked: Int(index &+ 1)])
    result = (lower &<< 9) &+ (magnitude & 0x1FF) &* (upper &- lower)
  }
  result = v >= 0 ? result &+ (1 << 9) : (1 << 25) &- result &+ (1 << 9) &- 1
  return Int32(truncatingIfNeeded: result &>> 10)
}

/// Returns `tanh(v / 12288)` in Q0.15, -32768...32767.
///
/// Source: TFLite reference, integer_ops/tanh.h, int16.
@inline(__always)
public func interpolatedTanh(_ v: Int32) -> Int32 {
  let magnitude = v.magnitude
  let index = magnitude &>> 8
  var result: Int32
  if index >= 255 {
    result = 0xFFFF &<< 8
  } else {
    // index + 1 <= 255: inside the table.
    let lower = Int32(SigmoidTable.values[unchecked: Int(index)])
    let upper = Int32(SigmoidTable.values[unchecked: Int(index &+ 1)])
    result = (lower &<< 8) &+ Int32(bitPattern: magnitude & 0xFF) &* (upper &- lower)
  }
  result = v >= 0 ? result &- (1 << 23) &+ (1 << 7) : (1 << 23) &- result &+ (1 << 7) &- 1
  return result &>> 8
}
