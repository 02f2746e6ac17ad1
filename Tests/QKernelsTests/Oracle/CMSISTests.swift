import Testing

@testable import QKernels
@testable import QModel

/// Every verified unit-test vector of CMSIS-NN through the kernels that models use: no differing value.
@Suite(.enabled(if: Oracle.isPresent, "the public test vectors are not on this machine"))
struct CMSISTests {
  @Test func everyVerifiedCaseHasATest() {
    let tested: Set<String> = [
      "add", "avg_pool", "batch_matmul", "conv", "conv_grouped", "depthwise_conv", "fully_connected", "lstm", "max_pool",
      "maximum", "minimum", "model", "mul", "pad", "softmax", "svdf", "transpose", "transpose_conv",
    ]
    let missing = CMSISCase.all.filter { $0.isVerified && !tested.contains($0.op) }
    #expect(missing.isEmpty, "\(missing.map(\.name))")
    #expect(CMSISCase.all.filter(\.isVerified).count == 116)
  }

  @Test(arguments: CMSISCase.verified("conv", "conv_grouped", "depthwise_conv", "transpose_conv"))
  func convolutions(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], weights = try arrays["weights"], output = try arrays["output"]
    let channels = output.shape[3]
    let stride = try c.numbers("stride"), dilation = try c.numbers("dilation"), pad = try c.numbers("pad")
    let act = try c.numbers("act")
    var layer = TestConvolution(
      kind: .convolution,
      input: Operand(
        shape: input.shape, type: c.isInt16 ? .int16 : .int8, zeroPoint: try c.number("input_zero_point"),
        values: input.values),
      weights: weights.values, outputShape: output.shape,
      window: Window2D(
        kernelHeight: Int32(weights.shape[1]), kernelWidth: Int32(weights.shape[2]), strideHeight: Int32(stride[0]),
        strideWidth: Int32(stride[1]), dilationHeight: Int32(dilation[0]), dilationWidth: Int32(dilation[1]),
        padTop: Int32(pad[0]), padLeft: Int32(pad[1])),
      quantization: LayerQuantization(
        bias: arrays.arrays["bias"]?.values ?? [Int](repeating: 0, count: channels),
        multipliers: try arrays["multiplier"].values, shifts: try arrays["shift"].values,
        outputZeroPoint: try c.number("output_zero_point"), outputMin: act[0], outputMax: act[1],
        accumulatorBits: c.text("requant") == "mbqm_int32_double_rounding" ? 32 : 64))
    switch c.op {
    case "depthwise_conv":
      layer.kind = .depthwise(multiplier: try c.number("depth_multiplier"))
      // [1][KH][KW][O] -> [O][KH][KW]
      let taps = weights.shape[1] * weights.shape[2]
      layer.weights = (0..<channels * taps).map { weights.values[$0 % taps * channels + $0 / taps] }
    case "transpose_conv": layer.kind = .transposed
    default: layer.groups = try c.number("groups")
    }
    expectEqual(try layer.run(), output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("fully_connected")) func fullyConnected(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], weights = try arrays["weights"], output = try arrays["output"]
    let channels = weights.shape[0]
    let act = try c.numbers("act")
    func perChannel(_ values: [Int]) -> [Int] {
      values.count == channels ? values : [Int](repeating: values[0], count: channels)
    }
    let layer = TestDense(
      input: Operand(
        shape: input.shape, type: c.isInt16 ? .int16 : .int8, zeroPoint: try c.number("input_zero_point"),
        values: input.values),
      weights: weights.values, weightsZeroPoint: try c.number("weights_zero_point"), outputDepth: channels,
      quantization: LayerQuantization(
        bias: arrays.arrays["bias"]?.values ?? [Int](repeating: 0, count: channels),
        multipliers: perChannel(try arrays["multiplier"].values), shifts: perChannel(try arrays["shift"].values),
        outputZeroPoint: try c.number("output_zero_point"), outputMin: act[0], outputMax: act[1],
        accumulatorBits: c.text("requant") == "mbqm_int32_double_rounding" ? 32 : 64))
    expectEqual(try layer.run(), output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("add", "mul")) func arithmetic(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let a = try arrays["input1"], b = try arrays["input2"], output = try arrays["output"]
    let type: StoredType = c.isInt16 ? .int16 : .int8
    let inputs = [
      Operand(shape: a.shape, type: type, zeroPoint: -(try c.config("INPUT1_OFFSET")), values: a.values),
      Operand(shape: b.shape, type: type, zeroPoint: -(try c.config("INPUT2_OFFSET")), values: b.values),
    ]
    let outputs = [Operand(shape: output.shape, type: type, zeroPoint: try c.config("OUTPUT_OFFSET"))]
    let outputMultiplier = Int32(try c.config("OUTPUT_MULT")), outputShift = Int32(try c.config("OUTPUT_SHIFT"))
    let outputMin = Int32(try c.config("OUT_ACTIVATION_MIN")), outputMax = Int32(try c.config("OUT_ACTIVATION_MAX"))
    let result: StepResult
    if c.op == "add" {
      let params = AddParams(
        leftShift: Int32(try c.config("LEFT_SHIFT")), aMultiplier: Int32(try c.config("INPUT1_MULT")),
        aShift: Int32(try c.config("INPUT1_SHIFT")), bMultiplier: Int32(try c.config("INPUT2_MULT")),
        bShift: Int32(try c.config("INPUT2_SHIFT")), outputMultiplier: outputMultiplier, outputShift: outputShift,
        outputMin: outputMin, outputMax: outputMax)
      result = try runStep(c.isInt16 ? .addInt16 : .add, inputs: inputs, outputs: outputs) { _ in params }
    } else {
      let params = MulParams(
        multiplier: outputMultiplier, shift: outputShift, outputMin: outputMin, outputMax: outputMax)
      result = try runStep(c.isInt16 ? .mulInt16 : .mul, inputs: inputs, outputs: outputs) { _ in params }
    }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("maximum", "minimum")) func extremes(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let a = try arrays["input1"], b = try arrays["input2"], output = try arrays["output"]
    let result = try runStep(
      .maximumMinimum,
      inputs: [
        Operand(shape: a.shape, type: .int8, values: a.values), Operand(shape: b.shape, type: .int8, values: b.values),
      ], outputs: [Operand(shape: output.shape, type: .int8)]
    ) { _ in MaximumMinimumParams(takesMaximum: c.op == "maximum") }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("avg_pool", "max_pool")) func pooling(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], output = try arrays["output"]
    let filter = try c.numbers("filter"), stride = try c.numbers("stride"), pad = try c.numbers("pad")
    let act = try c.numbers("act")
    let type: StoredType = c.isInt16 ? .int16 : .int8
    let operand = Operand(shape: input.shape, type: type, values: input.values)
    let params = Pool2DParams(
      window: Window2D(
        kernelHeight: Int32(filter[0]), kernelWidth: Int32(filter[1]), strideHeight: Int32(stride[0]),
        strideWidth: Int32(stride[1]), padTop: Int32(pad[0]), padLeft: Int32(pad[1])),
      outputMin: Int32(act[0]), outputMax: Int32(act[1]))
    let result = try runStep(
      c.op == "avg_pool" ? .averagePool2D : .maxPool2D, inputs: [operand],
      outputs: [Operand(shape: output.shape, type: type)],
      scratch: { (p: Pool2DParams) in p.scratchByteCount(input: operand.record) }) { _ in params }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("batch_matmul")) func batchMatMul(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let a = try arrays["lhs"], b = try arrays["rhs"], output = try arrays["output"]
    let type: StoredType = c.isInt16 ? .int16 : .int8
    let left = Operand(shape: a.shape, type: type, zeroPoint: -(try c.config("LHS_OFFSET")), values: a.values)
    let right = Operand(shape: b.shape, type: type, zeroPoint: -(try c.config("RHS_OFFSET")), values: b.values)
    let params = BatchMatMulParams(
      transposeA: try c.number("adj_x") == 1, transposeB: try c.number("adj_y") == 1,
      multiplier: Int32(try c.config("OUTPUT_MULTIPLIER")), shift: Int32(try c.config("OUTPUT_SHIFT")),
      outputMin: Int32(try c.config("ACTIVATION_MIN")), outputMax: Int32(try c.config("ACTIVATION_MAX")))
    let result = try runStep(
      c.isInt16 ? .batchMatMulInt16 : .batchMatMul, inputs: [left, right],
      outputs: [Operand(shape: output.shape, type: type, zeroPoint: try c.config("OUTPUT_OFFSET"))],
      scratch: { (p: BatchMatMulParams) in c.isInt16 ? 0 : p.scratchByteCount(a: left.record, b: right.record) }
    ) { _ in params }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("pad")) func pad(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], output = try arrays["output"]
    var before = InlineArray<6, Int32>(repeating: 0)
    for (axis, pair) in (c.pairs("pads") ?? []).enumerated() { before[axis] = Int32(pair[0]) }
    let params = PadParams(before: before, mode: .constant, value: Int32(try c.number("value")))
    let result = try runStep(
      .pad, inputs: [Operand(shape: input.shape, type: .int8, values: input.values)],
      outputs: [Operand(shape: output.shape, type: .int8)]) { _ in params }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("transpose")) func transpose(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], output = try arrays["output"]
    var permutation: InlineArray<6, Int32> = [0, 1, 2, 3, 4, 5]
    for (axis, from) in try c.numbers("perm").enumerated() { permutation[axis] = Int32(from) }
    let result = try runStep(
      .transpose, inputs: [Operand(shape: input.shape, type: .int8, values: input.values)],
      outputs: [Operand(shape: output.shape, type: .int8)]) { _ in TransposeParams(permutation: permutation) }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("softmax")) func softmax(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], output = try arrays["output"]
    let type: StoredType = c.isInt16 ? .int16 : .int8
    let inputs = [Operand(shape: input.shape, type: type, values: input.values)]
    let outputs = [Operand(shape: output.shape, type: type)]
    let axis = Int32(input.shape.count - 1)
    let multiplier = Int32(try c.number("multiplier")), shift = Int32(try c.number("left_shift"))
    let result: StepResult
    if c.isInt16 {
      let exps = try arrays["exp_lut"].values.map { Int16($0) }
      let reciprocals = try arrays["one_by_one_lut"].values.map { Int16($0) }
      result = try runStep(.softmaxInt16, inputs: inputs, outputs: outputs) {
        SoftmaxInt16Params(
          axis: axis, multiplier: multiplier, shift: shift, expTable: $0.constant(exps),
          reciprocalTable: $0.constant(reciprocals))
      }
    } else {
      let lowest = Int32(try c.number("diff_min"))
      result = try runStep(.softmax, inputs: inputs, outputs: outputs) {
        SoftmaxParams(
          axis: axis,
          table: $0.constant(
            (0..<256).map {
              SoftmaxTable.entry(difference: -$0, multiplier: multiplier, shift: shift, lowestDifference: lowest)
            }))
      }
    }
    expectEqual(result.outputs[0], output.values, c.name)
  }
}
