import Foundation
import InputFiles
public import NN

/// The configuration of a segmenter's training, the file given to `vitrail train`. Its field `model` distinguishes it
/// from other configurations.
public struct SegmenterTrainingConfiguration: Codable, Sendable, Hashable {
    /// The kind of training: `segmenter`.
    public var model: String
    /// Seeds the weights and the data. Mosaic's scoring seeds are refused.
    public var seed: UInt64
    public var steps: Int
    /// The number of scenes in a step, and the share of the rich ring.
    public var scenes: Int
    /// The number of equal parts of a step's scenes that can run at the same time.
    public var shards: Int
    public var richShare: Double
    /// The share of scenes that are not square.
    public var oblongShare: Double
    /// The number of prompts of each form for a scene: a box with a point near its middle, as a locator gives it; a
    /// box; points; a box with such a point and a correcting one.
    public var guided: Int
    public var boxes: Int
    public var points: Int
    public var corrected: Int
    /// The most that the sides of a prompt's box are moved, as a share of its size.
    public var jitter: Double
    public var schedule: Schedule
    public var optimizer: OptimizerKind
    public var weightDecay: Double
    public var gradientLimit: Double
    /// Whether matrix products and convolutions run in bfloat16.
    public var mixedPrecision: Bool
    /// The number of steps between two lines of metrics, and between two checkpoints.
    public var logEvery: Int
    public var checkpointEvery: Int

    /// Whether a file says that it configures a segmenter's training.
    public static func isMeant(by path: String) -> Bool {
        struct Kind: Decodable { let model: String }
        let data = (try? InputFile.read(path)).map { Data($0) }
        return data.flatMap { try? JSONDecoder().decode(Kind.self, from: $0) }?.model == "segmenter"
    }

    /// - Parameters:
    ///   - path: the file.
    ///   - setting: fields that differ from the file, such as `steps=100`.
    /// - Throws: ``TrainingError`` for a file that is missing or has another form; it names the field.
    public init(contentsOf path: String, setting: [String] = []) throws {
        self = try ConfigurationFile.read(path, setting: setting)
        try validate(path)
    }

    private func validate(_ path: String) throws {
        try ConfigurationFile.check(
            [
                ("steps", Double(steps), 1...1e12), ("scenes", Double(scenes), 1...4096),
                ("shards", Double(shards), 1...4096),
                ("rich_share", richShare, 0...1), ("oblong_share", oblongShare, 0...1),
                ("guided", Double(guided), 0...64), ("boxes", Double(boxes), 0...64),
                ("points", Double(points), 0...64), ("corrected", Double(corrected), 0...64),
                ("jitter", jitter, 0...0.5), ("schedule.peak", schedule.peak, 0...1),
                ("schedule.floor", schedule.floor, 0...1),
                ("schedule.decay_share", schedule.decayShare, 0...1),
                ("schedule.warmup_steps", Double(schedule.warmupSteps), 0...1e12),
                ("weight_decay", weightDecay, 0...1), ("gradient_limit", gradientLimit, 1e-9...1e9),
                ("log_every", Double(logEvery), 1...1e12),
                ("checkpoint_every", Double(checkpointEvery), 1...1e12),
            ], in: path)
        guard scenes % shards == 0 else {
            throw TrainingError.badConfiguration(
                path, "scenes are \(scenes), which \(shards) shards cannot share evenly")
        }
        guard guided + boxes + points + corrected > 0 else {
            throw TrainingError.badConfiguration(path, "guided, boxes, points and corrected are all 0")
        }
    }

    /// The configuration as it is written into the run's folder.
    public func json() throws -> String { try ConfigurationFile.json(self) }
}
