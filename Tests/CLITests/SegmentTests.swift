import Foundation
import TestSupport
import Testing
import Vitrail

/// `vitrail segment` with a folder of SAM as Hugging Face lays it out.
@Suite(.serialized) struct SegmentTests {
    private let pictures: Pictures
    private static let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("VitrailTests/Fixtures/sam").path

    init() throws { pictures = try Pictures() }

    private func segment(_ arguments: [String], in folder: TemporaryFolder? = nil) async throws
        -> Program.Result
    {
        try await Program.run(["segment", pictures.good, "--model", Self.model] + arguments, in: folder)
    }

    private struct Document: Decodable {
        struct Result: Decodable { let masks: [Outline] }
        struct Outline: Decodable {
            struct RunLengths: Decodable {
                let size: [Int]
                let counts: String
            }
            let area: Int
            let bbox: [Double]
            let score: Double
            let segmentation: RunLengths
        }
        let width: Int
        let output: String?
        let results: [Result]
    }

    private func document(_ arguments: [String], in folder: TemporaryFolder? = nil) async throws -> Document {
        let result = try await segment(arguments + ["--json"], in: folder)
        #expect(result.code == 0, "\(result.error)")
        #expect(result.output.filter(\.isNewline).count == 1)
        return try JSONDecoder().decode(Document.self, from: Data(result.output.utf8))
    }

    @Test func everyBoxIsAPromptAndThePointsAreOne() async throws {
        let (a, b) = (["--box", "10,10,60,60"], ["--box", "70,20,120,90"])
        let points = ["--point", "30,30", "--point", "5,5,0"]
        #expect(try await document(a).results.count == 1)
        #expect(try await document(a + b).results.count == 2)
        #expect(try await document(points).results.count == 1)
        // With one box the points are the box's; with several they are a prompt of their own.
        #expect(try await document(a + points).results.count == 1)
        #expect(try await document(a + b + points).results.count == 3)
        let several = try await document(a + ["--multimask"])
        #expect(several.results[0].masks.count == 3)
        #expect(several.results[0].masks[0].segmentation.size == [120, 160])
    }

    @Test func masksAreDrawn() async throws {
        let folder = try TemporaryFolder()
        let found = try await document(["--box", "10,10,60,60", "--output", "masks.png"], in: folder)
        #expect(found.output == "masks.png" && folder.contents == ["masks.png"])
        let text = try await segment(["--point", "30,30"])
        #expect(text.output.contains("scene.png (160 x 120)") && text.output.contains("score"))
    }

    @Test func badInput() async throws {
        let box = ["--box", "1,1,9,9"]
        let cases: [([String], Int32, String)] = [
            ([pictures.good], 64, "--point x,y or --box"),
            ([pictures.good, "--point", "5"], 64, "'5' is not a point"),
            ([pictures.good, "--point", "5,5,2"], 64, "'5,5,2' is not a point"),
            ([pictures.good, "--point", "nan,5"], 64, "is not a point"),
            ([pictures.good, "--box", "1,2,3"], 64, "'1,2,3' is not a box"),
            ([pictures.good, "--box", "9,2,3,8"], 64, "the box 9,2,3,8 is empty"),
            ([pictures.good, "--point", "500,5"], 65, "outside the picture of 160 x 120"),
            ([pictures.good, "--box", "200,200,300,300"], 65, "outside the picture of 160 x 120"),
            ([pictures.good, "--output", "a.gif"] + box, 64, "a.gif"),
            ([pictures.good, "--output", pictures.good] + box, 64, "scene.png"),
            ([pictures.good, "--threads", "0"] + box, 64, "--threads"),
            (["/no/such.png"] + box, 66, "/no/such.png"),
            ([pictures.folder.file("cut.jpg")] + box, 65, "cut.jpg"),
        ]
        for (arguments, code, says) in cases {
            let folder = try TemporaryFolder()
            let result = try await Program.run(["segment"] + arguments + ["--model", Self.model], in: folder)
            #expect(result.code == code && result.isOneLine, "\(arguments): \(result.error)")
            #expect(result.error.contains(says), "\(arguments): \(result.error)")
            #expect(result.output.isEmpty && folder.contents.isEmpty)
        }
        let missing = try await Program.run(["segment", pictures.good, "--model", "/no/such/model"] + box)
        #expect(missing.code == 66 && missing.isOneLine)
    }
}
