/// CRC-32 as in IEEE 802.3 (polynomial 0xEDB88320, reflected), the one of zip and PNG.
public struct CRC32: Sendable {
  private var state: UInt32 = 0xFFFF_FFFF

  /// The checksum of no bytes.
  public init() {}

  /// Adds `byteCount` bytes. O(byteCount), a table of 16 entries.
  public mutating func update(_ bytes: UnsafeRawPointer, byteCount: Int) {
    let table: InlineArray<16, UInt32> = [
      0x0000_0000, 0x1DB7_1064, 0x3B6E_20C8, 0x26D9_30AC, 0x76DC_4190, 0x6B6B_51F4, 0x4DB2_6158, 0x5005_713C,
      0xEDB8_8320, 0xF00F_9344, 0xD6D6_A3E8, 0xCB61_B38C, 0x9B64_C2B0, 0x86D3_D2D4, 0xA00A_E278, 0xBDBD_F21C,
    ]
    var crc = state
    let bytes = bytes.assumingMemoryBound(to: UInt8.self)
    var i = 0
    while i < byteCount {
      crc ^= UInt32(bytes[i])
      crc = table[Int(crc & 15)] ^ (crc &>> 4)
      crc = table[Int(crc & 15)] ^ (crc &>> 4)
      i &+= 1
    }
    state = crc
  }

  /// The checksum of all bytes so far.
  public var value: UInt32 { ~state }

  /// The checksum of `byteCount` bytes.
  public static func checksum(_ bytes: UnsafeRawPointer, byteCount: Int) -> UInt32 {
    var crc = CRC32()
    crc.update(bytes, byteCount: byteCount)
    return crc.value
  }
}
