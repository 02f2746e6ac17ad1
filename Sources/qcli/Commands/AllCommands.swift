/// The subcommands, in the order of the help.
let allCommands: [Command] = [
  InferCommand.command,
  InspectCommand.command,
  BenchCommand.command,
]
