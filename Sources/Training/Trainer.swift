import Checkpoints
import Datasets
import Encoders
import Foundation
import Language
import NN
import Perception
import Text
public import Torch
public import Vitrail

/// Trains a LUMEN on Mosaic's scenes.
///
/// A run is a folder: `configuration.json`, `tokenizer.json`, `metrics.jsonl`, `checkpoint.safetensors` (the last
/// checkpoint, one file, replaced atomically) and at the end `model/`. The data of a step depend only on the seed and
/// the step's number, so a run that was killed continues exactly.
public final class Trainer: SteppedRun {
    public let configuration: TrainingConfiguration
    public let folder: String
    public let model: Lumen
    /// Steps done.
    public private(set) var step: Int
    /// Which parameters the optimizer treats differently, by parts of their names. `tables` have no weight decay.
    /// `ends` are always moved by AdamW and never by Muon: the first and the last layers of the network, and the match
    /// term, whose initial weights already compare names.
    static let tables = ["position_embedding", "embed_tokens", "output_tokens"]
    static let ends = ["stem.0", "predict", "aligner.attributes", "aligner.relation", "match_"]
    let files: RunFolder
    private let optimizer: any Optimizer
    /// One replica for each shard that runs at the same time. A replica takes several shards of a step in turn.
    private let shards: [Shard]
    private let threads: ShardThreads
    /// The batches of the next steps, made ahead while a device computes.
    private lazy var ahead = batchesAhead()
    /// The shards of this rank.
    private let own: [Int]
    private let group: ProcessGroup?
    private let parameters: [(name: String, tensor: Tensor)]
    private let writing: MosaicWriting
    /// Whether a rank was asked to stop.
    private var isStopping = false

    /// Progress of a run, given after every step.
    public struct Progress: Sendable {
        public let step: Int
        public let steps: Int
        public let samplesPerSecond: Double
        public let secondsLeft: Double
        public let loss: Double
    }

    /// Prepares a run in `folder`.
    ///
    /// - Parameters:
    ///   - configuration: what to train and how.
    ///   - folder: where the run lies, or will lie.
    ///   - resume: whether to continue from the folder's checkpoint.
    ///   - threads: how many shards run at the same time.
    ///   - group: the processes that divide the shards; nil for a single process. All must see the same folders. The
    ///     first of them writes the run's folder.
    ///   - device: where to train.
    ///   - base: the LLaVA for a configuration with `adaptation`, and its vision tower if that lies elsewhere.
    ///   - beginning: a model folder and the number of the stage, from 0, that begins with it; nil begins from random
    ///     weights.
    ///   - shape: makes the sizes of the network from the names of attributes, the number of joints among them, the
    ///     number of tokens and the sizes of pictures; nil for the embedded model's.
    /// - Throws: ``TrainingError`` when the folder already holds a run, or holds none to resume.
    public init(
        _ configuration: TrainingConfiguration, folder: String, resume: Bool,
        threads: Int = 1, group: ProcessGroup? = nil, device: Device = .cpu,
        base: (model: String, visionTower: String?)? = nil,
        beginning: (model: String, stage: Int)? = nil,
        shape: (_ attributes: [[String]], _ joints: Int, _ vocabulary: Int, _ sizes: ClosedRange<Int>) ->
            LumenConfiguration =
            LumenConfiguration.mosaic
    ) throws {
        guard !MosaicSeeds.isScoring(configuration.seed) else {
            throw TrainingError.badConfiguration(
                "seed \(configuration.seed)",
                "seeds of \(MosaicSeeds.scoringStart) and above are for scoring alone")
        }
        let ranks = group?.count ?? 1
        own = Array(stride(from: group?.rank ?? 0, to: configuration.shards, by: ranks))
        guard configuration.shards % ranks == 0 else {
            throw TrainingError.badConfiguration(
                "shards \(configuration.shards)", "they cannot be divided among \(ranks) ranks")
        }
        self.configuration = configuration
        self.folder = folder
        self.group = group
        files = try RunFolder(
            folder, configuration: configuration.json(), resume: resume,
            isWriter: group.map { $0.rank == 0 } ?? true)
        model = try Self.model(
            configuration, folder, resume, group, device, base, beginning?.model, shape)
        model.language.recomputesBlocks = configuration.adaptation?.activationCheckpointing ?? false
        writing = MosaicWriting(model)
        parameters = model.trainedParameters
        let (master, count) = (model, min(threads, configuration.shards / ranks))
        shards = try (0..<max(count, 1)).map { _ in try Shard(of: master, configuration) }
        self.threads = ShardThreads(count)
        optimizer = try configuration.optimizer.optimizer(
            of: parameters, weightDecay: configuration.weightDecay,
            tables: Self.tables, ends: Self.ends,
            // The best for the embedded model. LUMEN does not state its own, so PyTorch's defaults serve a LLaVA.
            betas: configuration.adaptation == nil ? (0.9, 0.98) : (0.9, 0.999),
            threads: device.optimizerThreads(self.threads))
        step = 0
        if resume {
            step = try files.restore(parameters, optimizer)
        } else if let (path, stage) = beginning {
            guard (1..<max(configuration.stages.count, 1)).contains(stage) else {
                throw TrainingError.badConfiguration(
                    "stage \(stage)",
                    "the configuration has stages 0 to \(configuration.stages.count - 1), and a model begins one after the first"
                )
            }
            let dtype: DType? = configuration.adaptation == nil ? .float32 : nil
            let other = try Lumen(contentsOf: ModelFolder(path), dtype: dtype).trainedParameters
            let values = Dictionary(uniqueKeysWithValues: other.map { ($0.name, $0.tensor) })
            let kept = parameters.filter {
                configuration.variant == nil || !$0.name.hasPrefix("aligner.")
            }
            try RunFolder.copy(into: kept, from: path) { values[$0] }
            step = configuration.start(of: stage)
        }
        // All ranks begin with the same bits, also on different machines.
        try group?.broadcast(parameters.map(\.tensor))
    }

    private static func model(
        _ configuration: TrainingConfiguration, _ folder: String, _ resume: Bool, _ group: ProcessGroup?,
        _ device: Device, _ base: (model: String, visionTower: String?)?, _ beginning: String?,
        _ shape: ([[String]], Int, Int, ClosedRange<Int>) -> LumenConfiguration
    ) throws -> Lumen {
        if let adaptation = configuration.adaptation {
            guard let base else {
                throw TrainingError.badConfiguration(
                    folder, "a configuration with adaptation wants a LLaVA (--model)")
            }
            var lora = LoRAConfiguration(
                rank: adaptation.lora.rank, alpha: adaptation.lora.alpha, targets: adaptation.lora.targets)
            lora.seed = configuration.seed
            let llava = try LumenBase(base.model, visionTower: base.visionTower, lora: lora)
            let vision = llava.folder.configuration.vision
            guard configuration.richSize % vision.patchSize == 0 else {
                throw TrainingError.badConfiguration(
                    "rich_size \(configuration.richSize)",
                    "a multiple of the vision tower's patches of \(vision.patchSize) pixels is needed")
            }
            let (side, aligner) = (configuration.richSize / vision.patchSize, adaptation.aligner)
            return try Lumen(
                llava,
                AlignerConfiguration(
                    languageSize: llava.folder.configuration.language.hiddenSize,
                    imageSize: vision.hiddenSize * llava.folder.configuration.featureLayers.count,
                    hiddenSize: aligner.hiddenSize, numHiddenLayers: aligner.numHiddenLayers,
                    numAttentionHeads: aligner.numAttentionHeads, tokenCount: side * side,
                    upsample: aligner.upsample, mapChannels: aligner.mapChannels),
                device: device, dtype: configuration.mixedPrecision ? .bfloat16 : .float32,
                seed: configuration.seed)
        }
        let url = URL(fileURLWithPath: "\(folder)/tokenizer.json")
        // The first rank writes the tokenizer, and all ranks read that file.
        if !resume, group.map({ $0.rank == 0 }) ?? true {
            let tokenizer =
                try beginning.map { try Lumen.tokenizer(of: ModelFolder($0)) }
                ?? MosaicCorpus.tokenizer(
                    seed: configuration.seed, vocabularySize: configuration.vocabularySize)
            try tokenizer.write(to: url)
        }
        try group?.barrier()
        let tokenizer = try Tokenizer(contentsOf: url)
        var lumen = shape(
            MosaicBatch.attributes, MosaicBatch.joints, tokenizer.vocabularySize,
            configuration.plainSize...configuration.richSize)
        if let variant = configuration.variant {
            lumen.aligner.fusion = variant.fusion
            lumen.aligner.queryCount = variant.queryCount
            lumen.aligner.match = variant.match
        }
        // The same random weights on every device.
        let made = try Lumen(lumen, tokenizer: tokenizer, seed: configuration.seed)
        return device == .cpu ? made : try Lumen(sharing: made, on: device)
    }

    /// Trains until the configuration's last step, or until `shouldStop` says so; either way a checkpoint is written.
    ///
    /// - Returns: true when the run is complete and `model/` was written.
    public func run(
        shouldStop: () -> Bool = { false }, progress: (Progress) -> Void = { _ in }
    ) throws -> Bool {
        guard let group else { return try runSteps(shouldStop: shouldStop, progress: progress) }
        // Ranks stop together, after the step in which one of them was asked to stop.
        return try withoutActuallyEscaping(shouldStop) { shouldStop in
            wasAsked = shouldStop
            defer { wasAsked = { false } }
            let isComplete = try runSteps(shouldStop: { isStopping }, progress: progress)
            // No rank ends before the first one has written everything.
            try group.barrier()
            group.leave()
            return isComplete
        }
    }

    /// Asked after each step's work.
    private var wasAsked: () -> Bool = { false }

    func advance() throws -> (losses: [String: Double], pictures: Int) {
        if step > 0, configuration.stage(of: step).step == 0 { try beginStage() }
        let step = step
        let learnt: Learnt
        if model.device == .cpu {
            learnt = try learn(own.count, of: configuration.shards) { [self] in
                try batch(step: step, shard: own[$0])
            }
        } else {
            let batches = try own.map { _ in try ahead.next()!.result.get() }
            learnt = try learn(own.count, of: configuration.shards) { batches[$0] }
        }
        return (learnt.losses, learnt.pictures)
    }

    /// Makes the batches of this and the following steps on separate threads.
    private func batchesAhead() -> Ahead<MosaicBatch> {
        let (configuration, writing, device, own) = (configuration, writing, model.device, own)
        let loaders = device.loaders(beside: shards.count)
        return Ahead(step * own.count..<steps * own.count, threads: loaders, ahead: 2 * loaders) { number in
            let (step, shard) = number.quotientAndRemainder(dividingBy: own.count)
            return try MosaicBatch(
                step: step, shard: own[shard], configuration: configuration, writing: writing
            ).to(device)
        }
    }

    /// The batch of a shard of a step.
    package func batch(step: Int, shard: Int) throws -> MosaicBatch {
        try MosaicBatch(step: step, shard: shard, configuration: configuration, writing: writing)
    }

    /// Resets everything to what the model folder of the previous stage holds.
    private func beginStage() throws {
        for (_, tensor) in parameters {
            try withoutGrad { try tensor.copy(from: tensor.detached().to(.bfloat16).to(.float32)) }
        }
        try optimizer.reset()
    }

    /// Moves the parameters once, from one batch for each shard. Returns the losses before the move.
    package func learn(from batches: [MosaicBatch]) throws -> [(name: String, value: Double)] {
        try learn(batches.count, of: batches.count) { batches[$0] }.losses.sorted { $0.key < $1.key }
            .map { ($0.key, $0.value) }
    }

    /// The results of a step's shards: their share of the mean losses, and how many pictures they saw.
    private struct Learnt: Codable {
        var losses: [String: Double] = [:]
        var pictures = 0
        /// Whether a rank was asked to stop.
        var stops = false

        mutating func add(_ other: Learnt) {
            losses.merge(other.losses, uniquingKeysWith: +)
            pictures += other.pictures
            stops = stops || other.stops
        }
    }

    /// Moves the parameters once, from this rank's `count` of all ranks' `total` shards.
    private func learn(
        _ count: Int, of total: Int, _ batch: @escaping (Int) throws -> MosaicBatch
    ) throws -> Learnt {
        let step = step
        let weight = 1 / Double(total)
        var (parts, gradients) = try threads.learn(count, on: shards, check: { try group?.checkOthers() }) {
            number, shard in
            let batch = try batch(number)
            return (
                losses: try shard.learn(from: batch, step: step, share: weight),
                pictures: batch.pixels.size(0)
            )
        }
        var learnt = Learnt()
        for (losses, pictures) in parts {
            learnt.pictures += pictures
            for (name, value) in losses { learnt.losses[name, default: 0] += value * weight }
        }
        if let group { try share(&gradients, &learnt, group) }
        for (parameter, gradient) in zip(parameters, gradients) { try parameter.tensor.setGrad(gradient) }
        learnt.losses["gradient"] = try optimizer.clipGradients(to: configuration.gradientLimit)
        try optimizer.step(learningRate: learningRate(of: step))
        self.step += 1
        isStopping = learnt.stops
        return learnt
    }

    /// Adds up the results of all ranks; all ranks end with the same bits.
    private func share(_ gradients: inout [Tensor?], _ learnt: inout Learnt, _ group: ProcessGroup) throws {
        try group.add(&gradients, of: parameters.map(\.tensor))
        learnt.stops = wasAsked()
        let all = try group.tell(learnt)
        learnt = Learnt()
        for rank in all { learnt.add(rank) }
    }

    func learningRate(of step: Int) -> Double {
        let (number, stageStep) = configuration.stage(of: step)
        let stage = configuration.stages[number]
        return stage.schedule.rate(step: stageStep, of: stage.steps)
    }

    // MARK: Checkpoints

    var steps: Int { configuration.steps }
    var logEvery: Int { configuration.logEvery }
    var checkpointEvery: Int { configuration.checkpointEvery }
    /// At the end of every stage.
    var isModelDue: Bool { configuration.stage(of: step).step == 0 }

    /// How answers are taken from a model of Mosaic. Its boxes surround the visible part of a thing, as its masks do.
    /// The thresholds are those that were found for the embedded model (docs/evaluation.md, Thresholds).
    private static let locator = Locator(
        overlapLimit: 0.5, countThreshold: 0.44, masksBoxes: true, knownThreshold: 0.99, largePower: 0.72)

    func saveModel() throws {
        guard files.isWriter else { return }
        try model.save(to: "\(folder)/model")
        try ModelFolder("\(folder)/model").calibrate(Self.locator, classes: nil)
    }

    /// The trained parameters, and the optimizer's state.
    func saveCheckpoint() throws { try files.save(parameters, optimizer, step: step) }
}
