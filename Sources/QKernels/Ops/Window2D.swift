import QKernelsIntrinsics

/// A window that slides over the two spatial axes of an NHWC tensor: sizes, steps and what lies before the input.
///
/// Output pixel (oy, ox) sees input rows `oy * strideHeight - padTop + ky * dilationHeight` and the columns alike. What lies
/// beyond the input below and to the right follows from the output size.
public struct Window2D: BitwiseCopyable, Sendable, Equatable {
  /// Rows of the window.
  public var kernelHeight: Int32
  /// Columns of the window.
  public var kernelWidth: Int32
  /// Input rows between adjacent windows.
  public var strideHeight: Int32
  /// Input columns between adjacent windows.
  public var strideWidth: Int32
  /// Input rows between adjacent rows of the window.
  public var dilationHeight: Int32
  /// Input columns between adjacent columns of the window.
  public var dilationWidth: Int32
  /// Rows before the input that the first window sees.
  public var padTop: Int32
  /// Columns before the input that the first window sees.
  public var padLeft: Int32

  /// All fields; steps are 1 and padding 0 unless given.
  public init(
    kernelHeight: Int32, kernelWidth: Int32, strideHeight: Int32 = 1, strideWidth: Int32 = 1, dilationHeight: Int32 = 1,
    dilationWidth: Int32 = 1, padTop: Int32 = 0, padLeft: Int32 = 0
  ) {
    self.kernelHeight = kernelHeight
    self.kernelWidth = kernelWidth
    self.strideHeight = strideHeight
    self.strideWidth = strideWidth
    self.dilationHeight = dilationHeight
    self.dilationWidth = dilationWidth
    self.padTop = padTop
    self.padLeft = padLeft
  }

  /// Rows from the window's first to its last, inclusive.
  @inline(__always) var extentHeight: Int { (Int(kernelHeight) &- 1) &* Int(dilationHeight) &+ 1 }
  /// Columns from the window's first to its last, inclusive.
  @inline(__always) var extentWidth: Int { (Int(kernelWidth) &- 1) &* Int(dilationWidth) &+ 1 }
  /// Positions in the window.
  @inline(__always) var tapCount: Int { Int(kernelHeight) &* Int(kernelWidth) }

  /// Throws unless every field is in its domain: sizes and steps 1 ... 32767, padding 0 ... 32767, at most 2^20 taps.
  ///
  /// In these bounds no extent leaves 31 bits.
  func validate() throws(Status) {
    guard kernelHeight > 0, kernelWidth > 0, strideHeight > 0, strideWidth > 0, dilationHeight > 0, dilationWidth > 0,
      padTop >= 0, padLeft >= 0, kernelHeight <= 32767, kernelWidth <= 32767, strideHeight <= 32767,
      strideWidth <= 32767, dilationHeight <= 32767, dilationWidth <= 32767, padTop <= 32767, padLeft <= 32767,
      tapCount <= 1 << 20
    else { throw .badParams }
  }
}

/// How a layer reads its input through a window: straight from the tensor where no window leaves it, else through
/// padded copies of the rows in use, in the step's scratch.
///
/// Scratch: row pointers (8 bytes each on every target) · a ring of padded input rows · one row of zero points · slack.
struct WindowLayout {
  /// Elements per pixel as the layer sees them: input channels times `channelRepeat`.
  var pixelElements: Int
  /// Whether rows are copied into the ring: a window leaves the input on the left or right, or channels repeat.
  var usesRing: Bool
  /// Whether a window leaves the input above or below.
  var usesPaddingRow: Bool
  var slotCount: Int
  var slotElements: Int
  var pointerByteCount: Int
  var scratchByteCount: Int

  /// The layout for a layer of `pointerCount` row pointers, or nil if a size leaves 31 bits.
  ///
  /// - Parameters:
  ///   - window: validated.
  ///   - channelRepeat: how often each input channel is repeated (the depth multiplier).
  @inline(never)
  init?(
    window: Window2D, input: TensorRecord, outputHeight: Int, outputWidth: Int, pointerCount: Int, channelRepeat: Int,
    elementSize: Int
  ) {
    let channels = input.dimension(3)
    let height = input.dimension(1), width = input.dimension(2)
    guard let lastRow = Self.last(outputHeight, Int(window.strideHeight), window.extentHeight),
      let lastColumn = Self.last(outputWidth, Int(window.strideWidth), window.extentWidth)
    else { return nil }
    let (pixel, pixelOverflow) = channels.multipliedReportingOverflow(by: channelRepeat)
    let (row, rowOverflow) = lastColumn.multipliedReportingOverflow(by: pixel)
    let (left, leftOverflow) = Int(window.padLeft).multipliedReportingOverflow(by: pixel)
    guard !pixelOverflow, !rowOverflow, !leftOverflow, row <= 1 << 28, left <= 1 << 28 else { return nil }
    pixelElements = pixel
    // lastRow and lastColumn count from the padding's start.
    usesRing = window.padLeft > 0 || lastColumn > width || channelRepeat > 1
    usesPaddingRow = window.padTop > 0 || lastRow > height
    slotCount = usesRing ? min(window.extentHeight, height) : 0
    slotElements = roundedUp(row, toMultipleOf: 16)
    pointerByteCount = roundedUp(pointerCount &* 8, toMultipleOf: 64)
    let (rows, overflow) = (slotElements &* elementSize).multipliedReportingOverflow(
      by: slotCount + (usesPaddingRow ? 1 : 0))
    guard !overflow, rows <= 1 << 30 else { return nil }
    scratchByteCount = pointerByteCount &+ rows &+ (rows > 0 ? ModelFormat.readSlack : 0)
  }

  /// The number of rows or columns that `count` windows reach over, nil beyond 2^30.
  private static func last(_ count: Int, _ stride: Int, _ extent: Int) -> Int? {
    let (steps, overflow) = (count &- 1).multipliedReportingOverflow(by: stride)
    guard !overflow, steps <= 1 << 29, extent <= 1 << 30 else { return nil }
    let sum = steps &+ extent
    return sum <= 1 << 30 ? sum : nil
  }
}

/// The rows of one image as a layer's windows see them; see ``WindowLayout``.
struct WindowRows<Element: FixedWidthInteger & BitwiseCopyable> {
  private let window: Window2D
  private let layout: WindowLayout
  private let height: Int
  private let width: Int
  private let channels: Int
  /// Copies are xored with this.
  private let flip: Element
  private let ring: UnsafeMutablePointer<Element>
  private let paddingRow: UnsafeMutablePointer<Element>
  private var image: UnsafePointer<Element>
  /// Input rows below this one are in the ring.
  private var loaded = 0
  /// The multiple of the slot count at or below the first row in use: a row's slot then needs no division.
  private var base = 0

  /// Prepares the scratch rows of a step whose windows follow `layout`. If it uses a ring, all rows are xored with `flip`.
  init(
    window: Window2D, layout: WindowLayout, input: TensorRecord, scratch: UnsafeMutableRawPointer, zeroPoint: Element,
    flip: Element = 0
  ) {
    self.flip = flip
    self.window = window
    self.layout = layout
    height = input.dimension(1)
    width = input.dimension(2)
    channels = input.dimension(3)
    ring = (scratch + layout.pointerByteCount).assumingMemoryBound(to: Element.self)
    paddingRow = ring + layout.slotCount &* layout.slotElements
    image = UnsafePointer(ring)
    // Padding stays in place for the whole run: loading a row overwrites only its middle.
    let slots = layout.slotCount &+ (layout.usesPaddingRow ? 1 : 0)
    var index = 0
    while index < slots &* layout.slotElements {
      ring[index] = zeroPoint ^ flip
      index &+= 1
    }
  }

  /// Begins with another image of [H,W,C] elements.
  mutating func begin(image: UnsafePointer<Element>) {
    self.image = image
    loaded = 0
    base = 0
  }

  /// Makes the rows of output row `row` readable. Rows must be visited in ascending order.
  mutating func load(outputRow row: Int) {
    if !layout.usesRing { return }
    let top = row &* Int(window.strideHeight) &- Int(window.padTop)
    let end = min(top &+ window.extentHeight, height)
    while min(top, height) &- base >= layout.slotCount { base &+= layout.slotCount }
    var y = max(loaded, top)
    while y < end {
      copyRow(y)
      y &+= 1
    }
    loaded = max(loaded, end)
  }

  /// The place of input row `y` in the ring. Rows in use span at most as many rows as there are slots.
  @inline(__always)
  private func slot(_ y: Int) -> UnsafeMutablePointer<Element> {
    let index = y &- base
    return ring + (index >= layout.slotCount ? index &- layout.slotCount : index) &* layout.slotElements
  }

  private func copyRow(_ y: Int) {
    let source = image + y &* width &* channels
    let destination = slot(y)
    let left = Int(window.padLeft) &* layout.pixelElements
    // What lies to the right of the last window is not copied.
    let available = layout.slotElements &- left
    if layout.pixelElements == channels {
      let count = min(width &* channels, available)
      if flip != 0 {
        var index = 0
        while index < count {
          destination[left &+ index] = source[index] ^ flip
          index &+= 1
        }
        return
      }
      // A typed copy would become a loop over elements where code is optimized for size.
      qk_copy(destination + left, source, max(count, 0) &* MemoryLayout<Element>.stride)
      return
    }
    let repeats = layout.pixelElements / channels
    let count = min(width &* layout.pixelElements, available)
    var index = 0
    var element = 0
    while index < count {
      var step = 0
      while step < repeats, index < count {
        destination[left &+ index] = source[element] ^ flip
        index &+= 1
        step &+= 1
      }
      element &+= 1
    }
  }

  /// The elements of output column 0's first window column, in row `ky` of the window of output row `row`.
  @inline(__always)
  func row(_ ky: Int, outputRow row: Int) -> UnsafePointer<Element> {
    let y = row &* Int(window.strideHeight) &- Int(window.padTop) &+ ky &* Int(window.dilationHeight)
    if y < 0 || y >= height { return UnsafePointer(paddingRow) }
    if layout.usesRing { return UnsafePointer(slot(y)) }
    return image + y &* width &* channels
  }
}
