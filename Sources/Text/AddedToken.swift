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

    private let exact: Matcher
    private let normalized: Matcher

    init(_ tokens: [Int: AddedToken]) {
        // An empty token would be found everywhere; Hugging Face ignores it.
        let tokens = tokens.filter { !$0.value.content.isEmpty }
        exact = Matcher(tokens.filter { !$0.value.normalized })
        normalized = Matcher(tokens.filter { $0.value.normalized })
    }

    /// The text cut at added tokens, in two passes: a token with `normalized` is looked for only in what the
    /// others leave.
    func forEachPiece(in text: ArraySlice<UInt8>, _ body: (Piece) -> Void) {
        exact.forEachPiece(in: text) { piece in
            switch piece {
            case .token: body(piece)
            case .text(let rest): normalized.forEachPiece(in: rest, body)
            }
        }
    }
}

/// Leftmost-longest search for a set of tokens.
private struct Matcher: Sendable {
    private struct Edge: Hashable {
        var node: Int
        var byte: UInt8
    }

    private var edges: [Edge: Int] = [:]
    private var ends: [Int?] = [nil]
    private var startsToken = [Bool](repeating: false, count: 256)
    private let tokens: [Int: AddedToken]

    init(_ tokens: [Int: AddedToken]) {
        self.tokens = tokens
        // In order of ids: should two ids have the same content, the lower one wins, every time.
        for (id, token) in tokens.sorted(by: { $0.key < $1.key }) {
            var node = 0
            for byte in token.content.utf8 {
                if node == 0 { startsToken[Int(byte)] = true }
                let edge = Edge(node: node, byte: byte)
                if let known = edges[edge] {
                    node = known
                } else {
                    ends.append(nil)
                    node = ends.count - 1
                    edges[edge] = node
                }
            }
            if ends[node] == nil { ends[node] = id }
        }
    }

    func forEachPiece(in text: ArraySlice<UInt8>, _ body: (AddedVocabulary.Piece) -> Void) {
        var position = text.startIndex
        var textStart = text.startIndex
        while let (id, match) = nextMatch(in: text, from: position) {
            position = match.upperBound
            guard let token = tokens[id], !token.singleWord || standsAlone(match, in: text) else { continue }
            var (start, end) = (match.lowerBound, match.upperBound)
            if token.lstrip {
                while start > textStart, let last = text.scalar(before: start),
                    last.scalar.properties.isWhitespace
                {
                    start -= last.length
                }
            }
            if token.rstrip {
                while end < text.endIndex {
                    let first = text.scalar(at: end)
                    guard first.scalar.properties.isWhitespace else { break }
                    end += first.length
                }
            }
            if textStart < start { body(.text(text[textStart..<start])) }
            body(.token(id))
            textStart = end
        }
        if textStart < text.endIndex { body(.text(text[textStart...])) }
    }

    private func nextMatch(in text: ArraySlice<UInt8>, from position: Int) -> (id: Int, range: Range<Int>)? {
        guard !edges.isEmpty else { return nil }
        var start = position
        while start < text.endIndex {
            if startsToken[Int(text[start])] {
                var found: (Int, Range<Int>)?
                var (node, end) = (0, start)
                while end < text.endIndex, let child = edges[Edge(node: node, byte: text[end])] {
                    node = child
                    end += 1
                    if let id = ends[node] { found = (id, start..<end) }
                }
                if let found { return found }
            }
            start += 1
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
