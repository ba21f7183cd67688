/// Cuts a piece of text into words, step by step; merges never cross their borders.
struct PreTokenizer: Sendable {
    var steps: [Step]

    enum Step: Sendable {
        /// Words by a pattern; what the pattern leaves out is a word, too, or dropped.
        case split(Pattern, dropsGaps: Bool)
        /// Bytes, with or without a space put before the piece, cut by GPT-2's pattern or not at all.
        case byteLevel(addPrefixSpace: Bool, useRegex: Bool)
        case metaspace(Metaspace)
    }

    /// SentencePiece's way with spaces: each is a visible character, and one may be put before the text.
    struct Metaspace: Sendable {
        var replacement: [UInt8]
        var prepends: Scheme
        /// Whether words end where a space begins.
        var splits: Bool

        enum Scheme: String, Sendable { case always, first, never }
    }

    /// Whether the model sees bytes, not characters.
    var isByteLevel: Bool {
        if case .byteLevel = steps.last { true } else { false }
    }

    /// Calls `body` with each word; `startsText` says whether the piece is where the whole text begins.
    func forEachWord(in piece: ArraySlice<UInt8>, startsText: Bool, _ body: (ArraySlice<UInt8>) -> Void) {
        cut(piece, startsText: startsText, steps[...], body)
    }

    private func cut(
        _ piece: ArraySlice<UInt8>, startsText: Bool, _ steps: ArraySlice<Step>,
        _ body: (ArraySlice<UInt8>) -> Void
    ) {
        guard !piece.isEmpty else { return }
        guard let step = steps.first else { return body(piece) }
        func goOn(_ word: ArraySlice<UInt8>) {
            cut(word, startsText: startsText && word.startIndex == piece.startIndex, steps.dropFirst(), body)
        }
        switch step {
        case .split(let pattern, let dropsGaps): Self.split(piece, by: pattern, dropsGaps: dropsGaps, goOn)
        case .byteLevel(let addPrefixSpace, let useRegex):
            var piece = piece
            if addPrefixSpace, piece.first != UInt8(ascii: " ") { piece = [UInt8(ascii: " ")] + piece }
            if useRegex {
                Self.split(piece, by: .gpt2, dropsGaps: false, body)
            } else {
                body(piece)
            }
        case .metaspace(let metaspace):
            var text = Array(piece).replacing([UInt8(ascii: " ")], with: metaspace.replacement)
            let prepends = metaspace.prepends == .always || (metaspace.prepends == .first && startsText)
            if prepends, !text.starts(with: metaspace.replacement) { text = metaspace.replacement + text }
            guard metaspace.splits else {
                return cut(text[...], startsText: startsText, steps.dropFirst(), body)
            }
            var start = 0
            for index in 1..<text.count
            where text[index] == metaspace.replacement[0]
                && text[index...].starts(with: metaspace.replacement)
            {
                cut(text[start..<index], startsText: startsText && start == 0, steps.dropFirst(), body)
                start = index
            }
            cut(text[start...], startsText: startsText && start == 0, steps.dropFirst(), body)
        }
    }

    private static func split(
        _ text: ArraySlice<UInt8>, by pattern: Pattern, dropsGaps: Bool, _ body: (ArraySlice<UInt8>) -> Void
    ) {
        var start = text.startIndex
        while start < text.endIndex {
            let (end, isMatch) = pattern.piece(in: text, at: start)
            if isMatch || !dropsGaps { body(text[start..<end]) }
            start = end
        }
    }
}
