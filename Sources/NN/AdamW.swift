public import Torch

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), in libtorch's fused form.
///
/// The numbers are those of `torch.optim.AdamW(fused=True)`.
public final class AdamW {
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

    /// Marks every parameter as wanting a gradient.
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

    public func zeroGrad() throws {
        for parameter in parameters { try parameter.setGrad(nil) }
    }

    /// Scales all gradients so that their length together is at most `limit`, and returns what it was.
    @discardableResult
    public func clipGradients(to limit: Double) throws -> Double {
        let gradients = parameters.compactMap(\.grad)
        guard !gradients.isEmpty else { return 0 }
        return try withoutGrad {
            let norm = try totalNorm(gradients)
            try scale(gradients, by: (limit / (norm + 1e-6)).clamped(max: 1))
            return try norm.item()
        }
    }

    /// Moves every parameter that has a gradient.
    public func step(learningRate: Double) throws {
        try withoutGrad {
            for (g, group) in groups.enumerated() {
                let used = group.parameters.indices.filter { group.parameters[$0].grad != nil }
                guard !used.isEmpty else { continue }
                let counts = used.map { steps[g][$0] }
                for count in counts { try count.add_(Tensor(Float(1)).to(device: count.device)) }
                try fusedAdamW(
                    used.map { group.parameters[$0] }, gradients: used.map { group.parameters[$0].grad! },
                    means: used.map { means[g][$0] }, squares: used.map { squares[g][$0] }, steps: counts,
                    learningRate: learningRate, beta1: betas.0, beta2: betas.1,
                    weightDecay: group.weightDecay,
                    epsilon: epsilon)
            }
        }
    }

    /// Forgets everything: the next step is a first one.
    public func reset() throws {
        try withoutGrad { for (_, tensor) in state { try tensor.zero_() } }
    }

    // MARK: State

    /// The state by name, to be saved with a checkpoint: `NAME.exp_avg`, `NAME.exp_avg_sq`, `NAME.step`.
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

    /// - Throws: ``ParameterError`` when a state is missing or of another shape.
    public func load(_ source: some TensorSource) throws {
        for (name, tensor) in state {
            guard let saved = try source.tensor(named: name), saved.shape == tensor.shape else {
                throw ParameterError(label: source.label, missing: [name], misshaped: [], unexpected: [])
            }
            try tensor.copy(from: saved)
        }
    }
}
