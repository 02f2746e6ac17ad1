// Arithmetic on constants: what exporters leave in a file to compute shapes, and arithmetic on weights.
// Each function returns nil where the operands do not fit the operation, so nothing here can trap.

extension ONNXConstant {
  /// An axis counted from the end if negative; `nil` outside the rank.
  static func resolved(axis: Int, rank: Int) -> Int? {
    let resolved = axis < 0 ? axis + rank : axis
    return resolved >= 0 && resolved < rank ? resolved : nil
  }

  /// The shape that two shapes broadcast to, aligned at their last axes.
  static func broadcast(_ left: [Int], _ right: [Int]) -> [Int]? {
    let rank = max(left.count, right.count)
    var result = [Int](repeating: 1, count: rank)
    for axis in 0..<rank {
      let a = axis < rank - left.count ? 1 : left[axis - (rank - left.count)]
      let b = axis < rank - right.count ? 1 : right[axis - (rank - right.count)]
      guard a == b || a == 1 || b == 1 else { return nil }
      result[axis] = a == 1 ? b : a
    }
    return elementCount(of: result) == nil ? nil : result
  }

  /// Number of elements between neighbours along each axis.
  static func strides(of shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in stride(from: shape.count - 2, through: 0, by: -1) {
      strides[axis] = strides[axis + 1] * shape[axis + 1]
    }
    return strides
  }

  /// The elements at the given positions.
  private func elements(at positions: [Int]) -> Elements {
    switch elements {
    case .floats(let values): .floats(positions.map { values[$0] })
    case .integers(let values): .integers(positions.map { values[$0] })
    }
  }

  /// The element positions that an array of `shape` reads, if each step along axis `i` moves `strides[i]` from `start`.
  private static func positions(shape: [Int], strides: [Int], start: Int = 0) -> [Int] {
    guard let count = elementCount(of: shape), count > 0 else { return [] }
    var positions: [Int] = []
    positions.reserveCapacity(count)
    var index = [Int](repeating: 0, count: shape.count)
    var position = start
    for _ in 0..<count {
      positions.append(position)
      var axis = shape.count - 1
      while axis >= 0 {
        index[axis] += 1
        position += strides[axis]
        if index[axis] < shape[axis] { break }
        position -= strides[axis] * shape[axis]
        index[axis] = 0
        axis -= 1
      }
    }
    return positions
  }

  /// The same elements in another shape.
  func reshaped(to shape: [Int]) -> ONNXConstant? {
    guard Self.elementCount(of: shape) == elements.count else { return nil }
    return ONNXConstant(elementType: elementType, shape: shape, elements: elements)
  }

  /// Axis `i` of the result is axis `permutation[i]` of this.
  func transposed(_ permutation: [Int]) -> ONNXConstant? {
    guard permutation.sorted() == [Int](shape.indices) else { return nil }
    let strides = Self.strides(of: shape)
    let newShape = permutation.map { shape[$0] }
    let positions = Self.positions(shape: newShape, strides: permutation.map { strides[$0] })
    return ONNXConstant(elementType: elementType, shape: newShape, elements: elements(at: positions))
  }

  /// The elements repeated along axes of size 1 and along new leading axes.
  func broadcast(to target: [Int]) -> ONNXConstant? {
    if shape == target { return self }
    guard Self.broadcast(shape, target) == target else { return nil }
    let leading = target.count - shape.count
    let own = Self.strides(of: shape)
    let strides = target.indices.map { $0 < leading || shape[$0 - leading] == 1 ? 0 : own[$0 - leading] }
    let positions = Self.positions(shape: target, strides: strides)
    return ONNXConstant(elementType: elementType, shape: target, elements: elements(at: positions))
  }

  /// Output index `i` of axis `a` is index `starts[a] + i * steps[a]` here, all inside.
  func sliced(starts: [Int], sizes: [Int], steps: [Int]) -> ONNXConstant {
    let own = Self.strides(of: shape)
    let start = zip(starts, own).reduce(0) { $0 + $1.0 * $1.1 }
    let positions = Self.positions(shape: sizes, strides: zip(steps, own).map { $0 * $1 }, start: start)
    return ONNXConstant(elementType: elementType, shape: sizes, elements: elements(at: positions))
  }

  /// The elements with others around them: index `i` of axis `a` is index `sources[a][i]` here, or `value` where that is
  /// `nil`.
  func surrounded(_ sources: [[Int?]], by value: Float) -> ONNXConstant? {
    let strides = Self.strides(of: shape)
    var positions: [Int?] = [0]
    for (axis, indices) in sources.enumerated() {
      positions = positions.flatMap { position in
        indices.map { index in
          if let position, let index { position + index * strides[axis] } else { nil }
        }
      }
    }
    let filled: Elements
    switch elements {
    case .floats(let values): filled = .floats(positions.map { $0.map { values[$0] } ?? value })
    case .integers(let values):
      guard let integer = Int64(exactly: value), elementType.integerRange?.contains(integer) == true else { return nil }
      filled = .integers(positions.map { $0.map { values[$0] } ?? integer })
    }
    return ONNXConstant(elementType: elementType, shape: sources.map(\.count), elements: filled)
  }

  /// The slices at `indices` along an axis; `indices` of any shape, which takes the axis' place.
  func gathered(axis: Int, _ indices: [Int64], shape indexShape: [Int]) -> ONNXConstant? {
    let size = shape[axis]
    let inner = Self.strides(of: shape)[axis]
    let outer = elements.count / max(size * inner, 1)
    var resolved: [Int] = []
    for index in indices {
      guard let position = Self.resolved(axis: ONNXNode.bounded(index), rank: size) else { return nil }
      resolved.append(position)
    }
    let result = [Int](shape[..<axis]) + indexShape + [Int](shape[(axis + 1)...])
    guard let count = Self.elementCount(of: result) else { return nil }
    var positions: [Int] = []
    positions.reserveCapacity(count)
    for block in 0..<outer {
      for index in resolved {
        let start = (block * size + index) * inner
        positions += start..<(start + inner)
      }
    }
    guard positions.count == count else { return nil }
    return ONNXConstant(elementType: elementType, shape: result, elements: elements(at: positions))
  }

  /// Constants of one type put together along an axis; all other axes agree.
  static func concatenated(_ parts: [ONNXConstant], axis: Int) -> ONNXConstant? {
    guard let first = parts.first, axis < first.shape.count else { return nil }
    var shape = first.shape
    shape[axis] = 0
    var floats: [Float] = []
    var integers: [Int64] = []
    for part in parts {
      guard part.elementType == first.elementType, part.shape.count == shape.count else { return nil }
      for other in shape.indices where other != axis && part.shape[other] != shape[other] { return nil }
      shape[axis] += part.shape[axis]
    }
    let outer = shape[..<axis].reduce(1, *)
    for block in 0..<outer {
      for part in parts {
        let length = part.elements.count / max(outer, 1)
        let range = (block * length)..<((block + 1) * length)
        switch part.elements {
        case .floats(let values): floats += values[range]
        case .integers(let values): integers += values[range]
        }
      }
    }
    let elements = first.elementType.isFloatingPoint ? Elements.floats(floats) : .integers(integers)
    return elementCount(of: shape) == elements.count
      ? ONNXConstant(elementType: first.elementType, shape: shape, elements: elements) : nil
  }

  /// The elements as another type: floats are cut towards zero, integers wrapped; `nil` for a float out of range.
  func cast(to type: ONNXElementType) -> ONNXConstant? {
    guard type.bitWidth != nil else { return nil }
    let converted: Elements
    switch elements {
    case .floats(let values):
      if type.isFloatingPoint {
        converted = .floats(values.map { Self.rounded($0, to: type) })
      } else if type == .bool {
        converted = .integers(values.map { $0 == 0 ? 0 : 1 })
      } else {
        guard let range = type.integerRange else { return nil }
        var integers: [Int64] = []
        for value in values {
          guard let integer = Int64(exactly: value.rounded(.towardZero)), range.contains(integer) else { return nil }
          integers.append(integer)
        }
        converted = .integers(integers)
      }
    case .integers(let values):
      if type.isFloatingPoint {
        converted = .floats(values.map { Self.rounded(Float($0), to: type) })
      } else if type == .bool {
        converted = .integers(values.map { $0 == 0 ? 0 : 1 })
      } else {
        guard let range = type.integerRange, let width = type.bitWidth else { return nil }
        let unused = 64 - width
        let isSigned = range.lowerBound < 0
        if type == .uint64 && values.contains(where: { $0 < 0 }) { return nil }
        converted = .integers(
          values.map { value in
            if range.contains(value) { return value }
            // The low bits, extended again.
            let high = value << unused
            return isSigned ? high >> unused : Int64(bitPattern: UInt64(bitPattern: high) >> unused)
          })
      }
    }
    return ONNXConstant(elementType: type, shape: shape, elements: converted)
  }

  private static func rounded(_ value: Float, to type: ONNXElementType) -> Float {
    switch type {
    case .float16: Float(Float16(value))
    case .bfloat16:
      // Round half to even on the upper 16 bits; NaN stays NaN.
      value.isNaN
        ? value
        : Float(bitPattern: (value.bitPattern &+ 0x7FFF &+ (value.bitPattern >> 16 & 1)) & 0xFFFF_0000)
    case .float32, .float64, .uint8, .int8, .uint16, .int16, .int32, .int64, .string, .bool, .uint32, .uint64,
      .complex64, .complex128, .float8E4M3FN, .float8E4M3FNUZ, .float8E5M2, .float8E5M2FNUZ, .uint4, .int4,
      .float4E2M1, .float8E8M0:
      value
    }
  }

  /// A function of each float.
  func mapFloats(_ function: (Float) -> Float) -> ONNXConstant? {
    guard let values = floats else { return nil }
    return ONNXConstant(elementType: elementType, shape: shape, elements: .floats(values.map(function)))
  }

  /// A function of each integer; `nil` where it overflows.
  func mapIntegers(_ function: (Int64) -> Int64?) -> ONNXConstant? {
    guard let values = integers, let range = elementType.integerRange else { return nil }
    var results: [Int64] = []
    for value in values {
      guard let result = function(value), range.contains(result) else { return nil }
      results.append(result)
    }
    return ONNXConstant(elementType: elementType, shape: shape, elements: .integers(results))
  }
}

extension ONNXConstant {
  /// What a reduction of constants computes.
  enum Reduction { case sum, mean, product, maximum, minimum, absoluteSum, squareSum, norm }

  /// The elements reduced along axes; `nil` for overflows, for results that are no integers, and for reductions
  /// of nothing.
  func reduced(axes: [Int], keepsAxes: Bool, _ reduction: Reduction) -> ONNXConstant? {
    // The reduced axes go last, so that each result is made of neighbours.
    let kept = shape.indices.filter { !axes.contains($0) }
    guard let sorted = transposed(kept + axes) else { return nil }
    let length = axes.reduce(1) { $0 * shape[$1] }
    let count = kept.reduce(1) { $0 * shape[$1] }
    guard length > 0 else { return nil }
    let result = shape.indices.compactMap { axes.contains($0) ? (keepsAxes ? 1 : nil) : shape[$0] }
    switch sorted.elements {
    case .floats(let values):
      var results: [Float] = []
      for index in 0..<count {
        let part = values[(index * length)..<((index + 1) * length)]
        switch reduction {
        case .sum: results.append(Float(part.reduce(0.0) { $0 + Double($1) }))
        case .mean: results.append(Float(part.reduce(0.0) { $0 + Double($1) } / Double(length)))
        case .product: results.append(Float(part.reduce(1.0) { $0 * Double($1) }))
        case .maximum: results.append(part.max() ?? 0)
        case .minimum: results.append(part.min() ?? 0)
        case .absoluteSum: results.append(Float(part.reduce(0.0) { $0 + Double($1.magnitude) }))
        case .squareSum: results.append(Float(part.reduce(0.0) { $0 + Double($1) * Double($1) }))
        case .norm: results.append(Float(part.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()))
        }
      }
      return ONNXConstant(elementType: elementType, shape: result, elements: .floats(results))
    case .integers(let values):
      let operation: ONNXFoldedBinary
      switch reduction {
      case .sum: operation = .add
      case .product: operation = .mul
      case .maximum: operation = .maximum
      case .minimum: operation = .minimum
      case .mean, .absoluteSum, .squareSum, .norm: return nil
      }
      guard let range = elementType.integerRange else { return nil }
      var results: [Int64] = []
      for index in 0..<count {
        var value = values[index * length]
        for next in values[(index * length + 1)..<((index + 1) * length)] {
          guard let combined = operation(value, next) else { return nil }
          value = combined
        }
        guard range.contains(value) else { return nil }
        results.append(value)
      }
      return ONNXConstant(elementType: elementType, shape: result, elements: .integers(results))
    }
  }
}

/// A binary operation on constants.
enum ONNXFoldedBinary {
  case add, sub, mul, div, maximum, minimum, power, modulo
  case equal, less, greater, lessOrEqual, greaterOrEqual
  case and, or, xor

  /// Whether the result is of type `bool`, whatever the operands.
  var isPredicate: Bool {
    switch self {
    case .equal, .less, .greater, .lessOrEqual, .greaterOrEqual, .and, .or, .xor: true
    case .add, .sub, .mul, .div, .maximum, .minimum, .power, .modulo: false
    }
  }

  /// The result on integers; `nil` for an overflow, a division by zero, or a negative exponent.
  func callAsFunction(_ a: Int64, _ b: Int64) -> Int64? {
    func value(_ result: (partialValue: Int64, overflow: Bool)) -> Int64? {
      result.overflow ? nil : result.partialValue
    }
    switch self {
    case .add: return value(a.addingReportingOverflow(b))
    case .sub: return value(a.subtractingReportingOverflow(b))
    case .mul: return value(a.multipliedReportingOverflow(by: b))
    case .div: return value(a.dividedReportingOverflow(by: b))
    case .modulo:
      // The sign is the divisor's, as in Python.
      guard let remainder = value(a.remainderReportingOverflow(dividingBy: b)) else { return nil }
      return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder
    case .power:
      guard b >= 0 else { return nil }
      if a == 0 || a == 1 { return b == 0 ? 1 : a }
      if a == -1 { return b % 2 == 0 ? 1 : -1 }
      guard b < 64 else { return nil }
      var product: Int64 = 1
      for _ in 0..<b {
        guard let next = value(product.multipliedReportingOverflow(by: a)) else { return nil }
        product = next
      }
      return product
    case .maximum: return max(a, b)
    case .minimum: return min(a, b)
    case .equal: return a == b ? 1 : 0
    case .less: return a < b ? 1 : 0
    case .greater: return a > b ? 1 : 0
    case .lessOrEqual: return a <= b ? 1 : 0
    case .greaterOrEqual: return a >= b ? 1 : 0
    case .and: return a != 0 && b != 0 ? 1 : 0
    case .or: return a != 0 || b != 0 ? 1 : 0
    case .xor: return (a != 0) != (b != 0) ? 1 : 0
    }
  }

  /// The result on floats; `nil` for what has no meaning on them.
  func callAsFunction(_ a: Float, _ b: Float) -> Float? {
    switch self {
    case .add: a + b
    case .sub: a - b
    case .mul: a * b
    case .div: a / b
    case .maximum: a.isNaN || b.isNaN ? .nan : max(a, b)
    case .minimum: a.isNaN || b.isNaN ? .nan : min(a, b)
    case .power: Float(ONNXMath.power(Double(a), Double(b)))
    case .equal: a == b ? 1 : 0
    case .less: a < b ? 1 : 0
    case .greater: a > b ? 1 : 0
    case .lessOrEqual: a <= b ? 1 : 0
    case .greaterOrEqual: a >= b ? 1 : 0
    case .modulo, .and, .or, .xor: nil
    }
  }
}

extension ONNXConstant {
  /// Applies a binary operation with broadcasting; both operands are of one type.
  static func combined(_ left: ONNXConstant, _ right: ONNXConstant, _ operation: ONNXFoldedBinary) -> ONNXConstant? {
    if operation == .power && left.elementType != right.elementType {
      // The result has the type of the base.
      return left.cast(to: .float32)
        .flatMap { base in right.cast(to: .float32).flatMap { combined(base, $0, .power) } }
        .flatMap { $0.cast(to: left.elementType) }
    }
    guard left.elementType == right.elementType, let shape = broadcast(left.shape, right.shape),
      let a = left.broadcast(to: shape), let b = right.broadcast(to: shape)
    else { return nil }
    let type = operation.isPredicate ? .bool : left.elementType
    switch (a.elements, b.elements) {
    case (.floats(let x), .floats(let y)):
      var results: [Float] = []
      for (x, y) in zip(x, y) {
        guard let result = operation(x, y) else { return nil }
        results.append(result)
      }
      let elements = type == .bool ? Elements.integers(results.map { $0 == 0 ? 0 : 1 }) : .floats(results)
      return ONNXConstant(elementType: type, shape: shape, elements: elements)
    case (.integers(let x), .integers(let y)):
      guard let range = type.integerRange else { return nil }
      var results: [Int64] = []
      for (x, y) in zip(x, y) {
        guard let result = operation(x, y), range.contains(result) else { return nil }
        results.append(result)
      }
      return ONNXConstant(elementType: type, shape: shape, elements: .integers(results))
    case (.floats, .integers), (.integers, .floats):
      return nil
    }
  }
}
