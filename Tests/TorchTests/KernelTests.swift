import TestSupport
import Testing
import Torch

/// `vitrail::linear` and each variant of its kernel that this machine has, against sums in float64.
@Suite(.serialized) struct KernelTests {
    /// Of the kernel's variants, by number: for any machine, for AVX2 and for AVX-512.
    enum Variant: Int, CaseIterable, Sendable { case portable, avx2, avx512 }

    private static let rows = Operator("vitrail::linear_rows")

    private func parts(
        _ rows: [Int], _ inputs: Int, _ outputs: Int, _ dtype: DType, seed: UInt64 = 7
    ) throws -> (x: Tensor, weight: Tensor, bias: Tensor) {
        let generator = try Generator(seed: seed)
        return (
            try Tensor.randn(rows + [inputs], generator: generator).to(dtype),
            try Tensor.randn([outputs, inputs], generator: generator).to(dtype),
            try Tensor.randn([outputs], generator: generator).to(dtype)
        )
    }

    /// The exact sums, and how far a result may be from each: the rounding of float32 sums, and of the result's dtype.
    private func exact(_ x: Tensor, _ weight: Tensor, _ bias: Tensor?) throws -> (Tensor, Tensor) {
        let (x64, weight64) = (try x.to(.float64), try weight.to(.float64))
        var sum = try matmul(x64, weight64.transposed(0, 1))
        if let bias { sum = try sum + bias.to(.float64) }
        let size = try matmul(x64.abs(), weight64.abs().transposed(0, 1)) + 1
        return (sum, try size * 3e-6 + sum.abs() * (weight.dtype == .bfloat16 ? 0x1p-8 : 1e-7))
    }

    private func expect(
        _ actual: Tensor, isCloseTo exact: (sum: Tensor, bound: Tensor), _ what: String
    ) throws {
        #expect(actual.shape == exact.sum.shape, "\(what)")
        #expect(try ((actual.to(.float64) - exact.sum).abs() .<= exact.bound).allTrue(), "\(what)")
    }

    @Test(arguments: [[600], [2, 300], [3, 10, 20]])
    func `many rows of float32 give the sums`(_ rows: [Int]) throws {
        let (x, weight, bias) = try parts(rows, 256, 384, .float32)
        let across = try parts(rows, 384, 256, .float32).x
        for bias in [nil, bias] {
            try expect(linear(x, weight, bias), isCloseTo: exact(x, weight, bias), "\(rows)")
        }
        // Weights that are not in the order of memory.
        let turned = try weight.transposed(0, 1)
        try expect(linear(across, turned), isCloseTo: exact(across, turned, nil), "\(rows), turned")
        // A part of a larger tensor.
        let part = try across[.ellipsis, ..<256]
        try expect(linear(part, weight), isCloseTo: exact(part, weight, nil), "\(rows), a part")
    }

    @Test(arguments: Variant.allCases)
    func `every shape gives the sums`(_ variant: Variant) throws {
        do {
            let (x, weight, _) = try parts([1], 4, 4, .float32)
            _ = try Self.rows(x, weight, nil as Tensor?, variant.rawValue)
        } catch let error as TorchError where error.kind == .notImplemented && variant != .portable {
            return
        }
        for dtype in [DType.bfloat16, .float32] {
            for inputs in [1, 3, 15, 16, 17, 31, 64, 100, 127, 257, 1031] {
                for rows in 1...8 {
                    let (x, weight, bias) = try parts([rows], inputs, rows * 5 % 7 + 1, dtype)
                    for bias in [nil, bias] {
                        let sums = try exact(x, weight, bias)
                        let actual = try Self.rows(x, weight, bias, variant.rawValue)
                        #expect(actual.dtype == dtype)
                        try expect(
                            actual, isCloseTo: sums, "\(variant) \(dtype) \(x.shape) \(weight.shape)")
                    }
                }
            }
        }
    }

    /// Large enough for the kernel to be taken, in every form in which a layer may be called.
    @Test(arguments: [DType.bfloat16, .float32])
    func `a few rows of a large matrix give the sums`(_ dtype: DType) throws {
        for rows in [[], [1], [3], [1, 1], [2, 4], [8], [9]] {
            let (x, weight, bias) = try parts(rows, 517, 515, dtype)
            try expect(linear(x, weight, bias), isCloseTo: exact(x, weight, bias), "\(dtype) \(rows)")
        }
        // Neither has to lie in the order of memory.
        let (columns, turned, _) = try parts([517], 3, 515, dtype)
        let (x, weight) = (try columns.transposed(0, 1), try matmul(turned, columns.transposed(0, 1)))
        let rows = try weight.transposed(0, 1).contiguous().transposed(0, 1)
        for table in [weight, rows] {
            try expect(linear(x, table), isCloseTo: exact(x, table, nil), "\(dtype) across")
        }
    }

    @Test(arguments: [DType.bfloat16, .float32])
    func `the sums are as exact as libtorch's`(_ dtype: DType) throws {
        let aten = Operator("linear")
        for rows in [1, 2, 8] {
            let (x, weight, bias) = try parts([rows], 4101, 300, dtype)
            let (sum, _) = try exact(x, weight, bias)
            func error(_ result: Tensor) throws -> Double {
                try (result.to(.float64) - sum).abs().mean().item()
            }
            let (ours, theirs) = (try error(linear(x, weight, bias)), try error(aten(x, weight, bias)))
            #expect(ours <= 1.2 * theirs, "\(dtype) \(rows) rows: \(ours), libtorch \(theirs)")
        }
    }

    @Test func `the number of threads does not change the sums`() throws {
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        let (x, weight, bias) = try parts([2], 1025, 700, .bfloat16)
        var results: [[Float]] = []
        for count in [1, 2, 3, 7] {
            try Threads.set(count)
            results.append(try linear(x, weight, bias).array())
        }
        #expect(results.allSatisfy { $0 == results[0] })
    }

    @Test func `gradients and autocast are libtorch's`() throws {
        let (x, weight, bias) = try parts([2], 600, 500, .float32)
        try weight.requireGrad()
        try linear(x, weight, bias).sum().backward()
        #expect(try weight.grad?.isClose(to: x.sum(0).expanded(500, 600), absolute: 1e-5) == true)
        try withAutocast(.bfloat16) {
            let dtype = try linear(x, weight.detached(), bias).dtype
            #expect(dtype == .bfloat16)
        }
    }

    @Test(arguments: Variant.allCases)
    func `a few queries attend to everything`(_ variant: Variant) throws {
        let kernel = Operator("vitrail::attention_rows")
        let generator = try Generator(seed: 11)
        for dtype in [DType.bfloat16, .float32] {
            for (rows, length, width) in [(1, 1, 8), (1, 700, 128), (4, 33, 80), (8, 65, 19), (3, 20, 64)] {
                let query = try Tensor.randn([2, 3, rows, width], generator: generator).to(dtype)
                // As a cache gives them: a part of a tensor with room for more.
                let cached = try (0..<2).map { _ in
                    try Tensor.randn([2, 3, length + 5, width], generator: generator).to(dtype)
                        .narrowed(2, 0, length)
                }
                let values = try cached[1].narrowed(3, 0, max(1, width - rows % 3))
                let actual: Tensor
                do {
                    actual = try kernel(query, cached[0], values, 0.3, variant.rawValue)
                } catch let error as TorchError where error.kind == .notImplemented && variant != .portable {
                    return
                }
                let (q, k, v) = (
                    try query.to(.float64), try cached[0].to(.float64), try values.to(.float64)
                )
                let expected = try matmul((matmul(q, k.transposed(2, 3)) * 0.3).softmax(-1), v)
                let bound = try expected.abs() * (dtype == .bfloat16 ? 0x1p-8 : 1e-6) + 2e-6
                #expect(
                    try ((actual.to(.float64) - expected).abs() .<= bound).allTrue(),
                    "\(variant) \(dtype) \(query.shape) \(length)")
                let whole = try scaledDotProductAttention(query, cached[0], values, scale: 0.3)
                #expect(whole.dtype == dtype && whole.shape == expected.shape)
                #expect(try ((whole.to(.float64) - expected).abs() .<= bound).allTrue())
            }
        }
    }

    @Test(arguments: Variant.allCases)
    func `many queries attend to everything, on any number of threads`(_ variant: Variant) throws {
        let kernel = Operator("vitrail::attention_rows")
        let generator = try Generator(seed: 12)
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        for (rows, length, width, scale) in [
            (64, 64, 64, 0.125), (300, 300, 64, 0.125), (101, 17, 80, 0.6), (9, 1, 3, 1.0),
            (70, 129, 130, 0.1), (90, 70, 33, 0.2),
        ] {
            // As one product of matrices gives them: heads and the three lie side by side.
            let all = try Tensor.randn([2, max(rows, length), 3, 3, width], generator: generator)
                .permuted(2, 0, 3, 1, 4)
            let (query, key) = (try all[0].narrowed(2, 0, rows), try all[1].narrowed(2, 0, length))
            // Values may be narrower than keys.
            let value = try all[2].narrowed(2, 0, length).narrowed(3, 0, max(1, width - width % 7))
            var results: [Tensor] = []
            do {
                for count in [1, 2, 3] {
                    try Threads.set(count)
                    results.append(try kernel(query, key, value, scale, variant.rawValue))
                }
            } catch let error as TorchError where error.kind == .notImplemented && variant != .portable {
                return
            }
            #expect(try (results[0] .== results[1]).allTrue() && (results[0] .== results[2]).allTrue())
            let (q, k, v) = (try query.to(.float64), try key.to(.float64), try value.to(.float64))
            let expected = try matmul((matmul(q, k.transposed(2, 3)) * scale).softmax(-1), v)
            #expect(results[0].shape == [2, 3, rows, value.size(3)])
            for actual in [results[0], try scaledDotProductAttention(query, key, value, scale: scale)] {
                let error: Double = try (actual.to(.float64) - expected).abs().max().item()
                #expect(error < 5e-6, "\(variant) \(rows) \(length) \(width): \(error)")
            }
        }
    }

    @Test(arguments: Variant.allCases)
    func `convolutions of 3 x 3 give the sums, on any number of threads`(_ variant: Variant) throws {
        let kernel = Operator("vitrail::conv2d_tiles")
        let exactly = Operator("conv2d")
        let generator = try Generator(seed: 13)
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        for (shape, outputs) in [
            ([1, 64, 32, 32], 64), ([2, 16, 23, 41], 32), ([3, 48, 17, 13], 96), ([1, 32, 1, 300], 64),
            ([1, 256, 20, 30], 128),
        ] {
            let x = try Tensor.randn(shape, generator: generator)
            let weight = try Tensor.randn([outputs, shape[1], 3, 3], generator: generator)
            let bias = try Tensor.randn([outputs], generator: generator)
            for bias in [nil, bias] {
                let expected = try exactly(
                    x.to(.float64), weight.to(.float64), bias?.to(.float64), [1, 1], [1, 1])
                let size = try exactly(
                    x.to(.float64).abs(), weight.to(.float64).abs(), nil as Tensor?, [1, 1], [1, 1])
                var results: [Tensor] = []
                do {
                    for count in [1, 2, 3] {
                        try Threads.set(count)
                        results.append(try kernel(x, weight, bias, variant.rawValue))
                    }
                } catch let error as TorchError where error.kind == .notImplemented && variant != .portable {
                    return
                }
                #expect(try (results[0] .== results[1]).allTrue() && (results[0] .== results[2]).allTrue())
                // The order of memory is neither the pixels' nor the weights' matter.
                let turned = try kernel(
                    x.contiguous(.channelsLast), weight.contiguous(.channelsLast), bias, variant.rawValue)
                #expect(try (results[0] .== turned).allTrue())
                for actual in [results[0], try conv2d(x, weight, bias, padding: 1)] {
                    #expect(actual.shape == expected.shape)
                    let error: Double = try ((actual.to(.float64) - expected).abs() / (size + 1)).max().item()
                    #expect(error < 3e-6, "\(variant) \(shape) \(outputs): \(error)")
                }
            }
        }
    }

    /// Whole panels and a part, a narrow panel, inputs that are summed in several parts, and rows that fill no tile.
    @Test(arguments: [(9, 256, 704), (97, 205, 80), (200, 1200, 33), (64, 2500, 160), (301, 16, 1000)])
    func `products are activated, multiplied and added to on their way out`(
        _ rows: Int, _ inputs: Int, _ outputs: Int
    ) throws {
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        let (x, weight, bias) = try parts([rows], inputs, outputs, .float32)
        let (times, plus) = (
            try parts([rows], outputs, 1, .float32, seed: 8).x,
            try parts([rows], outputs, 1, .float32, seed: 9).x
        )
        let packed = try packed(weight)
        for activation in [LinearActivation.none, .gelu, .silu] {
            for (bias, times, plus) in [(nil, nil, nil), (bias, nil, plus), (bias, times, plus)] {
                var (exact, bound) = try exact(x, weight, bias)
                switch activation {
                case .none: break
                case .gelu: exact = try exact.gelu()
                case .silu: exact = try exact.silu()
                }
                // The activations are exact to some digits of what goes in.
                if activation != .none { bound = try bound * 1.2 + 1e-6 }
                if let times {
                    (exact, bound) = (try exact * times.to(.float64), try bound * times.to(.float64).abs())
                }
                if let plus { exact = try exact + plus.to(.float64) }
                func product(_ packed: Tensor?) throws -> Tensor {
                    try linear(
                        x, weight, bias, packed: packed, activation: activation, times: times, plus: plus)
                }
                let actual = try product(nil)
                try expect(actual, isCloseTo: (exact, bound + 1e-6), "\(activation)")
                for count in [1, 2, 3] {
                    try Threads.set(count)
                    let again = try product(packed)
                    try expect(again, isCloseTo: (exact, bound + 1e-6), "\(activation), \(count) threads")
                    // Without AVX-512 nothing is packed, and libtorch's own product has other bits for other threads.
                    if packed.rank == 1 {
                        #expect(try (again .== actual).allTrue(), "\(activation), \(count) threads")
                    }
                }
            }
        }
        // A bias that does not lie in the order of memory.
        let apart = try Tensor.stack([bias, bias * 2], axis: 1)[.all, 0]
        try expect(linear(x, weight, apart), isCloseTo: exact(x, weight, bias), "a bias that lies apart")
        // A summand of another shape, as of positions for all pictures.
        let row = try plus.narrowed(0, 0, 1)
        #expect(
            try linear(x, weight, plus: row).isClose(to: linear(x, weight) + row, absolute: 1e-6))
    }

    @Test func `gradients go through what comes after a product`() throws {
        let (x, weight, bias) = try parts([600], 256, 384, .float32)
        let (times, plus) = (
            try parts([600], 384, 1, .float32, seed: 8).x, try parts([600], 384, 1, .float32, seed: 9).x
        )
        func gradients(_ body: (Tensor, Tensor, Tensor) throws -> Tensor) throws -> [Tensor] {
            let leaves = try [weight, times, plus].map { try $0.detached().clone() }
            for leaf in leaves { try leaf.requireGrad() }
            try body(leaves[0], leaves[1], leaves[2]).sum().backward()
            return leaves.map { $0.grad! }
        }
        for activation in [LinearActivation.gelu, .silu] {
            let ours = try gradients {
                try linear(x, $0, bias, activation: activation, times: $1, plus: $2)
            }
            let theirs = try gradients {
                let out = try linear(x, $0, bias)
                return try $2 + (activation == .gelu ? out.gelu() : out.silu()) * $1
            }
            for (mine, other) in zip(ours, theirs) { #expect(try mine.isClose(to: other, absolute: 1e-4)) }
        }
    }

    @Test func `packed weights of another layer are refused`() throws {
        let (x, weight, _) = try parts([100], 256, 384, .float32)
        let other = try packed(weight.narrowed(0, 0, 128).contiguous())
        // Where nothing is packed, the weights themselves come back, and nothing is to be refused.
        guard other.rank == 1 else { return }
        #expect(throws: TorchError.self) { try linear(x, weight, packed: other) }
        #expect(throws: TorchError.self) {
            try conv2d(
                Tensor.zeros([1, 32, 40, 40]), Tensor.zeros([32, 32, 3, 3]), packed: other, padding: 1)
        }
    }

    @Test func `convolutions with packed kernels have the same bits`() throws {
        let generator = try Generator(seed: 19)
        for (kernel, stride, padding) in [(3, 1, 1), (2, 2, 0), (1, 1, 0), (3, 2, 1)] {
            let x = try Tensor.randn([1, 48, 40, 40], generator: generator).contiguous(.channelsLast)
            let weight = try Tensor.randn([64, 48, kernel, kernel], generator: generator).contiguous(
                .channelsLast)
            let packed = try packedKernel(weight, stride: stride, padding: padding)
            let actual = try conv2d(x, weight, packed: packed, stride: stride, padding: padding)
            #expect(
                try (actual .== conv2d(x, weight, stride: stride, padding: padding)).allTrue(), "\(kernel)")
        }
    }

    /// By Winograd's algorithm, as products of patches, and by libtorch.
    @Test(arguments: [(3, 1, 1), (2, 2, 0), (1, 1, 0), (3, 2, 1), (3, 1, 0)])
    func `convolutions are added to and rectified on their way out`(
        _ kernel: Int, _ stride: Int, _ padding: Int
    ) throws {
        let generator = try Generator(seed: 23)
        let x = try Tensor.randn([2, 48, 30, 40], generator: generator).contiguous(.channelsLast)
        let weight = try Tensor.randn([64, 48, kernel, kernel], generator: generator)
            .contiguous(.channelsLast)
        let bias = try Tensor.randn([64], generator: generator)
        func convolved(plus: Tensor? = nil, relu: Bool = false) throws -> Tensor {
            try conv2d(x, weight, bias, stride: stride, padding: padding, plus: plus, relu: relu)
        }
        let alone = try convolved()
        let scattered = try Tensor.randn(alone.shape, generator: generator) * 20.0
        let row = try scattered.narrowed(2, 0, 1)
        for plus in [scattered, try scattered.contiguous(.channelsLast), row] {
            #expect(try (convolved(plus: plus) .== plus + alone).allTrue())
            #expect(try (convolved(plus: plus, relu: true) .== (plus + alone).relu()).allTrue())
        }
        #expect(try (convolved(relu: true) .== alone.relu()).allTrue())
        #expect(try alone.min().item() < -1.0)

        let learnt = try scattered.detached().requireGrad()
        try convolved(plus: learnt, relu: true).sum().backward()
        let isPassed = try #require(learnt.grad) .> 0
        #expect(try (isPassed .== (scattered + alone .> 0)).allTrue())
    }

    @Test(arguments: [[2, 70, 256], [5, 3], [1, 37], [4, 1000]])
    func `rows are divided by their root mean square`(_ shape: [Int]) throws {
        let generator = try Generator(seed: 15)
        let x = try Tensor.randn(shape, generator: generator) * 3
        let weight = try Tensor.randn([shape.last!], generator: generator)
        let wide = try x.to(.float64)
        let mean = try (wide * wide).mean(-1, keepDims: true)
        let expected = try wide / (mean + 1e-3).sqrt() * weight.to(.float64)
        #expect(
            try rmsNorm(x, weight: weight, epsilon: 1e-3).to(.float64).isClose(to: expected, absolute: 1e-5))
        // Rows that do not lie in the order of memory.
        let turned = try x.transposed(-1, -2).contiguous().transposed(-1, -2)
        #expect(
            try rmsNorm(turned, weight: weight, epsilon: 1e-3).to(.float64).isClose(
                to: expected, absolute: 1e-5))
        try weight.requireGrad()
        try rmsNorm(x, weight: weight, epsilon: 1e-3).sum().backward()
        #expect(weight.grad?.shape == weight.shape)
    }

    @Test(arguments: [[2, 70, 256], [5, 3], [1, 37], [4, 1000]])
    func `rows have mean 0 and variance 1, wherever they lie`(_ shape: [Int]) throws {
        let generator = try Generator(seed: 20)
        let x = try Tensor.randn(shape, generator: generator) * 3 + 100
        let (weight, bias) = (
            try Tensor.randn([shape.last!], generator: generator),
            try Tensor.randn([shape.last!], generator: generator)
        )
        let wide = try x.to(.float64)
        let centred = try wide - wide.mean(-1, keepDims: true)
        let expected =
            try centred / ((centred * centred).mean(-1, keepDims: true) + 1e-3).sqrt()
            * weight.to(.float64) + bias.to(.float64)
        func normed(_ x: Tensor) throws -> Tensor {
            try layerNorm(x, [shape.last!], weight: weight, bias: bias, epsilon: 1e-3).to(.float64)
        }
        #expect(try normed(x).isClose(to: expected, absolute: 2e-5))
        let turned = try x.transposed(-1, -2).contiguous().transposed(-1, -2)
        #expect(try normed(turned).isClose(to: expected, absolute: 2e-5))
        // Rows apart, and rows that are there several times.
        let apart = try Tensor.cat([x, x], axis: -1).narrowed(-1, shape.last!, shape.last!)
        #expect(try normed(apart).isClose(to: expected, absolute: 2e-5))
        let repeated = try x.unsqueezed(-2).expanded(shape.dropLast() + [3, shape.last!])
        let each = try expected.unsqueezed(-2).expanded(repeated.shape)
        #expect(try normed(repeated).isClose(to: each, absolute: 2e-5))
        try weight.requireGrad()
        try normed(x).sum().backward()
        #expect(weight.grad?.shape == weight.shape)
    }

    @Test(arguments: [[2, 64, 33, 20], [1, 24, 128, 96], [3, 32, 1, 5]])
    func `groups of channels are normed, added to and rectified`(_ shape: [Int]) throws {
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        let generator = try Generator(seed: 21)
        let x = try Tensor.randn(shape, generator: generator) * 2 + 30
        let plus = try Tensor.randn(shape, generator: generator)
        let (weight, bias) = (
            try Tensor.randn([shape[1]], generator: generator),
            try Tensor.randn([shape[1]], generator: generator)
        )
        let exactly = Operator("group_norm")
        for (plus, relu) in [(nil, false), (nil, true), (plus, true), (plus, false)] {
            var expected = try exactly(
                x.to(.float64), 8, weight.to(.float64), bias.to(.float64), 1e-5)
            if let plus { expected = try expected + plus.to(.float64) }
            if relu { expected = try expected.relu() }
            func normed(_ format: MemoryFormat) throws -> Tensor {
                try groupNorm(
                    x.contiguous(format), groups: 8, weight: weight, bias: bias,
                    plus: plus?.contiguous(format), relu: relu)
            }
            for format in [MemoryFormat.contiguous, .channelsLast] {
                #expect(try normed(format).to(.float64).isClose(to: expected, absolute: 1e-4), "\(format)")
            }
            let one = try normed(.channelsLast)
            try Threads.set(threads == 1 ? 2 : 1)
            #expect(try (normed(.channelsLast) .== one).allTrue())
            try Threads.set(threads)
        }
        let leaf = try x.contiguous(.channelsLast).detached()
        try leaf.requireGrad()
        try groupNorm(leaf, groups: 8, weight: weight, bias: bias, relu: true).sum().backward()
        #expect(leaf.grad?.shape == shape)
    }

    @Test(arguments: [1, 2, 6, 8, 16, 17, 300])
    func `shares of any number add up to one`(_ count: Int) throws {
        let x = try Tensor.randn([3, 700, count], generator: Generator(seed: 22)) * 20
        let shares = try x.softmax(-1)
        #expect(try shares.to(.float64).isClose(to: x.to(.float64).softmax(-1), absolute: 1e-6))
        #expect(try shares.sum(-1).isClose(to: Tensor.ones([3, 700]), absolute: 1e-5))
        // Along another axis, and of numbers without a limit.
        #expect(try x.transposed(1, 2).softmax(1).isClose(to: shares.transposed(1, 2), absolute: 1e-6))
        if count > 1 {
            try x.assign(-.infinity, at: .all, .all, 0)
            #expect(try (x.softmax(-1)[.all, .all, 0] .<= 1e-30).allTrue())
        }
        try x.assign(0, at: .all, .all, 0)
        try x.requireGrad()
        try x.softmax(-1)[.all, .all, 0].sum().backward()
        #expect(x.grad?.shape == x.shape)
    }

    @Test func `the first heads are turned by the rotary embedding`() throws {
        let generator = try Generator(seed: 23)
        let (length, width) = (70, 64)
        let angles = try Tensor.randn([length, width / 2], generator: generator)
        let both = try Tensor.cat([angles, angles], axis: 1)
        let (cosines, sines) = (try both.cos(), try both.sin())
        // As a projection gives heads: not in the order of memory.
        let x = try Tensor.randn([2, length, 4, width], generator: generator).transposed(1, 2)
        let turned = try Tensor.cat([-x.narrowed(3, 32, 32), x.narrowed(3, 0, 32)], axis: 3)
        let all = try x * cosines + turned * sines
        for heads in [0, 2, 4] {
            let expected = try Tensor.cat(
                [all.narrowed(1, 0, heads), x.narrowed(1, heads, 4 - heads)], axis: 1)
            let actual = try rotated(x, cosines: cosines, sines: sines, heads: heads)
            #expect(try actual.isClose(to: expected, absolute: 1e-6))
            // Where a gradient is wanted, it is libtorch's way.
            let leaf = try x.detached().clone()
            try leaf.requireGrad()
            let learnt = try rotated(leaf, cosines: cosines, sines: sines, heads: heads)
            #expect(try learnt.detached().isClose(to: expected, absolute: 1e-6))
            try (learnt * expected).sum().backward()
            // What is turned back is what it was.
            #expect(try leaf.grad?.isClose(to: x, absolute: 1e-5) == true)
        }
        #expect(throws: TorchError.self) { try rotated(x, cosines: cosines, sines: sines, heads: 5) }
    }

    @Test(arguments: [1, 2, 4])
    func `kernels side by side give the sums`(_ size: Int) throws {
        let generator = try Generator(seed: 16)
        let exactly = Operator("conv2d")
        // The last is a column of patches.
        for (height, width, outputs) in [(16, 24, 40), (19, 33, 64), (16, size, 40)] {
            let x = try Tensor.randn([2, 20, height, width], generator: generator)
            let weight = try Tensor.randn([outputs, 20, size, size], generator: generator)
            let bias = try Tensor.randn([outputs], generator: generator)
            for bias in [nil, bias] {
                let expected = try exactly(
                    x.to(.float64), weight.to(.float64), bias?.to(.float64), [size, size])
                for format in [MemoryFormat.contiguous, .channelsLast] {
                    let actual = try conv2d(
                        x.contiguous(format), weight.contiguous(format), bias, stride: size)
                    #expect(actual.shape == expected.shape)
                    let error: Double = try (actual.to(.float64) - expected).abs().max().item()
                    #expect(error < 1e-4, "\(size) \(height) \(width) \(format): \(error)")
                }
            }
        }
    }

    @Test func `Winograd's sums are less exact by a digit, and not more`() throws {
        let (kernel, aten) = (Operator("vitrail::conv2d_tiles"), Operator("conv2d"))
        let generator = try Generator(seed: 17)
        let x = try Tensor.randn([1, 128, 64, 64], generator: generator)
        let weight = try Tensor.randn([128, 128, 3, 3], generator: generator)
        let exact = try aten(x.to(.float64), weight.to(.float64), nil as Tensor?, [1, 1], [1, 1])
        func error(_ result: Tensor) throws -> Double {
            try (result.to(.float64) - exact).abs().mean().item()
        }
        let ours = try error(kernel(x, weight, nil as Tensor?, Variant.portable.rawValue))
        let theirs = try error(aten(x, weight, nil as Tensor?, [1, 1], [1, 1]))
        #expect(ours < 20 * theirs, "\(ours), libtorch \(theirs)")
    }

    @Test func `convolutions of other forms, and gradients, are libtorch's`() throws {
        let generator = try Generator(seed: 14)
        let x = try Tensor.randn([1, 32, 40, 40], generator: generator)
        let weight = try Tensor.randn([32, 32, 3, 3], generator: generator)
        let exactly = Operator("conv2d")
        for (stride, padding, dilation, groups) in [(2, 1, 1, 1), (1, 0, 1, 1), (1, 1, 2, 1), (1, 1, 1, 2)] {
            let part = groups == 2 ? try weight[.all, ..<16] : weight
            let actual = try conv2d(
                x, part, stride: stride, padding: padding, dilation: dilation, groups: groups)
            let expected = try exactly(
                x, part, nil as Tensor?, [stride, stride], [padding, padding], [dilation, dilation], groups)
            #expect(actual.shape == expected.shape)
            #expect(try (actual .== expected).allTrue(), "\(stride) \(padding) \(dilation) \(groups)")
        }
        try weight.requireGrad()
        try conv2d(x, weight, padding: 1).sum().backward()
        let gradient = try #require(weight.grad)
        #expect(try gradient[0, .all, 1, 1].isClose(to: x.sum(2).sum(2)[0], absolute: 1e-3))
        try withAutocast(.bfloat16) {
            let dtype = try conv2d(x, weight.detached(), padding: 1).dtype
            #expect(dtype == .bfloat16)
        }
    }

    @Test(arguments: [DType.bfloat16, .float16, .float32])
    func `random numbers are nearly normal and always the same`(_ dtype: DType) throws {
        let threads = Threads.count
        defer { try? Threads.set(threads) }
        var drawn: [[Float]] = []
        for count in [1, 3] {
            try Threads.set(count)
            let tensor = try Tensor.empty([300_000], dtype: dtype)
            try tensor.fillRandom(mean: 2, std: 0.5, seed: 9)
            drawn.append(try tensor.array())
        }
        #expect(drawn[0] == drawn[1])
        let values = drawn[0].map { (Double($0) - 2) / 0.5 }
        func mean(_ term: (Double) -> Double) -> Double {
            values.map(term).reduce(0, +) / Double(values.count)
        }
        #expect(abs(mean { $0 }) < 0.01 && abs(mean { $0 * $0 } - 1) < 0.01)
        #expect(values.allSatisfy { abs($0) < 3.6 } && values.contains { abs($0) > 3 })
        let other = try Tensor.empty([300_000], dtype: dtype)
        try other.fillRandom(seed: 10)
        let pairs = zip(values, try other.array(Double.self))
        #expect(abs(pairs.map { $0 * $1 }.reduce(0, +) / 300_000) < 0.01)
    }

    @Test func `what does not fit is refused by name`() throws {
        let (x, weight, _) = try parts([1], 600, 500, .bfloat16)
        let error = #expect(throws: TorchError.self) { try linear(x[.all, ..<599], weight) }
        #expect(error?.shapes == [[1, 599], [500, 600]])
        #expect(throws: TorchError.self) { try linear(x.to(.float32), weight) }
        #expect(throws: TorchError.self) { try linear(x, weight, Tensor.zeros([499], dtype: .bfloat16)) }
    }
}
