extension TFLiteGraphBuilder {
  /// Imports one operator, or records why it cannot be.
  mutating func importOperator(_ op: Operator) {
    do throws(TFLiteProblem) {
      guard let code = TFLiteBuiltinOperator(rawValue: op.record.code.builtinCode) else {
        throw .unsupported("the operator is not supported")
      }
      if try foldIntegers(code, op) { return }
      try dispatch(code, op)
    } catch {
      // What an operator computes from the result of a failed one may look wrong without being so.
      let follows = op.record.inputs.contains { raw in
        raw >= 0 && Int(raw) < availability.count && availability[Int(raw)] == .failed
      }
      if error.kind == .unsupported || (error.kind == .malformed && !follows) {
        problems.append(TFLiteProblem(kind: error.kind, text: "\(op.name): \(error.text)"))
      }
      for raw in op.record.outputs where raw >= 0 && Int(raw) < availability.count {
        availability[Int(raw)] = .failed
        // Operators that read it go on with the declared shape, if there can be such a shape.
        if (try? checkedShape(Int(raw))) == nil { graph.tensors[Int(raw)].shape = [] }
      }
    }
  }

  private mutating func dispatch(_ code: TFLiteBuiltinOperator, _ op: Operator) throws(TFLiteProblem) {
    switch code {
    case .conv2D: try importConv2D(op)
    case .depthwiseConv2D: try importDepthwiseConv2D(op)
    case .transposeConv: try importTransposeConv(op)
    case .fullyConnected: try importFullyConnected(op)
    case .batchMatMul: try importBatchMatMul(op)
    case .averagePool2D, .maxPool2D: try importPool2D(op, isMaximum: code == .maxPool2D)
    case .mean: try importMean(op)
    case .reduceMax: try importReduceMax(op)
    case .add: try importBinary(op, .add, types: code.integerTypes)
    case .sub: try importBinary(op, .sub, types: code.integerTypes)
    case .mul: try importBinary(op, .mul, types: code.integerTypes)
    case .div: try importBinary(op, .div, types: code.integerTypes)
    case .maximum: try importBinary(op, .maximum, types: code.integerTypes)
    case .minimum: try importBinary(op, .minimum, types: code.integerTypes)
    case .relu: try importUnary(op, .relu, types: code.integerTypes)
    case .relu6: try importUnary(op, .relu6, types: code.integerTypes)
    case .reluN1To1: try importUnary(op, .reluN1To1, types: code.integerTypes)
    case .relu0To1: try importUnary(op, .clip(min: 0, max: 1), types: code.integerTypes)
    case .leakyRelu: try importLeakyRelu(op)
    case .prelu: try importPrelu(op)
    case .elu: try importUnary(op, .elu(alpha: 1), types: code.integerTypes)
    case .gelu: try importGelu(op)
    case .hardSwish: try importUnary(op, .hardSwish, types: code.integerTypes)
    case .logistic: try importFixedRange(op, .logistic, inverseScale8: 256, zeroPoint8: -128)
    case .tanh: try importFixedRange(op, .tanh, inverseScale8: 128, zeroPoint8: 0)
    case .exp: try importUnary(op, .exp, types: code.integerTypes)
    case .log: try importUnary(op, .log, types: code.integerTypes)
    case .sqrt: try importUnary(op, .sqrt, types: code.integerTypes)
    case .rsqrt: try importUnary(op, .rsqrt, types: code.integerTypes)
    case .square: try importUnary(op, .square, types: code.integerTypes)
    case .abs: try importUnary(op, .abs, types: code.integerTypes)
    case .neg: try importUnary(op, .neg, types: code.integerTypes)
    case .sin: try importUnary(op, .sin, types: code.integerTypes)
    case .cos: try importUnary(op, .cos, types: code.integerTypes)
    case .softmax: try importSoftmax(op)
    case .logSoftmax: try importLogSoftmax(op)
    case .pad: try importPad(op, valuePosition: nil)
    case .padV2: try importPad(op, valuePosition: 2)
    case .mirrorPad: try importMirrorPad(op)
    case .concatenation: try importConcatenation(op)
    case .split: try importSplit(op)
    case .splitV: try importSplitV(op)
    case .slice: try importSlice(op)
    case .stridedSlice: try importStridedSlice(op)
    case .reverseV2: try importReverse(op)
    case .pack: try importPack(op)
    case .unpack: try importUnpack(op)
    case .transpose: try importTranspose(op)
    case .reshape: try importReshape(op)
    case .squeeze: try importSqueeze(op)
    case .expandDims: try importExpandDims(op)
    case .cast: try importCast(op)
    case .resizeNearestNeighbor: try importResize(op, isNearest: true)
    case .resizeBilinear: try importResize(op, isNearest: false)
    case .quantize: try importQuantize(op)
    case .dequantize: try importDequantize(op)
    case .svdf: try importSVDF(op)
    case .unidirectionalSequenceLSTM: try importLSTM(op)
    case .shape, .gather, .reduceProd:
      throw .unsupported("the operator is supported on shapes only, where it can be folded")
    }
  }

  /// The parsed options must be those of the operator; the parser has seen to it.
  func mismatchedOptions(_ op: Operator) -> TFLiteProblem { .malformed("the options are not those of the operator") }

  /// An activation that a layer applies to its result.
  func fusedActivation(_ activation: TFLiteActivation) throws(TFLiteProblem) -> FusedActivation {
    switch activation {
    case .none: return .none
    case .relu: return .relu
    case .relu6: return .relu6
    case .reluN1To1: return .reluN1To1
    case .tanh, .signBit: throw .unsupported("the fused activation \(activation) is not supported")
    }
  }

  /// The types of a result that has the type of `input`.
  func sameType(_ input: Operand) -> [ElementType] { [input.type] }
}
