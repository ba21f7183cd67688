import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch

/// Rung by rung against transformers' LlamaForCausalLM, with the weights of Tools/reference/parity_fixtures.py:
/// `grouped` shares key heads and has a head of its own, `tied` uses the embedding table as head, `llama3` has its scaled
/// frequencies, biases, one key head and heads wider than a share of the hidden size, `linear` the older scaling.
struct LlamaTests {
    let fixture: Fixture
    static let kinds = ["grouped", "tied", "llama3", "linear"]

    init() throws { fixture = try Fixture("llama") }

    private func configuration(_ kind: String) throws -> LlamaConfiguration {
        let json = try #require(fixture.metadata[kind])
        return try JSONDecoder().decode(LlamaConfiguration.self, from: Data(json.utf8))
    }

    private func model(_ kind: String, layers: Int? = nil, dtype: DType = .float32) throws -> Llama {
        let store = ParameterStore(.loaded(fixture.source("weights/\(kind)/")), dtype: dtype)
        var configuration = try configuration(kind)
        if let layers { configuration.numHiddenLayers = layers }
        let model = try Llama(store.root, configuration)
        if layers == nil { try store.finish() }
        return model
    }

    private func expect(_ actual: Tensor, _ output: String) throws {
        #expect(try relativeError(actual, fixture["outputs/\(output)"]) < 1e-5, "\(output)")
    }

    @Test(arguments: kinds)
    func matchesTransformers(_ kind: String) throws {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"]
        let embeddings = try model.embed(ids)
        try expect(embeddings, "\(kind)/embeddings")
        try expect(self.model(kind, layers: 1)(embeddings, TextCache(layers: 1)), "\(kind)/block.1")
        let hidden = try model(embeddings, TextCache(layers: model.configuration.numHiddenLayers))
        try expect(hidden, "\(kind)/hidden")
        try expect(model.logits(hidden), "\(kind)/logits")
    }

    /// A text after a prefix is what it would have been in one run, however it is cut.
    @Test(arguments: kinds, [1, 4, 10])
    func textContinuesAPrefix(_ kind: String, _ cut: Int) throws {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"]
        let expected = try fixture["outputs/\(kind)/hidden"]
        let cache = try model.prefix(model.embed(ids[.all, ..<cut]))

        let whole = try model.text(ids[.all, cut...].unsqueezed(1), after: cache).squeezed(1)
        #expect(try relativeError(whole, expected[.all, cut...]) < 1e-5)

        // In pieces of three, with what came before kept.
        let past = TextCache(layers: model.configuration.numHiddenLayers)
        var pieces: [Tensor] = []
        for start in stride(from: cut, to: 11, by: 3) {
            let piece = try ids[.all, start..<min(start + 3, 11)]
            pieces.append(try model.text(piece.unsqueezed(1), after: cache, past: past).squeezed(1))
        }
        #expect(past.length == 11 - cut)
        #expect(try relativeError(.cat(pieces, axis: 1), expected[.all, cut...]) < 1e-5)
    }

    /// Several texts of one image share its prefix, and do not see each other.
    @Test(arguments: kinds)
    func textsShareAPrefix(_ kind: String) throws {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"]
        let cache = try model.prefix(model.embed(ids[.all, ..<5]))
        let other = try ids.remainder(7)
        let texts = try Tensor.stack([ids[.all, 5...], other[.all, 5...], ids[.all, 5...]], axis: 1)
        let together = try model.text(texts, after: cache)
        #expect(together.shape.dropLast() == [2, 3, 6])
        for number in 0..<3 {
            let alone = try model.text(texts[.all, number..<(number + 1)], after: cache)
            #expect(try relativeError(together[.all, number..<(number + 1)], alone) < 1e-5)
        }
        let first = try model.text(texts[..<1], after: cache.first(1))
        #expect(try relativeError(first, together[..<1]) < 1e-5)
    }

    /// The path of a published Llama, rung by rung, and cut anywhere.
    @Test(arguments: kinds, [1, 4, 11])
    func promptsRunInAnyPieces(_ kind: String, _ piece: Int) throws {
        let model = try model(kind)
        let embeddings = try model.embed(fixture["inputs/\(kind)/ids"])
        let cache = TextCache(layers: model.configuration.numHiddenLayers)
        let states = try stride(from: 0, to: 11, by: piece).map {
            try model(embeddings[.all, $0..<min($0 + piece, 11)], cache)
        }
        #expect(cache.length == 11)
        try expect(.cat(states, axis: 1), "\(kind)/hidden")
        try expect(model.logits(.cat(states, axis: 1)), "\(kind)/logits")
    }

    @Test(arguments: kinds)
    func attentionMatches(_ kind: String) throws {
        let model = try model(kind)
        let block = model.blocks[0]
        let x = try block.inputNorm(model.embed(fixture["inputs/\(kind)/ids"]))
        let cache = TextCache(layers: 1)
        let rotation = try model.rotary.rotation(from: 0, 11, .float32)
        let attended = try block.attention(
            x, plus: Tensor.zeros(x.shape), rotation, cache, layer: 0, mask: nil)
        try expect(attended, "\(kind)/layer")
    }

    /// In bfloat16 the best token is the reference's wherever that one's own lead is larger than its own error.
    @Test(arguments: kinds)
    func bfloat16ChoosesTheSameTokens(_ kind: String) throws {
        let model = try model(kind, dtype: .bfloat16)
        let cache = TextCache(layers: model.configuration.numHiddenLayers)
        let logits = try model.logits(model(model.embed(fixture["inputs/\(kind)/ids"]), cache)).to(.float32)
        #expect(model.embeddingWeight.dtype == .bfloat16)
        let reference = try fixture["outputs/\(kind)/bfloat16/logits"]
        let noise = try (reference - fixture["outputs/\(kind)/logits"]).abs().max().item()
        let best = try reference.topK(2).values
        let isClear = try (best[.ellipsis, 0] - best[.ellipsis, 1]) .> noise
        let isSame = try logits.argmax(-1).to(.float32) .== reference.argmax(-1).to(.float32)
        #expect(try isClear.to(.float32).sum().item() >= 5)
        #expect(try (isSame .| (.!isClear)).allTrue())
    }

    @Test(arguments: kinds)
    func greedyTokensMatch(_ kind: String) throws {
        try #expect(
            generated(kind, GenerationOptions(maxTokens: 64)) == fixture["outputs/\(kind)/greedy"].array())
    }

    @Test(arguments: kinds)
    func theRepetitionPenaltyIsTransformers(_ kind: String) throws {
        let options = GenerationOptions(maxTokens: 24, repetitionPenalty: 1.3)
        try #expect(generated(kind, options) == fixture["outputs/\(kind)/penalised"].array())
    }

    /// The same seed draws the same text as torch.manual_seed does.
    @Test(arguments: kinds)
    func aSeedDrawsTheSameTextAsTransformers(_ kind: String) throws {
        let options = GenerationOptions(maxTokens: 24, temperature: 1.4, topK: 40, topP: 0.9, seed: 7)
        try #expect(generated(kind, options) == fixture["outputs/\(kind)/sampled"].array())
    }

    private func generated(_ kind: String, _ options: GenerationOptions) throws -> [Int] {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"][..<1]
        let cache = TextCache(layers: model.configuration.numHiddenLayers)
        let (tokens, end) = try model.generate(
            after: model.embed(ids), cache, ids: ids.array(), options: options)
        #expect(end == .length && cache.length == 11 + options.maxTokens - 1)
        return tokens
    }

    @Test func whatIsTooLongIsRefused() throws {
        let model = try model("tied")
        let cache = try model.prefix(Tensor.zeros([1, 92, 24]))
        #expect(try model.text(Tensor.zeros([1, 1, 4], dtype: .int64), after: cache).shape == [1, 1, 4, 24])
        for attempt in [
            { _ = try model.text(Tensor.zeros([1, 1, 5], dtype: .int64), after: cache) },
            { _ = try model.prefix(Tensor.zeros([1, 97, 24])) },
            { _ = try model(Tensor.zeros([1, 97, 24]), TextCache(layers: 2)) },
        ] {
            let error = try #require(throws: LanguageError.self, performing: attempt)
            #expect(error.description.contains("97 tokens") && error.description.contains("limit of 96"))
        }
        #expect(throws: TorchError.self) { try model.embed(Tensor([96])) }
    }

    @Test func configurationsKeepTheirValues() throws {
        let tied = try configuration("tied")
        #expect(
            tied.headWidth == 8 && tied.numKeyValueHeads == 4 && tied.tieWordEmbeddings
                && tied.ropeTheta == 500)
        #expect(try JSONDecoder().decode(LlamaConfiguration.self, from: JSONEncoder().encode(tied)) == tied)
    }
}
