import Foundation
import TestSupport
import Testing
import Torch

/// `vitrail ask` with a LLaVA's folder.
@Suite(.serialized) struct AskLLaVATests {
    private let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent()
        .appendingPathComponent("VitrailTests/Fixtures/llava").path
    private let question = "what color is the large star?"

    private func ask(_ model: String, _ options: [String]) async throws -> Program.Result {
        try await Program.run(
            ["ask", "\(fixtures)/picture.png", question, "--model", "\(fixtures)/\(model)"] + options)
    }

    private struct Document: Decodable {
        let answer: String
        let ids: [Int]
        let end: String
        let prompt: String
        let prompt_tokens: Int
        let image_tokens: Int
        let layout: String
        let conversation: String?
        let dtype: String
    }

    @Test(arguments: [("hf", "llava_hf", "Hugging Face"), ("original", "vicuna_v1", "original")])
    func theDocumentHoldsTheReferencesTokens(_ model: String, _ template: String, _ layout: String)
        async throws
    {
        let result = try await ask(
            model, ["--temperature", "0", "--max-tokens", "64", "--dtype", "float32", "--json"])
        #expect(result.code == 0 && result.error.isEmpty, "\(result.error)")
        let document = try JSONDecoder().decode(Document.self, from: Data(result.output.utf8))
        let expected = try Fixture("llava/expected", test: "\(fixtures)/../../x.swift")
        #expect(try document.ids == expected["\(model)/greedy"].array(Int.self))
        #expect(document.answer == expected.metadata["\(model)/text"])
        #expect(document.prompt == expected.metadata["\(model)/prompt"])
        #expect(document.end == "length" && document.dtype == "float32" && document.layout == layout)
        #expect(document.conversation == template && document.prompt_tokens > document.image_tokens)

        // Without --json the same text, as it comes, but for what would move a terminal's cursor.
        let plain = try await ask(model, ["--max-tokens", "64", "--dtype", "float32"])
        let shown = document.answer.unicodeScalars.map {
            (0x20...0x7E).contains($0.value) || $0.value >= 0xA0 || "\n\t".unicodeScalars.contains($0)
                ? String($0) : String(format: "\\u%04x", $0.value)
        }
        #expect(plain.output == shown.joined() + "\n")
    }

    @Test func aLoRAFindsItsBase() async throws {
        let result = try await ask("original-lora", ["--max-tokens", "5", "--lora", "live", "--json"])
        #expect(result.code == 0 && result.output.contains(#""layout":"original""#), "\(result.error)")
    }

    private func expectFailure(_ result: Program.Result, _ code: Int32, _ says: String...) {
        #expect(result.code == code && result.isOneLine && result.output.isEmpty, "\(result.error)")
        for text in says { #expect(result.error.contains(text), "\(result.error)") }
    }

    @Test func optionsThatDoNotFitAreRefused() async throws {
        expectFailure(try await ask("hf", ["--output", "x.png"]), 64, "--output", "answers in words")
        expectFailure(try await ask("hf", ["--threshold", "0.3"]), 64, "--threshold")
        expectFailure(try await ask("hf", ["--top-p", "0"]), 64, "top-p is 0.0")
        expectFailure(try await ask("hf", ["--dtype", "float8"]), 64, "float8")
        expectFailure(try await ask("hf", ["--conversation", "nonsense"]), 65, "nonsense", "vicuna_v1")
        expectFailure(try await ask("clip-tiny", []), 65, "clip-tiny", "not a model that can be asked")
        let picture = "\(fixtures)/picture.png"
        expectFailure(
            try await Program.run(["ask", picture, "Find all stars.", "--temperature", "0", "--base", "x"]),
            64,
            "--temperature, --base", "the embedded model")
    }

    @Test func badInputGetsOneLine() async throws {
        let picture = "\(fixtures)/picture.png"
        let long = String(repeating: "star ", count: 400)
        expectFailure(
            try await Program.run(["ask", picture, long, "--model", "\(fixtures)/hf"]), 65, "limit of 256")
        expectFailure(try await Program.run(["ask", picture, " ", "--model", "\(fixtures)/hf"]), 65, "empty")
        expectFailure(
            try await Program.run(["ask", picture, "x", "--model", "\(fixtures)/hf", "--raw-prompt"]), 65,
            "<image> 0 times")
        expectFailure(try await ask("original", ["--vision-tower", "nowhere"]), 66, "nowhere")
        expectFailure(try await ask("nothing", []), 66, "nothing")

        let folder = try TemporaryFolder()
        try #"{"model_type": "qwen2_vl"}"#.write(
            toFile: folder.file("config.json"), atomically: true, encoding: .utf8)
        expectFailure(
            try await Program.run(["ask", picture, "x", "--model", folder.path]), 65, "qwen2_vl", "llava")
    }
}
