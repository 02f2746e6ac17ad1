// The three float primitives behind the reference's heavy ops. Sizes come from shapes that were checked, so index
// arithmetic wraps.

/// Weights arranged for `multiply`: blocks of 8 output columns, each [depth][8], the last one filled up with zeros.
struct PackedWeights: Sendable {
  static let width = 8
  let depth: Int
  let columns: Int
  let values: [Float]

  /// Arranges `columns` rows of `depth` weights each; `element(column, k)` finds one.
  init(columns: Int, depth: Int, element: (_ column: Int, _ k: Int) -> Float) {
    self.depth = depth
    self.columns = columns
    let blocks = (columns + Self.width - 1) / Self.width
    values = [Float](unsafeUninitializedCapacity: blocks * depth * Self.width) { buffer, count in
      var position = 0
      for block in 0..<blocks {
        for k in 0..<depth {
          for lane in 0..<Self.width {
            let column = block &* Self.width &+ lane
            buffer[position] = column < columns ? element(column, k) : 0
            position &+= 1
          }
        }
      }
      count = position
    }
  }

  /// Arranges row-major weights [columns, depth].
  init(rows: UnsafePointer<Float>, columns: Int, depth: Int) {
    self.init(columns: columns, depth: depth) { rows[$0 &* depth &+ $1] }
  }

  /// Arranges column-major weights [depth, columns].
  init(columnMajor weights: UnsafePointer<Float>, columns: Int, depth: Int) {
    self.init(columns: columns, depth: depth) { weights[$1 &* columns &+ $0] }
  }
}

/// output[r, n] = bias[n] + Σk rows[r, k] · weights[n, k].
///
/// The depth is summed in blocks of 256, each block in order of k, the blocks in order: rounding grows with the block and
/// not with the whole depth.
func multiply(
  rows: UnsafePointer<Float>, count: Int, rowStride: Int, weights: PackedWeights, bias: UnsafePointer<Float>?,
  output: UnsafeMutablePointer<Float>, outputStride: Int
) {
  let depth = weights.depth
  let blockDepth = 256
  weights.values.withUnsafeBufferPointer { packed in
    guard let base = packed.baseAddress else { return }
    var column = 0
    while column < weights.columns {
      let panel = base + column &* depth
      let width = min(PackedWeights.width, weights.columns &- column)
      var offset = SIMD8<Float>(repeating: 0)
      if let bias { for lane in 0..<width { offset[lane] = bias[column &+ lane] } }
      var row = 0
      while row < count {
        let source = rows + row &* rowStride
        let target = output + (row &* outputStride &+ column)
        if count &- row >= 4 {
          var sum0 = SIMD8<Float>(repeating: 0)
          var sum1 = sum0
          var sum2 = sum0
          var sum3 = sum0
          var start = 0
          while start < depth {
            let end = min(start &+ blockDepth, depth)
            var part0 = SIMD8<Float>(repeating: 0)
            var part1 = part0
            var part2 = part0
            var part3 = part0
            var k = start
            while k < end {
              let weight = UnsafeRawPointer(panel + k &* 8).loadUnaligned(as: SIMD8<Float>.self)
              part0 += weight * source[k]
              part1 += weight * source[rowStride &+ k]
              part2 += weight * source[2 &* rowStride &+ k]
              part3 += weight * source[3 &* rowStride &+ k]
              k &+= 1
            }
            sum0 += part0
            sum1 += part1
            sum2 += part2
            sum3 += part3
            start = end
          }
          store(sum0 + offset, to: target, width)
          store(sum1 + offset, to: target + outputStride, width)
          store(sum2 + offset, to: target + 2 &* outputStride, width)
          store(sum3 + offset, to: target + 3 &* outputStride, width)
          row &+= 4
        } else {
          var sum = SIMD8<Float>(repeating: 0)
          var start = 0
          while start < depth {
            let end = min(start &+ blockDepth, depth)
            var part = SIMD8<Float>(repeating: 0)
            var k = start
            while k < end {
              part += UnsafeRawPointer(panel + k &* 8).loadUnaligned(as: SIMD8<Float>.self) * source[k]
              k &+= 1
            }
            sum += part
            start = end
          }
          store(sum + offset, to: target, width)
          row &+= 1
        }
      }
      column &+= PackedWeights.width
    }
  }
}

@inline(__always)
private func store(_ vector: SIMD8<Float>, to target: UnsafeMutablePointer<Float>, _ width: Int) {
  if width == 8 {
    UnsafeMutableRawPointer(target).storeBytes(of: vector, as: SIMD8<Float>.self)
  } else {
    for lane in 0..<width { target[lane] = vector[lane] }
  }
}

/// Σ a[k] · b[k], in eight lanes that are added at the end in a fixed order.
@inline(__always)
func dotProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int) -> Float {
  var low = SIMD8<Float>(repeating: 0)
  var high = low
  var k = 0
  while k &+ 16 <= count {
    low +=
      UnsafeRawPointer(a + k).loadUnaligned(as: SIMD8<Float>.self)
      * UnsafeRawPointer(b + k).loadUnaligned(as: SIMD8<Float>.self)
    high +=
      UnsafeRawPointer(a + (k &+ 8)).loadUnaligned(as: SIMD8<Float>.self)
      * UnsafeRawPointer(b + (k &+ 8)).loadUnaligned(as: SIMD8<Float>.self)
    k &+= 16
  }
  low += high
  var tail: Float = 0
  while k < count {
    tail += a[k] * b[k]
    k &+= 1
  }
  let four = low.lowHalf + low.highHalf
  let two = four.lowHalf + four.highHalf
  return two.x + two.y + tail
}

/// output[i] += a[i] · b[i].
@inline(__always)
func multiplyAdd(
  _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, count: Int, into output: UnsafeMutablePointer<Float>
) {
  var index = 0
  while index &+ 8 <= count {
    let product =
      UnsafeRawPointer(a + index).loadUnaligned(as: SIMD8<Float>.self)
      * UnsafeRawPointer(b + index).loadUnaligned(as: SIMD8<Float>.self)
    let sum = UnsafeRawPointer(output + index).loadUnaligned(as: SIMD8<Float>.self) + product
    UnsafeMutableRawPointer(output + index).storeBytes(of: sum, as: SIMD8<Float>.self)
    index &+= 8
  }
  while index < count {
    output[index] += a[index] * b[index]
    index &+= 1
  }
}

/// Copies `shape` elements found at the given strides from `source` to consecutive elements at `target`.
///
/// Reads transposed, sliced (strides times steps) and broadcast (stride 0) tensors.
func gather(
  _ shape: [Int], strides: [Int], from source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>
) {
  // Neighbouring axes that lie one behind the other are one axis; axes of size 1 are none.
  var sizes: [Int] = []
  var steps: [Int] = []
  for (size, step) in zip(shape, strides) where size != 1 {
    if let lastSize = sizes.last, let lastStep = steps.last, lastStep == step &* size {
      sizes[sizes.count - 1] = lastSize &* size
      steps[steps.count - 1] = step
    } else {
      sizes.append(size)
      steps.append(step)
    }
  }
  let inner = sizes.popLast() ?? 1
  let innerStep = steps.popLast() ?? 1
  var index = [Int](repeating: 0, count: sizes.count)
  var from = source
  var to = target
  while true {
    if innerStep == 1 {
      to.update(from: from, count: inner)
    } else {
      for element in 0..<inner { to[element] = from[element &* innerStep] }
    }
    to += inner
    var axis = sizes.count - 1
    while axis >= 0 {
      index[axis] &+= 1
      from += steps[axis]
      if index[axis] < sizes[axis] { break }
      from -= steps[axis] &* sizes[axis]
      index[axis] = 0
      axis -= 1
    }
    if axis < 0 { return }
  }
}
