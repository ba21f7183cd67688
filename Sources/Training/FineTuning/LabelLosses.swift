import Encoders
import Language
import NN
import Perception
import Text
import Torch
import Vitrail

/// What a fine-tuning minimises: LUMEN's losses (arXiv 2403.07304, section 3.4) for the class names of each picture, the
/// dense head's, and those of the answers in words. The formulas are those of Mosaic's training (docs/training.md).
struct LabelLosses {
    let model: Lumen
    let weights: FineTuningConfiguration.LossWeights
    /// Whether the dense head is learnt.
    let learnsHead: Bool

    typealias Losses = [(name: String, value: Tensor)]

    /// Weighted losses by name; their sum is what a step minimises.
    ///
    /// - Parameters:
    ///   - batch: pictures with what is asked about them.
    ///   - seesOnly: whether the encoder learns alone.
    func callAsFunction(_ batch: LabelBatch, seesOnly: Bool) throws -> Losses {
        let features = try model.encode(batch.pixels)
        var losses: Losses = []
        if learnsHead {
            losses = try dense(features, batch).map { ($0.name, try $0.value * weights.dense) }
        }
        guard !seesOnly else { return losses }
        let (embeddings, _) = try model.project(features)
        let cache = try model.language.prefix(embeddings)
        let depth = model.configuration.language.numHiddenLayers
        let depths = [model.subjectDepth, depth]
        let states = try batch.ids.map { try model.language.text($0, after: cache, depths: depths) }
        let width = model.configuration.language.hiddenSize
        let levels = try depths.indices.map { level in
            try Tensor.cat(states.map { try $0[level].reshaped(-1, width) }, axis: 0)
        }
        let last = levels[1]
        if batch.location.count > 0 {
            losses.append(("location", try nextToken(last, batch.location) * weights.location))
        }
        if batch.text.count > 0 {
            losses.append(("text", try nextToken(last, batch.text) * weights.text))
        }
        if batch.named.count > 0, model.configuration.aligner.attributeCount > 0 {
            losses.append(("named", try named(last, batch.named) * weights.named))
            losses.append(("named_early", try named(levels[0], batch.named) * weights.named))
        }
        guard batch.queries > 0 else { return losses }
        let loc = try last.indexSelected(0, batch.aligned).view([-1, batch.queries, width])
        let maps = try model.align(loc, features)
        let attention = batch.asksPoints ? nil : batch.attention
        losses.append(("heat", try focal(maps.heat, batch.heat, attention) * weights.heat))
        if batch.boxes.cells.size(0) > 0 {
            let error = try boxLoss(
                logSize: maps.logSize.reshaped(-1, 2).indexSelected(0, batch.boxes.cells),
                offset: maps.offset?.reshaped(-1, 2).indexSelected(0, batch.boxes.cells)
                    ?? batch.boxes.offset, batch.boxes)
            losses.append(("box", try error * weights.box))
        }
        return losses
    }

    private func nextToken(_ states: Tensor, _ following: LabelBatch.Following) throws -> Tensor {
        let chosen = try states.indexSelected(0, following.sources)
        return try crossEntropy(model.language.logits(chosen).to(.float32), following.targets)
    }

    /// What class is centred where, and its box.
    private func dense(_ features: ImageFeatures, _ batch: LabelBatch) throws -> Losses {
        let classes = batch.denseHeat.size(1)
        let maps = try features.dense!.flattened(2)
        var losses = [
            ("dense_heat", try focal(maps.narrowed(1, 0, classes), batch.denseHeat, batch.denseAttention))
        ]
        guard batch.denseBoxes.cells.size(0) > 0 else { return losses }
        let seen = try cellRows(features.dense!).reshaped(-1, maps.size(1)).indexSelected(
            0, batch.denseBoxes.cells)
        if classes > 1 {
            let weight = try batch.denseBoxes.weight / batch.denseBoxes.weight.sum()
            let wrong = try crossEntropy(
                seen.narrowed(1, 0, classes), batch.denseLabels, reduction: .none)
            losses.append(("dense_classes", try (wrong * weight).sum()))
        }
        let hasOffsets = seen.size(1) >= classes + 4
        losses.append(
            (
                "dense_box",
                try boxLoss(
                    logSize: seen.narrowed(1, classes, 2),
                    offset: hasOffsets ? seen.narrowed(1, classes + 2, 2) : batch.denseBoxes.offset,
                    batch.denseBoxes)
            ))
        return losses
    }

    /// The class that states name, among the first group of what the model knows and "none".
    private func named(_ states: Tensor, _ truth: LabelBatch.Following) throws -> Tensor {
        let aligner = model.configuration.aligner
        let read = try model.aligner.readAttributes(states.indexSelected(0, truth.sources)).to(.float32)
        let logits = try Tensor.cat(
            [
                read.narrowed(1, 0, aligner.attributeGroups[0]),
                read.narrowed(1, aligner.attributeCount, 1),
            ],
            axis: 1)
        return try crossEntropy(logits, truth.targets)
    }
}
