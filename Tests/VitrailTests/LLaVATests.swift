import Checkpoints
import Encoders
import Foundation
import Language
import Media
import NN
import TestSupport
import Testing
import Text
import Torch
import Vitrail

/// Small LLaVAs in both layouts against transformers and PEFT, with Tools/reference/llava_fixtures.py.
struct LLaVATests {
    static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Fixtures/llava").path
    static let question = "what color is the large star?"

    let expected: Fixture
    let picture: Image

    init() throws {
        expected = try Fixture("llava/expected")
        picture = try Image(contentsOf: "\(Self.fixtures)/picture.png")
    }

    private func folder(_ name: String) -> String { "\(Self.fixtures)/\(name)" }

    private func expect(_ actual: Tensor, _ name: String) throws {
        #expect(try relativeError(actual, expected[name]) < 1e-5, "\(name)")
    }

    private func networks(_ folder: LLaVAFolder, _ dtype: DType = .float32) throws -> LLaVA {
        let store = try folder.store(.merged, device: .cpu, dtype: dtype)
        let model = try LLaVA(folder.configuration, store)
        try store.finish()
        return model
    }

    /// The scores of a prompt, and its tokens with nil for the image's.
    private func logits(_ model: LLaVA, _ prompt: [Int?], _ pixels: Tensor) throws -> Tensor {
        let embeddings = try model.embeddings(of: prompt, model.imageEmbeddings(pixels))
        let cache = TextCache(layers: model.configuration.language.numHiddenLayers)
        return try model.language.logits(model.language(embeddings, cache))
    }

    private func huggingFacePrompt(_ folder: LLaVAFolder) throws -> [Int?] {
        try expected["hf/ids"].array(Int.self).map { $0 == folder.configuration.imageToken ? nil : $0 }
    }

    @Test func everyRungOfTheHuggingFaceLayoutMatches() throws {
        let folder = try LLaVAFolder(folder("hf"))
        let pixels = try folder.processor(picture)
        #expect(try difference(pixels, expected["hf/pixels"], absolute: 2e-6) == nil)
        let model = try networks(folder)
        try expect(model.vision.features(pixels, layers: [-2], includesClassToken: false), "hf/features")
        try expect(model.imageEmbeddings(pixels), "hf/embeddings")
        try expect(logits(model, huggingFacePrompt(folder), pixels), "hf/logits")
    }

    /// In bfloat16 the best token is the reference's wherever that one's own lead is larger than its own error.
    @Test func bfloat16ChoosesTheSameTokens() throws {
        let folder = try LLaVAFolder(folder("hf"))
        let model = try networks(folder, .bfloat16)
        let logits = try logits(model, huggingFacePrompt(folder), folder.processor(picture)).to(.float32)
        let reference = try expected["hf/bfloat16/logits"]
        let noise = try (reference - expected["hf/logits"]).abs().max().item()
        let best = try reference.topK(2).values
        let isClear = try (best[.ellipsis, 0] - best[.ellipsis, 1]) .> noise
        let isSame = try logits.argmax(-1).to(.float32) .== reference.argmax(-1).to(.float32)
        #expect(try isClear.to(.float32).sum().item() >= 5)
        #expect(try (isSame .| (.!isClear)).allTrue())
    }

    @Test func everyRungOfTheOriginalLayoutMatches() async throws {
        let folder = try LLaVAFolder(folder("original"))
        #expect(folder.layout == .original && folder.processor.padsToSquare)
        let pixels = try folder.processor(picture)
        #expect(try difference(pixels, expected["original/pixels"], absolute: 2e-6) == nil)
        let engine = try LLaVAEngine(model: folder.path, precision: .float32)
        let model = try networks(folder)
        let (before, after) = try #require(
            expected.metadata["original/prompt"]?.components(separatedBy: "<image>")
        ).pair
        let prompt: [Int?] =
            engine.tokenizer.encode(before, addSpecialTokens: true) + [Int?](repeating: nil, count: 9)
            + engine.tokenizer.encode(after)
        try expect(logits(model, prompt, pixels)[.all, (-8)...], "original/logits")
    }

    @Test(arguments: ["hf", "original"])
    func sixtyFourGreedyTokensMatch(_ layout: String) async throws {
        let engine = try LLaVAEngine(model: folder(layout), precision: .float32)
        let pieces = Pieces()
        let answer = try await engine.ask(
            LLaVARequest(Self.question, options: .init(maxTokens: 64)), about: picture
        ) { pieces.add($0) }
        let greedy = try expected["\(layout)/greedy"].array(Int.self)
        #expect(answer.tokens == greedy)
        #expect(answer.text == expected.metadata["\(layout)/text"] && pieces.all.joined() == answer.text)
        #expect(answer.prompt == expected.metadata["\(layout)/prompt"])
        #expect(answer.imageTokens == (layout == "hf" ? 16 : 9) && answer.end == .length)
    }

    @Test func aSeedDrawsTheSameAnswerAsTransformers() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let options = GenerationOptions(
            maxTokens: 20, temperature: 0.9, topK: 30, topP: 0.95, repetitionPenalty: 1.1, seed: 5)
        let answer = try await engine.ask(LLaVARequest(Self.question, options: options), about: picture)
        #expect(try answer.tokens == expected["hf/sampled"].array(Int.self))
    }

    @Test(arguments: [("hf-lora", "hf"), ("original-lora", "vicuna-tiny")], LLaVAFolder.Adaptation.allCases)
    func adaptersMatch(_ names: (adapter: String, base: String), _ adaptation: LLaVAFolder.Adaptation)
        async throws
    {
        // The base is found by its name, or given.
        for base in [nil, folder(names.base)] {
            let engine = try LLaVAEngine(
                model: folder(names.adapter), base: base, adaptation: adaptation, precision: .float32)
            let answer = try await engine.ask(
                LLaVARequest(Self.question, options: .init(maxTokens: 24)), about: picture)
            #expect(try answer.tokens == expected["\(names.adapter)/greedy"].array(Int.self))
        }
    }

    @Test func rawPromptsAreTakenAsTheyStand() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let options = GenerationOptions(maxTokens: 16)
        let prompt = "USER: <image>\n\(Self.question) ASSISTANT:"
        let raw = try await engine.ask(LLaVARequest(.verbatim(prompt), options: options), about: picture)
        let asked = try await engine.ask(LLaVARequest(Self.question, options: options), about: picture)
        #expect(raw.tokens == asked.tokens && raw.prompt == asked.prompt)
    }

    /// A picture is encoded once, and what two prompts begin with is read once; answers do not change by it.
    @Test func whatIsKnownIsNotReadAgain() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        func ask(_ question: String, _ engine: LLaVAEngine, _ image: Image) async throws -> LLaVAAnswer {
            try await engine.ask(LLaVARequest(question, options: .init(maxTokens: 16)), about: image)
        }
        let first = try await ask("what color is the star?", engine, picture)
        let second = try await ask("is the dog large?", engine, picture)
        #expect(first.reusedTokens == 0 && second.reusedTokens >= 16)
        let again = try await ask("what color is the star?", engine, picture)
        #expect(again.tokens == first.tokens)
        let fresh = try await ask("is the dog large?", LLaVAEngine(model: folder("hf")), picture)
        #expect(fresh.tokens == second.tokens)
        #expect(await engine.encodedPictures == 1)

        // Of another picture only what stands before it is the same.
        let other = picture.resized(width: 30, height: 50)
        let elsewhere = try await ask("is the dog large?", engine, other)
        #expect(elsewhere.reusedTokens < 16 && elsewhere.tokens != second.tokens)
        #expect(await engine.encodedPictures == 2)
        #expect(try await ask("is the dog large?", engine, picture).tokens == second.tokens)
        #expect(await engine.encodedPictures == 2)
    }

    @Test func conversationsGoOn() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let options = GenerationOptions(maxTokens: 8)
        let first = try await engine.ask(LLaVARequest("what is there?", options: options), about: picture)
        let messages: [ChatMessage] = [
            .user("what is there?", images: 1), ChatMessage(.assistant, first.text), .user("and where?"),
        ]
        let second = try await engine.ask(LLaVARequest(.messages(messages), options: options), about: picture)
        #expect(second.prompt == first.prompt + " \(first.text) USER: and where? ASSISTANT:")
        #expect(second.reusedTokens >= first.promptTokens - 1)
    }

    @Test func stopStringsEndTheAnswer() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let options = GenerationOptions(maxTokens: 64)
        let whole = try await engine.ask(LLaVARequest(Self.question, options: options), about: picture)
        let middle = whole.text.index(whole.text.startIndex, offsetBy: 10)
        let stop = String(whole.text[middle...].prefix(3))
        let cut = try await engine.ask(
            LLaVARequest(Self.question, options: options, stop: [stop]), about: picture)
        let place = try #require(whole.text.range(of: stop))
        #expect(cut.text == whole.text[..<place.lowerBound] && cut.end == .stopped)
        #expect(cut.tokens.count < whole.tokens.count && whole.tokens.starts(with: cut.tokens))
    }

    @Test func aStreamGivesTheAnswerInPieces() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let request = LLaVARequest(Self.question, options: .init(maxTokens: 24))
        let whole = try await engine.ask(request, about: picture).text
        var pieces: [String] = []
        for try await piece in engine.stream(request, about: picture) { pieces.append(piece) }
        #expect(pieces.count > 5 && pieces.joined() == whole)
    }

    @Test func cancellingEndsTheWork() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        let pieces = Pieces()
        let picture = picture
        let task = Task {
            try await engine.ask(LLaVARequest(Self.question, options: .init(maxTokens: 150)), about: picture)
            {
                pieces.add($0)
                if pieces.all.count == 3 { withUnsafeCurrentTask { $0?.cancel() } }
            }
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(pieces.all.count == 3)
        // The engine answers as before.
        let answer = try await engine.ask(
            LLaVARequest(Self.question, options: .init(maxTokens: 64)), about: picture)
        #expect(try answer.tokens == expected["hf/greedy"].array(Int.self))
    }

    /// Weights in the dtype that is computed in are the mapped file itself: one more reader, no second copy.
    @Test func weightsAreTheMappedFiles() throws {
        let folder = try LLaVAFolder(folder("hf"))
        let model = try networks(folder)
        let name = "language_model.model.embed_tokens.weight"
        let own = try #require(model.store[name])
        let mapped = try #require(try folder.base.tensor(named: name))
        try own.copy(from: own + 1)
        // What is written through the one is seen through the other.
        #expect(try difference(mapped, own) == nil)
    }

    @Test func precisionsAreChosenByTheWeights() throws {
        struct Weights: CheckpointSource {
            let entries: [String: TensorEntry]
            var label: String { "weights" }
            func tensor(named name: String) throws -> Tensor? { nil }
        }
        func weights(_ dtype: DType) -> Weights {
            Weights(entries: ["a": TensorEntry(dtype, [1000]), "b": TensorEntry(.float32, [10])])
        }
        let cases: [(Precision, DType, Int, DType)] = [
            (.auto, .float32, 10, .float32), (.auto, .bfloat16, 10, .bfloat16),
            (.auto, .float16, 8080, .float32),
            (.auto, .float16, 8079, .bfloat16), (.float32, .bfloat16, 10, .float32),
            (.bfloat16, .float32, 10, .bfloat16), (.auto, .float64, 10, .float32),
        ]
        for (precision, own, memory, chosen) in cases {
            #expect(precision.dtype(for: weights(own), memory: memory) == chosen, "\(precision) of \(own)")
        }
    }

    // MARK: Bad input

    @Test func promptsThatDoNotFitAreRefused() async throws {
        let engine = try LLaVAEngine(model: folder("hf"))
        func message(_ request: LLaVARequest) async -> String {
            do {
                _ = try await engine.ask(request, about: picture)
                return ""
            } catch { return "\(error)" }
        }
        let long = await message(LLaVARequest(String(repeating: "star ", count: 400)))
        #expect(
            long.contains("16 of them the picture's") && long.contains("limit of 256") && !long.contains("\n")
        )
        #expect(await engine.encodedPictures == 0)
        #expect(await message(LLaVARequest("an <image> more")).contains("<image> 2 times"))
        #expect(await message(LLaVARequest(.verbatim("no place"))).contains("<image> 0 times"))
        #expect(await message(LLaVARequest("x", options: .init(topP: 2))).contains("top-p is 2.0"))
    }

    @Test func foldersThatDoNotFitAreRefused() throws {
        func message(_ body: () throws -> Void) -> String {
            do {
                try body()
                return ""
            } catch { return "\(error)" }
        }
        let copy = try FolderCopy(folder("hf"))
        func changed(_ file: String, _ from: String, _ to: String) throws -> String {
            try copy.change(file, from, to)
            defer { try? copy.change(file, to, from) }
            return message { _ = try LLaVAEngine(model: copy.path) }
        }
        let wrong = [
            try changed("config.json", #""model_type": "llama""#, #""model_type": "mistral""#),
            try changed(
                "config.json", #""model_type": "clip_vision_model""#, #""model_type": "siglip_vision_model""#),
            try changed("config.json", #""vision_feature_layer": -2"#, #""vision_feature_layer": -9"#),
            try changed("config.json", #""model_type": "llava""#, #""model_type": "llava_next""#),
            try changed("preprocessor_config.json", #""height": 28"#, #""height": 30"#),
            try changed("config.json", #""intermediate_size": 32"#, #""intermediate_size": 40"#),
        ]
        for (text, says) in zip(
            wrong,
            ["mistral", "siglip_vision_model", "layer -9", "llava_next", "28 x 30", "of the wrong shape"])
        {
            #expect(text.contains(says) && !text.contains("\n"), "\(text)")
        }
        #expect(message { _ = try LLaVAFolder(folder("clip-tiny")) }.contains("no LLaVA"))
        #expect(message { _ = try LLaVAFolder(folder("hf"), base: folder("hf")) }.contains("--base"))
        #expect(
            message { _ = try LLaVAFolder(folder("hf"), visionTower: folder("clip-tiny")) }.contains(
                "--vision-tower"))
        #expect(
            message { _ = try LLaVAEngine(model: folder("hf"), conversation: "nonsense") }.contains(
                "nonsense"))
        // Away from its tower, the original layout says what it lacks.
        let alone = try FolderCopy(folder("original"))
        let missing = message { _ = try LLaVAFolder(alone.path) }
        #expect(
            missing.contains("openai/clip-tiny, is not there") && missing.contains("--vision-tower"),
            "\(missing)")
        #expect(
            try LLaVAFolder(alone.path, visionTower: folder("clip-tiny")).configuration.vision.imageSize == 21
        )
        // A LoRA of another base.
        let other = message { _ = try LLaVAEngine(model: folder("original-lora"), base: folder("clip-tiny")) }
        #expect(!other.isEmpty && !other.contains("\n"))
    }
}

extension Array {
    fileprivate var pair: (Element, Element) { (self[0], self[1]) }
}

/// Pieces of a text, from whatever thread.
private final class Pieces: @unchecked Sendable {
    private let lock = NSLock()
    private var pieces: [String] = []
    var all: [String] { lock.withLock { pieces } }
    func add(_ piece: String) { lock.withLock { pieces.append(piece) } }
}

/// A copy of a folder to be spoilt; it is removed when the value goes.
private struct FolderCopy {
    private let scratch: TemporaryFolder
    let path: String

    init(_ folder: String) throws {
        scratch = try TemporaryFolder()
        path = scratch.file("model")
        try FileManager.default.copyItem(atPath: folder, toPath: path)
    }

    /// Replaces what stands in a file, which must be there.
    func change(_ name: String, _ old: String, _ new: String) throws {
        let file = "\(path)/\(name)"
        let text = try String(contentsOfFile: file, encoding: .utf8)
        try #require(text.contains(old), "\(old)")
        try text.replacingOccurrences(of: old, with: new).write(
            toFile: file, atomically: true, encoding: .utf8)
    }
}
