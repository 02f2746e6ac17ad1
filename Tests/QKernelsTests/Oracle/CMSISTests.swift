import Testing

@testable import QKernels
@testable import QModel

/// Every verified unit-test vector of CMSIS-NN through the kernels that models use: no differing value.
@Suite(.enabled(if: Oracle.isPresent, "the public test vectors are not on this machine"))
struct CMSISTests {
  @Test func everyVerifiedCaseHasATest() {
    let tested: Set<String> = [
      "add", "avg_pool", "batch_matmul", "conv", "conv_grouped", "depthwise_conv", "fully_connected", "lstm",
      "max_pool",
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
      scratch: { (p: Pool2DParams) in p.scratchByteCount(input: operand.record) }
    ) { _ in params }
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
      outputs: [Operand(shape: output.shape, type: .int8)]
    ) { _ in params }
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("transpose")) func transpose(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let input = try arrays["input"], output = try arrays["output"]
    var permutation: InlineArray<6, Int32> = [0, 1, 2, 3, 4, 5]
    for (axis, from) in try c.numbers("perm").enumerated() { permutation[axis] = Int32(from) }
    let result = try runStep(
      .transpose, inputs: [Operand(shape: input.shape, type: .int8, values: input.values)],
      outputs: [Operand(shape: output.shape, type: .int8)]
    ) { _ in TransposeParams(permutation: permutation) }
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

  @Test(arguments: CMSISCase.verified("svdf")) func svdf(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let sequence = try arrays["input_sequence"], feature = try arrays["weights_feature"]
    let time = try arrays["weights_time"], state = try arrays["state"], output = try arrays["output"]
    let filters = feature.shape[0], depth = feature.shape[1]
    let isWide = try c.config("IN_ACTIVATION_MAX") == 32767
    let vectors = sequence.values.count / sequence.shape[0]
    let input = Operand(
      shape: Array(sequence.shape.dropFirst()), type: .int8, zeroPoint: try c.number("input_zero_point"),
      values: Array(sequence.values[0..<vectors]))
    let quantization = LayerQuantization(
      bias: [Int](repeating: 0, count: filters),
      multipliers: [Int](repeating: try c.config("MULTIPLIER_IN"), count: filters),
      shifts: [Int](repeating: try c.config("SHIFT_1"), count: filters), outputZeroPoint: 0,
      outputMin: try c.config("IN_ACTIVATION_MIN"), outputMax: try c.config("IN_ACTIVATION_MAX"))
    let packed = Packing.matmul(channels: filters, rows: 1, length: depth) { f, _, k in feature.values[f * depth + k] }
    let sums = (0..<filters).map { feature.values[$0 * depth..<($0 + 1) * depth].reduce(0, +) }
    let bias = try arrays["bias"].values.map { Int32($0) }
    let rank = Int32(try c.config("RANK"))
    let multiplier = Int32(try c.config("MULTIPLIER_OUT")), shift = Int32(try c.config("SHIFT_2"))
    let outputMin = Int32(try c.config("OUT_ACTIVATION_MIN")), outputMax = Int32(try c.config("OUT_ACTIVATION_MAX"))
    let result = try runStep(
      .svdf,
      inputs: [
        input,
        Operand(shape: state.shape, type: isWide ? .int16 : .int8, values: state.values, place: .state),
      ],
      outputs: [Operand(shape: output.shape, type: .int8, zeroPoint: try c.config("OUTPUT_OFFSET"))],
      sequence: (1..<sequence.shape[0]).map { Array(sequence.values[$0 * vectors..<($0 + 1) * vectors]) },
      scratch: { (p: SVDFParams) in p.scratchByteCount },
      makeParams: {
        SVDFParams(
          rank: rank, filterCount: Int32(filters), memorySize: Int32(time.shape[1]),
          weightsTime: isWide
            ? $0.constant(time.values.map { Int16($0) }) : $0.constant(time.values.map { Int8($0) }),
          bias: $0.constant(bias), outputMultiplier: multiplier, outputShift: shift, outputMin: outputMin,
          outputMax: outputMax,
          feature: quantization.record(&$0, weights: packed, sums: [sums], inputZeroPoint: input.zeroPoint))
      })
    expectEqual(result.outputs[0], output.values, c.name)
  }

  @Test(arguments: CMSISCase.verified("lstm")) func lstm(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    let batches = try c.config("BATCH_SIZE"), steps = try c.config("TIME_STEPS")
    let hidden = try c.config("HIDDEN_SIZE"), depth = try c.config("INPUT_SIZE")
    let isTimeMajor = try c.config("TIME_MAJOR") == 1
    /// Batch-major arrays as time-major ones.
    func timeMajor(_ values: [Int], _ width: Int) -> [Int] {
      if isTimeMajor { return values }
      return (0..<steps * batches * width).map { index in
        let step = index / width / batches, batch = index / width % batches
        return values[(batch * steps + step) * width + index % width]
      }
    }
    let type: StoredType = c.isInt16 ? .int16 : .int8
    let hiddenZeroPoint = try c.number("hidden_zero_point")
    let input = Operand(
      shape: [steps, batches, depth], type: type, zeroPoint: try c.number("input_zero_point"),
      values: timeMajor(try arrays["input"].values, depth))
    /// One of the two dense products, rows in the order input, output, forget, cell.
    func product(_ part: String, _ suffix: String, _ width: Int, hasBias: Bool) throws -> (
      LayerQuantization, [Int8], [Int]
    ) {
      var weights: [Int] = []
      var quantization = LayerQuantization(
        bias: [], multipliers: [], shifts: [], outputZeroPoint: 0, outputMin: -32768, outputMax: 32767)
      for gate in ["input", "output", "forget", "cell"] {
        weights += try arrays["\(gate)_\(suffix)"].values
        quantization.bias += hasBias ? try arrays["\(gate)_b"].values : [Int](repeating: 0, count: hidden)
        let multiplier = try c.config("\(gate.uppercased())_GATE_\(part)_MULTIPLIER")
        let shift = try c.config("\(gate.uppercased())_GATE_\(part)_SHIFT")
        quantization.multipliers += [Int](repeating: multiplier, count: hidden)
        quantization.shifts += [Int](repeating: shift, count: hidden)
      }
      let packed = Packing.matmul(channels: 4 * hidden, rows: 1, length: width) { row, _, k in weights[row * width + k]
      }
      return (quantization, packed, (0..<4 * hidden).map { weights[$0 * width..<($0 + 1) * width].reduce(0, +) })
    }
    let inputPart = try product("INPUT", "Wx", depth, hasBias: true)
    let hiddenPart = try product("HIDDEN", "Wh", hidden, hasBias: false)
    let limit = Int32(try c.config("CELL_CLIP")), exponent = Int32(try c.config("CELL_SCALE_POWER"))
    func factor(_ name: String) throws -> (Int32, Int32) {
      (Int32(try c.config("\(name)_MULTIPLIER")), Int32(try c.config("\(name)_SHIFT")))
    }
    let forget = try factor("FORGET_TO_CELL"), candidate = try factor("INPUT_TO_CELL"),
      outputFactor = try factor("OUTPUT")
    let result = try runStep(
      .lstm,
      inputs: [
        input, Operand(shape: [1, batches, hidden], type: type, zeroPoint: hiddenZeroPoint, place: .state),
        Operand(shape: [1, batches, hidden], type: .int16, place: .state),
      ],
      outputs: [Operand(shape: [steps, 1, batches, hidden], type: type, zeroPoint: hiddenZeroPoint)],
      scratch: { (p: LSTMParams) in p.layer.scratchByteCount(gateCount: 4) },
      makeParams: {
        let layer = RecurrentLayer(
          inputSize: Int32(depth), hiddenSize: Int32(hidden), directionCount: 1, reverseMask: 0, stepsPerChunk: 2,
          gateLimit: 32767,
          input: inputPart.0.record(&$0, weights: inputPart.1, sums: [inputPart.2], inputZeroPoint: input.zeroPoint),
          recurrent: hiddenPart.0.record(
            &$0, weights: hiddenPart.1, sums: [hiddenPart.2], inputZeroPoint: hiddenZeroPoint))
        return LSTMParams(
          layer: layer, isCoupled: 0, candidateActivation: RecurrentActivation.tanh.rawValue,
          cellActivation: RecurrentActivation.tanh.rawValue, cellLimit: limit, cellExponent: exponent,
          forgetMultiplier: forget.0, forgetShift: forget.1, candidateMultiplier: candidate.0,
          candidateShift: candidate.1, outputMultiplier: outputFactor.0, outputShift: outputFactor.1,
          hiddenZeroPoint: Int32(hiddenZeroPoint))
      })
    expectEqual(result.outputs[0], timeMajor(try arrays["output"].values, hidden), c.name)
  }

  /// Whole networks, layer after layer.
  @Test(arguments: CMSISCase.verified("model")) func networks(_ c: CMSISCase) throws {
    let arrays = try c.arrays
    var values = try arrays["input"].values
    for layer in c.texts("layers") {
      let number = layer.split(separator: "_").last.map(String.init) ?? ""
      func config(_ key: String) throws -> Int { try c.config("\(layer)_\(key)") }
      func array(_ suffix: String) throws -> [Int] {
        try arrays["layer_\(number)_\(layer.lowercased().dropLast(number.count))\(suffix)"].values
      }
      let input = Operand(
        shape: [1, try config("INPUT_H"), try config("INPUT_W"), try config("IN_CH")], type: .int8,
        zeroPoint: layer.hasPrefix("SOFTMAX") ? 0 : -(try config("INPUT_OFFSET")), values: values)
      if layer.contains("CONV") {
        let channels = try config("OUT_CH"), isDepthwise = layer.hasPrefix("DEPTHWISE")
        let window = Window2D(
          kernelHeight: Int32(try config("FILTER_Y")), kernelWidth: Int32(try config("FILTER_X")),
          strideHeight: Int32(try config("STRIDE_Y")), strideWidth: Int32(try config("STRIDE_X")),
          padTop: Int32(try config("PAD_Y")), padLeft: Int32(try config("PAD_X")))
        let weights = try array("weights")
        let taps = Int(window.kernelHeight * window.kernelWidth)
        let quantization = LayerQuantization(
          bias: try array("bias"), multipliers: try array("output_mult"), shifts: try array("output_shift"),
          outputZeroPoint: try config("OUTPUT_OFFSET"), outputMin: try config("OUT_ACTIVATION_MIN"),
          outputMax: try config("OUT_ACTIVATION_MAX"))
        values = try TestConvolution(
          kind: isDepthwise ? .depthwise(multiplier: 1) : .convolution, input: input,
          weights: isDepthwise
            ? (0..<channels * taps).map { weights[$0 % taps * channels + $0 / taps] } : weights,
          outputShape: [1, try config("OUTPUT_H"), try config("OUTPUT_W"), channels], window: window,
          quantization: quantization
        ).run()
      } else if layer.hasPrefix("AVERAGE_POOL") {
        let params = Pool2DParams(
          window: Window2D(kernelHeight: Int32(try config("FILTER_Y")), kernelWidth: Int32(try config("FILTER_X"))),
          outputMin: -128, outputMax: 127)
        values = try runStep(
          .averagePool2D, inputs: [input],
          outputs: [Operand(shape: [1, 1, 1, input.shape[3]], type: .int8, zeroPoint: input.zeroPoint)],
          scratch: { (p: Pool2DParams) in p.scratchByteCount(input: input.record) }
        ) { _ in params }.outputs[0]
      } else if layer.hasPrefix("FULLY_CONNECTED") {
        let bias = try array("bias")
        values = try TestDense(
          input: Operand(shape: [1, values.count], type: .int8, zeroPoint: input.zeroPoint, values: values),
          weights: try array("weights"), outputDepth: bias.count,
          quantization: LayerQuantization(
            bias: bias, multipliers: [Int](repeating: try config("OUTPUT_MULTIPLIER"), count: bias.count),
            shifts: [Int](repeating: try config("OUTPUT_SHIFT"), count: bias.count),
            outputZeroPoint: try config("OUTPUT_OFFSET"), outputMin: -128, outputMax: 127)
        ).run()
      } else {
        let multiplier = Int32(try config("MULT")), shift = Int32(try config("SHIFT"))
        let lowest = Int32(try config("DIFF_MIN"))
        values = try runStep(
          .softmax, inputs: [Operand(shape: [1, values.count], type: .int8, values: values)],
          outputs: [Operand(shape: [1, values.count], type: .int8)]
        ) {
          SoftmaxParams(
            axis: 1,
            table: $0.constant(
              (0..<256).map {
                SoftmaxTable.entry(difference: -$0, multiplier: multiplier, shift: shift, lowestDifference: lowest)
              }))
        }.outputs[0]
      }
    }
    expectEqual(values, try arrays["output"].values, c.name)
  }
}
