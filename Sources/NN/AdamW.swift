public import Torch

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), in libtorch's fused form.
///
/// The numbers are those of `torch.optim.AdamW(fused=True)`.
public final class AdamW: Optimizer {
    /// Parameters that share a weight decay.
    public struct Group {
        public let names: [String]
        public let parameters: [Tensor]
        public let weightDecay: Double

        public init(_ parameters: [(name: String, tensor: Tensor)], weightDecay: Double) {
            names = parameters.map(\.name)
            self.parameters = parameters.map(\.tensor)
            self.weightDecay = weightDecay
        }
    }

    public let groups: [Group]
    public let betas: (Double, Double)
    public let epsilon: Double
    private let means: [[Tensor]]
    private let squares: [[Tensor]]
    private let steps: [[Tensor]]

    /// Marks every parameter as requiring a gradient.
    public init(_ groups: [Group], betas: (Double, Double) = (0.9, 0.999), epsilon: Double = 1e-8) throws {
        self.groups = groups
        self.betas = betas
        self.epsilon = epsilon
        for parameter in groups.flatMap(\.parameters) { try parameter.requireGrad() }
        means = try groups.map { try $0.parameters.map { try $0.detached().zerosLike() } }
        squares = try groups.map { try $0.parameters.map { try $0.detached().zerosLike() } }
        steps = try groups.map { try $0.parameters.map { try Tensor.zeros([], device: $0.device) } }
    }

    public var parameters: [Tensor] { groups.flatMap(\.parameters) }

    /// Moves every parameter that has a gradient.
    public func step(learningRate: Double) throws {
        try withoutGrad {
            for (g, group) in groups.enumerated() {
                let used = group.parameters.indices.filter { group.parameters[$0].grad != nil }
                guard !used.isEmpty else { continue }
                let counts = used.map { steps[g][$0] }
                try add(counts, 1)
                try fusedAdamW(
                    used.map { group.parameters[$0] }, gradients: used.map { group.parameters[$0].grad! },
                    means: used.map { means[g][$0] }, squares: used.map { squares[g][$0] }, steps: counts,
                    learningRate: learningRate, beta1: betas.0, beta2: betas.1,
                    weightDecay: group.weightDecay,
                    epsilon: epsilon)
            }
        }
    }

    /// `NAME.exp_avg`, `NAME.exp_avg_sq`, `NAME.step`.
    public var state: [(name: String, tensor: Tensor)] {
        groups.enumerated().flatMap { g, group in
            group.names.enumerated().flatMap { i, name in
                [
                    ("\(name).exp_avg", means[g][i]), ("\(name).exp_avg_sq", squares[g][i]),
                    ("\(name).step", steps[g][i]),
                ]
            }
        }
    }
}
