import Checkpoints
public import Encoders
import Foundation
public import Language
public import NN
public import Perception
public import Text
public import Torch

/// LUMEN: an encoder, a projector, a language model and a dense aligner, with the tokenizer that binds them.
///
/// The type holds the networks and runs them; ``Engine`` is what answers questions.
public final class Lumen {
    public let configuration: LumenConfiguration
    public let tokenizer: Tokenizer
    public let tokens: SpecialTokens
    public let encoder: any ImageEncoder
    public let projector: Projector
    public let language: Llama
    public let aligner: Aligner
    /// The parameters of each part, in the order of a model folder.
    public let stores: [(part: String, store: ParameterStore)]

    static let partNames = ["image_encoder", "projector", "language_model", "aligner"]

    /// Opens a model folder.
    ///
    /// - Parameters:
    ///   - folder: where its parts lie.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    /// - Throws: ``ModelError``, ``Checkpoints/CheckpointError`` or ``NN/ParameterError`` that names the file.
    public convenience init(contentsOf folder: ModelFolder, device: Device = .cpu, dtype: DType? = .float32)
        throws
    {
        let encoder = try folder.type(of: "image_encoder")
        guard encoder == "HybridViT" else {
            throw ModelError.unsupported(
                "\(folder.path): image encoders of type \(encoder) are not supported yet")
        }
        let configuration = LumenConfiguration(
            encoder: try folder.configuration(of: "image_encoder"),
            projector: try folder.configuration(of: "projector"),
            language: try folder.configuration(of: "language_model"),
            aligner: try folder.configuration(of: "aligner"))
        try self.init(configuration, tokenizer: Self.tokenizer(of: folder)) { part in
            ParameterStore(.loaded(try folder.weights(of: part)), device: device, dtype: dtype)
        }
        for (_, store) in stores { try store.finish() }
    }

    /// The tokenizer of a model folder.
    ///
    /// - Throws: ``ModelError`` or ``Text/TokenizerError`` that names the file.
    public static func tokenizer(of folder: ModelFolder) throws -> Tokenizer {
        try Tokenizer(folder: folder.folder(of: "tokenizer"))
    }

    /// A model of random weights, to be trained.
    public convenience init(_ configuration: LumenConfiguration, tokenizer: Tokenizer, seed: UInt64) throws {
        let generator = try Generator(seed: seed)
        try self.init(configuration, tokenizer: tokenizer) { _ in ParameterStore(.initialised(generator)) }
        try (encoder as? HybridViT)?.initialise()
        try projector.initialise(generator)
        try language.initialise(generator)
        try aligner.initialise()
    }

    /// The same network with the same parameters in storage, but with gradients of its own.
    public convenience init(sharing other: Lumen) throws {
        struct Shared: TensorSource {
            let store: ParameterStore
            var names: [String] { store.names }
            var label: String { "the other network" }
            func tensor(named name: String) throws -> Tensor? { try store[name]?.detached() }
        }
        let stores = Dictionary(uniqueKeysWithValues: other.stores.map { ($0.part, $0.store) })
        try self.init(other.configuration, tokenizer: other.tokenizer) { part in
            ParameterStore(.loaded(Shared(store: stores[part]!)), device: other.device, dtype: nil)
        }
    }

    private init(
        _ configuration: LumenConfiguration, tokenizer: Tokenizer, store: (String) throws -> ParameterStore
    ) throws {
        guard tokenizer.vocabularySize <= configuration.language.vocabSize else {
            throw ModelError.unsupported(
                "the tokenizer has \(tokenizer.vocabularySize) tokens, the language model \(configuration.language.vocabSize)"
            )
        }
        let stores = try Self.partNames.map { (part: $0, store: try store($0)) }
        encoder = try HybridViT(stores[0].store.root, configuration.encoder)
        projector = try Projector(stores[1].store.root, configuration.projector)
        language = try Llama(stores[2].store.root, configuration.language)
        aligner = try Aligner(stores[3].store.root, configuration.aligner)
        tokens = try SpecialTokens(tokenizer)
        self.stores = stores
        self.tokenizer = tokenizer
        self.configuration = configuration
    }

    /// Every parameter, named `part.path`.
    public var parameters: [(name: String, tensor: Tensor)] {
        stores.flatMap { part, store in store.named.map { ("\(part).\($0.name)", $0.tensor) } }
    }

    /// Writes the model as a folder, the weights in `dtype`.
    public func save(to path: String, dtype: DType = .bfloat16) throws {
        let files = FileManager.default
        // A folder that has an index is whole: an old one goes first, the new one comes last.
        let index = "\(path)/model_index.json"
        if files.fileExists(atPath: index) { try files.removeItem(atPath: index) }
        for part in Self.partNames + ["tokenizer"] {
            try files.createDirectory(atPath: "\(path)/\(part)", withIntermediateDirectories: true)
        }
        for (part, store) in stores {
            let tensors = try store.named.map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
            try SafetensorsFile.write(
                tensors, metadata: ["format": "pt"], to: "\(path)/\(part)/model.safetensors")
        }
        try ModelFolder.write(configuration.encoder, to: "\(path)/image_encoder/config.json")
        try ModelFolder.write(configuration.projector, to: "\(path)/projector/config.json")
        try ModelFolder.write(configuration.language, to: "\(path)/language_model/config.json")
        try ModelFolder.write(configuration.aligner, to: "\(path)/aligner/config.json")
        try tokenizer.write(folder: "\(path)/tokenizer")
        let types = [
            "image_encoder": "HybridViT", "projector": "Projector", "language_model": "Llama",
            "aligner": "Aligner",
            "tokenizer": "Tokenizer",
        ]
        let parts = types.reduce(into: [:]) { $0[$1.key] = ModelFolder.Part(type: $1.value, path: $1.key) }
        try ModelFolder.write(ModelFolder.Index(parts: parts), to: index)
    }

    // MARK: The path from pixels to maps

    /// Pixels [b, 3, h, w] of 0...255 to features.
    public func encode(_ pixels: Tensor) throws -> ImageFeatures { try encoder(encoder.normalized(pixels)) }

    /// The language model's keys and values of the images.
    public func prefix(_ features: ImageFeatures) throws -> PrefixCache {
        try language.prefix(projector(features).embeddings).cache
    }

    /// Heat and size maps for hidden states at [LOC], [b, queries, hidden].
    public func align(_ loc: Tensor, _ features: ImageFeatures) throws -> AlignerMaps {
        try aligner(
            loc, tokens: features.tokens, grid: features.grid, fine: features.fine,
            fineAttributes: features.attributes, dense: features.dense)
    }
}

public struct LumenConfiguration: Codable, Sendable, Hashable {
    public var encoder: HybridViTConfiguration
    public var projector: ProjectorConfiguration
    public var language: LlamaConfiguration
    public var aligner: AlignerConfiguration

    public init(
        encoder: HybridViTConfiguration, projector: ProjectorConfiguration, language: LlamaConfiguration,
        aligner: AlignerConfiguration
    ) {
        self.encoder = encoder
        self.projector = projector
        self.language = language
        self.aligner = aligner
    }

    /// The embedded model's shape: about 12 million parameters.
    ///
    /// - Parameters:
    ///   - attributes: names that the dense head knows, by group, kinds first.
    ///   - vocabulary: tokens of the tokenizer.
    ///   - sizes: the longer sides of pictures in pixels, at least and at most; multiples of 16.
    public static func mosaic(
        attributes: [[String]], vocabulary: Int, sizes: ClosedRange<Int> = 128...256
    ) -> LumenConfiguration {
        let patches = (sizes.upperBound / 8) * (sizes.upperBound / 8)
        let encoder = HybridViTConfiguration(
            imageSize: sizes.upperBound, hiddenSize: 256, numHiddenLayers: 4, numAttentionHeads: 4,
            stemChannels: [32, 64, 128], fineChannels: 96, headChannels: 128, attributes: attributes,
            minImageSize: sizes.lowerBound, boxChannels: 4)
        return LumenConfiguration(
            encoder: encoder,
            projector: ProjectorConfiguration(
                imageSize: 256, hiddenSize: 256, unshuffle: 2, fineChannels: encoder.fineFeatureCount,
                scale: 0.3, tokenCount: patches / 4, wordClasses: encoder.attributeCount),
            language: LlamaConfiguration(
                vocabSize: vocabulary, hiddenSize: 256, intermediateSize: 704, numHiddenLayers: 4,
                numAttentionHeads: 4, maxPositionEmbeddings: 2048, tieWordEmbeddings: true,
                initializerRange: 0.1, imageHeads: 2, prefixAttention: .full),
            aligner: AlignerConfiguration(
                languageSize: 256, imageSize: 256, hiddenSize: 128, numHiddenLayers: 2, numAttentionHeads: 4,
                tokenCount: patches, upsample: 2, mapChannels: 64, fineChannels: encoder.fineFeatureCount,
                fineMapChannels: encoder.fineChannels, headChannels: encoder.headChannels,
                attributeGroups: attributes.map(\.count), offsetMaps: true))
    }
}
