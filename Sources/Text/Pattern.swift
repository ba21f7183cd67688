/// The regular expressions by which byte-level tokenizers cut words, each written out by hand. A file names its
/// expression by its text; one that is not here is refused.
enum Pattern: Sendable {
    /// GPT-2, and what `ByteLevel` does with `use_regex`.
    case gpt2
    /// Llama 3: as GPT-2, but contractions in any case, one sign before a word, three digits at most, and lines.
    case llama3
    /// Qwen 2: Llama 3's with one digit at a time.
    case qwen2
    /// CLIP: contractions, letters, one digit, other signs; white space is left out.
    case clip

    private static let llama3Text =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"#
        + #"|\s+(?!\S)|\s+"#
    private static let known: [String: Pattern] = [
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
        #"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#: .gpt2,
        llama3Text: .llama3,
        llama3Text.replacing("{1,3}", with: ""): .qwen2,
        #"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"#: .clip,
    ]

    /// The pattern that a file writes as `text`.
    init?(_ text: String) {
        guard let pattern = Self.known[text] else { return nil }
        self = pattern
    }

    /// Where the piece ends that starts at `start`, and whether the pattern matches it: only CLIP's leaves gaps.
    func piece(in text: ArraySlice<UInt8>, at start: Int) -> (end: Int, isMatch: Bool) {
        switch self {
        case .gpt2: (gpt2(text, start), true)
        case .llama3: (llama3(text, start, digits: 3), true)
        case .qwen2: (llama3(text, start, digits: 1), true)
        case .clip: clip(text, start)
        }
    }

    private func gpt2(_ text: ArraySlice<UInt8>, _ start: Int) -> Int {
        if let end = contraction(in: text, at: start) { return end }
        var (kind, length) = text.kind(at: start)
        if text[start] == UInt8(ascii: " "), start + 1 < text.endIndex {
            let next = text.kind(at: start + 1)
            if next.kind != .space { (kind, length) = (next.kind, length + next.length) }
        }
        if kind == .space { return whiteSpace(in: text, at: start) }
        return text.end(of: kind, from: start + length)
    }

    private func llama3(_ text: ArraySlice<UInt8>, _ start: Int, digits: Int) -> Int {
        if let end = contraction(in: text, at: start, anyCase: true) { return end }
        let (kind, length) = text.kind(at: start)
        let next = start + length
        let isLineEnd = text[start] == 0x0A || text[start] == 0x0D
        switch kind {
        case .letter: return text.end(of: .letter, from: next)
        case .number: return text.end(of: .number, from: next, limit: digits - 1)
        case .other, .space:
            let after = next < text.endIndex ? text.kind(at: next) : nil
            if !isLineEnd, after?.kind == .letter { return text.end(of: .letter, from: next) }
            if kind == .other || (text[start] == UInt8(ascii: " ") && after?.kind == .other) {
                var end = text.end(of: .other, from: next)
                while end < text.endIndex, text[end] == 0x0A || text[end] == 0x0D { end += 1 }
                return end
            }
            let whole = text.end(of: .space, from: start)
            if let last = text[start..<whole].lastIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
                return last + 1
            }
            return whiteSpace(in: text, at: start)
        }
    }

    private func clip(_ text: ArraySlice<UInt8>, _ start: Int) -> (Int, Bool) {
        if let end = contraction(in: text, at: start) { return (end, true) }
        let (kind, length) = text.kind(at: start)
        let end = kind == .number ? start + length : text.end(of: kind, from: start + length)
        return (end, kind != .space)
    }

    /// `\s+(?!\S)|\s+`: white space leaves its last character to what follows, unless it has but one.
    private func whiteSpace(in text: ArraySlice<UInt8>, at start: Int) -> Int {
        let end = text.end(of: .space, from: start)
        guard end < text.endIndex, let last = text.scalar(before: end), end - last.length > start else {
            return end
        }
        return end - last.length
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`
    private func contraction(in text: ArraySlice<UInt8>, at start: Int, anyCase: Bool = false) -> Int? {
        guard text[start] == UInt8(ascii: "'"), start + 1 < text.endIndex else { return nil }
        func letter(_ index: Int) -> UInt8? {
            guard index < text.endIndex else { return nil }
            let byte = text[index]
            return anyCase && UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte + 32 : byte
        }
        // U+017F is an s, too, to a pattern for any case.
        if anyCase, text[(start + 1)...].starts(with: [0xC5, 0xBF]) { return start + 3 }
        switch (letter(start + 1), letter(start + 2)) {
        case (UInt8(ascii: "s"), _), (UInt8(ascii: "t"), _), (UInt8(ascii: "m"), _), (UInt8(ascii: "d"), _):
            return start + 2
        case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
            (UInt8(ascii: "l"), UInt8(ascii: "l")):
            return start + 3
        default: return nil
        }
    }
}

/// What the patterns tell apart: `\p{L}`, `\p{N}`, `\s` and the rest.
private enum Kind: UInt8 {
    case letter, number, space, other

    init(_ scalar: Unicode.Scalar) {
        let properties = scalar.properties
        // Characters younger than Unicode 16 are not yet letters to the Oniguruma of tokenizers 0.22.
        if properties.isWhitespace {
            self = .space
        } else if let age = properties.age, age.major <= 16 {
            switch properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
                self = .letter
            case .decimalNumber, .letterNumber, .otherNumber: self = .number
            default: self = .other
            }
        } else {
            self = .other
        }
    }

    /// Of the first 65,536 scalars: asking the standard library's tables for each is several times slower.
    static let table: [Kind] = (0..<0x10000).map { value in
        Unicode.Scalar(UInt32(value)).map(Kind.init) ?? .other
    }
}

extension ArraySlice<UInt8> {
    @inline(__always)
    fileprivate func kind(at index: Int) -> (kind: Kind, length: Int) {
        switch self[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): return (.letter, 1)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return (.number, 1)
        case UInt8(ascii: " "), 0x09...0x0D: return (.space, 1)
        case 0x00...0x7F: return (.other, 1)
        default:
            let (scalar, length) = scalar(at: index)
            return (scalar.value < 0x10000 ? Kind.table[Int(scalar.value)] : Kind(scalar), length)
        }
    }

    /// The end of the characters of one kind from `start` on, at most `limit` of them.
    fileprivate func end(of kind: Kind, from start: Int, limit: Int = .max) -> Int {
        var (end, left) = (start, limit)
        while end < endIndex, left > 0, case let next = self.kind(at: end), next.kind == kind {
            end += next.length
            left -= 1
        }
        return end
    }
}
