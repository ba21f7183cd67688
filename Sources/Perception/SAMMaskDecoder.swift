// SAM's mask decoder (Kirillov et al. 2023): prompt and output tokens attend to the picture's embedding, and it to
// them, in two-way blocks. Each mask token becomes the weights of an inner product with the upscaled embedding.
// Matches transformers 4.57.1, SamMaskDecoder; proven by VitrailTests. Two additions for small networks are off unless
// the configuration asks for them: a skip from the picture, and coordinates relative to the prompt.
public import NN
public import Torch

/// Attention whose heads together may be narrower than the tokens.
struct SAMAttention {
    let q: Linear
    let k: Linear
    let v: Linear
    let out: Linear
    let heads: Int

    init(_ path: ParameterPath, _ width: Int, inner: Int, heads: Int) throws {
        q = try Linear(path["q_proj"], width, inner)
        k = try Linear(path["k_proj"], width, inner)
        v = try Linear(path["v_proj"], width, inner)
        out = try Linear(path["out_proj"], inner, width)
        self.heads = heads
    }

    /// `query` [b, p or 1, n, width], `key` and `value` [b, p or 1, m, width]. An axis of 1 is shared by all prompts,
    /// and is computed once.
    func callAsFunction(_ query: Tensor, _ key: Tensor, _ value: Tensor) throws -> Tensor {
        let (queries, keys, values) = (try split(q(query)), try split(k(key)), try split(v(value)))
        let scale = 1 / Double(queries.size(-1)).squareRoot()
        let scores = try matmul(queries * scale, keys.transposed(3, 4))
        let read = try matmul(scores.softmax(-1).to(values.dtype), values)
        return try out(read.transposed(2, 3).flattened(3))
    }

    /// [b, p, n, inner] to [b, p, heads, n, inner / heads].
    private func split(_ x: Tensor) throws -> Tensor {
        try x.unflattened(3, [heads, x.size(3) / heads]).transposed(2, 3)
    }
}

struct SAMTwoWayBlock {
    let selfAttention: SAMAttention
    let norm1: LayerNorm
    let tokensToImage: SAMAttention
    let norm2: LayerNorm
    let lin1: Linear
    let lin2: Linear
    let norm3: LayerNorm
    let norm4: LayerNorm
    let imageToTokens: SAMAttention
    let isFirst: Bool

    init(_ path: ParameterPath, _ configuration: SAMMaskDecoderConfiguration, isFirst: Bool) throws {
        let (width, heads) = (configuration.hiddenSize, configuration.numAttentionHeads)
        let (inner, epsilon) = (width / configuration.blockDownsampleRate, configuration.layerNormEps)
        selfAttention = try SAMAttention(path["self_attn"], width, inner: width, heads: heads)
        norm1 = try LayerNorm(path["layer_norm1"], width, epsilon: epsilon)
        tokensToImage = try SAMAttention(
            path["cross_attn_token_to_image"], width, inner: inner, heads: heads)
        norm2 = try LayerNorm(path["layer_norm2"], width, epsilon: epsilon)
        lin1 = try Linear(path["mlp"]["lin1"], width, configuration.mlpDim)
        lin2 = try Linear(path["mlp"]["lin2"], configuration.mlpDim, width)
        norm3 = try LayerNorm(path["layer_norm3"], width, epsilon: epsilon)
        norm4 = try LayerNorm(path["layer_norm4"], width, epsilon: epsilon)
        imageToTokens = try SAMAttention(
            path["cross_attn_image_to_token"], width, inner: inner, heads: heads)
        self.isFirst = isFirst
    }

    /// `tokens` [b, p, t, width] with their `places`, `image` [b, p or 1, cells, width] with the grid's.
    func callAsFunction(_ tokens: Tensor, _ image: Tensor, places: Tensor, grid: Tensor) throws
        -> (tokens: Tensor, image: Tensor)
    {
        var t = tokens
        if isFirst {
            // In the first block the tokens are still equal to their places.
            t = try norm1(selfAttention(t, t, t))
        } else {
            let query = try t + places
            t = try norm1(t + selfAttention(query, query, t))
        }
        let key = try image + grid
        t = try norm2(t + tokensToImage(t + places, key, image))
        t = try norm3(t + lin2(lin1(t).relu()))
        let change = try imageToTokens(key, t + places, t)
        return (t, try norm4(image + change))
    }
}

/// Linear layers with ReLU between them.
struct SAMFeedForward: Layer {
    let layers: [Linear]

    init(_ path: ParameterPath, _ input: Int, _ hidden: Int, _ output: Int, depth: Int) throws {
        let first = try Linear(path["proj_in"], input, hidden)
        let last = try Linear(path["proj_out"], hidden, output)
        let middle = try (0..<depth - 2).map { try Linear(path["layers"][$0], hidden, hidden) }
        layers = [first] + middle + [last]
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try layers.last!(layers.dropLast().reduce(x) { try $1($0).relu() })
    }
}

/// Masks of b pictures for p prompts each. The first mask is for a single answer; the others are for prompts that may
/// mean several things.
public struct SAMMasks {
    /// [b, p, masks, 4 grid, 4 grid], above 0 where the thing is.
    public let logits: Tensor
    /// [b, p, masks]: the predicted IoU of each mask with the thing.
    public let scores: Tensor

    /// The masks that SAM's `multimask_output` selects.
    public func chosen(multimask: Bool) throws -> SAMMasks {
        let count = scores.size(2)
        let (start, length) = multimask ? (1, count - 1) : (0, 1)
        return SAMMasks(
            logits: try logits.narrowed(2, start, length), scores: try scores.narrowed(2, start, length))
    }
}

/// SAM's mask decoder.
public final class SAMMaskDecoder {
    public let configuration: SAMMaskDecoderConfiguration
    let scoreToken: Tensor
    let maskTokens: Tensor
    let blocks: [SAMTwoWayBlock]
    let finalAttention: SAMAttention
    let finalNorm: LayerNorm
    let upscale1: ConvTransposed2d
    let upscale2: ConvTransposed2d
    let upscaleNorm: LayerNorm
    let hypernetworks: [SAMFeedForward]
    let scoreHead: SAMFeedForward
    let skip: Conv2d?
    let boxes: Conv2d?
    let points: Conv2d?
    let refine: Conv2d?

    /// Channels of the coordinates relative to a box.
    static let boxChannels = 5

    /// - Parameters:
    ///   - path: where the parameters are registered.
    ///   - configuration: the sizes.
    ///   - skipChannels: of the encoder's fine map; 0 for none.
    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: SAMMaskDecoderConfiguration, skipChannels: Int) throws
    {
        try configuration.check()
        let (width, masks) = (configuration.hiddenSize, configuration.numMultimaskOutputs + 1)
        let transformer = path["transformer"]
        scoreToken = try path["iou_token"].parameter("weight", [1, width], .normal(std: 1))
        maskTokens = try path["mask_tokens"].parameter("weight", [masks, width], .normal(std: 1))
        blocks = try (0..<configuration.numHiddenLayers).map {
            try SAMTwoWayBlock(transformer["layers"][$0], configuration, isFirst: $0 == 0)
        }
        finalAttention = try SAMAttention(
            transformer["final_attn_token_to_image"], width,
            inner: width / configuration.attentionDownsampleRate,
            heads: configuration.numAttentionHeads)
        finalNorm = try LayerNorm(transformer["layer_norm_final_attn"], width)
        upscale1 = try ConvTransposed2d(path["upscale_conv1"], width, width / 4, kernel: 2, stride: 2)
        upscale2 = try ConvTransposed2d(path["upscale_conv2"], width / 4, width / 8, kernel: 2, stride: 2)
        upscaleNorm = try LayerNorm(path["upscale_layer_norm"], width / 4, epsilon: 1e-6)
        hypernetworks = try (0..<masks).map {
            try SAMFeedForward(path["output_hypernetworks_mlps"][$0], width, width, width / 8, depth: 3)
        }
        scoreHead = try SAMFeedForward(
            path["iou_prediction_head"], width, configuration.iouHeadHiddenDim, masks,
            depth: configuration.iouHeadDepth)
        let (hasBoxes, hasPoints) = (configuration.boxCoordinates, configuration.pointCoordinates)
        let channels = width / 8
        skip = skipChannels > 0 ? try Conv2d(path["skip"], skipChannels, channels, kernel: 1) : nil
        boxes = hasBoxes ? try Conv2d(path["boxes"], Self.boxChannels, channels, kernel: 1) : nil
        points = hasPoints ? try Conv2d(path["points"], Self.boxChannels, channels, kernel: 1) : nil
        refine =
            skipChannels > 0 || hasBoxes || hasPoints
            ? try Conv2d(path["refine"], channels, channels, kernel: 3, padding: 1) : nil
        self.configuration = configuration
    }

    /// Starts the attention between tokens and picture as similarity, with equal, orthonormal query and key rows. So
    /// the token of a prompt first attends to the cell at its own place. The codes of places are almost orthogonal,
    /// and from random rows they are hardly ever found.
    public func initialise(_ generator: Generator) throws {
        let width = configuration.hiddenSize
        try withoutGrad {
            for attention in blocks.flatMap({ [$0.tokensToImage, $0.imageToTokens] }) + [finalAttention] {
                let random = try Tensor.randn(
                    [width, attention.q.weight.size(0)], generator: generator)
                let rows = try orthonormal(random).transposed(0, 1) * 2
                try attention.q.weight.copy(from: rows)
                try attention.k.weight.copy(from: rows)
            }
        }
    }

    /// - Parameters:
    ///   - embedding: [b, width, grid, grid], the picture's.
    ///   - fine: the encoder's map for the skip, where there is one.
    ///   - prompts: what is asked.
    ///   - promptBoxes: [b, p, 4] in 0...1 of the input, for the coordinates relative to them.
    ///   - promptPoints: [b, p, 2] in 0...1 of the input, the first point of prompts without a box, for the same
    ///     purpose.
    ///   - grid: [cells, width], the grid's positions.
    public func callAsFunction(
        _ embedding: Tensor, fine: Tensor?, prompts: SAMPromptEmbeddings, boxes promptBoxes: Tensor?,
        points promptPoints: Tensor?, grid: Tensor
    ) throws -> SAMMasks {
        let (b, width, side, _) = embedding.shape4
        let p = prompts.sparse?.size(1) ?? prompts.dense.size(1)
        let count = maskTokens.size(0)
        let outputs = try Tensor.cat([scoreToken, maskTokens]).expanded(b, p, 1 + count, width)
        let places = try prompts.sparse.map { try Tensor.cat([outputs, $0], axis: 2) } ?? outputs
        var tokens = places
        var image = try cellRows(embedding).unsqueezed(1) + prompts.dense
        for block in blocks { (tokens, image) = try block(tokens, image, places: places, grid: grid) }
        tokens = try finalNorm(tokens + finalAttention(tokens + places, image + grid, image))

        image = try image.expanded(b, p, side * side, width).reshaped(b * p, side, side, width)
        var maps = try upscale1(image.permuted(0, 3, 1, 2))
        maps = try upscaleNorm(maps.permuted(0, 2, 3, 1)).permuted(0, 3, 1, 2).gelu()
        maps = try upscale2(maps)
        let (channels, fineSide) = (width / 8, 4 * side)
        maps = try maps.reshaped([b, p, channels, fineSide, fineSide])
        if let skip, let fine { maps = try maps + skip(fine).unsqueezed(1) }
        if let boxes, let promptBoxes {
            let places = try boxes(Self.coordinates(promptBoxes, fineSide).to(maps.dtype))
            maps = try maps + places.reshaped([b, p, channels, fineSide, fineSide])
        }
        if let points, let promptPoints {
            // A square of a quarter of the picture around the point takes the place of the box.
            let square = try Tensor.cat([promptPoints - 0.125, promptPoints + 0.125], axis: -1)
            let places = try points(Self.coordinates(square, fineSide).to(maps.dtype))
            maps = try maps + places.reshaped([b, p, channels, fineSide, fineSide])
        }
        maps = try maps.flattened(0, 1).gelu()
        if let refine { maps = try refine(maps).relu() }

        let weights = try Tensor.stack(
            hypernetworks.enumerated().map { try $1(tokens[.all, .all, 1 + $0]) }, axis: 2)
        let logits = try matmul(weights, maps.reshaped(b, p, channels, fineSide * fineSide))
        return SAMMasks(
            logits: try logits.reshaped([b, p, count, fineSide, fineSide]),
            scores: try scoreHead(tokens[.all, .all, 0]))
    }

    /// [b * p, 5, side, side]: the distance of each cell from the four sides of a box, in units of the box's size, and
    /// from its border, in eighths of the picture; positive inside.
    private static func coordinates(_ boxes: Tensor, _ side: Int) throws -> Tensor {
        let (b, p, _) = boxes.shape3
        let line = try (Tensor.arange(0, Double(side), device: boxes.device) + 0.5) / Double(side)
        let corners = try boxes.reshaped([b * p, 4, 1, 1])
        func corner(_ index: Int) throws -> Tensor { try corners[.all, index] }
        let (x, y) = (try line.reshaped([1, 1, side]), try line.reshaped([1, side, 1]))
        let shape = [b * p, side, side]
        let sides = try [x - corner(0), y - corner(1), corner(2) - x, corner(3) - y].map {
            try $0.expanded(shape)
        }
        let (width, height) = (try corner(2) - corner(0), try corner(3) - corner(1))
        let border = try minimum(minimum(sides[0], sides[2]), minimum(sides[1], sides[3])) * 8
        let own = try sides.enumerated().map {
            try ($1 / ($0 % 2 == 0 ? width : height)).clamped(min: -1, max: 2)
        }
        return try Tensor.stack(own + [border.clamped(min: -1, max: 1)], axis: 1)
    }
}

/// The `mask_decoder_config` of Hugging Face's `SamConfig`.
public struct SAMMaskDecoderConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    public var hiddenSize: Int
    public var mlpDim: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    /// The factor by which the last attention between tokens and picture is narrower than the tokens.
    public var attentionDownsampleRate: Int
    /// The same factor for the blocks: 2 in transformers, whatever `attention_downsample_rate` says.
    public var blockDownsampleRate: Int
    public var numMultimaskOutputs: Int
    public var iouHeadDepth: Int
    public var iouHeadHiddenDim: Int
    public var layerNormEps: Double
    /// Whether the upscaled maps get the coordinates of each cell relative to the prompt's box; false is SAM's own
    /// design.
    public var boxCoordinates: Bool
    /// The same for the first point of a prompt without a box.
    public var pointCoordinates: Bool

    public init(
        hiddenSize: Int = 256, mlpDim: Int = 2048, numHiddenLayers: Int = 2, numAttentionHeads: Int = 8,
        attentionDownsampleRate: Int = 2, blockDownsampleRate: Int = 2, numMultimaskOutputs: Int = 3,
        iouHeadDepth: Int = 3,
        iouHeadHiddenDim: Int = 256, layerNormEps: Double = 1e-6, boxCoordinates: Bool = false,
        pointCoordinates: Bool = false
    ) {
        self.hiddenSize = hiddenSize
        self.mlpDim = mlpDim
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.attentionDownsampleRate = attentionDownsampleRate
        self.blockDownsampleRate = blockDownsampleRate
        self.numMultimaskOutputs = numMultimaskOutputs
        self.iouHeadDepth = iouHeadDepth
        self.iouHeadHiddenDim = iouHeadHiddenDim
        self.layerNormEps = layerNormEps
        self.boxCoordinates = boxCoordinates
        self.pointCoordinates = pointCoordinates
    }

    enum CodingKeys: String, CodingKey {
        case hiddenSize = "hidden_size"
        case mlpDim = "mlp_dim"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case attentionDownsampleRate = "attention_downsample_rate"
        case blockDownsampleRate = "block_downsample_rate"
        case numMultimaskOutputs = "num_multimask_outputs"
        case iouHeadDepth = "iou_head_depth"
        case iouHeadHiddenDim = "iou_head_hidden_dim"
        case layerNormEps = "layer_norm_eps"
        case boxCoordinates = "box_coordinates"
        case pointCoordinates = "point_coordinates"
    }

    /// Absent fields take the defaults of transformers' `SamMaskDecoderConfig`.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func value<Value: Decodable>(_ key: CodingKeys, _ standard: Value) throws -> Value {
            try values.decodeIfPresent(Value.self, forKey: key) ?? standard
        }
        try requireActivation("relu", in: decoder)
        hiddenSize = try value(.hiddenSize, 256)
        mlpDim = try value(.mlpDim, 2048)
        numHiddenLayers = try value(.numHiddenLayers, 2)
        numAttentionHeads = try value(.numAttentionHeads, 8)
        attentionDownsampleRate = try value(.attentionDownsampleRate, 2)
        blockDownsampleRate = try value(.blockDownsampleRate, 2)
        numMultimaskOutputs = try value(.numMultimaskOutputs, 3)
        iouHeadDepth = try value(.iouHeadDepth, 3)
        iouHeadHiddenDim = try value(.iouHeadHiddenDim, 256)
        layerNormEps = try value(.layerNormEps, 1e-6)
        boxCoordinates = try value(.boxCoordinates, false)
        pointCoordinates = try value(.pointCoordinates, false)
    }

    public func check() throws {
        let check = ConfigurationCheck("mask_decoder_config")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.within(1...64, ["num_multimask_outputs": numMultimaskOutputs])
        try check.within(0...1, ["layer_norm_eps": layerNormEps])
        try check.positive([
            "mlp_dim": mlpDim, "attention_downsample_rate": attentionDownsampleRate,
            "block_downsample_rate": blockDownsampleRate, "iou_head_hidden_dim": iouHeadHiddenDim,
        ])
        try check.within(8...ConfigurationCheck.sizes.upperBound, ["hidden_size": hiddenSize])
        try check.heads(numAttentionHeads, width: hiddenSize)
        for rate in [attentionDownsampleRate, blockDownsampleRate] {
            try check.multiple("hidden_size", hiddenSize, of: rate)
            try check.heads(numAttentionHeads, width: hiddenSize / rate)
        }
        try check.within(2...64, ["iou_head_depth": iouHeadDepth])
    }
}
