import Encoders
import Language
import Media
import NN
import Perception
import Text
import Torch
import Vitrail

/// The losses of LUMEN (arXiv 2403.07304, section 3.4) and those that the small scale needs; docs/training.md says
/// what each is for.
struct LumenLosses {
    let model: Lumen
    let configuration: TrainingConfiguration
    private let wordIDs: [Int]

    init(model: Lumen, configuration: TrainingConfiguration) throws {
        self.model = model
        self.configuration = configuration
        wordIDs = try Self.attributeWordIDs(model.tokenizer)
    }

    private var groups: [Int] { MosaicBatch.attributes.map(\.count) }
    private var names: Int { groups.reduce(0, +) }

    /// Weighted losses by name; their sum is what a step minimises.
    func callAsFunction(_ batch: MosaicBatch, step: Int) throws -> [(name: String, value: Tensor)] {
        let weights = configuration.weights(at: step)
        let features = try model.encode(batch.pixels)
        let truth = try HeatTruth(batch, size: configuration.imageSize)
        var losses = try dense(features, truth, batch).map { ($0.name, try $0.value * weights.dense) }
        if step < configuration.visionSteps { return losses }

        let (embeddings, words) = try model.projector(features)
        let cache = try model.language.prefix(embeddings).cache
        if let logits = try model.projector.wordLogits(
            words, embeddings: model.language.wordEmbeddings(wordIDs))
        {
            losses.append(
                ("words", try binaryCrossEntropy(logits: logits, batch.wordTargets) * weights.words))
        }

        let hidden = try model.language.text(batch.location.sequences.ids, after: cache)
        losses.append(("location", try nextToken(hidden, batch.location.sequences) * weights.location))
        let texts = try model.language.text(batch.texts.sequences.ids, after: cache)
        losses.append(("text", try nextToken(texts, batch.texts.sequences) * weights.text))

        let (b, queries, _) = batch.location.members.shape3
        let width = hidden.size(-1)
        let loc = try hidden.reshaped(-1, width).indexSelected(0, batch.location.loc).view([
            b, queries, width,
        ])
        losses += try said(model.aligner.readAttributes(loc).to(.float32), batch, weights)
        if step >= configuration.alignerFrom {
            losses += try located(model.align(loc, features), truth, batch, weights)
        }

        let subjects = try texts.reshaped(-1, width).indexSelected(0, batch.texts.subject)
        if subjects.size(0) > 0 {
            let read = try model.aligner.readAttributes(subjects).to(.float32)
            var sum = try Tensor.zeros([])
            var start = 0
            for (group, count) in groups.enumerated() {
                sum =
                    try sum + counted(read.narrowed(1, start, count), batch.texts.subjectTraits[.all, group])
                start += count
            }
            let place = try (read.narrowed(1, names + groups.count, 2) - batch.texts.subjectPlace).abs().sum(
                1
            ).mean()
            losses.append(("subject", try sum * weights.subject))
            losses.append(("subject_place", try place * weights.subjectPlace))
        }
        return losses
    }

    /// The ids of the attribute words, each of which must be one token after a space.
    private static func attributeWordIDs(_ tokenizer: Tokenizer) throws -> [Int] {
        try MosaicBatch.attributes.joined().map { word in
            let ids = tokenizer.encode(" \(word)")
            guard ids.count == 1 else {
                throw TrainingError.badConfiguration(
                    "tokenizer", "\"\(word)\" is \(ids.count) tokens, one is needed")
            }
            return ids[0]
        }
    }

    private func nextToken(_ hidden: Tensor, _ sequences: MosaicBatch.Sequences) throws -> Tensor {
        let states = try hidden.reshaped(-1, hidden.size(-1)).indexSelected(0, sequences.sources)
        return try crossEntropy(model.language.logits(states).to(.float32), sequences.targets)
    }

    /// The encoder's dense head: what is centred where, its attributes and size.
    private func dense(
        _ features: ImageFeatures, _ truth: HeatTruth, _ batch: MosaicBatch
    ) throws -> [(name: String, value: Tensor)] {
        let maps = try features.dense!.flattened(2)
        let kinds = try batch.traits[.all, .all, 0]
        let oneHot = try (kinds.unsqueezed(2) .== Tensor.arange(0, Double(groups[0]), dtype: .int64)).to(
            .float32)
        // [b, o, kinds, cells] to the highest of each kind.
        let target = try (truth.heat.unsqueezed(2) * oneHot.unsqueezed(3)).amax(1)
        var losses = [("dense_heat", try focal(maps.narrowed(1, 0, groups[0]), target))]

        // Attributes and sizes are learnt near the centres, each cell from the object it is nearest to.
        let (best, owner) = try truth.heat.max(1)
        let near = try (best .> 0.5).nonzero()
        let (image, cell) = (try near[.all, 0], try near[.all, 1])
        let object = try owner[image, cell]
        let strength = try best[image, cell]
        let weight = try strength / strength.sum()
        let seen = try maps.transposed(1, 2)[image, cell]
        let traits = try batch.traits[image, object]
        var start = groups[0]
        var attributes = try Tensor.zeros([])
        for group in 1..<groups.count {
            let target = try traits[.all, group]
            let known = try (target .>= 0).to(.float32)
            let loss = try crossEntropy(
                seen.narrowed(1, start, groups[group]), target.clamped(min: 0), reduction: .none)
            attributes = try attributes + (loss * weight * known).sum()
            start += groups[group]
        }
        losses.append(("dense_attributes", attributes))
        let size = try truth.logSize[image, object]
        losses.append(("dense_size", try ((seen.narrowed(1, names, 2) - size).abs().sum(1) * weight).sum()))
        return losses
    }

    /// LUMEN's heatmap and size losses.
    private func located(
        _ maps: AlignerMaps, _ truth: HeatTruth, _ batch: MosaicBatch,
        _ weights: TrainingConfiguration.LossWeights
    ) throws -> [(name: String, value: Tensor)] {
        let members = batch.location.members
        let (b, queries, objects) = members.shape3
        let among = try truth.heat.unsqueezed(1) * members.to(.float32).unsqueezed(3)
        let (heat, owner) = try among.max(2)
        var losses = [("heat", try focal(maps.heat, heat) * weights.heat)]

        let near = try (heat .> 0.5).to(.float32) * heat
        let cells = heat.size(2)
        let sizes = try truth.logSize.unsqueezed(1).expanded(b, queries, objects, 2)
            .gathered(2, owner.unsqueezed(3).expanded(b, queries, cells, 2))
        let error = try (maps.logSize - sizes).abs().sum(3)
        losses.append(("size", try (error * near).sum() / near.sum().clamped(min: 1) * weights.size))
        return losses
    }

    /// What [LOC] is told to carry: what the phrase names, and where its one target is.
    private func said(
        _ named: Tensor, _ batch: MosaicBatch, _ weights: TrainingConfiguration.LossWeights
    ) throws -> [(name: String, value: Tensor)] {
        var sum = try Tensor.zeros([])
        var start = 0
        for (group, count) in groups.enumerated() {
            let logits = try Tensor.cat(
                [named.narrowed(2, start, count), named.narrowed(2, names + group, 1)], axis: 2)
            sum =
                try sum + counted(logits.flattened(0, 1), batch.location.named[.all, .all, group].flattened())
            start += count
        }
        let centres = try batch.boxes.narrowed(2, 0, 2) / Double(configuration.imageSize)
        let place = try matmul(batch.location.members.to(.float32), centres)
        let single = batch.location.single
        let offset = try (named.narrowed(2, names + groups.count, 2) - place).abs().sum(2) * single
        return [
            ("named", try sum * weights.named),
            ("place", try offset.sum() / single.sum().clamped(min: 1) * weights.place),
        ]
    }

    /// Cross entropy over the targets that count; 0 when none does.
    private func counted(_ logits: Tensor, _ targets: Tensor) throws -> Tensor {
        let number = try (targets .!= Double(MosaicBatch.ignored)).to(.float32).sum().clamped(min: 1)
        return try crossEntropy(logits, targets, reduction: .sum, ignoring: MosaicBatch.ignored) / number
    }

    /// CornerNet's penalty-reduced focal loss with a = 2, b = 4, over the number of cells that are exactly 1.
    private func focal(_ logits: Tensor, _ target: Tensor) throws -> Tensor {
        let positive = try (target .>= 0.9999).to(.float32)
        let p = try logits.sigmoid()
        let hit = try positive * (1 - p).pow(2) * logits.logSigmoid()
        let miss = try (1 - positive) * (1 - target).pow(4) * p.pow(2) * (-logits).logSigmoid()
        return try -(hit + miss).sum() / positive.sum().clamped(min: 1)
    }
}

/// The heat that each object should give, and its log size.
struct HeatTruth {
    /// [b, o, cells]: a Gaussian whose width follows the object's, exactly 1 at the nearest cell, 0 for no object.
    let heat: Tensor
    /// [b, o, 2]: log(width / 16), log(height / 16).
    let logSize: Tensor

    init(_ batch: MosaicBatch, size: Int, stride: Int = 4) throws {
        let side = size / stride
        let at = try (Tensor.arange(0, Double(side)) + 0.5) * Double(stride)
        let x = try at.unsqueezed(0).expanded(side, side).flattened()
        let y = try at.unsqueezed(1).expanded(side, side).flattened()
        func along(_ cells: Tensor, _ axis: Int) throws -> (Tensor, Tensor) {
            let distance = try cells - batch.boxes[.all, .all, axis].unsqueezed(2)
            let extent = try batch.boxes[.all, .all, axis + 2].unsqueezed(2)
            return (distance, try distance / (extent * 0.045 + 2))
        }
        let (dx, ux) = try along(x, 0)
        let (dy, uy) = try along(y, 1)
        let gaussian = try ((ux * ux + uy * uy) * -0.5).exp()
        let reach = Double(stride) / 2
        let nearest = try (dx.abs() .<= reach) .& (dy.abs() .<= reach)
        let present = try batch.present.to(.float32).unsqueezed(2)
        heat = try Tensor.where(nearest, gaussian.onesLike(), gaussian) * present
        logSize = try (batch.boxes.narrowed(2, 2, 2).clamped(min: 1) / 16).log()
    }
}
