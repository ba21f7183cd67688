// SAM's image encoder (Kirillov et al. 2023, arXiv 2304.02643): a ViT of windowed and a few global attention layers
// with decomposed relative positions, and a convolutional neck.
// Matches transformers 4.57.1, SamVisionEncoder; proven by EncodersTests.
public import NN
public import Torch

/// Normalises the channels of [n, c, h, w].
public struct LayerNorm2d: Layer {
    let norm: LayerNorm

    public init(_ path: ParameterPath, _ channels: Int, epsilon: Double = 1e-6) throws {
        norm = try LayerNorm(path, channels, epsilon: epsilon)
    }

    public func callAsFunction(_ x: Tensor) throws -> Tensor {
        try norm(x.permuted(0, 2, 3, 1)).permuted(0, 3, 1, 2)
    }
}

/// Attention in windows, or over the whole grid, with relative positions by row and by column.
struct SAMVisionAttention {
    let qkv: Linear
    let proj: Linear
    let relativeRows: Tensor?
    let relativeColumns: Tensor?
    let heads: Int
    /// The rows, and columns, of a window; those of the whole grid if there are no windows.
    let side: Int

    /// The most scores, and projected numbers, in memory at once. Few of them stay in a core's cache between the
    /// steps. A few megabytes are also reused by the allocator, where larger blocks come from the system each time.
    /// All scores of 4,096 tokens would take a gigabyte.
    private static let scoreLimit = 1 << 21
    static let numberLimit = 1 << 22

    init(_ path: ParameterPath, _ configuration: SAMVisionConfiguration, side: Int) throws {
        let width = configuration.hiddenSize
        heads = configuration.numAttentionHeads
        qkv = try Linear(path["qkv"], width, 3 * width, bias: configuration.qkvBias)
        proj = try Linear(path["proj"], width, width)
        let shape = [2 * side - 1, width / heads]
        relativeRows = configuration.useRelPos ? try path.parameter("rel_pos_h", shape, .zeros) : nil
        relativeColumns = configuration.useRelPos ? try path.parameter("rel_pos_w", shape, .zeros) : nil
        self.side = side
    }

    /// [b, grid, grid, width], as many rows as columns.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let (b, grid, _, width) = x.shape4
        let perRow = 3 * b * side * grid * width
        return try inParts(x, axis: 1, max(1, Self.numberLimit / perRow) * side, windows)
    }

    /// [b, rows, columns, width]: whole rows of windows, without the padding beyond the grid.
    private func windows(_ x: Tensor) throws -> Tensor {
        let (b, h, w, width) = x.shape4
        let (rows, columns) = ((h + side - 1) / side, (w + side - 1) / side)
        let (n, e) = (side * side, width / heads)
        // Cells beyond the grid pad its last windows. They are zeros, whose projection is the bias, and their outputs
        // are dropped. So neither projection is computed for them.
        var projected = try qkv(x)
        let empty = try qkv.bias ?? Tensor.zeros([3 * width], dtype: x.dtype, device: x.device)
        for (axis, missing) in [(1, rows * side - h), (2, columns * side - w)] where missing > 0 {
            var shape = projected.shape
            shape[axis] = missing
            projected = try Tensor.cat(
                [projected, empty.to(projected.dtype).expanded(shape)], axis: axis)
        }
        let parts = try projected.reshaped([b, rows, side, columns, side, 3, heads, e])
            .permuted(5, 0, 1, 3, 6, 2, 4, 7).reshaped(3, b * rows * columns * heads, n, e)
        let query = try parts[0] * (1 / Double(e).squareRoot())
        // The bias of query q and key k is rows[q, row of k] + columns[q, column of k].
        var bias: (rows: Tensor, columns: Tensor)?
        if let relativeRows, let relativeColumns {
            let cells = try parts[0].reshaped(-1, side, side, e)
            let byRow = try einsum("bhwc,hkc->bhwk", cells, table(relativeRows))
            let byColumn = try einsum("bhwc,wkc->bhwk", cells, table(relativeColumns))
            bias = try (
                byRow.to(query.dtype).reshaped([-1, n, side]),
                byColumn.to(query.dtype).reshaped([-1, n, side])
            )
        }
        let attended =
            try n * n > Self.scoreLimit
            ? attendInParts(query, parts[1], parts[2], bias) : attend(query, parts[1], parts[2], bias)
        let read = try attended.reshaped([b, rows, columns, heads, side, side, e])
            .permuted(0, 1, 4, 2, 5, 3, 6).reshaped(b, rows * side, columns * side, width)
        return try proj(read[.all, ..<h, ..<w])
    }

    /// Softmax attention of many windows and heads [windows and heads, n, channels], as many at once as the limit
    /// allows.
    ///
    /// For heads of few channels this is several times faster on the CPU than libtorch's fused attention.
    private func attend(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, _ bias: (rows: Tensor, columns: Tensor)?
    ) throws -> Tensor {
        var (query, key) = (query, key)
        let (count, n, _) = query.shape3
        if let bias {
            // The bias comes out of the same product: it is further channels of the query, and the keys have one-hot
            // channels for their row and column.
            let eye = try Tensor.eye(side, dtype: key.dtype, device: key.device)
            let place = try Tensor.cat(
                [eye.repeatedInterleaved(side, axis: 0), eye.repeated(side, 1)], axis: 1)
            query = try Tensor.cat([query, bias.rows, bias.columns], axis: 2)
            key = try Tensor.cat([key, place.expanded(count, n, 2 * side)], axis: 2)
        }
        let together = max(1, Self.scoreLimit / (n * n))
        let parts = try stride(from: 0, to: count, by: together).map { first in
            func part(_ x: Tensor) throws -> Tensor { try x.narrowed(0, first, min(together, count - first)) }
            if !isGradEnabled && query.dtype == .float32 {
                // Windows and heads become the heads of one attention.
                return try scaledDotProductAttention(
                    part(query).unsqueezed(0), part(key).unsqueezed(0), part(value).unsqueezed(0), scale: 1)[
                        0]
            }
            let weights = try matmul(part(query), part(key).transposed(1, 2)).softmax(-1).to(value.dtype)
            return try matmul(weights, part(value))
        }
        return try parts.count == 1 ? parts[0] : Tensor.cat(parts)
    }

    /// The same for windows whose scores exceed the limit: head by head, some queries at a time.
    ///
    /// These products are large enough for ``linear(_:_:_:)``, which in float32 is faster than batched products. As
    /// channels, the bias would more than double their number.
    private func attendInParts(
        _ query: Tensor, _ key: Tensor, _ value: Tensor, _ bias: (rows: Tensor, columns: Tensor)?
    ) throws -> Tensor {
        let (count, n, _) = query.shape3
        let values = try value.transposed(1, 2).contiguous()
        let length = max(1, Self.scoreLimit / n)
        return try Tensor.stack(
            (0..<count).map { window in
                let (key, value) = (try key[window], try values[window])
                return try Tensor.cat(
                    stride(from: 0, to: n, by: length).map { first in
                        func part(_ x: Tensor) throws -> Tensor {
                            try x[window].narrowed(0, first, min(length, n - first))
                        }
                        let scores = try linear(part(query), key)
                        if let bias {
                            let cells = try scores.view([-1, side, side])
                            try cells.add_(part(bias.rows).unsqueezed(2))
                            try cells.add_(part(bias.columns).unsqueezed(1))
                        }
                        return try linear(scores.softmax(-1).to(value.dtype), value)
                    })
            })
    }

    /// [query place, key place, channels].
    private func table(_ embeddings: Tensor) throws -> Tensor {
        let offsets = (0..<side).flatMap { query in (0..<side).map { query - $0 + side - 1 } }
        return try embeddings.indexSelected(0, Tensor(offsets).to(embeddings.device)).reshaped([
            side, side, -1,
        ])
    }
}

struct SAMVisionLayer {
    let norm1: LayerNorm
    let attention: SAMVisionAttention
    let norm2: LayerNorm
    let mlp: MLP

    /// - Parameters:
    ///   - path: where the parameters are registered.
    ///   - configuration: the sizes.
    ///   - side: the rows, and columns, of the layer's attention.
    init(_ path: ParameterPath, _ configuration: SAMVisionConfiguration, side: Int) throws {
        let width = configuration.hiddenSize
        norm1 = try LayerNorm(path["layer_norm1"], width, epsilon: configuration.layerNormEps)
        attention = try SAMVisionAttention(path["attn"], configuration, side: side)
        norm2 = try LayerNorm(path["layer_norm2"], width, epsilon: configuration.layerNormEps)
        mlp = try MLP(path["mlp"], width, configuration.mlpDim, width, names: ("lin1", "lin2"))
    }

    /// [b, rows, columns, width].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let attended = try x + attention(norm1(x))
        let perRow = attended.size(0) * attended.size(2) * mlp.fc1.weight.size(0)
        let length = max(1, SAMVisionAttention.numberLimit / perRow)
        return try inParts(attended, axis: 1, length) { try mlp(norm2($0), plus: $0) }
    }
}

/// Runs `body` on parts of an axis, each of at most `length`, and joins the results.
private func inParts(_ x: Tensor, axis: Int, _ length: Int, _ body: (Tensor) throws -> Tensor) throws
    -> Tensor
{
    let count = x.size(axis)
    if count <= length { return try body(x) }
    return try Tensor.cat(
        stride(from: 0, to: count, by: length).map {
            try body(x.narrowed(axis, $0, min(length, count - $0)))
        }, axis: axis)
}

/// The features of a picture for SAM's decoder.
public struct SAMFeatures {
    /// [b, output channels, grid, grid].
    public let embedding: Tensor
    /// [b, skip channels, 4 grid, 4 grid]; nil without the skip.
    public let fine: Tensor?

    public init(embedding: Tensor, fine: Tensor?) {
        self.embedding = embedding
        self.fine = fine
    }
}

/// SAM's image encoder.
public final class SAMVision {
    public let configuration: SAMVisionConfiguration
    let patches: Conv2d
    let positions: Tensor?
    let layers: [SAMVisionLayer]
    let neck1: Conv2d
    let neckNorm1: LayerNorm2d
    let neck2: Conv2d
    let neckNorm2: LayerNorm2d
    let skip: [Conv2d]

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: SAMVisionConfiguration) throws {
        try configuration.check()
        let (width, side) = (configuration.hiddenSize, configuration.gridSize)
        let (patch, output) = (configuration.patchSize, configuration.outputChannels)
        patches = try Conv2d(
            path["patch_embed"]["projection"], configuration.numChannels, width, kernel: patch, stride: patch)
        positions =
            configuration.useAbsPos
            ? try path.parameter("pos_embed", [1, side, side, width], .normal(std: 0.02)) : nil
        layers = try (0..<configuration.numHiddenLayers).map {
            let isGlobal = configuration.windowSize == 0 || configuration.globalAttnIndexes.contains($0)
            return try SAMVisionLayer(
                path["layers"][$0], configuration, side: isGlobal ? side : configuration.windowSize)
        }
        let neck = path["neck"]
        neck1 = try Conv2d(neck["conv1"], width, output, kernel: 1, bias: false)
        neckNorm1 = try LayerNorm2d(neck["layer_norm1"], output)
        neck2 = try Conv2d(neck["conv2"], output, output, kernel: 3, padding: 1, bias: false)
        neckNorm2 = try LayerNorm2d(neck["layer_norm2"], output)
        let (channels, stride) = (configuration.skipChannels, patch / 4)
        skip =
            channels > 0
            ? [
                try Conv2d(
                    path["skip"]["conv1"], configuration.numChannels, channels, kernel: 2 * stride + 1,
                    stride: stride, padding: stride),
                try Conv2d(path["skip"]["conv2"], channels, channels, kernel: 3, padding: 1),
            ] : []
        self.configuration = configuration
    }

    /// Encodes normalised pixels [b, channels, image size, image size], 0 beside the picture.
    public func callAsFunction(_ pixels: Tensor) throws -> SAMFeatures {
        let pixels = try pixels.contiguous(.channelsLast)
        let x = try layers.reduce(embed(pixels)) { try $1($0) }
        let maps = try neckNorm1(neck1(x.permuted(0, 3, 1, 2)))
        let embedding = try neckNorm2(neck2(maps))
        let fine = skip.isEmpty ? nil : try skip[1](skip[0](pixels).gelu())
        return SAMFeatures(embedding: embedding, fine: fine)
    }

    /// The input of the first layer and the output of each layer: [b, grid, grid, width] each.
    public func hiddenStates(_ pixels: Tensor) throws -> [Tensor] {
        try layers.reduce(into: [embed(pixels)]) { states, layer in states.append(try layer(states.last!)) }
    }

    private func embed(_ pixels: Tensor) throws -> Tensor {
        let x = try patches(pixels).permuted(0, 2, 3, 1)
        return try positions.map { try x + $0 } ?? x
    }
}

/// The `vision_config` of Hugging Face's `SamConfig`.
public struct SAMVisionConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    public var hiddenSize: Int
    public var outputChannels: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    public var numChannels: Int
    public var imageSize: Int
    public var patchSize: Int
    public var layerNormEps: Double
    public var qkvBias: Bool
    public var mlpDim: Int
    public var useAbsPos: Bool
    public var useRelPos: Bool
    /// The side of a window. 0 for none: the attention of every layer covers the whole grid.
    public var windowSize: Int
    public var globalAttnIndexes: [Int]
    /// Half of the width of the position code that prompts and picture share.
    public var numPosFeats: Int
    /// Channels of a shallow convolution of the picture, at the resolution of the masks, which the decoder gets in
    /// addition to the embedding; 0 for none, as in SAM.
    public var skipChannels: Int

    /// Rows, and columns, of patches.
    public var gridSize: Int { imageSize / patchSize }

    public init(
        hiddenSize: Int = 768, outputChannels: Int = 256, numHiddenLayers: Int = 12,
        numAttentionHeads: Int = 12, numChannels: Int = 3, imageSize: Int = 1024, patchSize: Int = 16,
        layerNormEps: Double = 1e-6, qkvBias: Bool = true, mlpDim: Int = 3072, useAbsPos: Bool = true,
        useRelPos: Bool = true, windowSize: Int = 14, globalAttnIndexes: [Int] = [2, 5, 8, 11],
        numPosFeats: Int = 128, skipChannels: Int = 0
    ) {
        self.hiddenSize = hiddenSize
        self.outputChannels = outputChannels
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.numChannels = numChannels
        self.imageSize = imageSize
        self.patchSize = patchSize
        self.layerNormEps = layerNormEps
        self.qkvBias = qkvBias
        self.mlpDim = mlpDim
        self.useAbsPos = useAbsPos
        self.useRelPos = useRelPos
        self.windowSize = windowSize
        self.globalAttnIndexes = globalAttnIndexes
        self.numPosFeats = numPosFeats
        self.skipChannels = skipChannels
    }

    enum CodingKeys: String, CodingKey {
        case hiddenSize = "hidden_size"
        case outputChannels = "output_channels"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case numChannels = "num_channels"
        case imageSize = "image_size"
        case patchSize = "patch_size"
        case layerNormEps = "layer_norm_eps"
        case qkvBias = "qkv_bias"
        case mlpRatio = "mlp_ratio"
        case mlpDim = "mlp_dim"
        case useAbsPos = "use_abs_pos"
        case useRelPos = "use_rel_pos"
        case windowSize = "window_size"
        case globalAttnIndexes = "global_attn_indexes"
        case numPosFeats = "num_pos_feats"
        case skipChannels = "skip_channels"
    }

    /// Absent fields take the defaults of transformers' `SamVisionConfig`.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        func value<Value: Decodable>(_ key: CodingKeys, _ standard: Value) throws -> Value {
            try values.decodeIfPresent(Value.self, forKey: key) ?? standard
        }
        let standard = SAMVisionConfiguration()
        try requireActivation("gelu", in: decoder)
        let width = try value(.hiddenSize, standard.hiddenSize)
        let ratio = try value(.mlpRatio, 4.0)
        guard ConfigurationCheck.sizes.contains(width), ratio > 0, ratio < 1000 else {
            throw DecodingError.dataCorruptedError(
                forKey: .hiddenSize, in: values,
                debugDescription: "hidden_size is \(width) and mlp_ratio \(ratio), which make no layer")
        }
        self.init(
            hiddenSize: width, outputChannels: try value(.outputChannels, standard.outputChannels),
            numHiddenLayers: try value(.numHiddenLayers, standard.numHiddenLayers),
            numAttentionHeads: try value(.numAttentionHeads, standard.numAttentionHeads),
            numChannels: try value(.numChannels, standard.numChannels),
            imageSize: try value(.imageSize, standard.imageSize),
            patchSize: try value(.patchSize, standard.patchSize),
            layerNormEps: try value(.layerNormEps, standard.layerNormEps),
            qkvBias: try value(.qkvBias, standard.qkvBias),
            mlpDim: try value(.mlpDim, Int(Double(width) * ratio)),
            useAbsPos: try value(.useAbsPos, standard.useAbsPos),
            useRelPos: try value(.useRelPos, standard.useRelPos),
            windowSize: try value(.windowSize, standard.windowSize),
            globalAttnIndexes: try value(.globalAttnIndexes, standard.globalAttnIndexes),
            numPosFeats: try value(.numPosFeats, standard.numPosFeats),
            skipChannels: try value(.skipChannels, standard.skipChannels))
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(hiddenSize, forKey: .hiddenSize)
        try values.encode(outputChannels, forKey: .outputChannels)
        try values.encode(numHiddenLayers, forKey: .numHiddenLayers)
        try values.encode(numAttentionHeads, forKey: .numAttentionHeads)
        try values.encode(numChannels, forKey: .numChannels)
        try values.encode(imageSize, forKey: .imageSize)
        try values.encode(patchSize, forKey: .patchSize)
        try values.encode(layerNormEps, forKey: .layerNormEps)
        try values.encode(qkvBias, forKey: .qkvBias)
        try values.encode(mlpDim, forKey: .mlpDim)
        try values.encode(useAbsPos, forKey: .useAbsPos)
        try values.encode(useRelPos, forKey: .useRelPos)
        try values.encode(windowSize, forKey: .windowSize)
        try values.encode(globalAttnIndexes, forKey: .globalAttnIndexes)
        try values.encode(numPosFeats, forKey: .numPosFeats)
        try values.encode(skipChannels, forKey: .skipChannels)
    }

    public func check() throws {
        let check = ConfigurationCheck("vision_config")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.positive([
            "hidden_size": hiddenSize, "output_channels": outputChannels, "num_channels": numChannels,
            "mlp_dim": mlpDim, "num_pos_feats": numPosFeats,
        ])
        try check.within(ConfigurationCheck.sides, ["image_size": imageSize, "patch_size": patchSize])
        try check.within(0...ConfigurationCheck.sides.upperBound, ["window_size": windowSize])
        try check.within(0...1, ["layer_norm_eps": layerNormEps])
        try check.that(
            imageSize >= patchSize, "image_size is \(imageSize), below patch_size \(patchSize)")
        try check.heads(numAttentionHeads, width: hiddenSize)
        try check.within(0...4096, ["skip_channels": skipChannels])
        try check.that(
            skipChannels == 0 || patchSize % 4 == 0 && imageSize % patchSize == 0,
            "patch_size is \(patchSize), skip_channels needs a multiple of 4 that divides image_size \(imageSize)"
        )
    }
}
