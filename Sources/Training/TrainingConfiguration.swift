import Foundation
public import NN

/// Everything that a training depends on; the file given to `vitrail train`.
public struct TrainingConfiguration: Codable, Sendable, Hashable {
    /// Seeds the weights and the data. Mosaic's scoring seeds are refused.
    public var seed: UInt64
    /// Side of the pictures.
    public var imageSize: Int
    /// Tokens of the language model's vocabulary at most.
    public var vocabularySize: Int
    /// Steps in which the encoder learns alone, from its dense head.
    public var visionSteps: Int
    /// The step from which the aligner learns too. Before it the language model binds words without the heatmap's
    /// gradients, which drown what a phrase names.
    public var alignerFrom: Int
    /// Steps in all.
    public var steps: Int
    /// Scenes a step while the encoder learns alone, and after.
    public var visionScenes: Int
    public var scenes: Int
    /// Location queries and questions a scene; a caption comes with the questions.
    public var queries: Int
    public var questions: Int
    /// The share of location queries that refer to one thing.
    public var referringShare: Double
    /// How often a phrase names something else than what is there.
    public var negativeRate: Double
    /// The share of location queries in free words; the others are in the fixed form.
    public var freeWording: Double
    /// The share of scenes with three objects or fewer, and the steps over which it fades out.
    public var easyShare: Double
    public var easySteps: Int
    public var schedule: Schedule
    public var weightDecay: Double
    public var gradientLimit: Double
    /// Whether matrix products and convolutions run in bfloat16.
    public var mixedPrecision: Bool
    /// What each loss counts before ``alignerFrom``, and after; the weights pass from one to the other over
    /// ``rampSteps``.
    public var bindingLosses: LossWeights
    public var losses: LossWeights
    public var rampSteps: Int
    /// Steps between two lines of metrics, and between two checkpoints.
    public var logEvery: Int
    public var checkpointEvery: Int

    /// What each loss counts.
    public struct LossWeights: Codable, Sendable, Hashable {
        /// The dense head: centres, attributes and sizes at each cell.
        public var dense: Double
        /// Words on patches.
        public var words: Double
        /// The next token of answers with a place, and of answers in words.
        public var location: Double
        public var text: Double
        /// LUMEN's heatmap and size losses.
        public var heat: Double
        public var size: Double
        /// What the phrase names, read from [LOC], and where its one target is.
        public var named: Double
        public var place: Double
        /// The same of a question's subject, read before the answer.
        public var subject: Double
        public var subjectPlace: Double

        func mixed(with other: LossWeights, _ share: Double) -> LossWeights {
            func mix(_ field: KeyPath<LossWeights, Double>) -> Double {
                self[keyPath: field] * (1 - share) + other[keyPath: field] * share
            }
            return LossWeights(
                dense: mix(\.dense), words: mix(\.words), location: mix(\.location), text: mix(\.text),
                heat: mix(\.heat), size: mix(\.size), named: mix(\.named), place: mix(\.place),
                subject: mix(\.subject), subjectPlace: mix(\.subjectPlace))
        }
    }

    /// The weights of a step.
    func weights(at step: Int) -> LossWeights {
        let share =
            step < alignerFrom ? 0 : min(1, Double(step - alignerFrom + 1) / Double(max(rampSteps, 1)))
        return bindingLosses.mixed(with: losses, share)
    }

    /// - Throws: ``TrainingError`` for a file that is missing or not of this form, naming the field.
    public init(contentsOf path: String) throws {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw TrainingError.badConfiguration(path, "no such file")
        }
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            self = try decoder.decode(Self.self, from: data)
        } catch let error as DecodingError {
            throw TrainingError.badConfiguration(path, Self.describe(error))
        }
        try validate(path)
    }

    /// What is wrong with a file, naming the field as it stands there.
    private static func describe(_ error: DecodingError) -> String {
        func field(_ path: [any CodingKey]) -> String {
            let name = path.map(\.stringValue).joined(separator: ".")
            return name.reduce(into: "") { $0 += $1.isUppercase ? "_\($1.lowercased())" : "\($1)" }
        }
        switch error {
        case .keyNotFound(let key, let context):
            return "the field \(field(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            guard !context.codingPath.isEmpty else { return "not the JSON of a training configuration" }
            return "the field \(field(context.codingPath)) has the wrong kind of value"
        @unknown default: return "not the JSON of a training configuration"
        }
    }

    private func validate(_ path: String) throws {
        let positive = [
            ("steps", steps), ("vision_scenes", visionScenes), ("scenes", scenes), ("queries", queries),
            ("questions", questions), ("log_every", logEvery), ("checkpoint_every", checkpointEvery),
        ]
        for (name, value) in positive where value < 1 {
            throw TrainingError.badConfiguration(path, "\(name) is \(value), at least 1 is needed")
        }
        let bounded: [(String, Double, ClosedRange<Double>)] = [
            ("vision_scenes", Double(visionScenes), 1...4096), ("scenes", Double(scenes), 1...4096),
            ("queries", Double(queries), 1...256), ("questions", Double(questions), 1...256),
            ("vocabulary_size", Double(vocabularySize), 512...1_000_000),
            ("vision_steps", Double(visionSteps), 0...1e12), ("aligner_from", Double(alignerFrom), 0...1e12),
            ("easy_steps", Double(easySteps), 0...1e12), ("ramp_steps", Double(rampSteps), 0...1e12),
            ("referring_share", referringShare, 0...1), ("negative_rate", negativeRate, 0...1),
            ("free_wording", freeWording, 0...1), ("easy_share", easyShare, 0...1),
            ("weight_decay", weightDecay, 0...1), ("gradient_limit", gradientLimit, 1e-9...1e9),
            ("schedule.peak", schedule.peak, 0...1), ("schedule.floor", schedule.floor, 0...1),
            ("schedule.decay_share", schedule.decayShare, 0...1),
            ("schedule.warmup_steps", Double(schedule.warmupSteps), 0...1e12),
        ]
        func text(_ value: Double) -> String { Int(exactly: value).map(String.init) ?? "\(value)" }
        for (name, value, range) in bounded where !range.contains(value) {
            let (low, high) = (text(range.lowerBound), text(range.upperBound))
            throw TrainingError.badConfiguration(
                path, "\(name) is \(text(value)), \(low) to \(high) is possible")
        }
        guard imageSize % 16 == 0, (96...512).contains(imageSize) else {
            throw TrainingError.badConfiguration(
                path, "image_size is \(imageSize), a multiple of 16 from 96 to 512 is needed")
        }
    }

    /// The configuration as it is written beside a run's results.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    }
}

public enum TrainingError: Error, CustomStringConvertible {
    case badConfiguration(String, String)
    case badRun(String, String)
    case diverged(step: Int)

    public var description: String {
        switch self {
        case .badConfiguration(let path, let reason), .badRun(let path, let reason): "\(path): \(reason)"
        case .diverged(let step): "the loss of step \(step) is not a number; the last checkpoint is whole"
        }
    }
}
