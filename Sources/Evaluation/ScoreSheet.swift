import Foundation

/// By which of the field's measures predictions are scored.
public enum ScoringMetric: String, CaseIterable, Sendable, Hashable, Codable {
    case coco, crowdpose, voc, dsb, referring, counting, vqa, captions, davis, mot
}

/// The figures of one metric, of a whole set and of its parts.
public struct ScoreSheet: Sendable, Hashable {
    /// One figure under the name that its field knows it by.
    public struct Figure: Sendable, Hashable {
        public let name: String
        /// Nil when nothing of the kind is there.
        public let value: Double?
        /// Whether it is a number of things.
        public let isCount: Bool
        /// What people read.
        public let line: String

        public init(_ name: String, _ value: Double?, isCount: Bool = false, line: String? = nil) {
            self.name = name
            self.value = value
            self.isCount = isCount
            func padded() -> String { name + String(repeating: " ", count: max(1, 16 - name.count)) }
            self.line = line ?? "\(padded())\(Self.text(value, isCount))"
        }

        /// The value to four places.
        public var text: String { Self.text(value, isCount) }

        private static func text(_ value: Double?, _ isCount: Bool) -> String {
            guard let value else { return "–" }
            return isCount ? String(Int(value)) : String(format: "%.4f", value)
        }
    }

    /// A category, a video, a kind of question.
    public struct Part: Sendable, Hashable {
        public let name: String
        public let figures: [Figure]
    }

    public let metric: ScoringMetric
    public let figures: [Figure]
    public let parts: [Part]

    public init(_ metric: ScoringMetric, _ figures: [Figure], parts: [Part] = []) {
        self.metric = metric
        self.figures = figures
        self.parts = parts
    }

    public subscript(name: String) -> Double? { figures.first { $0.name == name }?.value }
}

/// A document of names and values, and the same of each part.
extension ScoreSheet: Encodable {
    private struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(_ name: String) { stringValue = name }
        init?(stringValue: String) { self.init(stringValue) }
        init?(intValue: Int) { nil }
    }

    private struct Values: Encodable {
        let figures: [Figure]

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: Name.self)
            for figure in figures { try container.encode(figure.value, forKey: Name(figure.name)) }
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Name.self)
        try container.encode(metric, forKey: Name("metric"))
        try container.encode(Values(figures: figures), forKey: Name("figures"))
        var parts = container.nestedContainer(keyedBy: Name.self, forKey: Name("parts"))
        for part in self.parts { try parts.encode(Values(figures: part.figures), forKey: Name(part.name)) }
    }
}

/// Files that cannot be scored, in one line that names the file and the entry.
public struct ScoringError: Error, Sendable, Hashable, CustomStringConvertible {
    public let path: String
    public let reason: String

    public init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { "\(path): \(reason)" }
}
