#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// A `tokenizer.model`: SentencePiece's protobuf (sentencepiece_model.proto of sentencepiece 0.2), of its BPE kind.
struct SentencePieceModel: Sendable {
    var pieces: [Piece] = []
    var unknownSurface = " \u{2047} "
    var normalizer = SentencePieceNormalizer()
    private(set) var unknownID: Int?

    struct Piece: Sendable {
        var text: [UInt8] = []
        var score: Float = 0
        var kind = Kind.normal
    }

    enum Kind: UInt64, Sendable {
        case normal = 1, unknown, control, userDefined, unused, byte
    }

    private enum ModelKind: UInt64 { case unigram = 1, bpe, word, char }

    init(_ data: [UInt8], file: String) throws(TokenizerError) {
        var kind = ModelKind.unigram.rawValue
        var (usesBytes, hasDenormalizer, spaceIsSuffix) = (false, false, false)
        var unsupportedPiece: String?
        do throws(WireError) {
            try WireReader.read(data[...]) { field, value throws(WireError) in
                switch (field, value) {
                case (1, .bytes(let message)):
                    var (piece, kind) = (Piece(), Kind.normal.rawValue)
                    try WireReader.read(message) { field, value throws(WireError) in
                        switch (field, value) {
                        case (1, .bytes(let text)): piece.text = Array(text)
                        case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
                        case (3, .varint(let type)): kind = type
                        default: break
                        }
                    }
                    piece.kind = Kind(rawValue: kind) ?? .unused
                    if piece.kind == .unused {
                        unsupportedPiece = String(decoding: piece.text, as: UTF8.self)
                    }
                    pieces.append(piece)
                case (2, .bytes(let message)):
                    try WireReader.read(message) { field, value throws(WireError) in
                        switch (field, value) {
                        case (3, .varint(let type)): kind = type
                        case (24, .varint(let flag)): spaceIsSuffix = flag != 0
                        case (35, .varint(let flag)): usesBytes = flag != 0
                        case (44, .bytes(let text)): unknownSurface = String(decoding: text, as: UTF8.self)
                        default: break
                        }
                    }
                case (3, .bytes(let message)): try normalizer.read(message)
                case (5, .bytes(let message)):
                    var denormalizer = SentencePieceNormalizer()
                    try denormalizer.read(message)
                    hasDenormalizer = denormalizer.charsmap != nil
                default: break
                }
            }
        } catch {
            throw .malformed(
                file: file, reason: "as SentencePiece's protobuf it ends or breaks at byte \(error.byte)")
        }
        guard !pieces.isEmpty else { throw .malformed(file: file, reason: "it has no pieces") }
        guard kind == ModelKind.bpe.rawValue else {
            let name = ModelKind(rawValue: kind).map { "\($0)" } ?? "\(kind)"
            throw .unsupported(file: file, part: "SentencePiece's model type \(quoted(name))")
        }
        if spaceIsSuffix { throw .unsupported(file: file, part: "treat_whitespace_as_suffix") }
        if hasDenormalizer { throw .unsupported(file: file, part: "a denormalizer") }
        if let unsupportedPiece {
            throw .unsupported(
                file: file, part: "the piece \(quoted(unsupportedPiece)), which is marked unused,")
        }
        unknownID = pieces.firstIndex { $0.kind == .unknown }
        let bytes = Set(pieces.lazy.filter { $0.kind == .byte }.map(\.text))
        if usesBytes, !(0...255).allSatisfy({ bytes.contains(ByteFallback.token(of: $0)) }) {
            throw .malformed(file: file, reason: "it falls back to bytes, but has no piece for each")
        }
        options = BPE.Options(
            isByteLevel: false,
            unknownToken: unknownID.map { String(decoding: pieces[$0].text, as: UTF8.self) },
            fusesUnknown: true,
            byteFallback: usesBytes)
    }

    private var options = BPE.Options()

    /// Of SentencePiece's longest possible pieces, 512 characters, each of 4 bytes.
    private static let longestPiece = 2048

    /// The pieces as a BPE: two neighbours merge to the piece that they spell, the one with the highest score first.
    func bpe(file: String) throws(TokenizerError) -> BPE {
        var ids: [[UInt8]: Int] = [:]
        for (id, piece) in pieces.enumerated() {
            if let other = ids.updateValue(id, forKey: piece.text) {
                throw .repeatedToken(
                    file: file, token: String(decoding: piece.text, as: UTF8.self), ids: [other, id])
            }
        }
        func normalID(_ text: ArraySlice<UInt8>) -> UInt32? {
            ids[Array(text)].flatMap { pieces[$0].kind == .normal ? UInt32($0) : nil }
        }
        let normal = pieces.indices.filter { pieces[$0].kind == .normal }
        let ranks = Dictionary(
            uniqueKeysWithValues: Set(normal.map { pieces[$0].score }).sorted(by: >).enumerated().map {
                ($0.element, UInt32($0.offset))
            })
        var steps: [(BPE.Pair, BPE.Step)] = []
        for id in normal {
            let text = pieces[id].text
            guard pieces[id].score.isFinite, text.count <= Self.longestPiece else {
                throw .malformed(
                    file: file,
                    reason:
                        "the piece \(quoted(String(decoding: text.prefix(60), as: UTF8.self))) has \(text.count) bytes "
                        + "and the score \(pieces[id].score); at most \(Self.longestPiece) and a number are possible"
                )
            }
            let starts = text.indices.filter { !UTF8.isContinuation(text[$0]) }
            for (start, end) in zip(starts, starts.dropFirst() + [text.count])
            where normalID(text[start..<end]) == nil {
                // It could be spelt by SentencePiece only, which merges what it does not know.
                throw .unsupported(
                    file: file,
                    part:
                        "the piece \(quoted(String(decoding: text, as: UTF8.self))), made of a character that is no piece,"
                )
            }
            for middle in starts.dropFirst() {
                if let left = normalID(text[..<middle]), let right = normalID(text[middle...]) {
                    let step = BPE.Step(rank: ranks[pieces[id].score] ?? 0, result: UInt32(id))
                    steps.append((BPE.Pair(left: left, right: right), step))
                }
            }
        }
        return try BPE(vocabulary: ids, steps: steps, options: options, file: file)
    }
}

/// What SentencePiece does to a text before it is cut.
struct SentencePieceNormalizer: Sendable {
    /// Whether a space is put before the text.
    var addsDummyPrefix = true
    /// Whether spaces at both ends are removed, and runs of them become one.
    var removesExtraSpaces = true
    /// Whether spaces become U+2581.
    var escapesSpaces = true
    var charsmap: CharacterMap?
    /// Texts that are left as they are, to be found again later.
    var userDefined = Trie([])
    /// Whether a text that begins with a space is the continuation of another, and keeps all its spaces there.
    var keepsLeadingSpaces = false

    fileprivate static let space = Array("\u{2581}".utf8)

    fileprivate mutating func read(_ message: ArraySlice<UInt8>) throws(WireError) {
        try WireReader.read(message) { field, value throws(WireError) in
            switch (field, value) {
            case (2, .bytes(let blob)) where !blob.isEmpty:
                guard let map = CharacterMap(Array(blob)) else { throw WireError(byte: blob.startIndex) }
                charsmap = map
            case (3, .varint(let flag)): addsDummyPrefix = flag != 0
            case (4, .varint(let flag)): removesExtraSpaces = flag != 0
            case (5, .varint(let flag)): escapesSpaces = flag != 0
            default: break
            }
        }
    }

    func normalized(_ text: [UInt8]) -> [UInt8] {
        let space = escapesSpaces ? Self.space : [UInt8(ascii: " ")]
        let isContinued =
            keepsLeadingSpaces && (text.first == UInt8(ascii: " ") || text.starts(with: Self.space))
        var rest = text[...]
        if removesExtraSpaces, !isContinued {
            while !rest.isEmpty, case let next = character(rest), next.text.elementsEqual(" ".utf8) {
                rest = rest.dropFirst(next.length)
            }
        }
        guard !rest.isEmpty else { return [] }
        var result = addsDummyPrefix ? space : []
        result.reserveCapacity(rest.count + rest.count / 2)
        var isAfterSpace = removesExtraSpaces && !isContinued
        while !rest.isEmpty {
            let next = character(rest)
            var piece = next.text
            if isAfterSpace { piece = piece.drop { $0 == UInt8(ascii: " ") } }
            for byte in piece {
                if byte == UInt8(ascii: " ") { result += space } else { result.append(byte) }
            }
            if let last = piece.last { isAfterSpace = removesExtraSpaces && last == UInt8(ascii: " ") }
            rest = rest.dropFirst(next.length)
        }
        if removesExtraSpaces {
            while result.count >= space.count, result[(result.count - space.count)...].elementsEqual(space) {
                result.removeLast(space.count)
            }
        }
        return result
    }

    /// What stands for the beginning of `text`, and how many of its bytes that is.
    private func character(_ text: ArraySlice<UInt8>) -> (text: ArraySlice<UInt8>, length: Int) {
        let start = text.startIndex
        if let (_, end) = userDefined.longestMatch(in: text, at: start) {
            return (text[start..<end], end - start)
        }
        if let (content, length) = charsmap?.longestMatch(in: text) { return (content, length) }
        // The table may end inside a character, of which the rest is no text.
        guard let length = UTF8.sequenceLength(of: text[start]), length <= text.count else {
            return (Array("\u{FFFD}".utf8)[...], 1)
        }
        return (text.prefix(length), length)
    }
}

/// SentencePiece's `precompiled_charsmap`: a double-array trie of texts (Darts), and what replaces them.
struct CharacterMap: Sendable {
    private let units: [UInt32]
    private let contents: [UInt8]

    init?(_ blob: [UInt8]) {
        func word(_ index: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(blob[index + $1]) << UInt32(8 * $1) }
        }
        guard blob.count > 4, case let size = Int(word(0)), size > 0, size % 4 == 0, 4 + size <= blob.count
        else {
            return nil
        }
        units = stride(from: 4, to: 4 + size, by: 4).map(word)
        contents = Array(blob[(4 + size)...])
        guard String(validating: contents, as: UTF8.self) != nil else { return nil }
    }

    func longestMatch(in text: ArraySlice<UInt8>) -> (content: ArraySlice<UInt8>, length: Int)? {
        var found: (value: Int, length: Int)?
        var node = offset(units[0])
        for (length, byte) in text.enumerated() {
            node ^= Int(byte)
            guard node < units.count, case let unit = units[node], unit & 0x8000_00FF == UInt32(byte) else {
                break
            }
            node ^= offset(unit)
            if unit >> 8 & 1 == 1, node < units.count { found = (Int(units[node] & 0x7FFF_FFFF), length + 1) }
        }
        guard let (value, length) = found, value < contents.count, !UTF8.isContinuation(contents[value])
        else { return nil }
        return (contents[value...].prefix { $0 != 0 }, length)
    }

    private func offset(_ unit: UInt32) -> Int { Int((unit >> 10) << ((unit & 0x200) >> 6)) }
}

/// How SentencePiece turns pieces back into text.
struct SentencePieceDecoder: Sendable {
    /// What each id is; ids beyond are added tokens.
    var kinds: [SentencePieceModel.Kind]
    var unknownSurface: String
    var normalizer: SentencePieceNormalizer

    func start() -> Run { Run(decoder: self) }

    struct Run: Sendable {
        fileprivate let decoder: SentencePieceDecoder
        private var bytes: [UInt8] = []
        private var isAtStart = true
        private var hasDroppedSpace = false
        private var hasText = false

        fileprivate init(decoder: SentencePieceDecoder) { self.decoder = decoder }

        mutating func feed(_ token: [UInt8], id: Int, isAdded: Bool) -> [UInt8] {
            let kind = decoder.kinds.indices.contains(id) ? decoder.kinds[id] : .normal
            if kind == .byte, !isAdded, let byte = ByteFallback.byte(of: token) {
                bytes.append(byte)
                return characters(isEnd: false)
            }
            var result = finish()
            if hasDroppedSpace || hasText || !result.isEmpty { isAtStart = false }
            hasDroppedSpace = false
            switch kind {
            case _ where isAdded: result += token
            case .control: break
            case .unknown: result += decoder.unknownSurface.utf8
            default:
                let space = SentencePieceNormalizer.space
                var piece = token
                let normalizer = decoder.normalizer
                if isAtStart, normalizer.addsDummyPrefix || normalizer.removesExtraSpaces,
                    piece.starts(with: space)
                {
                    piece.removeFirst(space.count)
                    hasDroppedSpace = !normalizer.removesExtraSpaces
                }
                result += piece.replacing(space, with: [UInt8(ascii: " ")])
            }
            hasText = hasText || !result.isEmpty
            return result
        }

        mutating func finish() -> [UInt8] { characters(isEnd: true) }

        /// The characters that the bytes so far make: a U+FFFD for each byte that is part of none.
        private mutating func characters(isEnd: Bool) -> [UInt8] {
            var result: [UInt8] = []
            while let lead = bytes.first {
                let length = UTF8.sequenceLength(of: lead) ?? 1
                let character = bytes.prefix(length)
                if !isEnd, character.count < length, character.dropFirst().allSatisfy(UTF8.isContinuation) {
                    break
                }
                if character.count == length, String(validating: character, as: UTF8.self) != nil {
                    result += character
                    bytes.removeFirst(length)
                } else {
                    result += "\u{FFFD}".utf8
                    bytes.removeFirst()
                }
            }
            hasText = hasText || !result.isEmpty
            return result
        }
    }
}

/// Where a message breaks.
private struct WireError: Error {
    var byte: Int
}

/// Protobuf's wire format, as far as a reader of few fields needs it.
private struct WireReader {
    enum Value {
        case varint(UInt64)
        case fixed32(UInt32)
        case fixed64
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    static func read(
        _ message: ArraySlice<UInt8>, _ body: (_ field: UInt64, Value) throws(WireError) -> Void
    ) throws(WireError) {
        var reader = WireReader(rest: message)
        while !reader.rest.isEmpty {
            let tag = try reader.varint()
            try body(tag >> 3, reader.value(tag & 7))
        }
    }

    private mutating func value(_ type: UInt64) throws(WireError) -> Value {
        switch type {
        case 0: return .varint(try varint())
        case 1:
            _ = try take(8)
            return .fixed64
        case 2: return .bytes(try take(try varint()))
        case 5: return .fixed32(try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) })
        default: throw WireError(byte: rest.startIndex)
        }
    }

    private mutating func take(_ count: UInt64) throws(WireError) -> ArraySlice<UInt8> {
        guard count <= UInt64(rest.count) else { throw WireError(byte: rest.endIndex) }
        defer { rest = rest.dropFirst(Int(count)) }
        return rest.prefix(Int(count))
    }

    private mutating func varint() throws(WireError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { throw WireError(byte: rest.endIndex) }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw WireError(byte: rest.startIndex)
    }
}
