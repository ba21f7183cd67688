import Foundation
import Synchronization
import Testing
import Torch

struct ScopeTests {
    struct Stop: Error {}

    private func weight() throws -> Tensor { try Tensor.ones([2, 2]).requireGrad() }

    @Test func gradients() throws {
        let w = try weight()
        #expect(try (w * 2).requiresGrad)
        try withoutGrad { () throws in
            #expect(try !(w * 2).requiresGrad)
            #expect(try withGrad { try (w * 2).requiresGrad })
            #expect(try !(w * 2).requiresGrad)
        }
        #expect(throws: Stop.self) { try withoutGrad { throw Stop() } }
        #expect(try (w * 2).requiresGrad)
        #expect(try !w.detached().requiresGrad)
    }

    @Test func inference() throws {
        let w = try weight()
        let made = try withInference { try w * 2 }
        #expect(!made.requiresGrad)
        // It can be read, but never take part in a gradient.
        #expect(try made.array(Float.self) == [2, 2, 2, 2])
        #expect(throws: TorchError.self) { try (made * w).sum().backward() }
        #expect(throws: Stop.self) { try withInference { throw Stop() } }
        #expect(try (w * 2).requiresGrad)
    }

    @Test func autocast() throws {
        let (x, w) = (try Tensor.ones([2, 2]), try weight())
        func dtype() throws -> DType { try matmul(x, w).dtype }
        #expect(try dtype() == .float32)
        try withAutocast(.bfloat16) {
            #expect(try dtype() == .bfloat16)
            #expect(try withFullPrecision(dtype) == .float32)
            #expect(try withAutocast(.float16, dtype) == .float16)
            #expect(try withAutocast(nil, dtype) == .bfloat16)
            #expect(try dtype() == .bfloat16)
            #expect(throws: Stop.self) { try withAutocast(.float16) { throw Stop() } }
            #expect(throws: Stop.self) { try withFullPrecision { throw Stop() } }
            #expect(try dtype() == .bfloat16)
            try matmul(x, w).to(.float32).sum().backward()
        }
        #expect(try dtype() == .float32)
        // Gradients arrive in the weight's own precision.
        #expect(w.grad?.dtype == .float32)
        #expect(try w.grad?.array(Float.self) == [2, 2, 2, 2])
    }

    @Test func autocastSeesANewWeightInTheNextScope() throws {
        let (x, w) = (try Tensor.ones([1, 2]), try weight())
        let first = try withAutocast(.bfloat16) { try matmul(x, w) }
        try w.fill(3)
        let second = try withAutocast(.bfloat16) { try matmul(x, w) }
        #expect(try first.array(Float.self) == [2, 2])
        #expect(try second.array(Float.self) == [6, 6])
    }

    @Test func scopesBelongToTheirThread() throws {
        let recorded = Mutex(false)
        withoutGrad {
            let thread = Thread {
                let seen = try? Tensor.ones([1]).requireGrad().exp().requiresGrad
                recorded.withLock { $0 = seen ?? false }
            }
            thread.start()
            while !thread.isFinished { Thread.sleep(forTimeInterval: 0.001) }
        }
        #expect(recorded.withLock { $0 })
    }

    @Test func generatorsContinueFromASavedState() throws {
        let generator = try Generator(seed: 9)
        _ = try Tensor.randn([7], generator: generator)
        let state = try generator.state()
        let expected: [Float] = try Tensor.randn([19], generator: generator).array()
        let other = try Generator(seed: 1)
        try other.setState(state)
        #expect(try Tensor.randn([19], generator: other).array() == expected)
        #expect(try Tensor.randn([19], generator: Generator(seed: 9)).array() != expected)
    }
}
