public import Datasets
public import Media
import Text

/// A share of right ones.
public struct Share: Sendable, Hashable, Codable {
    public private(set) var right = 0
    public private(set) var count = 0

    public init() {}

    public mutating func add(_ isRight: Bool) {
        right += isRight ? 1 : 0
        count += 1
    }

    /// Nil when there is none.
    public var value: Double? { count == 0 ? nil : Double(right) / Double(count) }

    /// Of the binomial distribution.
    public var standardError: Double? {
        value.map { ($0 * (1 - $0) / Double(count)).squareRoot() }
    }
}

/// How far numbers of things are from the truth.
public struct CountScore: Sendable, Hashable {
    public private(set) var exact = Share()
    private var absolute = 0
    private var squared = 0

    public init() {}

    public mutating func add(counted: Int, expected: Int) {
        let error = counted - expected
        exact.add(error == 0)
        absolute += abs(error)
        squared += error * error
    }

    /// The mean absolute error; nil when nothing was counted.
    public var mae: Double? { exact.count == 0 ? nil : Double(absolute) / Double(exact.count) }
    /// The root of the mean squared error.
    public var rmse: Double? { exact.count == 0 ? nil : (Double(squared) / Double(exact.count)).squareRoot() }
    /// Of ``mae``, from the spread of the absolute errors.
    public var standardError: Double? {
        guard let mae else { return nil }
        let count = Double(exact.count)
        return (max(0, Double(squared) / count - mae * mae) / count).squareRoot()
    }
}

/// One thing that was referred to, and how well it was found.
public struct ReferringScore: Sendable, Hashable {
    /// How well the best box fits; 0 when nothing was found.
    public let boxIoU: Double
    /// Pixels of both masks.
    public let intersection: Int
    /// Pixels of either mask.
    public let union: Int

    /// 1 where nothing is there and nothing was found.
    public var maskIoU: Double { union == 0 ? 1 : Double(intersection) / Double(union) }

    /// - Throws: `MediaError.invalid` when the masks' sizes differ.
    public init(box: Box?, mask: Mask?, truth: Box, truthMask: Mask) throws(MediaError) {
        boxIoU = box?.iou(truth) ?? 0
        intersection = if let mask { try Mask.intersection([mask, truthMask]).area } else { 0 }
        union = (mask?.area ?? 0) + truthMask.area - intersection
    }

    /// Cumulative intersection over cumulative union, the measure of referring segmentation.
    public static func cIoU(_ scores: [ReferringScore]) -> Double? {
        let union = scores.reduce(0) { $0 + $1.union }
        return union == 0 ? nil : Double(scores.reduce(0) { $0 + $1.intersection }) / Double(union)
    }

    /// The mean of the masks' intersections over unions.
    public static func gIoU(_ scores: [ReferringScore]) -> Double? {
        scores.isEmpty ? nil : scores.reduce(0) { $0 + $1.maskIoU } / Double(scores.count)
    }
}

/// How well "There is no …" is said.
public struct AbsenceScore: Sendable, Hashable {
    /// Of what was said to be absent.
    public private(set) var precision = Share()
    /// Of what is absent.
    public private(set) var recall = Share()
    /// Of what is absent: the sentence names it.
    public private(set) var named = Share()

    public init() {}

    /// - Parameters:
    ///   - answer: what the user reads.
    ///   - expected: what a user should read.
    ///   - isAbsent: whether there is nothing of what was asked for.
    public mutating func add(_ answer: String, expected: String, isAbsent: Bool) {
        let isSaid = Self.isDenial(answer)
        if isSaid { precision.add(isAbsent) }
        if isAbsent {
            recall.add(isSaid)
            named.add(answer == expected)
        }
    }

    static func isDenial(_ answer: String) -> Bool { answer.contains(Prompt.nothing.drop { $0 == " " }) }

    /// The harmonic mean of precision and recall.
    public var f1: Double {
        let (p, r) = (precision.value ?? 0, recall.value ?? 0)
        return p + r == 0 ? 0 : 2 * p * r / (p + r)
    }
}

/// What a caption says: "There are two circles and one star."
public enum CaptionReading {
    /// How many of which kind; nil when it is not a sentence of that form, or names a kind twice.
    public static func counts(in caption: String) -> [MosaicKind: Int]? {
        guard let lead = ["There is ", "There are "].first(where: caption.hasPrefix), caption.hasSuffix(".")
        else { return nil }
        var counts: [MosaicKind: Int] = [:]
        for part in caption.dropFirst(lead.count).dropLast().replacing(" and ", with: ", ").split(
            separator: ", ")
        {
            let words = part.split(separator: " ", maxSplits: 1)
            guard words.count == 2, let count = numbers[String(words[0])] ?? Int(words[0]),
                let kind = kinds[String(words[1])], counts.updateValue(count, forKey: kind) == nil
            else { return nil }
        }
        return counts
    }

    /// Whether every kind and number of the expected caption is there, and nothing else.
    public static func agrees(_ caption: String, with expected: String) -> Bool {
        caption == expected || counts(in: caption).map { $0 == counts(in: expected) } ?? false
    }

    private static let numbers = [String: Int](
        uniqueKeysWithValues: (1...12).map { (Prompt.number($0), $0) } + [("a", 1), ("an", 1)])
    private static let kinds = [String: MosaicKind](
        MosaicKind.allCases.flatMap { [($0.name, $0), ($0.plural, $0)] },
        uniquingKeysWith: { first, _ in first })
}
