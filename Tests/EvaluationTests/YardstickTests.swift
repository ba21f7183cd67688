import Datasets
import Evaluation
import Foundation
import Media
import Testing

/// Every metric beside its reference tool (Tools/reference/yardstick_fixtures.py).
@Suite struct YardstickTests {
    struct Case: Decodable, CustomTestStringConvertible {
        let name: String
        let metric: ScoringMetric?
        /// Contents by name; of pictures in base 64.
        let files: [String: String]
        let base64: Bool?
        let predictions: String
        let truth: String
        let type: COCOScoringType?
        let sigmas: [Double]?
        let figures: [String: Double]
        let parts: [String: [String: Double]]
        /// Captions with their words by PTBTokenizer.
        let tokens: [[String]]?
        let meteors: [Scored]?

        /// A caption with METEOR's score.
        struct Scored: Decodable {
            let found: String
            let truth: [String]
            let value: Double
        }

        var testDescription: String { name }
    }

    static let cases: [Case] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/yardsticks.json")
        return try! JSONDecoder().decode([Case].self, from: Data(contentsOf: file))
    }()

    @Test func allMetricsHaveACase() {
        let names = Set(Self.cases.map { $0.name.split(separator: " ")[0] })
        #expect(names == Set(ScoringMetric.allCases.map { Substring($0.rawValue) }))
    }

    @Test(arguments: cases) func equalsItsReference(entry: Case) throws {
        let sheet = try Folder.temporary { folder in
            for (name, content) in entry.files {
                let path = URL(fileURLWithPath: "\(folder.path)/\(name)")
                try FileManager.default.createDirectory(
                    at: path.deletingLastPathComponent(), withIntermediateDirectories: true)
                let data = entry.base64 == true ? Data(base64Encoded: content) : Data(content.utf8)
                try #require(data).write(to: path)
            }
            return try PredictionScoring(
                predictions: "\(folder.path)/\(entry.predictions)", truth: "\(folder.path)/\(entry.truth)",
                metric: entry.metric, type: entry.type, sigmas: entry.sigmas
            ).score()
        }
        #expect(entry.name.hasPrefix(sheet.metric.rawValue))
        func compare(_ figures: [ScoreSheet.Figure], _ expected: [String: Double], _ part: String) throws {
            #expect(Set(figures.map(\.name)) == Set(expected.keys))
            for figure in figures {
                let value = try #require(figure.value, "\(part) \(figure.name)")
                let real = try #require(expected[figure.name])
                #expect(abs(value - real) < 1e-9, "\(part) \(figure.name): \(value), not \(real)")
            }
        }
        try compare(sheet.figures, entry.figures, "")
        #expect(Set(sheet.parts.map(\.name)) == Set(entry.parts.keys))
        for part in sheet.parts { try compare(part.figures, #require(entry.parts[part.name]), part.name) }
        // What programs read has the same names.
        let document = try #require(
            try JSONSerialization.jsonObject(with: JSONEncoder().encode(sheet)) as? [String: Any])
        #expect((document["figures"] as? [String: Double])?.keys.sorted() == entry.figures.keys.sorted())
        #expect((document["parts"] as? [String: Any])?.count == entry.parts.count)
    }

    @Test func captionsSplitAsThePTBTokenizerDoes() {
        let tokens = Self.cases.flatMap { $0.tokens ?? [] }
        #expect(tokens.count > 80)
        for pair in tokens { #expect(CaptionTokens.line(pair[0]) == pair[1]) }
    }

    @Test func meteorIsTheProgramsForEachCaption() {
        let scored = Self.cases.flatMap { $0.meteors ?? [] }
        #expect(scored.count > 40)
        func words(_ line: String) -> [String] { line.split(separator: " ").map(String.init) }
        let values = Meteor(scored.map { .init(found: words($0.found), truth: $0.truth.map(words)) }).values
        for (value, entry) in zip(values, scored) {
            #expect(abs(value - entry.value) < 1e-9, "\(entry.found)")
        }
    }

    // MARK: Files that are not what they should be

    @Test(
        arguments: [
            (
                "p.json", "[{\"image_id\":1,\"caption\":\"a\"}]", "t.json", "[1, 2", nil,
                "a list of image_id and caption is needed"
            ),
            ("p.json", "{}", "t.json", "{}", nil, "give --metric"),
            (
                "p.json", "[{\"image_id\":9,\"caption\":\"a\"}]", "t.json",
                "[{\"image_id\":1,\"caption\":\"a\"}]", nil, "picture 9"
            ),
            (
                "p.json", "[{\"question_id\":1,\"answer\":\"a\"}]", "t.json",
                "[{\"question_id\":1,\"answer\":\"a\"},{\"question_id\":7,\"answer\":\"b\"}]", nil,
                "no answer for 7"
            ),
            (
                "p.json", "{\"a\":1}", "t.json", "{\"a\":\"many\"}", .counting,
                "an object of names with counts"
            ),
            ("p.json", "{\"a\":1}", "t.json", "{\"b\":1}", .counting, "no count for b"),
            (
                "p.csv", "ImageId,EncodedPixels\nx,1 2 3\n", "t.csv",
                "ImageId,EncodedPixels,Height,Width\nx,1 2,4,4\n", nil, "line 2: pairs"
            ),
            (
                "p.csv", "ImageId,EncodedPixels\nx,15 9\n", "t.csv",
                "ImageId,EncodedPixels,Height,Width\nx,1 2,4,4\n", nil, "out of a picture of 4 x 4"
            ),
            ("p.txt", "1,1,0,0,5\n", "t.txt", "1,1,0,0,5,5,1\n", nil, "line 1: frame, track"),
            ("p.txt", "1,1,0,0,5,5\n1,1,0,0,5,5\n", "t.txt", "1,1,0,0,5,5,1\n", nil, "two boxes in frame 1"),
            ("p.json", "[{\"ref_id\":3,\"bbox\":[1,2,3]}]", "t.json", "[]", nil, "a box has 4 numbers"),
            (
                "p.json", "[{\"ref_id\":3,\"bbox\":[1,2,3,4]}]", "t.json",
                "[{\"ref_id\":1,\"bbox\":[1,2,3,4]}]", nil, "expression 3"
            ),
            ("missing.json", nil, "t.json", "[]", .vqa, "there is no such file"),
        ] as [(String, String?, String, String, ScoringMetric?, String)])
    func wrongFilesAreNamedInOneLine(
        predictions: String, found: String?, truth: String, there: String, metric: ScoringMetric?,
        reason: String
    ) throws {
        try Folder.temporary { folder in
            if let found { _ = try folder.write(Data(found.utf8), predictions) }
            _ = try folder.write(Data(there.utf8), truth)
            let error = #expect(throws: ScoringError.self) {
                try PredictionScoring(
                    predictions: "\(folder.path)/\(predictions)", truth: "\(folder.path)/\(truth)",
                    metric: metric
                ).score()
            }
            let text = error?.description ?? ""
            #expect(text.contains(reason), "\(text)")
            #expect(text.hasPrefix(folder.path) && !text.contains("\n"), "\(text)")
        }
    }
}
