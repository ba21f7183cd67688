import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch

/// Ways to choose a token against transformers' LogitsProcessors, and how a generation ends.
struct GenerationTests {
    private struct Case: Decodable {
        let temperature: Double
        let top_k: Int?
        let top_p: Double?
        let repetition_penalty: Double?
    }

    @Test(arguments: ["temperature", "hot", "top_k", "one", "top_p", "narrow", "penalty", "reward", "all"])
    func scoresAreTransformers(_ name: String) throws {
        let fixture = try Fixture("warpers")
        let json = try #require(fixture.metadata[name])
        let wanted = try JSONDecoder().decode(Case.self, from: Data(json.utf8))
        for row in 0..<6 {
            let options = GenerationOptions(
                temperature: wanted.temperature, topK: wanted.top_k, topP: wanted.top_p,
                repetitionPenalty: wanted.repetition_penalty ?? 1, seed: UInt64(row))
            var chooser = try TokenChooser(options, prompt: fixture.ids[row].array())
            let expected = try fixture["outputs/\(name)/scores"][row]
            let scores = try chooser.processed(fixture.logits[row])
            #expect(
                try (scores.isFinite().to(.int64) - expected.isFinite().to(.int64)).abs().sum().intItem() == 0
            )
            #expect(try scores.isClose(to: expected, relative: 1e-6))
            try #expect(chooser.next(fixture.logits[row]) == fixture["outputs/\(name)/drawn"][row].intItem())
        }
    }

    /// An image's placeholder is no token of the vocabulary, and has no score to be changed.
    @Test func idsOutsideTheVocabularyAreNotPenalised() throws {
        let chooser = try TokenChooser(GenerationOptions(repetitionPenalty: 2), prompt: [-1, 1, 3])
        #expect(try chooser.processed(Tensor([1, 4, -2] as [Float])).array() == [1, 2, -2] as [Float])
    }

    private func model() throws -> Llama {
        let configuration = LlamaConfiguration(
            vocabSize: 32, hiddenSize: 16, intermediateSize: 16, numHiddenLayers: 2, numAttentionHeads: 2,
            maxPositionEmbeddings: 20)
        return try Llama(ParameterStore(.initialised(Generator(seed: 3))).root, configuration)
    }

    private func generate(
        _ options: GenerationOptions, onToken: (Int) throws -> Bool = { _ in true }
    ) throws -> (tokens: [Int], end: GenerationEnd) {
        let model = try model()
        let prompt = [1, 5, 9, 2]
        return try model.generate(
            after: model.wordEmbeddings(prompt).unsqueezed(0), TextCache(layers: 2), ids: prompt,
            options: options, onToken: onToken)
    }

    @Test func aTextEndsForEachReason() throws {
        let free = try generate(GenerationOptions(maxTokens: 9, temperature: 1.5, seed: 4))
        #expect(free.end == .length && free.tokens.count == 9)

        var options = GenerationOptions(maxTokens: 9, temperature: 1.5, seed: 4)
        options.endTokens = [31, free.tokens[3]]
        let first = try #require(free.tokens.firstIndex(of: free.tokens[3]))
        var seen: [Int] = []
        let ended = try generate(options) {
            seen.append($0)
            return true
        }
        // The end token is among the tokens, and nobody is shown it.
        #expect(ended.end == .endToken && ended.tokens == Array(free.tokens[...first]))
        #expect(seen == Array(free.tokens[..<first]))

        var count = 0
        let stopped = try generate(GenerationOptions(maxTokens: 9, temperature: 1.5, seed: 4)) { _ in
            count += 1
            return count < 3
        }
        #expect(stopped.end == .stopped && stopped.tokens == Array(free.tokens[..<3]))

        // 20 positions hold 4 of the prompt and 16 more; the token after the last position is still known.
        let full = try generate(GenerationOptions(maxTokens: 100))
        #expect(full.end == .context && full.tokens.count == 17)
    }

    @Test func seedsDecideTheDraws() throws {
        let options = (0..<3).map { GenerationOptions(maxTokens: 12, temperature: 2, seed: UInt64($0 % 2)) }
        let texts = try options.map { try generate($0).tokens }
        #expect(texts[0] == texts[2] && texts[0] != texts[1])
    }

    /// A cache that is cut back goes on as if the rest had never been there.
    @Test func aCacheIsCutBack() throws {
        let model = try model()
        let embeddings = try model.wordEmbeddings([1, 5, 9, 2, 7]).unsqueezed(0)
        let cache = TextCache(layers: 2)
        _ = try model(embeddings, cache)
        cache.truncate(to: 2)
        #expect(cache.length == 2)
        let again = try model(embeddings[.all, 2...], cache)
        let whole = try model(embeddings, TextCache(layers: 2))
        #expect(cache.length == 5)
        #expect(try relativeError(again, whole[.all, 2...]) < 1e-5)
    }

    @Test func cancellationStopsBetweenTokens() async throws {
        let seen = Counter()
        let task = Task {
            try generate(GenerationOptions(maxTokens: 16)) { _ in
                if seen.next() == 3 { withUnsafeCurrentTask { $0?.cancel() } }
                return true
            }.tokens
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(seen.value == 3)
    }

    private final class Counter: @unchecked Sendable {
        private(set) var value = 0
        func next() -> Int {
            value += 1
            return value
        }
    }

    @Test(arguments: [0.0, 1])
    func scoresThatAreNoNumbersAreNamed(_ temperature: Double) throws {
        var chooser = try TokenChooser(GenerationOptions(temperature: temperature), prompt: [])
        for wrong in [Float.nan, .infinity] {
            #expect(throws: LanguageError.self) { try chooser.next(Tensor([1, wrong, 3])) }
        }
        #expect(throws: Never.self) { try chooser.next(Tensor([1, -.infinity, 3] as [Float])) }
    }

    @Test func optionsThatMeanNothingAreRefused() throws {
        for options in [
            GenerationOptions(maxTokens: 0), .init(temperature: -1), .init(temperature: .nan), .init(topK: 0),
            .init(topP: 0), .init(topP: 1.1), .init(repetitionPenalty: 0),
            .init(temperature: .leastNonzeroMagnitude),
            .init(temperature: 1e300), .init(repetitionPenalty: .leastNonzeroMagnitude),
        ] {
            let error = try #require(throws: LanguageError.self) { try generate(options) }
            #expect(!error.description.contains("\n"))
        }
    }
}
