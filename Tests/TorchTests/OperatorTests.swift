import TestSupport
import Testing
import Torch

/// Every operator against what PyTorch gave for the same case in Tools/reference/engine_fixtures.py.
struct OperatorTests {
    @Test(arguments: OperatorCase.all)
    func matchesPyTorch(_ tried: OperatorCase) throws {
        let fixture = try Fixture("engine")
        let expected = try tried.expected(in: fixture)
        let actual = try tried.run(fixture)
        try #require(actual.count == expected.count)
        for (number, (a, b)) in zip(actual, expected).enumerated() {
            let problem = try difference(a, b, relative: tried.tolerance, absolute: tried.tolerance / 5)
            #expect(problem == nil, "\(tried.name).\(number)")
        }
    }

    @Test func everyCaseOfTheFixtureIsTried() throws {
        let made = try Fixture("engine").source("outputs/").names.map { String($0.prefix { $0 != "." }) }
        #expect(Set(made) == Set(OperatorCase.all.map(\.name)))
    }
}

struct OperatorCase: Sendable, CustomTestStringConvertible {
    let name: String
    var tolerance = 1e-5
    let run: @Sendable (Fixture) throws -> [Tensor]

    var testDescription: String { name }

    func expected(in fixture: Fixture) throws -> [Tensor] {
        let names = fixture.names.filter { $0.hasPrefix("outputs/\(name).") }
        return try names.indices.map { try fixture["outputs/\(name).\($0)"] }
    }

    static let all =
        makingCases + movingCases + subscriptCases + arithmeticCases + reductionCases + networkCases
        + lossCases
}

/// A case that gives one tensor.
private func one(_ name: String, _ run: @escaping @Sendable (Fixture) throws -> Tensor) -> OperatorCase {
    OperatorCase(name: name) { [try run($0)] }
}

private func many(
    _ name: String, tolerance: Double = 1e-5, _ run: @escaping @Sendable (Fixture) throws -> [Tensor]
) -> OperatorCase {
    OperatorCase(name: name, tolerance: tolerance, run: run)
}

private func changed(_ tensor: Tensor, _ change: (Tensor) throws -> Void) throws -> Tensor {
    let copy = try tensor.clone()
    try change(copy)
    return copy
}

private let makingCases: [OperatorCase] = [
    one("full") { _ in try .full([2, 3], 1.5, dtype: .float64) },
    one("zeros") { _ in try .zeros([2, 3], dtype: .int32) },
    one("ones") { _ in try .ones([4], dtype: .bool) },
    one("zerosLike") { try $0.n.zerosLike() },
    one("onesLike") { try $0.a.onesLike() },
    one("arange") { _ in try .arange(-1, 2, step: 0.25) },
    one("arangeInt") { _ in try .arange(2, 11, step: 3, dtype: .int64) },
    one("eye") { _ in try .eye(3) },
    one("cat") { try .cat([$0.a, $0.b], axis: 1) },
    one("stack") { try .stack([$0.a, $0.b], axis: 1) },
    one("where") { try .where($0.m, $0.a, $0.row) },
    many("stream") { fixture in
        let generator = try Generator(seed: 5)
        let (normal, uniform) = (try Tensor.empty([33]), try Tensor.empty([33]))
        return [
            try .randn([5], generator: generator),
            try .randn([40], generator: generator),
            try .rand([3, 7], generator: generator),
            try .randomPermutation(23, generator: generator),
            try .randomIntegers(-3..<50, [4, 6], generator: generator),
            try fixture.shares.multinomial(2, generator: generator),
            try fixture.shares.multinomial(5, replacement: true, generator: generator),
            try changed(normal) { try $0.fillNormal(mean: 2, std: 0.5, generator: generator) },
            try changed(uniform) { try $0.fillUniform(-2, 0.5, generator: generator) },
            try .randn([6], generator: generator, dtype: .float64),
        ]
    },
    one("state") { _ in try Generator(seed: 5).state() },
]

private let movingCases: [OperatorCase] = [
    one("toDouble") { try $0.a.to(.float64) },
    one("toInt") { try ($0.a * 10).to(.int32) },
    one("clone") { try $0.a.transposed(0, 1).clone() },
    one("copy") { fixture in try changed(fixture.a) { try $0.copy(from: fixture.row) } },
    one("fill") { try changed($0.n) { try $0.fill(4) } },
    one("view") { try $0.a.view([2, 6]) },
    one("bitcast") { try $0.a.bitcast(to: .int32) },
    one("reshaped") { try $0.a.transposed(0, 1).reshaped(2, -1) },
    one("permuted") { try $0.cube.permuted(2, 0, 1) },
    one("transposed") { try $0.cube.transposed(0, -1) },
    one("unsqueezed") { try $0.a.unsqueezed(1) },
    one("squeezed") { try $0.a.unsqueezed(1).squeezed(1) },
    one("flattened") { try $0.cube.flattened(1) },
    one("flattenedPart") { try $0.cube.flattened(0, 1) },
    one("unflattened") { try $0.cube.unflattened(2, [2, 2]) },
    one("expanded") { try $0.row.expanded(3, -1) },
    one("repeated") { try $0.a.repeated(2, 1) },
    one("repeatedInterleaved") { try $0.a.repeatedInterleaved(2, axis: 1) },
    one("narrowed") { try $0.a.narrowed(1, 1, 2) },
    many("split") { try $0.a.split([1, 3], axis: 1) },
    many("chunked") { try $0.a.chunked(2, axis: 1) },
    one("flipped") { try $0.cube.flipped(0, 2) },
    one("rolled") { try $0.a.rolled([1, -1], axes: [0, 1]) },
    one("tril") { try $0.square.tril(-1) },
    one("triu") { try $0.square.triu(1) },
    one("indexSelected") { try $0.a.indexSelected(0, $0.ids[0]) },
    one("gathered") { try $0.a.gathered(1, $0.columns) },
    one("scattered") { try $0.a.scattered(1, $0.columns[0..<1], $0.updates[0..<1]) },
    one("scatterAdded") { try $0.a.scatterAdded(1, $0.columns, $0.updates) },
    one("maskedFilled") { try $0.a.maskedFilled($0.m, -2) },
    one("nonzero") { try $0.m.nonzero() },
    many("bfloat16", tolerance: 1e-2) {
        let a = try $0.a.to(.bfloat16)
        return [a, try matmul(a, $0.square.to(.bfloat16)), try a.sum()]
    },
    many("float16", tolerance: 1e-3) { [try $0.a.to(.float16), try $0.a.to(.float16) * $0.b.to(.float16)] },
]

/// Ones times 2.5, and -3, written to the same places.
private func assigned(_ cube: Tensor, _ indices: any TensorIndexable...) throws -> [Tensor] {
    func written(_ change: (Tensor) throws -> Void) throws -> Tensor { try changed(cube, change) }
    switch indices.count {
    case 1:
        return [
            try written { try $0.assign(Tensor(Float(2.5)), at: indices[0]) },
            try written { try $0.assign(-3, at: indices[0]) },
        ]
    case 2:
        return [
            try written { try $0.assign(Tensor(Float(2.5)), at: indices[0], indices[1]) },
            try written { try $0.assign(-3, at: indices[0], indices[1]) },
        ]
    default:
        return [
            try written { try $0.assign(Tensor(Float(2.5)), at: indices[0], indices[1], indices[2]) },
            try written { try $0.assign(-3, at: indices[0], indices[1], indices[2]) },
        ]
    }
}

private let subscriptCases: [OperatorCase] = [
    one("at") { try $0.cube[1] },
    one("atNegative") { try $0.cube[-1, 0, -2] },
    one("slices") { try $0.cube[.all, 1..<3, 2...] },
    one("slicesOpen") { try $0.cube[..<1, ...1, (-2)...] },
    one("slicesClosed") { try $0.cube[0...1, ..<2, ...(-1)] },
    one("strided") { try $0.cube[.all, .all, .stride(1, 4, by: 2)] },
    one("newAxis") { try $0.cube[.all, .newAxis, 1] },
    one("ellipsis") { try $0.cube[.ellipsis, 2] },
    one("ellipsisMiddle") { try $0.cube[1, .ellipsis, ..<2] },
    one("rows") { try $0.a[$0.ids] },
    one("masked") { try $0.a[$0.m] },
    one("maskedRows") { try $0.cube[.all, $0.m[.all, 0]] },
    one("pairs") { try $0.a[$0.ids[0], $0.columns[.all, 0]] },
    one("mixed") { try $0.cube[.all, $0.ids[0], 1...] },
    one("apart") { try $0.cube[$0.ids[1].remainder(2), .all, $0.columns[.all, 0]] },
    many("assignAt") { try assigned($0.cube, 1) },
    many("assignSlices") { try assigned($0.cube, .all, 0..<2, -1) },
    many("assignRows") { try assigned($0.cube, .all, Tensor([2, 0])) },
    many("assignMask") { try assigned($0.cube, $0.cube .> 0) },
]

private let arithmeticCases: [OperatorCase] = [
    one("add") { try $0.a + $0.row },
    many("addScalar") { [try $0.a + 1.5, try 1.5 + $0.a] },
    one("subtract") { try $0.a - $0.row },
    many("subtractScalar") { [try $0.a - 1.5, try 1.5 - $0.a] },
    one("multiply") { try $0.a * $0.row },
    many("multiplyScalar") { [try $0.a * 1.5, try 1.5 * $0.a] },
    one("divide") { try $0.a / $0.p },
    many("divideScalar") { [try $0.a / 1.5, try 1.5 / $0.p] },
    many("integers") {
        let n = try $0.n
        let sums = [try n + $0.k, try n + 2, try 2 + n, try n - 2, try 2 - n]
        return sums + [try n * 3, try 3 * n, try n / 2, try n + 2.5]
    },
    one("negate") { try -$0.a },
    many("equal") { [try $0.n .== $0.k, try $0.n .== 2] },
    many("unequal") { [try $0.n .!= $0.k, try $0.n .!= 2] },
    many("less") { [try $0.n .< $0.k, try $0.n .< 2] },
    many("lessOrEqual") { [try $0.n .<= $0.k, try $0.n .<= 2] },
    many("greater") { [try $0.n .> $0.k, try $0.n .> 2] },
    many("greaterOrEqual") { [try $0.n .>= $0.k, try $0.n .>= 2] },
    many("logical") { [try $0.m .& $0.m2, try $0.m .| $0.m2, try .!$0.m] },
    one("abs") { try $0.a.abs() },
    one("exp") { try $0.a.exp() },
    one("log") { try $0.p.log() },
    one("log1p") { try $0.p.log1p() },
    one("sqrt") { try $0.p.sqrt() },
    one("rsqrt") { try $0.p.rsqrt() },
    one("sin") { try $0.a.sin() },
    one("cos") { try $0.a.cos() },
    one("tanh") { try $0.a.tanh() },
    one("erf") { try $0.a.erf() },
    one("floor") { try $0.a.floor() },
    one("ceil") { try $0.a.ceil() },
    one("rounded") { try $0.odd[1].rounded() },
    one("reciprocal") { try $0.p.reciprocal() },
    many("pow") { [try $0.p.pow(2.5), try $0.p.pow($0.a)] },
    many("clamped") {
        [try $0.a.clamped(min: -0.5, max: 0.5), try $0.a.clamped(min: 0), try $0.a.clamped(max: 0)]
    },
    many("floorDivided") { [try $0.n.floorDivided(by: 4), try $0.whole.floorDivided(by: 4)] },
    many("remainder") { [try $0.n.remainder(4), try $0.whole.remainder(4)] },
    one("isNaN") { try $0.odd.isNaN() },
    one("isFinite") { try $0.odd.isFinite() },
    one("sigmoid") { try $0.a.sigmoid() },
    one("logSigmoid") { try $0.a.logSigmoid() },
    one("relu") { try $0.a.relu() },
    many("gelu") { [try $0.a.gelu(), try $0.a.gelu(approximate: true)] },
    one("silu") { try $0.a.silu() },
    one("softplus") { try ($0.a * 30).softplus() },
    one("leakyRelu") { try $0.a.leakyRelu(0.2) },
    one("inPlace") { fixture in
        try changed(fixture.a) {
            try $0.add_(fixture.row)
            try $0.multiply_(3)
        }
    },
    one("zeroInPlace") { try changed($0.a) { try $0.zero_() } },
    one("maximum") { try maximum($0.a, $0.b) },
    one("minimum") { try minimum($0.a, $0.b) },
]

private let reductionCases: [OperatorCase] = [
    many("sum") {
        [try $0.cube.sum(), try $0.cube.sum(0, 2), try $0.cube.sum(-1, keepDims: true), try $0.m.sum()]
    },
    many("mean") { [try $0.cube.mean(), try $0.cube.mean(0, 2), try $0.cube.mean(1, keepDims: true)] },
    many("variance") {
        let cube = try $0.cube
        return [
            try cube.variance(0, 1), try cube.variance(2, correction: 0, keepDims: true), try cube.variance(),
        ]
    },
    many("standardDeviation") {
        [
            try $0.cube.standardDeviation(0, 1),
            try $0.cube.standardDeviation(2, correction: 0, keepDims: true),
        ]
    },
    many("product") { [try $0.cube.product(1), try $0.cube.product(1, keepDims: true)] },
    many("extremes") { [try $0.cube.max(), try $0.cube.min()] },
    many("max") {
        let (rows, columns) = (try $0.a.max(1), try $0.a.max(0, keepDims: true))
        return [rows.values, rows.indices, columns.values, columns.indices]
    },
    many("min") {
        let (rows, columns) = (try $0.a.min(1), try $0.a.min(0, keepDims: true))
        return [rows.values, rows.indices, columns.values, columns.indices]
    },
    many("amax") { [try $0.cube.amax(0, 2), try $0.cube.amax(1, keepDims: true), try $0.cube.amax()] },
    many("amin") { [try $0.cube.amin(0, 2), try $0.cube.amin(1, keepDims: true)] },
    many("argmax") { [try $0.a.argmax(1), try $0.a.argmax(0, keepDims: true)] },
    many("argmin") { [try $0.a.argmin(1), try $0.a.argmin(0, keepDims: true)] },
    one("cumulativeSum") { try $0.a.cumulativeSum(1) },
    one("norm") { try $0.cube.norm() },
    one("softmax") { try $0.cube.softmax(1) },
    one("logSoftmax") { try $0.cube.logSoftmax(-1) },
    many("logSumExp") { [try $0.cube.logSumExp(1), try $0.cube.logSumExp(1, keepDims: true)] },
    many("sorted") {
        let (rows, columns) = (try $0.ties.sorted(1), try $0.ties.sorted(0, descending: true))
        return [rows.values, rows.indices, columns.values, columns.indices]
    },
    many("topK") {
        let (rows, columns) = (try $0.a.topK(2), try $0.a.topK(1, axis: 0, largest: false))
        return [rows.values, rows.indices, columns.values, columns.indices]
    },
    one("totalNorm") { try totalNorm([$0.a, $0.b]) },
    many("scale") {
        let tensors = [try $0.a, try $0.b]
        try scale(tensors, by: Tensor(Float(0.25)))
        return tensors
    },
]

private let networkCases: [OperatorCase] = [
    many("matmul") {
        [try matmul($0.a, $0.square), try matmul($0.cube, $0.square), try matmul($0.cube, $0.row)]
    },
    one("einsum") { try einsum("bij,kj->bik", $0.cube, $0.a) },
    many("linear") { [try linear($0.cube, $0.weight), try linear($0.cube, $0.weight, $0.bias5)] },
    one("conv1d") {
        try conv1d($0.sequence, $0.kernel1, $0.bias6, stride: 2, padding: 3, dilation: 2, groups: 2)
    },
    many("conv2d") {
        [
            try conv2d($0.image, $0.kernel2, $0.bias6, stride: 2, padding: 2, dilation: 2, groups: 2),
            try conv2d($0.image[.all, ..<2], $0.kernel2),
        ]
    },
    one("conv3d") {
        try conv3d(
            $0.volume, $0.kernel3, $0.bias3, stride: [1, 2, 1], padding: [0, 1, 2], dilation: [2, 1, 1])
    },
    many("convTransposed2d") {
        [
            try convTransposed2d($0.image, $0.kernelT, $0.bias3, stride: 2, padding: 1, outputPadding: 1),
            try convTransposed2d($0.image, $0.kernelT[.all, ..<2], stride: 2, groups: 2, dilation: 2),
        ]
    },
    many("layerNorm") {
        [
            try layerNorm($0.cube, [3, 4]),
            try layerNorm($0.cube, [4], weight: $0.gain, bias: $0.shift, epsilon: 1e-2),
        ]
    },
    many("groupNorm") {
        [
            try groupNorm($0.image, groups: 2),
            try groupNorm($0.image, groups: 4, weight: $0.gain, bias: $0.shift, epsilon: 1e-2),
        ]
    },
    one("rmsNorm") { try rmsNorm($0.cube, weight: $0.gain, epsilon: 1e-2) },
    one("embedding") { try embedding($0.a, $0.ids) },
    one("dropout") { _ in
        try manualSeed(3)
        return try dropout(Tensor.ones([64]), probability: 0.25)
    },
    many("attention") {
        let (q, k, v) = (try $0.self_query, try $0.self_key, try $0.self_value)
        let (query, key, value) = (try $0.query, try $0.key, try $0.value)
        return [
            try scaledDotProductAttention(q, k, v),
            try scaledDotProductAttention(q, k, v, causal: true, scale: 0.3),
            try scaledDotProductAttention(query, key, value, mask: $0.scores, groupedQuery: true),
            try scaledDotProductAttention(query, key, value, mask: $0.allowed, groupedQuery: true),
        ]
    },
    many("interpolate") {
        let image = try $0.image
        return [
            try interpolate(image, to: (9, 4), mode: .nearest),
            try interpolate(image, to: (9, 4), mode: .nearestExact),
            try interpolate(image, to: (9, 4), mode: .bilinear),
            try interpolate(image, to: (9, 4), mode: .bilinear, alignCorners: true),
            try interpolate(image, to: (9, 4), mode: .bilinear, antialias: true),
            try interpolate(image, to: (9, 4), mode: .bicubic),
            try interpolate(image, to: (9, 4), mode: .bicubic, antialias: true),
        ]
    },
    many("maxPool2d") {
        [try maxPool2d($0.image, kernel: 2), try maxPool2d($0.image, kernel: 3, stride: 1, padding: 1)]
    },
    many("averagePool2d") {
        [
            try averagePool2d($0.image, kernel: 2),
            try averagePool2d($0.image, kernel: 3, stride: 1, padding: 1),
        ]
    },
    one("adaptiveAveragePool2d") { try adaptiveAveragePool2d($0.image, to: (4, 1)) },
    one("pixelShuffle") { try pixelShuffle($0.image, 2) },
    one("pixelUnshuffle") { try pixelUnshuffle($0.image, 3) },
    one("gridSample") { try gridSample($0.image, $0.grid) },
    many("pad") {
        [try pad($0.image, [1, 2, 0, 3], value: 0.5), try padReplicating($0.image, [1, 2, 0, 3])]
    },
    one("orthonormal") { try orthonormal($0.square) },
]

private let lossCases: [OperatorCase] = [
    many("crossEntropy") {
        [
            try crossEntropy($0.logits, $0.targets),
            try crossEntropy($0.logits, $0.targets, reduction: .none),
            try crossEntropy(
                $0.logits, $0.targets.clamped(min: 0), reduction: .sum, ignoring: 6, labelSmoothing: 0.1),
        ]
    },
    many("binaryCrossEntropy") {
        [
            try binaryCrossEntropy(logits: $0.a, $0.probabilities),
            try binaryCrossEntropy(logits: $0.a, $0.probabilities, reduction: .none),
        ]
    },
    many("meanSquaredError") {
        [try meanSquaredError($0.a, $0.b), try meanSquaredError($0.a, $0.b, reduction: .sum)]
    },
    many("l1Loss") { [try l1Loss($0.a, $0.b), try l1Loss($0.a, $0.b, reduction: .none)] },
    many("smoothL1Loss") {
        [try smoothL1Loss($0.a, $0.b), try smoothL1Loss($0.a, $0.b, reduction: .sum, beta: 0.25)]
    },
]
