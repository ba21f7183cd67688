internal import Encoders
internal import Language
internal import Perception
internal import Vitrail

/// How many multiply-adds the stages of an answer need, from the configuration: those of matrix products, convolutions
/// and attention, as they are computed. Norms, activations, softmax and sums are left out.
struct MultiplyAdds {
    private let configuration: LumenConfiguration
    private let encoder: HybridViTConfiguration
    private let projector: ProjectorConfiguration
    /// Patches of the encoder's input along each axis.
    private let rows: Int
    private let columns: Int

    init(_ configuration: LumenConfiguration, frame: PictureFrame) {
        self.configuration = configuration
        // The benchmarks are of the small model.
        (encoder, projector) = (configuration.encoder!, configuration.projector!)
        (rows, columns) = (frame.inputHeight / 8, frame.inputWidth / 8)
    }

    private var patches: Int { rows * columns }
    /// Cells of the maps at stride 4.
    private var cells: Int { 4 * patches }
    /// What the language model reads of a picture.
    private var imageTokens: Int {
        patches / (projector.unshuffle * projector.unshuffle)
    }

    /// Convolutions of 3 x 3 without stride, which are `multiplyAdds` by themselves, as Winograd's algorithm has them
    /// (Sources/TorchShim/Convolutions.cpp): a quarter, where there are tiles enough.
    private func winograd(_ multiplyAdds: Int, cells: Int) -> Int {
        cells >= 512 ? multiplyAdds / 4 : multiplyAdds
    }

    /// Pixels to features.
    var encode: Int {
        let (stem, fine, width) = (encoder.stemChannels, encoder.fineChannels, encoder.hiddenSize)
        let outputs = encoder.attributeCount + encoder.boxChannels
        let convolutions =
            9 * 3 * stem[0] * 4 * cells + 9 * stem[0] * stem[1] * cells + 9 * stem[1] * stem[2] * patches
            + winograd(4 * 9 * stem[1] * stem[1] * cells, cells: cells)
            + winograd(4 * 9 * stem[2] * stem[2] * patches, cells: patches)
        // A token sees the picture, or its window.
        let window = min(patches, 256)
        let seen = (0..<encoder.numHiddenLayers).map {
            encoder.globalAttentionIndexes?.contains($0) ?? true ? patches : window
        }
        let blocks = 12 * width * width * seen.count + 2 * width * seen.reduce(0, +)
        let vision = patches * (stem[2] * width + blocks + width * 4 * fine)
        let head =
            winograd(9 * fine * (fine + encoder.headChannels) * cells, cells: cells)
            + (stem[1] * fine + encoder.headChannels * outputs) * cells
        return convolutions + vision + head
    }

    /// Features to the language model's keys and values.
    var prefix: Int {
        let language = configuration.language
        let merged = projector.unshuffle * projector.unshuffle
        let token =
            projector.imageSize * merged * projector.hiddenSize + projector.hiddenSize * projector.hiddenSize
            + 4 * merged * projector.fineChannels * projector.hiddenSize
        let attention = 2 * imageTokens * language.numAttentionHeads * language.headWidth
        // Of the last layer nothing but keys and values is needed.
        let last = 2 * language.hiddenSize * language.numKeyValueHeads * language.headWidth
        return imageTokens * (token + (language.numHiddenLayers - 1) * (layer + attention) + last)
    }

    /// The language model on one phrase of `length` tokens.
    func text(length: Int) -> Int {
        let language = configuration.language
        // Image heads see the picture alone, the others the text too.
        let seen =
            imageTokens * language.numAttentionHeads
            + length * (language.numAttentionHeads - language.imageHeads)
        return length * language.numHiddenLayers * (layer + 2 * seen * language.headWidth)
    }

    /// A token in a layer of the language model, without the products of attention.
    private var layer: Int {
        let language = configuration.language
        let projections = 2 * (language.numAttentionHeads + language.numKeyValueHeads) * language.headWidth
        return language.hiddenSize * (projections + 3 * language.intermediateSize)
    }

    /// The aligner on one [LOC].
    var align: Int {
        let aligner = configuration.aligner
        let (width, heads, channels) = (aligner.hiddenSize, aligner.numAttentionHeads, aligner.mapChannels)
        let (maps, square) = (aligner.offsetMaps ? 5 : 3, aligner.hiddenSize * aligner.hiddenSize)
        let tokens = 1 + maps
        let start =
            aligner.languageSize * width
            + patches * width
            * (aligner.imageSize + aligner.fineChannels * aligner.upsample * aligner.upsample)
        // Self-attention and feed-forward of the tokens, and eight products with d x d for the folded projections.
        let tokenWork = tokens * (4 * square + 2 * tokens * width + 4 * square + 8 * square)
        let crossing = 4 * patches * tokens * heads * width
        let block = tokenWork + crossing + patches * 4 * square
        let decode =
            patches * width * 4 * channels + cells * aligner.fineChannels * channels
            + maps * (square + width * channels + channels * channels) + cells * channels * maps
        let (names, groups, match) = (
            aligner.attributeCount, aligner.attributeGroups.count, aligner.matchChannels
        )
        let matching =
            names == 0
            ? 0
            : aligner.languageSize * (names + groups + aligner.placeRows)
                + (aligner.languageSize + names + groups) * match
                + (cells + match) * (aligner.headChannels + names + 1)
        return start + aligner.numHiddenLayers * block + decode + matching
    }
}
