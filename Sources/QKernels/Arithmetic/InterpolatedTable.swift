/// The number of entries of an int16 lookup table: 512 samples and one more, which closes the last interval.
public let interpolatedTableCount: Int32 = 513

/// Returns the linear interpolation of `table` at `x`: the high 9 bits choose the interval, the low 7 bits the place in it.
///
/// Source: TFLite reference, common.h, LUTLookup for int16; it keeps the slope in 16 bits, so does this.
///
/// - Parameters:
///   - x: an int16 value; -32768 is the table's first entry.
///   - table: ``interpolatedTableCount`` entries.
@inline(__always)
public func interpolatedLookup(_ x: Int32, in table: UnsafePointer<Int16>) -> Int32 {
  assert(x >= -32768 && x <= 32767)
  let index = Int(256 &+ (x &>> 7))  // 0...511, so index + 1 is inside
  let base = table[index]
  let slope = table[index &+ 1] &- base
  let delta = (Int32(slope) &* (x & 0x7F) &+ 64) &>> 7
  return Int32(Int16(truncatingIfNeeded: Int32(base) &+ delta))
}
