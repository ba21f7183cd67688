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
/// The first three belong to a small model, or to a downloaded LLaVA with LoRA in its language model and rows for
/// LUMEN's tokens. This type holds the networks and runs them; ``Engine`` answers questions.
public final class Lumen {
    public let configuration: LumenConfiguration
    public let tokenizer: Tokenizer
    public let tokens: SpecialTokens
    public let encoder: any ImageEncoder
    public let language: Llama
    public let aligner: Aligner
    /// How a conversation is written.
    public let form: LumenForm
    /// The parameters of each part, in the order of a model folder.
    public let stores: [(part: String, store: ParameterStore)]
    /// The small model's projector.
    private let projector: Projector?
    /// The LLaVA that a model is based on; nil for a small model.
    let llava: (model: LLaVA, base: LumenBase)?
    private let lead: [Int]

    static let partNames = ["image_encoder", "projector", "language_model", "aligner"]

    /// Opens a model folder.
    ///
    /// - Parameters:
    ///   - folder: where its parts lie.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's. With bfloat16 or float16 a small model
    ///     computes only matrix products and convolutions in it, and everything else in float32, much as in training.
    ///   - isFixed: whether the parameters will never change; layers may then hold copies that are faster to use.
    /// - Throws: ``ModelError``, ``Checkpoints/CheckpointError`` or ``NN/ParameterError`` that names the file.
    public convenience init(
        contentsOf folder: ModelFolder, device: Device = .cpu, dtype: DType? = .float32, isFixed: Bool = false
    ) throws {
        let encoder = try folder.type(of: "image_encoder")
        switch encoder {
        case "HybridViT":
            let configuration = LumenConfiguration(
                encoder: try folder.configuration(of: "image_encoder"),
                projector: try folder.configuration(of: "projector"),
                language: try folder.configuration(of: "language_model", .llama),
                aligner: try folder.configuration(of: "aligner"))
            let (dtype, productDType) = ParameterStore.mixed(dtype)
            try self.init(configuration, tokenizer: Self.tokenizer(of: folder)) { part in
                ParameterStore(
                    .loaded(try folder.weights(of: part)), device: device, dtype: dtype,
                    productDType: productDType, isFixed: isFixed)
            }
        case "LLaVA":
            let base = try LumenBase(folder)
            try self.init(
                base, folder.configuration(of: "aligner"),
                base.store(device: device, dtype: dtype, addedDType: dtype),
                ParameterStore(.loaded(folder.weights(of: "aligner")), device: device, dtype: dtype))
        default:
            throw ModelError.unsupported(
                "\(folder.path): image encoders of type \(encoder) are not supported; HybridViT and LLaVA are"
            )
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
        try projector?.initialise(generator)
        try language.initialise(generator)
        try aligner.initialise()
    }

    /// A LLaVA with an aligner of random weights, to be trained. The added parameters are held in float32.
    ///
    /// - Parameters:
    ///   - base: the LLaVA, and what is added to its language model.
    ///   - aligner: the aligner's configuration.
    ///   - device: where the parameters will be.
    ///   - dtype: what LLaVA's own parameters are held in; nil keeps the file's.
    ///   - seed: of the random weights.
    /// - Throws: as ``init(contentsOf:device:dtype:isFixed:)``.
    public convenience init(
        _ base: LumenBase, _ aligner: AlignerConfiguration, device: Device = .cpu, dtype: DType?, seed: UInt64
    ) throws {
        let generator = try Generator(seed: seed)
        try self.init(
            base, aligner, base.store(device: device, dtype: dtype, addedDType: .float32),
            ParameterStore(.initialised(generator), device: device))
        try self.aligner.initialise()
        for (_, store) in stores { try store.finish() }
    }

    /// The same network with shared parameters, but separate gradients.
    ///
    /// - Parameters:
    ///   - other: the network.
    ///   - device: the device of this one. On another device than the other's, the parameters are copies.
    public convenience init(sharing other: Lumen, on device: Device? = nil) throws {
        let stores = Dictionary(uniqueKeysWithValues: other.stores.map { ($0.part, $0.store) })
        func shared(_ part: String) -> ParameterStore { ParameterStore(sharing: stores[part]!, on: device) }
        if let llava = other.llava {
            try self.init(
                llava.base, other.configuration.aligner, shared("llava"), shared("aligner"))
        } else {
            try self.init(other.configuration, tokenizer: other.tokenizer, store: shared)
        }
        language.recomputesBlocks = other.language.recomputesBlocks
    }

    private init(
        _ configuration: LumenConfiguration, tokenizer: Tokenizer, store: (String) throws -> ParameterStore
    ) throws {
        guard tokenizer.vocabularySize <= configuration.language.vocabSize else {
            throw ModelError.unsupported(
                "the tokenizer has \(tokenizer.vocabularySize) tokens, the language model \(configuration.language.vocabSize)"
            )
        }
        guard let encoder = configuration.encoder, let projector = configuration.projector else {
            throw ModelError.unsupported("a model without an encoder of its own needs a LLaVA")
        }
        let stores = try Self.partNames.map { (part: $0, store: try store($0)) }
        self.encoder = try HybridViT(stores[0].store.root, encoder)
        self.projector = try Projector(stores[1].store.root, projector)
        language = try Llama(stores[2].store.root, configuration.language)
        aligner = try Aligner(stores[3].store.root, configuration.aligner)
        tokens = try SpecialTokens(tokenizer)
        (form, lead, llava) = (.mosaic, [], nil)
        self.stores = stores
        self.tokenizer = tokenizer
        self.configuration = configuration
    }

    private init(
        _ base: LumenBase, _ aligner: AlignerConfiguration, _ store: ParameterStore,
        _ alignerStore: ParameterStore
    ) throws {
        let model = try LLaVA(base.folder.configuration, store)
        encoder = LLaVAEncoder(model, tokenCount: aligner.tokenCount)
        language = model.language
        self.aligner = try Aligner(alignerStore.root, aligner)
        tokenizer = base.tokenizer
        tokens = try SpecialTokens(tokenizer)
        form = .paper
        lead = form.lead(tokenizer)
        llava = (model, base)
        projector = nil
        stores = [("llava", store), ("aligner", alignerStore)]
        configuration = LumenConfiguration(
            encoder: nil, projector: nil, language: base.folder.configuration.language, aligner: aligner)
    }

    /// Every parameter, named `part.path`.
    public var parameters: [(name: String, tensor: Tensor)] {
        stores.flatMap { part, store in store.named.map { ("\(part).\($0.name)", $0.tensor) } }
    }

    /// The parameters that a training changes: all of a small model, and only the added ones of a LLaVA.
    public var trainedParameters: [(name: String, tensor: Tensor)] {
        guard llava != nil else { return parameters }
        return parameters.filter { $0.name.hasPrefix("aligner.") || ParameterStore.isAdded($0.name) }
    }

    /// Writes the model as a folder, the weights in `dtype`. A LLaVA is not copied; the folder names its place.
    public func save(to path: String, dtype: DType = .bfloat16) throws {
        let files = FileManager.default
        // A folder with an index is complete: the old index is removed first, the new one is written last.
        let index = "\(path)/model_index.json"
        if files.fileExists(atPath: index) { try files.removeItem(atPath: index) }
        func makeFolder(_ part: String) throws {
            try files.createDirectory(atPath: "\(path)/\(part)", withIntermediateDirectories: true)
        }
        var parts: [String: ModelFolder.Part] = ["tokenizer": .init(type: "Tokenizer", path: "tokenizer")]
        try makeFolder("tokenizer")
        try tokenizer.write(folder: "\(path)/tokenizer")
        for (part, store) in stores where part != "llava" {
            try makeFolder(part)
            let tensors = try store.named.map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
            try SafetensorsFile.write(
                tensors, metadata: ["format": "pt"], to: "\(path)/\(part)/model.safetensors")
        }
        try ModelFolder.write(configuration.aligner, to: "\(path)/aligner/config.json")
        parts["aligner"] = .init(type: "Aligner", path: "aligner")
        if let llava {
            parts.merge(try llava.base.save(llava.model.store, to: path, dtype: dtype)) { $1 }
        } else {
            try ModelFolder.write(configuration.encoder, to: "\(path)/image_encoder/config.json")
            try ModelFolder.write(configuration.projector, to: "\(path)/projector/config.json")
            try ModelFolder.write(configuration.language, to: "\(path)/language_model/config.json")
            for (part, type) in [
                ("image_encoder", "HybridViT"), ("projector", "Projector"), ("language_model", "Llama"),
            ] {
                parts[part] = .init(type: type, path: part)
            }
        }
        try ModelFolder.write(ModelFolder.Index(parts: parts), to: index)
    }

    // MARK: The path from pixels to maps

    /// The side of a cell of the aligner's maps in input pixels.
    package var cellSize: Double {
        let patch = llava?.model.vision.configuration.patchSize ?? 8
        return Double(patch) / Double(configuration.aligner.upsample)
    }

    /// The number of blocks of the language model after which a state holds what the next word is about. Training has a
    /// loss there.
    package var subjectDepth: Int { (2 * configuration.language.numHiddenLayers + 1) / 3 }

    /// Pixels [b, 3, h, w] of 0...255 to features.
    public func encode(_ pixels: Tensor) throws -> ImageFeatures { try encoder(encoder.normalized(pixels)) }

    /// Input embeddings of the language model, including the text before the image: [b, n, hidden].
    ///
    /// `words` [b, patches, hidden] are the image's embeddings before they are scaled to the word embeddings.
    public func project(_ features: ImageFeatures) throws -> (embeddings: Tensor, words: Tensor) {
        if let projector { return try projector(features) }
        let image = try llava!.model.projector(features.tokens)
        guard !lead.isEmpty else { return (image, image) }
        let before = try language.wordEmbeddings(lead).unsqueezed(0)
            .expanded(image.size(0), lead.count, image.size(2))
        return (try .cat([before.to(image.dtype), image], axis: 1), image)
    }

    /// See ``Encoders/Projector/wordLogits(_:embeddings:)``.
    public func wordLogits(_ words: Tensor, embeddings: Tensor) throws -> Tensor? {
        try projector?.wordLogits(words, embeddings: embeddings)
    }

    /// The language model's keys and values of the images.
    public func prefix(_ features: ImageFeatures) throws -> PrefixCache {
        try language.prefix(project(features).embeddings)
    }

    /// Heat and size maps for hidden states at [LOC], [b, queries, hidden].
    public func align(_ loc: Tensor, _ features: ImageFeatures) throws -> AlignerMaps {
        try aligner(loc, alignerImage(features))
    }

    /// The part of ``align(_:_:)`` that depends only on the images, computed once for all queries.
    func alignerImage(_ features: ImageFeatures) throws -> AlignerImage {
        try aligner.image(
            tokens: features.tokens, grid: features.grid, fine: features.fine,
            fineAttributes: features.attributes, dense: features.dense)
    }
}

public struct LumenConfiguration: Codable, Sendable, Hashable {
    /// The encoder and projector of a small model; nil if they are a LLaVA's.
    public var encoder: HybridViTConfiguration?
    public var projector: ProjectorConfiguration?
    public var language: LlamaConfiguration
    public var aligner: AlignerConfiguration

    public init(
        encoder: HybridViTConfiguration?, projector: ProjectorConfiguration?, language: LlamaConfiguration,
        aligner: AlignerConfiguration
    ) {
        self.encoder = encoder
        self.projector = projector
        self.language = language
        self.aligner = aligner
    }

    /// The embedded model's shape: about 14 million parameters.
    ///
    /// - Parameters:
    ///   - attributes: names that the dense head knows, by group, kinds first.
    ///   - joints: how many of the kinds, the last ones, are joints of a body.
    ///   - vocabulary: the number of tokens of the tokenizer.
    ///   - sizes: the least and the largest longer side of pictures in pixels; multiples of 16.
    public static func mosaic(
        attributes: [[String]], joints: Int, vocabulary: Int, sizes: ClosedRange<Int> = 128...256
    ) -> LumenConfiguration {
        let patches = (sizes.upperBound / 8) * (sizes.upperBound / 8)
        let encoder = HybridViTConfiguration(
            imageSize: sizes.upperBound, hiddenSize: 256, numHiddenLayers: 4, numAttentionHeads: 4,
            stemChannels: [32, 64, 128], fineChannels: 96, headChannels: 128, attributes: attributes,
            minImageSize: sizes.lowerBound, boxChannels: 4, jointCount: joints, globalAttentionIndexes: [3])
        return LumenConfiguration(
            encoder: encoder,
            projector: ProjectorConfiguration(
                imageSize: 256, hiddenSize: 256, unshuffle: 2, fineChannels: encoder.fineFeatureCount,
                scale: 0.3, tokenCount: patches / 4, wordClasses: encoder.attributeCount - joints),
            language: LlamaConfiguration(
                vocabSize: vocabulary, hiddenSize: 256, intermediateSize: 704, numHiddenLayers: 6,
                numAttentionHeads: 4, maxPositionEmbeddings: 2048, tieWordEmbeddings: true,
                initializerRange: 0.1, imageHeads: 2, prefixAttention: .full),
            aligner: AlignerConfiguration(
                languageSize: 256, imageSize: 256, hiddenSize: 128, numHiddenLayers: 2, numAttentionHeads: 4,
                tokenCount: patches, upsample: 2, mapChannels: 64, fineChannels: encoder.fineFeatureCount,
                fineMapChannels: encoder.fineChannels, headChannels: encoder.headChannels,
                attributeGroups: attributes.map(\.count), offsetMaps: true, jointCount: joints,
                placeMatch: true, relations: true))
    }
}
