public import Torch

/// Momentum that is made orthogonal, matrix by matrix, before it moves the parameters (Jordan et al., 2024, "Muon: An
/// optimizer for hidden layers in neural networks"). It is scaled so that learning rates of AdamW also suit it (Liu et
/// al., 2025, arXiv 2502.16982, section 2.2).
///
/// The numbers are those of `torch.optim.Muon(momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")`; a
/// convolution counts as the matrix [output channels, the rest].
public final class Muon: Optimizer {
    public let parameters: [Tensor]
    public let weightDecay: Double
    public let momentum: Double
    private let names: [String]
    private let means: [Tensor]
    /// Parameters that are moved together. On a device, where many small operators are slow, these are all of one
    /// shape.
    private let groups: [[Int]]
    private let concurrently: Concurrently

    /// Runs `body` for 0..<count, in any order, on all threads.
    public typealias Concurrently = (_ count: Int, _ body: @escaping (Int) throws -> Void) throws -> Void

    /// Marks every parameter as requiring a gradient.
    ///
    /// - Parameters:
    ///   - parameters: of two or more axes. ``AdamW`` is better for tables such as embeddings, and for the first and
    ///     the last layers of a network.
    ///   - weightDecay: decoupled.
    ///   - momentum: of the gradients' moving mean.
    ///   - concurrently: runs the steps of the parameters, which are independent; one by one when left out.
    public init(
        _ parameters: [(name: String, tensor: Tensor)], weightDecay: Double, momentum: Double = 0.95,
        concurrently: @escaping Concurrently = { count, body in for number in 0..<count { try body(number) } }
    ) throws {
        names = parameters.map(\.name)
        self.parameters = parameters.map(\.tensor)
        self.weightDecay = weightDecay
        self.momentum = momentum
        self.concurrently = concurrently
        for parameter in self.parameters { try parameter.requireGrad() }
        means = try self.parameters.map { try $0.detached().zerosLike() }
        let all = self.parameters
        groups = Dictionary(grouping: all.indices) { number in
            all[number].device == .cpu ? [number] : [-1, all[number].size(0), all[number].count]
        }.values.sorted { $0[0] < $1[0] }
    }

    /// `NAME.momentum_buffer`.
    public var state: [(name: String, tensor: Tensor)] {
        zip(names, means).map { ("\($0).momentum_buffer", $1) }
    }

    public func step(learningRate: Double) throws {
        let used = groups.map { $0.filter { parameters[$0].grad != nil } }.filter { !$0.isEmpty }
        try concurrently(used.count) { [self] in try move(used[$0], learningRate) }
    }

    private func move(_ numbers: [Int], _ learningRate: Double) throws {
        try withoutGrad {
            // One matrix [m, n] for each number.
            func matrices(_ tensors: [Tensor]) throws -> Tensor {
                let rows = tensors[0].size(0)
                return try tensors.count == 1
                    ? tensors[0].reshaped(1, rows, -1)
                    : Tensor.stack(tensors.map { try $0.reshaped(rows, -1) })
            }
            let gradients = try matrices(numbers.map { parameters[$0].grad! }) * (1 - momentum)
            for (row, number) in numbers.enumerated() {
                try means[number].multiply_(momentum)
                try means[number].add_(gradients[row].reshaped(means[number].shape))
            }
            let momenta = try matrices(numbers.map { means[$0] })
            let directions = try orthogonalised(gradients + momenta * momentum)
            let scale = 0.2 * Double(max(directions.size(1), directions.size(2))).squareRoot()
            let shifts = try directions.to(momenta.dtype) * (-learningRate * scale)
            for (row, number) in numbers.enumerated() {
                try parameters[number].multiply_(1 - learningRate * weightDecay)
                try parameters[number].add_(shifts[row].reshaped(parameters[number].shape))
            }
        }
    }
}

/// The nearest matrices with singular values near 1, by five steps of a Newton-Schulz iteration; [count, m, n]. The
/// iteration is in bfloat16, as in the reference, if the processor multiplies bfloat16, else in float32.
private func orthogonalised(_ matrices: Tensor) throws -> Tensor {
    let isLow = matrices.device != .cpu || Processor.multipliesBFloat16
    var x = isLow ? try matrices.to(.bfloat16) : matrices
    let areTall = x.size(1) > x.size(2)
    if areTall { x = try x.transposed(1, 2) }
    x = try (x / x.flattened(1).norm(1).clamped(min: 1e-7).view([-1, 1, 1])).contiguous()
    for _ in 0..<5 {
        let gram = try matmul(x, x.transposed(1, 2))
        let polynomial = try gram * -4.7750 + matmul(gram, gram) * 2.0315
        x = try x * 3.4445 + matmul(polynomial, x)
    }
    return areTall ? try x.transposed(1, 2) : x
}

/// ``Muon`` for some parameters and ``AdamW`` for the others.
public final class MuonWithAdamW: Optimizer {
    public let muon: Muon
    public let adamW: AdamW

    public init(_ muon: Muon, _ adamW: AdamW) {
        self.muon = muon
        self.adamW = adamW
    }

    public var parameters: [Tensor] { muon.parameters + adamW.parameters }
    public var state: [(name: String, tensor: Tensor)] { muon.state + adamW.state }

    public func step(learningRate: Double) throws {
        try muon.step(learningRate: learningRate)
        try adamW.step(learningRate: learningRate)
    }
}
