import Language
import NN
import TestSupport
import Testing
import Torch

/// What a growing cache holds, and that growing is rare.
struct CacheTests {
    private func model() throws -> Llama {
        let store = ParameterStore(.initialised(try Generator(seed: 5)))
        return try Llama(
            store.root,
            LlamaConfiguration(
                vocabSize: 24, hiddenSize: 16, intermediateSize: 24, numHiddenLayers: 2, numAttentionHeads: 4,
                numKeyValueHeads: 2, maxPositionEmbeddings: 512))
    }

    @Test func `a text that outgrows the cache many times is the text at once`() throws {
        let model = try model()
        try withInference {
            let ids = try Tensor.randomIntegers(0..<24, [2, 1, 300], generator: Generator(seed: 2))
            let prefix = try model.prefix(model.embed(ids[.all, 0, ..<7]))
            let whole = try model.text(ids, after: prefix)
            let past = TextCache(layers: 2)
            var (pieces, rooms): ([Tensor], [Int]) = ([], [])
            for start in stride(from: 0, to: 300, by: 5) {
                pieces.append(
                    try model.text(ids[.all, .all, start..<start + 5], after: prefix, past: past))
                if past.room != rooms.last { rooms.append(past.room) }
                #expect(past.length == start + 5 && past.room >= past.length)
            }
            let error = try relativeError(.cat(pieces, axis: 2), whole)
            #expect(error < 1e-5, "\(error)")
            #expect(zip(rooms, rooms.dropFirst()).allSatisfy { $1 >= 2 * $0 - 10 } && rooms.count <= 4)
        }
    }

    @Test func `several texts ask one image, each with a cache of its own`() throws {
        let model = try model()
        try withInference {
            let ids = try Tensor.randomIntegers(0..<24, [1, 1, 40], generator: Generator(seed: 3))
            let prefix = try model.prefix(model.embed(ids[.all, 0, ..<9]))
            let before = try prefix.layers.map { try $0.keys.clone() }
            func answer(_ range: Range<Int>) throws -> Tensor {
                let past = TextCache(layers: 2)
                return try .cat(
                    range.map { try model.text(ids[.all, .all, $0..<$0 + 1], after: prefix, past: past) },
                    axis: 2)
            }
            let (first, other, again) = (try answer(9..<30), try answer(20..<40), try answer(9..<30))
            #expect(try difference(first, again, relative: 0, absolute: 0) == nil)
            #expect(try difference(other[.all, .all, ..<10], first[.all, .all, ..<10]) != nil)
            for (layer, keys) in zip(prefix.layers, before) {
                #expect(try difference(layer.keys, keys, relative: 0, absolute: 0) == nil)
            }
        }
    }

    @Test func `a text that was cut back is continued by another`() throws {
        let model = try model()
        try withInference {
            let ids = try Tensor.randomIntegers(0..<24, [1, 90], generator: Generator(seed: 4))
            func run(_ cache: TextCache, _ range: Range<Int>) throws -> Tensor {
                try model(model.embed(ids[.all, range]), cache)
            }
            let fresh = TextCache(layers: 2)
            _ = try run(fresh, 0..<20)
            let expected = try run(fresh, 60..<90)
            let cut = TextCache(layers: 2)
            for range in [0..<20, 20..<21, 21..<60] { _ = try run(cut, range) }
            cut.truncate(to: 20)
            #expect(cut.length == 20)
            let error = try relativeError(run(cut, 60..<90), expected)
            #expect(error < 1e-5, "\(error)")
        }
    }
}
