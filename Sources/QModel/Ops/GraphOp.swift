/// What every operation of a graph can say and do; nothing has a default, so a new op answers every question.
///
/// The attribute structs (`Conv2DOp`, ...) conform; ``OpKind/definition`` leads from a node to its definition.
protocol GraphOp: Sendable {
  /// The op's name in the support table and in error messages, the vocabulary of the TFLite int8 specification.
  static var name: String { get }

  /// The shapes of all outputs for the shapes of the operands, nil for absent optional operands.
  ///
  /// Total over all attributes and shapes: wrong counts of operands, ranks, sizes that do not fit, attributes out of range and
  /// products that overflow throw ``ModelError`` of kind `mismatch` (without the node's name; the caller adds it with
  /// ``ModelError/inNode(_:)``). After it returned, ``evaluate(_:context:)`` may be called with operands of these shapes.
  func outputShapes(_ inputs: [[Int]?]) throws(ModelError) -> [[Int]]

  /// The outputs in float32. Operands have shapes that ``outputShapes(_:)`` accepted; nothing is checked again.
  ///
  /// Sums are accumulated in blocks or in Double, transcendental functions computed in Double and rounded once, always in
  /// the same order, so that results do not depend on the machine or the number of threads.
  func evaluate(_ inputs: [FloatTensor?], context: inout EvaluationContext) -> [FloatTensor]
}
