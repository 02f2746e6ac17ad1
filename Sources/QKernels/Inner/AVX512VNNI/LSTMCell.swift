import QKernelsIntrinsics

// The cells of an LSTM, 16 at a time: the steps of the scalar code in LSTM.swift, with the samples of the sigmoid table
// gathered in pairs.

/// The sigmoid table interpolated at a magnitude: the bits above the lowest `bits` choose the interval.
///
/// Returns the value times 2^bits; `end` beyond the table.
@inline(__always)
private func interpolated(_ magnitude: __m512i, bits: Int32, end: Int32, _ table: UnsafePointer<UInt16>) -> __m512i {
  let index = qk512_shift_right(magnitude, bits)
  let pair = qk512_gather_pairs16(table, qk512_min(index, qk512_set1(254)))
  let lower = qk512_and(pair, qk512_set1(0xFFFF))
  let slope = qk512_sub(qk512_shift_right_logical(pair, 16), lower)
  let place = qk512_and(magnitude, qk512_set1((1 &<< bits) &- 1))
  let inside = qk512_add(qk512_shift_left(lower, bits), qk512_mul(place, slope))
  return qk512_where_above(index, 254, qk512_set1(end), inside)
}

/// See interpolatedLogistic.
@inline(__always)
private func logistic(_ v: __m512i, _ table: UnsafePointer<UInt16>) -> __m512i {
  let result = interpolated(qk512_abs(v), bits: 9, end: 0x7FFF << 10, table)
  let positive = qk512_add(result, qk512_set1(1 << 9))
  let negative = qk512_sub(qk512_set1((1 << 25) + (1 << 9) - 1), result)
  return qk512_shift_right(qk512_where_above(v, -1, positive, negative), 10)
}

/// See interpolatedTanh.
@inline(__always)
private func tanh(_ v: __m512i, _ table: UnsafePointer<UInt16>) -> __m512i {
  let result = interpolated(qk512_abs(v), bits: 8, end: 0xFFFF << 8, table)
  let positive = qk512_sub(result, qk512_set1((1 << 23) - (1 << 7)))
  let negative = qk512_sub(qk512_set1((1 << 23) + (1 << 7) - 1), result)
  return qk512_shift_right(qk512_where_above(v, -1, positive, negative), 8)
}

@inline(__always)
private func clamped(_ x: __m512i, _ low: Int32, _ high: Int32) -> __m512i {
  qk512_min(qk512_max(x, qk512_set1(low)), qk512_set1(high))
}

/// The argument of a gate times 3, as the table wants it, for `count` cells from `j` on.
@inline(__always)
private func argument(_ gate: Int, _ a: UnsafePointer<qk_lstm_cell_args>, _ j: Int, _ count: Int32) -> __m512i {
  let place = gate &* Int(a.pointee.hiddenSize) &+ j
  let sum = qk512_add(
    qk512_widen16_first(a.pointee.inputProducts + place, count),
    qk512_widen16_first(a.pointee.recurrentProducts + place, count))
  return qk512_mul(clamped(sum, a.pointee.gateMin, a.pointee.gateMax), qk512_set1(3))
}

/// The whole primitive.
func lstmCell(_ args: UnsafePointer<qk_lstm_cell_args>) {
  let a = args.pointee
  let table = a.sigmoidTable.unsafelyUnwrapped
  let size = Int(a.hiddenSize)
  let forget = UniformFactor(multiplier: a.forgetMultiplier, shift: a.forgetShift)
  let candidate = UniformFactor(multiplier: a.candidateMultiplier, shift: a.candidateShift)
  let output = UniformFactor(multiplier: a.outputMultiplier, shift: a.outputShift)
  let half: Int32 = a.cellShift < 0 ? 1 &<< (-1 &- a.cellShift) : 0
  let range = Vec.Clamp(-128, 127)
  var j = 0
  while j < size {
    let left = min(size &- j, 16)
    let count = Int32(truncatingIfNeeded: left)
    let cell = qk512_widen16_first(a.cell + j, count)
    let kept = forget.requantized(qk512_mul(logistic(argument(2, args, j, count), table), cell))
    let added = candidate.requantized(
      qk512_mul(logistic(argument(0, args, j, count), table), tanh(argument(3, args, j, count), table)))
    let sum = qk512_add(clamped(kept, -32768, 32767), clamped(added, -32768, 32767))
    let next = clamped(sum, a.cellMin, a.cellMax)
    qk256_store_first16(a.cell + j, qk512_saturate16(next), count)
    let tripled = qk512_mul(next, qk512_set1(3))
    let input =
      a.cellShift >= 0
      ? qk512_shift_left(tripled, a.cellShift)
      : qk512_shift_right(qk512_add(tripled, qk512_set1(half)), 0 &- a.cellShift)
    let product = qk512_mul(tanh(input, table), logistic(argument(1, args, j, count), table))
    let value = qk512_add(output.requantized(product), qk512_set1(a.hiddenZeroPoint))
    Vec.store(value, range, a.hidden + j, left)
    if let output = a.output { Vec.store(value, range, output + j, left) }
    j &+= 16
  }
}
