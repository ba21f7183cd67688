public import Datasets
import Foundation
import InputFiles
import Media
public import NN

/// Everything that a fine-tuning on someone's labels depends on; the file given to `vitrail train`, told from others by
/// its field `data`.
public struct FineTuningConfiguration: Codable, Sendable, Hashable {
    public var data: LabelData
    /// Seeds the split, the augmentation and the parameters that are new.
    public var seed: UInt64
    /// How long the steps take, in minutes on two cores of 2024; nothing but what the reader is told, and what a run warns
    /// of when it turns out slower. Steps are what counts, so that a run gives the same whatever else the machine does.
    public var minutes: Double?
    /// The longer side of the pictures in the network's input in pixels, a multiple of 16.
    public var imageSize: Int
    /// Whether the dense head is made anew for the classes of the labels; otherwise it stays as it is, and learns
    /// nothing.
    public var remakesHead: Bool
    public var steps: Int
    /// Of these the first, in which the encoder learns alone, from its dense head, at half the cost of a whole step. There is no
    /// validation before they are over.
    public var visionSteps: Int
    /// Pictures a step, of all ranks, and of these at most so many together, where their inputs are of one size.
    public var pictures: Int
    public var together: Int
    /// Class names that a picture is asked for in the fixed form; all of them where there are no more.
    public var names: Int
    /// Requests in other words, drawn from `mixture`, and questions of the labels, for each picture.
    public var requests: Int
    public var questions: Int
    /// How often each task of a `Reformulation` is chosen among those that a picture's labels can answer; all alike when
    /// left out.
    public var mixture: [String: Double]?
    /// How often a request asks for what is not there, and in free words; 0.25 and 0.7 when left out.
    public var negativeRate: Double?
    public var freeWording: Double?
    public var schedule: Schedule
    /// What the schedule's rate is multiplied by: for the language model, and for parameters that are new.
    public var languageRate: Double
    public var freshRate: Double
    public var optimizer: OptimizerKind
    public var weightDecay: Double
    public var gradientLimit: Double
    public var mixedPrecision: Bool
    public var augmentation: Augmentation
    public var losses: LossWeights
    public var locator: LocatorLimits
    /// Steps between two lines of metrics, two checkpoints, and two validations.
    public var logEvery: Int
    public var checkpointEvery: Int
    public var validateEvery: Int
    /// Validations without a better one after which the run ends early.
    public var patience: Int
    /// People whose joints are learnt beside the pictures; nil to learn no joints.
    public var joints: JointsPart?
    /// The training of the segmenter that follows; nil to leave the model's as it is.
    public var segmenter: SegmenterPart?

    /// How the length was changed on the way, so that a run ended in time; written by the run itself, and done again at the
    /// same steps by a run of the same configuration. Nil for none.
    public var changes: [Change]?

    /// Where the labels lie.
    public struct LabelData: Codable, Sendable, Hashable {
        public var train: DataSource
        /// Pictures that are never learnt from, by which the best model is chosen; nil for a share of `train`.
        public var validation: DataSource?
        /// Which share of `train` that is, drawn by the seed.
        public var validationShare: Double?
        /// Of `validation` at most so many pictures, drawn by the seed; nil for all.
        public var validationLimit: Int?
        /// Pictures by which nothing is learnt or chosen, scored at the end; nil for a share of `train`, or none.
        public var test: DataSource?
        /// Which share of `train` that is, drawn by the seed; nil for none.
        public var testShare: Double?
    }

    /// A new length of the run.
    public struct Change: Codable, Sendable, Hashable {
        /// The first step for which it holds.
        public var at: Int
        public var steps: Int
        public var visionSteps: Int
    }

    /// What each loss counts; see docs/fine-tuning.md.
    public struct LossWeights: Codable, Sendable, Hashable {
        public var dense: Double
        public var heat: Double
        public var box: Double
        public var named: Double
        public var location: Double
        public var text: Double
    }

    /// How answers are taken from heatmaps; written into the model's folder.
    public struct LocatorLimits: Codable, Sendable, Hashable {
        /// Things of one name in a picture at most.
        public var maximumPeaks: Int
        /// The IoU with a better box above which a box is dropped; several, of which the validation takes the best.
        public var overlapLimits: [Double]
    }

    /// The joints of people, each person cut out of the picture as the pose pathway does it.
    public struct JointsPart: Codable, Sendable, Hashable {
        /// People a step, of all ranks, once the encoder does not learn alone any more.
        public var people: Int
        /// Joints that each of them is asked for by name, of COCO's 17.
        public var names: Int
    }

    /// The training of the segmenter on boxes and masks of the labels.
    public struct SegmenterPart: Codable, Sendable, Hashable {
        /// The longer side of pictures in the segmenter's input, a multiple of its patches.
        public var imageSize: Int
        public var steps: Int
        public var pictures: Int
        /// Things of a picture that are outlined in a step.
        public var prompts: Int
        /// How far a prompt's box stands off at most, as a share of its size.
        public var jitter: Double
        public var schedule: Schedule
    }

    /// Whether a file says that it configures a fine-tuning.
    public static func isMeant(by path: String) -> Bool {
        struct Kind: Decodable { let data: Mark }
        struct Mark: Decodable {}
        let data = (try? InputFile.read(path)).map { Data($0) }
        return data.flatMap { try? JSONDecoder().decode(Kind.self, from: $0) } != nil
    }

}

extension FineTuningConfiguration {
    /// - Parameters:
    ///   - path: the file.
    ///   - setting: fields that are otherwise than in the file, as `schedule.peak=0.001`.
    /// - Throws: ``TrainingError`` for a file that is missing or not of this form, naming the field.
    public init(contentsOf path: String, setting: [String] = []) throws {
        self = try ConfigurationFile.read(path, setting: setting)
        try validate(path)
    }

    private func validate(_ path: String) throws {
        func count(_ name: String, _ value: Int, _ range: ClosedRange<Int>) -> (
            String, Double, ClosedRange<Double>
        ) { (name, Double(value), Double(range.lowerBound)...Double(range.upperBound)) }
        let many = 1...1_000_000_000
        try ConfigurationFile.check(
            [
                count("steps", steps, many), count("vision_steps", visionSteps, 0...max(0, steps - 1)),
                count("pictures", pictures, 1...4096),
                count("together", together, 1...4096), count("names", names, 0...256),
                count("requests", requests, 0...256), count("questions", questions, 0...256),
                ("schedule.peak", schedule.peak, 0...1), ("schedule.floor", schedule.floor, 0...1),
                ("schedule.decay_share", schedule.decayShare, 0...1),
                count("schedule.warmup_steps", schedule.warmupSteps, 0...1_000_000_000),
                ("language_rate", languageRate, 0...100), ("fresh_rate", freshRate, 0...100),
                ("weight_decay", weightDecay, 0...1), ("gradient_limit", gradientLimit, 1e-9...1e9),
                ("minutes", minutes ?? 1, 0...1e6),
                count("log_every", logEvery, many), count("checkpoint_every", checkpointEvery, many),
                count("validate_every", validateEvery, many), count("patience", patience, 1...1_000_000),
                count("locator.maximum_peaks", locator.maximumPeaks, 1...100_000),
                ("negative_rate", negativeRate ?? 0, 0...1), ("free_wording", freeWording ?? 0, 0...1),
                ("data.validation_share", data.validationShare ?? 0.5, 0.001...0.9),
            ]
                + locator.overlapLimits.enumerated().map {
                    ("locator.overlap_limits.\($0.offset)", $0.element, 0...1)
                }
                + [
                    ("losses.dense", losses.dense), ("losses.heat", losses.heat), ("losses.box", losses.box),
                    ("losses.named", losses.named), ("losses.location", losses.location),
                    ("losses.text", losses.text),
                ].map { ($0.0, $0.1, 0...1000) } + augmentation.ranges, in: path)
        try ConfigurationFile.check(
            [
                ("data.test_share", data.testShare ?? 0.5, 0.001...0.9),
                count("data.validation_limit", data.validationLimit ?? 1, many),
            ], in: path)
        if let joints {
            try ConfigurationFile.check(
                [
                    count("joints.people", joints.people, 1...4096),
                    count("joints.names", joints.names, 1...Keypoints.cocoNames.count),
                ], in: path)
        }
        if let segmenter {
            try ConfigurationFile.check(
                [
                    count("segmenter.steps", segmenter.steps, many),
                    count("segmenter.pictures", segmenter.pictures, 1...256),
                    count("segmenter.prompts", segmenter.prompts, 1...256),
                    ("segmenter.jitter", segmenter.jitter, 0...0.5),
                    ("segmenter.schedule.peak", segmenter.schedule.peak, 0...1),
                ], in: path)
            try Self.check(segmenter.imageSize, "segmenter.image_size", path)
        }
        try Self.check(imageSize, "image_size", path)
        func refuse(_ reason: String) -> TrainingError { .badConfiguration(path, reason) }
        guard augmentation.scale.count == 2, augmentation.scale[0] <= augmentation.scale[1] else {
            throw refuse("augmentation.scale is \(augmentation.scale), a least and a greatest are needed")
        }
        for (task, weight) in mixture ?? [:] {
            guard Reformulation.Task(rawValue: task) != nil else {
                let known = Reformulation.Task.allCases.map(\.rawValue).joined(separator: ", ")
                throw refuse("mixture has the task \"\(task)\"; there are \(known)")
            }
            guard weight == 0 || task != Reformulation.Task.joint.rawValue else {
                throw refuse("mixture has the task joint, which is asked of people: joints says of how many")
            }
            guard weight >= 0, weight.isFinite else { throw refuse("mixture.\(task) is \(weight), below 0") }
        }
        if let mixture, !mixture.values.contains(where: { $0 > 0 }) {
            throw refuse("mixture has no task with a weight over 0")
        }
        guard !locator.overlapLimits.isEmpty else { throw refuse("locator.overlap_limits is empty") }
        guard visionSteps == 0 || remakesHead else {
            throw refuse("vision_steps is \(visionSteps), which wants remakes_head")
        }
        guard names + requests + questions > 0 else {
            throw refuse("names, requests and questions are all 0")
        }
        guard (data.validation == nil) != (data.validationShare == nil) else {
            throw refuse("data wants either validation or validation_share")
        }
        guard data.test == nil || data.testShare == nil else {
            throw refuse("data has both test and test_share")
        }
        guard (data.validationShare ?? 0) + (data.testShare ?? 0) < 1 else {
            throw refuse("data.validation_share and data.test_share leave nothing to learn from")
        }
        for (place, change) in (changes ?? []).enumerated() {
            let first = place == 0 ? 0 : changes![place - 1].at
            guard change.at >= first, change.at < length(before: place).steps || change.at == change.steps,
                change.steps >= change.at, (0...change.steps).contains(change.visionSteps)
            else {
                throw refuse(
                    "changes.\(place) has at \(change.at), steps \(change.steps) and vision_steps \(change.visionSteps), which do not follow one another"
                )
            }
        }
    }

    private func length(before change: Int) -> (steps: Int, visionSteps: Int) {
        guard change > 0, let last = changes?[change - 1] else { return (steps, visionSteps) }
        return (last.steps, last.visionSteps)
    }

    /// The length that holds at a step.
    func length(at step: Int) -> (steps: Int, visionSteps: Int) {
        length(before: changes?.count { $0.at <= step } ?? 0)
    }

    /// Steps in all, after all changes.
    var lastStep: Int { changes?.last?.steps ?? steps }

    private static func check(_ size: Int, _ name: String, _ path: String) throws {
        guard size % 16 == 0, (32...1024).contains(size) else {
            throw TrainingError.badConfiguration(
                path, "\(name) is \(size), a multiple of 16 from 32 to 1024 is needed")
        }
    }

    /// The tasks of requests that are answered in words alone.
    var wordTasks: [Reformulation.Task] {
        guard requests > 0 else { return [] }
        let weights = reformulation.weights
        return [.caption, .dialogue, .question].filter { weights[$0, default: 0] > 0 }
    }

    /// What a picture's captions and conversations answer, as far as they are learnt.
    func texts(of picture: LabelledSet.Picture) -> [(request: String, answer: String)] {
        let tasks = wordTasks
        var texts: [(request: String, answer: String)] = []
        if tasks.contains(.caption) {
            texts += picture.captions.map { (Reformulation.captionRequest, $0) }
        }
        if tasks.contains(.dialogue) {
            for turns in picture.dialogues.map(\.turns) {
                texts += stride(from: 0, to: turns.count - 1, by: 2).map {
                    (turns[$0].text, turns[$0 + 1].text)
                }
            }
        }
        return texts
    }

    /// How requests in other words are made.
    var reformulation: Reformulation {
        var weights = Reformulation.evenly
        if let mixture {
            weights = [:]
            for (task, weight) in mixture { weights[Reformulation.Task(rawValue: task)!] = weight }
        }
        // It is asked of people who are cut out, not of the picture.
        weights[.joint] = 0
        return Reformulation(
            weights: weights, negativeRate: negativeRate ?? 0.25, freeWording: freeWording ?? 0.7)
    }

    /// The configuration as it is written beside a run's results.
    public func json() throws -> String { try ConfigurationFile.json(self) }
}
