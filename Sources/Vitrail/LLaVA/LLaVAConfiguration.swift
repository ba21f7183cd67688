public import Encoders
public import Language
public import NN

/// The sizes of a LLaVA's networks, read from either of its two layouts.
public struct LLaVAConfiguration: CheckedConfiguration, Sendable, Hashable {
    public var vision: CLIPVisionConfiguration
    public var language: LlamaConfiguration
    /// Linear layers of the projector: 2 in LLaVA-1.5, 1 in LLaVA-1.1, 0 for none.
    public var projectorDepth = 2
    public var projectorActivation = Activation.gelu
    public var projectorBias = true
    /// The layers whose hidden states the projector gets, side by side; counted as CLIP's
    /// ``Encoders/CLIPVisionConfiguration/featureLayer``.
    public var featureLayers = [-2]
    /// Whether the class token is passed on with the patches.
    public var includesClassToken = false
    /// The id of a patch in a prompt; nil if the tokenizer has none, as in the original layout.
    public var imageToken: Int?
    /// Whether the image stands between `<im_start>` and `<im_end>`.
    public var marksImage = false

    public init(vision: CLIPVisionConfiguration, language: LlamaConfiguration) {
        self.vision = vision
        self.language = language
    }

    /// Tokens that an image takes in a prompt.
    public var imageTokenCount: Int {
        let side = vision.imageSize / vision.patchSize
        return side * side + (includesClassToken ? 1 : 0)
    }

    public func check() throws {
        try vision.check()
        try language.check()
        let check = ConfigurationCheck("the LLaVA")
        try check.within(
            1...vision.numHiddenLayers + 1, ["the number of feature layers": featureLayers.count])
        for layer in featureLayers {
            try check.that(
                vision.hasLayer(layer),
                "the feature layer \(layer) is outside the \(vision.numHiddenLayers) layers of the vision tower"
            )
        }
    }
}

/// `config.json` of transformers' LLaVA.
struct LLaVAHuggingFaceFields: Decodable, CheckedConfiguration {
    let configuration: LLaVAConfiguration

    func check() throws { try configuration.check() }

    enum CodingKeys: String, CodingKey {
        case vision = "vision_config"
        case text = "text_config"
        case activation = "projector_hidden_act"
        case bias = "multimodal_projector_bias"
        case layer = "vision_feature_layer"
        case strategy = "vision_feature_select_strategy"
        case imageToken = "image_token_index"
        case imageTokenID = "image_token_id"
        case isTied = "tie_word_embeddings"
    }

    private struct Kind: Decodable { let model_type: String? }

    /// Absent fields take the defaults of transformers' `LlavaConfig`.
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func refuse(_ key: CodingKeys, _ reason: String) -> DecodingError {
            DecodingError.dataCorruptedError(forKey: key, in: values, debugDescription: reason)
        }
        func check(_ key: CodingKeys, _ known: String) throws {
            guard let name = try values.decodeIfPresent(Kind.self, forKey: key)?.model_type, name != known
            else { return }
            throw refuse(key, "the model_type of \(key.stringValue) is \(name), \(known) is supported")
        }
        try check(.vision, "clip_vision_model")
        try check(.text, "llama")
        let tower = CLIPVisionConfiguration(
            hiddenSize: 1024, intermediateSize: 4096, numHiddenLayers: 24, numAttentionHeads: 16,
            imageSize: 336,
            patchSize: 14)
        var language =
            try values.decodeIfPresent(LlamaConfiguration.self, forKey: .text)
            ?? LlamaConfiguration(
                vocabSize: 32_000, hiddenSize: 4096, intermediateSize: 11_008, numHiddenLayers: 32,
                numAttentionHeads: 32, rmsNormEps: 1e-6)
        // Since transformers 5 either place ties them.
        if try values.decodeIfPresent(Bool.self, forKey: .isTied) ?? false {
            language.tieWordEmbeddings = true
        }
        var configuration = LLaVAConfiguration(
            vision: try values.decodeIfPresent(CLIPVisionConfiguration.self, forKey: .vision) ?? tower,
            language: language)
        configuration.projectorActivation =
            try values.decodeIfPresent(Activation.self, forKey: .activation) ?? .gelu
        configuration.projectorBias = try values.decodeIfPresent(Bool.self, forKey: .bias) ?? true
        if let layer = try? values.decodeIfPresent(Int.self, forKey: .layer) {
            configuration.featureLayers = [layer]
        } else if let layers = try values.decodeIfPresent([Int].self, forKey: .layer) {
            configuration.featureLayers = layers
        }
        switch try values.decodeIfPresent(String.self, forKey: .strategy) ?? "default" {
        case "default": configuration.includesClassToken = false
        case "full": configuration.includesClassToken = true
        case let other:
            throw refuse(
                .strategy, "vision_feature_select_strategy \(other) is not known; default and full are")
        }
        configuration.imageToken =
            try values.decodeIfPresent(Int.self, forKey: .imageToken)
            ?? values.decodeIfPresent(Int.self, forKey: .imageTokenID) ?? 32_000
        self.configuration = configuration
    }
}

/// The fields that LLaVA's own code adds to a Llama's `config.json`. The vision tower lies elsewhere.
struct LLaVAOriginalFields: Decodable, CheckedConfiguration {
    func check() throws { try language.check() }

    let tower: String?
    let language: LlamaConfiguration
    let projectorDepth: Int
    let featureLayer: Int
    let includesClassToken: Bool
    let marksImage: Bool
    /// Whether pictures are padded to squares, and not cut.
    let padsToSquare: Bool

    enum CodingKeys: String, CodingKey {
        case tower = "mm_vision_tower"
        case projector = "mm_projector_type"
        case layer = "mm_vision_select_layer"
        case feature = "mm_vision_select_feature"
        case marksImage = "mm_use_im_start_end"
        case aspect = "image_aspect_ratio"
    }

    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func refuse(_ key: CodingKeys, _ name: String, _ known: String) -> DecodingError {
            DecodingError.dataCorruptedError(
                forKey: key, in: values,
                debugDescription: "\(key.stringValue) \(name) is not supported; \(known)")
        }
        func text(_ key: CodingKeys, _ standard: String) throws -> String {
            try values.decodeIfPresent(String.self, forKey: key) ?? standard
        }
        tower = try values.decodeIfPresent(String.self, forKey: .tower)
        language = try LlamaConfiguration(from: decoder)
        let projector = try text(.projector, "linear")
        switch projector {
        case "linear": projectorDepth = 1
        case "identity": projectorDepth = 0
        default:
            guard let digits = projector.wholeMatch(of: /mlp(\d+)x_gelu/)?.1, let depth = Int(digits),
                (1...8).contains(depth)
            else { throw refuse(.projector, projector, "linear, identity and mlp1x_gelu to mlp8x_gelu are") }
            projectorDepth = depth
        }
        featureLayer = try values.decodeIfPresent(Int.self, forKey: .layer) ?? -2
        switch try text(.feature, "patch") {
        case "patch": includesClassToken = false
        case "cls_patch": includesClassToken = true
        case let other: throw refuse(.feature, other, "patch and cls_patch are")
        }
        marksImage = try values.decodeIfPresent(Bool.self, forKey: .marksImage) ?? false
        switch try text(.aspect, "square") {
        case "pad": padsToSquare = true
        case "square": padsToSquare = false
        case let other: throw refuse(.aspect, other, "pad and square are")
        }
    }
}
