import Encoders
import Language
import NN
import Perception
import Torch
package import Vitrail

/// A trained model made ready for other pictures and other classes.
package struct RemadeModel {
    package let model: Lumen
    /// Parameters that the trained model had nothing for, by their names `part.path`.
    package let fresh: Set<String>

    /// - Parameters:
    ///   - source: the trained model.
    ///   - imageSize: the longer side in pixels of the pictures to be, a multiple of 16. Tables of position embeddings
    ///     are resized to it, bicubic.
    ///   - classes: what the dense head is to name in place of what it names; nil to leave it as it is.
    ///   - seed: of the parameters that are new.
    /// - Throws: ``TrainingError`` for a model without an encoder of its own.
    package init(_ source: Lumen, imageSize: Int, classes: [String]?, seed: UInt64) throws {
        var configuration = source.configuration
        guard var encoder = configuration.encoder, var projector = configuration.projector else {
            throw TrainingError.badConfiguration(
                "fine-tuning", "the model's encoder is a LLaVA's; a HybridViT is needed")
        }
        var aligner = configuration.aligner
        let cells = (imageSize / 8) * (imageSize / 8)
        encoder.imageSize = imageSize
        // Every picture is brought to about this size. The two differ, or inputs would all be square.
        encoder.minImageSize = max(16, imageSize - 16)
        projector.tokenCount = cells / (projector.unshuffle * projector.unshuffle)
        aligner.tokenCount = cells
        configuration.language.maxPositionEmbeddings = max(
            configuration.language.maxPositionEmbeddings, projector.tokenCount + Self.textRoom)
        if let classes {
            encoder.attributes = [classes]
            encoder.jointCount = nil
            projector.wordClasses = 0
            aligner.attributeGroups = [classes.count]
            aligner.jointCount = nil
            aligner.matchChannels = max(aligner.matchChannels, classes.count + 2)
        }
        (configuration.encoder, configuration.projector) = (encoder, projector)
        configuration.aligner = aligner
        let model = try Lumen(configuration, tokenizer: source.tokenizer, seed: seed)

        let old = Dictionary(uniqueKeysWithValues: source.parameters.map { ($0.name, $0.tensor) })
        let kinds = source.configuration.encoder!.attributes[0]
        let names = source.configuration.encoder!.attributeCount
        // A model that was tuned to the same classes goes on as it is.
        let isKnown = classes.map { [$0] == source.configuration.encoder!.attributes } ?? false
        var fresh: Set<String> = []
        try withoutGrad {
            for (name, tensor) in model.parameters {
                guard let old = old[name] else {
                    fresh.insert(name)
                    continue
                }
                if name.hasSuffix("position_embedding") {
                    let side = Int(Double(tensor.size(1)).squareRoot().rounded())
                    try tensor.copy(from: resizedPositions(old, to: (height: side, width: side)))
                } else if let classes, !isKnown, Self.isOfNames(name) {
                    fresh.insert(name)
                    if name.contains(".predict.") {
                        // Boxes are boxes of anything; a class that was known stays known.
                        let boxes = encoder.boxChannels
                        try tensor.narrowed(0, classes.count, boxes).copy(
                            from: old.narrowed(0, names, boxes))
                        for (row, kind) in classes.enumerated() {
                            guard let known = kinds.firstIndex(of: kind) else { continue }
                            try tensor.narrowed(0, row, 1).copy(from: old.narrowed(0, known, 1))
                        }
                    } else if name.hasPrefix("aligner.attributes.") {
                        // The last rows tell places, whatever the names are.
                        let (count, before) = (tensor.size(0), old.size(0))
                        let last = aligner.placeRows
                        try tensor.narrowed(0, count - last, last).copy(
                            from: old.narrowed(0, before - last, last))
                    }
                } else {
                    guard old.shape == tensor.shape else {
                        throw TrainingError.badConfiguration(
                            "fine-tuning", "the parameter \(name) has another shape in the model")
                    }
                    try tensor.copy(from: old)
                }
            }
        }
        self.model = model
        self.fresh = fresh
    }

    /// Tokens of a text beside the image's at most.
    static let textRoom = 512

    /// Whether a parameter's shape or meaning goes by the names that the dense head knows.
    private static func isOfNames(_ name: String) -> Bool {
        ["image_encoder.predict.", "aligner.attributes.", "aligner.match_query.", "aligner.match_key."]
            .contains { name.hasPrefix($0) }
    }
}
