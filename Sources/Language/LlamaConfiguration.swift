public import NN

/// Hugging Face's `config.json` of a Llama, and two fields that the small model adds.
public struct LlamaConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
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
    /// - Throws: `DecodingError`, also for features that are not supported, such as another activation. ``check()``
    ///   checks the numbers.
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
        let rotary = try RotaryFields(decoder, context: maxPositionEmbeddings)
        (ropeTheta, ropeScaling) = (rotary.theta, rotary.scaling)
        attentionBias = try value(.attentionBias, false)
        mlpBias = try value(.mlpBias, false)
        tieWordEmbeddings = try value(.tieWordEmbeddings, false)
        initializerRange = try value(.initializerRange, 0.02)
        imageHeads = try value(.imageHeads, 0)
        prefixAttention = try value(.prefixAttention, .causal)
        try Self.refuseWhatIsNotComputed(decoder)
    }

    /// A configuration with a feature that is not supported would load and give wrong answers.
    private static func refuseWhatIsNotComputed(_ decoder: any Decoder) throws {
        enum Key: String, CodingKey {
            case activation = "hidden_act"
            case slidingWindow = "sliding_window"
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
    }

    public func check() throws {
        let check = ConfigurationCheck("the Llama")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.within(
            ConfigurationCheck.rows,
            ["vocab_size": vocabSize, "max_position_embeddings": maxPositionEmbeddings])
        try check.positive([
            "hidden_size": hiddenSize, "intermediate_size": intermediateSize,
            "num_attention_heads": numAttentionHeads, "num_key_value_heads": numKeyValueHeads,
            "head_dim": headDim ?? 1,
        ])
        try check.within(0...1, ["rms_norm_eps": rmsNormEps, "initializer_range": initializerRange])
        try check.within(1...1e18, ["rope_theta": ropeTheta])
        try check.that(
            numAttentionHeads % numKeyValueHeads == 0,
            "num_key_value_heads \(numKeyValueHeads) does not divide num_attention_heads \(numAttentionHeads)"
        )
        try check.that(
            (2...(1 << 16)).contains(headWidth) && headWidth % 2 == 0,
            "heads of \(headWidth) numbers, an even width is needed")
        try check.that(
            (0...numKeyValueHeads).contains(imageHeads)
                && (imageHeads == 0 || numKeyValueHeads == numAttentionHeads),
            "image_heads is \(imageHeads), which does not fit the heads")
    }
}

/// What a configuration says of the rotary embedding, in either of its forms: `rope_theta` and `rope_scaling`, or since
/// transformers 5 all in `rope_parameters`.
private struct RotaryFields {
    let theta: Double
    let scaling: RotaryScaling?

    private enum Keys: String, CodingKey {
        case scaling = "rope_scaling"
        case parameters = "rope_parameters"
        case theta = "rope_theta"
        case context = "original_max_position_embeddings"
        case partialRotary = "partial_rotary_factor"
    }

    private struct Fields: Decodable {
        let rope_type: String?
        let type: String?
        let rope_theta: Double?
        let factor: Double?
        let low_freq_factor: Double?
        let high_freq_factor: Double?
        let original_max_position_embeddings: Int?
        let partial_rotary_factor: Double?

        /// An empty object says nothing.
        var isEmpty: Bool {
            rope_type == nil && type == nil && rope_theta == nil && factor == nil && low_freq_factor == nil
                && high_freq_factor == nil && original_max_position_embeddings == nil
                && partial_rotary_factor == nil
        }
    }

    /// - Parameter context: what a text of the first training had at most, where the fields do not say.
    /// - Throws: `DecodingError` for what is not computed here.
    init(_ decoder: any Decoder, context: Int) throws {
        let values = try decoder.container(keyedBy: Keys.self)
        func refuse(_ key: Keys, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(
                forKey: key, in: values, debugDescription: "\(key.stringValue) \(reason)")
        }
        // Where a folder has both, transformers follows the older form.
        var (key, fields) = (Keys.scaling, try values.decodeIfPresent(Fields.self, forKey: .scaling))
        if fields?.isEmpty ?? true {
            (key, fields) = (.parameters, try values.decodeIfPresent(Fields.self, forKey: .parameters))
        }
        theta = try fields?.rope_theta ?? values.decodeIfPresent(Double.self, forKey: .theta) ?? 10_000
        for (place, part) in [
            (key, fields?.partial_rotary_factor),
            (.partialRotary, try values.decodeIfPresent(Double.self, forKey: .partialRotary)),
        ] {
            guard let part, part != 1 else { continue }
            let name = place == .partialRotary ? "" : "has the partial_rotary_factor "
            throw refuse(place, "\(name)\(part), which is not supported; 1 is")
        }
        guard let fields, case let name = fields.rope_type ?? fields.type ?? "default", name != "default"
        else {
            scaling = nil
            return
        }
        guard let kind = RotaryScaling.Kind(rawValue: name) else {
            let known = RotaryScaling.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw refuse(key, "of the type \(name) is not supported; \(known) are")
        }
        guard let factor = fields.factor, factor > 0, factor <= 1e9 else {
            throw refuse(
                key, "has \(fields.factor.map { "the factor \($0)" } ?? "no factor"), above 0 is needed")
        }
        let scaling = RotaryScaling(
            kind, factor: factor, lowFrequencyFactor: fields.low_freq_factor,
            highFrequencyFactor: fields.high_freq_factor,
            originalMaxPositionEmbeddings: try values.decodeIfPresent(Int.self, forKey: .context)
                ?? fields.original_max_position_embeddings ?? (kind == .llama3 ? context : nil))
        guard kind != .llama3 || scaling.llama3 != nil else {
            throw refuse(
                key,
                "of the type llama3 needs low_freq_factor, a larger high_freq_factor and original_max_position_embeddings"
            )
        }
        self.scaling = scaling
    }
}

/// How the frequencies of the rotary embedding are changed: `rope_scaling` of a configuration, or `rope_parameters`.
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

    /// The fields that `llama3` needs, where they are usable.
    var llama3: (low: Double, high: Double, context: Double)? {
        guard let low = lowFrequencyFactor, let high = highFrequencyFactor,
            let context = originalMaxPositionEmbeddings, low > 0, high > low, context > 0
        else { return nil }
        return (low, high, Double(context))
    }
}
