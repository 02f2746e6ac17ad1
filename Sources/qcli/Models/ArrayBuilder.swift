import QKernels
import QModel

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

/// An array under construction, one sample after the other: samples may come in any order and from several threads.
final class ArrayBuilder: @unchecked Sendable {
  private let layout: SampleLayout
  /// The model's integers, or nil for real values.
  private let storedType: StoredType?
  private let sampleCount: Int
  private let elementCount: Int
  private let memory: UnsafeMutableRawBufferPointer

  /// - Parameter isRaw: whether to store the tensor's integers instead of its real values.
  /// - Throws: a failure when there is no room for so many samples.
  init(_ info: TensorInfo, layout: SampleLayout, sampleCount: Int, isRaw: Bool) throws {
    self.layout = layout
    self.sampleCount = sampleCount
    storedType = isRaw ? info.type : nil
    elementCount = info.elementCount
    let (byteCount, overflow) = sampleCount.multipliedReportingOverflow(
      by: elementCount * (isRaw ? info.type.byteCount : 4))
    // Unlike Swift's own allocation this one can say no; pages that are not written take no memory.
    guard !overflow, let memory = calloc(max(byteCount, 1), 1) else {
      throw CommandFailure(
        code: .other,
        message: "there is no memory for \(sampleCount) samples of \(info.byteCount) bytes of '\(info.name ?? "")';"
          + " run fewer samples at a time")
    }
    self.memory = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
  }

  deinit { free(memory.baseAddress) }

  /// Stores the present contents of a session's tensor as sample `sample`.
  func store(_ session: Session, tensor: Int, sample: Int) {
    let size = elementCount * (storedType?.byteCount ?? MemoryLayout<Float>.size)
    let target = UnsafeMutableRawBufferPointer(rebasing: memory[sample * size..<(sample + 1) * size])
    if storedType == nil {
      session.copyDequantized(tensor, to: target.assumingMemoryBound(to: Float.self))
    } else {
      session.copyIntegers(tensor, to: target)
    }
  }

  /// The array, of shape [N] + the tensor's shape without its batch axis.
  func array() -> NPYArray {
    NPYArray(
      shape: [sampleCount] + layout.sampleShape, elementType: storedType?.arrayType ?? .float32, bytes: Array(memory))
  }
}
