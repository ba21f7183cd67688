internal import Checkpoints
internal import Encoders
internal import Foundation
internal import Language
internal import Perception
internal import TestSupport
internal import Torch
internal import Training
internal import Vitrail

/// A training of two stages of four steps on a network of some ten thousand parameters: in the first the encoder learns
/// alone for a step and words are bound for another.
enum TinyTraining {
    static func configuration(
        _ change: (inout TrainingConfiguration) -> Void = { _ in }
    ) throws -> TrainingConfiguration {
        let folder = try TemporaryFolder()
        try write(fields, to: folder.file("tiny.json"))
        var configuration = try TrainingConfiguration(contentsOf: folder.file("tiny.json"))
        change(&configuration)
        return configuration
    }

    /// The fields of a valid configuration file.
    static var fields: [String: Any] {
        let losses: [String: Any] = [
            "dense": 1, "words": 1, "location": 1, "text": 0.5, "heat": 1, "box": 1, "named": 1, "place": 1,
            "mention": 1, "mention_place": 1, "subject": 0.3, "subject_place": 1, "look": 1,
        ]
        let schedule: [String: Any] = ["peak": 0.003, "warmup_steps": 2, "decay_share": 0.5, "floor": 0.1]
        func stage(_ changes: [String: Any]) -> [String: Any] {
            [
                "steps": 4, "vision_steps": 0, "aligner_from": 0, "ramp_steps": 2, "schedule": schedule,
                "rich_share": 0.3, "pose_share": 0.3, "varied_share": 0.3, "plain_scenes": 2,
                "rich_scenes": 2, "people": 2,
                "locations": 2, "compounds": 1, "questions": 2, "captions": 1, "queries": 3, "joints": 2,
                "referring_share": 0.3, "negative_rate": 0.3, "free_wording": 0.4, "easy_share": 0.5,
                "easy_steps": 8, "binding_losses": losses, "losses": losses,
            ].merging(changes) { $1 }
        }
        return [
            "seed": 5, "plain_size": 96, "rich_size": 112, "vocabulary_size": 768, "weight_decay": 0.05,
            "optimizer": "muon", "gradient_limit": 5, "mixed_precision": true, "shards": 2, "log_every": 2,
            "checkpoint_every": 3,
            "stages": [stage(["vision_steps": 1, "aligner_from": 2]), stage([:])],
        ]
    }

    static func write(_ fields: [String: Any], to path: String) throws {
        try JSONSerialization.data(withJSONObject: fields).write(to: URL(fileURLWithPath: path))
    }

    static func trainer(
        _ folder: String, resume: Bool = false, threads: Int = 2,
        beginning: (model: String, stage: Int)? = nil,
        _ change: (inout TrainingConfiguration) -> Void = { _ in }
    ) throws -> Trainer {
        // As the program does: each shard has one thread, and the sums depend on it.
        try Threads.set(1)
        return try Trainer(
            configuration(change), folder: folder, resume: resume, threads: threads, beginning: beginning,
            shape: shape)
    }

    static func shape(
        _ attributes: [[String]], _ joints: Int, _ vocabulary: Int, _ sizes: ClosedRange<Int>
    ) -> LumenConfiguration {
        let encoder = HybridViTConfiguration(
            imageSize: sizes.upperBound, hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2,
            stemChannels: [8, 8, 8],
            fineChannels: 8, headChannels: 8, attributes: attributes, minImageSize: sizes.lowerBound,
            boxChannels: 4, jointCount: joints)
        return LumenConfiguration(
            encoder: encoder,
            projector: ProjectorConfiguration(
                imageSize: 16, hiddenSize: 16, unshuffle: 2, fineChannels: encoder.fineFeatureCount,
                scale: 0.3,
                tokenCount: 49, wordClasses: encoder.attributeCount - joints),
            language: LlamaConfiguration(
                vocabSize: vocabulary, hiddenSize: 16, intermediateSize: 24, numHiddenLayers: 3,
                numAttentionHeads: 4,
                maxPositionEmbeddings: 256, tieWordEmbeddings: true, initializerRange: 0.1, imageHeads: 2,
                prefixAttention: .full),
            aligner: AlignerConfiguration(
                languageSize: 16, imageSize: 16, hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2,
                tokenCount: 196, upsample: 2, mapChannels: 8, fineChannels: encoder.fineFeatureCount,
                fineMapChannels: encoder.fineChannels, headChannels: encoder.headChannels,
                attributeGroups: attributes.map(\.count), offsetMaps: true, jointCount: joints,
                placeMatch: true, relations: true))
    }

    /// The lines of `metrics.jsonl` without what a clock says.
    static func metrics(_ folder: String) throws -> [[String: Double]] {
        let text = try String(contentsOfFile: "\(folder)/metrics.jsonl", encoding: .utf8)
        return try text.split(separator: "\n").map { line in
            var values = try JSONDecoder().decode([String: Double].self, from: Data(line.utf8))
            values["seconds"] = nil
            values["seconds_per_step"] = nil
            return values
        }
    }

    /// Names of the tensors that are not equal to the last bit in two files.
    static func differences(_ a: String, _ b: String) throws -> [String] {
        let (a, b) = (try SafetensorsFile(a), try SafetensorsFile(b))
        guard a.names == b.names else { return ["the names"] }
        return try a.names.filter { name in
            let (x, y) = (try a.tensor(named: name)!, try b.tensor(named: name)!)
            guard x.shape == y.shape, x.dtype == y.dtype else { return true }
            return try x.withBytes { left in try y.withBytes { !left.elementsEqual($0) } }
        }
    }
}

/// What an error says, which must be one line; nil when nothing was thrown.
func refusal<Result>(_ body: () throws -> Result) -> String? {
    do {
        _ = try body()
        return nil
    } catch {
        let text = "\(error)"
        return text.contains("\n") ? "more than one line: \(text)" : text
    }
}
