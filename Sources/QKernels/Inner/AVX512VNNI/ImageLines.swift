import QKernelsIntrinsics

/// The input rows of a convolution's output rows, one output row after the other: straight from the image, or from a ring
/// of flipped copies with padding on both sides.
struct ImageLines {
  private let args: qk_convolution_args
  private let rowBytes: Int
  /// Bytes of padding before a copied row.
  private let left: Int
  /// Bytes of a row that are copied: what lies to the right of the last window is not.
  private let copied: Int
  /// Input rows below this one are in the ring.
  private var loaded = 0
  /// The multiple of the slot count at or below the first row in use: a row's slot then needs no division.
  private var base = 0

  init(_ args: qk_convolution_args) {
    self.args = args
    rowBytes = Int(args.width) &* Int(args.channelCount)
    left = Int(args.padLeft) &* Int(args.channelCount)
    copied = max(min(rowBytes, Int(args.slotBytes) &- left), 0)
    // Padding stays in place: loading a row overwrites only its middle.
    let flip: Int32 = args.ring == nil ? 0 : 0x80
    let value = qk512_set1_8(Int8(truncatingIfNeeded: args.inputZeroPoint ^ flip))
    if let ring = args.ring { fill(ring, value, Int(args.slotCount) &* Int(args.slotBytes)) }
    if let padding = args.padding { fill(padding, value, Int(args.slotBytes)) }
  }

  private func fill(_ p: UnsafeMutablePointer<Int8>, _ value: __m512i, _ count: Int) {
    var i = 0
    while count &- i >= 64 {
      qk512_store(p + i, value)
      i &+= 64
    }
    if i < count { qk512_store_first8(p + i, value, Int32(truncatingIfNeeded: count &- i)) }
  }

  /// Begins again with the first output row.
  mutating func begin() {
    loaded = 0
    base = 0
  }

  /// Sets the row pointers of output row `line`. Rows must be visited in ascending order.
  @inline(never)
  mutating func load(_ line: Int) {
    let top = line &* Int(args.strideHeight) &- Int(args.padTop), height = Int(args.height)
    let step = Int(args.dilationHeight), count = Int(args.kernelHeight)
    let slotCount = Int(args.slotCount), slotBytes = Int(args.slotBytes)
    if let ring = args.ring {
      let end = min(top &+ (count &- 1) &* step &+ 1, height)
      while min(top, height) &- base >= slotCount { base &+= slotCount }
      var y = max(loaded, top)
      while y < end {
        copy(args.input + y &* rowBytes, ring + slot(y, base, slotCount) &* slotBytes)
        y &+= 1
      }
      loaded = max(loaded, end)
    }
    // Copies, for the compiler takes the pointers to be able to overwrite their own arguments.
    let ring = args.ring, padding = args.padding, base = base, rowBytes = rowBytes
    let input = args.input.unsafelyUnwrapped, rows = args.rows.unsafelyUnwrapped
    var y = top
    for k in 0..<count {
      if y < 0 || y >= height {
        rows[k] = UnsafePointer(padding)
      } else if let ring {
        rows[k] = UnsafePointer(ring + slot(y, base, slotCount) &* slotBytes)
      } else {
        rows[k] = input + y &* rowBytes
      }
      y &+= step
    }
  }

  /// The place of input row `y` in the ring. Rows in use span at most as many rows as there are slots.
  @inline(__always)
  private func slot(_ y: Int, _ base: Int, _ slotCount: Int) -> Int {
    let index = y &- base
    return index >= slotCount ? index &- slotCount : index
  }

  private func copy(_ row: UnsafePointer<Int8>, _ slot: UnsafeMutablePointer<Int8>) {
    let top = qk512_set1(Int32(bitPattern: 0x8080_8080))
    let place = slot + left
    var i = 0
    while copied &- i >= 64 {
      qk512_store(place + i, qk512_xor(qk512_load(row + i), top))
      i &+= 64
    }
    if i < copied {
      let count = Int32(truncatingIfNeeded: copied &- i)
      qk512_store_first8(place + i, qk512_xor(qk512_load_first8(row + i, count), top), count)
    }
  }
}
