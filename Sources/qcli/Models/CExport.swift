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

  /// The kernels that the model uses, each once, in the order of their codes.
  private var kernels: [OpCode] {
    Set(model.steps.map(\.code.rawValue)).sorted().compactMap { OpCode(rawValue: $0) }
  }

  /// An operation's name in qkernels.h: words in lower case, joined by `_`.
  static func kernelName(_ code: OpCode) -> String {
    let letters = Array("\(code)".unicodeScalars)
    var name = ""
    for (index, letter) in letters.enumerated() {
      let startsWord =
        letter.properties.isUppercase && index + 1 < letters.count && letters[index + 1].properties.isLowercase
      if startsWord { name += "_" }
      name += letter.properties.lowercaseMapping
    }
    return name
  }

  private var header: String {
    """
    /* Made by qcli export; do not edit.
     *
     *   static _Alignas(QK_ALIGNMENT) unsigned char arena[\(macro)_ARENA_BYTES];
     *   qk_model_verify_with(\(name)_bytes, \(macro)_BYTES, \(name)_kernels, \(macro)_KERNEL_COUNT);
     *   qk_init_with(&context, \(name)_bytes, arena, sizeof arena, state, \(macro)_STATE_BYTES, \(name)_kernels,
     *                \(macro)_KERNEL_COUNT);
     */
    #ifndef \(macro)_H
    #define \(macro)_H

    #include "qkernels.h"

    #if QK_FORMAT_VERSION != \(ModelFormat.version)
    #error "this model needs a library of format version \(ModelFormat.version)"
    #endif

    #ifdef __cplusplus
    extern "C" {
    #endif

    /* Size of the model, of the working memory of a run and of the state kept between runs. */
    #define \(macro)_BYTES \(bytes.count)
    #define \(macro)_ARENA_BYTES \(model.arenaByteCount)
    #define \(macro)_STATE_BYTES \(model.stateByteCount)
    \(describe("input", model.inputs))\(describe("output", model.outputs))
    /* The model file, aligned for use in place. */
    extern const unsigned char \(name)_bytes[\(macro)_BYTES];

    /* The kernels that the model uses. A program that names no others contains no others. */
    #define \(macro)_KERNEL_COUNT \(kernels.count)
    extern const qk_kernel \(name)_kernels[];

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

      const qk_kernel \(name)_kernels[] = {
      \(kernels.map { "    QK_KERNEL(\(Self.kernelName($0)))," }.joined(separator: "\n"))
      };

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
      _Static_assert(sizeof \(name)_kernels / sizeof \(name)_kernels[0] == \(macro)_KERNEL_COUNT,
                     "\(name).h and \(name).c are of different models");

      """.utf8)
    return text
  }
}
