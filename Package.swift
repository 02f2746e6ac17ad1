// swift-tools-version: 6.2
import PackageDescription

/// One instruction set of the inner kernels: a module of its own, because Swift gives target features to modules only.
/// Its code is reached through C symbols (Inner/Intrinsics/inner_kernels.h), never through Swift.
func innerSet(_ folder: String, flags: [String]) -> Target {
  .target(
    name: "QKernels\(folder)", dependencies: ["QKernelsIntrinsics"], path: "Sources/QKernels/Inner/\(folder)",
    swiftSettings: [.unsafeFlags(["-Ounchecked"] + flags.flatMap { ["-Xcc", $0] })])
}

#if arch(x86_64)
  let innerSets = [
    innerSet("AVX512VNNI", flags: ["-march=x86-64-v4", "-mavx512vnni", "-mavx512vbmi"]),
    innerSet("AVXVNNI", flags: ["-march=x86-64-v3", "-mavxvnni"]),
    innerSet("AVX2", flags: ["-march=x86-64-v3"]),
    innerSet("SSE", flags: ["-march=x86-64-v2"]),
  ]
#elseif arch(arm64)
  let innerSets = [
    innerSet("NEONDot", flags: ["-march=armv8.2-a+dotprod"]),
    innerSet("NEON", flags: []),
  ]
#else
  let innerSets: [Target] = []
#endif

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
      dependencies: ["QKernelsIntrinsics"] + innerSets.map { .target(name: $0.name) },
      path: "Sources/QKernels",
      exclude: ["CABI/include", "CABI/kernel_table.h"]
        + [
          "CortexMDSP", "Intrinsics", "Template", "Template256", "TemplateNEON", "AVX512VNNI", "AVXVNNI", "AVX2",
          "SSE", "NEONDot", "NEON",
        ].map { "Inner/\($0)" }),
    .target(name: "QModel", dependencies: ["QKernels"]),
    .executableTarget(name: "qcli", dependencies: ["QKernels", "QModel"]),
    .testTarget(name: "QKernelsTests", dependencies: ["QKernels", "QModel"]),
    .testTarget(name: "QModelTests", dependencies: ["QModel"]),
    .testTarget(name: "qcliTests", dependencies: ["qcli"]),
  ] + innerSets)
