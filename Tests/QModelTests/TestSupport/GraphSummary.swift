@testable import QModel

extension Graph {
  /// One word per node, in order: the op, and its activation if it has one.
  var summary: [String] { nodes.map(\.op.summary) }
}

extension OpKind {
  var summary: String {
    let name =
      switch self {
      case .unary(let op): op.functionName
      case .binary(let op): op.kind.rawValue
      default: type(of: definition).name
      }
    switch activation {
    case nil, FusedActivation.none?: return name
    case .relu?: return "\(name)+relu"
    case .relu6?: return "\(name)+relu6"
    case .reluN1To1?: return "\(name)+reluN1To1"
    case .clip(let min, let max)?: return "\(name)+clip(\(min),\(max))"
    }
  }
}
