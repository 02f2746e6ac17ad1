@testable import QKernels
@testable import QModel

/// The packed layouts, from their description in the params structs.
enum Packing {
  /// `rows` rows of `length` weights for each of `channels` channels as [channels/16][rows][length/4][16][4].
  static func matmul(channels: Int, rows: Int, length: Int, _ weight: (_ channel: Int, _ row: Int, _ k: Int) -> Int)
    -> [Int8]
  {
    let groups = (length + 3) / 4, blocks = (channels + 15) / 16
    var packed = [Int8](repeating: 0, count: blocks * rows * groups * 64)
    for channel in 0..<channels {
      for row in 0..<rows {
        for k in 0..<length {
          let position = (((channel / 16 * rows + row) * groups + k / 4) * 16 + channel % 16) * 4 + k % 4
          packed[position] = Int8(weight(channel, row, k))
        }
      }
    }
    return packed
  }

  /// `values` padded with zeros to whole blocks of 16.
  static func padded<Value: FixedWidthInteger>(_ values: [Int], as _: Value.Type) -> [Value] {
    values.map { Value($0) } + [Value](repeating: 0, count: (16 - values.count % 16) % 16)
  }
}

/// The layer-independent numbers of a layer with weights.
struct LayerQuantization {
  /// One per output channel.
  var bias: [Int]
  var multipliers: [Int]
  var shifts: [Int]
  var outputZeroPoint: Int
  var outputMin: Int
  var outputMax: Int
  /// Int16 layers: 32 or 64.
  var accumulatorBits = 64

  /// Factors that bring sums of `depth` products of weights and inputs of `inputBits` bits into the output's range.
  static func random(
    channels: Int, depth: Int, type: StoredType, using generator: inout SeededGenerator
  ) -> LayerQuantization {
    let range = type == .int8 ? 127 : 32767
    // A typical sum is 2^6.5 * 2^(bits - 1.5) * sqrt(depth); typical outputs then fill the range, some clamp.
    var halvings = 6
    while 1 << (2 * (halvings - 6)) < depth { halvings += 1 }
    var quantization = LayerQuantization(
      bias: [], multipliers: [], shifts: [], outputZeroPoint: 0, outputMin: 0, outputMax: 0)
    for _ in 0..<channels {
      quantization.bias.append(Int.random(in: -20_000...20_000, using: &generator) * (type == .int8 ? 1 : 64))
      quantization.multipliers.append(Int(generator.multiplier()))
      quantization.shifts.append(-halvings + Int.random(in: -1...1, using: &generator))
    }
    quantization.outputZeroPoint = type == .int8 ? Int.random(in: -128...127, using: &generator) : 0
    quantization.outputMin = generator.next() % 2 == 0 ? -range - 1 : quantization.outputZeroPoint
    quantization.outputMax = generator.next() % 2 == 0 ? range : max(quantization.outputMin, range - 20)
    return quantization
  }

  /// One output from the exact sum of products of channel `channel`.
  func output(_ sum: Int, channel: Int, wide: Bool = false) -> Int {
    let accumulator = sum + bias[channel]
    let scaled =
      wide && accumulatorBits == 64
      ? Truncating.requantizeWide(Int64(accumulator), Int32(multipliers[channel]), Int32(shifts[channel]))
      : Truncating.requantize(
        Int32(truncatingIfNeeded: accumulator), Int32(multipliers[channel]), Int32(shifts[channel]))
    return min(max(Int(scaled) + outputZeroPoint, outputMin), outputMax)
  }

  /// The record of an int8 layer.
  ///
  /// - Parameters:
  ///   - weights: packed.
  ///   - sums: the weights' sum of each entry of the bias array, which has `groups` runs of whole blocks per row.
  ///   - zeroPointShare: what the bias folds in, per entry.
  func record(
    _ builder: inout PlanBuilder, weights: [Int8], groups: Int = 1, sums: [[Int]], inputZeroPoint: Int
  ) -> ChannelQuantization {
    let perGroup = bias.count / groups
    func split(_ values: [Int]) -> [[Int]] { (0..<groups).map { Array(values[$0 * perGroup..<($0 + 1) * perGroup]) } }
    func lanes(_ values: [Int]) -> [Int32] { split(values).flatMap { Packing.padded($0, as: Int32.self) } }
    var folded: [Int32] = [], flatSums: [Int32] = []
    for row in sums {
      folded += lanes(zip(bias, row).map { $0 - inputZeroPoint * $1 })
      flatSums += lanes(row)
    }
    return ChannelQuantization(
      weights: builder.constant(weights), bias: builder.constant(folded), weightSums: builder.constant(flatSums),
      multiplier: builder.constant(lanes(multipliers)), shift: builder.constant(lanes(shifts)),
      outputZeroPoint: Int32(outputZeroPoint), outputMin: Int32(outputMin), outputMax: Int32(outputMax))
  }

  /// The record of an int16 layer.
  func wideRecord(
    _ builder: inout PlanBuilder, weights: [Int8], groups: Int = 1, sums: [[Int]], inputZeroPoint: Int
  ) -> WideChannelQuantization {
    let perGroup = bias.count / groups
    func split(_ values: [Int]) -> [[Int]] { (0..<groups).map { Array(values[$0 * perGroup..<($0 + 1) * perGroup]) } }
    let folded = sums.flatMap { row in
      split(zip(bias, row).map { $0 - inputZeroPoint * $1 }).flatMap { Packing.padded($0, as: Int64.self) }
    }
    return WideChannelQuantization(
      weights: builder.constant(weights), bias: builder.constant(folded),
      multiplier: builder.constant(split(multipliers).flatMap { Packing.padded($0, as: Int32.self) }),
      shift: builder.constant(split(shifts).flatMap { Packing.padded($0, as: Int32.self) }),
      accumulatorBits: Int32(accumulatorBits), outputZeroPoint: Int32(outputZeroPoint), outputMin: Int32(outputMin),
      outputMax: Int32(outputMax))
  }
}
