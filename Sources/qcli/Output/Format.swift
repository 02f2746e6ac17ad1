/// A number with a fixed count of decimals, rounded half away from zero; the same text on every machine.
///
/// Numbers whose scaled value leaves 2^53 are written in full precision instead.
func fixed(_ value: Double, decimals: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
  var power = 1.0
  for _ in 0..<decimals { power *= 10 }
  let scaled = (abs(value) * power).rounded(.toNearestOrAwayFromZero)
  guard scaled < 0x1p53 else { return "\(value)" }
  let digits = "\(Int64(scaled))"
  let padded = String(repeating: "0", count: max(0, decimals + 1 - digits.count)) + digits
  let sign = value < 0 && scaled > 0 ? "-" : ""
  guard decimals > 0 else { return sign + padded }
  return sign + padded.dropLast(decimals) + "." + padded.suffix(decimals)
}

/// An integer with a comma between groups of three digits.
func grouped(_ value: Int) -> String {
  let digits = Array("\(value.magnitude)")
  var text = value < 0 ? "-" : ""
  for (index, digit) in digits.enumerated() {
    if index > 0 && (digits.count - index) % 3 == 0 { text += "," }
    text.append(digit)
  }
  return text
}

/// Rows of text in aligned columns, two spaces apart, without spaces at the ends of lines.
struct TextTable {
  /// The side to which a column's cells are aligned.
  enum Alignment { case left, right }

  private let alignments: [Alignment]
  private var rows: [[String]] = []

  /// - Parameter header: title and alignment of each column.
  init(_ header: [(title: String, alignment: Alignment)]) {
    alignments = header.map(\.alignment)
    rows = [header.map(\.title)]
  }

  /// Adds a row with one cell per column.
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The table; every line is indented by `indent` columns and ends with a line break.
  func text(indent: Int = 0) -> String { text(rows, indent: indent) }

  /// The table without its titles.
  func body(indent: Int = 0) -> String { text(Array(rows.dropFirst()), indent: indent) }

  private func text(_ rows: [[String]], indent: Int) -> String {
    let widths = alignments.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    var text = ""
    for row in rows {
      var line = String(repeating: " ", count: indent)
      for (column, cell) in row.enumerated() {
        let space = String(repeating: " ", count: widths[column] - cell.count)
        if column > 0 { line += "  " }
        line += alignments[column] == .left ? cell + space : space + cell
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
    return text
  }
}
