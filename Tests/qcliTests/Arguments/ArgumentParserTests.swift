import Testing

@testable import qcli

/// A declaration with one of everything.
let sampleDeclaration = CommandDeclaration(
  name: "mix", overview: "Mix paints until they are even.",
  arguments: [
    ArgumentDeclaration(name: "base", help: "The paint to start from."),
    ArgumentDeclaration(name: "target", help: "The can to fill."),
  ],
  options: [
    OptionDeclaration(
      name: "pigment", value: .text(placeholder: "[name=]file"), isRepeated: true, help: "A pigment to add."),
    OptionDeclaration(
      name: "method", value: .choice(placeholder: "method", words: ["stir", "shake"]), defaultText: "stir",
      help: "How to mix."),
    OptionDeclaration(
      name: "turns", value: .integer(placeholder: "n", range: 1...100), defaultText: "10",
      help: "How many turns to make before the result is looked at for the first time by somebody."),
    OptionDeclaration(name: "output", short: "o", value: .text(placeholder: "can"), help: "Where to put it."),
    OptionDeclaration(name: "quiet", value: .flag, help: "Say nothing."),
  ])

private func parse(_ words: String...) throws(UsageError) -> ParsedArguments {
  switch try ArgumentParser(declaration: sampleDeclaration).parse(words) {
  case .run(let parsed): return parsed
  case .help: throw UsageError(message: "(help)")
  case .version: throw UsageError(message: "(version)")
  }
}

private func refusal(_ words: String...) -> String? {
  do throws(UsageError) {
    _ = try ArgumentParser(declaration: sampleDeclaration).parse(words)
    return nil
  } catch {
    return error.message
  }
}

@Suite struct ArgumentParserTests {
  @Test func positionalsAndOptionsMixFreely() throws {
    let parsed = try parse("--method", "shake", "a", "-o", "can", "b", "--turns=7", "--quiet")
    #expect(parsed.positionals == ["a", "b"])
    #expect(parsed.text("method") == "shake")
    #expect(parsed.text("output") == "can")
    #expect(parsed.integer("turns") == 7)
    #expect(parsed.has("quiet"))
    #expect(!parsed.has("pigment"))
    #expect(parsed.texts("pigment") == [])
  }

  @Test func everySpellingOfAValue() throws {
    #expect(try parse("a", "b", "--output", "x").text("output") == "x")
    #expect(try parse("a", "b", "--output=x=y").text("output") == "x=y")
    #expect(try parse("a", "b", "-o", "-").text("output") == "-")
    #expect(try parse("a", "b", "-o=").text("output") == "")
  }

  @Test func aRepeatedOptionCollects() throws {
    #expect(try parse("a", "b", "--pigment", "x", "--pigment", "y=z").texts("pigment") == ["x", "y=z"])
    #expect(try parse("a", "b", "--pigment", "x", "y", "--quiet").texts("pigment") == ["x", "y"])
    #expect(try parse("a", "b", "--pigment=x", "--pigment", "y").texts("pigment") == ["x", "y"])
  }

  @Test func positionalsAfterARepeatedOptionAreItsLastValues() throws {
    let both = try parse("--pigment", "x", "y", "a", "b")
    #expect(both.texts("pigment") == ["x", "y"])
    #expect(both.positionals == ["a", "b"])
    let one = try parse("a", "--pigment", "x", "b", "--quiet")
    #expect(one.texts("pigment") == ["x"])
    #expect(one.positionals == ["a", "b"])
    let split = try parse("--pigment", "x", "a", "--quiet", "--pigment", "y", "b")
    #expect(split.texts("pigment") == ["x", "y"])
    #expect(split.positionals == ["a", "b"])
    // The value that is written to the option itself is never given back.
    #expect(refusal("a", "--pigment", "x") == "Missing expected argument '<target>'")
    #expect(refusal("a", "--pigment=x", "b") == nil)
  }

  @Test func twoDashesEndTheOptions() throws {
    #expect(try parse("a", "--", "--quiet").positionals == ["a", "--quiet"])
    #expect(try parse("--quiet", "--", "a", "--help").positionals == ["a", "--help"])
  }

  @Test func helpAndVersionWin() {
    for words in [["--help"], ["-h"], ["--nonsense", "-h"], ["a", "b", "c", "--help"], ["--version", "--help"]] {
      guard case .help? = try? ArgumentParser(declaration: sampleDeclaration).parse(words) else {
        Issue.record("\(words)")
        continue
      }
    }
    guard case .version? = try? ArgumentParser(declaration: sampleDeclaration).parse(["a", "--version"]) else {
      Issue.record("--version")
      return
    }
  }

  @Test func refusals() {
    #expect(refusal() == "Missing expected argument '<base>'")
    #expect(refusal("a") == "Missing expected argument '<target>'")
    #expect(refusal("a", "b", "c") == "Unexpected argument 'c'")
    #expect(refusal("a", "b", "--pigmet", "x") == "Unknown option '--pigmet'. Did you mean '--pigment'?")
    #expect(refusal("a", "b", "--zebra") == "Unknown option '--zebra'")
    #expect(refusal("a", "b", "-x") == "Unknown option '-x'")
    #expect(refusal("a", "b", "-output", "x") == "Unknown option '-output'. Did you mean '--output'?")
    #expect(refusal("a", "b", "--output") == "Missing value for '--output <can>'")
    #expect(refusal("a", "b", "--output", "--quiet") == "Missing value for '--output <can>'")
    #expect(refusal("a", "b", "--quiet=yes") == "The option '--quiet' takes no value")
    #expect(refusal("a", "b", "-o", "x", "--output", "y") == "The option '--output' is given more than once")
    #expect(
      refusal("a", "b", "--turns", "0")
        == "The value '0' is invalid for '--turns <n>': expected an integer from 1 to 100")
    #expect(
      refusal("a", "b", "--turns", "-5")
        == "The value '-5' is invalid for '--turns <n>': expected an integer from 1 to 100")
    #expect(
      refusal("a", "b", "--turns", "ten")
        == "The value 'ten' is invalid for '--turns <n>': expected an integer from 1 to 100")
    #expect(
      refusal("a", "b", "--method", "shaek")
        == "The value 'shaek' is invalid for '--method <method>': expected one of stir, shake. Did you mean 'shake'?")
  }

  @Test func aRequiredOptionIsAskedFor() {
    let declaration = CommandDeclaration(
      name: "x", overview: "X.",
      options: [OptionDeclaration(name: "input", value: .text(placeholder: "file"), isRequired: true, help: "In.")])
    #expect(throws: UsageError(message: "Missing expected option '--input <file>'")) {
      try ArgumentParser(declaration: declaration).parse([])
    }
  }

  @Test(arguments: [
    ("", "", 0), ("a", "", 1), ("", "abc", 3), ("same", "same", 0), ("kitten", "sitting", 3), ("ab", "ba", 1),
    ("quantise", "quantize", 1), ("inefr", "infer", 1), ("ca", "abc", 3),
  ])
  func distances(a: String, b: String, distance: Int) {
    #expect(editDistance(a, b) == distance)
    #expect(editDistance(b, a) == distance)
  }
}
