import Testing

@testable import QKernels
@testable import QModel

/// A bad model is refused, never run: every bit of every record of a step of each op, changed.
///
/// Either verification throws, or the model runs and writes nothing outside its arena. Reads outside are what the
/// address sanitizer sees when these tests run under it.
@Suite struct ValidationTests {
  @Test(arguments: ValidationModel.all) func everyChangedBitIsRefusedOrHarmless(_ model: ValidationModel) throws {
    let bytes = try model.make()
    let header = bytes.withUnsafeBytes { $0.loadUnaligned(as: ModelHeader.self) }
    // The unchanged model runs.
    #expect(try runDamaged(bytes, sealed: header) == .ran)
    var refused = 0, ran = 0
    let sections = [
      (header.tensorOffset, header.tensorCount * 64), (header.stepOffset, header.stepCount * 32),
      (header.operandOffset, header.operandCount * 4), (header.paramsOffset, header.paramsByteCount),
    ]
    for (offset, count) in sections {
      for index in Int(offset)..<Int(offset + count) {
        for bit in [0, 1, 3, 6, 7] {
          var damaged = bytes
          damaged[index] ^= 1 << UInt8(bit)
          if try runDamaged(damaged, sealed: header) == .ran { ran += 1 } else { refused += 1 }
        }
      }
    }
    #expect(refused > ran / 8, "\(model.name): \(refused) refused, \(ran) ran")
  }

  private enum Outcome { case ran, refused }

  /// Seals the file again and runs it if it verifies.
  private func runDamaged(_ bytes: [UInt8], sealed header: ModelHeader) throws -> Outcome {
    var bytes = bytes
    var header = header
    header.seal(&bytes)
    let file = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 64)
    defer { file.deallocate() }
    file.copyBytes(from: bytes)
    guard let base = file.baseAddress, let plan = try? Plan(validating: base, byteCount: bytes.count) else {
      return .refused
    }
    let guardBytes = 128
    let arena = UnsafeMutableRawBufferPointer.allocate(byteCount: plan.arenaByteCount + 2 * guardBytes, alignment: 64)
    let state = UnsafeMutableRawBufferPointer.allocate(byteCount: plan.stateByteCount + 2 * guardBytes, alignment: 64)
    defer {
      arena.deallocate()
      state.deallocate()
    }
    for buffer in [arena, state] {
      for index in buffer.indices { buffer[index] = UInt8(truncatingIfNeeded: index &* 59 &+ 5) }
    }
    let runner = try PlanRunner(
      plan: plan, arena: UnsafeMutableRawBufferPointer(rebasing: arena[guardBytes..<arena.count - guardBytes]),
      state: UnsafeMutableRawBufferPointer(rebasing: state[guardBytes..<state.count - guardBytes]), set: .scalar)
    runner.run()
    for buffer in [arena, state] {
      for index in Array(0..<guardBytes) + Array(buffer.count - guardBytes..<buffer.count) {
        #expect(buffer[index] == UInt8(truncatingIfNeeded: index &* 59 &+ 5), "wrote outside at \(index)")
      }
    }
    #expect(file.elementsEqual(bytes), "changed the model")
    return .ran
  }
}

/// A small sound model of one step.
struct ValidationModel: CustomTestStringConvertible, Sendable {
  var name: String
  var make: @Sendable () throws -> [UInt8]
  var testDescription: String { name }

  private static func operand(_ shape: [Int], _ type: StoredType = .int8, place: Operand.Place = .arena) -> Operand {
    Operand(shape: shape, type: type, values: (0..<shape.reduce(1, *)).map { $0 % 100 - 50 }, place: place)
  }

  private static func model<Params: BitwiseCopyable>(
    _ code: OpCode, _ inputs: [Operand], _ output: Operand, scratch: @escaping @Sendable (Params) -> Int = { _ in 0 },
    _ makeParams: @escaping @Sendable (inout PlanBuilder) -> Params
  ) -> ValidationModel {
    let frozen = inputs
    return ValidationModel(name: "\(code)") {
      try buildStep(code, inputs: frozen, outputs: [output], scratch: scratch, makeParams: makeParams)
    }
  }

  private static func quantization(_ channels: Int) -> LayerQuantization {
    LayerQuantization(
      bias: [Int](repeating: 7, count: channels), multipliers: [Int](repeating: 1 << 30, count: channels),
      shifts: [Int](repeating: -6, count: channels), outputZeroPoint: 0, outputMin: -128, outputMax: 127)
  }

  private static func record(_ builder: inout PlanBuilder, channels: Int, weights: Int, rows: Int = 1)
    -> ChannelQuantization
  {
    quantization(channels).record(
      &builder, weights: (0..<weights).map { Int8($0 % 7 - 3) },
      sums: [[Int]](repeating: [Int](repeating: 0, count: channels), count: rows), inputZeroPoint: 0)
  }

  private static func wideRecord(_ builder: inout PlanBuilder, channels: Int, weights: Int, rows: Int = 1)
    -> WideChannelQuantization
  {
    quantization(channels).wideRecord(
      &builder, weights: (0..<weights).map { Int8($0 % 7 - 3) },
      sums: [[Int]](repeating: [Int](repeating: 0, count: channels), count: rows), inputZeroPoint: 0)
  }

  private static let window = Window2D(
    kernelHeight: 2, kernelWidth: 3, strideHeight: 1, strideWidth: 2, padTop: 1, padLeft: 1)
  private static let factor: Int32 = 1 << 30
  private static let ascending: InlineArray<6, Int32> = [0, 1, 2, 3, 4, 5]
  private static let image = operand([1, 4, 5, 3]), wideImage = operand([1, 4, 5, 3], .int16)

  /// One model for every op that this module implements.
  static let all: [ValidationModel] = layers + arithmetic + movement

  private static let layers: [ValidationModel] = [
    model(.conv2D, [image], operand([1, 4, 3, 4]), scratch: { (p: Conv2DParams) in 1024 }) {
      Conv2DParams(
        geometry: Conv2DGeometry(window: window), quantization: record(&$0, channels: 4, weights: 2 * 3 * 64))
    },
    model(.conv2DInt16, [wideImage], operand([1, 4, 3, 4], .int16), scratch: { (p: Conv2DInt16Params) in 1024 }) {
      Conv2DInt16Params(
        geometry: Conv2DGeometry(window: window), quantization: wideRecord(&$0, channels: 4, weights: 2 * 3 * 64))
    },
    model(.depthwiseConv2D, [image], operand([1, 4, 3, 6]), scratch: { (p: DepthwiseConv2DParams) in 1024 }) {
      DepthwiseConv2DParams(
        geometry: DepthwiseConv2DGeometry(window: window, depthMultiplier: 2),
        quantization: record(&$0, channels: 6, weights: 2 * 64))
    },
    model(
      .depthwiseConv2DInt16, [wideImage], operand([1, 4, 3, 6], .int16),
      scratch: { (p: DepthwiseConv2DInt16Params) in 1024 }
    ) {
      DepthwiseConv2DInt16Params(
        geometry: DepthwiseConv2DGeometry(window: window, depthMultiplier: 2),
        quantization: wideRecord(&$0, channels: 6, weights: 2 * 64))
    },
    model(.transposeConv2D, [image], operand([1, 5, 9, 4]), scratch: { (p: TransposeConv2DParams) in 1024 }) {
      TransposeConv2DParams(
        geometry: TransposeConv2DGeometry(window: window),
        quantization: record(&$0, channels: 4, weights: 6 * 64, rows: 2))
    },
    model(
      .transposeConv2DInt16, [wideImage], operand([1, 5, 9, 4], .int16),
      scratch: { (p: TransposeConv2DInt16Params) in 1024 }
    ) {
      TransposeConv2DInt16Params(
        geometry: TransposeConv2DGeometry(window: window),
        quantization: wideRecord(&$0, channels: 4, weights: 6 * 64, rows: 2))
    },
    model(
      .fullyConnected, [operand([2, 9])], operand([2, 5]), scratch: { (p: FullyConnectedParams) in p.scratchByteCount }
    ) {
      FullyConnectedParams(
        inputDepth: 9, outputDepth: 5, weightsZeroPoint: 3, quantization: record(&$0, channels: 5, weights: 3 * 64))
    },
    model(.fullyConnectedInt16, [operand([2, 9], .int16)], operand([2, 5], .int16)) {
      FullyConnectedInt16Params(
        inputDepth: 9, outputDepth: 5, quantization: wideRecord(&$0, channels: 5, weights: 3 * 64))
    },
    model(
      .batchMatMul, [operand([2, 3, 5]), operand([5, 4])], operand([2, 3, 4]),
      scratch: { (p: BatchMatMulParams) in 1024 }
    ) {
      _ in
      BatchMatMulParams(
        transposeA: false, transposeB: false, multiplier: factor, shift: -5, outputMin: -128, outputMax: 127)
    },
    model(.batchMatMulInt16, [operand([2, 3, 5], .int16), operand([5, 4], .int16)], operand([2, 3, 4], .int16)) { _ in
      BatchMatMulParams(
        transposeA: false, transposeB: false, multiplier: factor, shift: -5, outputMin: -32768, outputMax: 32767)
    },
    model(
      .svdf, [operand([1, 5]), operand([1, 6, 3], .int16, place: .state)], operand([1, 3]),
      scratch: { (p: SVDFParams) in p.scratchByteCount }
    ) {
      SVDFParams(
        rank: 2, filterCount: 6, memorySize: 3, weightsTime: $0.constant([Int16](repeating: 3, count: 18)),
        bias: $0.constant([Int32](repeating: 1, count: 3)), outputMultiplier: factor, outputShift: -4, outputMin: -128,
        outputMax: 127, feature: record(&$0, channels: 6, weights: 2 * 64))
    },
  ]

  private static let arithmetic: [ValidationModel] = [
    model(.averagePool2D, [image], operand([1, 4, 3, 3]), scratch: { (p: Pool2DParams) in 64 }) { _ in
      Pool2DParams(window: window, countsPadding: true, padBottom: 1, padRight: 1, outputMin: -128, outputMax: 127)
    },
    model(.maxPool2D, [wideImage], operand([1, 4, 3, 3], .int16), scratch: { (p: Pool2DParams) in 64 }) { _ in
      Pool2DParams(window: window, outputMin: -32768, outputMax: 32767)
    },
    model(.mean, [image], operand([1, 3]), scratch: { (p: MeanParams) in 64 }) { _ in
      MeanParams(axes: 6, multiplier: 1 << 27, shift: 0, outputMin: -128, outputMax: 127)
    },
    model(.add, [image, operand([3])], operand([1, 4, 5, 3])) { _ in
      AddParams(
        leftShift: 20, aMultiplier: factor, aShift: 0, bMultiplier: -factor, bShift: -1, outputMultiplier: factor,
        outputShift: -18, outputMin: -128, outputMax: 127)
    },
    model(.addInt16, [wideImage, operand([3], .int16)], operand([1, 4, 5, 3], .int16)) { _ in
      AddParams(
        leftShift: 15, aMultiplier: factor, aShift: 0, bMultiplier: factor, bShift: -1, outputMultiplier: factor,
        outputShift: -14, outputMin: -32768, outputMax: 32767)
    },
    model(.mul, [image, operand([4, 1, 3])], operand([1, 4, 5, 3])) { _ in
      MulParams(multiplier: factor, shift: -6, outputMin: -128, outputMax: 127)
    },
    model(.mulInt16, [wideImage, operand([1], .int16)], operand([1, 4, 5, 3], .int16)) { _ in
      MulParams(multiplier: factor, shift: -6, outputMin: -32768, outputMax: 32767)
    },
    model(.maximumMinimum, [image, operand([5, 1])], operand([1, 4, 5, 3])) { _ in
      MaximumMinimumParams(takesMaximum: true)
    },
    model(.lookup, [operand([7])], operand([7])) { LookupParams(table: $0.constant([Int8](repeating: 1, count: 256))) },
    model(.softmax, [operand([2, 5])], operand([2, 5])) {
      SoftmaxParams(axis: 1, table: $0.constant(SoftmaxTests.table(factor, 20, -248)))
    },
    model(.logSoftmax, [operand([2, 5])], operand([2, 5])) { _ in
      LogSoftmaxParams(
        axis: 1, multiplier: factor, shift: 20, reverseMultiplier: factor, reverseShift: -19, lowestDifference: -248)
    },
    model(.softmaxInt16, [operand([2, 5], .int16)], operand([2, 5], .int16)) {
      SoftmaxInt16Params(
        axis: 1, multiplier: factor, shift: 2, expTable: $0.constant((0..<513).map { Int16($0 * 63) }),
        reciprocalTable: $0.constant((0..<513).map { Int16(32767 - $0 * 31) }))
    },
    model(.prelu, [image, operand([3])], operand([1, 4, 5, 3])) { _ in
      PReluParams(multiplier: factor, shift: 0, slopeMultiplier: factor, slopeShift: -6)
    },
    model(.leakyReluInt16, [operand([9], .int16)], operand([9], .int16)) { _ in
      LeakyReluInt16Params(multiplier: factor, shift: 0, slopeMultiplier: factor, slopeShift: -2)
    },
    model(.logisticTanhInt16, [operand([9], .int16)], operand([9], .int16)) { _ in
      LogisticTanhInt16Params(isTanh: true, multiplier: 24, shift: 0)
    },
    model(.requantize, [operand([9])], operand([9], .int16)) { _ in
      RequantizeParams(multiplier: factor, shift: 3, outputMin: -32768, outputMax: 32767)
    },
  ]

  private static let movement: [ValidationModel] = [
    model(.pad, [image], operand([1, 6, 8, 3])) { _ in PadParams(before: [0, 1, 2, 0, 0, 0], mode: .symmetric) },
    model(.concatenation, [operand([2, 3]), operand([2, 1])], operand([2, 4])) { _ in ConcatenationParams(axis: 1) },
    model(.slice, [image], operand([1, 2, 2, 3])) { _ in
      SliceParams(starts: [0, 3, 0, 0, 0, 0], strides: [1, -2, 2, 1, 1, 1])
    },
    model(.transpose, [image], operand([1, 3, 4, 5])) { _ in TransposeParams(permutation: [0, 3, 1, 2, 4, 5]) },
    model(.copy, [operand([2, 3])], operand([6])) { _ in CopyParams() },
    model(.resizeNearest, [image], operand([1, 2, 7, 3])) {
      ResizeNearestParams(
        rows: $0.constant([0, 3] as [Int32]), columns: $0.constant([0, 0, 1, 2, 3, 4, 4] as [Int32]))
    },
    model(.resizeBilinear, [image], operand([1, 2, 1, 3])) {
      ResizeBilinearParams(
        rows: $0.constant([0, 1, 512, 2, 3, 100] as [Int32]), columns: $0.constant([3, 4, 1000] as [Int32]))
    },
  ]
}
