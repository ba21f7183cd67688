/// Cuts a piece of text into words; merges never cross their borders.
enum PreTokenizer: Sendable {
    /// Bytes, with or without a space put before the piece, cut by GPT-2's pattern or not at all.
    case byteLevel(ByteLevelOptions)

    func forEachWord(in piece: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>) -> Void) {
        switch self {
        case .byteLevel(let options):
            guard !piece.isEmpty else { return }
            var piece = piece
            if options.addPrefixSpace, piece.first != UInt8(ascii: " ") {
                piece = [UInt8(ascii: " ")] + piece
            }
            if options.useRegex {
                var start = piece.startIndex
                while start < piece.endIndex {
                    let end = GPT2Pattern.match(in: piece, at: start)
                    body(piece[start..<end])
                    start = end
                }
            } else {
                body(piece)
            }
        }
    }
}

/// The fields that Hugging Face's `ByteLevel` has as pre-tokenizer, post-processor and decoder. Only the
/// pre-tokenizer's first and last change ids; the others are kept so that a file is written as it was read.
struct ByteLevelOptions: Sendable, Codable {
    var addPrefixSpace = true
    var trimOffsets = true
    var useRegex = true

    private enum CodingKeys: String, CodingKey {
        case addPrefixSpace = "add_prefix_space"
        case trimOffsets = "trim_offsets"
        case useRegex = "use_regex"
    }

    init(addPrefixSpace: Bool) { self.addPrefixSpace = addPrefixSpace }

    init(from decoder: any Swift.Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        addPrefixSpace = try fields.decodeIfPresent(Bool.self, forKey: .addPrefixSpace) ?? true
        trimOffsets = try fields.decodeIfPresent(Bool.self, forKey: .trimOffsets) ?? true
        useRegex = try fields.decodeIfPresent(Bool.self, forKey: .useRegex) ?? true
    }
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, written out.
enum GPT2Pattern {
    private enum Kind { case letter, number, space, other }

    /// The end of the word that starts at `start`, which is inside the text.
    static func match(in text: ArraySlice<UInt8>, at start: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = contraction(in: text, at: start) { return end }
        var (kind, length) = kind(in: text, at: start)
        var end = start + length
        if text[start] == UInt8(ascii: " "), end < text.endIndex {
            (kind, length) = self.kind(in: text, at: end)
            if kind != .space { end += length }
        }
        var lastLength = length
        while end < text.endIndex {
            let next = self.kind(in: text, at: end)
            guard next.kind == kind else {
                // `\s+(?!\S)`: white space leaves its last character to what follows, unless it has but one.
                if kind == .space, end - lastLength > start { end -= lastLength }
                break
            }
            end += next.length
            lastLength = next.length
        }
        return end
    }

    private static func contraction(in text: ArraySlice<UInt8>, at start: Int) -> Int? {
        guard start + 1 < text.endIndex else { return nil }
        switch text[start + 1] {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case let first:
            guard start + 2 < text.endIndex else { return nil }
            switch (first, text[start + 2]) {
            case (UInt8(ascii: "r"), UInt8(ascii: "e")), (UInt8(ascii: "v"), UInt8(ascii: "e")),
                (UInt8(ascii: "l"), UInt8(ascii: "l")):
                return start + 3
            default: return nil
            }
        }
    }

    private static func kind(in text: ArraySlice<UInt8>, at index: Int) -> (kind: Kind, length: Int) {
        switch text[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): return (.letter, 1)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): return (.number, 1)
        case UInt8(ascii: " "), 0x09...0x0D: return (.space, 1)
        case 0x00...0x7F: return (.other, 1)
        default:
            let (scalar, length) = text.scalar(at: index)
            let properties = scalar.properties
            if properties.isWhitespace { return (.space, length) }
            // Characters younger than Unicode 16 are not yet letters to the Oniguruma of tokenizers 0.22.
            guard let age = properties.age, age.major <= 16 else { return (.other, length) }
            switch properties.generalCategory {
            case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
                return (.letter, length)
            case .decimalNumber, .letterNumber, .otherNumber: return (.number, length)
            default: return (.other, length)
            }
        }
    }
}
