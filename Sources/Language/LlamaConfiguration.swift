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
    /// How the rotary embedding is scaled beyond the context of the first training; nil for no scaling.
    public var ropeScaling: RotaryScaling?
    public var attentionBias: Bool
    public var mlpBias: Bool
    public var tieWordEmbeddings: Bool
    /// The deviation of the initial embeddings in a training from random weights.
    public var initializerRange: Double
    /// The number of heads in which text sees only the image; 0 in a published Llama.
    public var imageHeads: Int
    /// Whether the positions of a prefix see later ones.
    public var prefixAttention: PrefixAttention

    public var headWidth: Int { headDim ?? hiddenSize / numAttentionHeads }

    public init(
        vocabSize: Int, hiddenSize: Int, intermediateSize: Int, numHiddenLayers: Int, numAttentionHeads: Int,
        numKeyValueHeads: Int? = nil, maxPositionEmbeddings: Int = 2048, rmsNormEps: Double = 1e-5,
        ropeTheta: Double = 10_000, ropeScaling: RotaryScaling? = nil, tieWordEmbeddings: Bool = false,
        initializerRange: Double = 0.02, imageHeads: Int = 0, prefixAttention: PrefixAttention = .causal
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
        self.ropeScaling = ropeScaling
        attentionBias = false
        mlpBias = false
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
        case ropeScaling = "rope_scaling"
        case attentionBias = "attention_bias"
        case mlpBias = "mlp_bias"
        case tieWordEmbeddings = "tie_word_embeddings"
        case initializerRange = "initializer_range"
        case imageHeads = "image_heads"
        case prefixAttention = "prefix_attention"
    }

    /// Absent fields take the defaults of transformers' `LlamaConfig`.
    ///
    /// - Throws: `DecodingError`, also for features that are not supported, such as another activation.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func value<Value: Decodable>(_ key: CodingKeys, _ standard: Value) throws -> Value {
            try values.decodeIfPresent(Value.self, forKey: key) ?? standard
        }
        vocabSize = try value(.vocabSize, 32_000)
        hiddenSize = try value(.hiddenSize, 4096)
        intermediateSize = try value(.intermediateSize, 11_008)
        numHiddenLayers = try value(.numHiddenLayers, 32)
        numAttentionHeads = try value(.numAttentionHeads, 32)
        numKeyValueHeads = try value(.numKeyValueHeads, numAttentionHeads)
        headDim = try values.decodeIfPresent(Int.self, forKey: .headDim)
        maxPositionEmbeddings = try value(.maxPositionEmbeddings, 2048)
        rmsNormEps = try value(.rmsNormEps, 1e-6)
        ropeTheta = try value(.ropeTheta, 10_000)
        ropeScaling = try RotaryScaling(in: values, .ropeScaling)
        attentionBias = try value(.attentionBias, false)
        mlpBias = try value(.mlpBias, false)
        tieWordEmbeddings = try value(.tieWordEmbeddings, false)
        initializerRange = try value(.initializerRange, 0.02)
        imageHeads = try value(.imageHeads, 0)
        prefixAttention = try value(.prefixAttention, .causal)
        try refuseWhatIsNotComputed(decoder)
    }

    /// A configuration with a feature that is not supported would load and give wrong answers.
    private func refuseWhatIsNotComputed(_ decoder: any Decoder) throws {
        enum Key: String, CodingKey {
            case activation = "hidden_act"
            case slidingWindow = "sliding_window"
            case partialRotary = "partial_rotary_factor"
        }
        let values = try decoder.container(keyedBy: Key.self)
        func refuse(_ key: Key, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        if let name = try values.decodeIfPresent(String.self, forKey: .activation), name != "silu" {
            throw refuse(.activation, "hidden_act \(name) is not supported, silu is")
        }
        if let window = try values.decodeIfPresent(Int.self, forKey: .slidingWindow) {
            throw refuse(.slidingWindow, "sliding_window \(window) is not supported, full attention is")
        }
        if let part = try values.decodeIfPresent(Double.self, forKey: .partialRotary), part != 1 {
            throw refuse(.partialRotary, "partial_rotary_factor \(part) is not supported, 1 is")
        }
        guard vocabSize > 0, hiddenSize > 0, intermediateSize > 0, numHiddenLayers > 0,
            maxPositionEmbeddings > 0, numAttentionHeads > 0, numKeyValueHeads > 0, imageHeads >= 0,
            headDim ?? 1 > 0, ropeTheta > 0,
            numAttentionHeads % numKeyValueHeads == 0, headWidth % 2 == 0, imageHeads <= numKeyValueHeads,
            imageHeads == 0 || numKeyValueHeads == numAttentionHeads
        else { throw refuse(.activation, "sizes and numbers of heads are below 1 or do not fit together") }
    }
}

/// `rope_scaling` of a configuration: how the frequencies of the rotary embedding are changed.
public struct RotaryScaling: Codable, Sendable, Hashable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// All frequencies divided by the factor.
        case linear
        /// A larger base for a text that is longer than the context. Texts here are never longer, so it changes
        /// nothing.
        case dynamic
        /// Low frequencies are divided by the factor, high ones are kept, those between are interpolated (Llama 3.1).
        case llama3
    }

    public var kind: Kind
    public var factor: Double
    public var lowFrequencyFactor: Double?
    public var highFrequencyFactor: Double?
    /// The context of the first training.
    public var originalMaxPositionEmbeddings: Int?

    public init(
        _ kind: Kind, factor: Double, lowFrequencyFactor: Double? = nil, highFrequencyFactor: Double? = nil,
        originalMaxPositionEmbeddings: Int? = nil
    ) {
        self.kind = kind
        self.factor = factor
        self.lowFrequencyFactor = lowFrequencyFactor
        self.highFrequencyFactor = highFrequencyFactor
        self.originalMaxPositionEmbeddings = originalMaxPositionEmbeddings
    }

    enum CodingKeys: String, CodingKey {
        case kind = "rope_type"
        case factor
        case lowFrequencyFactor = "low_freq_factor"
        case highFrequencyFactor = "high_freq_factor"
        case originalMaxPositionEmbeddings = "original_max_position_embeddings"
    }

    private enum FormerKeys: String, CodingKey { case type }

    /// The scaling under `key`; nil when it is absent, null or the default.
    fileprivate init?<Keys: CodingKey>(in values: KeyedDecodingContainer<Keys>, _ key: Keys) throws {
        guard values.contains(key), try !values.decodeNil(forKey: key) else { return nil }
        let fields = try values.nestedContainer(keyedBy: CodingKeys.self, forKey: key)
        let former = try values.nestedContainer(keyedBy: FormerKeys.self, forKey: key)
        let name =
            try fields.decodeIfPresent(String.self, forKey: .kind)
            ?? former.decodeIfPresent(String.self, forKey: .type) ?? "default"
        guard name != "default" else { return nil }
        func refuse(_ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        guard let kind = Kind(rawValue: name) else {
            let known = Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw refuse("rope_scaling of the type \(name) is not supported; \(known) are")
        }
        self.kind = kind
        factor = try fields.decode(Double.self, forKey: .factor)
        lowFrequencyFactor = try fields.decodeIfPresent(Double.self, forKey: .lowFrequencyFactor)
        highFrequencyFactor = try fields.decodeIfPresent(Double.self, forKey: .highFrequencyFactor)
        originalMaxPositionEmbeddings = try fields.decodeIfPresent(
            Int.self, forKey: .originalMaxPositionEmbeddings)
        guard factor > 0 else { throw refuse("rope_scaling has the factor \(factor), which is not above 0") }
        guard kind != .llama3 || llama3 != nil else {
            throw refuse(
                "rope_scaling of the type llama3 needs low_freq_factor, a larger high_freq_factor and "
                    + "original_max_position_embeddings")
        }
    }

    /// The fields that `llama3` needs; nil if they are missing or unusable.
    var llama3: (low: Double, high: Double, context: Double)? {
        guard let low = lowFrequencyFactor, let high = highFrequencyFactor,
            let context = originalMaxPositionEmbeddings, low > 0, high > low, context > 0
        else { return nil }
        return (low, high, Double(context))
    }
}
