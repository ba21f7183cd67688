import NN
import TestSupport
import Testing
import Torch

/// What a store adds to a network: low-rank updates and new rows.
struct AddedParameterTests {
    private struct Values: TensorSource {
        var tensors: [String: Tensor]
        let label = "values"
        var names: [String] { Array(tensors.keys) }
        func tensor(named name: String) -> Tensor? { tensors[name] }
    }

    private func random(_ shape: [Int], _ seed: UInt64) throws -> Tensor {
        try Tensor.randn(shape, generator: Generator(seed: seed))
    }

    @Test func updatesBeginAsNothing() throws {
        let lora = LoRAConfiguration(rank: 3, alpha: 6, targets: ["q", "mlp.up"])
        func store(_ lora: LoRAConfiguration?) throws -> (ParameterStore, [Linear]) {
            let store = ParameterStore(.initialised(try Generator(seed: 1)), lora: lora)
            let layers = try [
                store.root["0"]["q"], store.root["0"]["k"], store.root["mlp"]["up"], store.root["up"],
            ]
            .map { try Linear($0, 8, 4, bias: false) }
            try store.finish()
            return (store, layers)
        }
        let (plain, adapted) = (try store(nil), try store(lora))
        #expect(
            adapted.0.names == [
                "0.q.weight", "0.q.lora_A.weight", "0.q.lora_B.weight", "0.k.weight", "mlp.up.weight",
                "mlp.up.lora_A.weight", "mlp.up.lora_B.weight", "up.weight",
            ])
        #expect(
            adapted.0["0.q.lora_A.weight"]?.shape == [3, 8]
                && adapted.0["0.q.lora_B.weight"]?.shape == [4, 3])
        let a = try #require(adapted.0["0.q.lora_A.weight"]).array(Float.self)
        // PEFT's start: uniform within 1 / sqrt(width).
        #expect(a.allSatisfy { abs($0) <= 0.36 } && a.contains { abs($0) > 0.2 })
        // The base is what it is without updates, and so is what comes out.
        let x = try random([2, 8], 2)
        for (one, other) in zip(plain.1, adapted.1) {
            #expect(try one(x).array(Float.self) == other(x).array(Float.self))
        }
    }

    @Test func updatesAreScaledAndInTheLayersDType() throws {
        let (w, a, b) = (try random([4, 8], 1), try random([2, 8], 2), try random([4, 2], 3))
        let source = Values(tensors: ["q.lora_A.weight": a, "q.lora_B.weight": b])
        for (isStabilised, scale) in [(false, 2.5), (true, 5 / 2.0.squareRoot())] {
            let lora = LoRAConfiguration(
                rank: 2, alpha: 5, isRankStabilised: isStabilised, targets: ["q"], source: source)
            let store = ParameterStore(.loaded(Values(tensors: ["q.weight": w])), lora: lora)
            let layer = try Linear(store.root["q"], 8, 4, bias: false)
            try store.finish()
            let x = try random([3, 8], 4)
            let expected = try linear(x, w) + linear(linear(x, a), b) * scale
            #expect(try relativeError(layer(x), expected) < 1e-6)
        }
        var lora = LoRAConfiguration(rank: 2, alpha: 2, targets: ["q"], dtype: .float32, source: source)
        lora.rankPattern = ["other.q": 7]
        let store = ParameterStore(.loaded(Values(tensors: ["q.weight": w])), dtype: .bfloat16, lora: lora)
        let layer = try Linear(store.root["q"], 8, 4, bias: false)
        try store.finish()
        #expect(store["q.weight"]?.dtype == .bfloat16 && store["q.lora_A.weight"]?.dtype == .float32)
        for name in [LoRA.names.a, LoRA.names.b] { try store["q.\(name)"]!.requireGrad() }
        let out = try layer(random([3, 8], 4).to(.bfloat16))
        #expect(out.dtype == .bfloat16)
        try out.to(.float32).sum().backward()
        #expect(store["q.weight"]?.grad == nil && store["q.lora_A.weight"]?.grad?.dtype == .float32)
    }

    @Test func whatDoesNotFitIsNamed() throws {
        let weights = Values(tensors: ["q.weight": try random([4, 8], 1)])
        func finish(_ lora: LoRAConfiguration) throws {
            let store = ParameterStore(.loaded(weights), lora: lora)
            _ = try Linear(store.root["q"], 8, 4, bias: false)
            try store.finish()
        }
        let typo = try #require(throws: ConfigurationError.self) {
            try finish(LoRAConfiguration(rank: 2, alpha: 2, targets: ["q", "query"]))
        }
        #expect("\(typo)".contains("the target query is no linear layer"))
        let other = Values(tensors: [
            "q.lora_A.weight": try random([2, 9], 1), "k.lora_A.weight": try random([2, 8], 1),
        ])
        let error = try #require(throws: ParameterError.self) {
            try finish(LoRAConfiguration(rank: 2, alpha: 2, targets: ["q"], source: other))
        }
        #expect(error.missing == ["q.lora_B.weight"] && error.unexpected == ["k.lora_A.weight"])
        #expect(error.misshaped.count == 1)
    }

    @Test(arguments: [4, 6]) func newRows(_ first: Int) throws {
        let (table, head) = (try random([6, 5], 1), try random([6, 5], 2))
        let weights = Values(tensors: ["embed_tokens.weight": table, "lm_head.weight": head])
        let rows = NewRowsConfiguration(ids: first..<(first + 2), dtype: .float32)
        let store = ParameterStore(.loaded(weights), newRows: rows)
        let embed = try Embedding(store.root["embed_tokens"], 6, 5)
        let scores = try Linear(store.root["lm_head"], 5, 6, bias: false)
        try store.finish()
        let new = try #require(store["embed_tokens.new_rows.weight"])
        // They begin as the mean of all rows.
        #expect(try relativeError(new, table.mean(0, keepDims: true).repeated(2, 1)) < 1e-6)
        try new.copy(from: random([2, 5], 3))
        try store["lm_head.new_rows.weight"]!.copy(from: random([2, 5], 4))

        // As one table in which the rows stand.
        func whole(_ table: Tensor, _ seed: UInt64) throws -> Tensor {
            try .cat([table[..<first], random([2, 5], seed), table[Swift.min(first + 2, 6)...]])
        }
        let ids = try Tensor([0, first, 3, first + 1, first])
        #expect(try embed(ids).array(Float.self) == embedding(whole(table, 3), ids).array(Float.self))
        let x = try random([3, 5], 5)
        let expected = try linear(x, whole(head, 4))
        #expect(try scores(x).shape == expected.shape && relativeError(scores(x), expected) < 1e-6)

        // Only they learn.
        try new.requireGrad()
        try embed(ids).sum().backward()
        #expect(try new.grad!.array(Float.self) == [2, 2, 2, 2, 2, 1, 1, 1, 1, 1])
    }

    @Test func newRowsAfterAGap() throws {
        let store = ParameterStore(
            .initialised(try Generator(seed: 1)), newRows: NewRowsConfiguration(ids: 7..<9))
        let error = try #require(throws: ConfigurationError.self) {
            try Embedding(store.root["embed_tokens"], 6, 5)
        }
        #expect("\(error)".contains("begin at 7"))
    }
}
