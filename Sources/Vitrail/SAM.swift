// The Segment Anything Model (Kirillov et al. 2023, arXiv 2304.02643) in the layout of transformers' `SamModel`, so
// that a folder such as `facebook/sam-vit-huge` opens as it was downloaded. Proven by VitrailTests.
import Checkpoints
public import Encoders
import Foundation
public import NN
public import Perception
public import Torch

/// SAM's networks: an image encoder, a prompt encoder and a mask decoder. ``Segmenter`` is what answers prompts.
public final class SAM {
    public let configuration: SAMConfiguration
    public let store: ParameterStore
    let vision: SAMVision
    let positions: SAMPositions
    let promptEncoder: SAMPromptEncoder
    let decoder: SAMMaskDecoder

    /// The parameter that training leaves alone.
    package static let positionsName = "shared_image_embedding.positional_embedding"

    /// Opens a folder with `config.json` and `model.safetensors`.
    ///
    /// - Parameters:
    ///   - folder: as Hugging Face lays it out.
    ///   - device: where the parameters will be.
    ///   - dtype: what the parameters are held in; nil keeps the file's.
    /// - Throws: ``ModelError``, ``Checkpoints/CheckpointError`` or ``NN/ParameterError`` that names the file.
    public convenience init(contentsOf folder: String, device: Device = .cpu, dtype: DType? = .float32) throws
    {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder) else {
            throw ModelError.missing(folder)
        }
        guard isFolder.boolValue else {
            throw ModelError.notAModel(folder, "a model is a folder, this is a file")
        }
        let path = "\(folder)/config.json"
        let kind: ModelKind = try ModelFolder.read(path)
        guard kind.model_type == nil || kind.model_type == "sam" else {
            throw ModelError.notAModel(path, "the model_type is \(kind.model_type!), sam is known")
        }
        let weights = Untied(file: try SafetensorsFile("\(folder)/model.safetensors"))
        try self.init(
            ModelFolder.read(path), ParameterStore(.loaded(weights), device: device, dtype: dtype))
        try store.finish()
    }

    /// A model of random weights, to be trained.
    public convenience init(_ configuration: SAMConfiguration, seed: UInt64) throws {
        try self.init(configuration, ParameterStore(.initialised(Generator(seed: seed))))
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

    /// Reads pictures.
    ///
    /// - Parameter pixels: [b, 3, image size, image size], normalised, 0 beside the picture.
    public func encode(_ pixels: Tensor) throws -> SAMFeatures { try vision(pixels) }

    /// Masks for prompts of one form; all of the decoder's, of which ``Perception/SAMMasks/chosen(multimask:)`` takes
    /// some.
    public func masks(_ prompts: SAMPrompts, _ features: SAMFeatures) throws -> SAMMasks {
        try decoder(
            features.embedding, fine: features.fine, prompts: promptEncoder(prompts, positions),
            boxes: prompts.boxes.map { try $0 / Double(configuration.vision.imageSize) },
            grid: positions.grid(configuration.vision.gridSize))
    }
}

private struct ModelKind: Decodable {
    let model_type: String?
}

/// Some checkpoints hold the shared positions a second time, under the prompt encoder's name.
private struct Untied: TensorSource {
    static let copy = "prompt_encoder.shared_embedding.positional_embedding"

    let file: SafetensorsFile
    var label: String { file.label }
    var names: [String] { file.names.filter { $0 != Self.copy } }
    func tensor(named name: String) throws -> Tensor? { try file.tensor(named: name) }
}

/// Hugging Face's `SamConfig`.
public struct SAMConfiguration: Codable, Sendable, Hashable {
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
            hiddenSize: 128, mlpDim: 512, iouHeadHiddenDim: 128, boxCoordinates: true))

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

    /// What the parts must agree on.
    fileprivate func check() throws {
        let width = promptEncoder.hiddenSize
        let check = ConfigurationCheck("SAM")
        try check.that(
            vision.outputChannels == width && maskDecoder.hiddenSize == width,
            "output_channels \(vision.outputChannels) and the hidden sizes \(width) and \(maskDecoder.hiddenSize) differ"
        )
        try check.that(
            (1...1_000_000).contains(vision.numPosFeats) && 2 * vision.numPosFeats == width,
            "num_pos_feats is \(vision.numPosFeats), half of hidden_size \(width) is needed")
        try check.that(
            vision.imageSize == promptEncoder.imageSize && vision.patchSize == promptEncoder.patchSize,
            "image_size or patch_size of vision_config and prompt_encoder_config differ")
        try check.that(vision.numChannels == 3, "num_channels is \(vision.numChannels), 3 is needed")
    }
}
