// The Segment Anything Model (Kirillov et al. 2023, arXiv 2304.02643) in the layout of transformers' `SamModel`, so
// a folder such as `facebook/sam-vit-huge` opens as it was downloaded. Proven by VitrailTests.
public import Checkpoints
public import Encoders
import Foundation
public import NN
public import Perception
public import Torch

/// SAM's networks: an image encoder, a prompt encoder and a mask decoder. ``Segmenter`` answers prompts.
public final class SAM {
    public let configuration: SAMConfiguration
    public let store: ParameterStore
    public let vision: SAMVision
    let positions: SAMPositions
    let promptEncoder: SAMPromptEncoder
    let decoder: SAMMaskDecoder

    /// The parameter that training does not change.
    package static let positionsName = "shared_image_embedding.positional_embedding"

    /// Opens a SAM in either of its layouts.
    ///
    /// - Parameters:
    ///   - path: a folder as Hugging Face has it, or the original file of weights, or a folder that holds it.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    /// - Throws: ``ModelError``, ``Checkpoints/CheckpointError`` or ``NN/ParameterError`` that names the file.
    public convenience init(contentsOf path: String, device: Device = .cpu, dtype: DType? = .float32) throws {
        try self.init(SAMCheckpoint(contentsOf: path), device: device, dtype: dtype)
    }

    /// Builds the networks of what was opened.
    ///
    /// - Parameters:
    ///   - checkpoint: where sizes and weights come from.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    ///   - productDType: what linear layers and convolutions are held and computed in; nil for `dtype`.
    ///   - isFixed: whether the parameters will never change; layers may then hold copies that are faster to use.
    /// - Throws: ``NN/ParameterError`` that lists what does not fit, ``NN/ConfigurationError`` for impossible sizes.
    public convenience init(
        _ checkpoint: SAMCheckpoint, device: Device = .cpu, dtype: DType? = .float32,
        productDType: DType? = nil, isFixed: Bool = false
    ) throws {
        try MemoryCheck.require(checkpoint.weights, as: dtype, on: device)
        try self.init(
            checkpoint.configuration,
            ParameterStore(
                .loaded(checkpoint.weights), device: device, dtype: dtype, productDType: productDType,
                isFixed: isFixed))
        try store.finish()
    }

    /// A model of random weights, to be trained.
    public convenience init(_ configuration: SAMConfiguration, seed: UInt64) throws {
        let generator = try Generator(seed: seed)
        try self.init(configuration, ParameterStore(.initialised(generator)))
        try decoder.initialise(generator)
    }

    /// The same network with shared parameters, but separate gradients.
    ///
    /// - Parameters:
    ///   - other: the network.
    ///   - device: the device of this one. On another device than the other's, the parameters are copies.
    public convenience init(sharing other: SAM, on device: Device? = nil) throws {
        try self.init(other.configuration, ParameterStore(sharing: other.store, on: device))
    }

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ configuration: SAMConfiguration, _ store: ParameterStore) throws {
        try configuration.check()
        let (vision, prompts) = (configuration.vision, configuration.promptEncoder)
        positions = try SAMPositions(store.root["shared_image_embedding"], features: vision.numPosFeats)
        self.vision = try SAMVision(store.root["vision_encoder"], vision)
        promptEncoder = try SAMPromptEncoder(store.root["prompt_encoder"], prompts)
        decoder = try SAMMaskDecoder(
            store.root["mask_decoder"], configuration.maskDecoder, skipChannels: vision.skipChannels)
        self.configuration = configuration
        self.store = store
    }

    /// Writes `config.json` and `model.safetensors`, the weights in `dtype`.
    ///
    /// - Throws: ``Checkpoints/CheckpointError`` when they cannot be written.
    public func save(to folder: String, dtype: DType = .bfloat16) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let tensors = try store.named.map { (name: $0.name, tensor: try $0.tensor.detached().to(dtype)) }
        try SafetensorsFile.write(tensors, metadata: ["format": "pt"], to: "\(folder)/model.safetensors")
        try ModelFolder.write(configuration, to: "\(folder)/config.json")
    }

    /// Encodes pictures.
    ///
    /// - Parameter pixels: [b, 3, image size, image size], normalised, 0 beside the picture.
    public func encode(_ pixels: Tensor) throws -> SAMFeatures { try vision(pixels) }

    /// All masks of the decoder, for prompts of one form. ``Perception/SAMMasks/chosen(multimask:)`` selects some of
    /// them.
    public func masks(_ prompts: SAMPrompts, _ features: SAMFeatures) throws -> SAMMasks {
        let (device, dtype) = (store.device, features.embedding.dtype)
        func shares(_ pixels: Tensor) throws -> Tensor {
            try (pixels / Double(configuration.vision.imageSize)).to(device: device, dtype: dtype)
        }
        let points = prompts.boxes == nil ? try prompts.points?[.all, .all, 0] : nil
        return try decoder(
            features.embedding, fine: features.fine, prompts: promptEncoder(prompts, positions),
            boxes: prompts.boxes.map(shares), points: points.map(shares),
            grid: positions.grid(configuration.vision.gridSize).to(dtype))
    }
}

/// A SAM on disk: its sizes, and where its weights are. No weights have been read.
public struct SAMCheckpoint {
    public let layout: CheckpointKind.Layout
    public let configuration: SAMConfiguration
    public let processor: SAMImageProcessor
    /// Under transformers' names.
    public let weights: RenamedSource
    /// The files of weights.
    public let files: [String]

    /// Opens either of SAM's layouts.
    ///
    /// - Parameter path: a folder as Hugging Face has it, or the original file of weights, or a folder that holds it.
    /// - Throws: ``ModelError`` or ``Checkpoints/CheckpointError`` that names the file.
    public init(contentsOf path: String) throws {
        let kind = try CheckpointKind(of: path)
        guard case .sam(let layout) = kind else {
            throw ModelError.notAModel(path, "\(kind.name), where a SAM is needed")
        }
        self.layout = layout
        switch layout {
        case .huggingFace:
            let checkpoint = try Checkpoint(contentsOf: path)
            configuration = try ModelFolder.read("\(path)/config.json", .sam)
            weights = try RenamedSource(checkpoint, .publishedSAM)
            files = checkpoint.files
            let size = configuration.vision.imageSize
            processor =
                try SAMImageProcessor(folder: path, imageSize: size) ?? SAMImageProcessor(imageSize: size)
        case .original:
            let checkpoint = try Checkpoint(contentsOf: CheckpointKind.originalSAM(at: path) ?? path)
            configuration = try SAMConfiguration(
                original: checkpoint.entries.mapValues(\.shape), label: checkpoint.label)
            try ModelFolder.check(configuration, of: checkpoint.label)
            weights = try RenamedSource(
                checkpoint, .originalSAM(scoreDepth: configuration.maskDecoder.iouHeadDepth))
            files = checkpoint.files
            processor = SAMImageProcessor(imageSize: configuration.vision.imageSize)
        }
    }
}

/// Hugging Face's `SamConfig`.
public struct SAMConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    public var vision: SAMVisionConfiguration
    public var promptEncoder: SAMPromptEncoderConfiguration
    public var maskDecoder: SAMMaskDecoderConfiguration

    public init(
        vision: SAMVisionConfiguration = .init(), promptEncoder: SAMPromptEncoderConfiguration = .init(),
        maskDecoder: SAMMaskDecoderConfiguration = .init()
    ) {
        self.vision = vision
        self.promptEncoder = promptEncoder
        self.maskDecoder = maskDecoder
    }

    /// The embedded segmenter's shape: pictures of 256 pixels, masks of 128 x 128.
    public static let mosaic = SAMConfiguration(
        vision: SAMVisionConfiguration(
            hiddenSize: 160, outputChannels: 128, numHiddenLayers: 6, numAttentionHeads: 5, imageSize: 256,
            patchSize: 8, mlpDim: 640, windowSize: 8, globalAttnIndexes: [3], numPosFeats: 64,
            skipChannels: 24),
        promptEncoder: SAMPromptEncoderConfiguration(hiddenSize: 128, imageSize: 256, patchSize: 8),
        maskDecoder: SAMMaskDecoderConfiguration(
            hiddenSize: 128, mlpDim: 512, iouHeadHiddenDim: 128, boxCoordinates: true,
            pointCoordinates: true))

    enum CodingKeys: String, CodingKey {
        case modelType = "model_type"
        case vision = "vision_config"
        case promptEncoder = "prompt_encoder_config"
        case maskDecoder = "mask_decoder_config"
    }

    /// Absent parts take the defaults of transformers' `SamConfig`.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func part<Part: Decodable>(_ key: CodingKeys, _ standard: Part) throws -> Part {
            try values.decodeIfPresent(Part.self, forKey: key) ?? standard
        }
        vision = try part(.vision, .init())
        promptEncoder = try part(.promptEncoder, .init())
        maskDecoder = try part(.maskDecoder, .init())
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode("sam", forKey: .modelType)
        try values.encode(vision, forKey: .vision)
        try values.encode(promptEncoder, forKey: .promptEncoder)
        try values.encode(maskDecoder, forKey: .maskDecoder)
    }

    /// Each part, and what they must agree on.
    public func check() throws {
        try vision.check()
        try promptEncoder.check()
        try maskDecoder.check()
        let width = promptEncoder.hiddenSize
        let check = ConfigurationCheck("SAM")
        try check.that(
            vision.outputChannels == width && maskDecoder.hiddenSize == width,
            "output_channels \(vision.outputChannels) and the hidden sizes \(width) and \(maskDecoder.hiddenSize) differ"
        )
        try check.that(
            2 * vision.numPosFeats == width,
            "num_pos_feats is \(vision.numPosFeats), half of hidden_size \(width) is needed")
        try check.that(
            vision.imageSize == promptEncoder.imageSize && vision.patchSize == promptEncoder.patchSize,
            "image_size or patch_size of vision_config and prompt_encoder_config differ")
        try check.that(vision.numChannels == 3, "num_channels is \(vision.numChannels), 3 is needed")
    }
}
