internal import Language
internal import NN
internal import TestSupport
internal import Testing
internal import Torch

/// The language model with what the small LUMEN adds to Llama: a prefix that sees all of itself, and image heads.
struct LumenLanguageTests {
    private static let inputs = ["square", "larger", "wide"]

    private func model(_ fixture: Fixture) throws -> Llama {
        let store = ParameterStore(.loaded(fixture.source("weights/")))
        let model = try Llama(
            store.root,
            LlamaConfiguration(
                vocabSize: 48, hiddenSize: 16, intermediateSize: 24, numHiddenLayers: 3, numAttentionHeads: 4,
                maxPositionEmbeddings: 32, ropeTheta: 500, tieWordEmbeddings: true, imageHeads: 2,
                prefixAttention: .full))
        try store.finish()
        return model
    }

    @Test(arguments: inputs) func givesWhatTheReferenceGives(input: String) throws {
        let fixture = try Fixture("lumen")
        let model = try model(fixture)
        let embeddings = try fixture["inputs/\(input)/embeddings"]
        let cache = try model.prefix(embeddings)
        #expect(cache.length == embeddings.size(1))
        let ids = try fixture.ids.narrowed(0, 0, embeddings.size(0))
        let hidden = try model.text(ids, after: cache)
        var rungs = [("hidden", hidden), ("logits", try model.logits(hidden))]
        for (number, layer) in cache.layers.enumerated() {
            rungs += [("keys.\(number)", layer.keys), ("values.\(number)", layer.values)]
        }
        for (name, value) in rungs {
            let error = try relativeError(value, fixture["outputs/\(input)/\(name)"])
            #expect(error < 1e-5, "\(name): \(error)")
        }
    }

    @Test(arguments: [[1, 1, 1, 1, 1, 1], [3, 1, 2], [5, 1]]) func textInPiecesGivesWhatItGivesAtOnce(
        pieces: [Int]
    ) throws {
        let fixture = try Fixture("lumen")
        let model = try model(fixture)
        let cache = try model.prefix(fixture["inputs/square/embeddings"])
        let ids = try fixture.ids
        let past = TextCache(layers: 3)
        var start = 0
        var parts: [Tensor] = []
        for length in pieces {
            #expect(past.length == start)
            parts.append(try model.text(ids.narrowed(2, start, length), after: cache, past: past))
            start += length
        }
        let error = try relativeError(Tensor.cat(parts, axis: 2), fixture["outputs/square/hidden"])
        #expect(error < 1e-5, "\(error)")
    }

    /// What the losses look at: queries and keys as the next block has them.
    @Test(arguments: inputs) func showsWhatHeadsLookAt(input: String) throws {
        let fixture = try Fixture("lumen")
        let model = try model(fixture)
        func value(_ name: String) throws -> Tensor {
            try fixture["\(name.hasSuffix("scores") ? "outputs" : "inputs")/\(input)/\(name)"]
        }
        let cache = try model.prefix(value("embeddings"))
        let (states, images) = (try value("states"), try value("image"))
        let seen = try model.imageScores(states[.all, 2], depth: 1, images: images, prefix: cache)
        let read = try model.textScores(states, of: value("looking"), depth: 1, images: images, prefix: cache)
        for (name, scores) in [("image_scores", seen), ("text_scores", read)] {
            let wanted = try value(name)
            #expect(scores.shape == wanted.shape)
            // What is not to be seen has a score of -10,000, beside which others would not count.
            #expect(try relativeError(scores.clamped(min: -50), wanted.clamped(min: -50)) < 1e-5, "\(name)")
        }
    }

    /// What is asked about one image beside others does not change what is answered.
    @Test func textsOfABatchDoNotSeeEachOther() throws {
        let fixture = try Fixture("lumen")
        let model = try model(fixture)
        let cache = try model.prefix(fixture["inputs/square/embeddings"])
        let alone = try model.text(fixture.ids[..<1, 1..<2], after: cache.first(1))
        let error = try relativeError(alone, fixture["outputs/square/hidden"][..<1, 1..<2])
        #expect(error < 1e-5, "\(error)")
    }

    @Test func imageHeadsStartAsSimilarityMaps() throws {
        let generator = try Generator(seed: 3)
        let store = ParameterStore(.initialised(generator))
        let model = try Llama(
            store.root,
            LlamaConfiguration(
                vocabSize: 8, hiddenSize: 16, intermediateSize: 24, numHiddenLayers: 2, numAttentionHeads: 4,
                tieWordEmbeddings: true, imageHeads: 2, prefixAttention: .full))
        try model.initialise(generator)
        func rows(_ layer: Int, _ name: String) throws -> Tensor {
            try store["model.layers.\(layer).self_attn.\(name)_proj.weight"]![8..<12]
        }
        let (q, k) = (try rows(0, "q"), try rows(0, "k"))
        #expect(try difference(q, k, relative: 0, absolute: 0) == nil)
        let products = try matmul(q, q.transposed(0, 1)) / (1.4 * 1.4)
        #expect(try difference(products, Tensor.eye(4), absolute: 1e-5) == nil)
        // The last layer reads what was found; its heads start as any others.
        #expect(try difference(rows(1, "q"), rows(1, "k")) != nil)
    }

    @Test func moreTokensThanPositionsAreRefused() throws {
        let fixture = try Fixture("lumen")
        let model = try model(fixture)
        let cache = try model.prefix(fixture["inputs/square/embeddings"])
        let ids = try Tensor(Array(repeating: 1, count: 29), [1, 1, 29])
        #expect(throws: LanguageError.self) { try model.text(ids, after: cache.first(1)) }
    }
}
