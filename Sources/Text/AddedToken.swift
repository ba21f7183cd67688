/// A token that is found in the text as it stands, before anything is cut into words: a special token such as
/// `<image>`, or a whole phrase.
public struct AddedToken: Sendable, Hashable {
    /// The text that the token stands for.
    public var content: String
    /// Whether decoding may leave the token out (`skipSpecialTokens`).
    public var isSpecial: Bool
    /// Whether the token is found only where no word character touches it.
    public var singleWord: Bool
    /// Whether the token swallows white space on its left.
    public var lstrip: Bool
    /// Whether the token swallows white space on its right.
    public var rstrip: Bool
    /// Whether the token is looked for after the text was normalised, and after the tokens that are not.
    public var normalized: Bool

    public init(
        _ content: String, isSpecial: Bool = false, singleWord: Bool = false, lstrip: Bool = false,
        rstrip: Bool = false, normalized: Bool = false
    ) {
        self.content = content
        self.isSpecial = isSpecial
        self.singleWord = singleWord
        self.lstrip = lstrip
        self.rstrip = rstrip
        self.normalized = normalized
    }

    /// A special token, such as `<image>`.
    public static func special(_ content: String, lstrip: Bool = false, rstrip: Bool = false) -> AddedToken {
        AddedToken(content, isSpecial: true, lstrip: lstrip, rstrip: rstrip)
    }

    /// A piece of a template that is one token, such as `Please find the location of`.
    public static func phrase(_ content: String) -> AddedToken { AddedToken(content) }
}

/// Finds added tokens in text as Hugging Face's tokenizers do.
struct AddedVocabulary: Sendable {
    enum Piece {
        case text(ArraySlice<UInt8>)
        case token(Int)
    }

    /// Tokens that are looked for in the text as it stands.
    let exact: Matcher
    /// Tokens that are looked for in what the others leave, after it was normalised, and they with it.
    let normalized: Matcher

    /// `others` are further texts to be found after normalising: SentencePiece's user-defined symbols.
    init(_ tokens: [Int: AddedToken], normalizer: Normalizer, others: [(id: Int, text: [UInt8])] = []) {
        // Special tokens first, then in order of ids: should two have the same text, the first one wins.
        let tokens = tokens.sorted {
            ($0.value.isSpecial ? 0 : 1, $0.key) < ($1.value.isSpecial ? 0 : 1, $1.key)
        }
        // An empty token would be found everywhere; Hugging Face ignores it.
        .filter { !$0.value.content.isEmpty }
        exact = Matcher(
            tokens.filter { !$0.value.normalized }.map { ($0.key, $0.value, Array($0.value.content.utf8)) })
        normalized = Matcher(
            tokens.filter { $0.value.normalized }.map { id, token in
                var (text, startsText) = (Array(token.content.utf8), true)
                normalizer.apply(to: &text, startsText: &startsText)
                return (id, token, text)
            } + others.map { ($0.id, AddedToken(""), $0.text) })
    }

    /// The text between the tokens, unless there is a normalizer.
    func forEachText(in text: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>) -> Void) {
        exact.forEachPiece(in: text) { piece in
            guard case .text(let rest) = piece else { return }
            normalized.forEachPiece(in: rest) { piece in
                if case .text(let rest) = piece { body(rest) }
            }
        }
    }
}

/// A set of byte strings, looked up from a place in a text on.
struct Trie: Sendable {
    private struct Edge: Hashable {
        var node: Int
        var byte: UInt8
    }

    private var edges: [Edge: Int] = [:]
    private var ends: [Int?] = [nil]
    private var isFirstByte = [Bool](repeating: false, count: 256)

    /// Of equal keys the first is kept; empty ones are left out.
    init(_ entries: [(key: [UInt8], value: Int)]) {
        for (key, value) in entries where !key.isEmpty {
            var node = 0
            isFirstByte[Int(key[0])] = true
            for byte in key {
                let edge = Edge(node: node, byte: byte)
                if let known = edges[edge] {
                    node = known
                } else {
                    ends.append(nil)
                    node = ends.count - 1
                    edges[edge] = node
                }
            }
            if ends[node] == nil { ends[node] = value }
        }
    }

    /// The longest key that the text has at `start`, by its value and where it ends.
    func longestMatch(in text: ArraySlice<UInt8>, at start: Int) -> (value: Int, end: Int)? {
        guard isFirstByte[Int(text[start])] else { return nil }
        var found: (Int, Int)?
        var (node, end) = (0, start)
        while end < text.endIndex, let child = edges[Edge(node: node, byte: text[end])] {
            node = child
            end += 1
            if let value = ends[node] { found = (value, end) }
        }
        return found
    }
}

/// Leftmost-longest search for a set of tokens.
struct Matcher: Sendable {
    private let trie: Trie
    private let tokens: [Int: AddedToken]

    fileprivate init(_ entries: [(id: Int, token: AddedToken, text: [UInt8])]) {
        trie = Trie(entries.map { ($0.text, $0.id) })
        tokens = Dictionary(uniqueKeysWithValues: entries.map { ($0.id, $0.token) })
    }

    /// The text cut at the tokens.
    func forEachPiece(in text: ArraySlice<UInt8>, _ body: (AddedVocabulary.Piece) -> Void) {
        var position = text.startIndex
        var textStart = text.startIndex
        while let (id, match) = nextMatch(in: text, from: position) {
            position = match.upperBound
            guard let token = tokens[id], !token.singleWord || standsAlone(match, in: text) else { continue }
            var (start, end) = (match.lowerBound, match.upperBound)
            if token.lstrip {
                start =
                    text[textStart..<max(start, textStart)].trimmingWhiteSpace(left: false, right: true)
                    .endIndex
            }
            if token.rstrip { end = text[end...].trimmingWhiteSpace(left: true, right: false).startIndex }
            if textStart < start { body(.text(text[textStart..<start])) }
            body(.token(id))
            textStart = end
        }
        if textStart < text.endIndex { body(.text(text[textStart...])) }
    }

    private func nextMatch(in text: ArraySlice<UInt8>, from position: Int) -> (id: Int, range: Range<Int>)? {
        guard !tokens.isEmpty else { return nil }
        for start in position..<max(position, text.endIndex) {
            if let (id, end) = trie.longestMatch(in: text, at: start) { return (id, start..<end) }
        }
        return nil
    }

    private func standsAlone(_ match: Range<Int>, in text: ArraySlice<UInt8>) -> Bool {
        let before = text.scalar(before: match.lowerBound)?.scalar
        let after = match.upperBound < text.endIndex ? text.scalar(at: match.upperBound).scalar : nil
        return !(before?.isWordCharacter ?? false) && !(after?.isWordCharacter ?? false)
    }
}

extension Unicode.Scalar {
    /// `\w` of Unicode Technical Standard 18.
    fileprivate var isWordCharacter: Bool {
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }
}
