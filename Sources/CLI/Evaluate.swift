import ArgumentParser
import Datasets
import Evaluation
import Foundation
import Torch
import Vitrail

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a model on a benchmark, or anyone's predictions.",
        discussion: """
            Every task of the model is asked and scored as the reference tools of its field score it; docs/evaluation.md \
            says how. On Mosaic, seeds of 900000 and above are never trained on. With --predictions and --truth no model is \
            needed: files are scored against files.
            """)

    enum Benchmark: String, ExpressibleByArgument, CaseIterable {
        case mosaic, coco, voc, dsb, refcoco, counting, vqa, captions

        /// Nil for Mosaic, which has all.
        var metric: ScoringMetric? { self == .refcoco ? .referring : ScoringMetric(rawValue: rawValue) }
    }
    enum Rings: String, ExpressibleByArgument, CaseIterable { case plain, rich, both }

    enum Suite: String, ExpressibleByArgument, CaseIterable { case rings, compositional, wide, segmenter }

    @Option(help: "What to score on: Mosaic, or a measure on the labelled set of --data.")
    var benchmark = Benchmark.mosaic

    @Option(
        help: ArgumentHelp("A source of labels, as JSON; docs/data.md has its formats.", valueName: "file"))
    var data: String?

    @Option(help: ArgumentHelp("How many pictures of --data at most. (default: all)", valueName: "count"))
    var pictures: Int?

    @Option(help: "Which ring of Mosaic.")
    var ring = Rings.both

    @Option(
        help:
            "Usual scenes, colour-shape pairs that training leaves out, scenes twice as wide, or the segmenter alone."
    )
    var suite = Suite.rings

    @Option(help: "A model's folder; the embedded model when left out.")
    var model: String?

    @Option(
        help: ArgumentHelp(
            "Peaks of a heatmap that are taken at most, LUMEN's K; the model's own when left out, else 100.",
            valueName: "count"))
    var peaks: Int?

    @Option(
        help: "Where to compute: cpu, cuda, cuda:1 or mps. (default: cpu)", transform: EngineOptions.device)
    var device = Device.cpu

    @Option(
        help: ArgumentHelp(
            "What to multiply in: float32 or bfloat16. (default: float32)", valueName: "dtype"),
        transform: Precision.option)
    var dtype = Precision.float32

    @Option(
        help: ArgumentHelp(
            "Scenes of Mosaic asked about at the same time; on the CPU each by a model and a thread of its own. The report is the same for any number. (default: as many as cores; 1 on other devices)",
            valueName: "count"))
    var workers: Int?

    @Option(help: "The scenes' seed. (default: 900000, with --calibrate 800000)")
    var seed: UInt64?

    @Option(help: "How many scenes of each ring.")
    var scenes = 1000

    @Option(
        help: ArgumentHelp(
            "The height of scenes, 96 to 512; the same scenes, smaller or larger. (default: 128, or 256 in the rich ring)",
            valueName: "pixels"))
    var size: Int?

    @Option(
        help: ArgumentHelp(
            "Some of the tasks alone, with commas between: \(BenchmarkTask.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "tasks"),
        transform: Self.tasks)
    var tasks = Set(BenchmarkTask.allCases)

    @Flag(help: "Find the thresholds that suit the model, on scenes that are not for scoring.")
    var calibrate = false

    @Option(help: ArgumentHelp("Predictions to be scored against --truth.", valueName: "path"))
    var predictions: String?

    @Option(help: ArgumentHelp("What is true.", valueName: "path"))
    var truth: String?

    @Option(
        help: ArgumentHelp(
            "What predictions are scored by: \(ScoringMetric.allCases.map(\.rawValue).joined(separator: ", ")). (default: what the files tell)",
            valueName: "metric"),
        transform: Self.metric)
    var metric: ScoringMetric?

    @Option(
        help: ArgumentHelp(
            "What of COCO results is compared: bbox, segm or keypoints. (default: what the first result has)",
            valueName: "type"),
        transform: Self.type)
    var type: COCOScoringType?

    @Option(
        help: ArgumentHelp(
            "Of keypoints, one for each joint, with commas between. (default: COCO's 17)", valueName: "list"),
        transform: Self.sigmas)
    var sigmas: [Double]?

    @Option(
        help: ArgumentHelp(
            "The part of a published --truth (VOC, RefCOCO, FSC-147) that is scored, as its publisher names it. (default: all of it)",
            valueName: "name"))
    var split: String?

    @Flag(help: "Print the figures of each category, video or kind of question, too.")
    var parts = false

    @Option(
        help: ArgumentHelp(
            "A folder for the page, the figures and the results in COCO's form.", valueName: "folder"))
    var output: String?

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard (1...1_000_000).contains(scenes) else {
            throw ValidationError("--scenes is \(scenes), 1 to 1000000 is possible.")
        }
        guard (predictions == nil) == (truth == nil) else {
            throw ValidationError("--predictions and --truth are given together.")
        }
        if predictions != nil {
            let given = [
                ("--data", data), ("--model", model), ("--output", output),
                ("--calibrate", calibrate ? "" : nil),
            ].first { $0.1 != nil }
            guard given == nil else {
                throw ValidationError("\(given!.0) is for scoring a model, not for --predictions.")
            }
        }
        guard output == nil || !calibrate && suite != .segmenter else {
            throw ValidationError("--calibrate and --suite segmenter write no --output.")
        }
        guard split == nil || predictions != nil else {
            throw ValidationError("--split is for --predictions; a source of labels has a split of its own.")
        }
        guard (data == nil) == (benchmark == .mosaic) else {
            throw ValidationError(
                benchmark == .mosaic
                    ? "--data wants a --benchmark other than mosaic."
                    : "--benchmark \(benchmark.rawValue) wants --data.")
        }
        if let peaks, !(1...100_000).contains(peaks) {
            throw ValidationError("--peaks is \(peaks), 1 to 100000 is possible.")
        }
        if size != nil, benchmark != .mosaic || suite == .segmenter || predictions != nil {
            throw ValidationError("--size is for Mosaic's scenes.")
        }
        if let workers {
            guard (1...1024).contains(workers) else {
                throw ValidationError("--workers is \(workers), 1 to 1024 is possible.")
            }
            guard benchmark == .mosaic, suite != .segmenter, predictions == nil else {
                throw ValidationError("--workers is for Mosaic's scenes.")
            }
        }
        if let pictures, pictures < 1 {
            throw ValidationError("--pictures is \(pictures), 1 is the least.")
        }
        if calibrate, let seed, MosaicSeeds.isScoring(seed) {
            throw ValidationError("--calibrate takes a seed below \(MosaicSeeds.scoringStart), not \(seed).")
        }
    }

    func run() async throws {
        if let predictions, let truth {
            try scoreFiles(predictions, truth)
        } else if let data, let metric = benchmark.metric {
            try await scoreModel(on: data, by: metric)
        } else if suite == .segmenter {
            try scoreSegmenter()
        } else if calibrate {
            try await findThresholds()
        } else {
            try await scoreModel()
        }
    }

    private func scoreFiles(_ predictions: String, _ truth: String) throws {
        let sheet = try PredictionScoring(
            predictions: predictions, truth: truth, metric: metric, type: type, split: split, sigmas: sigmas
        ).score()
        if json { return print(try Documents.line(sheet)) }
        show(sheet)
    }

    private func show(_ sheet: ScoreSheet) {
        for figure in sheet.figures { print(figure.line) }
        guard parts, let first = sheet.parts.first else { return }
        let width = max(4, sheet.parts.map(\.name.count).max() ?? 0) + 2
        func row(_ name: String, _ cells: [String]) {
            print(
                name.padding(toLength: width, withPad: " ", startingAt: 0)
                    + cells.map { $0.padding(toLength: 10, withPad: " ", startingAt: 0) }.joined())
        }
        print()
        row("", first.figures.map(\.name))
        for part in sheet.parts { row(part.name, part.figures.map(\.text)) }
    }

    /// Asks the model about a labelled set.
    private func scoreModel(on data: String, by metric: ScoringMetric) async throws {
        let benchmark = try LabelledBenchmark(
            sourceFile: data, metric: metric, type: type ?? .boxes, limit: pictures)
        let model = try openModel()
        let line = ProgressLine()
        let start = ContinuousClock.now
        let outcome = try await benchmark.run(model, writingTo: output) { done in
            let elapsed = (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(benchmark.count),
                String(format: "%.1f pictures/s", Double(done) / elapsed),
                secondsLeft: elapsed / Double(done) * Double(benchmark.count - done))
        }
        if let output { try outcome.write(to: output, model: self.model ?? "the embedded model") }
        if json { return print(try Documents.line(outcome.sheet)) }
        if !outcome.problems.isEmpty {
            for line in outcome.problems.summary.split(separator: "\n") {
                StandardError.write(line: String(line))
            }
        }
        show(outcome.sheet)
    }

    private func scoreModel() async throws {
        let models = try openModels()
        var outcomes: [BenchmarkOutcome] = []
        for suite in suites {
            let benchmark = try MosaicBenchmark(
                suite: suite, seed: seed ?? MosaicSeeds.scoringStart, scenes: scenes, tasks: tasks, size: size
            )
            outcomes.append(try await run(benchmark, models))
            if !json { show(outcomes.last!.report) }
        }
        if let output {
            try BenchmarkOutcome.write(outcomes, to: output, model: self.model ?? "the embedded model")
        }
        if json { print(try Documents.line(outcomes.map(\.report))) }
    }

    private func findThresholds() async throws {
        let models = try openModels()
        var found: [String: MosaicCalibration] = [:]
        for suite in suites {
            let benchmark = try MosaicBenchmark(
                suite: suite, seed: seed ?? MosaicCalibration.seed, scenes: scenes, tasks: [.counting],
                size: size)
            guard let calibration = MosaicCalibration(try await run(benchmark, models)) else { continue }
            found[suite.rawValue] = calibration
            guard !json else { continue }
            let (count, absent) = (calibration.counting, calibration.absence)
            print("\(suite.rawValue), seed \(benchmark.seed), \(scenes) scenes")
            print(String(format: "  counting  over  %.2f  mean error %.3f", count, calibration.countError))
            print(String(format: "  absence   under %.2f  F1 %.3f", absent, calibration.absenceF1))
        }
        if json { print(try Documents.line(found)) }
    }

    private func openModel() throws -> EngineModel {
        try EngineModel(
            model: model ?? Engine.embeddedModel(), peaks: peaks, device: device,
            dtype: dtype.ofProducts)
    }

    /// One for each worker.
    private func openModels() throws -> [EngineModel] {
        let isCPU = device.kind == .cpu
        // Of one worker, too: operators that are divided among threads round otherwise.
        if isCPU { try Threads.set(1) }
        let count = workers ?? (isCPU ? ProcessInfo.processInfo.activeProcessorCount : 1)
        return try (0..<min(count, scenes)).map { _ in try openModel() }
    }

    private func run(_ benchmark: MosaicBenchmark, _ models: [EngineModel]) async throws -> BenchmarkOutcome {
        let line = ProgressLine()
        let start = ContinuousClock.now
        return try await benchmark.run(models) { done in
            let elapsed = (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(scenes),
                String(format: "\(benchmark.suite.rawValue) %.1f scenes/s", Double(done) / elapsed),
                secondsLeft: elapsed / Double(done) * Double(scenes - done))
        }
    }

    private func show(_ report: BenchmarkReport) {
        print("\(report.suite), seed \(report.seed), \(report.scenes) scenes")
        let width = (report.figures.map(\.title.count).max() ?? 0) + 2
        for figure in report.figures {
            let title = figure.title.padding(toLength: width, withPad: " ", startingAt: 0)
            let text = figure.text.padding(toLength: 14, withPad: " ", startingAt: 0)
            print("  \(title)\(text)\(figure.aimText)")
        }
    }

    private var suites: [BenchmarkSuite] {
        switch suite {
        case .compositional: [.compositional]
        case .wide: [.wide]
        case .segmenter: []
        case .rings: ring == .both ? [.plain, .rich] : ring == .plain ? [.plain] : [.rich]
        }
    }

    private static func metric(_ name: String) throws -> ScoringMetric {
        guard let metric = ScoringMetric(rawValue: name) else {
            throw ValidationError(
                "'\(name)' is not a metric; \(ScoringMetric.allCases.map(\.rawValue).joined(separator: ", ")) are."
            )
        }
        return metric
    }

    private static func sigmas(_ list: String) throws -> [Double] {
        try list.split(separator: ",").map { text in
            guard let value = Double(text.trimmingCharacters(in: .whitespaces)), value > 0, value.isFinite
            else {
                throw ValidationError("'\(text)' of --sigmas is not a number above 0.")
            }
            return value
        }
    }

    private static func type(_ name: String) throws -> COCOScoringType {
        guard let type = COCOScoringType(rawValue: name) else {
            throw ValidationError("'\(name)' is not a type; bbox, segm and keypoints are.")
        }
        return type
    }

    private static func tasks(_ list: String) throws -> Set<BenchmarkTask> {
        let names = list.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        guard !names.isEmpty else { throw ValidationError("--tasks names no task.") }
        return Set(
            try names.map { name in
                guard let task = BenchmarkTask(rawValue: name) else {
                    throw ValidationError("'\(name)' is not a task of --tasks.")
                }
                return task
            })
    }
}
