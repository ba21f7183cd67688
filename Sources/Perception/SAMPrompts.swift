// SAM's prompt encoder (Kirillov et al. 2023): points, boxes and masks as tokens and maps of the decoder's width.
// Matches transformers 4.57.1, SamPromptEncoder and SamPositionalEmbedding; proven by VitrailTests.
public import NN
public import Torch

/// Places of 0...1 as random Fourier features, shared by picture and prompts.
public struct SAMPositions {
    let frequencies: Tensor

    public init(_ path: ParameterPath, features: Int) throws {
        frequencies = try path.parameter("positional_embedding", [2, features], .normal(std: 2))
    }

    /// [..., 2] of x and y to [..., 2 features] of float32.
    public func callAsFunction(_ places: Tensor) throws -> Tensor {
        // The phases can be large, so rounding errors show in the sines. Places keep the precision they were given in,
        // and the product is in float32 even under autocast.
        let device = frequencies.device
        let centred = try (places * 2 - 1).to(device: device, dtype: .float32)
        let phases = try withFullPrecision(on: device) {
            try matmul(centred, frequencies.to(.float32)) * (2 * Double.pi)
        }
        return try Tensor.cat([phases.sin(), phases.cos()], axis: -1)
    }

    /// The centres of a grid's cells: [side * side, 2 features].
    public func grid(_ side: Int) throws -> Tensor {
        let line = try (Tensor.arange(0, Double(side)) + 0.5) / Double(side)
        let x = try line.repeated(side)
        let y = try line.repeatedInterleaved(side, axis: 0)
        return try self(Tensor.stack([x, y], axis: 1))
    }
}

/// Prompts for b pictures, p for each, all of one form, in pixels of the encoder's input. Places may be float64, and
/// lie on the CPU even if the network is on another device.
public struct SAMPrompts {
    /// [b, p, n, 2]: x and y; and [b, p, n]: 1 on the thing, 0 off it, -1 for no point, -10 for padding.
    public var points: Tensor?
    public var labels: Tensor?
    /// [b, p, 4]: left, top, right, bottom.
    public var boxes: Tensor?
    /// [b, p, 4 grid, 4 grid]: logits of an earlier mask.
    public var masks: Tensor?

    public init(points: Tensor? = nil, labels: Tensor? = nil, boxes: Tensor? = nil, masks: Tensor? = nil) {
        self.points = points
        self.labels = labels
        self.boxes = boxes
        self.masks = masks
    }
}

/// Prompts as the decoder takes them.
public struct SAMPromptEmbeddings {
    /// [b, p, tokens, width]; nil when there are neither points nor boxes.
    public let sparse: Tensor?
    /// [b, p, cells, width], or [1, 1, 1, width] without a mask.
    public let dense: Tensor
}

/// SAM's prompt encoder.
public final class SAMPromptEncoder {
    public let configuration: SAMPromptEncoderConfiguration
    let conv1: Conv2d
    let conv2: Conv2d
    let conv3: Conv2d
    let norm1: LayerNorm
    let norm2: LayerNorm
    let noMask: Tensor
    /// Embeddings of a point off the thing, a point on it, and the top left and bottom right of a box. Further ones are
    /// held and not used.
    let kinds: [Tensor]
    let notAPoint: Tensor

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: SAMPromptEncoderConfiguration) throws {
        try configuration.check()
        let (width, channels) = (configuration.hiddenSize, configuration.maskInputChannels)
        let (mask, epsilon) = (path["mask_embed"], configuration.layerNormEps)
        conv1 = try Conv2d(mask["conv1"], 1, channels / 4, kernel: 2, stride: 2)
        conv2 = try Conv2d(mask["conv2"], channels / 4, channels, kernel: 2, stride: 2)
        conv3 = try Conv2d(mask["conv3"], channels, width, kernel: 1)
        norm1 = try LayerNorm(mask["layer_norm1"], channels / 4, epsilon: epsilon)
        norm2 = try LayerNorm(mask["layer_norm2"], channels, epsilon: epsilon)
        noMask = try path["no_mask_embed"].parameter("weight", [1, width], .normal(std: 0.02))
        kinds = try (0..<configuration.numPointEmbeddings).map {
            try path["point_embed"][$0].parameter("weight", [1, width], .normal(std: 1))
        }
        notAPoint = try path["not_a_point_embed"].parameter("weight", [1, width], .normal(std: 1))
        self.configuration = configuration
    }

    public func callAsFunction(_ prompts: SAMPrompts, _ positions: SAMPositions) throws -> SAMPromptEmbeddings
    {
        let size = Double(configuration.imageSize)
        var tokens: [Tensor] = []
        if let points = prompts.points, let labels = prompts.labels {
            var places = try points + 0.5
            var labels = labels
            if prompts.boxes == nil {
                // Without a box, a point of the kind "no point" fills its place.
                let (b, p, _, _) = places.shape4
                let nowhere = try Tensor.zeros([b, p, 1, 2], dtype: places.dtype, device: places.device)
                places = try Tensor.cat([places, nowhere], axis: 2)
                let none = try Tensor.full([b, p, 1], -1, dtype: labels.dtype, device: labels.device)
                labels = try Tensor.cat([labels, none], axis: 2)
            }
            let label = try labels.unsqueezed(-1)
            let placed = try positions(places / size).to(notAPoint.dtype)
            var embedded = try Tensor.where(label .== -1, notAPoint, placed)
            embedded = try embedded.maskedFilled(label .== -10, 0)
            for (kind, table) in kinds.prefix(2).enumerated() {
                embedded = try embedded + (label .== Double(kind)).to(table.dtype) * table
            }
            tokens.append(embedded)
        }
        if let boxes = prompts.boxes {
            let (b, p, _) = boxes.shape3
            let corners = try (boxes.reshaped([b, p, 2, 2]) + 0.5) / size
            let sides = try Tensor.cat([kinds[2], kinds[3]])
            tokens.append(try positions(corners).to(sides.dtype) + sides)
        }
        return SAMPromptEmbeddings(
            sparse: tokens.isEmpty ? nil : try Tensor.cat(tokens, axis: 2),
            dense: try prompts.masks.map(embed) ?? noMask.reshaped([1, 1, 1, -1]))
    }

    private func embed(_ masks: Tensor) throws -> Tensor {
        let (b, p, h, w) = masks.shape4
        func normalised(_ x: Tensor, _ norm: LayerNorm) throws -> Tensor {
            try norm(x.permuted(0, 2, 3, 1)).permuted(0, 3, 1, 2).gelu()
        }
        var x = try normalised(conv1(masks.reshaped(b * p, 1, h, w).to(noMask.dtype)), norm1)
        x = try normalised(conv2(x), norm2)
        return try cellRows(conv3(x)).reshaped(b, p, (h / 4) * (w / 4), -1)
    }
}

/// The `prompt_encoder_config` of Hugging Face's `SamConfig`.
public struct SAMPromptEncoderConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    public var hiddenSize: Int
    public var imageSize: Int
    public var patchSize: Int
    public var maskInputChannels: Int
    /// The number of kinds of points with an embedding. SAM has 4 and uses all of them.
    public var numPointEmbeddings: Int
    public var layerNormEps: Double

    public init(
        hiddenSize: Int = 256, imageSize: Int = 1024, patchSize: Int = 16, maskInputChannels: Int = 16,
        numPointEmbeddings: Int = 4, layerNormEps: Double = 1e-6
    ) {
        self.hiddenSize = hiddenSize
        self.imageSize = imageSize
        self.patchSize = patchSize
        self.maskInputChannels = maskInputChannels
        self.numPointEmbeddings = numPointEmbeddings
        self.layerNormEps = layerNormEps
    }

    public func check() throws {
        let check = ConfigurationCheck("prompt_encoder_config")
        try check.positive(["hidden_size": hiddenSize])
        try check.within(ConfigurationCheck.sides, ["image_size": imageSize, "patch_size": patchSize])
        try check.within(4...1024, ["num_point_embeddings": numPointEmbeddings])
        try check.multiple("mask_input_channels", maskInputChannels, of: 4)
        try check.within(0...1, ["layer_norm_eps": layerNormEps])
    }

    enum CodingKeys: String, CodingKey {
        case hiddenSize = "hidden_size"
        case imageSize = "image_size"
        case patchSize = "patch_size"
        case maskInputChannels = "mask_input_channels"
        case numPointEmbeddings = "num_point_embeddings"
        case layerNormEps = "layer_norm_eps"
    }

    /// Absent fields take the defaults of transformers' `SamPromptEncoderConfig`.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try requireActivation("gelu", in: decoder)
        hiddenSize = try values.decodeIfPresent(Int.self, forKey: .hiddenSize) ?? 256
        imageSize = try values.decodeIfPresent(Int.self, forKey: .imageSize) ?? 1024
        patchSize = try values.decodeIfPresent(Int.self, forKey: .patchSize) ?? 16
        maskInputChannels = try values.decodeIfPresent(Int.self, forKey: .maskInputChannels) ?? 16
        numPointEmbeddings = try values.decodeIfPresent(Int.self, forKey: .numPointEmbeddings) ?? 4
        layerNormEps = try values.decodeIfPresent(Double.self, forKey: .layerNormEps) ?? 1e-6
    }
}
