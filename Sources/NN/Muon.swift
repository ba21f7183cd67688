public import Torch

/// Momentum whose matrices are made orthogonal before they move the parameters (Jordan et al., 2024, "Muon: An optimizer
/// for hidden layers in neural networks"), at the scale at which AdamW's rates hold (Liu et al., 2025, arXiv 2502.16982,
/// section 2.2).
///
/// The numbers are those of `torch.optim.Muon(momentum=0.95, nesterov=True, adjust_lr_fn="match_rms_adamw")`; a
/// convolution counts as the matrix [output channels, the rest].
public final class Muon: Optimizer {
    public let parameters: [Tensor]
    public let weightDecay: Double
    public let momentum: Double
    private let names: [String]
    private let means: [Tensor]
    private let concurrently: Concurrently

    /// Runs `body` for 0..<count, in any order, on as many threads as there are.
    public typealias Concurrently = (_ count: Int, _ body: @escaping (Int) throws -> Void) throws -> Void

    /// Marks every parameter as wanting a gradient.
    ///
    /// - Parameters:
    ///   - parameters: of two axes and more. Tables such as embeddings, and a network's first and last layers, are learnt
    ///     better by ``AdamW``.
    ///   - weightDecay: decoupled.
    ///   - momentum: of the gradients' moving mean.
    ///   - concurrently: runs the parameters' steps, each of which depends on its own alone; one by one when left out.
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
    }

    /// `NAME.momentum_buffer`.
    public var state: [(name: String, tensor: Tensor)] {
        zip(names, means).map { ("\($0).momentum_buffer", $1) }
    }

    public func step(learningRate: Double) throws {
        let used = parameters.indices.filter { parameters[$0].grad != nil }
        try concurrently(used.count) { [self] in try move(used[$0], learningRate) }
    }

    private func move(_ number: Int, _ learningRate: Double) throws {
        let (parameter, mean) = (parameters[number], means[number])
        try withoutGrad {
            let gradient = try parameter.grad! * (1 - momentum)
            try mean.multiply_(momentum)
            try mean.add_(gradient)
            let rows = parameter.size(0)
            let direction = try orthogonalised((gradient + mean * momentum).reshaped(rows, -1))
            let scale = 0.2 * Double(max(rows, direction.size(1))).squareRoot()
            try parameter.multiply_(1 - learningRate * weightDecay)
            try parameter.add_(
                direction.to(parameter.dtype).reshaped(parameter.shape) * (-learningRate * scale))
        }
    }
}

/// The nearest matrix with singular values near 1, by five steps of a Newton-Schulz iteration in bfloat16; [m, n].
private func orthogonalised(_ matrix: Tensor) throws -> Tensor {
    var x = try matrix.to(.bfloat16)
    let isTall = x.size(0) > x.size(1)
    if isTall { x = try x.transposed(0, 1) }
    x = try (x / x.norm().clamped(min: 1e-7)).contiguous()
    for _ in 0..<5 {
        let gram = try matmul(x, x.transposed(0, 1))
        let polynomial = try gram * -4.7750 + matmul(gram, gram) * 2.0315
        x = try x * 3.4445 + matmul(polynomial, x)
    }
    return isTall ? try x.transposed(0, 1) : x
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
