/// Reads `.tflite` files: float and hybrid models as float graphs, already quantized ones as integer graphs that keep
/// every scale, zero point, weight and bias as stored.
///
/// What the graph promises beyond ``Graph``:
/// * the tensors of the file are the first tensors of the graph, at their own indices; tensors without a name in the file
///   are called "tensor_<index>";
/// * SAME and VALID are resolved into explicit padding, shapes into numbers; shapes that the file computes from other
///   shapes are folded;
/// * constants are decoded: float16 to float, int4 to int8 (one value per element), quantized weights of a float model to
///   float;
/// * a `QUANTIZE` of a model input and a `DEQUANTIZE` of a model output are removed: the integer tensor becomes the input
///   or output, under the name of the float one. So are the ones between uint8 and int8 whose zero points differ by 128;
/// * an LSTM becomes one ``OpKind/recurrent(_:)`` on time-major data, with reshapes or transposes around it.
public enum TFLiteImporter {
  /// The graph of a whole `.tflite` file; `name` becomes its name.
  ///
  /// Throws `malformed` for bytes that are no sound model and `unsupported` for sound ones that cannot be run here; all
  /// problems of a model are listed at once, each with its node or tensor.
  public static func graph(from bytes: [UInt8], name: String = "") throws(ModelError) -> Graph {
    let model: TFLiteModel
    do throws(FlatBufferError) {
      model = try TFLiteModel(parsing: bytes)
    } catch {
      throw ModelError(.malformed, "not a sound TFLite model: \(error)")
    }
    var builder = TFLiteGraphBuilder(model, name: name)
    let graph = try builder.build()
    try graph.validate()
    return graph
  }
}

/// One finding about a model. Many are collected before the import fails.
struct TFLiteProblem: Error {
  /// `malformed` or `unsupported`.
  var kind: ModelError.Kind
  /// What was found and expected, without the node.
  var text: String

  static func malformed(_ text: String) -> TFLiteProblem { TFLiteProblem(kind: .malformed, text: text) }
  static func unsupported(_ text: String) -> TFLiteProblem { TFLiteProblem(kind: .unsupported, text: text) }
  /// A failure that follows from another one, which is reported already.
  static let consequence = TFLiteProblem(kind: .other, text: "")
}
