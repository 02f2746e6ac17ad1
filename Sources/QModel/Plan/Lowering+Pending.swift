import QKernels

extension Lowering {
  private func pending() -> ModelError { ModelError(.unsupported, "no kernel yet") }
  mutating func lowerPRelu(_ node: Node) throws(ModelError) { throw pending() }
  mutating func lowerBatchNormalization(_ node: Node, _ op: BatchNormalizationOp) throws(ModelError) { throw pending() }
  mutating func lowerConcatenation(_ node: Node, _ op: ConcatenationOp) throws(ModelError) { throw pending() }
  mutating func lowerSplit(_ node: Node, _ op: SplitOp) throws(ModelError) { throw pending() }
  mutating func lowerSlice(_ node: Node, _ op: SliceOp) throws(ModelError) { throw pending() }
  mutating func lowerPad(_ node: Node, _ op: PadOp) throws(ModelError) { throw pending() }
  mutating func lowerTranspose(_ node: Node, _ op: TransposeOp) throws(ModelError) { throw pending() }
  mutating func lowerResize(_ node: Node, _ op: ResizeOp) throws(ModelError) { throw pending() }
  mutating func lowerSVDF(_ node: Node, _ op: SVDFOp) throws(ModelError) { throw pending() }
}
