// Matches Tools/reference/lumen.py, HybridViT; proven by EncodersTests.
public import NN
public import Torch

/// A 3x3 convolution, a group norm and ReLU.
struct ConvNorm {
    let conv: Conv2d
    let norm: GroupNorm

    init(_ path: ParameterPath, _ input: Int, _ output: Int, stride: Int = 1, scale: Initializer = .ones)
        throws
    {
        conv = try Conv2d(path["conv"], input, output, kernel: 3, stride: stride, padding: 1, bias: false)
        norm = try GroupNorm(path["norm"], output, groups: 8, initializer: scale)
    }

    /// ReLU of the norm and `plus`.
    func callAsFunction(_ x: Tensor, plus: Tensor? = nil) throws -> Tensor {
        try norm(conv(x), plus: plus, relu: true)
    }
}

/// A residual block of two convolutions; it starts as the identity.
struct Residual: Layer {
    let a: ConvNorm
    let b: ConvNorm

    init(_ path: ParameterPath, _ channels: Int) throws {
        a = try ConvNorm(path["a"], channels, channels)
        b = try ConvNorm(path["b"], channels, channels, scale: .zeros)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try b(a(x), plus: x) }
}

/// A pre-norm transformer block.
struct ViTBlock: Layer {
    let norm1: LayerNorm
    let attention: SelfAttention
    let norm2: LayerNorm
    let mlp: MLP

    init(_ path: ParameterPath, _ width: Int, heads: Int) throws {
        norm1 = try LayerNorm(path["norm1"], width)
        attention = try SelfAttention(path["attention"], width, heads: heads)
        norm2 = try LayerNorm(path["norm2"], width)
        mlp = try MLP(path["mlp"], width, 4 * width, width)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try attention(norm1(x), plus: x)
        return try mlp(norm2(x), plus: x)
    }
}

/// The embedded model's encoder: a convolutional stem, a vision transformer at stride 8, and a finer map at
/// stride 4 with a dense head that names what is at each cell.
public final class HybridViT: ImageEncoder {
    public let configuration: HybridViTConfiguration
    public let sizes: ClosedRange<Int>
    let stem: [ConvNorm]
    let stage4: [Residual]
    let stage8: [Residual]
    let embed: Linear
    let positions: Tensor
    /// The transformer's blocks, in groups of adjacent ones that all see the whole picture, or all see windows of it.
    let runs: [(isGlobal: Bool, blocks: [ViTBlock])]
    let norm: LayerNorm
    let up: Linear
    let skip: Conv2d
    let fuse: ConvNorm
    let head: Conv2d
    let predict: Conv2d

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: HybridViTConfiguration) throws {
        try configuration.check()
        let width = configuration.hiddenSize
        let channels = configuration.stemChannels
        let fine = configuration.fineChannels
        let grid = configuration.imageSize / 8
        stem = try zip([3] + channels, channels).enumerated().map {
            try ConvNorm(path["stem"][$0], $1.0, $1.1, stride: 2)
        }
        stage4 = try (0..<2).map { try Residual(path["stage4"][$0], channels[1]) }
        stage8 = try (0..<2).map { try Residual(path["stage8"][$0], channels[2]) }
        embed = try Linear(path["embed"], channels[2], width)
        positions = try path.parameter("position_embedding", [1, grid * grid, width], .normal(std: 0.02))
        var runs: [(isGlobal: Bool, blocks: [ViTBlock])] = []
        for index in 0..<configuration.numHiddenLayers {
            let block = try ViTBlock(path["blocks"][index], width, heads: configuration.numAttentionHeads)
            let isGlobal = configuration.globalAttentionIndexes?.contains(index) ?? true
            if runs.last?.isGlobal != isGlobal { runs.append((isGlobal, [])) }
            runs[runs.count - 1].blocks.append(block)
        }
        self.runs = runs
        norm = try LayerNorm(path["norm"], width)
        up = try Linear(path["up"], width, 4 * fine)
        skip = try Conv2d(path["skip"], channels[1], fine, kernel: 1)
        fuse = try ConvNorm(path["fuse"], fine, fine)
        head = try Conv2d(path["head"], fine, configuration.headChannels, kernel: 3, padding: 1)
        predict = try Conv2d(
            path["predict"], configuration.headChannels,
            configuration.attributeCount + configuration.boxChannels, kernel: 1)
        self.configuration = configuration
        sizes = configuration.minImageSize...configuration.imageSize
    }

    /// Sets the initial values of a training from random weights, beyond those of the layers.
    public func initialise() throws {
        try withoutGrad {
            try predict.bias!.zero_()
            // Most cells hold no centre of anything. The focal loss needs initial values near that.
            try predict.bias!.assign(-4, at: 0..<configuration.attributes[0].count)
        }
    }

    public func normalized(_ pixels: Tensor) throws -> Tensor { try (pixels - 128.0) / 64.0 }

    public func callAsFunction(_ images: Tensor) throws -> ImageFeatures {
        // The output of a convolution has the dtype of its input: all maps are in the dtype of products.
        let low = stem[0].conv.productDType
        let images = try images.to(low ?? images.dtype).contiguous(.channelsLast)
        var f4 = try stem[1](stem[0](images))
        for block in stage4 { f4 = try block(f4) }
        var f8 = try stem[2](f4)
        for block in stage8 { f8 = try block(f8) }
        let (b, _, height, width) = f8.shape4
        let grid = (height: height, width: width)

        var tokens = try embed(cellRows(f8), plus: resizedPositions(positions, to: grid))
        for (isGlobal, blocks) in runs {
            tokens = try isGlobal ? through(blocks, tokens) : inWindows(tokens, of: grid, through: blocks)
        }
        tokens = try norm(tokens)

        // A pixel shuffle of 2 for channels-last maps.
        let fine = configuration.fineChannels
        let raised = try up(tokens).view([b, height, width, fine, 2, 2]).permuted(0, 1, 4, 2, 5, 3)
            .reshaped(b, 2 * height, 2 * width, fine).permuted(0, 3, 1, 2)
        let map = try fuse(skip(f4, plus: raised.to(f4.dtype), relu: true))
        let seen = try head(map, relu: true)
        let dense = try predict(seen).to(.float32)

        var start = 0
        var probabilities: [Tensor] = []
        for (group, names) in configuration.attributes.enumerated() {
            // Several kinds may be near one cell, so they get a sigmoid; of each other group one attribute holds. The
            // sigmoid of the whole tensor, which is contiguous, is faster than that of a part.
            probabilities.append(
                try group == 0
                    ? dense.sigmoid().narrowed(1, start, names.count)
                    : dense.narrowed(1, start, names.count).softmax(1))
            start += names.count
        }
        let things = configuration.attributes[0].count - (configuration.jointCount ?? 0)
        let objectness = try probabilities[0].narrowed(1, 0, things).amax(1, keepDims: true).detached()
            .to(seen.dtype)
        let features = try Tensor.cat([map, seen, seen * objectness], axis: 1)
        return ImageFeatures(
            tokens: tokens, grid: grid, fine: low == nil ? features : try features.to(tokens.dtype),
            attributes: try Tensor.cat(probabilities, axis: 1), dense: dense)
    }
}

/// Runs blocks on windows of at most 16 x 16 tokens of [b, h * w, c], as [b * windows, tokens, c]. If the grid does not
/// divide evenly, the last windows are padded with zeros, again before each block.
private func inWindows(
    _ tokens: Tensor, of grid: (height: Int, width: Int), through blocks: [ViTBlock]
) throws -> Tensor {
    let limit = 16
    let (rows, columns) = ((grid.height + limit - 1) / limit, (grid.width + limit - 1) / limit)
    guard rows * columns > 1 else { return try through(blocks, tokens) }
    let (b, _, c) = tokens.shape3
    let (h, w) = ((grid.height + rows - 1) / rows, (grid.width + columns - 1) / columns)
    let isUneven = (rows * h, columns * w) != (grid.height, grid.width)
    let together = isUneven ? blocks.map { [$0] } : [blocks]
    return try together.reduce(tokens) { tokens, blocks in
        var x = try tokens.view([b, grid.height, grid.width, c])
        if isUneven { x = try pad(x, [0, 0, 0, columns * w - grid.width, 0, rows * h - grid.height]) }
        let windows = try x.view([b, rows, h, columns, w, c]).transposed(2, 3).reshaped(-1, h * w, c)
        x = try through(blocks, windows).view([b, rows, columns, h, w, c]).transposed(2, 3)
            .reshaped(b, rows * h, columns * w, c)
        if isUneven { x = try x.narrowed(1, 0, grid.height).narrowed(2, 0, grid.width) }
        return try x.reshaped(b, -1, c)
    }
}

private func through(_ blocks: [ViTBlock], _ tokens: Tensor) throws -> Tensor {
    try blocks.reduce(tokens) { try $1($0) }
}

public struct HybridViTConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    /// The largest and the least longer side of a picture in pixels. A picture in between keeps its size.
    public var imageSize: Int
    public var minImageSize: Int
    public var hiddenSize: Int
    public var numHiddenLayers: Int
    public var numAttentionHeads: Int
    /// The channels at strides 2, 4 and 8.
    public var stemChannels: [Int]
    /// Channels of the map at stride 4, and of the dense head on it.
    public var fineChannels: Int
    public var headChannels: Int
    /// The names that the dense head knows, by group: first the kinds, then groups of which a thing has one name each.
    public var attributes: [[String]]
    /// The channels of the dense head for boxes: 2 for log width and log height, 4 with the offset to the centre.
    public var boxChannels: Int
    /// The number of kinds, the last ones, that are joints of a body and no things; nil for none.
    public var jointCount: Int?
    /// The blocks that attend to the whole picture; the others attend within windows of at most 16 x 16 tokens. Nil for
    /// all.
    public var globalAttentionIndexes: [Int]?

    public var attributeCount: Int { attributes.reduce(0) { $0 + $1.count } }

    public func check() throws {
        let check = ConfigurationCheck("image_encoder")
        try check.within(ConfigurationCheck.sides, ["image_size": imageSize])
        try check.multiple("image_size", imageSize, of: 16)
        try check.multiple("min_image_size", minImageSize, of: 16)
        try check.that(
            minImageSize <= imageSize, "min_image_size is \(minImageSize), more than image_size, \(imageSize)"
        )
        try check.that([2, 4].contains(boxChannels), "box_channels is \(boxChannels), 2 or 4 is possible")
        try check.within(ConfigurationCheck.layers, ["num_hidden_layers": numHiddenLayers])
        try check.positive(["hidden_size": hiddenSize])
        try check.heads(numAttentionHeads, width: hiddenSize)
        try check.that(
            stemChannels.count == 3, "stem_channels has \(stemChannels.count) entries, 3 are needed")
        for channels in stemChannels + [fineChannels] {
            try check.multiple("stem_channels or fine_channels", channels, of: 8)
        }
        try check.positive(["head_channels": headChannels])
        try check.that(
            !attributes.isEmpty && attributes.allSatisfy { !$0.isEmpty }, "attributes has an empty group")
        try check.that(
            (0..<attributes[0].count).contains(jointCount ?? 0),
            "joint_count is \(jointCount ?? 0), fewer than the \(attributes[0].count) kinds are possible")
        try check.that(
            (globalAttentionIndexes ?? []).allSatisfy { (0..<numHiddenLayers).contains($0) },
            "global_attn_indexes names a block beyond the \(numHiddenLayers)")
    }

    /// Channels of ``ImageFeatures/fine``: the map, the head's features, and these where something is.
    public var fineFeatureCount: Int { fineChannels + 2 * headChannels }

    public init(
        imageSize: Int, hiddenSize: Int, numHiddenLayers: Int, numAttentionHeads: Int, stemChannels: [Int],
        fineChannels: Int, headChannels: Int, attributes: [[String]], minImageSize: Int? = nil,
        boxChannels: Int = 2, jointCount: Int? = nil, globalAttentionIndexes: [Int]? = nil
    ) {
        self.imageSize = imageSize
        self.hiddenSize = hiddenSize
        self.numHiddenLayers = numHiddenLayers
        self.numAttentionHeads = numAttentionHeads
        self.stemChannels = stemChannels
        self.fineChannels = fineChannels
        self.headChannels = headChannels
        self.attributes = attributes
        self.minImageSize = minImageSize ?? imageSize
        self.boxChannels = boxChannels
        self.jointCount = jointCount
        self.globalAttentionIndexes = globalAttentionIndexes
    }

    enum CodingKeys: String, CodingKey {
        case imageSize = "image_size"
        case minImageSize = "min_image_size"
        case hiddenSize = "hidden_size"
        case numHiddenLayers = "num_hidden_layers"
        case numAttentionHeads = "num_attention_heads"
        case stemChannels = "stem_channels"
        case fineChannels = "fine_channels"
        case headChannels = "head_channels"
        case attributes
        case boxChannels = "box_channels"
        case jointCount = "joint_count"
        case globalAttentionIndexes = "global_attn_indexes"
    }
}
