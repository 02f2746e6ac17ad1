import Testing

@testable import qcli

@Suite struct HelpTextTests {
  @Test func theLayout() {
    #expect(
      HelpText.help(for: sampleDeclaration) == """
        OVERVIEW: Mix paints until they are even.

        USAGE: qcli mix <base> <target> [--pigment <[name=]file> ...]
                 [--method <method>] [--turns <n>] [--output <can>] [--quiet]

        ARGUMENTS:
          <base>                  The paint to start from.
          <target>                The can to fill.

        OPTIONS:
          --pigment <[name=]file> A pigment to add.
          --method <method>       How to mix. (values: stir, shake; default: stir)
          --turns <n>             How many turns to make before the result is looked at
                                  for the first time by somebody. (default: 10)
          -o, --output <can>      Where to put it.
          --quiet                 Say nothing.
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func theLayoutOfTheProgram() {
    let other = CommandDeclaration(name: "quite-a-long-name-for-one", overview: "Do something else with it.")
    #expect(
      HelpText.help(overview: "Work with paint.", commands: [sampleDeclaration, other]) == """
        OVERVIEW: Work with paint.

        USAGE: qcli <subcommand>

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        SUBCOMMANDS:
          mix                     Mix paints until they are even.
          quite-a-long-name-for-one
                                  Do something else with it.

          See 'qcli help <subcommand>' for detailed help.

        """)
  }

  @Test func aDiscussionStandsBelowTheOverview() {
    let declaration = CommandDeclaration(
      name: "x", overview: "One.",
      discussion: "A paragraph that is long enough to be wrapped because it has more than eighty columns.\n\nAnother.")
    #expect(
      HelpText.help(for: declaration) == """
        OVERVIEW: One.

        A paragraph that is long enough to be wrapped because it has more than eighty
        columns.

        Another.

        USAGE: qcli x

        OPTIONS:
          --version               Show the version.
          -h, --help              Show help information.

        """)
  }

  @Test func noLineOfAnyCommandIsWiderThan80Columns() {
    for command in allCommands {
      for line in HelpText.help(for: command.declaration).split(separator: "\n") {
        #expect(line.count <= 80, "\(command.declaration.name): \(line)")
      }
    }
  }
}
