import Testing
import Torch

struct CheckpointedTests {
    struct Stop: Error {}

    /// What a block of two layers gives, and its gradients.
    private func run(
        isCheckpointed: Bool, autocast dtype: DType? = nil, drops: Bool = false, inputWants: Bool = true
    ) throws -> [[Float]] {
        let generator = try Generator(seed: 3)
        let w = try (0..<2).map { _ in try Tensor.randn([16, 16], generator: generator).requireGrad() }
        let x = try Tensor.randn([4, 16], generator: generator).requireGrad(inputWants)
        func block(_ inputs: [Tensor]) throws -> [Tensor] {
            var y = try matmul(inputs[0], w[0]).gelu()
            if drops { y = try dropout(y, probability: 0.5) }
            // The second result has no part in the loss.
            return [try matmul(y, w[1]), try y.sum()]
        }
        let out = try withAutocast(dtype) {
            isCheckpointed ? try checkpointed([x], block) : try block([x])
        }
        #expect(out.count == 2 && out[0].dtype == dtype ?? .float32)
        let values = try out[0].to(.float32)
        try (values * values).sum().backward()
        let gradients = (w + (inputWants ? [x] : [])).map(\.grad!)
        return try ([values] + gradients).map { try $0.array() }
    }

    @Test(arguments: [nil, DType.bfloat16], [true, false])
    func gradientsAreTheSameToTheLastBit(_ dtype: DType?, _ inputWants: Bool) throws {
        let kept = try run(isCheckpointed: false, autocast: dtype, inputWants: inputWants)
        let again = try run(isCheckpointed: true, autocast: dtype, inputWants: inputWants)
        #expect(kept == again && kept.allSatisfy { $0.contains { $0 != 0 } })
    }

    @Test func randomNumbersAreThoseOfTheFirstRun() throws {
        // Other tests may draw from libtorch's generator meanwhile, so that only the two runs can be compared: where the
        // second dropped other values, gradients would not fit the output.
        let w = try Tensor.ones([1000]).requireGrad()
        let out = try checkpointed([]) { _ in [try dropout(w, probability: 0.5)] }[0]
        try out.sum().backward()
        let (values, gradient) = (try out.array(Float.self), try w.grad!.array(Float.self))
        #expect(values == gradient && Set(values) == [0, 2])
    }

    @Test func nothingIsKeptWithoutGradients() throws {
        var runs = 0
        let w = try Tensor.ones([2]).requireGrad()
        func twice(_ inputs: [Tensor]) throws -> [Tensor] {
            runs += 1
            return [try inputs[0] * 2]
        }
        #expect(try !withoutGrad { try checkpointed([w], twice) }[0].requiresGrad)
        #expect(runs == 1)
        let out = try checkpointed([w], twice)[0]
        #expect(out.requiresGrad && runs == 2)
        try out.sum().backward()
        #expect(try runs == 3 && w.grad!.array(Float.self) == [2, 2])
    }

    @Test func failuresPass() throws {
        let w = try Tensor.ones([2]).requireGrad()
        #expect(throws: Stop.self) { try checkpointed([w]) { _ in throw Stop() } }
        var isSecond = false
        let out = try checkpointed([w]) { inputs in
            defer { isSecond = true }
            if isSecond { throw Stop() }
            return [try inputs[0] * 2]
        }
        let error = try #require(throws: TorchError.self) { try out[0].sum().backward() }
        #expect(error.message.contains("Stop"))
        #expect(throws: TorchError.self) {
            try checkpointed([w]) { Array(repeating: try $0[0] * 1, count: 9) }
        }
    }

    @Test func memoryIsFreed() throws {
        try expectStableCount { _ = try run(isCheckpointed: true) }
    }
}
