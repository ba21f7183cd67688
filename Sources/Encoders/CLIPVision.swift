// CLIP's vision transformer (Radford et al., 2021). Matches transformers 4.57, models/clip/modeling_clip.py,
// CLIPVisionModel; proven by EncodersTests/CLIPVisionTests.
public import NN
public import Torch

/// Softmax attention with four linear layers of their own.
package struct CLIPAttention: Layer {
    let q: Linear
    let k: Linear
    let v: Linear
    let out: Linear
    let heads: Int

    init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        k = try Linear(path["k_proj"], width, width)
        v = try Linear(path["v_proj"], width, width)
        q = try Linear(path["q_proj"], width, width)
        out = try Linear(path["out_proj"], width, width)
        self.heads = heads
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        let (b, n, width) = x.shape3
        func separate(_ y: Tensor) throws -> Tensor {
            try y.view([b, n, heads, width / heads]).transposed(1, 2)
        }
        let mixed = try scaledDotProductAttention(separate(q(x)), separate(k(x)), separate(v(x)))
        return try out(mixed.transposed(1, 2).reshaped(b, n, width))
    }
}

package struct CLIPMLP: Layer {
    let fc1: Linear
    let fc2: Linear
    let activation: Activation

    init(_ path: ParameterPath, _ width: Int, _ hidden: Int, _ activation: Activation) throws {
        fc1 = try Linear(path["fc1"], width, hidden)
        fc2 = try Linear(path["fc2"], hidden, width)
        self.activation = activation
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        try fc2(activation(fc1(x)))
    }
}

package struct CLIPBlock: Layer {
    package let attention: CLIPAttention
    package let norm1: LayerNorm
    package let mlp: CLIPMLP
    package let norm2: LayerNorm

    init(_ path: ParameterPath, _ configuration: CLIPVisionConfiguration) throws {
        let (width, epsilon) = (configuration.hiddenSize, configuration.layerNormEps)
        attention = try CLIPAttention(path["self_attn"], width, heads: configuration.numAttentionHeads)
        norm1 = try LayerNorm(path["layer_norm1"], width, epsilon: epsilon)
        mlp = try CLIPMLP(path["mlp"], width, configuration.intermediateSize, configuration.hiddenAct)
        norm2 = try LayerNorm(path["layer_norm2"], width, epsilon: epsilon)
    }

    package func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try x + attention(norm1(x))
        return try x + mlp(norm2(x))
    }
}

/// The image encoder of LLaVA and its descendants.
public final class CLIPVision: ImageEncoder {
    public let configuration: CLIPVisionConfiguration
    public let sizes: ClosedRange<Int>
    let classEmbedding: Tensor
    let patchEmbedding: Conv2d
    let positions: Tensor
    let preNorm: LayerNorm
    package let blocks: [CLIPBlock]
    let postNorm: LayerNorm

    /// - Parameters:
    ///   - path: where `vision_model` lies; the root of a CLIP checkpoint, `vision_tower` of a LLaVA one.
    ///   - configuration: the checkpoint's `config.json`.
    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: CLIPVisionConfiguration) throws {
        try configuration.check()
        let model = path["vision_model"]
        let (width, patch) = (configuration.hiddenSize, configuration.patchSize)
        let side = configuration.imageSize / patch
        classEmbedding = try model["embeddings"].parameter("class_embedding", [width], .normal(std: 0.02))
        patchEmbedding = try Conv2d(
            model["embeddings"]["patch_embedding"], 3, width, kernel: patch, stride: patch, bias: false,
            initializer: .normal(std: 0.02))
        positions = try Embedding(model["embeddings"]["position_embedding"], side * side + 1, width).weight
        // The misspelt name is the published one.
        preNorm = try LayerNorm(model["pre_layrnorm"], width, epsilon: configuration.layerNormEps)
        blocks = try (0..<configuration.numHiddenLayers).map {
            try CLIPBlock(model["encoder"]["layers"][$0], configuration)
        }
        postNorm = try LayerNorm(model["post_layernorm"], width, epsilon: configuration.layerNormEps)
        self.configuration = configuration
        sizes = configuration.imageSize...configuration.imageSize
    }

    /// The mean and deviation of CLIP's training images.
    public func normalized(_ pixels: Tensor) throws -> Tensor {
        let mean = try Tensor([0.48145466, 0.4578275, 0.40821073].map { Float($0 * 255) }, [1, 3, 1, 1])
        let deviation = try Tensor(
            [0.26862954, 0.26130258, 0.27577711].map { Float($0 * 255) }, [1, 3, 1, 1])
        return try (pixels - mean.to(pixels.device)) / deviation.to(pixels.device)
    }

    /// The class token and a token a patch, with their positions: [b, 1 + h * w, hidden].
    ///
    /// Positions are resized when the images are not of the size that the network was trained on.
    public func embed(_ images: Tensor) throws -> (tokens: Tensor, grid: (height: Int, width: Int)) {
        let map = try patchEmbedding(images)
        let (b, width, rows, columns) = map.shape4
        let grid = (height: rows, width: columns)
        let patches = try positions.narrowed(0, 1, positions.size(0) - 1).unsqueezed(0)
        let table = try Tensor.cat(
            [positions[..<1].unsqueezed(0), resizedPositions(patches, to: grid)], axis: 1)
        let tokens = try Tensor.cat([classEmbedding.expanded(b, 1, width), cellRows(map)], axis: 1)
        return (try tokens + table, grid)
    }

    /// Hidden states [b, 1 + h * w, hidden]: of the embeddings, then after every block up to `layers` of them.
    public func hiddenStates(_ images: Tensor, layers: Int? = nil) throws -> [Tensor] {
        var states = [try preNorm(embed(images).tokens)]
        for block in blocks.prefix(layers ?? blocks.count) { states.append(try block(states.last!)) }
        return states
    }

    /// The features that LLaVA takes: hidden states [b, tokens, layers * hidden] of some layers, side by side.
    ///
    /// - Parameters:
    ///   - images: [b, 3, h, w], normalized.
    ///   - layers: counted as in ``CLIPVisionConfiguration/featureLayer``.
    ///   - includesClassToken: whether the class token comes before the patches.
    public func features(_ images: Tensor, layers: [Int], includesClassToken: Bool) throws -> Tensor {
        let depths = layers.map(configuration.depth(of:))
        var kept: [Int: Tensor] = [:]
        var x = try preNorm(embed(images).tokens)
        for depth in 0...(depths.max() ?? 0) {
            if depth > 0 { x = try blocks[depth - 1](x) }
            if depths.contains(depth) { kept[depth] = x }
        }
        let joined = try layers.count == 1 ? x : .cat(depths.map { kept[$0]! }, axis: 2)
        return includesClassToken ? joined : try joined[.all, 1...]
    }

    /// The class token's last state, normalised: [b, hidden].
    public func pooled(_ images: Tensor) throws -> Tensor {
        try postNorm(hiddenStates(images).last![.all, 0])
    }

    /// The patches' hidden states after the layer that the configuration names.
    public func callAsFunction(_ images: Tensor) throws -> ImageFeatures {
        let (tokens, grid) = try embed(images)
        var x = try preNorm(tokens)
        for block in blocks.prefix(configuration.featureDepth) { x = try block(x) }
        return ImageFeatures(tokens: try x.narrowed(1, 1, x.size(1) - 1), grid: grid)
    }
}

/// Hugging Face's `config.json` of a CLIP vision model, and LLaVA's choice of a layer.
public struct CLIPVisionConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    public var hiddenSize: Int
    public var intermediateSize: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    public var imageSize: Int
    public var patchSize: Int
    public var hiddenAct: Activation
    public var layerNormEps: Double
    /// Whose hidden states are the features: counted from the embeddings, 0, or, when negative, from the last, -1.
    public var featureLayer: Int

    /// How many blocks are run for the features.
    var featureDepth: Int { depth(of: featureLayer) }

    /// How many blocks are run for the hidden states of a layer.
    func depth(of layer: Int) -> Int { layer < 0 ? numHiddenLayers + 1 + layer : layer }

    /// Whether the network has a layer of that number, counted as in ``featureLayer``.
    public func hasLayer(_ layer: Int) -> Bool {
        (-numHiddenLayers - 1...numHiddenLayers).contains(layer)
    }

    public init(
        hiddenSize: Int, intermediateSize: Int, numHiddenLayers: Int, numAttentionHeads: Int, imageSize: Int,
        patchSize: Int, hiddenAct: Activation = .quickGELU, layerNormEps: Double = 1e-5,
        featureLayer: Int = -2
    ) {
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.imageSize = imageSize
        self.patchSize = patchSize
        self.hiddenAct = hiddenAct
        self.layerNormEps = layerNormEps
        self.featureLayer = featureLayer
    }

    enum CodingKeys: String, CodingKey {
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case imageSize = "image_size"
        case patchSize = "patch_size"
        case hiddenAct = "hidden_act"
        case layerNormEps = "layer_norm_eps"
        case featureLayer = "vision_feature_layer"
    }

    /// Absent fields take the defaults of transformers' `CLIPVisionConfig`, and of LLaVA for the layer.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        hiddenSize = try values.decodeIfPresent(Int.self, forKey: .hiddenSize) ?? 768
        intermediateSize = try values.decodeIfPresent(Int.self, forKey: .intermediateSize) ?? 3072
        numHiddenLayers = try values.decodeIfPresent(Int.self, forKey: .numHiddenLayers) ?? 12
        numAttentionHeads = try values.decodeIfPresent(Int.self, forKey: .numAttentionHeads) ?? 12
        imageSize = try values.decodeIfPresent(Int.self, forKey: .imageSize) ?? 224
        patchSize = try values.decodeIfPresent(Int.self, forKey: .patchSize) ?? 32
        hiddenAct = try values.decodeIfPresent(Activation.self, forKey: .hiddenAct) ?? .quickGELU
        layerNormEps = try values.decodeIfPresent(Double.self, forKey: .layerNormEps) ?? 1e-5
        featureLayer = try values.decodeIfPresent(Int.self, forKey: .featureLayer) ?? -2
    }

    public func check() throws {
        let check = ConfigurationCheck("the vision tower")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.positive(["hidden_size": hiddenSize, "intermediate_size": intermediateSize])
        try check.heads(numAttentionHeads, width: hiddenSize)
        try check.within(ConfigurationCheck.sides, ["image_size": imageSize, "patch_size": patchSize])
        try check.within(0...1, ["layer_norm_eps": layerNormEps])
        try check.that(imageSize >= patchSize, "image_size is \(imageSize), below patch_size \(patchSize)")
        try check.that(
            hasLayer(featureLayer),
            "vision_feature_layer \(featureLayer) is outside the \(numHiddenLayers) layers")
    }
}
