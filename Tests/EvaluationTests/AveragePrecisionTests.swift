import Evaluation
import Foundation
import Media
import Testing

@Suite struct AveragePrecisionTests {
    private struct Case: Decodable {
        struct Entry: Decodable {
            let image: Int
            let category: Int
            let box: [Double]
            let score: Double?

            var place: Box { Box(x: box[0], y: box[1], width: box[2], height: box[3]) }
        }
        let truth: [Entry]
        let predictions: [Entry]
        let stats: [Double]
    }

    @Test func equalsPycocotools() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/average_precision.json")
        for entry in try JSONDecoder().decode([Case].self, from: Data(contentsOf: file)) {
            let precision = AveragePrecision(
                entry.predictions.map {
                    .init(image: $0.image, category: $0.category, box: $0.place, score: $0.score!)
                }, truth: entry.truth.map { .init(image: $0.image, category: $0.category, box: $0.place) })
            for (value, expected) in zip([precision.ap, precision.ap50, precision.ap75], entry.stats) {
                #expect(abs(try #require(value) - expected) < 1e-9)
            }
        }
    }

    @Test func perfectBoxesScoreOneAndNoTruthHasNoFigure() {
        let box = Box(x: 1, y: 2, width: 3, height: 4)
        let one = AveragePrecision(
            [.init(image: 0, category: 0, box: box, score: 0.5)],
            truth: [.init(image: 0, category: 0, box: box)])
        #expect(abs(one.ap! - 1) < 1e-9)
        #expect(AveragePrecision([], truth: []).ap == nil)
    }
}
