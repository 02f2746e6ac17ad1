public enum QModelInfo { public static let version = "0.1.0" }
