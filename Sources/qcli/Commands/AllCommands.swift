/// The subcommands, in the order of the help.
let allCommands: [Command] = [
  QuantizeCommand.command,
  InferCommand.command,
  InspectCommand.command,
  VerifyCommand.command,
  BenchCommand.command,
  OpsCommand.command,
  ExportCommand.command,
]
