import QKernels
import QModel

/// Collects every tensor that has a name in the source model while samples run, and writes them to a folder.
final class TraceRecorder: @unchecked Sendable {
  private let model: VerifiedModel
  private let folder: String
  private let isRaw: Bool
  /// The tensors to write, by index.
  private var builders: [Int: ArrayBuilder] = [:]
  /// The named tensors that a run computes, in the order of the file.
  private let recordedTensors: [Int]
  private let tensorsByMoment: [TensorAvailability: [Int]]

  /// - Parameter isRaw: whether to write integers instead of real values.
  init(model: VerifiedModel, folder: String, isRaw: Bool) {
    self.model = model
    self.folder = folder
    self.isRaw = isRaw
    let availability = model.availability
    recordedTensors = model.tensors.indices.filter { tensor in
      guard let name = model.tensors[tensor].name, !name.isEmpty else { return false }
      switch availability[tensor] {
      case .input, .step, .state: return true
      case .always, .never: return false
      }
    }
    tensorsByMoment = Dictionary(grouping: recordedTensors) { availability[$0] }
  }

  /// Makes room for `sampleCount` samples of every named activation.
  func prepare(sampleCount: Int) throws {
    let isBatched = model.inputs.contains { SampleLayout($0).batchAxis != nil }
    for tensor in recordedTensors {
      let info = model.tensors[tensor]
      builders[tensor] = try ArrayBuilder(
        info, layout: SampleLayout(info, allowsUnmarked: isBatched), sampleCount: sampleCount, isRaw: isRaw)
    }
  }

  /// Runs a session whose inputs are set, and records its tensors: each right after the step that computes it, since its
  /// memory is reused later.
  func run(_ session: Session, sample: Int) {
    func record(_ moment: TensorAvailability) {
      for tensor in tensorsByMoment[moment] ?? [] { builders[tensor]?.store(session, tensor: tensor, sample: sample) }
    }
    record(.input)
    for index in model.steps.indices {
      session.runStep(index)
      record(.step(index))
    }
    record(.state)
  }

  /// The files, one per tensor, and an index of them.
  private func files() -> [(name: String, bytes: [UInt8])] {
    var used: Set<String> = [Self.indexName]
    var files: [(name: String, bytes: [UInt8])] = []
    var entries: [JSON] = []
    for tensor in recordedTensors {
      guard let builder = builders[tensor], let name = model.tensors[tensor].name else { continue }
      let file = Self.fileName(for: name, used: &used)
      let array = builder.array()
      files.append((file, array.encoded()))
      let info = model.tensors[tensor]
      entries.append(
        .object([
          ("name", .string(name)), ("source_index", info.sourceIndex.map { .integer($0) } ?? .null),
          ("file", .string(file)), ("shape", .integers(array.shape)),
          ("type", .string(array.elementType.rawValue)), ("scale", .float(info.scale)),
          ("zero_point", .integer(info.zeroPoint)),
        ]))
    }
    files.append((Self.indexName, Array(JSON.object([("tensors", .array(entries))]).text.utf8)))
    return files
  }

  /// The file that says which tensor is in which file.
  static let indexName = "index.json"

  /// A file name made of a tensor's name: letters, digits, `.`, `_` and `-` stay, every other character becomes `_`, a
  /// leading `.` too; names that would collide get a number.
  static func fileName(for name: String, used: inout Set<String>) -> String {
    var stem = ""
    for scalar in name.unicodeScalars.prefix(200) {
      let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
      let isKept = isPlain || scalar == "_" || scalar == "-" || (scalar == "." && !stem.isEmpty)
      stem.unicodeScalars.append(isKept ? scalar : "_")
    }
    var file = stem + ".npy"
    var number = 2
    // Upper and lower case are one name on some file systems.
    while !used.insert(file.lowercased()).inserted {
      file = "\(stem)-\(number).npy"
      number += 1
    }
    return file
  }

  /// Writes the folder's files together with the files of the command's outputs: all or none.
  func write(with outputs: [(path: String, bytes: [UInt8])]) throws {
    try writeFiles(files(), toFolder: folder, with: outputs)
  }
}
