/// Every operation a graph can hold, with its attributes.
///
/// Operands are listed at each case; `?` marks an optional one. Activations N… are batch first, spatial ones NHWC.
public enum OpKind: Sendable, Equatable {
  /// input [N,H,W,C], weights [O,KH,KW,C/groups], bias? [O] -> [N,OH,OW,O]. 1-D convolutions have H = 1.
  case conv2D(Conv2DOp)
  /// input [N,H,W,C], weights [1,KH,KW,C·M], bias? [C·M] -> [N,OH,OW,C·M]; output channel c·M + m filters input channel c.
  case depthwiseConv2D(DepthwiseConv2DOp)
  /// input [N,H,W,C], weights [O,KH,KW,C/groups], bias? [O] -> [N,OH,OW,O].
  case transposeConv2D(TransposeConv2DOp)
  /// input [...,I], weights [O,I], bias? [O] -> [...,O]. With both weights constant.
  case fullyConnected(FullyConnectedOp)
  /// a [...,M,K], b [...,K,N], both activations -> [...,M,N], leading axes broadcast.
  case batchMatMul(BatchMatMulOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case averagePool2D(Pool2DOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case maxPool2D(Pool2DOp)
  /// input -> input without (or with 1 in place of) the reduced axes.
  case mean(ReduceOp)
  /// a, b of broadcastable shapes; either may be constant.
  case binary(BinaryOp)
  /// input -> same shape.
  case unary(UnaryOp)
  /// input, slope (constant, broadcastable to the input from the right) -> same shape.
  case prelu
  /// input -> same shape.
  case softmax(SoftmaxOp)
  /// input -> same shape.
  case logSoftmax(SoftmaxOp)
  /// input, scale [C], bias [C], mean [C], variance [C] -> same shape; normalizes along `axis`.
  case batchNormalization(BatchNormalizationOp)
  /// inputs... -> one.
  case concatenation(ConcatenationOp)
  /// input -> one output per size.
  case split(SplitOp)
  /// input -> output.
  case slice(SliceOp)
  /// input -> output.
  case pad(PadOp)
  /// input -> output with `shape` (all sizes resolved).
  case reshape(ReshapeOp)
  /// input -> output: output axis i is input axis permutation[i].
  case transpose(TransposeOp)
  /// input [N,H,W,C] -> [N,OH,OW,C].
  case resize(ResizeOp)
  /// Integer graphs only: change of scale, zero point or type.
  case requantize
  /// input x [T,N,I]; see ``RecurrentOp`` for all operands.
  case recurrent(RecurrentOp)
  /// input [N,I], weightsFeature [F,I], weightsTime [F,M], bias? [F/rank], state [N,F·M] -> [N,F/rank].
  case svdf(SVDFOp)
}

/// An activation that a layer applies to its own result.
public enum FusedActivation: Sendable, Equatable {
  case none
  case relu
  case relu6
  case reluN1To1
  /// Any other clamp, in real units.
  case clip(min: Float, max: Float)

  /// The real interval of the result.
  public var range: ClosedRange<Float> {
    switch self {
    case .none: -Float.infinity...Float.infinity
    case .relu: 0...Float.infinity
    case .relu6: 0...6
    case .reluN1To1: -1...1
    case .clip(let min, let max): min...max
    }
  }
}

/// Explicit padding of the two spatial axes, in elements.
public struct Padding2D: Sendable, Equatable {
  public var top: Int, left: Int, bottom: Int, right: Int
  /// Padding of the four sides.
  public init(top: Int = 0, left: Int = 0, bottom: Int = 0, right: Int = 0) {
    self.top = top
    self.left = left
    self.bottom = bottom
    self.right = right
  }
}

/// Attributes of ``OpKind/conv2D(_:)``.
public struct Conv2DOp: Sendable, Equatable {
  public var strideHeight = 1, strideWidth = 1
  public var dilationHeight = 1, dilationWidth = 1
  public var padding = Padding2D()
  public var groups = 1
  public var activation = FusedActivation.none
  /// Stride and dilation 1, no padding, one group.
  public init() {}
}

/// Attributes of ``OpKind/depthwiseConv2D(_:)``.
public struct DepthwiseConv2DOp: Sendable, Equatable {
  public var strideHeight = 1, strideWidth = 1
  public var dilationHeight = 1, dilationWidth = 1
  public var padding = Padding2D()
  /// Output channels per input channel.
  public var depthMultiplier = 1
  public var activation = FusedActivation.none
  /// Stride, dilation and multiplier 1, no padding.
  public init() {}
}

/// Attributes of ``OpKind/transposeConv2D(_:)``. Input pixel (y, x) adds to output pixels
/// (y·strideHeight − padding.top + ky·dilationHeight, x·strideWidth − padding.left + kx·dilationWidth).
public struct TransposeConv2DOp: Sendable, Equatable {
  public var strideHeight = 1, strideWidth = 1
  public var dilationHeight = 1, dilationWidth = 1
  /// What is cropped from the full result; only top and left matter, the output size says the rest.
  public var padding = Padding2D()
  public var groups = 1
  public var outputHeight = 1, outputWidth = 1
  public var activation = FusedActivation.none
  /// Stride and dilation 1, no cropping, one group, a 1x1 output.
  public init() {}
}

/// Attributes of ``OpKind/fullyConnected(_:)``.
public struct FullyConnectedOp: Sendable, Equatable {
  public var activation = FusedActivation.none
  /// Keep the input's leading axes; otherwise the output is [rows, O].
  public var keepDimensions = true
  /// No activation.
  public init() {}
}

/// Attributes of ``OpKind/batchMatMul(_:)``.
public struct BatchMatMulOp: Sendable, Equatable {
  /// The last two axes of a (of b) are swapped before the product.
  public var transposeA = false, transposeB = false
  /// No transposition.
  public init() {}
}

/// Attributes of the pooling ops.
public struct Pool2DOp: Sendable, Equatable {
  public var kernelHeight = 1, kernelWidth = 1
  public var strideHeight = 1, strideWidth = 1
  public var dilationHeight = 1, dilationWidth = 1
  public var padding = Padding2D()
  /// Average only: padding elements count in the divisor (not those beyond the padding that `ceilMode` reaches).
  public var countIncludePad = false
  /// The last window may start inside the input or its left padding and reach beyond the right padding.
  public var ceilMode = false
  public var activation = FusedActivation.none
  /// A 1x1 window.
  public init() {}
}

/// Attributes of ``OpKind/mean(_:)``.
public struct ReduceOp: Sendable, Equatable {
  /// Non-negative, ascending, distinct.
  public var axes: [Int]
  public var keepDimensions: Bool
  /// Reduces `axes`.
  public init(axes: [Int], keepDimensions: Bool) {
    self.axes = axes
    self.keepDimensions = keepDimensions
  }
}

/// Attributes of ``OpKind/binary(_:)``.
public struct BinaryOp: Sendable, Equatable {
  /// What is computed of a and b. A division's b is constant.
  public enum Kind: String, Sendable, Equatable { case add, sub, mul, div, maximum, minimum }
  public var kind: Kind
  public var activation = FusedActivation.none
  /// The operation without activation.
  public init(_ kind: Kind) { self.kind = kind }
}

/// A function of one value.
public enum UnaryOp: Sendable, Equatable {
  case relu, relu6, reluN1To1
  case clip(min: Float, max: Float)
  case leakyRelu(alpha: Float)
  case logistic
  case tanh
  /// max(0, min(1, alpha·x + beta)).
  case hardSigmoid(alpha: Float, beta: Float)
  /// x · max(0, min(1, x/6 + 1/2)).
  case hardSwish
  case elu(alpha: Float)
  case selu(alpha: Float, gamma: Float)
  case celu(alpha: Float)
  /// approximate: the tanh formula, else the exact one with erf.
  case gelu(approximate: Bool)
  /// x · sigmoid(x).
  case silu
  case mish
  case softplus, softsign
  case thresholdedRelu(alpha: Float)
  case exp, log, sqrt, rsqrt, square, abs, neg, reciprocal, erf, sin, cos
}

/// Attributes of the softmax ops.
public struct SoftmaxOp: Sendable, Equatable {
  /// Non-negative.
  public var axis: Int
  /// Factor of the exponents.
  public var beta: Float
  /// Along `axis`.
  public init(axis: Int, beta: Float = 1) {
    self.axis = axis
    self.beta = beta
  }
}

/// Attributes of ``OpKind/batchNormalization(_:)``: (x − mean) / sqrt(variance + epsilon) · scale + bias.
public struct BatchNormalizationOp: Sendable, Equatable {
  public var axis: Int
  public var epsilon: Float
  /// Along `axis`.
  public init(axis: Int, epsilon: Float) {
    self.axis = axis
    self.epsilon = epsilon
  }
}

/// Attributes of ``OpKind/concatenation(_:)``.
public struct ConcatenationOp: Sendable, Equatable {
  public var axis: Int
  public var activation = FusedActivation.none
  /// Along `axis`, non-negative.
  public init(axis: Int) { self.axis = axis }
}

/// Attributes of ``OpKind/split(_:)``.
public struct SplitOp: Sendable, Equatable {
  public var axis: Int
  /// The sizes of the outputs along the axis; their sum is its size.
  public var sizes: [Int]
  /// Along `axis`, non-negative.
  public init(axis: Int, sizes: [Int]) {
    self.axis = axis
    self.sizes = sizes
  }
}

/// Attributes of ``OpKind/slice(_:)``: output index i of axis a is input index starts[a] + i·strides[a].
public struct SliceOp: Sendable, Equatable {
  /// One per axis, inside the input.
  public var starts: [Int]
  /// Output sizes, one per axis, >= 1.
  public var sizes: [Int]
  /// Not 0; may be negative.
  public var strides: [Int]
  /// A resolved slice.
  public init(starts: [Int], sizes: [Int], strides: [Int]) {
    self.starts = starts
    self.sizes = sizes
    self.strides = strides
  }
}

/// Attributes of ``OpKind/pad(_:)``.
public struct PadOp: Sendable, Equatable {
  /// What stands in the padding.
  public enum Mode: Sendable, Equatable {
    case constant(Float)
    case reflect
    /// Mirrors with the edge repeated (TFLite SYMMETRIC).
    case symmetric
    case edge
  }
  /// One per axis, >= 0.
  public var before: [Int], after: [Int]
  public var mode: Mode
  /// A resolved padding.
  public init(before: [Int], after: [Int], mode: Mode) {
    self.before = before
    self.after = after
    self.mode = mode
  }
}

/// Attributes of ``OpKind/reshape(_:)``.
public struct ReshapeOp: Sendable, Equatable {
  public var shape: [Int]
  /// The resolved shape, batch axis 1.
  public init(shape: [Int]) { self.shape = shape }
}

/// Attributes of ``OpKind/transpose(_:)``.
public struct TransposeOp: Sendable, Equatable {
  /// Output axis i is input axis permutation[i].
  public var permutation: [Int]
  /// Of all axes.
  public init(permutation: [Int]) { self.permutation = permutation }
}

/// Attributes of ``OpKind/resize(_:)``.
public struct ResizeOp: Sendable, Equatable {
  /// How values are computed.
  public enum Mode: Sendable, Equatable { case nearest, bilinear }
  /// How an output coordinate becomes an input coordinate (ONNX's names; TFLite: asymmetric, or as its flags say).
  public enum Coordinates: Sendable, Equatable { case asymmetric, halfPixel, pytorchHalfPixel, alignCorners }
  /// How a nearest coordinate is rounded.
  public enum Rounding: Sendable, Equatable { case floor, ceil, roundPreferFloor, roundPreferCeil }
  public var mode: Mode
  public var coordinates: Coordinates
  public var rounding: Rounding
  public var outputHeight: Int, outputWidth: Int
  /// Input coordinate = output coordinate / scale where the source gave scales; nil: output size / input size.
  public var scaleHeight: Float?, scaleWidth: Float?
  /// A resize to a known size.
  public init(mode: Mode, coordinates: Coordinates, rounding: Rounding = .floor, outputHeight: Int, outputWidth: Int) {
    self.mode = mode
    self.coordinates = coordinates
    self.rounding = rounding
    self.outputHeight = outputHeight
    self.outputWidth = outputWidth
  }
}

/// Attributes of ``OpKind/recurrent(_:)``, one layer in one or both directions.
///
/// Operands, in this order, D = directions (2 when bidirectional: forward, then reverse), H = hidden size, G = gates:
///   0 input [T,N,I]
///   1 weights [D,G·H,I], 2 recurrentWeights [D,G·H,H], 3 bias? [D,G·H], 4 recurrentBias? [D,G·H]
///   5 initialHidden? [D,N,H], 6 initialCell? [D,N,H] (constants, activations or variable tensors)
///   7 peepholes? [D,3·H] in the order input, output, forget
/// Gate order of the rows: LSTM input, output, forget, cell (ONNX's i o f c); GRU update, reset, hidden (z r h); RNN one.
/// Outputs: 0 all hidden states [T,D,N,H], 1 last hidden? [D,N,H], 2 last cell? [D,N,H] (LSTM); always all of the cell's.
/// Layouts, batch-major forms and TFLite's gate order are changed to this by the importers.
public struct RecurrentOp: Sendable, Equatable {
  /// The cell.
  public enum Cell: Sendable, Equatable {
    /// `coupledGates`: forget = 1 − input (ONNX input_forget).
    case lstm(coupledGates: Bool)
    /// `linearBeforeReset`: the reset gate multiplies the recurrent product with its bias (PyTorch), not the state.
    case gru(linearBeforeReset: Bool)
    case rnn
  }
  /// The order in which time is walked.
  public enum Direction: Sendable, Equatable { case forward, reverse, bidirectional }
  public var cell: Cell
  public var direction: Direction
  public var hiddenSize: Int
  /// Bound of the gates' input (ONNX clip), nil for none.
  public var clip: Float?
  /// Bound of the cell state (TFLite cell_clip), nil for none.
  public var cellClip: Float?
  /// Per direction: the activations f (gates), g (cell candidate), h (hidden) in ONNX's order; RNN uses the first only.
  public var activations: [[UnaryOp]]
  /// Variable tensors hold the state (TFLite): it is kept between runs until reset.
  public var stateIsVariable: Bool
  /// One layer with the default activations.
  public init(cell: Cell, direction: Direction, hiddenSize: Int) {
    self.cell = cell
    self.direction = direction
    self.hiddenSize = hiddenSize
    self.clip = nil
    self.cellClip = nil
    self.stateIsVariable = false
    let perDirection: [UnaryOp] =
      switch cell {
      case .lstm: [.logistic, .tanh, .tanh]
      case .gru: [.logistic, .tanh]
      case .rnn: [.tanh]
      }
    self.activations = [[UnaryOp]](repeating: perDirection, count: direction == .bidirectional ? 2 : 1)
  }

  /// 1 or 2.
  public var directionCount: Int { direction == .bidirectional ? 2 : 1 }
  /// Gate blocks of H rows in the weights.
  public var gateCount: Int {
    switch cell {
    case .lstm: 4
    case .gru: 3
    case .rnn: 1
    }
  }
}

/// Attributes of ``OpKind/svdf(_:)``.
public struct SVDFOp: Sendable, Equatable {
  public var rank: Int
  public var activation: FusedActivation
  /// Filters per output.
  public init(rank: Int, activation: FusedActivation) {
    self.rank = rank
    self.activation = activation
  }
}
