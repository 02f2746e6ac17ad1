import Testing

@testable import QModel
@testable import qcli

@Suite struct SampleLayoutTests {
  @Test func whatFits() {
    let image = SampleLayout(shape: [1, 28, 28], batchAxis: nil)
    #expect(image.sampleCount(of: [5, 28, 28]) == 5)
    #expect(image.sampleCount(of: [5, 1, 28, 28]) == 5)
    #expect(image.sampleCount(of: [1, 28, 28]) == 1)
    #expect(image.sampleCount(of: [0, 28, 28]) == 0)
    #expect(image.sampleCount(of: [28, 28]) == nil)
    #expect(image.sampleCount(of: [5, 28, 27]) == nil)
    #expect(image.sampleCount(of: [5, 1, 1, 28, 28]) == nil)
    #expect(image.sampleCount(of: []) == nil)
    #expect(image.sampleShape == [28, 28])
    #expect(image.expectation == "(N, 28, 28) or (N, 1, 28, 28)")
  }

  @Test func aMarkedBatchAxisMayBeAnywhere() {
    // Time first, as recurrent models have it.
    let sequence = SampleLayout(shape: [28, 1, 20], batchAxis: 1)
    #expect(sequence.sampleCount(of: [5, 28, 20]) == 5)
    #expect(sequence.sampleCount(of: [5, 28, 1, 20]) == 5)
    #expect(sequence.sampleCount(of: [5, 1, 28, 20]) == nil)
    #expect(sequence.sampleShape == [28, 20])
  }

  @Test func aModelWithoutBatchAxis() {
    let vector = SampleLayout(shape: [3], batchAxis: nil)
    #expect(vector.sampleCount(of: [7, 3]) == 7)
    #expect(vector.sampleCount(of: [3]) == nil)
    #expect(vector.sampleShape == [3])
    #expect(vector.expectation == "(N, 3)")
    let scalar = SampleLayout(shape: [], batchAxis: nil)
    #expect(scalar.sampleCount(of: [7]) == 7)
    #expect(scalar.expectation == "(N,)")
    let one = SampleLayout(shape: [1], batchAxis: nil)
    #expect(one.sampleCount(of: [7]) == 7)
    #expect(one.sampleCount(of: [7, 1]) == 7)
    #expect(one.expectation == "(N,) or (N, 1)")
  }

  @Test func anOutputLosesAnUnmarkedAxisOnlyInABatchedModel() {
    func info(_ shape: [Int], batchAxis: Int? = nil) -> TensorInfo {
      TensorInfo(
        index: 0, name: nil, shape: shape, type: .int8, scale: 1, zeroPoint: 0, sourceLayout: nil, batchAxis: batchAxis)
    }
    #expect(outputLayouts(of: [info([1, 10])], inputs: [info([1, 4])])[0].sampleShape == [10])
    #expect(outputLayouts(of: [info([1, 10])], inputs: [info([28, 4])])[0].sampleShape == [1, 10])
    #expect(
      outputLayouts(of: [info([2, 1, 10], batchAxis: 1)], inputs: [info([28, 1, 4], batchAxis: 1)])[0].sampleShape
        == [2, 10])
  }

  @Test func aGraphTensorIsSeenInItsSourceLayout() {
    let tensor = GraphTensor(name: "x", shape: [1, 8, 9, 3], sourceLayout: [0, 3, 1, 2], batchAxis: 0)
    #expect(SampleLayout(tensor).fullShape == [1, 3, 8, 9])
    #expect(SampleLayout(tensor).sampleShape == [3, 8, 9])
  }

  @Test func reorderingFollowsTheSourceLayout() {
    // Source [C=2, H=2, W=3] to stored [H, W, C].
    let values = (0..<12).map { Float($0) }
    #expect(
      reordered(values, shape: [2, 3, 2], sourceLayout: [2, 0, 1]) == [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11])
  }
}

@Suite struct NamedFilesTests {
  private func assign(_ values: [String], _ names: [String]) throws -> [String?] {
    try assignFiles(values, to: names, option: "--input", kind: "input")
  }

  @Test func unnamedFilesFillTheGaps() throws {
    #expect(try assign(["a", "b"], ["x", "y"]) == ["a", "b"])
    #expect(try assign(["a", "x=b"], ["x", "y"]) == ["b", "a"])
    #expect(try assign(["y=b"], ["x", "y"]) == [nil, "b"])
    #expect(try assign([], ["x"]) == [nil])
  }

  @Test func theLongestNameWins() throws {
    #expect(try assign(["x=1=f.npy"], ["x", "x=1"]) == [nil, "f.npy"])
    #expect(try assign(["x=2=f.npy"], ["x", "x=1"]) == ["2=f.npy", nil])
  }

  @Test func aPathWithAnEqualsSignSaysSo() throws {
    #expect(try assign(["./a=b.npy"], ["x"]) == ["./a=b.npy"])
    #expect(try assign(["/tmp/a=b.npy"], ["x"]) == ["/tmp/a=b.npy"])
    #expect(throws: CommandFailure.self) { try assign(["a=b.npy"], ["x"]) }
  }

  @Test func refusals() {
    #expect(throws: CommandFailure.usage("The input 'x' has more than one --input")) {
      try assign(["x=a", "x=b"], ["x", "y"])
    }
    #expect(throws: CommandFailure.usage("There are more --input files than the model has inputs (1): 'x'")) {
      try assign(["a", "b"], ["x"])
    }
  }

  @Test func callerNamesFillIn() {
    #expect(callerNames(["a", nil, ""], kind: "input") == ["a", "input1", "input2"])
  }
}

@Suite struct TraceFileNameTests {
  @Test func namesBecomePlain() {
    var used: Set<String> = []
    func file(_ name: String) -> String { TraceRecorder.fileName(for: name, used: &used) }
    #expect(file("model/conv1/Relu:0") == "model_conv1_Relu_0.npy")
    #expect(file("model_conv1_Relu:0") == "model_conv1_Relu_0-2.npy")
    #expect(file("Model_conv1_Relu:0") == "Model_conv1_Relu_0-3.npy")
    #expect(file("../../etc/passwd") == "_._.._etc_passwd.npy")
    #expect(file("é x") == "__x.npy")
    #expect(file(String(repeating: "a", count: 500)).utf8.count == 204)
  }
}

@Suite struct ArrayBuilderTests {
  @Test func moreSamplesThanMemoryAreRefused() {
    let info = TensorInfo(
      index: 0, name: "y", shape: [1 << 20], type: .int8, scale: 1, zeroPoint: 0, sourceLayout: nil, batchAxis: nil)
    for count in [1 << 50, Int.max] {
      #expect(throws: CommandFailure.self) {
        try ArrayBuilder(info, layout: SampleLayout(info), sampleCount: count, isRaw: false)
      }
    }
  }
}
