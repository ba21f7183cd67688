internal import ArgumentParser
internal import Foundation
internal import Media
internal import Torch
internal import Vitrail

@main
struct BenchmarksCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "vitrail-bench",
        abstract: "How long things take, beside the same network in Python on the same libtorch.",
        subcommands: [Compare.self, FullSize.self, Scoring.self, FirstAnswer.self, FullSizeWork.self],
        defaultSubcommand: Compare.self)
}

struct ModelOptions: ParsableArguments {
    @Option(help: "A model's folder; the embedded model's when left out.")
    var model: String?

    @Option(help: "Threads, of Python too.")
    var threads = 2

    func validate() throws {
        guard threads > 0 else { throw ValidationError("--threads is \(threads), 1 is the least") }
    }

    func folder() throws -> String { try model ?? Engine.embeddedModel() }
}

/// All benchmarks, one after the other.
struct Compare: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run all benchmarks (default).")

    @OptionGroup var options: ModelOptions

    @Option(help: "How often Swift and Python take turns.")
    var rounds = 5

    @Option(
        parsing: .upToNextOption, help: "What to measure; everything when left out.")
    var only = Subject.allCases

    @Flag(help: "Print one JSON document instead of tables.")
    var json = false

    enum Subject: String, CaseIterable, ExpressibleByArgument {
        case answers, bfloat16, phrases, stages, training, start, small, company
    }

    func validate() throws {
        guard rounds > 0 else { throw ValidationError("--rounds is \(rounds), 1 is the least") }
    }

    func run() async throws {
        try Threads.set(options.threads)
        let folder = try WorkFolder()
        let scene = try BenchmarkScene(in: folder, model: options.folder())
        let python = try PythonSide.find(threads: options.threads, scene: scene)
        var report = Report(threads: options.threads, python: python.version)

        for subject in Subject.allCases where only.contains(subject) {
            if !json { FileHandle.standardError.write(Data("measuring \(subject.rawValue)\n".utf8)) }
            switch subject {
            case .answers: try await measureAnswers(scene, python.side, rounds, in: .float32, &report)
            case .bfloat16: try await measureAnswers(scene, python.side, rounds, in: .bfloat16, &report)
            case .phrases: try await measurePhrases(scene, rounds, &report)
            case .stages: try measureStages(scene, &report)
            case .training:
                try measureTraining(scene, python.side, rounds, options.threads, &report)
            case .start: try measureStart(scene, python.side, options.threads, &report)
            case .small:
                try measureOperator(python.side, &report)
                try measureMosaic(&report)
            case .company: try measureCompany(rounds, &report)
            }
        }
        print(json ? try report.json() : report.text)
    }
}

/// What a process does that is started for one answer.
struct FirstAnswer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find a phrase in a picture once, as a process that starts for it.")

    @Argument var picture: String
    @Argument var phrase: String
    @OptionGroup var options: ModelOptions

    func run() async throws {
        try Threads.set(options.threads)
        let engine = try Engine(model: options.folder())
        let found = try await engine.locate([phrase], in: engine.open(Image(contentsOf: picture)))
        print(found[0].detections.map(\.box))
        // A pipe gets what is buffered only when the process ends, after libtorch has been taken down.
        fflush(nil)
    }
}
