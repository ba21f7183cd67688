import Foundation
public import NN
public import Perception

/// The configuration of a training, the file given to `vitrail train`.
public struct TrainingConfiguration: Codable, Sendable, Hashable {
    /// Seeds the weights and the data. Mosaic's scoring seeds are refused.
    public var seed: UInt64
    /// The sides of the pictures of the plain and of the rich ring.
    public var plainSize: Int
    public var richSize: Int
    /// The most tokens of the language model's vocabulary.
    public var vocabularySize: Int
    public var optimizer: OptimizerKind
    public var weightDecay: Double
    public var gradientLimit: Double
    /// Whether matrix products and convolutions run in bfloat16.
    public var mixedPrecision: Bool
    /// The number of parts of a step's pictures. They can run at the same time, and the result is the same if they do
    /// not.
    public var shards: Int
    /// The number of steps between two lines of metrics, and between two checkpoints.
    public var logEvery: Int
    public var checkpointEvery: Int
    /// What is added to a LLaVA and trained; nil for the training of a small model.
    public var adaptation: Adaptation?
    /// How the aligner of the small model differs from the embedded model's; nil for the same.
    public var variant: Variant?
    /// The stages, in order. A stage begins with the model as a folder holds it, in bfloat16, and with a new
    /// optimizer, so that a training can continue from the model of any stage.
    public var stages: [Stage]

    /// An aligner for comparison. It begins with random weights, even if the run begins with a model. What is nil is
    /// as in the embedded model: see ``Perception/AlignerConfiguration``.
    public struct Variant: Codable, Sendable, Hashable {
        public var fusion: AlignerConfiguration.Fusion?
        public var queryCount: Int?
        public var match: Bool?
    }

    /// LUMEN on a LLaVA: LoRA in the language model, rows for LUMEN's tokens, and an aligner, all held in float32.
    ///
    /// All of the LLaVA's own parameters are frozen, in bfloat16 with ``TrainingConfiguration/mixedPrecision``.
    public struct Adaptation: Codable, Sendable, Hashable {
        public var lora: LoRA
        public var aligner: Aligner
        /// Whether a block of the language model keeps only its input for the gradient, and is recomputed in the
        /// backward pass.
        public var activationCheckpointing: Bool

        public struct LoRA: Codable, Sendable, Hashable {
            public var rank: Int
            public var alpha: Double
            /// Linear layers of the language model, by the last part of their names.
            public var targets: [String]
        }

        public struct Aligner: Codable, Sendable, Hashable {
            public var hiddenSize: Int
            public var numHiddenLayers: Int
            public var numAttentionHeads: Int
            /// The number of cells of the maps for each patch, along an axis.
            public var upsample: Int
            public var mapChannels: Int
        }
    }

    /// A part of a training with a separate learning rate schedule.
    public struct Stage: Codable, Sendable, Hashable {
        public var steps: Int
        /// The number of steps in which the encoder learns alone, by the losses of its dense head.
        public var visionSteps: Int
        /// The step from which on the aligner learns, too. Before it, the language model binds words without the
        /// heatmap's gradients, which would drown what a phrase names.
        public var alignerFrom: Int
        public var schedule: Schedule
        /// A step shows scenes of the plain ring, scenes of the rich ring, or people cut out of either. These are the
        /// shares of steps with the rich ring and with people.
        public var richShare: Double
        public var poseShare: Double
        /// The share of the steps with scenes that show them at another size than the ring's, from ``plainSize`` to
        /// ``richSize``.
        public var variedShare: Double
        /// The number of scenes of each ring, and of people, in a step.
        public var plainScenes: Int
        public var richScenes: Int
        public var people: Int
        /// The number of conversations about a scene: requests for a place, several requests in one, questions,
        /// captions.
        public var locations: Int
        public var compounds: Int
        public var questions: Int
        public var captions: Int
        /// The number of [LOC] states of a scene, and of joints of a person, that the aligner answers.
        public var queries: Int
        public var joints: Int
        /// The share of location requests that refer to one thing.
        public var referringShare: Double
        /// The share of phrases that are made up, most of which name something absent.
        public var negativeRate: Double
        /// The share of location requests in free words; the others are in the fixed form.
        public var freeWording: Double
        /// The share of scenes with three objects or fewer, and the steps over which it fades out.
        public var easyShare: Double
        public var easySteps: Int
        /// The weights of the losses before ``alignerFrom``, and after. They change from one to the other over
        /// ``rampSteps``.
        public var bindingLosses: LossWeights
        public var losses: LossWeights
        public var rampSteps: Int

        /// The weights of one of the stage's steps.
        func weights(at step: Int) -> LossWeights {
            let share =
                step < alignerFrom ? 0 : min(1, Double(step - alignerFrom + 1) / Double(max(rampSteps, 1)))
            return bindingLosses.mixed(with: losses, share)
        }
    }

    /// The weight of each loss.
    public struct LossWeights: Codable, Sendable, Hashable {
        /// The dense head: centres, attributes and boxes at each cell.
        public var dense: Double
        /// Words on patches.
        public var words: Double
        /// The next token of answers with a place, and of answers in words.
        public var location: Double
        public var text: Double
        /// LUMEN's heatmap loss, and the losses of boxes.
        public var heat: Double
        public var box: Double
        /// What the phrase names, read from [LOC], and where its one target is.
        public var named: Double
        public var place: Double
        /// The same for every noun phrase, read a third of the way up the language model.
        public var mention: Double
        public var mentionPlace: Double
        /// The same for the subject of a question, read before the answer.
        public var subject: Double
        public var subjectPlace: Double
        /// Where the image heads look from all of these states.
        public var look: Double

        func mixed(with other: LossWeights, _ share: Double) -> LossWeights {
            func mix(_ field: KeyPath<LossWeights, Double>) -> Double {
                self[keyPath: field] * (1 - share) + other[keyPath: field] * share
            }
            return LossWeights(
                dense: mix(\.dense), words: mix(\.words), location: mix(\.location), text: mix(\.text),
                heat: mix(\.heat), box: mix(\.box), named: mix(\.named), place: mix(\.place),
                mention: mix(\.mention), mentionPlace: mix(\.mentionPlace), subject: mix(\.subject),
                subjectPlace: mix(\.subjectPlace), look: mix(\.look))
        }
    }

    /// The number of all steps.
    public var steps: Int { stages.reduce(0) { $0 + $1.steps } }

    /// The first step of a stage.
    func start(of stage: Int) -> Int { stages.prefix(stage).reduce(0) { $0 + $1.steps } }

    /// The stage that a step belongs to, and the step's number in it.
    func stage(of step: Int) -> (stage: Int, step: Int) {
        var rest = step
        for (number, stage) in stages.enumerated() {
            if rest < stage.steps { return (number, rest) }
            rest -= stage.steps
        }
        return (stages.count, rest)
    }

    /// - Parameters:
    ///   - path: the file.
    ///   - setting: fields that differ from the file, such as `stages.0.steps=100`.
    /// - Throws: ``TrainingError`` for a file that is missing or has another form; it names the field.
    public init(contentsOf path: String, setting: [String] = []) throws {
        self = try ConfigurationFile.read(path, setting: setting)
        try validate(path)
    }

    private func validate(_ path: String) throws {
        try ConfigurationFile.check(
            [
                ("vocabulary_size", Double(vocabularySize), 512...1_000_000),
                ("weight_decay", weightDecay, 0...1), ("gradient_limit", gradientLimit, 1e-9...1e9),
                ("shards", Double(shards), 1...256), ("log_every", Double(logEvery), 1...1e12),
                ("checkpoint_every", Double(checkpointEvery), 1...1e12),
            ], in: path)
        for (name, size) in [("plain_size", plainSize), ("rich_size", richSize)] {
            guard size % 16 == 0, (96...512).contains(size) else {
                throw TrainingError.badConfiguration(
                    path, "\(name) is \(size), a multiple of 16 from 96 to 512 is needed")
            }
        }
        guard plainSize <= richSize else {
            throw TrainingError.badConfiguration(
                path, "plain_size is \(plainSize), more than rich_size, \(richSize)")
        }
        if let adaptation { try validate(adaptation, path) }
        guard adaptation == nil || variant == nil else {
            throw TrainingError.badConfiguration(
                path, "variant is the small model's, and there is adaptation")
        }
        guard !stages.isEmpty else { throw TrainingError.badConfiguration(path, "stages is empty") }
        for (number, stage) in stages.enumerated() {
            func count(_ name: String, _ value: Int, _ range: ClosedRange<Int>) -> (
                String, Double, ClosedRange<Double>
            ) {
                (
                    "stages.\(number).\(name)", Double(value),
                    Double(range.lowerBound)...Double(range.upperBound)
                )
            }
            func share(_ name: String, _ value: Double) -> (String, Double, ClosedRange<Double>) {
                ("stages.\(number).\(name)", value, 0...1)
            }
            try ConfigurationFile.check(
                [
                    count("steps", stage.steps, 1...1_000_000_000),
                    count("vision_steps", stage.visionSteps, 0...1_000_000_000),
                    count("aligner_from", stage.alignerFrom, 0...1_000_000_000),
                    count("easy_steps", stage.easySteps, 0...1_000_000_000),
                    count("ramp_steps", stage.rampSteps, 0...1_000_000_000),
                    count("plain_scenes", stage.plainScenes, 1...4096),
                    count("rich_scenes", stage.richScenes, 1...4096),
                    count("people", stage.people, 1...4096), count("locations", stage.locations, 1...256),
                    count("compounds", stage.compounds, 0...256),
                    count("questions", stage.questions, 0...256),
                    count("captions", stage.captions, 0...256), count("queries", stage.queries, 1...256),
                    count("joints", stage.joints, 1...17), share("rich_share", stage.richShare),
                    share("pose_share", stage.poseShare), share("varied_share", stage.variedShare),
                    share("referring_share", stage.referringShare),
                    share("negative_rate", stage.negativeRate), share("free_wording", stage.freeWording),
                    share("easy_share", stage.easyShare), share("schedule.peak", stage.schedule.peak),
                    share("schedule.floor", stage.schedule.floor),
                    share("schedule.decay_share", stage.schedule.decayShare),
                    count("schedule.warmup_steps", stage.schedule.warmupSteps, 0...1_000_000_000),
                ], in: path)
        }
    }

    private func validate(_ adaptation: Adaptation, _ path: String) throws {
        let (lora, aligner) = (adaptation.lora, adaptation.aligner)
        try ConfigurationFile.check(
            [
                ("adaptation.lora.rank", Double(lora.rank), 1...4096),
                ("adaptation.lora.alpha", lora.alpha, 1e-6...1e6),
                ("adaptation.aligner.hidden_size", Double(aligner.hiddenSize), 1...65_536),
                ("adaptation.aligner.num_hidden_layers", Double(aligner.numHiddenLayers), 1...256),
                ("adaptation.aligner.num_attention_heads", Double(aligner.numAttentionHeads), 1...256),
                ("adaptation.aligner.upsample", Double(aligner.upsample), 1...16),
                ("adaptation.aligner.map_channels", Double(aligner.mapChannels), 1...65_536),
            ], in: path)
        guard !lora.targets.isEmpty else {
            throw TrainingError.badConfiguration(path, "adaptation.lora.targets is empty")
        }
        guard plainSize == richSize else {
            throw TrainingError.badConfiguration(
                path,
                "plain_size is \(plainSize) and rich_size \(richSize); with adaptation they are the same")
        }
        for (number, stage) in stages.enumerated() where stage.visionSteps > 0 {
            throw TrainingError.badConfiguration(
                path, "stages.\(number).vision_steps is \(stage.visionSteps), 0 is possible with adaptation")
        }
    }

    /// The configuration as it is written into the run's folder.
    public func json() throws -> String { try ConfigurationFile.json(self) }
}

public enum TrainingError: Error, CustomStringConvertible {
    case unreadable(String, String)
    case badConfiguration(String, String)
    case badRun(String, String)
    case diverged(step: Int)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason), .badConfiguration(let path, let reason),
            .badRun(let path, let reason):
            "\(path): \(reason)"
        case .diverged(let step): "the loss of step \(step) is not a number; the last checkpoint is whole"
        }
    }
}
