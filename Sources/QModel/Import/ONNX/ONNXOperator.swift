/// What the importer knows of one operator of the standard set: its signature, and how it becomes nodes of the graph.
struct ONNXOperator: Sendable {
  /// An attribute and the operator set versions that have it.
  struct Attribute: Sendable {
    let name: String
    /// The first version with the attribute.
    let since: Int
    /// The first version without it again.
    let until: Int

    init(_ name: String, since: Int = 1, until: Int = .max) {
      self.name = name
      self.since = since
      self.until = until
    }
  }

  /// Translates one node; everything that does not follow from its signature is checked here.
  typealias ImportFunction = @Sendable (inout ONNXGraphBuilder, ONNXNode) throws(ModelError) -> Void

  let name: String
  /// The first operator set version that has the operator.
  let since: Int
  /// How many inputs may be named.
  let inputs: ClosedRange<Int>
  /// How many outputs may be named.
  let outputs: ClosedRange<Int>
  let attributes: [Attribute]
  let importNode: ImportFunction

  init(
    _ name: String, since: Int = 1, inputs: ClosedRange<Int>, outputs: ClosedRange<Int> = 1...1,
    _ attributes: [Attribute] = [], _ importNode: @escaping ImportFunction
  ) {
    self.name = name
    self.since = since
    self.inputs = inputs
    self.outputs = outputs
    self.attributes = attributes
    self.importNode = importNode
  }

  /// Returns what a node has that its operator does not know, without translating it.
  func problems(with node: ONNXNode) -> [ModelError] {
    if node.opset < since {
      return [node.malformed("the operator exists from opset \(since), the model uses \(node.opset)")]
    }
    var problems: [ModelError] = []
    if !inputs.contains(node.proto.inputs.count) {
      problems.append(node.malformed("it has \(node.proto.inputs.count) inputs, expected \(Self.text(inputs))"))
    }
    if !outputs.contains(node.proto.outputs.count) {
      problems.append(node.malformed("it has \(node.proto.outputs.count) outputs, expected \(Self.text(outputs))"))
    }
    for attribute in node.proto.attributes
    where !attributes.contains(where: { $0.name == attribute.name && $0.since <= node.opset && node.opset < $0.until })
    {
      problems.append(
        node.unsupported("the attribute \"\(attribute.name)\" is not supported in opset \(node.opset)"))
    }
    return problems
  }

  private static func text(_ range: ClosedRange<Int>) -> String {
    if range.lowerBound == range.upperBound { return "\(range.lowerBound)" }
    return range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
  }

  /// Number of inputs of the operators that take a list.
  static let variadic = 1...Int.max

  /// All supported operators, by name.
  static let all: [String: ONNXOperator] = {
    var table: [String: ONNXOperator] = [:]
    for list in [convolutions, dense, elementwise, shapes, parts, resizing, recurrent, constants] {
      for entry in list { table[entry.name] = entry }
    }
    return table
  }()
}
