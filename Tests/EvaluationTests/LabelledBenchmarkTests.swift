import Datasets
import Evaluation
import Foundation
import Media
import Testing
import Text

/// Answers what it is told to, picture by picture.
private actor ToldModel: BenchmarkModel {
    private let boxes: [[Box]]
    private let stopsAt: Int
    private var next = -1

    init(_ boxes: [[Box]], stopsAt: Int = .max) {
        self.boxes = boxes
        self.stopsAt = stopsAt
    }

    struct Stopped: Error {}

    func look(at image: Image) throws {
        next += 1
        if next == stopsAt { throw Stopped() }
    }

    func find(_ phrases: [String], as response: LocateResponse) -> [[FoundThing]] {
        phrases.map { phrase in phrase == "cat" ? boxes[next].map { FoundThing(box: $0, score: 0.9) } : [] }
    }

    func count(_ phrases: [String]) -> [Int] { phrases.map { $0 == "cat" ? boxes[next].count : 0 } }

    func answer(_ request: String) -> BenchmarkAnswer { BenchmarkAnswer(text: "a cat") }
}

@Suite struct LabelledBenchmarkTests {
    private static let box = Box(x: 10, y: 8, width: 20, height: 16)

    /// Three pictures with a cat each, and a fourth that is broken; categories "cat" and "dog".
    ///
    /// - Parameter quote: around ids.
    private func set(_ folder: Folder, quote: String = "") throws -> String {
        let image = Image(width: 48, height: 40, pixels: Array(repeating: 200, count: 48 * 40 * 3))
        for number in 1...3 { try image.writePNG(to: "\(folder.path)/\(number).png") }
        _ = try folder.write(Data("not a picture".utf8), "4.png")
        let images = (1...4).map {
            "{\"id\":\(quote)\($0)\(quote),\"file_name\":\"\($0).png\",\"width\":48,\"height\":40}"
        }
        let annotations = (1...4).map {
            "{\"id\":\($0),\"image_id\":\(quote)\($0)\(quote),\"category_id\":\(quote)7\(quote),\"bbox\":[10,8,20,16],\"area\":320,\"iscrowd\":0}"
        }
        let truth =
            "{\"images\":[\(images.joined(separator: ","))],\"annotations\":[\(annotations.joined(separator: ","))],"
            + "\"categories\":[{\"id\":\(quote)7\(quote),\"name\":\"cat\"},{\"id\":9,\"name\":\"dog\"}]}"
        _ = try folder.write(Data(truth.utf8), "truth.json")
        return try folder.write(
            Data("{\"format\":\"coco\",\"path\":\"truth.json\",\"images\":\".\"}".utf8), "source.json")
    }

    private func withSet<Result>(
        quote: String = "", _ body: (Folder, String) async throws -> Result
    ) async throws -> Result {
        let folder = Folder(path: FileManager.default.temporaryDirectory.path + "/\(UUID().uuidString)")
        try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        return try await body(folder, set(folder, quote: quote))
    }

    @Test(arguments: ["", "\""]) func modelAndMetricRunOverASet(quote: String) async throws {
        try await withSet(quote: quote) { folder, source in
            let benchmark = try LabelledBenchmark(sourceFile: source, metric: .coco)
            let far = Box(x: 30, y: 30, width: 8, height: 8)
            let outcome = try await benchmark.run(
                ToldModel([[Self.box], [Self.box], [far]]), writingTo: folder.path)
            // Two of three are found, and the broken picture does not count.
            #expect(outcome.problems[.brokenPicture] == 1)
            #expect(abs(try #require(outcome.sheet["AR1"]) - 2.0 / 3) < 1e-12)
            #expect(outcome.sheet.parts.map(\.name) == ["cat"])
            #expect(outcome.cases.count == 1)
            try outcome.write(to: folder.path, model: "a <small> model")
            let page = try String(contentsOfFile: "\(folder.path)/index.html", encoding: .utf8)
            #expect(page.hasSuffix("</html>\n") && page.contains("a &lt;small&gt; model"))
            #expect(page.split(separator: "<img ").count - 1 == 2)

            // The file of results gives the figures again, but for the picture that is broken.
            let again = try PredictionScoring(
                predictions: "\(folder.path)/predictions.json", truth: "\(folder.path)/truth.json"
            ).score()
            #expect(abs(try #require(again["AR1"]) - 2.0 / 4) < 1e-12)
        }
    }

    @Test func aMissingPictureLeavesTheOthersTheirTruth() async throws {
        try await withSet { folder, _ in
            for number in 0...3 {
                let corners = zip(["xmin", "ymin", "xmax", "ymax"], [1 + 8 * number, 3, 8 + 8 * number, 12])
                    .map { "<\($0)>\($1)</\($0)>" }.joined()
                _ = try folder.write(
                    Data(
                        "<annotation><object><name>cat</name><bndbox>\(corners)</bndbox></object></annotation>"
                            .utf8),
                    "\(number).xml")
            }
            // There is no picture 0, and 4 has no labels.
            let benchmark = try LabelledBenchmark(DataSource(format: .voc, path: folder.path), metric: .voc)
            let boxes = (1...3).map { [Box(x: 8 * Double($0), y: 2, width: 8, height: 10)] }
            let outcome = try await benchmark.run(ToldModel(boxes))
            #expect(outcome.sheet["mAP"] == 1 && outcome.pictures == 3)
        }
    }

    @Test func anInterruptedRunLeavesAWholeFile() async throws {
        try await withSet { folder, source in
            let benchmark = try LabelledBenchmark(sourceFile: source, metric: .coco)
            await #expect(throws: ToldModel.Stopped.self) {
                try await benchmark.run(
                    ToldModel([[Self.box], [Self.box], []], stopsAt: 2), writingTo: folder.path)
            }
            #expect(
                try COCOResult.read(contentsOf: "\(folder.path)/predictions.json").map(\.imageID) == [1, 2])
        }
    }

    @Test func countsAreComparedForEachCategory() async throws {
        try await withSet { _, source in
            let benchmark = try LabelledBenchmark(sourceFile: source, metric: .counting, limit: 3)
            let outcome = try await benchmark.run(ToldModel([[Self.box], [], [Self.box, Self.box]]))
            // Three cats and no dog: off by 0, 1 and 1.
            #expect(outcome.sheet["MAE"] == 2.0 / 6)
            #expect(outcome.sheet["exact"] == 4.0 / 6)
        }
    }

    /// In FSC-147 a picture's one class was counted, and nobody looked for the others.
    @Test func whatNobodyLookedForIsNotCounted() async throws {
        try await withSet { folder, _ in
            _ = try folder.write(
                Data(#"{"1.png":{"points":[[1,1],[2,2]]},"2.png":{"points":[[1,1],[2,2],[3,3]]}}"#.utf8),
                "annotation_FSC147_384.json")
            _ = try folder.write(
                Data("1.png\tcat\n2.png\tshells\n3.png\tbeads\n".utf8), "ImageClasses_FSC147.txt")
            let source = try folder.write(
                Data(#"{"format":"fsc147","path":".","images":"."}"#.utf8), "fsc.json")
            let benchmark = try LabelledBenchmark(sourceFile: source, metric: .counting)
            let outcome = try await benchmark.run(ToldModel([[Self.box], []]))
            // One of two cats, none of three shells.
            #expect(outcome.sheet["MAE"] == 2)
        }
    }

    @Test func aSetWithoutWhatIsAskedIsNamed() async throws {
        try await withSet { folder, source in
            let error = #expect(throws: ScoringError.self) {
                try LabelledBenchmark(sourceFile: source, metric: .captions)
            }
            #expect(error?.reason == "it has no caption, which captions is about")
            let other = try folder.write(Data("{\"path\":\"truth.json\"}".utf8), "other.json")
            let wrong = #expect(throws: LabelError.self) {
                try LabelledBenchmark(sourceFile: other, metric: .coco)
            }
            #expect(wrong?.description.contains("it has no \"format\"") == true)
        }
    }
}
