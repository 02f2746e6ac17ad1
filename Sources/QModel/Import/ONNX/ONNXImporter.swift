/// Reader of `.onnx` models.
///
/// Operator sets 7 to 22 are supported, and later ones as far as the operators in use did not change. Shapes are static
/// but for one free batch axis, which is taken as 1. Constants are folded; nodes that no output needs are left out.
/// Channels-first operators become channels-last ones between explicit transpositions.
public enum ONNXImporter {
  /// The versions of the standard operator set that are read.
  static let supportedOpsets = 7...28

  /// A supported operator of the standard set.
  public struct SupportedOperator: Sendable {
    /// Its name.
    public let name: String
    /// The first supported version of the set that has it.
    public let since: Int
    /// Whether it is computed at import, from constants and shapes only.
    public let isFolded: Bool
  }

  /// The supported operators, by name.
  public static var supportedOperators: [SupportedOperator] {
    let folded = Set(ONNXOperator.constants.map(\.name))
    return ONNXOperator.all.values.map {
      SupportedOperator(
        name: $0.name, since: max($0.since, supportedOpsets.lowerBound), isFolded: folded.contains($0.name))
    }.sorted { $0.name < $1.name }
  }

  /// Returns the graph of a model.
  ///
  /// All nodes that are not supported are listed in one error.
  ///
  /// - Parameters:
  ///   - bytes: A whole `.onnx` file.
  ///   - name: What to call the model if it does not say so itself.
  ///   - folder: Path of the folder that external data is read from; `nil` to refuse external data.
  /// - Throws: `ModelError` of kind `malformed` or `unsupported`.
  public static func graph(from bytes: [UInt8], name: String, folder: String? = nil) throws(ModelError) -> Graph {
    try graph(of: try ModelProto(bytes: bytes), byteCount: bytes.count, name: name, folder: folder)
  }

  /// Returns the graph of a parsed model.
  ///
  /// - Parameters:
  ///   - byteCount: Size of the file, which bounds what folding may produce.
  ///   - bound: Inputs to take as constants.
  static func graph(
    of model: ModelProto, byteCount: Int, name: String, folder: String? = nil, bound: [String: ONNXConstant] = [:]
  ) throws(ModelError) -> Graph {
    let opset = try standardOpset(of: model)
    guard let graph = model.graph else { throw ModelError(.malformed, "the model has no graph") }
    if graph.sparseInitializerCount > 0 {
      throw ModelError(.unsupported, "the model has \(graph.sparseInitializerCount) sparse initializers")
    }
    let structure = try ONNXStructure(graph)
    let axes = ONNXBatchAxis(structure.inputs)
    var problems: [ModelError] = []
    var builder = ONNXGraphBuilder(
      name: graph.name.isEmpty ? name : graph.name, outputNames: Set(graph.outputs.map(\.name)),
      initializers: structure.initializers, externalData: folder.map { ONNXExternalData(folder: $0) },
      foldingBudget: (1 << 22) + 16 * byteCount)
    for input in structure.inputs {
      if let constant = bound[input.name] {
        builder.define(input.name, as: .constant(constant))
      } else {
        do throws(ModelError) {
          let (tensor, type) = try axes.tensor(of: input)
          builder.addInput(tensor, sourceType: type)
        } catch {
          problems.append(error)
          builder.define(input.name, as: .unknown)
        }
      }
    }
    var unsupported = UnsupportedOperators()
    for index in structure.order {
      do throws(ModelError) {
        try importNode(graph.nodes[index], index, opset, &builder, &unsupported, &problems)
      } catch {
        problems.append(error)
      }
      // What a failed node did not define is unknown, or known from the declared shapes; so later nodes are checked too.
      for output in graph.nodes[index].outputs where !output.isEmpty && !builder.isDefined(output) {
        if let declared = structure.declared[output], let (tensor, type) = try? axes.tensor(of: declared) {
          builder.addPlaceholder(tensor, sourceType: type)
        } else {
          builder.define(output, as: .unknown)
        }
      }
    }
    problems = unsupported.problems(definedFunctions: model.functionNames) + problems
    if !problems.isEmpty { throw merged(problems) }
    try connectOutputs(graph, axes, &builder)
    try builder.graph.validate()
    return builder.graph
  }

  /// Returns the version of the standard operator set that the model uses.
  private static func standardOpset(of model: ModelProto) throws(ModelError) -> Int {
    guard model.irVersion > 0 else {
      throw ModelError(.malformed, "this is not an ONNX model: it has no format version")
    }
    let versions = model.opsetImports.filter { isStandard($0.domain) }.map(\.version)
    guard let version = versions.first else {
      throw ModelError(.malformed, "the model does not say which operator set it uses")
    }
    guard versions.allSatisfy({ $0 == version }) else {
      throw ModelError(.malformed, "the model names several versions of the operator set: \(versions)")
    }
    guard let opset = Int(exactly: version), supportedOpsets.contains(opset) else {
      throw ModelError(
        .unsupported, "the model uses opset \(version)",
        hint: "export the model with an opset from \(supportedOpsets.lowerBound) to 22")
    }
    return opset
  }

  private static func isStandard(_ domain: String) -> Bool { domain.isEmpty || domain == "ai.onnx" }

  private static func importNode(
    _ proto: NodeProto, _ index: Int, _ opset: Int, _ builder: inout ONNXGraphBuilder,
    _ unsupported: inout UnsupportedOperators, _ problems: inout [ModelError]
  ) throws(ModelError) {
    let node = try ONNXNode(proto, index: index, opset: opset)
    guard isStandard(proto.domain), let entry = ONNXOperator.all[proto.opType] else {
      unsupported.add(proto, nodeName: node.name)
      return
    }
    let found = entry.problems(with: node)
    guard found.isEmpty else {
      problems += found
      return
    }
    // A node behind a failed one cannot be judged; the failure has been noted.
    var isUnknown = false
    for input in proto.inputs where !input.isEmpty {
      if case .unknown? = try builder.value(of: input) { isUnknown = true }
    }
    if isUnknown { return }
    try entry.importNode(&builder, node)
  }

  private static func connectOutputs(
    _ graph: GraphProto, _ axes: ONNXBatchAxis, _ builder: inout ONNXGraphBuilder
  ) throws(ModelError) {
    var ids: [TensorID] = []
    for output in graph.outputs {
      let id: TensorID
      switch try builder.value(of: output.name) {
      case .tensor(let known): id = builder.ownTensor(known, named: output.name, taken: ids)
      case .constant(let constant): id = builder.tensor(of: constant, named: output.name)
      case .unknown, nil: throw ModelError(.malformed, "nothing computes the model's output \"\(output.name)\"")
      }
      builder.setBatchAxis(axes.batchAxis(ofOutput: output, shape: builder.shape(of: id)), of: id)
      ids.append(id)
    }
    builder.setOutputs(ids)
  }

  private static func merged(_ problems: [ModelError]) -> ModelError {
    let kind: ModelError.Kind = problems.allSatisfy { $0.kind == .unsupported } ? .unsupported : .malformed
    return ModelError(kind, problems: problems.flatMap(\.problems), hint: problems.lazy.compactMap(\.hint).first)
  }
}

/// The operators that have no importer, each with the nodes that use it.
private struct UnsupportedOperators {
  private var nodes: [String: [String]] = [:]
  private var order: [String] = []

  mutating func add(_ node: NodeProto, nodeName: String) {
    let key = node.domain.isEmpty || node.domain == "ai.onnx" ? node.opType : "\(node.domain).\(node.opType)"
    if nodes[key] == nil { order.append(key) }
    nodes[key, default: []].append("\"\(nodeName)\"")
  }

  func problems(definedFunctions: [String]) -> [ModelError] {
    order.map { key in
      let names = nodes[key, default: []].joined(separator: ", ")
      let isFunction = definedFunctions.contains { key == $0 || key.hasSuffix(".\($0)") }
      return ModelError(
        .unsupported, "the operator \(key) is not supported: \(names)",
        hint: isFunction
          ? "inline the model's functions when exporting it" : "'qcli ops' lists the supported operators")
    }
  }
}
