/// Words of a caption, as pycocoevalcap has them from Stanford's PTBTokenizer (`-lowerCase`, then without the marks of its
/// list). That program is Java's; these are its rules for what captions hold, and docs/evaluation.md says how often they
/// agree.
public enum CaptionTokens {
    /// The words, in lower case, joined by single spaces.
    public static func line(_ caption: String) -> String { words(caption).joined(separator: " ") }

    /// The words, in lower case.
    public static func words(_ caption: String) -> [String] {
        let chunks = caption.lowercased().split(whereSeparator: \.isWhitespace)
        var tokens: [String] = []
        for (index, chunk) in chunks.enumerated() {
            let next = index + 1 < chunks.count ? chunks[index + 1].first : nil
            split(Array(chunk), next, &tokens)
        }
        return tokens.filter { !marks.contains($0) }
    }

    /// Splits what stands between two spaces.
    private static func split(_ text: [Character], _ next: Character?, _ tokens: inout [String]) {
        var word: [Character] = []
        func isDigit(_ place: Int) -> Bool { text.indices.contains(place) && text[place].isNumber }
        func flush(isLast: Bool = false) {
            if !word.isEmpty { tokens += pieces(word, isLast: isLast, next) }
            word = []
        }
        var index = 0
        while index < text.count {
            let character = text[index]
            var end = index + 1
            while end < text.count, text[end] == character { end += 1 }
            let run = end - index
            switch character {
            case "(", "[", "{", ")", "]", "}":
                flush()
                tokens.append(brackets[character]!)
            case "\"", "\u{201C}", "\u{201D}":
                let isOpening = word.isEmpty && index + 1 < text.count
                flush()
                tokens.append(isOpening ? "``" : "''")
            case ",", ":":
                if isDigit(index - 1), isDigit(index + 1) {
                    word.append(character)
                } else {
                    flush()
                    tokens.append(String(character))
                }
            case ";", "%", "$", "#", "*", "=", "+", "<", ">", "|", "&":
                flush()
                tokens.append(String(character))
            case "?", "!":
                flush()
                tokens.append(String(repeating: character, count: run))
                index = end
                continue
            case "-" where run > 1:
                flush()
                tokens.append("--")
                index = end
                continue
            case "-" where word.isEmpty && end == text.count:
                tokens.append("-")
            case "." where run > 1:
                flush()
                tokens.append("...")
                index = end
                continue
            case "\u{2026}":
                flush()
                tokens.append("...")
            default: word.append(character)
            }
            index += 1
        }
        flush(isLast: true)
    }

    /// A word without spaces and brackets: its quotes, its point and its contraction.
    private static func pieces(_ characters: [Character], isLast: Bool, _ next: Character?) -> [String] {
        var word = String(characters.map { $0 == "\u{2019}" || $0 == "\u{2018}" ? "'" : $0 })
        var before: [String] = []
        var after: [String] = []
        if kept.contains(word) { return [word] }
        // Everything is in lower case, where a point inside or an abbreviation keeps the last one.
        if word.hasSuffix("."), word.count > 1 {
            let stem = word.dropLast()
            let isAbbreviation =
                abbreviations.contains(String(stem)) || (stem == "no" && next?.isNumber ?? false)
                || stem.split(separator: ".", omittingEmptySubsequences: false).allSatisfy {
                    $0.count == 1 && $0.first!.isLetter
                }
            if !isAbbreviation {
                word = String(stem)
                after.append(".")
            }
        }
        if word.count > 1, word.hasPrefix("'") || word.hasPrefix("`"), !suffixes.contains(word) {
            before.append("`")
            word.removeFirst()
        }
        if word.count > 1, word.hasSuffix("'") {
            word.removeLast()
            after.insert("'", at: 0)
        }
        if let parts = pairs[word] { return before + parts + after }
        for suffix in suffixes where word.hasSuffix(suffix) && word.count > suffix.count {
            let rest = String(word.dropLast(suffix.count))
            return before + [rest, suffix] + after
        }
        return before + [word] + after
    }

    private static let marks: Set = [
        "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".", "?", "!", ",", ":", "-", "--", "...",
        ";",
    ]
    /// In lower case they are not in the reference's list of marks, and stay.
    private static let brackets: [Character: String] = [
        "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-",
    ]
    private static let suffixes = ["n't", "'s", "'m", "'d", "'re", "'ve", "'ll"]
    private static let kept: Set = ["'n'", "o'clock", "'em", "'n"]
    private static let pairs = [
        "cannot": ["can", "not"], "gonna": ["gon", "na"], "gotta": ["got", "ta"], "wanna": ["wan", "na"],
        "gimme": ["gim", "me"], "lemme": ["lem", "me"], "y'all": ["y'", "all"], "'tis": ["'t", "is"],
        "'twas": ["'t", "was"],
    ]
    private static let abbreviations: Set = [
        "mr", "mrs", "ms", "dr", "st", "jr", "sr", "co", "corp", "inc", "ltd", "etc", "vs", "ave", "blvd",
        "rd", "mt",
        "ft", "prof", "rev", "gen", "sen", "gov", "capt", "col", "lt", "jan", "feb", "aug", "sept", "oct",
        "nov", "dec",
    ]
}
