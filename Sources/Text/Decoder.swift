/// Turns tokens back into text, step by step. Every step takes one token at a time, so that a text can be decoded
/// while it is generated; the whole is what Hugging Face's decoders make of all tokens at once.
struct Decoder: Sendable {
    var steps: [Step]

    enum Step: Sendable {
        /// Visible characters to bytes. All tokens become one.
        case byteLevel
        case replace(pattern: [UInt8], content: [UInt8])
        /// `<0xE2>` and its like to bytes: a run of them that is no UTF-8 becomes a U+FFFD for each.
        case byteFallback
        /// All tokens become one.
        case fuse
        /// At most `left` times `content` is cut off at the beginning of a token.
        case strip(content: [UInt8], left: Int)
        /// `replacement` to a space; the first token loses it.
        case metaspace(replacement: [UInt8], dropsFirst: Bool)
        /// The suffix of a word's last token to a space, but for the last token of all.
        case bpe(suffix: [UInt8])
        /// SentencePiece's own, of a `tokenizer.model`.
        case sentencePiece(SentencePieceDecoder)

        /// How many times as long this makes a token, at most.
        var growth: Double {
            switch self {
            case .replace(let pattern, let content): max(1, Double(content.count) / Double(pattern.count))
            default: 1
            }
        }

        var fusesTokens: Bool {
            switch self {
            case .byteLevel, .fuse: true
            default: false
            }
        }
    }

    /// The steps at the beginning that look at nothing but the token.
    private var preparing: ArraySlice<Step> {
        steps.prefix {
            switch $0 {
            case .byteLevel, .replace: true
            default: false
            }
        }
    }

    /// Makes of a token, once and for all, what these steps make of it.
    func prepared(_ token: [UInt8]) -> [UInt8] {
        preparing.reduce(token) { token, step in
            switch step {
            case .byteLevel: ByteLevelAlphabet.bytes(of: String(decoding: token, as: UTF8.self))
            case .replace(let pattern, let content): token.replacing(pattern, with: content)
            default: token
            }
        }
    }

    /// The decoding of one text.
    func start() -> Run {
        var isFused = preparing.contains(where: \.fusesTokens)
        return Run(
            states: steps.dropFirst(preparing.count).map { step in
                defer { isFused = isFused || step.fusesTokens }
                return State(step: step, isFused: isFused)
            })
    }

    /// A decoding as far as it has come.
    struct Run: Sendable {
        fileprivate var states: [State]

        /// Takes the next token as `prepared` gives it, and adds the bytes to `text` that are settled by it.
        mutating func feed(_ token: [UInt8], id: Int, isAdded: Bool, into text: inout [UInt8]) {
            pass(token, id: id, isAdded: isAdded, from: 0, into: &text)
        }

        /// Adds what is left when the last token has come.
        mutating func finish(into text: inout [UInt8]) {
            for index in states.indices {
                for token in states[index].finish() {
                    pass(token, id: -1, isAdded: false, from: index + 1, into: &text)
                }
            }
        }

        private mutating func pass(
            _ token: [UInt8], id: Int, isAdded: Bool, from index: Int, into text: inout [UInt8]
        ) {
            guard index < states.count else {
                text += token
                return
            }
            let output = states[index].feed(token, id: id, isAdded: isAdded)
            for waited in output.waited {
                pass(waited, id: id, isAdded: isAdded, from: index + 1, into: &text)
            }
            if let token = output.token {
                pass(token, id: id, isAdded: isAdded, from: index + 1, into: &text)
            }
        }
    }
}

/// One step and what it remembers of the tokens before.
private struct State: Sendable {
    let step: Decoder.Step
    /// Whether a step before has made one token of all.
    let isFused: Bool
    /// Bytes that wait for the end of their run, or a word's last token that waits for another.
    private var waiting: [UInt8]?
    private var isFirst = true
    /// How much of `strip` is left to be cut off a fused text.
    private var stripLeft: Int?
    private var sentencePiece: SentencePieceDecoder.Run?

    init(step: Decoder.Step, isFused: Bool) {
        self.step = step
        self.isFused = isFused
        if case .sentencePiece(let decoder) = step { sentencePiece = decoder.start() }
    }

    /// What comes of a token: those that waited for it, and itself unless it waits.
    mutating func feed(_ token: [UInt8], id: Int, isAdded: Bool) -> (waited: [[UInt8]], token: [UInt8]?) {
        defer { isFirst = false }
        switch step {
        case .byteLevel, .fuse: return ([], token)
        case .replace(let pattern, let content): return ([], token.replacing(pattern, with: content))
        case .byteFallback:
            guard let byte = ByteFallback.byte(of: token) else { return (finish(), token) }
            waiting = (waiting ?? []) + [byte]
            return ([], nil)
        case .strip(let content, let left):
            var count = isFused ? stripLeft ?? left : left
            guard count > 0 else { return ([], token) }
            var rest = token[...]
            while count > 0, rest.starts(with: content) {
                rest = rest.dropFirst(content.count)
                count -= 1
            }
            if !token.isEmpty { stripLeft = rest.isEmpty ? count : 0 }
            return ([], Array(rest))
        case .metaspace(let replacement, let dropsFirst):
            return ([], token.replacing(replacement, with: isFirst && dropsFirst ? [] : [UInt8(ascii: " ")]))
        case .bpe(let suffix):
            defer { waiting = token }
            return ([], waiting?.replacing(suffix, with: [UInt8(ascii: " ")]))
        case .sentencePiece: return ([], sentencePiece?.feed(token, id: id, isAdded: isAdded))
        }
    }

    mutating func finish() -> [[UInt8]] {
        if case .sentencePiece = step { return [sentencePiece?.finish() ?? []] }
        guard let rest = waiting else { return [] }
        waiting = nil
        if case .bpe(let suffix) = step { return [rest.replacing(suffix, with: [])] }
        if String(validating: rest, as: UTF8.self) != nil { return [rest] }
        return rest.map { _ in Array("\u{FFFD}".utf8) }
    }
}
