import Datasets
import Encoders
import Foundation
import NN
import Perception
public import Torch
public import Vitrail

/// Trains a SAM on Mosaic's scenes (Kirillov et al. 2023, section 3 and appendix A). In place of the focal loss it has
/// dice and cross entropy near the thing, which learns faster on small things.
///
/// A run is a folder, as for ``Trainer``. The data of a step depend only on the seed and the step's number, so a run
/// that was killed continues exactly.
public final class SegmenterTrainer: SteppedRun {
    public let configuration: SegmenterTrainingConfiguration
    public let model: SAM
    public private(set) var step: Int
    let files: RunFolder
    /// Parts of the names of parameters without weight decay, and of those that AdamW always moves.
    static let tables = ["pos_embed", "rel_pos", "_token", "point_embed", "no_mask"]
    static let ends = ["patch_embed"]
    private let parameters: [(name: String, tensor: Tensor)]
    private let optimizer: any Optimizer
    /// One replica for each shard that runs at the same time. A replica takes several shards of a step in turn.
    private let shards: [SegmenterShard]
    private let threads: ShardThreads
    /// The batches of the next steps, made ahead while a device computes.
    private lazy var ahead = batchesAhead()

    /// Prepares a run in `folder`.
    ///
    /// - Parameters:
    ///   - configuration: what to train and how.
    ///   - folder: where the run lies, or will lie.
    ///   - resume: whether to continue from the folder's checkpoint.
    ///   - threads: how many shards run at the same time. The result does not depend on it.
    ///   - device: where to train.
    ///   - shape: the sizes of the network; nil for those of the embedded segmenter. Its pictures have 256 pixels or an
    ///     even part of that, its patches eight.
    /// - Throws: ``TrainingError`` when the folder already holds a run, or holds none to resume.
    public init(
        _ configuration: SegmenterTrainingConfiguration, folder: String, resume: Bool,
        threads: Int = 1, device: Device = .cpu, shape: SAMConfiguration = .mosaic
    ) throws {
        guard !MosaicSeeds.isScoring(configuration.seed) else {
            throw TrainingError.badConfiguration(
                "seed \(configuration.seed)",
                "seeds of \(MosaicSeeds.scoringStart) and above are for scoring alone")
        }
        let check = ConfigurationCheck("SAM")
        try check.that(
            [64, 128, 256].contains(shape.vision.imageSize),
            "image_size is \(shape.vision.imageSize), Mosaic's training takes 64, 128 or 256")
        try check.that(
            shape.vision.patchSize == 8,
            "patch_size is \(shape.vision.patchSize), Mosaic's training takes 8")
        self.configuration = configuration
        let made = try SAM(shape, seed: configuration.seed)
        model = device == .cpu ? made : try SAM(sharing: made, on: device)
        files = try RunFolder(folder, configuration: configuration.json(), resume: resume)
        parameters = SegmenterShard.learnt(model)
        let (master, count) = (model, max(1, min(threads, configuration.shards)))
        shards = try (0..<count).map { _ in
            try SegmenterShard(of: master, mixedPrecision: configuration.mixedPrecision)
        }
        self.threads = ShardThreads(count)
        // Only matrices have weight decay.
        optimizer = try configuration.optimizer.optimizer(
            of: parameters, weightDecay: configuration.weightDecay,
            tables: Self.tables, ends: Self.ends, threads: device.optimizerThreads(self.threads))
        step = 0
        if resume { step = try files.restore(model.store.named, optimizer) }
    }

    public func run(
        shouldStop: () -> Bool = { false }, progress: (Trainer.Progress) -> Void = { _ in }
    ) throws -> Bool { try runSteps(shouldStop: shouldStop, progress: progress) }

    var steps: Int { configuration.steps }
    var logEvery: Int { configuration.logEvery }
    var checkpointEvery: Int { configuration.checkpointEvery }
    var isModelDue: Bool { step == steps }

    func learningRate(of step: Int) -> Double { configuration.schedule.rate(step: step, of: steps) }

    func advance() throws -> (losses: [String: Double], pictures: Int) {
        let (step, count) = (step, configuration.shards)
        guard model.store.device != .cpu else {
            let losses = try learn(count) { [self] in try batch(step: step, shard: $0) }
            return (losses, configuration.scenes)
        }
        let batches = try (0..<count).map { _ in try ahead.next()!.result.get() }
        return (try learn(from: batches), configuration.scenes)
    }

    /// Makes the batches of this and the following steps on separate threads.
    private func batchesAhead() -> Ahead<SegmenterBatch> {
        let (configuration, device) = (configuration, model.store.device)
        let imageSize = model.configuration.vision.imageSize
        let (loaders, count) = (device.loaders(beside: shards.count), configuration.shards)
        return Ahead(step * count..<steps * count, threads: loaders, ahead: 2 * loaders) { number in
            let (step, shard) = number.quotientAndRemainder(dividingBy: count)
            return try SegmenterBatch(
                step: step, shard: shard, configuration: configuration, imageSize: imageSize
            ).to(device)
        }
    }

    func saveCheckpoint() throws { try files.save(model.store.named, optimizer, step: step) }

    func saveModel() throws { try model.save(to: "\(files.path)/model") }

    /// The batch of a shard of a step.
    package func batch(step: Int, shard: Int) throws -> SegmenterBatch {
        try SegmenterBatch(
            step: step, shard: shard, configuration: configuration,
            imageSize: model.configuration.vision.imageSize)
    }

    /// Moves the parameters once, from one batch for each shard. Returns the losses before the move.
    package func learn(from batches: [SegmenterBatch]) throws -> [String: Double] {
        try learn(batches.count) { batches[$0] }
    }

    private func learn(
        _ count: Int, _ batch: @escaping (Int) throws -> SegmenterBatch
    ) throws -> [String: Double] {
        let (parts, gradients) = try threads.learn(count, on: shards) { number, shard in
            try shard.learn(from: batch(number), share: 1 / Double(count))
        }
        for (parameter, gradient) in zip(parameters, gradients) { try parameter.tensor.setGrad(gradient) }
        var losses = parts.mean
        losses["gradient"] = try optimizer.clipGradients(to: configuration.gradientLimit)
        try optimizer.step(learningRate: learningRate(of: step))
        step += 1
        return losses
    }
}

/// A replica of a segmenter, which learns from a share of a step's pictures on one thread.
final class SegmenterShard: Replica, @unchecked Sendable {
    let parameters: [Tensor]
    private let model: SAM
    private let mixedPrecision: Bool

    /// The parameters that are trained: all but the shared positions, which keep their random values.
    static func learnt(_ model: SAM) -> [(name: String, tensor: Tensor)] {
        model.store.named.filter { $0.name != SAM.positionsName }
    }

    init(of other: SAM, mixedPrecision: Bool) throws {
        model = try SAM(sharing: other)
        self.mixedPrecision = mixedPrecision
        parameters = Self.learnt(model).map(\.tensor)
        for parameter in parameters { try parameter.requireGrad() }
    }

    /// Leaves the gradients of `share` times the losses in the parameters. Returns the losses; "loss" is their sum.
    func learn(from batch: SegmenterBatch, share: Double) throws -> [String: Double] {
        var values: [String: Double] = [:]
        let total = try withMixedPrecision(mixedPrecision, on: model.store.device) {
            let features = try model.encode(batch.pixels)
            let parts = try batch.groups.map { group in
                let losses = try MaskLosses(model.masks(group.prompts, features), group)
                values["iou_\(group.name)"] = try losses.overlap.mean().item()
                return losses
            }
            func mean(_ part: (MaskLosses) -> Tensor) throws -> Tensor {
                try Tensor.cat(parts.map(part)).mean()
            }
            let (single, best, score) = (try mean(\.single), try mean(\.best), try mean(\.score))
            values["mask"] = try single.item()
            values["best"] = try best.item()
            values["score"] = try score.item()
            return try single + best * 0.5 + score
        }
        try (total * share).backward()
        values["loss"] = try total.item()
        return values
    }
}

extension [[String: Double]] {
    /// The mean of each value over dictionaries with the same keys.
    var mean: [String: Double] {
        reduce(into: [:]) { sums, values in
            for (name, value) in values { sums[name, default: 0] += value / Double(count) }
        }
    }
}

/// The losses of the masks of a group of prompts, one number for each prompt.
struct MaskLosses {
    /// Dice and weighted cross entropy of the mask for one answer.
    let single: Tensor
    /// The same for the best of the other masks.
    let best: Tensor
    /// The squared error of the predicted IoU.
    let score: Tensor
    /// The true IoU of the mask for one answer.
    let overlap: Tensor

    init(_ masks: SAMMasks, _ group: SegmenterBatch.Group) throws {
        let (count, side) = (masks.logits.size(2), masks.logits.size(3))
        let (targets, n) = (group.targets, group.targets.size(0))
        let logits = try masks.logits.to(.float32).reshaped(n, count, side * side)
        let all = try targets.expanded(n, count, side * side)
        let entropy = try (binaryCrossEntropy(logits: logits, all, reduction: .none) * group.weights).sum(-1)
        let probabilities = try logits.sigmoid()
        let shared = try (probabilities * targets).sum(-1)
        let dice = try 1 - (shared * 2 + 1) / (probabilities.sum(-1) + targets.sum(-1) + 1)
        let costs = try entropy + dice
        single = try costs[.all, 0]
        best = try costs[.all, 1...].amin(1)
        let overlaps = try withoutGrad {
            let (found, there) = (try logits .> 0, try targets .> 0.5)
            let both = try (found .& there).to(.float32).sum(-1)
            return try both / (found .| there).to(.float32).sum(-1).clamped(min: 1)
        }
        let scores = try masks.scores.to(.float32).reshaped(n, count)
        score = try (scores - overlaps).pow(2).mean(1)
        overlap = try overlaps[.all, 0]
    }
}
