import QModel

/// Writes files into a folder, which is made if its parent exists, together with other files: all or none, and no empty
/// folder is left behind.
func writeFiles(
  _ files: [(name: String, bytes: [UInt8])], toFolder folder: String, with others: [(path: String, bytes: [UInt8])] = []
) throws {
  let isNew = try makeFolder(folder)
  do {
    try writeFilesAtomically(others + files.map { (path: "\(folder)/\($0.name)", bytes: $0.bytes) })
  } catch {
    if isNew { removeEmptyFolder(folder) }
    throw error
  }
}
