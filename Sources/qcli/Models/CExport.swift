import QKernels
import QModel

/// A model as C source: a header with its numbers and a source file with its bytes as a `const` array.
struct CExport {
  /// What files, symbols and macros are called.
  let name: String
  private let bytes: [UInt8]
  private let model: VerifiedModel

  /// - Parameter name: a C identifier.
  init(bytes: [UInt8], model: VerifiedModel, name: String) {
    self.bytes = bytes
    self.model = model
    self.name = name
  }

  /// Whether text can be a C identifier: letters, digits and `_`, no digit first, no reserved leading `_`.
  static func isIdentifier(_ text: String) -> Bool {
    guard let first = text.utf8.first, isLetter(first) else { return false }
    return text.utf8.allSatisfy {
      isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "_")
    }
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
  }

  private var macro: String { name.uppercased() }

  /// The names and contents of the files.
  var files: [(name: String, bytes: [UInt8])] {
    [("\(name).h", Array(header.utf8)), ("\(name).c", source)]
  }

  /// A name or other text from the model, safe inside a comment.
  private static func comment(_ text: String) -> String {
    String(
      text.unicodeScalars.map { scalar -> Character in
        // "*/" would end the comment, a backslash could join lines.
        scalar.value >= 0x20 && scalar.value < 0x7F && scalar != "*" && scalar != "\\" ? Character(scalar) : "?"
      })
  }

  private func describe(_ kind: String, _ infos: [TensorInfo]) -> String {
    var text = ""
    for (index, (info, name)) in zip(infos, callerNames(infos.map(\.name), kind: kind)).enumerated() {
      let macro = "\(macro)_\(kind.uppercased())\(index)"
      text +=
        "\n/* \(kind) \(index), \"\(Self.comment(name))\": \(info.type) [\(info.shape.map { "\($0)" }.joined(separator: "]["))]"
      text += ", real = \(info.scale) * (q - \(info.zeroPoint)) */\n"
      text += "#define \(macro)_BYTES \(info.byteCount)\n"
    }
    return text
  }

  private var header: String {
    """
    /* Made by qcli export; do not edit. */
    #ifndef \(macro)_H
    #define \(macro)_H

    #ifdef __cplusplus
    extern "C" {
    #endif

    /* Size of the model, of the working memory of a run and of the state kept between runs. */
    #define \(macro)_BYTES \(bytes.count)
    #define \(macro)_ARENA_BYTES \(model.arenaByteCount)
    #define \(macro)_STATE_BYTES \(model.stateByteCount)
    /* The version of file layout and arithmetic that the library must have. */
    #define \(macro)_FORMAT_VERSION \(ModelFormat.version)
    \(describe("input", model.inputs))\(describe("output", model.outputs))
    /* The model file, aligned for use in place. */
    extern const unsigned char \(name)_bytes[\(macro)_BYTES];

    #ifdef __cplusplus
    }
    #endif
    #endif

    """
  }

  private var source: [UInt8] {
    var text = Array(
      """
      /* Made by qcli export; do not edit. */
      #include "\(name).h"

      /* 64 bytes: a cache line, and the alignment of every section. */
      _Alignas(64) const unsigned char \(name)_bytes[] = {

      """.utf8)
    text.reserveCapacity(text.count + 4 * bytes.count + bytes.count / 4)
    for (index, byte) in bytes.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      if index > 0 && index % 24 == 0 { text.append(UInt8(ascii: "\n")) }
      if byte >= 100 { text.append(UInt8(ascii: "0") + byte / 100) }
      if byte >= 10 { text.append(UInt8(ascii: "0") + byte / 10 % 10) }
      text.append(UInt8(ascii: "0") + byte % 10)
    }
    text += Array(
      """
      };

      _Static_assert(sizeof \(name)_bytes == \(macro)_BYTES, "\(name).h and \(name).c are of different models");

      """.utf8)
    return text
  }
}
