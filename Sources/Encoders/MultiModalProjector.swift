// LLaVA's `multi_modal_projector`. Matches transformers 4.57, models/llava/modeling_llava.py,
// LlavaMultiModalProjector, and the projectors of LLaVA's own code (llava/model/multimodal_projector/builder.py, v1.2);
// proven by EncodersTests and VitrailTests/LLaVATests.
public import NN
public import Torch

/// Brings image features to the width of the language model: linear layers with an activation between them.
public struct MultiModalProjector: Layer {
    public let layers: [Linear]
    public let activation: Activation

    /// - Parameters:
    ///   - path: under which the layers are `linear_1`, `linear_2` and so on.
    ///   - input: the width of the features.
    ///   - output: the width of the language model.
    ///   - depth: how many layers; 0 passes the features on as they are.
    ///   - activation: between layers.
    ///   - bias: whether the layers have one.
    public init(
        _ path: ParameterPath, _ input: Int, _ output: Int, depth: Int = 2, activation: Activation = .gelu,
        bias: Bool = true
    ) throws {
        layers = try (0..<depth).map {
            try Linear(path["linear_\($0 + 1)"], $0 == 0 ? input : output, output, bias: bias)
        }
        self.activation = activation
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        guard let first = layers.first else { return x }
        return try layers.dropFirst().reduce(first(x)) { try $1(activation($0)) }
    }
}
