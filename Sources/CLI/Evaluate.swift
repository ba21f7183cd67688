import ArgumentParser
import Evaluation
import Foundation
import Vitrail

struct Evaluate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Score a model on unseen scenes of Mosaic.",
        discussion: """
            Detection asks all eleven class names of every scene and is scored as pycocotools scores it. Requests and \
            questions are answered freely. Seeds of 900000 and above are never trained on.
            """)

    @Option(help: "A model's folder; the embedded model when left out.")
    var model: String?

    @Option(help: "The scenes' seed.")
    var seed: UInt64 = 900_000

    @Option(help: "How many scenes.")
    var scenes = 500

    @Flag(help: "Print one JSON document.")
    var json = false

    func validate() throws {
        guard scenes > 0 else { throw ValidationError("--scenes is \(scenes), at least 1 is needed") }
    }

    func run() async throws {
        let line = ProgressLine()
        let start = ContinuousClock.now
        let report = try await MosaicBenchmark(seed: seed, scenes: scenes).run(
            model: model ?? Engine.embeddedModel()
        ) { done in
            let elapsed = (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(scenes), String(format: "%.1f scenes/s", Double(done) / elapsed),
                secondsLeft: elapsed / Double(done) * Double(scenes - done))
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
            return
        }
        func percent(_ value: Double) -> String { String(format: "%5.1f", 100 * value) }
        print("Mosaic, plain ring, seed \(report.seed), \(report.scenes) scenes")
        let (ap, ap50, ap75) = (percent(report.ap), percent(report.ap50), percent(report.ap75))
        print("detection by class name   AP \(ap)  AP50 \(ap50)  AP75 \(ap75)")
        let error = String(format: "%.3f", report.countError)
        print("counting by class name    exact \(percent(report.countExact))  mean error \(error)")
        print("right route               \(percent(report.route)) of \(report.requests) requests")
        print("referring, IoU 0.5        \(percent(report.grounding)) of \(report.groundingRequests)")
        print("well-formed answers       \(percent(report.wellFormed)) of \(report.answers)")
        print("questions                 \(percent(report.questionAccuracy))")
        for (kind, value) in report.questions.sorted(by: { $0.key < $1.key }) {
            print("  \(kind.padding(toLength: 24, withPad: " ", startingAt: 0))\(percent(value))")
        }
    }
}
