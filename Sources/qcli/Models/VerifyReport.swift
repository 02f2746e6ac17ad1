extension VerifyReport {
  /// Decibels for a reader; "exact" where nothing differs.
  private static func text(_ decibels: Double) -> String {
    decibels == .infinity ? "exact" : fixed(decibels, decimals: 2)
  }

  private static func percent(_ share: Double) -> String { fixed(share * 100, decimals: 2) + " %" }

  /// Decibels to a thousandth: more digits would only show the order of additions. Null where nothing differs.
  private static func json(_ decibels: Double) -> JSON {
    decibels.isFinite ? .number((decibels * 1000).rounded() / 1000) : .null
  }

  func text(path: String, floatPath: String) -> String {
    var text = "\(path) against \(floatPath), \(grouped(sampleCount)) samples\n\n"
    var table = TextTable([
      ("output", .left), ("SQNR dB", .right), ("largest error", .right), ("same argmax", .right),
    ])
    for (output, agreement) in zip(outputs, agreements) {
      table.add([
        output.name, Self.text(output.total.decibels), "\(Float(output.total.largest))",
        agreement.map { "\(grouped($0)) of \(grouped(sampleCount))" } ?? "",
      ])
    }
    text += table.text(indent: 2)
    if let accuracy {
      func line(_ kind: String, _ hits: Int) -> String {
        let share = fixed(Double(hits) * 100 / Double(max(1, sampleCount)), decimals: 2)
        return "  \(kind) accuracy \(share) % (\(grouped(hits)) of \(grouped(sampleCount)))\n"
      }
      text += "\n" + line("float", accuracy.float) + line("int8 ", accuracy.integer)
    }

    var ranking = TextTable([
      ("#", .right), ("own dB", .right), ("total dB", .right), ("saturated", .right), ("op", .left), ("name", .left),
    ])
    for (index, layer) in layers.enumerated() {
      ranking.add([
        "\(index + 1)", Self.text(layer.own.decibels), Self.text(layer.total.decibels),
        Self.percent(layer.own.saturatedShare), layer.op, layer.name,
      ])
    }
    text += "\n" + ranking.text(indent: 2)
    if unmatched > 0 {
      text += "\n  \(unmatched) more named tensors of the float model are folded into their neighbours in the .qkm.\n"
    }
    return text
  }

  var json: JSON {
    var entries: [(key: String, value: JSON)] = [("samples", .integer(sampleCount))]
    if let accuracy {
      entries.append(("float_correct", .integer(accuracy.float)))
      entries.append(("int8_correct", .integer(accuracy.integer)))
    }
    entries += [
      (
        "outputs",
        .array(
          zip(outputs, agreements).map { output, agreement in
            .object([
              ("name", .string(output.name)), ("sqnr_db", Self.json(output.total.decibels)),
              ("max_abs_error", .float(Float(output.total.largest))),
              ("argmax_equal", agreement.map { .integer($0) } ?? .null),
            ])
          })
      ),
      (
        "layers",
        .array(
          layers.map { layer in
            .object([
              ("name", .string(layer.name)), ("op", .string(layer.op)), ("sqnr_db", Self.json(layer.own.decibels)),
              ("total_sqnr_db", Self.json(layer.total.decibels)),
              ("saturated_share", .number(layer.own.saturatedShare)),
              ("max_abs_error", .float(Float(layer.own.largest))),
            ])
          })
      ),
      ("unmatched", .integer(unmatched)),
    ]
    return .object(entries)
  }
}
