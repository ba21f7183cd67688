// swift-tools-version: 6.1
import Foundation
import PackageDescription

// libtorch is unpacked here by `make setup` (Tools/setup.sh).
let libtorch = "\(Context.packageDirectory)/.deps/libtorch"

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A library target; every target of the package has the same Swift settings.
func library(
    _ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

/// A test target; fixtures are read from the folder beside the tests.
func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = true) -> Target {
    .testTarget(
        name: "\(name)Tests", dependencies: dependencies, exclude: fixtures ? ["Fixtures"] : [],
        swiftSettings: swiftSettings)
}

let package = Package(
    name: "vitrail",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "Vitrail", targets: ["Vitrail"]),
        .executable(name: "vitrail", targets: ["CLI"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
    ],
    targets: [
        .target(
            name: "CTorch",
            cxxSettings: [.unsafeFlags(["-isystem", "\(libtorch)/include"])],
            linkerSettings: [
                .unsafeFlags(["-L\(libtorch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(libtorch)/lib"]),
                .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
            ]),
        library("Torch", ["CTorch"]),
        library("NN", ["Torch"]),
        library("Checkpoints", ["NN", "Torch"]),
        library("Encoders", ["NN", "Torch"]),
        library("Language", ["NN", "Torch"]),
        library("Perception", ["NN", "Torch"]),
        .systemLibrary(
            name: "CFFmpeg", pkgConfig: "libavformat libavcodec libswscale libavutil",
            providers: [.apt(["libavformat-dev", "libavcodec-dev", "libswscale-dev"]), .brew(["ffmpeg"])]),
        .systemLibrary(
            name: "CCairo", pkgConfig: "cairo", providers: [.apt(["libcairo2-dev"]), .brew(["cairo"])]),
        library("Media", ["CFFmpeg", "CCairo"]),
        library("Text", []),
        library("Datasets", ["Media", "Text"]),
        library(
            "Training",
            [
                "Checkpoints", "Datasets", "Encoders", "Language", "Media", "NN", "Perception", "Text",
                "Torch", "Vitrail",
            ]),
        library(
            "Vitrail", ["Checkpoints", "Encoders", "Language", "Media", "NN", "Perception", "Text", "Torch"]),
        .target(
            name: "TestSupport", dependencies: ["Checkpoints", "NN", "Torch"], path: "Tests/TestSupport",
            swiftSettings: swiftSettings),
        tests("Torch", ["TestSupport", "Torch"]),
        tests("NN", ["Checkpoints", "NN", "TestSupport", "Torch"]),
        tests("Checkpoints", ["Checkpoints", "NN", "TestSupport", "Torch"]),
        tests("Media", ["Media"]),
        tests("Text", ["Text"]),
        tests("Encoders", ["Encoders", "NN", "TestSupport", "Torch"]),
        tests("Language", ["Language", "NN", "TestSupport", "Torch"]),
        tests("Datasets", ["Datasets", "Media", "Text"], fixtures: false),
        tests("Evaluation", ["Evaluation", "Media"]),
        library("Evaluation", ["Datasets", "Media", "Text", "Vitrail"]),
        .executableTarget(
            name: "CLI",
            dependencies: [
                .product(name: "ArgumentParser", package: "swift-argument-parser"), "Datasets", "Evaluation",
                "Training", "Vitrail",
            ], swiftSettings: swiftSettings),
    ],
    cxxLanguageStandard: .cxx17
)
