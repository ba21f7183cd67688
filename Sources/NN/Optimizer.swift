public import Torch

/// Moves parameters along their gradients.
public protocol Optimizer: AnyObject {
    var parameters: [Tensor] { get }
    /// The state from earlier steps, by name, to be saved with a checkpoint.
    var state: [(name: String, tensor: Tensor)] { get }
    /// Moves every parameter that has a gradient.
    func step(learningRate: Double) throws
}

extension Optimizer {
    public func zeroGrad() throws {
        for parameter in parameters { try parameter.setGrad(nil) }
    }

    /// Scales all gradients so that their norm together is at most `limit`. Returns the norm before.
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

    /// Resets the state: the next step is a first one.
    public func reset() throws {
        try withoutGrad { for (_, tensor) in state { try tensor.zero_() } }
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
