import Checkpoints
import Datasets
import Foundation
import NN
import Text
import Torch
public import Vitrail

/// Trains a LUMEN on Mosaic's scenes.
///
/// A run is a folder: `configuration.json`, `tokenizer.json`, `metrics.jsonl`, `checkpoint.safetensors` (the last, one
/// file, replaced whole) and at the end `model/`. A step's data depends on the seed and the step's number alone, so a
/// run that was killed continues exactly.
public final class Trainer: SteppedRun {
    public let configuration: TrainingConfiguration
    public let folder: String
    public let model: Lumen
    /// Steps done.
    public private(set) var step: Int
    let files: RunFolder
    private let optimizer: AdamW
    private let shards: [Shard]
    private let threads: ShardThreads

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
    ///   - beginning: a model folder and the number of the stage, from 0, that begins with it; from nothing when left out.
    ///   - shape: the network for the attributes' names, joints among them, the tokenizer's size and the pictures' sizes; the embedded
    ///     model's when left out.
    /// - Throws: ``TrainingError`` when the folder holds a run already, or none to resume.
    public init(
        _ configuration: TrainingConfiguration, folder: String, resume: Bool,
        threads: Int = 1, beginning: (model: String, stage: Int)? = nil,
        shape: (_ attributes: [[String]], _ joints: Int, _ vocabulary: Int, _ sizes: ClosedRange<Int>) ->
            LumenConfiguration =
            LumenConfiguration.mosaic
    ) throws {
        guard !MosaicSeeds.isScoring(configuration.seed) else {
            throw TrainingError.badConfiguration(
                "seed \(configuration.seed)",
                "seeds of \(MosaicSeeds.scoringStart) and above are for scoring alone")
        }
        self.configuration = configuration
        self.folder = folder
        files = try RunFolder(folder, configuration: configuration.json(), resume: resume)
        let tokenizerURL = URL(fileURLWithPath: "\(folder)/tokenizer.json")
        let tokenizer: Tokenizer
        if resume {
            tokenizer = try Tokenizer(contentsOf: tokenizerURL)
        } else {
            tokenizer =
                try beginning.map { try Lumen.tokenizer(of: ModelFolder($0.model)) }
                ?? MosaicCorpus.tokenizer(
                    seed: configuration.seed, vocabularySize: configuration.vocabularySize)
            try tokenizer.write(to: tokenizerURL)
        }
        model = try Lumen(
            shape(
                MosaicBatch.attributes, MosaicBatch.joints, tokenizer.vocabularySize,
                configuration.plainSize...configuration.richSize),
            tokenizer: tokenizer,
            seed: configuration.seed)
        let (master, count) = (model, configuration.shards)
        shards = try (0..<count).map { _ in try Shard(of: master, configuration) }
        self.threads = ShardThreads(min(threads, count))
        optimizer = try AdamW(
            training: model.parameters, weightDecay: configuration.weightDecay,
            exempt: ["position_embedding", "embed_tokens", "output_tokens"])
        step = 0
        if resume {
            step = try files.restore(model.parameters, optimizer)
        } else if let (path, stage) = beginning {
            guard (1..<max(configuration.stages.count, 1)).contains(stage) else {
                throw TrainingError.badConfiguration(
                    "stage \(stage)",
                    "the configuration has stages 0 to \(configuration.stages.count - 1), and a model begins one after the first"
                )
            }
            let other = try Lumen(contentsOf: ModelFolder(path)).parameters
            let values = Dictionary(uniqueKeysWithValues: other.map { ($0.name, $0.tensor) })
            try RunFolder.copy(into: model.parameters, from: path) { values[$0] }
            step = configuration.start(of: stage)
        }
    }

    /// Trains until the configuration's last step, or until `shouldStop` says so; either way a checkpoint is written.
    ///
    /// - Returns: true when the run is complete and `model/` was written.
    public func run(
        shouldStop: () -> Bool = { false }, progress: (Progress) -> Void = { _ in }
    ) throws -> Bool { try runSteps(shouldStop: shouldStop, progress: progress) }

    func advance() throws -> (losses: [String: Double], pictures: Int) {
        if step > 0, configuration.stage(of: step).step == 0 { try beginStage() }
        let (step, count) = (step, configuration.shards)
        let learnt = try threads.map(count) { [self] number in
            let batch = try batch(step: step, shard: number)
            return (
                losses: try shards[number].learn(from: batch, step: step, share: 1 / Double(count)),
                pictures: batch.pixels.size(0)
            )
        }
        return (
            Dictionary(uniqueKeysWithValues: try move(learnt.map(\.losses))),
            learnt.reduce(0) { $0 + $1.pictures }
        )
    }

    /// What a shard of a step learns from.
    package func batch(step: Int, shard: Int) throws -> MosaicBatch {
        try MosaicBatch(step: step, shard: shard, configuration: configuration, tokenizer: model.tokenizer)
    }

    /// Leaves nothing of the stage before but what its model's folder holds.
    private func beginStage() throws {
        for (_, tensor) in model.parameters {
            try withoutGrad { try tensor.copy(from: tensor.detached().to(.bfloat16).to(.float32)) }
        }
        try optimizer.reset()
    }

    /// Moves the parameters once, from one batch for each shard; the losses before it.
    package func learn(from batches: [MosaicBatch]) throws -> [(name: String, value: Double)] {
        let step = step
        return try move(
            threads.map(batches.count) { [self] number in
                try shards[number].learn(from: batches[number], step: step, share: 1 / Double(batches.count))
            })
    }

    /// Sums the shards' gradients, moves the parameters, and gives the mean losses.
    private func move(_ losses: [[(name: String, value: Double)]]) throws -> [(name: String, value: Double)] {
        try withoutGrad {
            for (index, parameter) in model.parameters.map(\.tensor).enumerated() {
                let gradients = shards.compactMap { $0.parameters[index].grad }
                for other in gradients.dropFirst() { try gradients[0].add_(other) }
                try parameter.setGrad(gradients.first)
            }
        }
        let norm = try optimizer.clipGradients(to: configuration.gradientLimit)
        try optimizer.step(learningRate: learningRate(of: step))
        step += 1
        var sums: [String: Double] = [:]
        for (name, value) in losses.joined() { sums[name, default: 0] += value / Double(losses.count) }
        return [("gradient", norm)] + sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
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

    func saveModel() throws { try model.save(to: "\(folder)/model") }

    func saveCheckpoint() throws { try files.save(model.parameters, optimizer, step: step) }
}
