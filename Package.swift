// swift-tools-version: 6.1
import PackageDescription

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// A library target; every target of the package has the same Swift settings.
func library(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: swiftSettings)
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name,
        dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")] + dependencies,
        swiftSettings: swiftSettings)
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
        .executable(name: "vitrail-bench", targets: ["Benchmarks"]),
        .plugin(name: "VitrailSetup", targets: ["VitrailSetup"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams.git", from: "6.2.2"),
    ],
    // From the ground up: a target imports only what stands above it.
    targets: [
        .target(name: "CTorch"),
        .target(name: "CPixels"),
        .systemLibrary(
            name: "CFFmpeg", pkgConfig: "libavformat libavcodec libswscale libavutil",
            providers: [.apt(["libavformat-dev", "libavcodec-dev", "libswscale-dev"]), .brew(["ffmpeg"])]),
        .systemLibrary(
            name: "CCairo", pkgConfig: "cairo", providers: [.apt(["libcairo2-dev"]), .brew(["cairo"])]),
        library("InputFiles", []),
        library("Torch", ["CTorch"]),
        library("NN", ["Torch"]),
        library("Checkpoints", ["InputFiles", "NN", "Torch"]),
        library("Media", ["CFFmpeg", "CCairo", "CPixels", "InputFiles"]),
        library("Text", ["InputFiles"]),
        library("Encoders", ["NN", "Torch"]),
        library("Language", ["NN", "Torch"]),
        library("Perception", ["NN", "Torch"]),
        library(
            "Vitrail",
            [
                "Checkpoints", "Encoders", "InputFiles", "Language", "Media", "NN", "Perception", "Text",
                "Torch",
            ],
            resources: [.copy("Resources/mosaic")]),
        library("Datasets", ["InputFiles", "Media", "Text", .product(name: "Yams", package: "Yams")]),
        library("Evaluation", ["Datasets", "InputFiles", "Media", "Text", "Torch", "Vitrail"]),
        library(
            "Training",
            [
                "Checkpoints", "Datasets", "Encoders", "Evaluation", "InputFiles", "Language", "Media", "NN",
                "Perception", "Text", "Torch", "Vitrail",
            ]),
        program(
            "CLI",
            [
                "Checkpoints", "Datasets", "Encoders", "Evaluation", "InputFiles", "Language", "Media", "NN",
                "Text", "Torch", "Training", "Vitrail",
            ]),
        program(
            "Benchmarks",
            [
                "Checkpoints", "Datasets", "Encoders", "Evaluation", "Language", "Media", "NN", "Perception",
                "Text", "Torch", "Training", "Vitrail",
            ]),
        // `swift package vitrail-setup` for packages that depend on this one: it finds Tools/setup.sh and runs it.
        .plugin(
            name: "VitrailSetup",
            capability: .command(
                intent: .custom(
                    verb: "vitrail-setup", description: "Install what Vitrail needs: libtorch, FFmpeg, Cairo")
            )),
        // As a user's program: nothing but the library.
        .executableTarget(name: "LocateObjects", dependencies: ["Vitrail"], path: "Examples/LocateObjects"),

        .target(
            name: "TestSupport", dependencies: ["Checkpoints", "NN", "Torch"], path: "Tests/TestSupport",
            swiftSettings: swiftSettings),
        tests("Torch", ["TestSupport", "Torch"]),
        tests("NN", ["Checkpoints", "NN", "TestSupport", "Torch"]),
        tests("Checkpoints", ["Checkpoints", "Language", "NN", "TestSupport", "Torch"]),
        tests("Media", ["Media"]),
        tests("Text", ["InputFiles", "Text"]),
        tests("Encoders", ["Encoders", "NN", "TestSupport", "Torch"]),
        tests("Language", ["Language", "NN", "TestSupport", "Torch"]),
        tests("Perception", ["NN", "Perception", "TestSupport", "Torch"]),
        tests(
            "Vitrail",
            [
                "Checkpoints", "Datasets", "Encoders", "Media", "NN", "Perception", "TestSupport", "Text",
                "Torch", "Vitrail",
            ]),
        tests("Datasets", ["Datasets", "Media", "Text"]),
        tests(
            "Training",
            [
                "Checkpoints", "Datasets", "Encoders", "Language", "Media", "NN", "Perception",
                "TestSupport", "Text", "Torch", "Training", "Vitrail",
            ], fixtures: false),
        tests("Evaluation", ["Datasets", "Evaluation", "Media", "Text"]),
        tests("CLI", ["Checkpoints", "Datasets", "Media", "TestSupport", "Torch", "Vitrail"]),
    ],
    cxxLanguageStandard: .cxx17
)

// `make fuzz` alone builds this: every target counts the branches that an input takes, for libFuzzer.
if Context.environment["VITRAIL_FUZZ"] != nil {
    for target in package.targets where target.type == .regular && target.name != "CTorch" {
        target.swiftSettings = (target.swiftSettings ?? []) + [.unsafeFlags(["-sanitize=fuzzer"])]
        target.cSettings = (target.cSettings ?? []) + [.unsafeFlags(["-fsanitize=fuzzer-no-link"])]
    }
    package.targets.append(
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "Checkpoints", "Datasets", "Encoders", "Evaluation", "Language", "Media", "NN", "Text",
                "Torch",
                "Training", "Vitrail",
            ], swiftSettings: swiftSettings))
}
