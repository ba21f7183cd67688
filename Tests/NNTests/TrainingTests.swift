import Checkpoints
import NN
import TestSupport
import Testing
import Torch

/// The small network of Tools/reference/engine_fixtures.py.
private struct Net {
    let conv: Conv2d
    let norm: GroupNorm
    let mlp: MLP

    init(_ path: ParameterPath) throws {
        conv = try Conv2d(path["conv"], 3, 4, kernel: 3, stride: 2, padding: 1)
        norm = try GroupNorm(path["norm"], 4, groups: 2)
        mlp = try MLP(path, 4, 8, 5)
    }

    func loss(_ fixture: Fixture) throws -> Tensor {
        let x = try norm(conv(fixture.pictures)).relu().mean(2, 3)
        return try crossEntropy(mlp(x), fixture.classes)
    }
}

struct TrainingTests {
    let fixture: Fixture
    private let store: ParameterStore
    private let net: Net

    init() throws {
        fixture = try Fixture("training")
        // The fixture's inputs also hold the pictures and their classes.
        store = ParameterStore(.loaded(fixture.source("inputs/")))
        net = try Net(store.root)
    }

    private func optimiser() throws -> AdamW {
        let decayed = store.named.filter { $0.tensor.rank > 1 }
        let others = store.named.filter { $0.tensor.rank == 1 }
        return try AdamW(
            [.init(decayed, weightDecay: 0.1), .init(others, weightDecay: 0)], betas: (0.9, 0.95))
    }

    /// Steps of the fixture's training; gives losses and gradient lengths.
    private func train(_ optimiser: AdamW, _ steps: Range<Int>) throws -> (losses: [Double], norms: [Double])
    {
        var (losses, norms): ([Double], [Double]) = ([], [])
        for step in steps {
            try optimiser.zeroGrad()
            let loss = try net.loss(fixture)
            try loss.backward()
            norms.append(try optimiser.clipGradients(to: 0.5))
            try optimiser.step(learningRate: 0.01 * Double(step + 1) / 10)
            losses.append(try loss.item())
        }
        return (losses, norms)
    }

    @Test func gradientsMatchPyTorch() throws {
        for parameter in store.parameters { try parameter.requireGrad() }
        let loss = try net.loss(fixture)
        try loss.backward()
        #expect(try difference(loss, fixture["outputs/loss"]) == nil)
        #expect(store.names.count == 8)
        for (name, tensor) in store.named {
            let gradient = try #require(tensor.grad)
            #expect(try difference(gradient, fixture["outputs/grad/\(name)"]) == nil, "\(name)")
        }
    }

    @Test func adamWMatchesPyTorch() throws {
        let optimiser = try optimiser()
        let (losses, norms) = try train(optimiser, 0..<10)
        #expect(try difference(Tensor(losses).to(.float32), fixture["outputs/losses"]) == nil)
        #expect(try difference(Tensor(norms).to(.float32), fixture["outputs/norms"]) == nil)
        for (name, tensor) in store.named {
            #expect(
                try difference(tensor, fixture["outputs/trained/\(name)"], absolute: 5e-6) == nil, "\(name)")
        }
        let state = Dictionary(uniqueKeysWithValues: optimiser.state.map { ($0.name, $0.tensor) })
        #expect(state.count == 24)
        for name in store.names {
            let mean = try #require(state["\(name).exp_avg"])
            #expect(try difference(mean, fixture["outputs/exp_avg/\(name)"]) == nil, "\(name)")
            #expect(try state["\(name).step"]?.item() == 10)
        }
    }

    @Test func trainingContinuesExactlyFromAFile() throws {
        let whole = try train(optimiser(), 0..<10).losses
        let expected = try store.parameters.map { try $0.array(Float.self) }

        let folder = try TemporaryFolder()
        let first = try TrainingTests()
        let beginning = try first.optimiser()
        let before = try first.train(beginning, 0..<6).losses
        try SafetensorsFile.write(first.store.named, to: folder.file("model.safetensors"))
        try SafetensorsFile.write(beginning.state, to: folder.file("optimiser.safetensors"))

        // Training also writes to what was read from a file, without touching the file.
        let stored = ParameterStore(.loaded(try SafetensorsFile(folder.file("model.safetensors"))))
        let second = try TrainingTests(stored)
        let end = try second.optimiser()
        try end.load(SafetensorsFile(folder.file("optimiser.safetensors")))
        let after = try second.train(end, 6..<10).losses
        #expect(before + after == whole)
        #expect(try stored.parameters.map { try $0.array(Float.self) } == expected)

        #expect(throws: ParameterError.self) {
            try end.load(SafetensorsFile(folder.file("model.safetensors")))
        }
    }

    private init(_ store: ParameterStore) throws {
        fixture = try Fixture("training")
        self.store = store
        net = try Net(store.root)
        try store.finish()
    }

    @Test func parametersWithoutGradientsStayAsTheyAre() throws {
        let (used, unused) = (try Tensor.ones([2]), try Tensor.ones([2]))
        let optimiser = try AdamW([.init([("used", used), ("unused", unused)], weightDecay: 0.5)])
        #expect(try optimiser.clipGradients(to: 1) == 0)
        try optimiser.step(learningRate: 0.1)
        try (used * 2).sum().backward()
        #expect(try abs(optimiser.clipGradients(to: 1) - 8.0.squareRoot()) < 1e-6)
        #expect(try abs(used.grad!.norm().item() - 1) < 1e-5)
        try optimiser.step(learningRate: 0.1)
        #expect(try unused.array(Float.self) == [1, 1])
        #expect(try used.array(Float.self)[0] < 0.9)
    }
}

struct MuonTests {
    private let fixture: Fixture

    init() throws { fixture = try Fixture("muon") }

    /// Matrices of the fixture; the wide one as the convolution that it could be.
    private func matrices() throws -> [(name: String, tensor: Tensor)] {
        try ["tall", "wide", "square"].map { name in
            let matrix = try fixture["inputs/\(name)"].clone()
            return (name, name == "wide" ? try matrix.reshaped(4, 3, 3, 3) : matrix)
        }
    }

    private func train(_ muon: Muon, _ matrices: [(name: String, tensor: Tensor)], _ steps: Range<Int>) throws
    {
        for step in steps {
            for (name, tensor) in matrices {
                try tensor.setGrad(fixture["inputs/grad/\(step)/\(name)"].reshaped(tensor.shape))
            }
            try muon.step(learningRate: 0.02 * Double(step + 1))
        }
    }

    @Test func muonMatchesPyTorch() throws {
        let matrices = try matrices()
        let muon = try Muon(matrices, weightDecay: 0.1)
        try train(muon, matrices, 0..<5)
        for (name, tensor) in matrices {
            let expected = try fixture["outputs/\(name)"].reshaped(tensor.shape)
            // Both iterate in bfloat16, in another order of operations.
            #expect(try difference(tensor.detached(), expected, absolute: 5e-3) == nil, "\(name)")
        }
        for (name, tensor) in muon.state {
            let expected = try fixture["outputs/\(name)"].reshaped(tensor.shape)
            #expect(try difference(tensor, expected) == nil, "\(name)")
        }
    }

    @Test func muonBesideAdamWContinuesExactly() throws {
        func pair(_ matrices: [(name: String, tensor: Tensor)]) throws -> MuonWithAdamW {
            MuonWithAdamW(
                try Muon(Array(matrices.dropLast()), weightDecay: 0.1),
                try AdamW([.init([matrices.last!], weightDecay: 0)]))
        }
        func train(
            _ optimiser: MuonWithAdamW, _ matrices: [(name: String, tensor: Tensor)], _ steps: Range<Int>
        )
            throws
        {
            for step in steps {
                for (name, tensor) in matrices {
                    try tensor.setGrad(fixture["inputs/grad/\(step)/\(name)"].reshaped(tensor.shape))
                }
                try optimiser.step(learningRate: 0.01)
            }
        }
        let whole = try matrices()
        try train(pair(whole), whole, 0..<5)

        let (first, folder) = (try matrices(), try TemporaryFolder())
        let beginning = try pair(first)
        try train(beginning, first, 0..<3)
        try SafetensorsFile.write(beginning.state, to: folder.file("optimiser.safetensors"))
        let end = try pair(first)
        try end.load(SafetensorsFile(folder.file("optimiser.safetensors")))
        try train(end, first, 3..<5)
        for (a, b) in zip(whole, first) {
            #expect(try a.tensor.array(Float.self) == b.tensor.array(Float.self), "\(a.name)")
        }
    }
}

struct ScheduleTests {
    @Test func cosineFromTheStart() {
        let schedule = Schedule(peak: 2)
        #expect(schedule.rate(step: 0, of: 100) == 2)
        #expect(abs(schedule.rate(step: 50, of: 100) - 1) < 1e-12)
        #expect(schedule.rate(step: 100, of: 100) < 1e-12)
        #expect(schedule.rate(step: 1000, of: 100) < 1e-12)
    }

    @Test func warmUpThenConstantThenDown() {
        let schedule = Schedule(peak: 1, warmupSteps: 10, decayShare: 0.2, floor: 0.1)
        #expect(abs(schedule.rate(step: 0, of: 100) - 0.1) < 1e-12)
        #expect(abs(schedule.rate(step: 4, of: 100) - 0.5) < 1e-12)
        #expect(schedule.rate(step: 9, of: 100) == 1 && schedule.rate(step: 80, of: 100) == 1)
        #expect(abs(schedule.rate(step: 90, of: 100) - 0.55) < 1e-12)
        #expect(abs(schedule.rate(step: 100, of: 100) - 0.1) < 1e-12)
        let rates = (0..<100).map { schedule.rate(step: $0, of: 100) }
        #expect(zip(rates[80...], rates[81...]).allSatisfy { $0 >= $1 })
    }

    @Test func constant() {
        let schedule = Schedule(peak: 3, decayShare: 0)
        #expect([0, 7, 100].allSatisfy { schedule.rate(step: $0, of: 100) == 3 })
    }
}
