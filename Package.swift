// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "QKernels",
  products: [
    .library(name: "QKernels", targets: ["QKernels"]),
    .library(name: "QModel", targets: ["QModel"]),
    .executable(name: "qcli", targets: ["qcli"]),
  ],
  targets: [
    .systemLibrary(name: "QKernelsIntrinsics", path: "Sources/QKernels/Inner/Intrinsics"),
    .target(
      name: "QKernels",
      dependencies: ["QKernelsIntrinsics"],
      path: "Sources/QKernels",
      exclude: ["Inner/Intrinsics"]),
    .target(name: "QModel", dependencies: ["QKernels"]),
    .executableTarget(name: "qcli", dependencies: ["QModel"]),
    .testTarget(name: "QKernelsTests", dependencies: ["QKernels"]),
    .testTarget(name: "QModelTests", dependencies: ["QModel"]),
    .testTarget(name: "qcliTests", dependencies: ["qcli"]),
  ])
