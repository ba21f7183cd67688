// LLaVA's `multi_modal_projector` (two linear layers with GELU), with configurable additions for the small model.
// Matches Tools/reference/lumen.py, Projector; proven by EncodersTests.
internal import Foundation
public import NN
public import Torch

/// Turns image features into input embeddings of the language model.
public final class Projector {
    public let configuration: ProjectorConfiguration
    let norm: LayerNorm?
    let linear1: Linear
    let linear2: Linear
    let fine: Conv2d?
    let positions: Tensor?
    let wordBias: Tensor?

    /// - Throws: ``NN/ConfigurationError`` for sizes that do not fit together.
    public init(_ path: ParameterPath, _ configuration: ProjectorConfiguration) throws {
        try configuration.check()
        let n = configuration.unshuffle
        let merged = configuration.imageSize * n * n
        let hidden = configuration.hiddenSize
        let smallScale = configuration.scale != nil
        norm = smallScale ? try LayerNorm(path["norm"], merged) : nil
        linear1 = try Linear(path["linear_1"], merged, hidden)
        linear2 = try Linear(path["linear_2"], hidden, hidden)
        fine =
            configuration.fineChannels > 0
            ? try Conv2d(
                path["fine"], configuration.fineChannels, hidden, kernel: 2 * n, stride: 2 * n,
                initializer: .zeros)
            : nil
        positions =
            smallScale
            ? try path.parameter("position_embedding", [1, configuration.tokenCount, hidden], .zeros) : nil
        let words = configuration.wordClasses
        wordBias = words > 0 ? try path.parameter("word_bias", [words], .constant(-4)) : nil
        self.configuration = configuration
    }

    /// Starts the position embeddings as strong sines and cosines of both axes, rotated by a random orthogonal matrix
    /// so that no channel is special. Without them the language model does not learn places for a long time.
    public func initialise(_ generator: Generator) throws {
        guard let positions else { return }
        let width = configuration.hiddenSize
        let side = Int(Double(configuration.tokenCount).squareRoot())
        try withoutGrad {
            let at = try (Tensor.arange(0, Double(side)) + 0.5) / Double(side)
            let x = try at.unsqueezed(0).expanded(side, side)
            let y = try at.unsqueezed(1).expanded(side, side)
            let frequencies = try (Tensor.arange(0, Double(width / 4)) * 0.12 + 0.5) * Double.pi
            let angles = try [x, y].map { try $0.reshaped(-1, 1) * frequencies }
            let waves = try Tensor.cat(angles.flatMap { [try $0.sin(), try $0.cos()] }, axis: 1)
            let turned = try matmul(waves, orthonormal(Tensor.randn([width, width], generator: generator)))
            let centred = try turned - turned.mean(0, keepDims: true)
            let deviation = try (centred * centred).mean().sqrt()
            try positions.copy(from: (centred / deviation * 0.25).unsqueezed(0))
        }
    }

    /// - Returns: `embeddings` [b, n, hidden] for the language model; and `words` [b, n, hidden], the same before they
    ///   are scaled to the word embeddings.
    public func callAsFunction(_ features: ImageFeatures) throws -> (embeddings: Tensor, words: Tensor) {
        let n = configuration.unshuffle
        var x = features.tokens
        let (b, _, width) = x.shape3
        let (rows, columns) = (features.grid.height / n, features.grid.width / n)
        if n > 1 {
            x = try x.view([b, rows, n, columns, n, width]).transposed(2, 3).reshaped(b, rows * columns, -1)
        }
        let added = try fine.flatMap { fine in try features.fine.map { try cellRows(fine($0)) } }
        x = try linear1(norm.map { try $0(x) } ?? x, plus: added)
        x = try linear2(x.gelu())
        guard let scale = configuration.scale, let positions else { return (x, x) }
        let table = try resizedPositions(positions, to: (height: rows, width: columns))
        return (try layerNorm(x, [x.size(-1)]) * scale + table, x)
    }

    /// Which attribute words cover which patch: [b, n, hidden] and the words' embeddings [classes, hidden] to logits
    /// [b, n, classes]. Used in training only.
    ///
    /// The logits are cosines times a low gain, so that a patch must become very similar to its words. At first this
    /// similarity is all by which attention can find the patches of a word. With a gain that could grow, cosines of 0.1
    /// satisfied this loss, and no head ever found a thing.
    public func wordLogits(_ words: Tensor, embeddings: Tensor) throws -> Tensor? {
        guard let wordBias else { return nil }
        func direction(_ x: Tensor) throws -> Tensor {
            let x = try x.to(.float32)
            return try x / ((x * x).sum(-1, keepDims: true) + 1e-6).sqrt()
        }
        let content = try layerNorm(words, [words.size(-1)])
        return try linear(direction(content), direction(embeddings)).to(.float32) * Self.wordGain + wordBias
    }

    private static let wordGain = 20.0
}

public struct ProjectorConfiguration: Codable, CheckedConfiguration, Sendable, Hashable {
    /// Channels of the encoder's tokens.
    public var imageSize: Int
    /// Width of the language model.
    public var hiddenSize: Int
    /// The number of neighbouring patches that are joined into one token, along each axis.
    public var unshuffle: Int
    /// Channels of the encoder's finer map that are added; 0 for none.
    public var fineChannels: Int
    /// If present, the output is normalised, multiplied by this, and gets position embeddings.
    public var scale: Double?
    /// Image tokens of the training size.
    public var tokenCount: Int
    /// Attribute words that the words-on-patches loss names; 0 for none.
    public var wordClasses: Int

    public init(
        imageSize: Int, hiddenSize: Int, unshuffle: Int = 1, fineChannels: Int = 0, scale: Double? = nil,
        tokenCount: Int, wordClasses: Int = 0
    ) {
        self.imageSize = imageSize
        self.hiddenSize = hiddenSize
        self.unshuffle = unshuffle
        self.fineChannels = fineChannels
        self.scale = scale
        self.tokenCount = tokenCount
        self.wordClasses = wordClasses
    }

    public func check() throws {
        let check = ConfigurationCheck("projector")
        try check.positive(["image_hidden_size": imageSize, "hidden_size": hiddenSize])
        try check.within(ConfigurationCheck.factors, ["unshuffle": unshuffle])
        try check.within(ConfigurationCheck.rows, ["token_count": tokenCount])
        try check.within(
            0...ConfigurationCheck.sizes.upperBound,
            ["fine_channels": fineChannels, "word_classes": wordClasses])
        try check.within(-1e6...1e6, ["scale": scale ?? 1])
    }

    enum CodingKeys: String, CodingKey {
        case imageSize = "image_hidden_size"
        case hiddenSize = "hidden_size"
        case unshuffle
        case fineChannels = "fine_channels"
        case scale
        case tokenCount = "token_count"
        case wordClasses = "word_classes"
    }
}
