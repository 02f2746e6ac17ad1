import QModel

/// The arrays of one command line, checked against the model's inputs: as many samples in each.
struct SampleArrays: SampleSource {
  /// One array per model input.
  let arrays: [NPYArray]
  let sampleCount: Int

  /// Reads and checks one `.npy` file per input.
  ///
  /// - Parameters:
  ///   - values: the `[NAME=]FILE` values of `option`.
  ///   - names: the names of the model's inputs.
  ///   - layouts: their shapes.
  ///   - types: the element type that each array must have.
  ///   - isRaw: whether integers were asked for, for messages.
  /// - Throws: usage failures for names, `FileError`, `NPYError`, and malformed-input failures for types, shapes and
  ///   values that are not finite.
  init(
    _ values: [String], option: String, names: [String], layouts: [SampleLayout], types: [NPYElementType], isRaw: Bool
  ) throws {
    let paths = try assignFiles(values, to: names, option: option, kind: "input")
    var arrays: [NPYArray] = []
    var count: Int?
    for (index, path) in paths.enumerated() {
      guard let path else {
        throw CommandFailure.usage(
          "Missing \(option) for the input '\(names[index])' of shape \(layouts[index].expectation)")
      }
      let array = try NPYArray(parsing: try readFile(path), path: path)
      guard array.elementType == types[index] else {
        throw Self.wrongType(array, expected: types[index], input: names[index], isRaw: isRaw)
      }
      guard let samples = layouts[index].sampleCount(of: array.shape) else {
        throw CommandFailure.malformed(
          "\(path): shape \(npyShapeText(array.shape)), expected \(layouts[index].expectation) for the input"
            + " '\(names[index])', where N counts samples; reshape the array before it is saved")
      }
      if let first = count, first != samples {
        throw CommandFailure.malformed(
          "\(path): \(samples) samples, expected \(first) as in \(arrays[0].path); give every input the same number")
      }
      if let place = array.firstNonFiniteIndex() {
        throw CommandFailure.malformed(
          "\(path): element \(place) is not a finite number; remove NaN and infinity from the array")
      }
      count = samples
      arrays.append(array)
    }
    self.arrays = arrays
    sampleCount = count ?? 0
  }

  /// Elements of one sample of input `index`.
  private func elementCount(_ index: Int) -> Int { sampleCount == 0 ? 0 : arrays[index].count / sampleCount }

  /// The flat indices of sample `sample` in array `index`.
  func range(ofSample sample: Int, input index: Int) -> Range<Int> {
    let count = elementCount(index)
    return sample * count..<(sample + 1) * count
  }

  func sample(_ index: Int) throws(ModelError) -> [[Float]] {
    arrays.indices.map { arrays[$0].floats(in: range(ofSample: index, input: $0)) }
  }

  private static func wrongType(_ array: NPYArray, expected: NPYElementType, input: String, isRaw: Bool)
    -> CommandFailure
  {
    let remedy =
      if isRaw {
        "save x.astype(numpy.\(expected.rawValue)), or leave out --raw and give real values as float32"
      } else if array.elementType.isFloat {
        "save x.astype(numpy.float32)"
      } else {
        "save the real values as x.astype(numpy.float32), or pass --raw where the command has it"
      }
    return .malformed(
      "\(array.path): element type \(array.elementType.rawValue), expected \(expected.rawValue) for the input '\(input)';"
        + " \(remedy)")
  }
}
