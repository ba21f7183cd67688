// The operators of networks, named and shaped as in `torch.nn.functional`.

/// A product of matrices, batched over the leading axes.
public func matmul(_ a: Tensor, _ b: Tensor) throws -> Tensor { try Aten.matmul(a, b) }

/// Einstein's summation, such as `einsum("bqd,bnd->bqn", q, k)`.
public func einsum(_ equation: String, _ operands: Tensor...) throws -> Tensor {
    try Aten.einsum(equation, operands)
}

/// What the outputs of a linear layer go through.
public enum LinearActivation: String, Sendable {
    case none, gelu, silu
}

/// `plus + times * activation(x @ weight^T + bias)`; `weight` is [out, in].
///
/// - Parameters:
///   - x: [..., in].
///   - weight: [out, in].
///   - bias: [out]; nil for none.
///   - packed: what ``packed(_:)`` made of `weight`, which saves doing so again. The results have the same bits without.
///   - activation: what the sums go through.
///   - times: a factor of the outputs' shape; nil for none.
///   - plus: a summand of the outputs' shape; nil for none.
public func linear(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil, packed: Tensor? = nil,
    activation: LinearActivation = .none, times: Tensor? = nil, plus: Tensor? = nil
) throws -> Tensor {
    try Aten.linear(x, weight, bias, packed, activation.rawValue, times, plus)
}

/// A linear layer's weights [out, in] in the order in which this machine multiplies them, as one axis; `weight` itself where it has none
/// of its own. It is a copy: later changes of `weight` are not in it.
public func packed(_ weight: Tensor) throws -> Tensor { try Aten.pack(weight) }

/// `x` is [n, in, width], `weight` is [out, in / groups, kernel].
public func conv1d(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil, stride: Int = 1, padding: Int = 0,
    dilation: Int = 1,
    groups: Int = 1
) throws -> Tensor {
    try Aten.conv1d(x, weight, bias, [stride], [padding], [dilation], groups)
}

/// `x` is [n, in, height, width], `weight` is [out, in / groups, kernel, kernel]; `packed` is what
/// ``packedKernel(_:stride:padding:)`` made of `weight`. `plus`, of the outputs' shape, is added, and ReLU comes last,
/// where they are asked for.
public func conv2d(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil, packed: Tensor? = nil, stride: Int = 1,
    padding: Int = 0, dilation: Int = 1, groups: Int = 1, plus: Tensor? = nil, relu: Bool = false
) throws -> Tensor {
    try Aten.conv2d(
        x, weight, bias, [stride, stride], [padding, padding], [dilation, dilation], groups, packed, plus,
        relu)
}

/// As ``packed(_:)``, for a convolution.
public func packedKernel(_ weight: Tensor, stride: Int, padding: Int) throws -> Tensor {
    try Aten.packKernel(weight, stride, padding)
}

/// `x` is [n, in, depth, height, width]; strides and paddings are for depth, height and width.
public func conv3d(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil, stride: [Int] = [1, 1, 1],
    padding: [Int] = [0, 0, 0],
    dilation: [Int] = [1, 1, 1], groups: Int = 1
) throws -> Tensor {
    try Aten.conv3d(x, weight, bias, stride, padding, dilation, groups)
}

/// The transpose of ``conv2d(_:_:_:packed:stride:padding:dilation:groups:plus:relu:)``; `weight` is [in, out / groups, kernel, kernel].
public func convTransposed2d(
    _ x: Tensor, _ weight: Tensor, _ bias: Tensor? = nil, stride: Int = 1, padding: Int = 0,
    outputPadding: Int = 0,
    groups: Int = 1, dilation: Int = 1
) throws -> Tensor {
    try Aten.convTranspose2d(
        x, weight, bias, [stride, stride], [padding, padding], [outputPadding, outputPadding], groups,
        [dilation, dilation])
}

/// Over the last axes, whose lengths are `shape`.
public func layerNorm(
    _ x: Tensor, _ shape: [Int], weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5
) throws -> Tensor {
    try Aten.layerNorm(x, shape, weight, bias, epsilon)
}

/// The norm of groups of channels, and then `plus`, of `x`'s shape, and ReLU, where they are asked for.
public func groupNorm(
    _ x: Tensor, groups: Int, weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double = 1e-5,
    plus: Tensor? = nil, relu: Bool = false
) throws -> Tensor {
    try Aten.groupNorm(x, groups, weight, bias, epsilon, plus, relu)
}

/// Turns the first `heads` heads of `x` [n, heads, length, width] by the rotary embedding's cosines and sines [length, width], whose
/// halves are equal; the other heads stay as they are.
public func rotated(_ x: Tensor, cosines: Tensor, sines: Tensor, heads: Int) throws -> Tensor {
    try Aten.rotate(x, cosines, sines, heads)
}

public func rmsNorm(_ x: Tensor, weight: Tensor, epsilon: Double) throws -> Tensor {
    try Aten.rmsNorm(x, weight.shape, weight, epsilon)
}

/// Rows of `weight` ([vocabulary, width]) by their numbers.
public func embedding(_ weight: Tensor, _ ids: Tensor) throws -> Tensor { try Aten.embedding(weight, ids) }

/// Zeroes elements with the probability given, and scales up the others. Draws from the default generator.
public func dropout(_ x: Tensor, probability: Double) throws -> Tensor {
    try Aten.dropout(x, probability, true)
}

/// Softmax attention: `query` [b, heads, n, e], `key` and `value` [b, heads or fewer, m, e]; `mask` is added to the
/// scores, or, of booleans, says what may be seen. `scale` is 1 / sqrt(e) when nil.
public func scaledDotProductAttention(
    _ query: Tensor, _ key: Tensor, _ value: Tensor, mask: Tensor? = nil, causal: Bool = false,
    scale: Double? = nil, groupedQuery: Bool = false
) throws -> Tensor {
    try Aten.attention(query, key, value, mask, 0.0, causal, scale, groupedQuery)
}

public enum Interpolation: Sendable { case nearest, nearestExact, bilinear, bicubic }

/// Resizes [n, c, h, w]. With `antialias` (bilinear and bicubic only) it filters as Pillow does when it shrinks.
public func interpolate(
    _ x: Tensor, to size: (height: Int, width: Int), mode: Interpolation, alignCorners: Bool = false,
    antialias: Bool = false
) throws -> Tensor {
    let none: [Double]? = nil
    let shape = [size.height, size.width]
    switch mode {
    case .nearest: return try Aten.nearest2d(x, shape, none)
    case .nearestExact: return try Aten.nearestExact2d(x, shape, none)
    case .bilinear: return try (antialias ? Aten.bilinear2dAA : Aten.bilinear2d)(x, shape, alignCorners, none)
    case .bicubic: return try (antialias ? Aten.bicubic2dAA : Aten.bicubic2d)(x, shape, alignCorners, none)
    }
}

public func maxPool2d(_ x: Tensor, kernel: Int, stride: Int? = nil, padding: Int = 0) throws -> Tensor {
    try Aten.maxPool2d(x, [kernel, kernel], [stride ?? kernel, stride ?? kernel], [padding, padding])
}

public func averagePool2d(_ x: Tensor, kernel: Int, stride: Int? = nil, padding: Int = 0) throws -> Tensor {
    try Aten.avgPool2d(x, [kernel, kernel], [stride ?? kernel, stride ?? kernel], [padding, padding])
}

public func adaptiveAveragePool2d(_ x: Tensor, to size: (height: Int, width: Int)) throws -> Tensor {
    try Aten.adaptiveAvgPool2d(x, [size.height, size.width])
}

/// [n, c r r, h, w] to [n, c, h r, w r].
public func pixelShuffle(_ x: Tensor, _ factor: Int) throws -> Tensor { try Aten.pixelShuffle(x, factor) }
/// [n, c, h r, w r] to [n, c r r, h, w].
public func pixelUnshuffle(_ x: Tensor, _ factor: Int) throws -> Tensor { try Aten.pixelUnshuffle(x, factor) }

/// Bilinear samples of [n, c, h, w] at `grid` [n, h', w', 2] in -1...1; outside, the border is repeated.
public func gridSample(_ x: Tensor, _ grid: Tensor) throws -> Tensor {
    try Aten.gridSample(x, grid, 0, 1, false)
}

/// Pads the last axes: `[left, right, top, bottom, …]`.
public func pad(_ x: Tensor, _ widths: [Int], value: Double = 0) throws -> Tensor {
    try Aten.pad(x, widths, "constant", value)
}
/// Pads the last axes by repeating the border.
public func padReplicating(_ x: Tensor, _ widths: [Int]) throws -> Tensor {
    try Aten.pad(x, widths, "replicate")
}

/// The orthonormal factor of a matrix.
public func orthonormal(_ x: Tensor) throws -> Tensor { try Aten.qr(x) }

// MARK: Losses

public enum Reduction: Int, Sendable, OperatorArgument {
    case none = 0
    case mean = 1
    case sum = 2
    public func push() { rawValue.push() }
}

/// `logits` [n, classes, …], `targets` of class numbers [n, …]; targets equal to `ignoring` do not count.
public func crossEntropy(
    _ logits: Tensor, _ targets: Tensor, reduction: Reduction = .mean, ignoring: Int = -100,
    labelSmoothing: Double = 0
) throws -> Tensor {
    try Aten.crossEntropy(logits, targets, nil as Tensor?, reduction, ignoring, labelSmoothing)
}

public func binaryCrossEntropy(
    logits: Tensor, _ targets: Tensor, reduction: Reduction = .mean
) throws -> Tensor {
    try Aten.bceLogits(logits, targets, nil as Tensor?, nil as Tensor?, reduction)
}

public func meanSquaredError(_ a: Tensor, _ b: Tensor, reduction: Reduction = .mean) throws -> Tensor {
    try Aten.mse(a, b, reduction)
}
public func l1Loss(_ a: Tensor, _ b: Tensor, reduction: Reduction = .mean) throws -> Tensor {
    try Aten.l1(a, b, reduction)
}
public func smoothL1Loss(_ a: Tensor, _ b: Tensor, reduction: Reduction = .mean, beta: Double = 1) throws
    -> Tensor
{
    try Aten.smoothL1(a, b, reduction, beta)
}

// MARK: Steps of optimisers

/// One step of AdamW on many parameters at once, in place (`torch.optim.AdamW(fused=True)`).
///
/// `steps` are float32 scalars, already counted up for this step.
public func fusedAdamW(
    _ parameters: [Tensor], gradients: [Tensor], means: [Tensor], squares: [Tensor], steps: [Tensor],
    learningRate: Double, beta1: Double, beta2: Double, weightDecay: Double, epsilon: Double
) throws {
    try Aten.fusedAdamW_.perform(
        parameters, gradients, means, squares, [Tensor](), steps, learningRate, beta1, beta2, weightDecay,
        epsilon,
        false, false)
}

/// The Euclidean length of all the tensors together.
public func totalNorm(_ tensors: [Tensor]) throws -> Tensor {
    try Tensor.stack(try Aten.foreachNorm.all(tensors, 2)).norm()
}

/// Adds a number to every tensor in place.
public func add(_ tensors: [Tensor], _ number: Double) throws {
    try Aten.foreachAdd_.perform(tensors, number)
}

/// Multiplies every tensor in place by the same scalar tensor.
public func scale(_ tensors: [Tensor], by factor: Tensor) throws {
    try Aten.foreachMul_.perform(tensors, factor)
}
