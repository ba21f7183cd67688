// LLaVA (Liu et al., arXiv 2304.08485 and 2310.03744): CLIP's vision tower, a projector and a Llama. Matches
// transformers 4.57, models/llava/modeling_llava.py; proven by VitrailTests/LLaVATests.
public import Encoders
public import Language
public import NN
public import Torch

/// The networks of a LLaVA. ``LLaVAEngine`` answers questions.
public final class LLaVA {
    public let configuration: LLaVAConfiguration
    public let store: ParameterStore
    public let vision: CLIPVision
    public let projector: MultiModalProjector
    public let language: Llama

    /// - Parameters:
    ///   - configuration: of the networks.
    ///   - store: whose parameters have the names of `llava-hf/llava-1.5-7b-hf`.
    public init(_ configuration: LLaVAConfiguration, _ store: ParameterStore) throws {
        let root = store.root
        vision = try CLIPVision(root["vision_tower"], configuration.vision)
        projector = try MultiModalProjector(
            root["multi_modal_projector"],
            configuration.vision.hiddenSize * configuration.featureLayers.count,
            configuration.language.hiddenSize, depth: configuration.projectorDepth,
            activation: configuration.projectorActivation, bias: configuration.projectorBias)
        language = try Llama(root["language_model"], configuration.language)
        self.configuration = configuration
        self.store = store
    }

    /// Input embeddings [b, tokens, hidden] of images.
    ///
    /// - Parameter images: [b, 3, h, w], as ``CLIPImageProcessor`` gives them, in any floating-point dtype.
    public func imageEmbeddings(_ images: Tensor) throws -> Tensor {
        let weight = language.embeddingWeight
        let images = try images.to(device: weight.device, dtype: weight.dtype)
        return try projector(
            vision.features(
                images, layers: configuration.featureLayers,
                includesClassToken: configuration.includesClassToken))
    }

    /// Input embeddings [1, n, hidden] of a prompt.
    ///
    /// - Parameters:
    ///   - prompt: its ids, nil for a token of the image.
    ///   - image: the image's embeddings [1, tokens, hidden] for these places, in order.
    public func embeddings(of prompt: some Collection<Int?>, _ image: Tensor?) throws -> Tensor {
        var parts: [Tensor] = []
        var taken = 0
        var rest = prompt[...]
        while let first = rest.first {
            let run = rest.prefix { ($0 == nil) == (first == nil) }
            rest = rest.dropFirst(run.count)
            if first != nil {
                parts.append(try language.wordEmbeddings(run.map { $0! }).unsqueezed(0))
            } else {
                guard let image, taken + run.count <= image.size(1) else {
                    throw ModelError.badRequest("the prompt has a place for more of an image than there is")
                }
                parts.append(try image[.all, taken..<(taken + run.count)])
                taken += run.count
            }
        }
        return try parts.count == 1 ? parts[0] : .cat(parts, axis: 1)
    }
}
