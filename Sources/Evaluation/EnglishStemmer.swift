/// The stem of an English word: the Snowball project's English stemmer (Porter2), which METEOR takes.
enum EnglishStemmer {
    static func stem(_ text: String) -> String {
        if text.utf8.count <= 2 { return text }
        if let special = specials[text] { return special }
        var word = Array(text.utf8)
        // An apostrophe in front goes; a "y" that stands for a consonant is written large.
        if word.first == Character("'").asciiValue { word.removeFirst() }
        for index in word.indices where word[index] == y && (index == 0 || isVowel(word[index - 1])) {
            word[index] = largeY
        }
        var stemmer = Stemmer(word: word)
        stemmer.run()
        return String(decoding: stemmer.word.map { $0 == largeY ? y : $0 }, as: UTF8.self)
    }

    fileprivate static let y = UInt8(ascii: "y")
    fileprivate static let largeY = UInt8(ascii: "Y")

    fileprivate static func isVowel(_ letter: UInt8) -> Bool { "aeiouy".utf8.contains(letter) }

    private static let specials = [
        "skis": "ski", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "idly": "idl",
        "gently": "gentl", "ugly": "ugli", "early": "earli", "only": "onli", "singly": "singl", "sky": "sky",
        "news": "news", "howe": "howe", "atlas": "atlas", "cosmos": "cosmos", "bias": "bias",
        "andes": "andes",
    ]
}

private struct Stemmer {
    var word: [UInt8]
    /// Where the regions begin in which suffixes are looked for.
    private var first = 0
    private var second = 0

    init(word: [UInt8]) {
        self.word = word
        let text = String(decoding: word, as: UTF8.self)
        first = ["gener", "commun", "arsen"].first(where: text.hasPrefix)?.utf8.count ?? region(from: 0)
        second = region(from: first)
    }

    /// After the first consonant that follows a vowel.
    private func region(from start: Int) -> Int {
        var index = start
        while index < word.count, !EnglishStemmer.isVowel(word[index]) { index += 1 }
        while index < word.count, EnglishStemmer.isVowel(word[index]) { index += 1 }
        return min(word.count, index + 1)
    }

    private func ends(_ suffix: String) -> Bool {
        word.count >= suffix.utf8.count && word.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
    }

    private func hasVowel(before end: Int) -> Bool {
        word[..<max(0, end)].contains(where: EnglishStemmer.isVowel)
    }

    private mutating func replace(_ suffix: String, _ other: String) {
        word.removeLast(suffix.utf8.count)
        word += other.utf8
    }

    private func longest(_ suffixes: [String]) -> String? {
        suffixes.filter(ends).max { $0.utf8.count < $1.utf8.count }
    }

    /// Whether it ends as in "hop": consonant, vowel, consonant but w, x or Y; or is vowel and consonant alone.
    private func endsShort() -> Bool {
        let count = word.count
        if count == 2 { return EnglishStemmer.isVowel(word[0]) && !EnglishStemmer.isVowel(word[1]) }
        guard count > 2 else { return false }
        return !EnglishStemmer.isVowel(word[count - 1]) && !"wxY".utf8.contains(word[count - 1])
            && EnglishStemmer.isVowel(word[count - 2]) && !EnglishStemmer.isVowel(word[count - 3])
    }

    mutating func run() {
        if let suffix = longest(["'", "'s", "'s'"]) { replace(suffix, "") }
        plural()
        if ["inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"].contains(
            String(decoding: word, as: UTF8.self))
        {
            return
        }
        past()
        if word.count > 2, word.last == EnglishStemmer.y || word.last == EnglishStemmer.largeY,
            !EnglishStemmer.isVowel(word[word.count - 2])
        {
            replace("y", "i")
        }
        derived()
        derivedAgain()
        ending()
        last()
    }

    private mutating func plural() {
        guard let suffix = longest(["sses", "ied", "ies", "us", "ss", "s"]) else { return }
        switch suffix {
        case "sses": replace(suffix, "ss")
        case "ied", "ies": replace(suffix, word.count > 4 ? "i" : "ie")
        case "s": if hasVowel(before: word.count - 2) { replace(suffix, "") }
        default: break
        }
    }

    private mutating func past() {
        guard let suffix = longest(["eed", "eedly", "ed", "edly", "ing", "ingly"]) else { return }
        let start = word.count - suffix.utf8.count
        if suffix.hasPrefix("eed") {
            if start >= first { replace(suffix, "ee") }
            return
        }
        guard hasVowel(before: start) else { return }
        replace(suffix, "")
        if ["at", "bl", "iz"].contains(where: ends) {
            word.append(UInt8(ascii: "e"))
        } else if word.count > 1, word[word.count - 1] == word[word.count - 2],
            "bdfgmnprt".utf8.contains(word.last!)
        {
            word.removeLast()
        } else if first >= word.count, endsShort() {
            word.append(UInt8(ascii: "e"))
        }
    }

    private mutating func derived() {
        guard let suffix = longest(Self.second.map(\.0) + ["ogi", "li"]),
            word.count - suffix.utf8.count >= first
        else { return }
        switch suffix {
        case "ogi": if ends("logi") { replace(suffix, "og") }
        case "li":
            if word.count > 2, "cdeghkmnrt".utf8.contains(word[word.count - 3]) { replace(suffix, "") }
        default: replace(suffix, Self.second.first { $0.0 == suffix }!.1)
        }
    }

    private static let second = [
        ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("abli", "able"), ("entli", "ent"),
        ("izer", "ize"),
        ("ization", "ize"), ("ational", "ate"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"),
        ("aliti", "al"),
        ("alli", "al"), ("fulness", "ful"), ("ousli", "ous"), ("ousness", "ous"), ("iveness", "ive"),
        ("iviti", "ive"), ("biliti", "ble"), ("bli", "ble"), ("fulli", "ful"), ("lessli", "less"),
    ]

    private mutating func derivedAgain() {
        let table = [
            ("tional", "tion"), ("ational", "ate"), ("alize", "al"), ("icate", "ic"), ("iciti", "ic"),
            ("ical", "ic"),
            ("ful", ""), ("ness", ""),
        ]
        guard let suffix = longest(table.map(\.0) + ["ative"]) else { return }
        let start = word.count - suffix.utf8.count
        guard start >= first else { return }
        if suffix == "ative" {
            if start >= second { replace(suffix, "") }
        } else {
            replace(suffix, table.first { $0.0 == suffix }!.1)
        }
    }

    private mutating func ending() {
        let suffixes = [
            "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ism", "ate",
            "iti", "ous",
            "ive", "ize", "ion",
        ]
        guard let suffix = longest(suffixes), word.count - suffix.utf8.count >= second else { return }
        if suffix == "ion", !ends("sion"), !ends("tion") { return }
        replace(suffix, "")
    }

    private mutating func last() {
        guard let letter = word.last else { return }
        let start = word.count - 1
        if letter == UInt8(ascii: "e") {
            word.removeLast()
            let isKept = !(start >= second || start >= first && !endsShort())
            if isKept { word.append(letter) }
        } else if letter == UInt8(ascii: "l"), start >= second, ends("ll") {
            word.removeLast()
        }
    }
}
