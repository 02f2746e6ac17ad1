import Testing

@testable import qcli

@Suite struct JSONTests {
  @Test func aDocument() {
    let document = JSON.object([
      ("name", "conv \"1\"\\\n\t\u{1}\u{7F}é"), ("count", 3), ("ok", true), ("none", .null), ("rate", .number(0.1)),
      ("shape", .integers([1, 28, 28])), ("empty", .array([])), ("nothing", .object([])),
      ("ops", .array([.object([("a", 1)]), .object([("b", false)])])),
    ])
    #expect(
      document.text == #"""
        {
          "name": "conv \"1\"\\\n\t\u0001\u007fé",
          "count": 3,
          "ok": true,
          "none": null,
          "rate": 0.1,
          "shape": [1, 28, 28],
          "empty": [],
          "nothing": {},
          "ops": [
            {
              "a": 1
            },
            {
              "b": false
            }
          ]
        }

        """#)
  }

  @Test(arguments: [
    (0.0, "0"), (-0.0, "0"), (1.0, "1"), (-2.5, "-2.5"), (1e300, "1e+300"), (5e-324, "5e-324"), (.nan, "null"),
    (.infinity, "null"), (9007199254740991, "9007199254740991"), (0.30000000000000004, "0.30000000000000004"),
  ])
  func numbers(value: Double, text: String) {
    #expect(JSON.number(value).text == text + "\n")
  }
}

@Suite struct FormatTests {
  @Test(arguments: [
    (0.0, 1, "0.0"), (0.05, 1, "0.1"), (-0.04, 1, "0.0"), (-0.06, 1, "-0.1"), (12.345, 2, "12.35"), (99.995, 0, "100"),
    (0.001, 3, "0.001"), (1234.5, 1, "1234.5"), (.nan, 1, "nan"), (.infinity, 1, "inf"), (-.infinity, 1, "-inf"),
    (1e20, 2, "1e+20"),
  ])
  func fixedDecimals(value: Double, decimals: Int, text: String) {
    #expect(fixed(value, decimals: decimals) == text)
  }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1,000"), (-1234567, "-1,234,567"), (Int.min, "-9,223,372,036,854,775,808"),
  ])
  func groups(value: Int, text: String) {
    #expect(grouped(value) == text)
  }

  @Test func tables() {
    var table = TextTable([("op", .left), ("time", .right), ("note", .left)])
    table.add(["conv", "1.5", ""])
    table.add(["a-longer-name", "12.25", "slow"])
    #expect(
      table.text(indent: 2) == """
          op              time  note
          conv             1.5
          a-longer-name  12.25  slow

        """)
  }
}

@Suite struct ProgressLineTests {
  @Test func nothingIsShownWhenPiped() {
    let captured = CapturedConsole(showsProgress: false)
    var line = ProgressLine("Calibrating", on: captured.console)
    line.update(1, of: 2)
    line.finish()
    #expect(captured.error == "")
  }

  @Test func aLineAppearsAndVanishesOnATerminal() {
    let captured = CapturedConsole(showsProgress: true)
    var line = ProgressLine("Calibrating", on: captured.console)
    line.update(1, of: 3)
    line.update(2, of: 3)
    line.finish()
    // The second update comes too soon after the first.
    #expect(captured.error == "\r\u{1B}[KCalibrating: 1 of 3 (33 %)\r\u{1B}[K")
  }
}
