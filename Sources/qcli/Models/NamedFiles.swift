import QModel

/// Assigns `[NAME=]FILE` values to a model's inputs or outputs.
///
/// A value is named if it starts with a tensor's name and `=`; names may contain any character, the longest wins. Unnamed
/// values go to the tensors that no value names, in the model's order. A path with `=` that is not meant as a name starts
/// with `./` or `/`.
///
/// - Parameters:
///   - values: what followed the options.
///   - names: the names of the inputs or outputs, in the model's order.
///   - option: the option, for messages: `--input`.
///   - kind: what the tensors are, for messages: `input`.
/// - Returns: for each tensor the path, or nil.
/// - Throws: a usage failure for an unknown name, a second file for one tensor, or more files than tensors.
func assignFiles(_ values: [String], to names: [String], option: String, kind: String) throws -> [String?] {
  var paths = [String?](repeating: nil, count: names.count)
  var unnamed: [String] = []
  let known = names.map { "'\($0)'" }.joined(separator: ", ")
  for value in values {
    let candidates = names.indices.filter { value.hasPrefix(names[$0] + "=") }
    if let index = candidates.max(by: { names[$0].count < names[$1].count }) {
      guard paths[index] == nil else {
        throw CommandFailure.usage("The \(kind) '\(names[index])' has more than one \(option)")
      }
      paths[index] = String(value.dropFirst(names[index].count + 1))
    } else if let equals = value.firstIndex(of: "="), !value.hasPrefix("/"), !value.hasPrefix("./"),
      !value.hasPrefix("../")
    {
      let name = String(value[..<equals])
      throw CommandFailure.usage(
        "The model has no \(kind) named '\(name)'; its \(kind)s are \(known)"
          + didYouMean(name, among: names) + " (a path that contains '=' must start with './')")
    } else {
      unnamed.append(value)
    }
  }
  for value in unnamed {
    guard let index = paths.firstIndex(where: { $0 == nil }) else {
      throw CommandFailure.usage(
        "There are more \(option) files than the model has \(kind)s (\(names.count)): \(known)")
    }
    paths[index] = value
  }
  return paths
}

/// The names by which a caller addresses tensors: those of the source model, or `input0`, `output0` and so on where it
/// has none.
func callerNames(_ names: [String?], kind: String) -> [String] {
  names.enumerated().map { index, name in name.flatMap { $0.isEmpty ? nil : $0 } ?? "\(kind)\(index)" }
}
