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

    @Test func workGrowsWithWhatIsThere() {
        // 1,500 boxes of a frame over one another, all alike; beside one another; and tracks that meet in two frames.
        let start = ContinuousClock.now
        func boxes(_ frame: Int, _ place: (Int) -> Double) -> [TrackedBox] {
            (0..<300).map {
                .init(frame: frame, track: $0, box: Box(x: place($0), y: 0, width: 100, height: 10))
            }
        }
        let alike = boxes(1) { _ in 0 }
        #expect(TrackingScore(alike, truth: alike).mota == 1)
        let apart = boxes(1) { Double($0) * 40 } + boxes(2) { Double(299 - $0) * 40 }
        #expect(TrackingScore(apart, truth: apart).idf1 == 1)
        // A caption of one word, over and over.
        let words = [String](repeating: "dog", count: 400)
        #expect(Meteor([.init(found: words, truth: [words])]).value == 1)
        #expect(ContinuousClock.now - start < .seconds(30))
    }

    @Test func boxesThatAreNoNumbersArePairsOfNothing() {
        let strange = [Double.nan, .infinity, 1e308].enumerated().map {
            TrackedBox(frame: 1, track: $0, box: Box(x: $1, y: $1, width: $1, height: $1))
        }
        let score = TrackingScore(strange, truth: strange)
        #expect(score.matches == 0 && score.misses == 3)
    }

    // MARK: Published folders

    @Test func aSplitOfAPublishedFolderIsScoredByItself() throws {
        try Folder.temporary { folder in
            func file(_ name: String, _ text: String) throws {
                try FileManager.default.createDirectory(
                    atPath: URL(fileURLWithPath: "\(folder.path)/\(name)").deletingLastPathComponent().path,
                    withIntermediateDirectories: true)
                _ = try folder.write(Data(text.utf8), name)
            }
            func score(
                _ predictions: String, _ truth: String, _ metric: ScoringMetric? = nil, _ split: String? = nil
            ) throws -> ScoreSheet {
                try PredictionScoring(
                    predictions: "\(folder.path)/\(predictions)", truth: "\(folder.path)/\(truth)",
                    metric: metric, split: split
                ).score()
            }
            for name in ["01", "02"] {
                try file(
                    "VOC/Annotations/\(name).xml",
                    """
                    <annotation><filename>\(name).png</filename><size><width>20</width><height>10</height></size>
                    <object><name>cat</name><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>5</xmax><ymax>7</ymax></bndbox>
                    </object></annotation>
                    """)
            }
            try file("VOC/ImageSets/Main/val.txt", "02\n")
            try file("comp4_det_val_cat.txt", "02 0.9 2 3 5 7\n")
            #expect(try score("comp4_det_val_cat.txt", "VOC")["mAP"] == 0.5)
            #expect(try score("comp4_det_val_cat.txt", "VOC", nil, "val")["mAP"] == 1)

            try file(
                "ref/instances.json",
                #"""
                {"images":[{"id":1,"file_name":"a.jpg","width":20,"height":10}],"categories":[{"id":1,"name":"cat"}],
                "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,2,4,5]},
                {"id":2,"image_id":1,"category_id":1,"bbox":[11,2,4,5]}]}
                """#)
            try file(
                "ref/refs.json",
                #"""
                [{"ref_id":5,"image_id":1,"ann_id":1,"split":"val","sentences":[{"sent":"left","sent_id":7},{"sent":"a","sent_id":8}]},
                {"ref_id":6,"image_id":1,"ann_id":2,"split":"test","sentences":[{"sent":"right","sent_id":9}]}]
                """#)
            try file("train2014/x", "")
            try file(
                "ref.json",
                #"[{"ref_id":5,"sent_id":7,"bbox":[1,2,4,5]},{"ref_id":5,"sent_id":8,"bbox":[11,2,4,5]}]"#)
            #expect(try score("ref.json", "ref", nil, "val")["accuracy@0.5"] == 0.5)
            #expect(try score("ref.json", "ref")["accuracy@0.5"] == 1.0 / 3)
            let refused = #expect(throws: ScoringError.self) {
                try score("ref.json", "ref/refs.json", .referring, "val")
            }
            #expect(
                refused?.description.hasSuffix(
                    "refs.json: a split is a part of the published folder, and this is a file") == true)

            try file(
                "fsc/annotation_FSC147_384.json",
                #"{"1.jpg":{"points":[[1,1],[2,2]]},"2.jpg":{"points":[[1,1],[2,2],[3,3]]}}"#)
            try file("fsc/ImageClasses_FSC147.txt", "1.jpg\tbeads\n2.jpg\tshells\n")
            try file("fsc/Train_Test_Val_FSC_147.json", #"{"train":["1.jpg"],"val":["2.jpg"]}"#)
            try file("counts.json", #"[{"image_id":2,"file_name":"2.jpg","count":5}]"#)
            #expect(try score("counts.json", "fsc", .counting, "val")["MAE"] == 2)
            let error = #expect(throws: ScoringError.self) { try score("ref.json", "fsc", .vqa, "val") }
            #expect(error?.description.contains("not for vqa") == true)
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
            (
                "p.csv", "ImageId,EncodedPixels\nx,1 2\n", "t.csv",
                "ImageId,EncodedPixels,Height,Width\nx,1 2,9223372036854775807,4\n", nil, "is not possible"
            ),
            (
                "p.csv", "ImageId,EncodedPixels\nx,-9223372036854775808 2\n", "t.csv",
                "ImageId,EncodedPixels,Height,Width\nx,1 2,4,4\n", nil, "line 2: pairs of a start"
            ),
            ("p.txt", "1,1,nan,1,5,5\n", "t.txt", "1,1,0,0,5,5,1\n", nil, "line 1: frame, track"),
            (
                "p.json", "[{\"ref_id\":1}]", "t.json", "[{\"ref_id\":1,\"bbox\":[1,2,3,4]}]", nil,
                "none of its 1 entries has a bbox"
            ),
            (
                "p.json", "[{\"ref_id\":1,\"bbox\":[1,2,3,4]},{\"ref_id\":1,\"bbox\":[9,9,3,4]}]", "t.json",
                "[{\"ref_id\":1,\"bbox\":[1,2,3,4]}]", nil, "expression 1 is there twice"
            ),
            (
                "p.json", "[{\"question_id\":1,\"answer\":\"a\"},{\"question_id\":1,\"answer\":\"b\"}]",
                "t.json",
                "[{\"question_id\":1,\"answer\":\"a\"}]", nil, "question 1 is there twice"
            ),
            ("missing.json", nil, "t.json", "[]", .vqa, "there is no such file"),
            (
                "p.txt", "1,1,0,0,5,5\n", "t.txt", "1,1,0,0,5,5,-1\n2,1,0,0,5,5,0.5\n", nil,
                "t.txt: none of its 2 boxes counts: their 7th number, which is 1 in a truth where a box counts, is -1.0"
            ),
            ("p.txt", "1e300,1,0,0,5,5\n", "t.txt", "1,1,0,0,5,5,1\n", nil, "line 1: frame, track"),
            (
                "p.json", "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"segmentation\":[[1,2,3]]}]",
                "t.json",
                "{\"images\":[{\"id\":1,\"width\":9,\"height\":9}],\"categories\":[{\"id\":1,\"name\":\"a\"}],\"annotations\":[]}",
                .coco, "p.json: result 0: polygon of 3 values"
            ),
            (
                "p.json", "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"keypoints\":[1,2,3]}]", "t.json",
                "{\"images\":[{\"id\":1}],\"categories\":[{\"id\":1,\"name\":\"a\"}],\"annotations\":[]}",
                .coco,
                "p.json: result 0 has 1 joints, not 17"
            ),
            (
                "p.json",
                "[{\"image_id\":1,\"category_id\":1,\"score\":1,\"segmentation\":{\"size\":[3,3],\"counts\":[9]}}]",
                "t.json",
                "{\"images\":[{\"id\":1,\"width\":9,\"height\":9}],\"categories\":[{\"id\":1,\"name\":\"a\"}],\"annotations\":[]}",
                .dsb, "p.json: result 0: mask of 3 x 3 in a picture of 9 x 9"
            ),
            (
                "p.json", "[{\"ref_id\":1,\"segmentation\":{\"size\":[3,3],\"counts\":[9]}}]", "t.json",
                "[{\"ref_id\":1,\"width\":9,\"height\":9,\"segmentation\":[[1,1,5]]}]", nil,
                "t.json: expression 1: polygon of 3 values"
            ),
            (
                "p.json", "[]", "t.json",
                "{\"images\":[{\"id\":1}],\"categories\":[{\"id\":1,\"name\":\"a\"}],\"annotations\":[]}",
                .crowdpose,
                "t.json: image 1 has no crowdIndex"
            ),
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
