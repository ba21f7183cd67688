import NN
import TestSupport
import Testing
import Torch

private struct Table: TensorSource {
    var tensors: [String: Tensor]
    let label = "table"
    var names: [String] { Array(tensors.keys) }
    func tensor(named name: String) -> Tensor? { tensors[name] }
}

struct ParameterTests {
    @Test func namesFollowThePath() throws {
        let store = ParameterStore(.initialised(try Generator(seed: 1)))
        _ = try Linear(store.root["blocks"][3]["fc"], 2, 5)
        _ = try LayerNorm(store.root["norm"], 5)
        #expect(store.names == ["blocks.3.fc.weight", "blocks.3.fc.bias", "norm.weight", "norm.bias"])
        #expect(store["blocks.3.fc.weight"]?.shape == [5, 2] && store.count == 25)
        #expect(store["nothing"] == nil)
        try store.finish()
    }

    @Test func layersOfFixedParametersGiveTheSameBits() throws {
        let generator = try Generator(seed: 3)
        let table = Table(tensors: [
            "fc.weight": try Tensor.randn([200, 96], generator: generator),
            "fc.bias": try Tensor.randn([200], generator: generator),
            "conv.weight": try Tensor.randn([32, 16, 3, 3], generator: generator),
            "conv.bias": try Tensor.randn([32], generator: generator),
        ])
        func results(isFixed: Bool) throws -> [[Float]] {
            let store = ParameterStore(.loaded(table), isFixed: isFixed)
            let (fc, conv) = (
                try Linear(store.root["fc"], 96, 200),
                try Conv2d(store.root["conv"], 16, 32, kernel: 3, padding: 1)
            )
            try store.finish()
            let x = try Tensor.randn([100, 96], generator: Generator(seed: 4))
            let picture = try Tensor.randn([1, 16, 40, 40], generator: Generator(seed: 5))
            return [
                try fc(x, activation: .gelu).array(), try conv(picture.contiguous(.channelsLast)).array(),
            ]
        }
        #expect(try results(isFixed: true) == results(isFixed: false))
    }

    @Test func layersOverTheSameInputsAreJoined() throws {
        let generator = try Generator(seed: 6)
        func layers(_ sizes: [Int], bias: [Bool], isFixed: Bool = true) throws -> [Linear] {
            let tensors = try zip(sizes, bias).enumerated().flatMap { number, layer in
                let weight = try Tensor.randn([layer.0, 96], generator: generator)
                let offsets =
                    try layer.1 ? [("\(number).bias", Tensor.randn([layer.0], generator: generator))] : []
                return [("\(number).weight", weight)] + offsets
            }
            let table = Table(tensors: Dictionary(uniqueKeysWithValues: tensors))
            let store = ParameterStore(.loaded(table), isFixed: isFixed)
            return try sizes.indices.map { try Linear(store.root[$0], 96, sizes[$0], bias: bias[$0]) }
        }
        let x = try Tensor.randn([50, 96], generator: generator)
        let hasOrder = try packed(Tensor.zeros([64, 96])).rank == 1
        for bias in [true, false] {
            let parts = try layers([200, 33, 64], bias: [bias, bias, bias])
            let joined = try Linear(joining: parts)
            #expect((joined != nil) == hasOrder)
            guard let joined else { continue }
            #expect(try (joined(x) .== .cat(parts.map { try $0(x) }, axis: 1)).allTrue())
        }
        #expect(try Linear(joining: layers([64, 64], bias: [true, false])) == nil)
        #expect(try Linear(joining: layers([64, 64], bias: [true, true], isFixed: false)) == nil)
    }

    @Test func initialisersFollowTheSeed() throws {
        func values(_ initializer: Initializer, seed: UInt64 = 4) throws -> [Float] {
            let store = ParameterStore(.initialised(try Generator(seed: seed)))
            return try store.root.parameter("x", [400], initializer).array()
        }
        #expect(try values(.zeros).allSatisfy { $0 == 0 } && values(.ones).allSatisfy { $0 == 1 })
        #expect(try values(.constant(-3)).allSatisfy { $0 == -3 })
        #expect(try values(.normal(std: 2)) == values(.normal(std: 2)))
        #expect(try values(.normal(std: 2)) != values(.normal(std: 2), seed: 5))
        let normal = try Tensor(values(.normal(std: 2)))
        #expect(try abs(normal.standardDeviation(0).item() - 2) < 0.3)
        let (uniform, fan) = (try values(.uniform(0.5)), try values(.fanIn(16)))
        #expect(
            uniform.max()! <= 0.5 && uniform.max()! > 0.45 && uniform.min()! >= -0.5 && uniform.min()! < -0.45
        )
        #expect(fan.max()! <= 0.25 && fan.max()! > 0.22)
    }

    @Test func dtypeOfTheParameters() throws {
        let table = Table(tensors: ["x": try Tensor.ones([2], dtype: .bfloat16)])
        func dtype(_ wanted: DType?) throws -> DType {
            try ParameterStore(.loaded(table), dtype: wanted).root.parameter("x", [2], .zeros).dtype
        }
        #expect(try dtype(nil) == .bfloat16 && dtype(.float32) == .float32 && dtype(.float16) == .float16)
    }

    /// What goes in and out of a product in bfloat16 is float32; nothing else is in bfloat16.
    @Test func productsInADTypeOfTheirOwn() throws {
        let store = ParameterStore(.initialised(try Generator(seed: 3)), productDType: .bfloat16)
        func layers(_ store: ParameterStore) throws -> (Linear, Conv2d, MLP, LayerNorm) {
            (
                try Linear(store.root["fc"], 8, 5), try Conv2d(store.root["conv"], 3, 4, kernel: 3),
                try MLP(store.root["mlp"], 8, 16, 8), try LayerNorm(store.root["norm"], 8)
            )
        }
        let (fc, conv, mlp, norm) = try layers(store)
        #expect(
            store.named.filter { $0.tensor.dtype == .bfloat16 }.map(\.name) == [
                "fc.weight", "fc.bias", "conv.weight", "conv.bias", "mlp.fc1.weight", "mlp.fc1.bias",
                "mlp.fc2.weight", "mlp.fc2.bias",
            ])
        #expect(norm.weight.dtype == .float32)
        let x = try Tensor.randn([6, 8], generator: Generator(seed: 4))
        let out = try fc(x)
        #expect(out.dtype == .float32)
        #expect(try (out .== linear(x.to(.bfloat16), fc.weight, fc.bias).to(.float32)).allTrue())
        let same = try linear(x, fc.weight.to(.float32), fc.bias?.to(.float32))
        #expect(try out.isClose(to: same, absolute: 0.02) && !(out .== same).allTrue())
        let map = try conv(Tensor.randn([1, 3, 5, 5], generator: Generator(seed: 5)))
        #expect(map.dtype == .float32 && map.shape == [1, 4, 3, 3])
        let hidden = try linear(x.to(.bfloat16), mlp.fc1.weight, mlp.fc1.bias).gelu()
        #expect(
            try (mlp(x) .== linear(hidden, mlp.fc2.weight, mlp.fc2.bias).to(.float32)).allTrue())
        let exact = try Linear(
            ParameterStore(.initialised(try Generator(seed: 3)), productDType: .bfloat16).root.exact["fc"], 8,
            5)
        #expect(exact.weight.dtype == .float32)
        let (shared, _, _, _) = try layers(ParameterStore(sharing: store))
        #expect(try (shared(x) .== out).allTrue())
    }

    @Test func everythingThatDoesNotFitIsListed() throws {
        let table = Table(tensors: [
            "fc.weight": try Tensor.ones([5, 3]), "fc.bias": try Tensor.ones([5]),
            "old.weight": try Tensor.ones([1]),
            "old.bias": try Tensor.ones([1]),
        ])
        let store = ParameterStore(.loaded(table))
        _ = try Linear(store.root["fc"], 2, 5)
        _ = try Linear(store.root["head"], 5, 1)
        let error = try #require(throws: ParameterError.self) { try store.finish() }
        #expect(error.missing == ["head.weight", "head.bias"])
        #expect(error.misshaped == ["fc.weight is [5, 3], expected [5, 2]"])
        #expect(error.unexpected == ["old.bias", "old.weight"])
        #expect(
            error.description
                == "table: parameters do not fit the configuration (2 missing: head.weight, head.bias; "
                + "1 of the wrong shape: fc.weight is [5, 3], expected [5, 2]; 2 unexpected: old.bias, old.weight)"
        )
    }

    @Test func longListsAreCut() throws {
        let store = ParameterStore(.loaded(Table(tensors: [:])))
        for index in 0..<20 { _ = try store.root.parameter("p\(index)", [1], .zeros) }
        let error = try #require(throws: ParameterError.self) { try store.finish() }
        #expect(error.missing.count == 20 && error.description.contains("20 missing: p0, p1"))
        #expect(error.description.hasSuffix("p7, …)") && !error.description.contains("\n"))
    }
}

/// Layers against the functions that they stand for; the functions themselves are proven by TorchTests.
struct LayerTests {
    let store: ParameterStore
    let generator: Generator

    init() throws {
        generator = try Generator(seed: 6)
        store = ParameterStore(.initialised(generator))
    }

    private func expectEqual(_ a: Tensor, _ b: Tensor) throws { #expect(try difference(a, b) == nil) }

    @Test func linearLayers() throws {
        let x = try Tensor.randn([2, 3, 4], generator: generator)
        let layer = try Linear(store.root["a"], 4, 5)
        try expectEqual(layer(x), matmul(x, layer.weight.transposed(0, 1)) + layer.bias!)
        let bare = try Linear(store.root["b"], 4, 5, bias: false)
        try expectEqual(bare(x), matmul(x, bare.weight.transposed(0, 1)))
        #expect(bare.bias == nil)
        let mlp = try MLP(store.root["c"], 4, 6, 2, names: ("lin1", "lin2"))
        try expectEqual(mlp(x), mlp.fc2(mlp.fc1(x).gelu()))
        #expect(store["c.lin2.weight"]?.shape == [2, 6])
    }

    @Test func convolutions() throws {
        let x = try Tensor.randn([1, 3, 8, 8], generator: generator)
        let layer = try Conv2d(store.root["a"], 3, 4, kernel: 3, stride: 2, padding: 1)
        try expectEqual(layer(x), conv2d(x, layer.weight, layer.bias, stride: 2, padding: 1))
        #expect(try layer(x).shape == [1, 4, 4, 4])
        let raised = try ConvTransposed2d(store.root["b"], 3, 4, kernel: 2, stride: 2)
        try expectEqual(raised(x), convTransposed2d(x, raised.weight, raised.bias, stride: 2))
        #expect(try raised(x).shape == [1, 4, 16, 16])
    }

    @Test func norms() throws {
        let x = try Tensor.randn([2, 4, 6], generator: generator)
        let norm = try LayerNorm(store.root["a"], 6, epsilon: 1e-3)
        try norm.bias.fill(0.5)
        let centred = try x - x.mean(2, keepDims: true)
        try expectEqual(norm(x), centred / (x.variance(2, correction: 0, keepDims: true) + 1e-3).sqrt() + 0.5)
        let rms = try RMSNorm(store.root["b"], 6, epsilon: 1e-3)
        try rms.weight.fill(2)
        try expectEqual(rms(x), x * ((x * x).mean(2, keepDims: true) + 1e-3).rsqrt() * 2)
        let group = try GroupNorm(store.root["c"], 4, groups: 2)
        try expectEqual(group(x), groupNorm(x, groups: 2))
        let table = try Embedding(store.root["d"], 5, 3)
        try expectEqual(table(Tensor([4, 0])), Tensor.stack([table.weight[4], table.weight[0]]))
    }
}
