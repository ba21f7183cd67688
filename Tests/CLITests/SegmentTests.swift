import Foundation
import Media
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
            let index: Int
            let output: String?
            let score: Double
            let segmentation: RunLengths
        }
        let width: Int
        let dtype: String
        let overlay: String?
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
        #expect(Set(several.results[0].masks.map(\.index)) == [1, 2, 3])
        #expect(several.results[0].masks[0].segmentation.size == [120, 160])
    }

    @Test func masksAreWritten() async throws {
        let folder = try TemporaryFolder()
        let boxes = ["--box", "10,10,60,60", "--box", "70,20,120,90"]
        let one = try await document(boxes.prefix(2) + ["--output", "mask.png"], in: folder)
        #expect(one.results[0].masks[0].output == "mask.png" && folder.contents == ["mask.png"])
        let mask = try Image(contentsOf: folder.file("mask.png"))
        #expect(mask.width == 160 && mask.height == 120)
        #expect(Set(mask.pixels).isSubset(of: [0, 255]))
        #expect(mask.pixels.count { $0 == 255 } == 3 * one.results[0].masks[0].area)

        let two = try await document(boxes + ["--output", "mask.png"], in: folder)
        #expect(two.results.map { $0.masks[0].output } == ["mask-1.png", "mask-2.png"])
        #expect(Set(folder.contents) == ["mask.png", "mask-1.png", "mask-2.png"])
    }

    @Test func masksAreDrawn() async throws {
        let folder = try TemporaryFolder()
        let found = try await document(["--box", "10,10,60,60", "--overlay", "seen.png"], in: folder)
        #expect(found.overlay == "seen.png" && folder.contents == ["seen.png"])
        #expect(found.results[0].masks[0].output == nil)
        let text = try await segment(["--point", "30,30", "--output", "mask.png"], in: folder)
        #expect(text.output.contains("scene.png (160 x 120)") && text.output.contains("score"))
        #expect(text.output.hasSuffix("wrote mask.png\n"))
    }

    @Test func theAuthorsFileIsAModel() async throws {
        let file = URL(fileURLWithPath: Self.model).deletingLastPathComponent()
            .appendingPathComponent("sam-original/sam_vit_small.pth").path
        let arguments = ["segment", pictures.good, "--box", "10,10,60,60", "--json", "--model", file]
        let result = try await Program.run(arguments)
        let found = try JSONDecoder().decode(Document.self, from: Data(result.output.utf8))
        #expect(found.results[0].masks.count == 1 && found.dtype == "float32")
    }

    @Test func whatIsComputedInCanBeChosen() async throws {
        let prompt = ["--box", "10,10,60,60"]
        let (exact, half) = (
            try await document(prompt), try await document(prompt + ["--dtype", "bfloat16"])
        )
        #expect(exact.dtype == "float32" && half.dtype == "bfloat16")
        #expect(abs(exact.results[0].masks[0].score - half.results[0].masks[0].score) < 0.05)
        // The embedded one, too.
        let result = try await Program.run(
            ["segment", pictures.good, "--dtype", "bfloat16", "--json"] + prompt)
        #expect(result.code == 0, "\(result.error)")
        let own = try JSONDecoder().decode(Document.self, from: Data(result.output.utf8))
        #expect(own.dtype == "bfloat16" && own.results[0].masks.count == 1)
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
            ([pictures.good, "--box", "200,200,300,3e9"], 65, "far outside the picture of 160 x 120"),
            ([pictures.good, "--output", "a.gif"] + box, 64, "a.gif"),
            ([pictures.good, "--output", pictures.good] + box, 64, "scene.png"),
            ([pictures.good, "--overlay", "a.jpg"] + box, 64, "a.jpg"),
            ([pictures.good, "--overlay", "a.png", "--output", "a.png"] + box, 64, "the same file a.png"),
            ([pictures.good, "--dtype", "int8"] + box, 64, "--dtype int8"),
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
        let folder = try TemporaryFolder()
        let cut = folder.file("sam_vit_b.pth")
        try Data("not an archive".utf8).write(to: URL(fileURLWithPath: cut))
        let damaged = try await Program.run(["segment", pictures.good, "--model", cut] + box)
        #expect(damaged.code == 65 && damaged.isOneLine && damaged.error.contains("sam_vit_b.pth"))
    }
}
