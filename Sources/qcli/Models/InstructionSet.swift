import QKernels
import QModel

/// The instruction set to run on: the one that the environment variable `QK_ISA` names, else the fastest of this machine.
///
/// - Throws: a usage failure when this machine does not have it; it names those that it has.
func chosenInstructionSet(environment: (String) -> String? = environmentValue) throws -> InnerSet {
  guard let name = environment("QK_ISA"), !name.isEmpty else { return .best }
  // Raw values are small and frozen; the enumeration lists no cases, since bare-metal builds have none.
  let available = (0..<Int32(64)).compactMap { InnerSet(rawValue: $0) }.filter(\.isAvailable)
  guard let set = available.first(where: { "\($0.name)" == name }) else {
    let names = available.map { "\($0.name)" }
    throw CommandFailure.usage(
      "The environment variable QK_ISA is '\(name)', expected one of this machine's instruction sets: "
        + names.joined(separator: ", ") + didYouMean(name, among: names))
  }
  return set
}
