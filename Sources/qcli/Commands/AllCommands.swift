/// The subcommands, in the order of the help.
let allCommands: [Command] = []
