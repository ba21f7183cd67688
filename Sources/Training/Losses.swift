import Encoders
import Language
import NN
import Perception
import Text
import Torch
import Vitrail

/// The losses of LUMEN (arXiv 2403.07304, section 3.4), and those that a small model needs. docs/training.md says what
/// each is for.
struct LumenLosses {
    let model: Lumen
    let configuration: TrainingConfiguration
    private let wordIDs: [Int]

    typealias Losses = [(name: String, value: Tensor)]

    init(model: Lumen, configuration: TrainingConfiguration) {
        self.model = model
        self.configuration = configuration
        // A name of several tokens is represented by its last one: "A" for "letter A".
        wordIDs = MosaicBatch.traits.joined().map { model.tokenizer.encode(" \($0)").last! }
    }

    private var groups: [Int] { MosaicBatch.attributes.map(\.count) }
    private var names: Int { groups.reduce(0, +) }

    /// Weighted losses by name. A step minimises their sum.
    func callAsFunction(_ batch: MosaicBatch, step: Int) throws -> Losses {
        let (number, stageStep) = configuration.stage(of: step)
        let stage = configuration.stages[number]
        let weights = stage.weights(at: stageStep)
        let features = try model.encode(batch.pixels)
        var losses: Losses = []
        if features.dense != nil {
            losses = try dense(features, batch.dense).map { ($0.name, try $0.value * weights.dense) }
        }
        guard let words = batch.words else { return losses }

        let (embeddings, patches) = try model.project(features)
        let cache = try model.language.prefix(embeddings)
        if let targets = batch.wordTargets,
            let logits = try model.wordLogits(
                patches, embeddings: model.language.wordEmbeddings(wordIDs))
        {
            losses.append(("words", try binaryCrossEntropy(logits: logits, targets) * weights.words))
        }

        let depth = model.configuration.language.numHiddenLayers
        // The depths, in order: what a phrase names, what [LOC] or a question is about, the answer.
        let (low, middle) = ((depth + 1) / 3, model.subjectDepth)
        let depths = Set([low - 1, low, low + 1, middle - 1, middle, depth - 1, depth]).sorted()
        let states = try words.ids.map { try model.language.text($0, after: cache, depths: depths) }
        let width = model.configuration.language.hiddenSize
        let levels = try depths.indices.map { level in
            try Tensor.cat(states.map { try $0[level].reshaped(-1, width) }, axis: 0)
        }
        func after(_ depth: Int) -> Tensor { levels[depths.firstIndex(of: depth)!] }
        let last = after(depth)
        losses.append(("location", try nextToken(last, words.location) * weights.location))
        if words.text.sources.size(0) > 0 {
            losses.append(("text", try nextToken(last, words.text) * weights.text))
        }
        if words.varying.sources.size(0) > 0 {
            losses.append(("answer", try nextToken(last, words.varying) * weights.text))
        }
        losses += try told(last, words.loc, "named", weights.named, "place", weights.place)
        losses += try told(
            after(middle), words.loc, "named_early", weights.named, "place_early", weights.place)
        losses += try told(
            after(low), words.mentions, "mention", weights.mention, "mention_place", weights.mentionPlace)
        losses += try told(
            after(middle), words.subjects, "subject", weights.subject, "subject_place",
            weights.subjectPlace)
        losses += try anchors(after(low + 1), [words.loc, words.subjects], weights.subjectPlace)
        losses += try relations(
            after(middle), after(depth - 1), words.relations, weights.subject, weights.subjectPlace)
        if words.lists.positions.size(0) > 0, model.configuration.aligner.attributeCount > 0 {
            let read = try model.aligner.readAttributes(
                after(middle).indexSelected(0, words.lists.positions)
            ).to(.float32)
            let kinds = words.lists.kinds
            let error = try binaryCrossEntropy(
                logits: read.narrowed(1, 0, kinds.size(1)), kinds, reduction: .sum)
            losses.append(("unlisted", try error / Double(kinds.size(0)) * weights.subject))
        }
        // What a state must know at some depth, attention must look at in the block before.
        if weights.look > 0 {
            var looks = try look(
                words.mentions.things, words.mentions.positions, after(low - 1), low - 1, cache)
            for (things, positions) in [
                (words.loc.things, words.loc.positions), (words.subjects.things, words.subjects.positions),
                (words.lists.things, words.lists.positions),
            ] {
                looks += try look(things, positions, after(middle - 1), middle - 1, cache)
            }
            if let first = looks.first {
                losses.append(("look", try looks.dropFirst().reduce(first) { try $0 + $1 } * weights.look))
            }
            if let anchors = words.anchors {
                let (n, length) = (anchors.texts.size(0), anchors.texts.size(1))
                let scores = try model.language.textScores(
                    after(low).indexSelected(0, anchors.texts.flattened()).view([n, length, width]),
                    of: anchors.tokens, depth: low, images: anchors.images, prefix: cache)
                let error = try crossEntropy(scores, anchors.phrases + cache.length)
                losses.append(("look_anchor", try error * weights.look))
            }
        }
        guard stageStep >= stage.alignerFrom else { return losses }

        let queries = words.heat.size(1)
        let loc = try last.indexSelected(0, words.aligned).view([-1, queries, width])
        let maps = try model.align(loc, features)
        losses.append(
            (batch.content == .people ? "joints" : "heat", try focal(maps.heat, words.heat) * weights.heat))
        if words.boxes.cells.size(0) > 0 {
            let error = try boxLoss(
                logSize: maps.logSize.reshaped(-1, 2).indexSelected(0, words.boxes.cells),
                // Maps without offsets place the centre at the cell's: there is no offset to learn.
                offset: maps.offset?.reshaped(-1, 2).indexSelected(0, words.boxes.cells)
                    ?? words.boxes.offset, words.boxes)
            losses.append(("box", try error * weights.box))
        }
        return losses
    }

    private func nextToken(_ states: Tensor, _ following: MosaicBatch.Following) throws -> Tensor {
        let chosen = try states.indexSelected(0, following.sources)
        return try crossEntropy(model.language.logits(chosen).to(.float32), following.targets)
    }

    /// The encoder's dense head: the centres of each kind, their attributes and boxes.
    private func dense(_ features: ImageFeatures, _ truth: MosaicBatch.DenseTruth) throws -> Losses {
        let maps = try features.dense!.flattened(2)
        let heat = try focal(maps.narrowed(1, truth.kinds.lowerBound, truth.kinds.count), truth.heat)
        guard truth.boxes.cells.size(0) > 0 else { return [("dense_joints", heat)] }
        var losses = [("dense_heat", heat)]
        // Attributes and boxes are learnt near the centres. Each cell learns those of the object it belongs to.
        let seen = try cellRows(features.dense!).reshaped(-1, maps.size(1)).indexSelected(
            0, truth.boxes.cells)
        let weight = try truth.boxes.weight / truth.boxes.weight.sum()
        var start = 0
        var attributes = try Tensor.zeros([])
        for group in groups.indices {
            // The heat already teaches kinds. A cross entropy that compares them makes them distinct much sooner.
            let count = group == 0 ? truth.kinds.count : groups[group]
            let target = try truth.traits[.all, group]
            let known = try (target .>= 0).to(.float32)
            let loss = try crossEntropy(
                seen.narrowed(1, start, count), target.clamped(min: 0), reduction: .none)
            attributes = try attributes + (loss * weight * known).sum()
            start += groups[group]
        }
        losses.append(("dense_attributes", attributes))
        losses.append(
            (
                "dense_box",
                try boxLoss(
                    logSize: seen.narrowed(1, names, 2), offset: seen.narrowed(1, names + 2, 2), truth.boxes)
            ))
        return losses
    }

    /// Losses of what a state holds: the attributes that are named, and the place of the one thing that is meant.
    private func told(
        _ states: Tensor, _ truth: MosaicBatch.Told, _ name: String, _ weight: Double, _ placeName: String,
        _ placeWeight: Double
    ) throws -> Losses {
        guard truth.count > 0, model.configuration.aligner.attributeCount > 0 else { return [] }
        let read = try model.aligner.readAttributes(states.indexSelected(0, truth.positions)).to(.float32)
        var sum = try Tensor.zeros([])
        var start = 0
        for (group, count) in groups.enumerated() {
            let logits = try Tensor.cat(
                [read.narrowed(1, start, count), read.narrowed(1, names + group, 1)], axis: 1)
            let target = try truth.named[.all, group]
            let known = try (target .!= Double(MosaicBatch.ignored)).to(.float32).sum().clamped(min: 1)
            sum =
                try sum
                + crossEntropy(logits, target, reduction: .sum, ignoring: MosaicBatch.ignored) / known
            start += count
        }
        if let one = truth.one, read.size(1) > names + groups.count + 2 {
            sum = try sum + binaryCrossEntropy(logits: read[.all, names + groups.count + 2], one)
        }
        let error = try (read.narrowed(1, names + groups.count, 2) - truth.place).abs().sum(1) * truth.single
        return [
            (name, try sum * weight),
            (placeName, try error.sum() / truth.single.sum().clamped(min: 1) * placeWeight),
        ]
    }

    /// The loss of the place of the thing that a relation starts from; one block later the state uses it to find the
    /// target. Empty for an aligner that does not compare places.
    private func anchors(_ states: Tensor, _ told: [MosaicBatch.Told], _ weight: Double) throws -> Losses {
        let aligner = model.configuration.aligner
        guard aligner.placeMatch ?? false else { return [] }
        let read = try model.aligner.readAttributes(
            states.indexSelected(0, Tensor.cat(told.map(\.positions), axis: 0))
        ).to(.float32)
        let anchored = try Tensor.cat(told.map(\.anchored), axis: 0)
        let error = try (read.narrowed(1, read.size(1) - 2, 2) - Tensor.cat(told.map(\.anchor), axis: 0))
            .abs()
        return [
            ("anchor_place", try (error.sum(1) * anchored).sum() / anchored.sum().clamped(min: 1) * weight)
        ]
    }

    /// The losses of the direction that a question names and, one block before the answer, of how far one thing lies
    /// from the other in that direction. Empty for an aligner without a head for relations.
    private func relations(
        _ named: Tensor, _ compared: Tensor, _ truth: MosaicBatch.Relations, _ weight: Double,
        _ distanceWeight: Double
    ) throws -> Losses {
        guard truth.positions.size(0) > 0, model.configuration.aligner.relations ?? false else { return [] }
        let direction = try model.aligner.readRelation(named.indexSelected(0, truth.positions)).direction
        let distance = try model.aligner.readRelation(compared.indexSelected(0, truth.positions)).distance
        return [
            ("direction", try crossEntropy(direction.to(.float32), truth.directions) * weight),
            ("beside", try l1Loss(distance.to(.float32), truth.distances) * distanceWeight),
        ]
    }

    /// The loss of where the image heads look, in the block after `depth` others: minus the logarithm of their weight
    /// on the things that are meant. Empty if nothing is meant, or without such heads.
    private func look(
        _ things: MosaicBatch.Things?, _ positions: Tensor, _ states: Tensor, _ depth: Int,
        _ prefix: PrefixCache
    ) throws -> [Tensor] {
        guard let things else { return [] }
        let scores = try model.language.imageScores(
            states.indexSelected(0, positions.indexSelected(0, things.told)), depth: depth,
            images: things.images, prefix: prefix
        ).to(.float32)
        let there = try scores + ((things.patches - 1) * 1e4).unsqueezed(1)
        return [try (scores.logSumExp(2) - there.logSumExp(2)).mean()]
    }
}
