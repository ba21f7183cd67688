// The Llama architecture. Matches transformers 4.57, models/llama/modeling_llama.py, for `image_heads` 0 and causal
// prefixes, and Tools/reference/lumen.py, LanguageModel, with them; proven by LanguageTests.
public import NN
public import Torch

/// Cosines and sines of the rotary embedding (Su et al., 2021), in Hugging Face's layout of two equal halves.
struct RotaryTable {
    let cosines: Tensor
    let sines: Tensor

    init(width: Int, length: Int, theta: Double, device: Device) throws {
        let powers = try Tensor.arange(0, Double(width), step: 2) * (-1 / Double(width))
        let inverse = try Tensor.full([1], theta).pow(powers)
        let positions = try Tensor.arange(0, Double(length)).unsqueezed(1)
        let angles = try positions * inverse
        let both = try Tensor.cat([angles, angles], axis: 1)
        cosines = try both.cos().to(device)
        sines = try both.sin().to(device)
    }

    /// - Parameter x: [n, heads, length, width], whose first position has the number `start`.
    func rotate(_ x: Tensor, from start: Int) throws -> Tensor {
        let (length, half) = (x.size(2), x.size(3) / 2)
        let cos = try cosines.narrowed(0, start, length).to(x.dtype)
        let sin = try sines.narrowed(0, start, length).to(x.dtype)
        let turned = try Tensor.cat([-x.narrowed(3, half, half), x.narrowed(3, 0, half)], axis: 3)
        return try x * cos + turned * sin
    }
}

struct LlamaAttention {
    let q: Linear
    let k: Linear
    let v: Linear
    let o: Linear
    let heads: Int
    let keyValueHeads: Int
    let headWidth: Int
    /// Heads, the last ones, in which text sees the image alone and nothing is rotated.
    let imageHeads: Int
    let causalPrefix: Bool

    init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        let width = configuration.hiddenSize
        heads = configuration.numAttentionHeads
        keyValueHeads = configuration.numKeyValueHeads
        headWidth = configuration.headWidth
        imageHeads = configuration.imageHeads
        causalPrefix = configuration.prefixAttention == .causal
        q = try Linear(path["q_proj"], width, heads * headWidth, bias: false)
        k = try Linear(path["k_proj"], width, keyValueHeads * headWidth, bias: false)
        v = try Linear(path["v_proj"], width, keyValueHeads * headWidth, bias: false)
        o = try Linear(path["o_proj"], heads * headWidth, width, bias: false)
    }

    /// Queries, keys and values [n, heads, length, e] of `x` [n, length, width], rotated but for the image heads.
    private func split(_ x: Tensor, _ rotary: RotaryTable, from start: Int) throws -> (Tensor, Tensor, Tensor)
    {
        let (n, length, _) = x.shape3
        func separate(_ y: Tensor, _ heads: Int) throws -> Tensor {
            try y.view([n, length, heads, headWidth]).transposed(1, 2)
        }
        func rotate(_ y: Tensor) throws -> Tensor {
            guard imageHeads > 0 else { return try rotary.rotate(y, from: start) }
            let text = heads - imageHeads
            return try .cat(
                [rotary.rotate(y.narrowed(1, 0, text), from: start), y.narrowed(1, text, imageHeads)], axis: 1
            )
        }
        return (
            try rotate(separate(q(x), heads)), try rotate(separate(k(x), keyValueHeads)),
            try separate(v(x), keyValueHeads)
        )
    }

    private func joined(_ out: Tensor) throws -> Tensor { try o(out.transposed(1, 2).flattened(2)) }

    func prefix(_ x: Tensor, _ rotary: RotaryTable) throws -> (out: Tensor, keys: Tensor, values: Tensor) {
        let (queries, keys, values) = try split(x, rotary, from: 0)
        let out = try scaledDotProductAttention(
            queries, keys, values, causal: causalPrefix, groupedQuery: keyValueHeads < heads)
        return (try joined(out), keys, values)
    }

    /// - Parameters:
    ///   - x: [b * texts, length, width]; the texts of an image lie together.
    ///   - prefix: the image's keys and values [b, heads, p, e], shared by its texts and never copied for each.
    func text(
        _ x: Tensor, _ rotary: RotaryTable, prefix: (keys: Tensor, values: Tensor), past: TextCache?,
        layer: Int,
        mask: Tensor?
    ) throws -> Tensor {
        let (n, length, _) = x.shape3
        let (b, p) = (prefix.keys.size(0), prefix.keys.size(2))
        let texts = n / b
        var (queries, keys, values) = try split(x, rotary, from: p + (past?.length(of: layer) ?? 0))
        if let past { (keys, values) = try past.extend(layer, keys, values) }

        // All texts of an image, and all query heads of a key head, are rows of one matrix:
        // [b * texts, heads, length, c] to [b, key heads, rows, c] and back.
        func folded(_ y: Tensor, _ keyHeads: Int) throws -> Tensor {
            let (_, h, l, c) = y.shape4
            return try y.reshaped(b, texts, keyHeads, h / keyHeads, l, c).permuted(0, 2, 1, 3, 4, 5)
                .reshaped(b, keyHeads, -1, c)
        }
        func unfolded(_ y: Tensor, _ h: Int) throws -> Tensor {
            let (_, keyHeads, _, c) = y.shape4
            return try y.reshaped(b, keyHeads, texts, h / keyHeads, length, c).permuted(0, 2, 1, 3, 4, 5)
                .reshaped(n, h, length, c)
        }

        let textHeads = heads - imageHeads
        let textKeyHeads = keyValueHeads - imageHeads
        let asked = try queries.narrowed(1, 0, textHeads) * (1 / Double(headWidth).squareRoot())
        let farKeys = try prefix.keys.narrowed(1, 0, textKeyHeads)
        let farValues = try prefix.values.narrowed(1, 0, textKeyHeads)
        let nearKeys = try keys.narrowed(1, 0, textKeyHeads).repeatedForGroups(textHeads / textKeyHeads)
        let nearValues = try values.narrowed(1, 0, textKeyHeads).repeatedForGroups(textHeads / textKeyHeads)
        let far = try unfolded(matmul(folded(asked, textKeyHeads), farKeys.transposed(2, 3)), textHeads)
        var near = try matmul(asked, nearKeys.transposed(2, 3))
        if let mask { near = try near + mask.to(near.dtype) }
        let weights = try Tensor.cat([far, near], axis: 3).softmax(-1).to(values.dtype)
        let fromImage = try unfolded(
            matmul(folded(weights.narrowed(3, 0, p), textKeyHeads), farValues), textHeads)
        var out = try fromImage + matmul(weights.narrowed(3, p, weights.size(3) - p), nearValues)
        if imageHeads > 0 {
            let seen = try scaledDotProductAttention(
                folded(queries.narrowed(1, textHeads, imageHeads), imageHeads),
                prefix.keys.narrowed(1, textKeyHeads, imageHeads),
                prefix.values.narrowed(1, textKeyHeads, imageHeads))
            out = try .cat([out, unfolded(seen, imageHeads)], axis: 1)
        }
        return try joined(out)
    }
}

extension Tensor {
    /// Each key head once for every query head of its group.
    fileprivate func repeatedForGroups(_ groups: Int) throws -> Tensor {
        groups == 1 ? self : try repeatedInterleaved(groups, axis: 1)
    }
}

struct LlamaMLP: Layer {
    let gate: Linear
    let up: Linear
    let down: Linear

    init(_ path: ParameterPath, _ width: Int, _ intermediate: Int) throws {
        gate = try Linear(path["gate_proj"], width, intermediate, bias: false)
        up = try Linear(path["up_proj"], width, intermediate, bias: false)
        down = try Linear(path["down_proj"], intermediate, width, bias: false)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try down(gate(x).silu() * up(x)) }
}

struct LlamaBlock {
    let attention: LlamaAttention
    let mlp: LlamaMLP
    let inputNorm: RMSNorm
    let postAttentionNorm: RMSNorm

    init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        let (width, epsilon) = (configuration.hiddenSize, configuration.rmsNormEps)
        attention = try LlamaAttention(path["self_attn"], configuration)
        mlp = try LlamaMLP(path["mlp"], width, configuration.intermediateSize)
        inputNorm = try RMSNorm(path["input_layernorm"], width, epsilon: epsilon)
        postAttentionNorm = try RMSNorm(path["post_attention_layernorm"], width, epsilon: epsilon)
    }
}

/// A decoder-only language model.
///
/// A prefix (an image, or an image with what stands before it) is computed once; any number of texts then continue
/// it, in parallel or token by token.
public final class Llama {
    public let configuration: LlamaConfiguration
    let embedTokens: Embedding
    let blocks: [LlamaBlock]
    let norm: RMSNorm
    let head: Linear?
    let rotary: RotaryTable

    public init(_ path: ParameterPath, _ configuration: LlamaConfiguration) throws {
        let model = path["model"]
        embedTokens = try Embedding(
            model["embed_tokens"], configuration.vocabSize, configuration.hiddenSize,
            std: configuration.initializerRange)
        blocks = try (0..<configuration.numHiddenLayers).map {
            try LlamaBlock(model["layers"][$0], configuration)
        }
        norm = try RMSNorm(model["norm"], configuration.hiddenSize, epsilon: configuration.rmsNormEps)
        head =
            configuration.tieWordEmbeddings
            ? nil
            : try Linear(path["lm_head"], configuration.hiddenSize, configuration.vocabSize, bias: false)
        rotary = try RotaryTable(
            width: configuration.headWidth, length: configuration.maxPositionEmbeddings,
            theta: configuration.ropeTheta, device: embedTokens.weight.device)
        self.configuration = configuration
    }

    /// Starts the image heads of all layers but the last as similarity maps: equal, orthonormal query and key rows.
    public func initialise(_ generator: Generator) throws {
        let (width, e) = (configuration.hiddenSize, configuration.headWidth)
        try withoutGrad {
            for block in blocks.dropLast() {
                for index
                    in (configuration.numAttentionHeads - configuration.imageHeads)..<configuration
                    .numAttentionHeads
                {
                    let random = try Tensor.randn([width, e], generator: generator)
                    let basis = try orthonormal(random).transposed(0, 1) * 1.4
                    try block.attention.q.weight.assign(basis, at: (index * e)..<((index + 1) * e))
                    try block.attention.k.weight.assign(basis, at: (index * e)..<((index + 1) * e))
                }
            }
        }
    }

    /// Input embeddings [..., hidden] of token ids.
    public func embed(_ ids: Tensor) throws -> Tensor { try embedTokens(ids) }

    /// Rows of the embedding table for the ids given.
    public func wordEmbeddings(_ ids: [Int]) throws -> Tensor {
        try embedTokens(Tensor(ids).to(embedTokens.weight.device))
    }

    /// Runs a prefix of input embeddings [b, p, hidden].
    ///
    /// - Returns: its keys and values, and its last hidden states [b, p, hidden].
    public func prefix(_ embeddings: Tensor) throws -> (cache: PrefixCache, hidden: Tensor) {
        try checkLength(embeddings.size(1))
        var x = embeddings
        var layers: [(keys: Tensor, values: Tensor)] = []
        for block in blocks {
            let (out, keys, values) = try block.attention.prefix(block.inputNorm(x), rotary)
            x = try x + out
            x = try x + block.mlp(block.postAttentionNorm(x))
            layers.append((keys, values))
        }
        return (PrefixCache(layers: layers), try norm(x))
    }

    /// Runs texts that continue a prefix.
    ///
    /// - Parameters:
    ///   - ids: [b, texts, length].
    ///   - prefix: of the b images.
    ///   - past: what came between the prefix and these tokens; it is extended by them.
    /// - Returns: last hidden states [b, texts, length, hidden].
    public func text(_ ids: Tensor, after prefix: PrefixCache, past: TextCache? = nil) throws -> Tensor {
        try text(ids, after: prefix, past: past, depths: [blocks.count])[0]
    }

    /// The same after fewer layers too: hidden states [b, texts, length, hidden], normalized as the last are, one for
    /// each of `depths`, which ascend.
    public func text(
        _ ids: Tensor, after prefix: PrefixCache, past: TextCache? = nil, depths: [Int]
    ) throws -> [Tensor] {
        let (b, texts, length) = ids.shape3
        var states: [Tensor] = []
        let before = past?.length ?? 0
        try checkLength(prefix.length + before + length)
        var x = try embedTokens(ids.flattened(0, 1))
        // One token sees everything before it; several see no token after themselves.
        let mask =
            length == 1
            ? nil : try Tensor.full([length, before + length], -1e4, device: ids.device).triu(before + 1)
        for (index, block) in blocks.enumerated() {
            x =
                try x
                + block.attention.text(
                    block.inputNorm(x), rotary, prefix: prefix.layers[index], past: past, layer: index,
                    mask: mask)
            x = try x + block.mlp(block.postAttentionNorm(x))
            if depths.contains(index + 1) {
                states.append(try norm(x).view([b, texts, length, configuration.hiddenSize]))
            }
        }
        return states
    }

    /// Scores [..., vocabulary] of the next token after hidden states.
    public func logits(_ hidden: Tensor) throws -> Tensor {
        try head.map { try $0(hidden) } ?? linear(hidden, embedTokens.weight)
    }

    private func checkLength(_ length: Int) throws {
        guard length <= configuration.maxPositionEmbeddings else {
            throw LanguageError.tooLong(tokens: length, limit: configuration.maxPositionEmbeddings)
        }
    }
}

public enum LanguageError: Error, CustomStringConvertible {
    case tooLong(tokens: Int, limit: Int)

    public var description: String {
        switch self {
        case .tooLong(let tokens, let limit):
            "text of \(tokens) tokens, image included, is over the model's limit of \(limit)"
        }
    }
}

/// Hugging Face's `config.json` of a Llama, and two fields that the small model adds.
public struct LlamaConfiguration: Codable, Sendable, Hashable {
    public enum PrefixAttention: String, Codable, Sendable { case causal, full }

    public var vocabSize: Int
    public var hiddenSize: Int
    public var intermediateSize: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    public var numKeyValueHeads: Int
    public var headDim: Int?
    public var maxPositionEmbeddings: Int
    public var rmsNormEps: Double
    public var ropeTheta: Double
    public var tieWordEmbeddings: Bool
    /// The deviation with which the embeddings of a training from nothing start.
    public var initializerRange: Double
    /// Heads in which text sees the image alone; 0 in a published Llama.
    public var imageHeads: Int
    /// Whether a prefix's positions see those after them.
    public var prefixAttention: PrefixAttention

    public var headWidth: Int { headDim ?? hiddenSize / numAttentionHeads }

    public init(
        vocabSize: Int, hiddenSize: Int, intermediateSize: Int, numHiddenLayers: Int, numAttentionHeads: Int,
        numKeyValueHeads: Int? = nil, maxPositionEmbeddings: Int = 2048, rmsNormEps: Double = 1e-5,
        ropeTheta: Double = 10_000, tieWordEmbeddings: Bool = false, initializerRange: Double = 0.02,
        imageHeads: Int = 0,
        prefixAttention: PrefixAttention = .causal
    ) {
        self.vocabSize = vocabSize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.numKeyValueHeads = numKeyValueHeads ?? numAttentionHeads
        self.maxPositionEmbeddings = maxPositionEmbeddings
        self.rmsNormEps = rmsNormEps
        self.ropeTheta = ropeTheta
        self.tieWordEmbeddings = tieWordEmbeddings
        self.initializerRange = initializerRange
        self.imageHeads = imageHeads
        self.prefixAttention = prefixAttention
    }

    enum CodingKeys: String, CodingKey {
        case vocabSize = "vocab_size"
        case hiddenSize = "hidden_size"
        case intermediateSize = "intermediate_size"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case numKeyValueHeads = "num_key_value_heads"
        case headDim = "head_dim"
        case maxPositionEmbeddings = "max_position_embeddings"
        case rmsNormEps = "rms_norm_eps"
        case ropeTheta = "rope_theta"
        case tieWordEmbeddings = "tie_word_embeddings"
        case initializerRange = "initializer_range"
        case imageHeads = "image_heads"
        case prefixAttention = "prefix_attention"
    }

    /// Absent fields take the defaults of transformers' `LlamaConfig`.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        vocabSize = try values.decodeIfPresent(Int.self, forKey: .vocabSize) ?? 32_000
        hiddenSize = try values.decodeIfPresent(Int.self, forKey: .hiddenSize) ?? 4096
        intermediateSize = try values.decodeIfPresent(Int.self, forKey: .intermediateSize) ?? 11_008
        numHiddenLayers = try values.decodeIfPresent(Int.self, forKey: .numHiddenLayers) ?? 32
        numAttentionHeads = try values.decodeIfPresent(Int.self, forKey: .numAttentionHeads) ?? 32
        numKeyValueHeads =
            try values.decodeIfPresent(Int.self, forKey: .numKeyValueHeads) ?? numAttentionHeads
        headDim = try values.decodeIfPresent(Int.self, forKey: .headDim)
        maxPositionEmbeddings = try values.decodeIfPresent(Int.self, forKey: .maxPositionEmbeddings) ?? 2048
        rmsNormEps = try values.decodeIfPresent(Double.self, forKey: .rmsNormEps) ?? 1e-6
        ropeTheta = try values.decodeIfPresent(Double.self, forKey: .ropeTheta) ?? 10_000
        tieWordEmbeddings = try values.decodeIfPresent(Bool.self, forKey: .tieWordEmbeddings) ?? false
        initializerRange = try values.decodeIfPresent(Double.self, forKey: .initializerRange) ?? 0.02
        imageHeads = try values.decodeIfPresent(Int.self, forKey: .imageHeads) ?? 0
        prefixAttention =
            try values.decodeIfPresent(PrefixAttention.self, forKey: .prefixAttention) ?? .causal
        try refuseWhatIsNotComputed(decoder)
    }

    /// A configuration that asks for more than is computed here would load and answer wrongly.
    private func refuseWhatIsNotComputed(_ decoder: any Decoder) throws {
        enum Key: String, CodingKey {
            case ropeScaling = "rope_scaling"
            case attentionBias = "attention_bias"
            case mlpBias = "mlp_bias"
            case activation = "hidden_act"
        }
        let values = try decoder.container(keyedBy: Key.self)
        func refuse(_ key: Key, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        if values.contains(.ropeScaling), try !values.decodeNil(forKey: .ropeScaling) {
            throw refuse(.ropeScaling, "rope_scaling is not supported yet")
        }
        for key in [Key.attentionBias, .mlpBias]
        where try values.decodeIfPresent(Bool.self, forKey: key) == true {
            throw refuse(key, "\(key.rawValue) is not supported yet")
        }
        if let name = try values.decodeIfPresent(String.self, forKey: .activation), name != "silu" {
            throw refuse(.activation, "hidden_act \(name) is not supported, silu is")
        }
        guard vocabSize > 0, hiddenSize > 0, intermediateSize > 0, numHiddenLayers > 0,
            maxPositionEmbeddings > 0, numAttentionHeads > 0, numKeyValueHeads > 0, imageHeads >= 0,
            headDim ?? 1 > 0,
            numAttentionHeads % numKeyValueHeads == 0, headWidth % 2 == 0, imageHeads <= numKeyValueHeads,
            imageHeads == 0 || numKeyValueHeads == numAttentionHeads
        else { throw refuse(.activation, "sizes and numbers of heads are below 1 or do not fit together") }
    }
}
