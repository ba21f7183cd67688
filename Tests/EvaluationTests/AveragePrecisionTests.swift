import Datasets
import Evaluation
import Foundation
import Media
import Testing

@Suite struct AveragePrecisionTests {
    private struct Case {
        let type: COCOScoringType
        let truth: COCOTruth
        let results: [COCOResult]
        let sigmas: [Double]
        let stats: [Double]
        let lines: [String]
    }

    private static func cases() throws -> [Case] {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/coco_evaluation.json")
        let entries = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [[String: Any]]
        return try #require(entries).map { entry in
            try Folder.temporary { folder in
                let truth = try JSONSerialization.data(withJSONObject: #require(entry["truth"]))
                let results = try JSONSerialization.data(withJSONObject: #require(entry["results"]))
                return Case(
                    type: try #require((entry["type"] as? String).flatMap(COCOScoringType.init)),
                    truth: try COCOTruth(contentsOf: folder.write(truth, "truth.json")),
                    results: try COCOResult.read(contentsOf: folder.write(results, "results.json")),
                    sigmas: entry["sigmas"] as? [Double] ?? ObjectKeypointSimilarity.cocoSigmas,
                    stats: try #require(entry["stats"] as? [Double]),
                    lines: try #require(entry["lines"] as? [String]))
            }
        }
    }

    @Test func equalsPycocotools() throws {
        let cases = try Self.cases()
        #expect(Set(cases.map(\.type)).count == 3)
        for entry in cases {
            let scored = try AveragePrecision(
                entry.results, truth: entry.truth, by: entry.type, sigmas: entry.sigmas)
            let figures = scored.figures
            #expect(figures.count == entry.stats.count)
            for (figure, expected) in zip(figures, entry.stats) {
                #expect(abs(figure.value - expected) < 1e-9, "\(entry.type) \(figure.name)")
            }
            for (figure, line) in zip(figures, entry.lines) {
                // Noise in the last bit of a figure may round its last digit the other way.
                #expect(figure.line.dropLast(6) == line.dropLast(6))
                #expect(figure.line.hasSuffix(String(format: "%0.3f", figure.value)))
            }
        }
    }

    @Test func perfectBoxesScoreOneAndNoTruthHasNoFigure() {
        let box = Box(x: 1, y: 2, width: 3, height: 4)
        let one = AveragePrecision(
            boxes: [.init(image: 0, category: 0, score: 0.5, area: 12, shape: box)],
            truth: [.init(image: 0, category: 0, area: 12, shape: box)])
        #expect(abs(one.ap() - 1) < 1e-9)
        #expect(one.ap(area: 3) == -1)
        #expect(one.curve().count == 101)
        let none = AveragePrecision(boxes: [], truth: [])
        #expect(none.ap() == -1 && none.curve().isEmpty)
    }

    @Test(arguments: [
        ("{}", "images is missing"), ("[", "not JSON"),
        (
            #"{"images":[{"id":"1"},{"id":"1"}],"categories":[],"annotations":[]}"#,
            "two images have the id \"1\""
        ),
        (
            #"{"images":[],"categories":[],"annotations":[{"id":1,"image_id":2,"category_id":1,"iscrowd":"maybe"}]}"#,
            "annotations[0].iscrowd: true or false is needed here"
        ),
        (
            #"{"images":[],"categories":[],"annotations":[{"id":1,"category_id":1,"bbox":[0,0,1,1]}]}"#,
            "annotations[0]: image_id is missing"
        ),
    ])
    func badTruthIsNamedInOneLine(content: String, reason: String) throws {
        try Folder.temporary { folder in
            let path = try folder.write(Data(content.utf8), "truth.json")
            let error = #expect(throws: COCOReadError.self) { try COCOTruth(contentsOf: path) }
            #expect("\(try #require(error))" == "\(path): \(reason)")
        }
    }

    @Test(arguments: [
        (
            #"{"image_id":7,"category_id":1,"score":1,"bbox":[0,0,1,1]}"#, COCOScoringType.boxes,
            "result 0 is of image 7, which the truth does not have"
        ),
        (
            #"{"image_id":1,"category_id":1,"score":1,"bbox":[0,0,1,1]}"#, .masks,
            "result 0 has no segmentation"
        ),
        (
            #"{"image_id":1,"category_id":1,"score":1,"keypoints":[0,0,1]}"#, .keypoints,
            "result 0 has 1 joints, not 17"
        ),
        (
            #"{"image_id":1,"category_id":1,"score":1,"segmentation":{"size":[3,3],"counts":[9]}}"#, .masks,
            "result 0: mask of 3 x 3 in a picture of 9 x 9"
        ),
    ])
    func badPredictionsAreNamedInOneLine(result: String, type: COCOScoringType, reason: String) throws {
        let empty =
            #"{"images":[{"id":1,"width":9,"height":9}],"categories":[{"id":1,"name":"star"}],"annotations":[]}"#
        try Folder.temporary { folder in
            let truth = try COCOTruth(contentsOf: folder.write(Data(empty.utf8), "truth.json"))
            let results = try COCOResult.read(
                contentsOf: folder.write(Data("[\(result)]".utf8), "results.json"))
            let error = #expect(throws: COCOScoringError.self) {
                try AveragePrecision(results, truth: truth, by: type)
            }
            #expect(try #require(error).description == reason)
        }
    }

    private func score(
        _ truth: String, _ results: String, _ type: COCOScoringType
    ) throws -> [AveragePrecision.Figure] {
        try Folder.temporary { folder in
            try AveragePrecision(
                COCOResult.read(contentsOf: folder.write(Data(results.utf8), "results.json")),
                truth: COCOTruth(contentsOf: folder.write(Data(truth.utf8), "truth.json")), by: type
            ).figures
        }
    }

    /// pycocotools 2.0.11's AP of each is 0.8514851485148515, whatever a measure does not look at.
    @Test(arguments: [
        (#"{"id":1},{"id":2}"#, #""iscrowd":0"#, "1", "2", "5", ""),
        (
            #"{"id":1,"width":null},{"id":2,"height":0}"#, #""segmentation":[],"keypoints":null"#, "1", "2",
            "5", ""
        ),
        (
            #"{"id":1},{"id":2}"#, #""segmentation":{"size":[1,1],"counts":[9]},"keypoints":[1]"#, "1", "2",
            "5",
            #",{"id":3,"image_id":9,"category_id":5,"bbox":[0,0,9,9]},{"id":4,"image_id":1,"category_id":9,"bbox":[0,0,9,9]}"#
        ),
        (#"{"id":"0007"},{"id":"7"}"#, #""iscrowd":"0""#, #""0007""#, #""7""#, #""a""#, ""),
    ])
    func boxesAreScoredByWhatTheyNeed(
        images: String, more: String, first: String, second: String, category: String, others: String
    ) throws {
        let truth =
            #"{"images":[\#(images)],"categories":[{"id":\#(category),"name":"star"}],"annotations":[{"id":"a","image_id":\#(first),"category_id":\#(category),"bbox":[0,0,10,10],"area":100,\#(more)},{"id":"b","image_id":\#(second),"category_id":\#(category),"bbox":[0,0,10,10],"area":100}\#(others)]}"#
        let results =
            #"[{"image_id":\#(first),"category_id":\#(category),"bbox":[0,0,10,10],"score":0.9},{"image_id":\#(second),"category_id":\#(category),"bbox":[0,0,8,10],"score":0.8}]"#
        let figures = try score(truth, results, .boxes)
        #expect(abs(figures[0].value - 0.8514851485148515) < 1e-9)
        // pycocotools has no figure for an empty list: nothing is found.
        #expect(try score(truth, "[]", .boxes)[0].value == 0)
    }

    @Test func masksWantNoBoxAndRunsNoSize() throws {
        let runs = #""segmentation":{"size":[20,20],"counts":[0,40,360]}"#
        let truth = { (image: String, mask: String) in
            #"{"images":[{"id":1\#(image)}],"categories":[{"id":1,"name":"a"}],"annotations":[{"id":1,"image_id":1,"category_id":1,"area":40,\#(mask)}]}"#
        }
        let found = #"[{"image_id":1,"category_id":1,"score":0.9,"bbox":[],\#(runs)}]"#
        #expect(abs(try score(truth("", runs), found, .masks)[0].value - 1) < 1e-9)
        let polygon = #""segmentation":[[0,0,2,0,2,20,0,20]]"#
        #expect(try score(truth(#","width":20,"height":20"#, polygon), found, .masks)[0].value > 0.9)
        let error = #expect(throws: COCOScoringError.self) { try score(truth("", polygon), found, .masks) }
        #expect(
            error?.description == "annotation 1: polygons want the width and the height of image 1"
                && error?.isTruth == true)
    }

    @Test func jointsAreNotComparedByTheBoxInSilence() throws {
        let joints = "[" + Array(repeating: "1,1,2", count: 17).joined(separator: ",") + "]"
        let truth = { (fields: String) in
            #"{"images":[{"id":1}],"categories":[{"id":1,"name":"a"}],"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[0,0,9,9],\#(fields)}]}"#
        }
        let found = #"[{"image_id":1,"category_id":1,"score":0.9,"keypoints":\#(joints)}]"#
        #expect(
            abs(try score(truth(#""area":50,"keypoints":\#(joints)"#), found, .keypoints)[0].value - 1) < 1e-9
        )
        let error = #expect(throws: COCOScoringError.self) {
            try score(truth(#""keypoints":\#(joints)"#), found, .keypoints)
        }
        #expect(
            error?.description.hasPrefix("annotation 1 has no area, by which joints are compared;") == true)
        // Somebody without a list has no labelled joint, and does not count.
        #expect(try score(truth(#""area":50,"keypoints":null"#), found, .keypoints)[0].value == -1)
    }

    @Test func aMissingFileIsNamed() {
        let error = #expect(throws: COCOReadError.self) { try COCOTruth(contentsOf: "/nowhere/truth.json") }
        #expect(error?.description == "cannot read /nowhere/truth.json: there is no such file")
    }
}
