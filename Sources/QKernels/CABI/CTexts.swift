// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation
// qkernels.h documents these symbols.

import QKernelsIntrinsics

extension Status {
  /// What the status means, for people.
  var text: StaticString {
    switch self {
    case .ok: "no error"
    case .notAModel: "not a model file of this format version"
    case .wrongSize: "the model's size is not the one that its header gives"
    case .corrupted: "the model's checksum does not match its contents"
    case .badReference: "a table or constant lies outside the model"
    case .badTensor: "a tensor record is inconsistent"
    case .unknownOp: "the model uses an operation that this program does not contain"
    case .badParams: "an operation's parameters contradict its tensors"
    case .badQuantization: "a multiplier, shift, zero point or clamp is outside its domain"
    case .bufferTooSmall: "the arena or state buffer is too small, absent or misaligned"
    case .badArgument: "an argument is invalid"
    case .selfTestFailed: "the self-test found a layer whose output differs"
    }
  }
}

extension InnerSet {
  /// The set of this name, whether or not this machine has it.
  init?(named name: UnsafePointer<CChar>) {
    var number: Int32 = 0
    while number < 16 {
      if let set = InnerSet(rawValue: number), equal(set.cName, name) {
        self = set
        return
      }
      number &+= 1
    }
    return nil
  }

  #if !QK_STATIC_INNER
    /// The set's name as a C string.
    @inline(__always) var cName: UnsafePointer<CChar> { name.cString }
  #endif
}

extension StaticString {
  /// The bytes of a literal, which the compiler ends with NUL.
  @inline(__always) var cString: UnsafePointer<CChar> {
    UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
  }
}

/// Whether two NUL-terminated strings are the same.
private func equal(_ a: UnsafePointer<CChar>, _ b: UnsafePointer<CChar>) -> Bool {
  var index = 0
  while a[index] == b[index] {
    if a[index] == 0 { return true }
    index &+= 1
  }
  return false
}
