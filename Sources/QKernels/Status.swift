/// The outcome of a QKernels call; the raw values are frozen because they cross the C border.
public enum Status: Int32, Error {
  /// Success.
  case ok = 0
  /// The bytes are not a model file, or one of another format version.
  case notAModel = 1
  /// The file is shorter or longer than its header says.
  case wrongSize = 2
  /// The checksum does not match the contents.
  case corrupted = 3
  /// A table, record or constant lies outside the file, or is misaligned.
  case badReference = 4
  /// A tensor record is inconsistent (type, rank, shape, byte count, storage).
  case badTensor = 5
  /// An operation code is unknown to this build.
  case unknownOp = 6
  /// An operation's parameters contradict its tensors.
  case badParams = 7
  /// A multiplier, shift, zero point or clamp is outside its domain.
  case badQuantization = 8
  /// The caller's arena or state buffer is too small or misaligned.
  case bufferTooSmall = 9
  /// An index or pointer argument is invalid.
  case badArgument = 10
  /// The self-test found a layer whose output differs.
  case selfTestFailed = 11
}
