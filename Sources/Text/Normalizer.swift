/// What is done to a piece of text before it is cut into words.
enum Normalizer: Sendable {
    case sequence([Normalizer])
    case unicode(UnicodeForm)
    case lowercase
    case strip(left: Bool, right: Bool)
    case prepend([UInt8])
    case replace(Replaced, with: [UInt8])
    /// SentencePiece's own, of a `tokenizer.model`.
    case sentencePiece(SentencePieceNormalizer)

    /// What is replaced: a text, or one of the two regular expressions that these tokenizers have.
    enum Replaced: Sendable {
        case text([UInt8])
        /// `\s+`
        case whiteSpace
        /// ` {2,}`
        case severalSpaces
    }

    /// How many times as long this makes a text, at most.
    var growth: Double {
        switch self {
        case .sequence(let steps): steps.reduce(1) { $0 * $1.growth }
        case .unicode(.nfc), .unicode(.nfd): 3
        // U+FDFA, of 3 bytes, is a phrase of 33.
        case .unicode(.nfkc), .unicode(.nfkd): 11
        case .lowercase: 2
        case .strip: 1
        case .prepend(let prefix): Double(1 + prefix.count)
        case .replace(let replaced, let content): max(1, Double(content.count) / replaced.shortest)
        // One step, whose longest replacement is in the file.
        case .sentencePiece: 1
        }
    }

    /// Normalises `text`; `startsText` becomes false when something is cut off at its beginning.
    func apply(to text: inout [UInt8], startsText: inout Bool) {
        switch self {
        case .sequence(let steps): for step in steps { step.apply(to: &text, startsText: &startsText) }
        case .unicode(let form): form.apply(to: &text)
        case .lowercase: text = Self.lowercased(text)
        case .strip(let left, let right):
            let kept = text[...].trimmingWhiteSpace(left: left, right: right)
            if kept.startIndex > 0 { startsText = false }
            text = Array(kept)
        case .prepend(let prefix): if !text.isEmpty { text = prefix + text }
        case .replace(let replaced, let content): text = replaced.replaced(in: text, with: content)
        case .sentencePiece(let normalizer): text = normalizer.normalized(text)
        }
    }

    /// Each scalar by itself, as in Rust: no final sigma.
    private static func lowercased(_ text: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte < 0x80 {
                result.append(UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte ? byte + 32 : byte)
                index += 1
            } else {
                let (scalar, length) = text[...].scalar(at: index)
                result += scalar.properties.lowercaseMapping.utf8
                index += length
            }
        }
        return result
    }
}

extension Normalizer.Replaced {
    /// Bytes that are replaced, at least.
    fileprivate var shortest: Double {
        switch self {
        case .text(let text): Double(text.count)
        case .whiteSpace: 1
        case .severalSpaces: 2
        }
    }

    func replaced(in text: [UInt8], with content: [UInt8]) -> [UInt8] {
        if case .text(let pattern) = self { return text.replacing(pattern, with: content) }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let end = self.end(in: text[...], from: index)
            result += end > index ? content[...] : text[index...index]
            index = max(end, index + 1)
        }
        return result
    }

    /// The end of the match that begins at `start`, or `start` itself.
    private func end(in text: ArraySlice<UInt8>, from start: Int) -> Int {
        guard case .whiteSpace = self else {
            let end = text[start...].firstIndex { $0 != UInt8(ascii: " ") } ?? text.endIndex
            return end > start + 1 ? end : start
        }
        var end = start
        while end < text.endIndex, !UTF8.isContinuation(text[end]), case let next = text.scalar(at: end),
            next.scalar.properties.isWhitespace
        {
            end += next.length
        }
        return end
    }
}
