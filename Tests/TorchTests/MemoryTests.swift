import Testing
import Torch

struct MemoryTests {
    /// Two linear layers and a loss, moved by plain descent.
    private func train(steps: Int) throws {
        let generator = try Generator(seed: 1)
        let weights = try [[8, 4], [3, 8]].map { try Tensor.randn($0, generator: generator).requireGrad() }
        let (x, y) = (try Tensor.randn([5, 4], generator: generator), try Tensor([0, 1, 2, 0, 1]))
        for _ in 0..<steps {
            for weight in weights { try weight.setGrad(nil) }
            let loss = try withAutocast(.bfloat16) {
                try crossEntropy(linear(linear(x, weights[0]).gelu(), weights[1]), y)
            }
            try loss.backward()
            try withoutGrad {
                for weight in weights { try weight.add_(weight.grad! * -0.01) }
            }
        }
    }

    @Test func trainingLeavesNoTensors() throws {
        try expectStableCount { try train(steps: 200) }
    }

    @Test func errorsLeaveNoTensors() throws {
        try expectStableCount {
            let (a, b) = (try Tensor.zeros([2, 3]), try Tensor.zeros([4, 5]))
            for _ in 0..<200 {
                #expect(throws: TorchError.self) { try matmul(a + 1, b + 1) }
                #expect(throws: TorchError.self) { try Tensor.cat([a, b, a * 2]) }
                #expect(throws: TorchError.self) { try Tensor([1, 2, 3], [-1, -3]) }
            }
        }
    }

    @Test func operatorsWithSeveralResultsLeaveNoTensors() throws {
        try expectStableCount {
            let x = try Tensor.ones([6, 6])
            for _ in 0..<200 {
                _ = try x.split([2, 4])
                _ = try x.sorted(1)
                _ = try orthonormal(x)
                _ = try x[Tensor([1, 2]), 0...]
            }
        }
    }
}

/// Other tests of the process make and free tensors at the same time, so that one equal count among several
/// is what shows that none was left over.
func expectStableCount(_ body: () throws -> Void) throws {
    var differences: [Int] = []
    repeat {
        let before = Tensor.liveCount
        try body()
        differences.append(Tensor.liveCount - before)
    } while differences.last != 0 && differences.count < 30
    #expect(differences.last == 0, "tensors more than before, each time: \(differences)")
}
