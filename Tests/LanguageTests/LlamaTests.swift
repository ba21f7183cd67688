import Foundation
import Language
import NN
import TestSupport
import Testing
import Torch

/// Rung by rung against transformers' LlamaForCausalLM, with the weights of Tools/reference/parity_fixtures.py:
/// `grouped` shares key heads and has a head of its own, `tied` uses the embedding table as head.
struct LlamaTests {
    let fixture: Fixture
    static let kinds = ["grouped", "tied"]

    init() throws { fixture = try Fixture("llama") }

    private func configuration(_ kind: String) throws -> LlamaConfiguration {
        let json = try #require(fixture.metadata[kind])
        return try JSONDecoder().decode(LlamaConfiguration.self, from: Data(json.utf8))
    }

    private func model(_ kind: String, layers: Int? = nil) throws -> Llama {
        let store = ParameterStore(.loaded(fixture.source("weights/\(kind)/")))
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
        try expect(self.model(kind, layers: 1).prefix(embeddings).hidden, "\(kind)/block.1")
        let (cache, hidden) = try model.prefix(embeddings)
        #expect(cache.length == 11)
        try expect(hidden, "\(kind)/hidden")
        try expect(model.logits(hidden), "\(kind)/logits")
    }

    /// A text after a prefix is what it would have been in one run, however it is cut.
    @Test(arguments: kinds, [1, 4, 10])
    func textContinuesAPrefix(_ kind: String, _ cut: Int) throws {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"]
        let expected = try fixture["outputs/\(kind)/hidden"]
        let (cache, _) = try model.prefix(model.embed(ids[.all, ..<cut]))

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
        let (cache, _) = try model.prefix(model.embed(ids[.all, ..<5]))
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

    @Test(arguments: kinds)
    func greedyTokensMatch(_ kind: String) throws {
        let model = try model(kind)
        let ids = try fixture["inputs/\(kind)/ids"][..<1]
        let (cache, hidden) = try model.prefix(model.embed(ids))
        let past = TextCache(layers: model.configuration.numHiddenLayers)
        var next = try model.logits(hidden[.all, -1]).argmax(-1)
        var tokens = [try next.intItem()]
        while tokens.count < 32 {
            let state = try model.text(next.view([1, 1, 1]), after: cache, past: past)
            next = try model.logits(state.view([1, -1])).argmax(-1)
            tokens.append(try next.intItem())
        }
        #expect(try tokens == fixture["outputs/\(kind)/greedy"].array())
    }

    @Test func whatIsTooLongIsRefused() throws {
        let model = try model("tied")
        let (cache, _) = try model.prefix(Tensor.zeros([1, 60, 24]))
        #expect(try model.text(Tensor.zeros([1, 1, 4], dtype: .int64), after: cache).shape == [1, 1, 4, 24])
        for attempt in [
            { _ = try model.text(Tensor.zeros([1, 1, 5], dtype: .int64), after: cache) },
            { _ = try model.prefix(Tensor.zeros([1, 65, 24])) },
        ] {
            let error = try #require(throws: LanguageError.self, performing: attempt)
            #expect(error.description.contains("65 tokens") && error.description.contains("limit of 64"))
        }
        #expect(throws: TorchError.self) { try model.embed(Tensor([96])) }
    }

    @Test func configurationsKeepTheirValues() throws {
        let tied = try configuration("tied")
        #expect(
            tied.headWidth == 8 && tied.numKeyValueHeads == 4 && tied.tieWordEmbeddings
                && tied.ropeTheta == 500)
        #expect(try JSONDecoder().decode(LlamaConfiguration.self, from: JSONEncoder().encode(tied)) == tied)
        let published = try JSONDecoder().decode(LlamaConfiguration.self, from: Data("{}".utf8))
        #expect(published.vocabSize == 32_000 && published.headWidth == 128 && published.rmsNormEps == 1e-6)
        #expect(published.imageHeads == 0 && published.prefixAttention == .causal)
    }
}
