internal import NN
public import Torch

/// How names of a foreign checkpoint become ours: a table of patterns.
///
/// In a pattern `{}` stands for a number and `*` for any text, which may be empty or hold dots; what they
/// stood for on the left is put, in order, where the right has them. The first line of the table that fits a
/// name decides.
///
///     KeyMap(
///         ["vision_model.encoder.layers.{}.*": "layers.{}.*", "vision_model.post_layernorm.*": "norm.*"],
///         ignored: ["*.position_ids", "text_model.*"])
public struct KeyMap: Sendable {
    private let lines: [(foreign: Pattern, own: Pattern)]
    private let ignored: [Pattern]

    /// - Parameters:
    ///   - table: foreign pattern to own pattern, with the same holes on both sides. Traps when they differ.
    ///   - ignored: foreign patterns of tensors that are not wanted.
    public init(_ table: KeyValuePairs<String, String>, ignored: [String] = []) {
        lines = table.map { (Pattern($0), Pattern($1)) }
        for (line, texts) in zip(lines, table) {
            precondition(
                line.foreign.holes == line.own.holes, "\(texts.key) and \(texts.value) have other holes")
        }
        self.ignored = ignored.map { Pattern($0) }
    }

    /// The names of one map after those of another.
    public static func + (a: KeyMap, b: KeyMap) -> KeyMap {
        KeyMap(lines: a.lines + b.lines, ignored: a.ignored + b.ignored)
    }

    private init(lines: [(foreign: Pattern, own: Pattern)], ignored: [Pattern]) {
        self.lines = lines
        self.ignored = ignored
    }

    /// What becomes of a foreign name.
    public enum Outcome: Sendable, Hashable {
        case renamed(String)
        case ignored
        /// No line fits.
        case unknown
    }

    public func callAsFunction(_ name: String) -> Outcome {
        let bytes = Array(name.utf8)
        if ignored.contains(where: { $0.match(bytes) != nil }) { return .ignored }
        for line in lines {
            if let values = line.foreign.match(bytes) { return .renamed(line.own.fill(values)) }
        }
        return .unknown
    }

    /// The foreign name that would become `name`; nil when there is none.
    public func foreign(_ name: String) -> String? {
        let bytes = Array(name.utf8)
        for line in lines {
            if let values = line.own.match(bytes) { return line.foreign.fill(values) }
        }
        return nil
    }

    private struct Pattern: Sendable {
        enum Piece: Sendable, Equatable {
            case text([UInt8])
            case number
            case anything
        }

        let pieces: [Piece]

        var holes: [Piece] {
            pieces.filter { if case .text = $0 { false } else { true } }
        }

        init(_ pattern: String) {
            var pieces: [Piece] = []
            var text: [UInt8] = []
            var rest = Array(pattern.utf8)[...]
            func end() {
                if !text.isEmpty { pieces.append(.text(text)) }
                text = []
            }
            while let byte = rest.popFirst() {
                if byte == UInt8(ascii: "*") {
                    end()
                    pieces.append(.anything)
                } else if byte == UInt8(ascii: "{"), rest.first == UInt8(ascii: "}") {
                    rest.removeFirst()
                    end()
                    pieces.append(.number)
                } else {
                    text.append(byte)
                }
            }
            end()
            self.pieces = pieces
        }

        /// What the holes stand for in `name`; nil when it does not fit.
        func match(_ name: [UInt8]) -> [String]? { Self.match(pieces[...], name[...]) }

        private static func match(_ pieces: ArraySlice<Piece>, _ name: ArraySlice<UInt8>) -> [String]? {
            guard let piece = pieces.first else { return name.isEmpty ? [] : nil }
            let others = pieces.dropFirst()
            switch piece {
            case .text(let text):
                return name.starts(with: text) ? match(others, name.dropFirst(text.count)) : nil
            case .number:
                let digits = name.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
                guard !digits.isEmpty, let found = match(others, name.dropFirst(digits.count)) else {
                    return nil
                }
                return [String(decoding: digits, as: UTF8.self)] + found
            case .anything:
                for end in name.startIndex...name.endIndex {
                    if let found = match(others, name[end...]) {
                        return [String(decoding: name[..<end], as: UTF8.self)] + found
                    }
                }
                return nil
            }
        }

        func fill(_ values: [String]) -> String {
            var values = values[...]
            return pieces.map { piece in
                if case .text(let text) = piece {
                    String(decoding: text, as: UTF8.self)
                } else {
                    values.removeFirst()
                }
            }.joined()
        }
    }
}

/// A checkpoint under our names. Tensors that the map does not know keep their own, so that a network that is
/// built from it reports them as unexpected.
public struct RenamedSource: CheckpointSource {
    public let source: any CheckpointSource
    public let entries: [String: TensorEntry]
    private let map: KeyMap
    private let foreign: [String: String]

    public var label: String { source.label }

    /// - Throws: ``CheckpointError`` when two tensors would get the same name.
    public init(_ source: any CheckpointSource, _ map: KeyMap) throws {
        var entries: [String: TensorEntry] = [:]
        var foreign: [String: String] = [:]
        for name in source.names {
            let own: String
            switch map(name) {
            case .renamed(let new): own = new
            case .ignored: continue
            case .unknown: own = name
            }
            if let other = foreign.updateValue(name, forKey: own) {
                throw CheckpointError(
                    path: source.label, reason: "tensors \(other) and \(name) would both be \(own)")
            }
            entries[own] = source.entries[name]
        }
        self.source = source
        self.entries = entries
        self.map = map
        self.foreign = foreign
    }

    public func tensor(named name: String) throws -> Tensor? {
        try foreign[name].flatMap { try source.tensor(named: $0) }
    }

    public func originalName(of name: String) -> String {
        source.originalName(of: foreign[name] ?? map.foreign(name) ?? name)
    }
}

/// Several sources as one; where two have a tensor of the same name, the later one's counts.
public struct JoinedSource: CheckpointSource {
    public let sources: [any CheckpointSource]
    public let entries: [String: TensorEntry]

    public var label: String { sources.map(\.label).joined(separator: " + ") }

    public init(_ sources: [any CheckpointSource]) {
        self.sources = sources
        entries = sources.reduce(into: [:]) { $0.merge($1.entries) { _, later in later } }
    }

    public func tensor(named name: String) throws -> Tensor? {
        try sources.last { $0.entries[name] != nil }?.tensor(named: name)
    }

    public func originalName(of name: String) -> String {
        if let source = sources.last(where: { $0.entries[name] != nil }) {
            return source.originalName(of: name)
        }
        // Of a tensor that is missing, the name that the first source knows another for.
        return sources.lazy.map { $0.originalName(of: name) }.first { $0 != name } ?? name
    }
}
