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
public final class Trainer {
    public let configuration: TrainingConfiguration
    public let folder: String
    public let model: Lumen
    /// Steps done.
    public private(set) var step: Int
    private let optimizer: AdamW
    private let losses: LumenLosses

    /// Progress of a run, given after every step.
    public struct Progress: Sendable {
        public let step: Int
        public let steps: Int
        public let samplesPerSecond: Double
        public let secondsLeft: Double
        public let loss: Double
    }

    private var checkpointPath: String { "\(folder)/checkpoint.safetensors" }
    private var metricsPath: String { "\(folder)/metrics.jsonl" }

    /// Prepares a run in `folder`.
    ///
    /// - Parameters:
    ///   - configuration: what to train and how.
    ///   - folder: where the run lies, or will lie.
    ///   - resume: whether to continue from the folder's checkpoint.
    ///   - shape: the network for the attributes' names, the tokenizer's size and the pictures' side; the embedded
    ///     model's when left out.
    /// - Throws: ``TrainingError`` when the folder holds a run already, or none to resume.
    public init(
        _ configuration: TrainingConfiguration, folder: String, resume: Bool,
        shape: (_ attributes: [[String]], _ vocabulary: Int, _ imageSize: Int) -> LumenConfiguration =
            LumenConfiguration.mosaic
    ) throws {
        guard !MosaicSeeds.isScoring(configuration.seed) else {
            throw TrainingError.badConfiguration(
                "seed \(configuration.seed)",
                "seeds of \(MosaicSeeds.scoringStart) and above are for scoring alone")
        }
        self.configuration = configuration
        self.folder = folder
        let files = FileManager.default
        let tokenizerURL = URL(fileURLWithPath: "\(folder)/tokenizer.json")
        let hasCheckpoint = files.fileExists(atPath: "\(folder)/checkpoint.safetensors")
        let tokenizer: Tokenizer
        if resume {
            guard hasCheckpoint else {
                throw TrainingError.badRun(folder, "there is no checkpoint to resume from")
            }
            guard let saved = files.contents(atPath: "\(folder)/configuration.json"),
                String(decoding: saved, as: UTF8.self) == (try configuration.json())
            else { throw TrainingError.badRun(folder, "the run was made with another configuration") }
            tokenizer = try Tokenizer(contentsOf: tokenizerURL)
        } else {
            guard !hasCheckpoint else {
                throw TrainingError.badRun(folder, "there is a run already; resume it or name another folder")
            }
            try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
            tokenizer = try MosaicCorpus.tokenizer(
                seed: configuration.seed, vocabularySize: configuration.vocabularySize)
            try tokenizer.write(to: tokenizerURL)
            try configuration.json().write(
                toFile: "\(folder)/configuration.json", atomically: true, encoding: .utf8)
            try Data().write(to: URL(fileURLWithPath: "\(folder)/metrics.jsonl"))
        }
        model = try Lumen(
            shape(MosaicBatch.attributes, tokenizer.vocabularySize, configuration.imageSize),
            tokenizer: tokenizer,
            seed: configuration.seed)
        losses = try LumenLosses(model: model, configuration: configuration)
        // Weight decay on matrices alone, as the study found best.
        func decays(_ parameter: (name: String, tensor: Tensor)) -> Bool {
            parameter.tensor.rank >= 2
                && !["position_embedding", "embed_tokens", "output_tokens"].contains {
                    parameter.name.contains($0)
                }
        }
        optimizer = try AdamW(
            [
                .init(model.parameters.filter(decays), weightDecay: configuration.weightDecay),
                .init(model.parameters.filter { !decays($0) }, weightDecay: 0),
            ], betas: (0.9, 0.98))
        step = 0
        if resume { try restore() }
    }

    /// Trains until the configuration's last step, or until `shouldStop` says so; either way a checkpoint is written.
    ///
    /// - Returns: true when the run is complete and `model/` was written.
    public func run(
        shouldStop: () -> Bool = { false }, progress: (Progress) -> Void = { _ in }
    ) throws -> Bool {
        let start = ContinuousClock.now
        let first = step
        var sums: [(name: String, value: Double)] = []
        var counted = 0
        var samples = 0
        var lastLog = start
        while step < configuration.steps {
            if shouldStop() {
                try saveCheckpoint()
                return false
            }
            let values = try advance()
            let loss = values.first { $0.name == "loss" }!.value
            guard loss.isFinite else { throw TrainingError.diverged(step: step) }
            if sums.map(\.name) != values.map(\.name) {
                sums = values
                counted = 1
            } else {
                for index in sums.indices { sums[index].value += values[index].value }
                counted += 1
            }
            samples += step <= configuration.visionSteps ? configuration.visionScenes : configuration.scenes
            let now = ContinuousClock.now
            let elapsed = (now - start).seconds
            let rate = Double(samples) / elapsed
            let left = elapsed / Double(step - first) * Double(configuration.steps - step)
            progress(
                Progress(
                    step: step, steps: configuration.steps, samplesPerSecond: rate, secondsLeft: left,
                    loss: loss))
            if step % configuration.logEvery == 0 || step == configuration.steps {
                let perStep = (now - lastLog).seconds / Double(counted)
                lastLog = now
                try log(
                    sums.map { ($0.name, $0.value / Double(counted)) }, secondsPerStep: perStep,
                    elapsed: elapsed)
                sums = []
                counted = 0
            }
            if step % configuration.checkpointEvery == 0 { try saveCheckpoint() }
        }
        try saveCheckpoint()
        try model.save(to: "\(folder)/model")
        return true
    }

    /// One step; the losses of it.
    private func advance() throws -> [(name: String, value: Double)] { try learn(from: batch(step: step)) }

    /// What a step learns from.
    package func batch(step: Int) throws -> MosaicBatch {
        let visionOnly = step < configuration.visionSteps
        return try MosaicBatch(
            step: step, scenes: visionOnly ? configuration.visionScenes : configuration.scenes,
            configuration: configuration, tokenizer: model.tokenizer, texts: !visionOnly)
    }

    /// Moves the parameters once; the losses before it.
    package func learn(from batch: MosaicBatch) throws -> [(name: String, value: Double)] {
        let parts = try withAutocast(configuration.mixedPrecision ? .bfloat16 : nil) {
            try losses(batch, step: step)
        }
        let total = try parts.dropFirst().reduce(parts[0].value) { try $0 + $1.value }
        try optimizer.zeroGrad()
        try total.backward()
        let norm = try optimizer.clipGradients(to: configuration.gradientLimit)
        try optimizer.step(learningRate: configuration.schedule.rate(step: step, of: configuration.steps))
        step += 1
        return [("loss", try total.item()), ("gradient", norm)]
            + (try parts.map { ($0.name, try $0.value.item()) })
    }

    private func log(_ values: [(name: String, value: Double)], secondsPerStep: Double, elapsed: Double)
        throws
    {
        var line: [String: Double] = Dictionary(uniqueKeysWithValues: values.map { ($0.name, $0.value) })
        line["step"] = Double(step)
        line["seconds_per_step"] = secondsPerStep
        line["seconds"] = elapsed
        line["learning_rate"] = configuration.schedule.rate(step: step - 1, of: configuration.steps)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(line.mapValues { ($0 * 1e6).rounded() / 1e6 })
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: metricsPath))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: data + [UInt8(ascii: "\n")])
    }

    // MARK: Checkpoints

    private func saveCheckpoint() throws {
        let weights = model.parameters.map { (name: "model.\($0.name)", tensor: $0.tensor) }
        let state = optimizer.state.map { (name: "optimizer.\($0.name)", tensor: $0.tensor) }
        try SafetensorsFile.write(weights + state, metadata: ["step": "\(step)"], to: checkpointPath)
    }

    private func restore() throws {
        let file = try SafetensorsFile(checkpointPath)
        guard let saved = file.metadata["step"].flatMap({ Int($0) }) else {
            throw TrainingError.badRun(checkpointPath, "the checkpoint does not say which step it is of")
        }
        for (name, tensor) in model.parameters {
            guard let value = try file.tensor(named: "model.\(name)"), value.shape == tensor.shape else {
                throw TrainingError.badRun(
                    checkpointPath, "the parameter \(name) is missing or of another shape")
            }
            try tensor.copy(from: value)
        }
        try optimizer.load(PrefixedSource(file: file, prefix: "optimizer."))
        step = saved
        try dropMetrics(after: saved)
    }

    /// Removes the lines of steps that were done after the checkpoint and will be done again.
    private func dropMetrics(after step: Int) throws {
        struct Line: Decodable { let step: Double }
        let text = String(decoding: try Data(contentsOf: URL(fileURLWithPath: metricsPath)), as: UTF8.self)
        let kept = text.split(separator: "\n").filter {
            (try? JSONDecoder().decode(Line.self, from: Data($0.utf8))).map { Int($0.step) <= step } ?? false
        }
        try Data(kept.map { $0 + "\n" }.joined().utf8).write(
            to: URL(fileURLWithPath: metricsPath), options: .atomic)
    }
}

/// The tensors of a file whose names begin with a prefix, without it.
private struct PrefixedSource: TensorSource {
    let file: SafetensorsFile
    let prefix: String
    var label: String { file.label }
    var names: [String] {
        file.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
    func tensor(named name: String) throws -> Tensor? { try file.tensor(named: prefix + name) }
}

extension Duration {
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
