import Datasets
import Evaluation
import Foundation
import Media
import Testing

@Suite struct MosaicBenchmarkTests {
    private static let scenes = 6

    private static func run(
        offset: Double = 0, isMute: Bool = false, tasks: Set<BenchmarkTask> = Set(BenchmarkTask.allCases)
    ) async throws -> BenchmarkOutcome {
        let model = KnowingModel(seed: 7, configuration: .standard, offset: offset, isMute: isMute)
        return try await MosaicBenchmark(suite: .plain, seed: 7, scenes: scenes, tasks: tasks).run(model)
    }

    @Test func whoKnowsAllHasAllAimsReached() async throws {
        let outcome = try await Self.run()
        #expect(outcome.cases.isEmpty)
        for figure in outcome.report.figures {
            #expect(figure.count > 0, "\(figure.name)")
            let value = try #require(figure.value, "\(figure.name)")
            #expect(abs(value - (figure.isError ? 0 : 1)) < 1e-9, "\(figure.name)")
            #expect(figure.isReached != false, "\(figure.name)")
        }
        #expect(outcome.report["questions.relation"]?.aim == 0.93)
        #expect(Set(outcome.report.parts.map(\.task)) == [.detection, .segmentation])
    }

    @Test func poorAnswersCostTheirFiguresAndAreShown() async throws {
        let outcome = try await Self.run(offset: 6, isMute: true)
        let report = outcome.report
        #expect(try #require(report["detection.ap"]?.value) < 0.7)
        // The masks stand where they should.
        #expect(abs(try #require(report["segmentation.ap"]?.value) - 1) < 1e-9)
        #expect(report["questions"]?.value == 0)
        #expect(report["routes"]?.value == 0)
        #expect(report["absent.recall"]?.value == 0)
        #expect(report["absent.precision"]?.value == nil)
        #expect(report["counting.mae"]?.value == 1)
        #expect(report["counting.exact"]?.isReached == false)
        #expect(outcome.cases.count == 24)
        #expect(Set(outcome.cases.map(\.task)).isSuperset(of: [.detection, .questions, .captions, .routes]))
    }

    @Test func masksAreOnlyAskedForWhereTheyAreScored() async throws {
        let boxes = try await Self.run(tasks: [.detection, .referring])
        #expect(boxes.report["referring"]?.value == 1)
        #expect(boxes.report["referringSegmentation.ciou"] == nil)
        let masks = try await Self.run(tasks: [.referringSegmentation]).report
        #expect(masks["referringSegmentation.ciou"]?.value == 1 && masks["referring"] == nil)
    }

    @Test func onlyTheTasksNamedAreAsked() async throws {
        let report = try await Self.run(tasks: [.captions, .pose]).report
        #expect(report.tasks == [.pose, .captions])
        #expect(report.figures.allSatisfy { $0.name.hasPrefix("pose") || $0.name.hasPrefix("captions") })
    }

    @Test func scenesCanBeDrawnAtAnotherSize() async throws {
        // It stops when it is shown another picture than the one that it knows.
        let model = KnowingModel(seed: 7, configuration: try MosaicConfiguration(size: 160))
        let benchmark = try MosaicBenchmark(
            suite: .plain, seed: 7, scenes: 2, tasks: [.detection], size: 160)
        let precision = try await benchmark.run(model).report["detection.ap"]?.value
        #expect(abs(try #require(precision) - 1) < 1e-9)
        #expect(throws: MosaicError.self) { try MosaicBenchmark(suite: .rich, size: 90) }
    }

    @Test(arguments: [BenchmarkSuite.plain, .wide]) func severalWorkersGiveTheOutcomeOfOne(
        suite: BenchmarkSuite
    ) async throws {
        // Of the wide scenes some have too few things and are not asked about.
        let configuration =
            suite == .plain
            ? MosaicConfiguration.standard
            : try MosaicConfiguration(width: 256, height: 128, maximumObjects: 30)
        let benchmark = try MosaicBenchmark(suite: suite, seed: 7, scenes: 10)
        func outcome(of workers: Int) async throws -> (report: Data, cases: [String], steps: [Int]) {
            // The first workers are the slowest, so that others are done before them.
            let models = (0..<workers).map {
                KnowingModel(
                    seed: 7, configuration: configuration, offset: 6, isMute: true,
                    pause: .milliseconds(5 * (workers - 1 - $0)))
            }
            var steps: [Int] = []
            let outcome = try await benchmark.run(models) { steps.append($0) }
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            return (try encoder.encode(outcome.report), outcome.cases.map { "\($0)" }, steps)
        }
        let one = try await outcome(of: 1)
        #expect(one.steps == Array(1...10) && one.cases.count == 24)
        for workers in [2, 5, 16] { #expect(try await outcome(of: workers) == one) }
    }

    @Test func aWorkerThatFailsEndsTheRunWithItsError() async throws {
        let models = (0..<3).map {
            KnowingModel(seed: 7, configuration: .standard, failsAfter: $0 == 1 ? 2 : .max)
        }
        var done = 0
        await #expect(throws: KnowingModel.Failure.self) {
            try await MosaicBenchmark(suite: .plain, seed: 7, scenes: 40).run(models) { done = $0 }
        }
        #expect(done < 40)
    }

    @Test func calibrationFindsWhereCountsAreRight() async throws {
        let calibration = try #require(MosaicCalibration(try await Self.run(tasks: [.counting])))
        #expect(calibration.countError == 0 && calibration.counting <= 0.9)
        #expect(calibration.absenceF1 == 1)
        #expect(MosaicCalibration(try await Self.run(tasks: [.captions])) == nil)
    }

    @Test func pageAndFilesAreWhole() async throws {
        let outcome = try await Self.run(offset: 2, isMute: true)
        try Folder.temporary { folder in
            try BenchmarkOutcome.write([outcome], to: folder.path, model: "a <small> model")
            let page = try String(contentsOfFile: "\(folder.path)/index.html", encoding: .utf8)
            #expect(page.hasSuffix("</html>\n"))
            for figure in outcome.report.figures {
                #expect(page.contains(figure.title.replacing("\"", with: "&quot;")), "\(figure.name)")
            }
            #expect(page.contains("a &lt;small&gt; model"))
            #expect(page.split(separator: "<img ").count - 1 == 2 * outcome.cases.count)
            #expect(page.split(separator: "<svg ").count - 1 == 5)
            #expect(!page.contains("http"))

            let results = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/results.json"))
            let report = try #require(try JSONDecoder().decode([BenchmarkReport].self, from: results).first)
            #expect(report.figures == outcome.report.figures)

            // The files, read again, give the figures of the report.
            let truth = try COCOTruth(contentsOf: "\(folder.path)/plain/truth.json")
            let found = try COCOResult.read(contentsOf: "\(folder.path)/plain/detections.json")
            #expect(
                try AveragePrecision(found, truth: truth, by: .boxes).ap() == report["detection.ap"]?.value)
            #expect(
                try AveragePrecision(found, truth: truth, by: .masks).ap() == report["segmentation.ap"]?.value
            )
            #expect(try !COCOResult.read(contentsOf: "\(folder.path)/plain/poses.json").isEmpty)
        }
    }

    @Test func aFolderThatCannotBeMadeIsNamed() async throws {
        let outcome = try await Self.run(tasks: [.captions])
        let error = #expect(throws: ReportError.self) {
            try BenchmarkOutcome.write([outcome], to: "/dev/null/report", model: "")
        }
        #expect(error?.description == "cannot write /dev/null/report/plain")
    }
}
