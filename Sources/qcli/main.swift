#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#endif

exit(runQCLI(arguments: Array(CommandLine.arguments.dropFirst()), console: .standard()))
