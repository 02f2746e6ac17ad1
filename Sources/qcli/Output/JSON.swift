/// A JSON document with the order of its keys kept, so that equal results are equal bytes.
indirect enum JSON {
  case null
  case bool(Bool)
  case integer(Int)
  /// Written with the fewest digits that give the same number back; null when it is not finite, as JSON has no such.
  case number(Double)
  /// The same for a single-precision number.
  case float(Float)
  case string(String)
  case array([JSON])
  case object([(key: String, value: JSON)])

  /// The document with a line break at its end: one entry a line, arrays of plain values in one line.
  var text: String {
    var text = ""
    write(to: &text, indent: 0)
    return text + "\n"
  }

  private var isNested: Bool {
    switch self {
    case .array, .object: true
    case .null, .bool, .integer, .number, .float, .string: false
    }
  }

  private func write(to text: inout String, indent: Int) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += "\(value)"
    case .number(let value): text += Self.number(value, digits: "\(value)")
    case .float(let value): text += Self.number(Double(value), digits: "\(value)")
    case .string(let value): Self.quote(value, to: &text)
    case .array(let values):
      let isFlat = !values.contains { $0.isNested }
      Self.list(values, "[", "]", isFlat: isFlat, indent: indent, to: &text) { value, text in
        value.write(to: &text, indent: indent + 2)
      }
    case .object(let entries):
      Self.list(entries, "{", "}", isFlat: entries.isEmpty, indent: indent, to: &text) { entry, text in
        Self.quote(entry.key, to: &text)
        text += ": "
        entry.value.write(to: &text, indent: indent + 2)
      }
    }
  }

  private static func list<Element>(
    _ elements: [Element], _ open: String, _ close: String, isFlat: Bool, indent: Int, to text: inout String,
    _ write: (Element, inout String) -> Void
  ) {
    text += open
    for (index, element) in elements.enumerated() {
      if index > 0 { text += "," }
      if !isFlat {
        text += "\n" + String(repeating: " ", count: indent + 2)
      } else if index > 0 {
        text += " "
      }
      write(element, &text)
    }
    if !isFlat { text += "\n" + String(repeating: " ", count: indent) }
    text += close
  }

  private static func number(_ value: Double, digits: String) -> String {
    guard value.isFinite else { return "null" }
    // Whole numbers that a Double holds exactly need no fraction.
    if value == value.rounded() && abs(value) < 0x1p53 { return "\(Int64(value))" }
    return digits
  }

  private static func quote(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case "\u{0}"..."\u{1F}", "\u{7F}":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral {
  init(stringLiteral value: String) { self = .string(value) }
  init(integerLiteral value: Int) { self = .integer(value) }
  init(booleanLiteral value: Bool) { self = .bool(value) }

  /// A list of integers.
  static func integers(_ values: [Int]) -> JSON { .array(values.map { .integer($0) }) }
}
