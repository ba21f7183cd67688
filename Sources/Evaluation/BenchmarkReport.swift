import Datasets
public import Media

/// What a benchmark asks for.
public enum BenchmarkTask: String, CaseIterable, Sendable, Hashable, Codable {
    case detection, attributes, segmentation, referring, referringSegmentation, pose, counting, questions,
        captions, routes, absent
}

/// One figure of a report.
public struct BenchmarkFigure: Sendable, Hashable, Codable {
    /// "detection.ap", "questions.colour" …
    public let name: String
    /// For people: "detection by class name, AP".
    public let title: String
    /// Null when nothing of the kind was there. Shares and average precisions are of 1.
    public let value: Double?
    /// Of a share or a mean; null for an average precision.
    public let standardError: Double?
    /// How many requests or things it rests on.
    public let count: Int
    /// What the project wants to reach: at least this, or at most for a mean error.
    public let aim: Double?
    /// Whether less is better, and the figure is no share.
    public let isError: Bool

    /// Whether the aim is reached; null without aim or value.
    public var isReached: Bool? {
        guard let value, let aim else { return nil }
        return isError ? value <= aim : value >= aim
    }
}

/// A precision-recall curve, or the bars beside it.
public struct BenchmarkCurve: Sendable, Hashable, Codable {
    public let name: String
    public let x: [Double]
    public let y: [Double]
}

/// An average precision of a part: of a size, of a class.
public struct BenchmarkPart: Sendable, Hashable, Codable {
    public let task: BenchmarkTask
    public let name: String
    public let value: Double
}

/// One request that was answered, with what is true: to be looked at.
public struct BenchmarkCase: Sendable {
    public let task: BenchmarkTask
    public let scene: Int
    public let request: String
    public let truth: String
    public let answer: String
    /// 0 when all is right, 1 when nothing is.
    public let loss: Double
    public let trueThings: [Annotation]
    public let foundThings: [Annotation]
}

/// A benchmark's figures of one suite.
public struct BenchmarkReport: Sendable, Codable {
    public let suite: String
    public let seed: UInt64
    public let scenes: Int
    public let tasks: [BenchmarkTask]
    public let figures: [BenchmarkFigure]
    /// Precision over recall: of each task at IoU 0.5, at 0.75, and in the mean.
    public let curves: [BenchmarkCurve]
    public let parts: [BenchmarkPart]
    /// The mean absolute error of counts over the threshold; null when nothing was counted.
    public let calibration: BenchmarkCurve?

    public subscript(name: String) -> BenchmarkFigure? { figures.first { $0.name == name } }
}

/// What a suite gives: figures, results in COCO's form, and cases to look at.
public struct BenchmarkOutcome: Sendable {
    public let report: BenchmarkReport
    /// The worst, of every task in turn.
    public let cases: [BenchmarkCase]
    let observations: MosaicObservations
    let configuration: MosaicConfiguration
}

/// What the project wants to reach; docs/evaluation.md says how each figure is made.
enum BenchmarkAims {
    static func aim(_ name: String, _ suite: BenchmarkSuite) -> Double? {
        let isRich = suite == .rich
        guard suite == .plain || isRich, let aim = aims[name] else { return nil }
        return isRich ? aim.rich : aim.plain
    }

    private static let aims: [String: (plain: Double, rich: Double)] = {
        var aims: [String: (plain: Double, rich: Double)] = [
            "detection.ap": (0.90, 0.60), "detection.ap50": (0.99, 0.85), "attributes.ap": (0.90, 0.58),
            "segmentation.ap": (0.90, 0.55), "referring": (0.97, 0.88),
            "referringSegmentation.ciou": (0.90, 0.75),
            "pose.ap": (0.90, 0.80), "counting.mae": (0.02, 0.3), "counting.exact": (0.98, 0.85),
            "questions": (0.97, 0.92), "captions.right": (0.90, 0.60), "routes": (0.995, 0.995),
            "absent.precision": (0.98, 0.95), "absent.recall": (0.98, 0.95),
        ]
        for kind in MosaicReference.Kind.allCases { aims["referring.\(kind.rawValue)"] = (0.94, 0.80) }
        for kind in MosaicQuestion.Kind.allCases { aims["questions.\(kind.rawValue)"] = (0.93, 0.85) }
        return aims
    }()
}
