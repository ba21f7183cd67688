import Datasets
import Evaluation
import Foundation
import Vitrail

extension Evaluate {
    /// Scores the segmenter alone, on both rings.
    func scoreSegmenter() throws {
        let segmenter = try Segmenter(contentsOf: model ?? Engine.embeddedModel())
        let seed = seed ?? MosaicSeeds.scoringStart
        let line = ProgressLine()
        let start = ContinuousClock.now
        let reports = try SegmenterBenchmark(seed: seed, scenes: scenes).run(segmenter) { done in
            let elapsed = (ContinuousClock.now - start).seconds
            line.update(
                Double(done) / Double(2 * scenes), String(format: "%.1f scenes/s", Double(done) / elapsed),
                secondsLeft: elapsed / Double(done) * Double(2 * scenes - done))
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            print(String(decoding: try encoder.encode(reports), as: UTF8.self))
            return
        }
        print("Mosaic, true boxes and points, seed \(seed), \(scenes) scenes a ring")
        print("ring   prompt         things  IoU   >=.5  >=.75  .5:.95")
        for report in reports {
            func percent(_ value: Double) -> String { String(format: "%5.1f", 100 * value) }
            let ring = report.ring.padding(toLength: 7, withPad: " ", startingAt: 0)
            let prompt = report.prompt.padding(toLength: 14, withPad: " ", startingAt: 0)
            let things = String(format: "%7d", report.objects)
            print(
                "\(ring)\(prompt)\(things) \(percent(report.meanIoU)) \(percent(report.recall50))  "
                    + "\(percent(report.recall75))   \(percent(report.recall))")
        }
    }
}
